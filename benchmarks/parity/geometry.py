"""Boxes, records, affine maps, mirroring and half-body boxes."""

import numpy as np
import torch

from heatpose.codecs.dark import DarkCodec
from heatpose.codecs.gaussian import GaussianCodec
from heatpose.codecs.megvii import MegviiCodec
from heatpose.codecs.udp import UdpCodec
from heatpose.dataset import coco, mpii
from heatpose.dataset.augment import half_body_box, mirror_keypoints, mspn_half_body_box
from heatpose.dataset.records import Records, select_consistent
from heatpose.dataset.skeletons import COCO, MPII
from heatpose.utils.geometry import box_to_center_scale, invert, similarity_matrix, transform_points, udp_matrix

from .harness import ReferenceFile

PIXEL_STD = np.float32(200)  # px in one unit of the forks' scale
CODEC = {
    "sb": GaussianCodec, "hrnet": GaussianCodec, "lpn": GaussianCodec, "dark": DarkCodec, "udp": UdpCodec,
    "mspn": MegviiCodec,
}  # fmt: skip
FLIPPED_WIDTH = 401  # of the image in flip/joints_out
MSPN_FLIPPED_WIDTH = 500
MSPN_TEST_EXTENSION = (0.09, 0.135)


def compare(file: ReferenceFile) -> None:
    """All arrays of geometry_<fork>."""
    if file.fork == "mspn":
        _mspn(file)
        return
    inclusive = CODEC[file.fork].inclusive_boxes
    _boxes(file, inclusive)
    _records(file, inclusive)
    _matrices(file, inclusive)
    _image_coordinates(file)
    _mirror(file)
    for name, skeleton, ratio in (("half_body_coco", COCO, 0.75), ("half_body_mpii", MPII, 1.0)):
        if f"{name}/center" in file:
            _half_body(file, name, skeleton.upper_body, ratio, inclusive)


def _boxes(file: ReferenceFile, inclusive: bool) -> None:
    for entry, ratio in (("box2cs_0p75", 0.75), ("box2cs_1p0", 1.0)):
        if f"{entry}/center" in file:
            center, scale = box_to_center_scale(file["box"], ratio, inclusive=inclusive)
            file.compare(f"{entry}/center", center)
            file.compare(f"{entry}/scale", scale / PIXEL_STD)


def _records(file: ReferenceFile, inclusive: bool) -> None:
    folder = file.references.folder
    for entry, ratio in (("coco_db_192x256", 0.75), ("coco_db_256x256", 1.0)):
        if f"{entry}/center" in file:
            content = coco.read_annotations(folder / "synthetic_coco.json", COCO.num_joints)
            found = coco.annotated_people(content, COCO.num_joints, ratio, inclusive)
            _one_record_set(file, entry, found)
            file.compare(f"{entry}/image_id", found.image_ids[found.image_index])
            if f"{entry}/select_data_kept" in file:
                file.compare(f"{entry}/select_data_kept", _positions_kept(found))
    if "mpii_db/center" in file:
        _one_record_set(file, "mpii_db", mpii.read_people(folder / "synthetic_mpii_valid.json"))


def _one_record_set(file: ReferenceFile, entry: str, found: Records) -> None:
    flat = np.zeros((*found.visible.shape, 1))
    file.compare(f"{entry}/center", found.center)
    file.compare(f"{entry}/scale", found.scale / (PIXEL_STD if found.scale.dtype == np.float32 else 200.0))
    file.compare(f"{entry}/joints", np.concatenate([found.keypoints, flat], axis=2))
    file.compare(f"{entry}/vis", np.concatenate([found.visible[..., None].repeat(2, axis=2), flat], axis=2))


def _positions_kept(records: Records) -> np.ndarray:
    """For each record its place among those that SELECT_DATA keeps, -1 where it does not."""
    numbered = records.select(np.arange(len(records)))
    numbered.boxes[:, 0] = np.arange(len(records))  # marks each, so that the filter itself says whom it kept
    kept = select_consistent(numbered).boxes[:, 0].astype(int)
    positions = np.full(len(records), -1)
    positions[kept] = np.arange(len(kept))
    return positions


def _matrices(file: ReferenceFile, inclusive: bool) -> None:
    if "cs/center" not in file:
        return
    center, scale, rotation = file["cs/center"], file["cs/scale"] * PIXEL_STD, file["cs/rot"]
    boxes = list(zip(center, scale, rotation, strict=True))
    for size in ((192, 256), (48, 64), (288, 384), (96, 128), (64, 64)):
        entry = f"affine/{size[0]}x{size[1]}"
        matrices = np.stack([similarity_matrix(*box, size, inclusive=inclusive) for box in boxes])
        file.compare(f"{entry}_inv0", matrices)
        file.compare(f"{entry}_inv1", np.stack([invert(matrix) for matrix in matrices]))
    size = (192, 256)
    if "affine/192x256_shift" in file:
        # A shift by a share of the box, which no fork uses, is a box whose middle lies elsewhere (in float32 as there).
        moved = zip(center + scale * file["cs/shift"], scale, rotation, strict=True)
        shifted = np.stack([similarity_matrix(*box, size, inclusive=inclusive) for box in moved])
        file.compare("affine/192x256_shift", shifted)
    if "affine/points_192x256" in file:
        found = [
            transform_points(points, similarity_matrix(*box, size, inclusive=inclusive))
            for points, box in zip(file["cs/points"], boxes, strict=True)
        ]
        file.compare("affine/points_192x256", np.stack(found))
    if "udp/warpmatrix_192x256" in file:
        to_input = [udp_matrix(*box, size) for box in boxes]
        file.compare("udp/warpmatrix_192x256", np.stack([invert(matrix) for matrix in to_input]).astype(np.float32))
        points = [transform_points(points, matrix) for points, matrix in zip(file["cs/points"], to_input, strict=True)]
        file.compare("udp/rotate_points_clip0", np.stack(points))
        file.leave_out("udp/rotate_points_clip1", "the fork's training does not clip, and the clipping swaps w and h")


