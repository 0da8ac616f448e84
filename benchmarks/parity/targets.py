"""Heatmap targets."""

import numpy as np
import torch

from heatpose.codecs import JOINT_WEIGHTS
from heatpose.codecs.base import Codec
from heatpose.codecs.megvii import KERNELS, MegviiCodec
from heatpose.codecs.udp import UdpOffsetCodec

from .geometry import CODEC
from .harness import ReferenceFile

SIZES = {"192x256_s2": ((192, 256), (48, 64)), "256x256_s2": ((256, 256), (64, 64))}


def compare(file: ReferenceFile) -> None:
    """All arrays of targets_<fork>: whole maps, and sums, moments and maxima of the others."""
    if file.fork == "mspn":
        for entry, sizes in (("COCO", ((192, 256), (48, 64), 17)), ("MPII", ((256, 256), (64, 64), 16))):
            if f"{entry}/joints" in file:
                _mspn(file, entry, MegviiCodec(*sizes))
    for entry, sizes in SIZES.items():
        if f"{entry}/joints" not in file:
            continue
        _maps(file, f"{entry}/gaussian", CODEC[file.fork](*sizes, 17), dense=file.fork == "dark")
        if f"{entry}/offset/target_weight" in file:
            _maps(file, f"{entry}/offset", UdpOffsetCodec(*sizes, 17))
        if f"{entry}/gaussian_diffweight/target_weight" in file:
            weighted = CODEC[file.fork](*sizes, 17, joint_weights=JOINT_WEIGHTS[17])
            file.compare(f"{entry}/gaussian_diffweight/target_weight", _render(file, entry, weighted)[1])


def _render(file: ReferenceFile, entry: str, codec: Codec) -> tuple[np.ndarray, np.ndarray]:
    joints, visible = (torch.from_numpy(file[f"{entry}/{name}"]) for name in ("joints", "vis"))
    # DarkPose's joints are in heatmap px already: it maps the image there directly.
    encode = codec.render if file.fork == "dark" else codec.encode
    target, weight = encode(joints[..., :2], visible[..., 0])
    return target.double().numpy(), weight.numpy()


def _maps(file: ReferenceFile, entry: str, codec: Codec, dense: bool = False) -> None:
    maps, weight = _render(file, entry.split("/")[0], codec)
    compare_maps(file, entry, maps, weight, dense)


def _mspn(file: ReferenceFile, entry: str, codec: MegviiCodec) -> None:
    """The targets of all levels."""
    joints, visible = (torch.from_numpy(file[f"{entry}/{name}"]) for name in ("joints", "vis"))
    targets, weight = codec.training_targets(joints, visible[..., 0])
    file.compare(f"{entry}/valid", weight)
    for kernel, target in zip(KERNELS, targets, strict=True):
        compare_maps(file, f"{entry}/k{kernel}", target.double().numpy(), weight.numpy())


def compare_maps(file: ReferenceFile, entry: str, maps: np.ndarray, weight: np.ndarray, dense: bool = False) -> None:
    """The maps (B,K,h,w) of a reference, their sums, moments and maxima, and the weight (B,K,1)."""
    file.compare(f"{entry}/target_weight", weight)
    for name in file.outputs():
        if name.startswith(f"{entry}/target_first"):
            file.compare(name, maps[: len(file[name])])
    y, x = np.mgrid[: maps.shape[2], : maps.shape[3]]
    sides = (2, 3)
    file.compare(f"{entry}/max", maps.max(sides))
    file.compare(f"{entry}/sum", maps.sum(sides))
    file.compare(f"{entry}/sumsq", (maps**2).sum(sides))
    file.compare(f"{entry}/moment", np.stack([(maps * x).sum(sides), (maps * y).sum(sides)], axis=-1))
    # Far from the middle of a Gaussian over the whole map, float32 and float64 reach 0 at different pixels.
    file.compare(f"{entry}/nonzero", (maps != 0).sum(sides), tolerance="rel 0.02" if dense else "exact")
    flat = maps.reshape(*maps.shape[:2], -1)
    drawn = np.abs(maps).max(axis=sides) > 0
    file.compare(f"{entry}/argmax", flat.argmax(axis=2), where=drawn)
