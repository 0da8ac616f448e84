"""CC-SSL's crop, targets, decoding, losses and accuracy; its code counts pixels from 1, so 1 is added to ours."""

import re

import numpy as np
import torch

from heatpose.codecs.ccssl import CcsslCodec
from heatpose.codecs.rendering import cauchy_maps, gaussian_maps, reaches_map
from heatpose.core.loss import JointsMSE
from heatpose.dataset.augment import mirror_keypoints
from heatpose.dataset.skeletons import QUADRUPED
from heatpose.metrics import pck
from heatpose.utils.geometry import transform_points
from heatpose.utils.heatmaps import argmax_2d

from .harness import ReferenceFile
from .targets import compare_maps

PX = 200  # px in one unit of the scale
SIDE = 64  # px of a heatmap
MIRRORED_WIDTH = 300  # of the image in shufflelr/out
SHAPES = {"Gaussian": gaussian_maps, "Cauchy": cauchy_maps}


def codec(side: int = 4 * SIDE, heatmap_side: int = SIDE) -> CcsslCodec:
    """CC-SSL's own settings."""
    return CcsslCodec((side, side), (heatmap_side, heatmap_side), QUADRUPED.num_joints, sigma=1)


def compare(file: ReferenceFile) -> None:
    """All arrays of geometry_, targets_, decode_ and losses_animals."""
    {"geometry": _geometry, "targets": _targets, "decode": _decode, "losses": _losses}[file.link](file)


def _geometry(file: ReferenceFile) -> None:
    center, scale = file["cs/center"].astype(np.float64), file["cs/scale"] * PX
    boxes = list(zip(center, scale[:, None].repeat(2, axis=1), file["cs/rot"], strict=True))
    for side in (SIDE, 4 * SIDE):
        matrices = np.stack([codec(side).warp_matrix(*box) for box in boxes])
        whole = np.concatenate([matrices, np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(boxes), 1, 3))], axis=1)
        file.compare(f"get_transform/{side}", whole)
    places = [_places(points - 1, *box) for points, box in zip(file["points"], boxes, strict=True)]
    file.compare("transform/fwd_64", np.trunc(places) + 1)
    on_map, middle = torch.from_numpy(file["hm_points"]).double() - 1, torch.from_numpy(center)
    image = codec().to_image(on_map, middle, torch.from_numpy(scale)[:, None].expand(-1, 2)) + 1
    file.compare("transform/inv_64", image)
    file.compare("transform_preds", image)
    # The fork mirrors x to width - x, which is ours in an image one px wider: a px too far to the right.
    mirrored = [
        np.concatenate(mirror_keypoints(points[:, :2], points[:, 2:], MIRRORED_WIDTH + 1, QUADRUPED.flip_pairs), axis=1)
        for points in file["shufflelr/in"]
    ]
    file.compare("shufflelr/out", np.stack(mirrored))
    heatmaps = torch.from_numpy(file["flip_back/in"])
    file.compare("flip_back/out", codec(8, heatmaps.shape[-1]).flip_back(heatmaps, QUADRUPED.flip_pairs))


def _places(points_image: np.ndarray, center: np.ndarray, scale: np.ndarray, rotation: float) -> np.ndarray:
    """Points (K,2), image px, in heatmap px, before they are cut off."""
    points_input = transform_points(points_image.astype(np.float64), codec().warp_matrix(center, scale, rotation))
    return codec().input_to_heatmap(torch.from_numpy(points_input)).numpy()


def _targets(file: ReferenceFile) -> None:
    for case in file.cases():
        if case.startswith("draw"):
            _drawn(file, case)
    if "ds/pts" in file:
        _sample(file)


def _drawn(file: ReferenceFile, case: str) -> None:
    """The drawing alone, e.g. draw_s1_Cauchy, of points that are not whole, for which the fork's training has no use.

    Their bell stands in the middle of the window that the pixels are cut off to.
    """
    _, sigma, shape = case.split("_")
    reach = 3 * int(sigma[1:])
    points = torch.from_numpy(file["points"])
    weight = reaches_map(points, reach / 3, (SIDE, SIDE))
    mean = torch.trunc(points - reach) + reach
    maps = SHAPES[shape](mean, reach / 3, (SIDE, SIDE), weight, points)
    compare_maps(file, case, maps.double().numpy(), weight.float().unsqueeze(-1).numpy())