def _image_coordinates(file: ReferenceFile) -> None:
    if "hm_points" not in file:
        return
    points, center, scale = (torch.from_numpy(file[name]) for name in ("hm_points", "cs/center", "cs/scale"))
    for width, height in ((48, 64), (72, 96), (24, 32)):
        codec = CODEC[file.fork]((4 * width, 4 * height), (width, height), COCO.num_joints)
        file.compare(f"transform_preds/{width}x{height}", codec.to_image(points, center, scale * 200))


def _mirror(file: ReferenceFile) -> None:
    if "flip/joints" not in file:
        return
    joints, visible = file["flip/joints"], file["flip/vis"]
    pairs = zip(joints[..., :2], visible[..., 0], strict=True)
    mirrored = [mirror_keypoints(points, seen, FLIPPED_WIDTH, COCO.flip_pairs) for points, seen in pairs]
    seen = np.stack([visible for _, visible in mirrored])
    # The fork zeroes joints that are not visible; here they carry weight 0 and any coordinates.
    points = np.stack([points for points, _ in mirrored]) * (seen > 0)[..., None]
    flat = np.zeros((*seen.shape, 1))
    file.compare("flip/joints_out", np.concatenate([points, flat], axis=2))
    file.compare("flip/vis_out", np.concatenate([seen[..., None].repeat(2, axis=2), flat], axis=2))


def _half_body(file: ReferenceFile, name: str, upper: tuple[int, ...], ratio: float, inclusive: bool) -> None:
    nobody = np.full(2, np.nan), np.full(2, np.nan)
    found = [
        half_body_box(joints[:, :2], visible[:, 0], upper, ratio, draw < 0.5, inclusive) or nobody
        for joints, visible, draw in zip(
            file[f"{name}/joints"], file[f"{name}/vis"], file[f"{name}/randn"], strict=True
        )
    ]
    file.compare(f"{name}/center", np.stack([center for center, _ in found]))
    file.compare(f"{name}/scale", np.stack([scale for _, scale in found]) / 200)


def _mspn(file: ReferenceFile) -> None:
    """MSPN's own boxes and half bodies; its crop's matrix is the standard one, asked for by (height, width)."""
    if "box" in file:
        center, scale = box_to_center_scale(file["box"], 0.75, extension=MSPN_TEST_EXTENSION)
        file.compare("bbox_to_cs/center", center)
        file.compare("bbox_to_cs/scale_test", scale / PIXEL_STD)
        # The box before it takes an aspect ratio: an extreme one leaves the one or the other side as it is.
        tall, flat = (box_to_center_scale(file["box"], ratio, extension=(0, 0))[1] for ratio in (1e-30, 1e30))
        file.compare("bbox_to_cs/scale", np.stack([tall[:, 0], flat[:, 1]], axis=1) / PIXEL_STD)
    boxes = list(zip(file["cs/center"], file["cs/scale"] * PIXEL_STD, file["cs/rot"], strict=True))
    for width, height in ((192, 256), (288, 384), (256, 256)):
        matrices = np.stack([similarity_matrix(*box, (width, height)) for box in boxes])
        file.compare(f"affine/{height}x{width}", matrices)
    is_coco = file["half_body/joints"].shape[1] == COCO.num_joints
    skeleton, ratio, extension = (COCO, 0.75, (0.6, 0.8)) if is_coco else (MPII, 1.0, (0.6, 0.6))
    _mspn_half_body(file, skeleton.upper_body_mspn or skeleton.upper_body, ratio, np.array(extension))
    count = len(file["flip/vis_out"])
    mirrored = [
        mirror_keypoints(points, seen, MSPN_FLIPPED_WIDTH, skeleton.flip_pairs)
        for points, seen in zip(file["half_body/joints"][:count], file["half_body/vis"][:count], strict=True)
    ]
    file.compare("flip/joints_out", np.stack([points for points, _ in mirrored]))
    file.compare("flip/vis_out", np.stack([seen for _, seen in mirrored]))


def _mspn_half_body(file: ReferenceFile, upper: tuple[int, ...], ratio: float, extension: np.ndarray) -> None:
    nobody = np.full(2, np.nan), np.full(2, np.nan)
    found = [
        mspn_half_body_box(joints, visible[:, 0], upper, ratio, draws[0] < 0.5, extension * draws[1:]) or nobody
        for joints, visible, draws in zip(
            file["half_body/joints"], file["half_body/vis"], file["half_body/draws"], strict=True
        )
    ]
    file.compare("half_body/center", np.stack([center for center, _ in found]))
    file.compare("half_body/scale", np.stack([scale for _, scale in found]) / 200)
