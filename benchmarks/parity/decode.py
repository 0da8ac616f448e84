"""Decoding and flipping."""

import numpy as np
import torch

from heatpose.codecs.base import Codec
from heatpose.codecs.blur import blur, gaussian_kernel
from heatpose.codecs.dark import DarkCodec
from heatpose.codecs.gaussian import GaussianCodec
from heatpose.codecs.megvii import MegviiCodec
from heatpose.codecs.soft_argmax import SoftArgmaxCodec
from heatpose.codecs.udp import UdpCodec, UdpOffsetCodec
from heatpose.dataset.skeletons import COCO, MPII

from .geometry import CODEC
from .harness import ReferenceFile

SIZES = ((192, 256), (48, 64), 17)
PX = 200  # px in one unit of the forks' scale


def compare(file: ReferenceFile) -> None:
    """All arrays of decode_<fork>; the heatmaps are those of decode_inputs."""
    inputs = file.references.open("decode_inputs")
    if file.fork == "mspn":
        _mspn(file, inputs)
        return
    for case in file.cases(3):
        settings, _, maps = (*case.split("/"), "", "")[:3]
        if settings not in ("flip", "flip_offset") and maps in ("gauss", "mixed", "offset"):
            _decoded(file, inputs, case, _codec(settings), maps)
    if "dark_k11/blurred_first3" in file:
        _blurred(file, inputs)
    if "flip/idx" in file:
        maps = ("gauss", "gauss_flipped_raw")
        _flipped(file, inputs, "flip", CODEC[file.fork](*SIZES), maps, ("flip_back", "average_noshift"))
        shifting = GaussianCodec(*SIZES, shift_heatmap=True)
        _flipped(file, inputs, "flip", shifting, maps, ("shifted", "average_shift"))
    if "flip_offset/idx" in file:
        _flipped(file, inputs, "flip_offset", UdpOffsetCodec(*SIZES), ("offset", "offset"), ("out", "average"))


def _codec(settings: str) -> Codec:
    """The codec of a case's name, e.g. std_post1, softargmax_post0, dark_k11, udp_gauss_post1, udp_offset, argmax."""
    kind, _, ending = settings.rpartition("_")
    if kind == "dark":
        return DarkCodec(*SIZES, blur_kernel=int(ending.removeprefix("k")))
    if settings == "udp_offset":
        return UdpOffsetCodec(*SIZES)
    codec = {"std": GaussianCodec, "softargmax": SoftArgmaxCodec, "udp_gauss": UdpCodec, "": GaussianCodec}[kind]
    return codec(*SIZES, post_process=ending == "post1")


def _decoded(file: ReferenceFile, inputs: ReferenceFile, case: str, codec: Codec, maps: str) -> None:
    output = torch.from_numpy(inputs[f"64x48/{maps}"])
    keypoints, scores = codec.decode(output)
    center, scale = _boxes_of(inputs, f"64x48/{maps}", len(output))
    file.compare(f"{case}/hm_coords", keypoints)
    file.compare(f"{case}/preds", keypoints)
    file.compare(f"{case}/maxvals", scores[..., None])
    file.compare(f"{case}/img_coords", codec.to_image(keypoints, center, scale * PX))
    file.compare(f"{case}/input_space", codec.heatmap_to_input(keypoints))


def _boxes_of(inputs: ReferenceFile, maps: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Center and scale of each sample."""
    part = f"{maps}_samples"  # which of all samples these are, where the file holds some
    samples = inputs[part] if part in inputs else np.arange(count)
    center, scale = (torch.from_numpy(inputs[name][samples]) for name in ("center", "scale"))
    return center, scale


def _blurred(file: ReferenceFile, inputs: ReferenceFile) -> None:
    heatmaps = torch.from_numpy(inputs["64x48/gauss"][:1, :3])
    smooth = blur(heatmaps, gaussian_kernel(11), "constant")
    restored = smooth * heatmaps.amax((2, 3), keepdim=True) / smooth.amax((2, 3), keepdim=True)
    file.compare("dark_k11/blurred_first3", restored[0])


def _flipped(
    file: ReferenceFile,
    inputs: ReferenceFile,
    case: str,
    codec: Codec,
    maps: tuple[str, str],
    arrays: tuple[str, str],
) -> None:
    output, mirrored = (torch.from_numpy(inputs[f"64x48/{name}"]) for name in maps)
    back = codec.flip_back(mirrored, COCO.flip_pairs)
    index = file[f"{case}/idx"]
    file.compare(f"{case}/{arrays[0]}", np.asarray(back).ravel()[index])
    file.compare(f"{case}/{arrays[1]}", np.asarray((output[: len(back)] + back) * 0.5).ravel()[index])


def _mspn(file: ReferenceFile, inputs: ReferenceFile) -> None:
    """MSPN's points, which its code gives in image px only, and its scores."""
    is_mpii = file.name.endswith("mpii")
    sizes, skeleton = (((256, 256), (64, 64), 16), MPII) if is_mpii else (SIZES, COCO)
    for case in file.cases(3):
        settings, _, maps = (*case.split("/"), "", "")[:3]
        if settings != "flip":
            kernel, shifts = (int(part[1:]) for part in settings.split("_")[1:])
            codec = MegviiCodec(*sizes, blur_kernel=kernel, shift_ratios=(0.25, 0.125)[:shifts])
            output = _mspn_maps(inputs[f"64x48/{maps}"], sizes) * 255
            keypoints, scores = codec.decode(output)
            center, scale = _boxes_of(inputs, f"64x48/{maps}", len(output))
            file.compare(f"{case}/preds", codec.to_image(keypoints.double(), center.double(), scale.double() * PX))
            file.compare(f"{case}/maxvals", scores[..., None])
    if "flip/idx" in file:
        mirrored = torch.from_numpy(inputs["64x48/gauss_flipped_raw"])[:, : sizes[2]]
        # These maps are not widened for MPII.
        back = MegviiCodec(*SIZES[:2], sizes[2]).flip_back(mirrored, skeleton.flip_pairs)
        file.compare("flip/flip_back", np.asarray(back).ravel()[file["flip/idx"]])


def _mspn_maps(maps: np.ndarray, sizes: tuple) -> torch.Tensor:
    """As many joints as there are, and for MPII's square maps the first columns once more at the end."""
    output = torch.from_numpy(maps)[:, : sizes[2]]
    return torch.cat([output, output[..., : sizes[1][0] - output.shape[3]]], dim=3)