def _sample(file: ReferenceFile) -> None:
    """A training sample's target. The fork draws no joint at image y <= 0 and leaves its weight as it is."""
    points, visible = file["ds/pts"][..., :2], file["ds/pts"][..., 2]
    boxes = zip(file["ds/center"], file["ds/scale"][:, None].repeat(2, axis=1) * PX, file["ds/rot"], strict=True)
    places = np.stack([_places(each, *box) for each, box in zip(points, boxes, strict=True)])
    drawn = points[..., 1] > 0
    on_map = np.concatenate([np.where(drawn[..., None], np.trunc(places) + 1, points), visible[..., None]], axis=2)
    file.compare("ds/tpts", on_map)
    target, weight = codec().render(torch.from_numpy(places), torch.from_numpy(visible * drawn))
    weights = np.where(drawn[..., None], weight.numpy(), visible[..., None])
    compare_maps(file, "ds", target.double().numpy(), weights)


def _decode(file: ReferenceFile) -> None:
    inputs = file.references.open("decode_inputs")
    for case in file.cases(2):
        output = torch.from_numpy(inputs[case])
        samples = inputs[f"{case}_samples"] if f"{case}_samples" in inputs else np.arange(len(output))
        pixels, scores = argmax_2d(output)
        file.compare(f"{case}/get_preds", pixels + (scores > 0).unsqueeze(-1))
        keypoints, _ = codec().decode(output)
        center, scale = (torch.from_numpy(inputs[name][samples]) for name in ("center", "animals/scale"))
        image = codec().to_image(keypoints, center, scale[:, None].expand(-1, 2) * PX)
        file.compare(f"{case}/final_preds", image + 1)


def _losses(file: ReferenceFile) -> None:
    for case in file.cases():
        if named := re.fullmatch(r"mse_w(\d)_nk([\d.]+)_(target_weight\w*)", case):
            _loss(file, case, named[1] == "1", float(named[2]), named[3])
    if "acc/output_x1024" in file:
        _accuracy(file)


def _loss(file: ReferenceFile, case: str, use_target_weight: bool, num_keypoints: float, weight: str) -> None:
    """The fork divides the sum over the joints by a number that is given; ours is their mean."""
    output = torch.from_numpy(file["in/output"]).requires_grad_()
    target, weights = torch.from_numpy(file["in/target"]), torch.from_numpy(file[f"in/{weight}"])
    loss = JointsMSE(use_target_weight)(output, target, weights) * (output.shape[1] / num_keypoints)
    loss.backward()
    file.compare(f"{case}/value", loss.detach().double().reshape(1))
    file.compare(f"{case}/grad", output.grad)


def _accuracy(file: ReferenceFile) -> None:
    """PCK of arg-maxima within 0.5 of a tenth of the map, joints in the map's first row or column left out."""
    predicted, truth = (
        _counted_from_1(file[f"acc/{name}_x1024"].astype(np.float32) / 1024) for name in ("output", "target")
    )
    joints = np.arange(QUADRUPED.num_joints)
    some, tiger = (np.array(file.about["arrays"][f"acc/{case}/acc"]["arguments"][key]) - 1
                   for case, key in (("some", "idxs"), ("2animal_tiger", "target_idxs")))  # fmt: skip
    # accuracy_2animal picks the tiger's joints from the truth, and from the distances once more.
    for case, wanted, picked in (("all", joints, joints), ("some", joints, some), ("2animal_tiger", tiger, tiger)):
        valid = (truth[:, wanted] > 1).all(axis=2)
        share = pck(predicted, truth[:, wanted], SIDE / 10, 0.5, valid)[picked]
        shares = np.concatenate([[np.nanmean(share)], np.nan_to_num(share, nan=-1)])
        file.compare(f"acc/{case}/acc", shares)
        apart = np.linalg.norm(predicted - truth[:, wanted], axis=2) / (SIDE / 10)
        file.compare(f"acc/{case}/dists", np.where(valid, apart, -1).T)
    file.leave_out("acc/calc_metrics", "the references do not say of which distances it is the area")


def _counted_from_1(heatmaps: np.ndarray) -> np.ndarray:
    """Arg-maxima as the fork has them: from 1, and 0 where the maximum is not above 0."""
    pixels, scores = argmax_2d(torch.from_numpy(heatmaps))
    return (pixels + (scores > 0).unsqueeze(-1)).numpy().astype(np.float64)
