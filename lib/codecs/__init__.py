"""Keypoints <-> heatmaps: one codec per paper, chosen by MODEL.CODEC.

Adding a codec: write one file with a subclass of `Codec` (base.py) that takes plain arguments, then add a function here
that builds it from the configuration, under the name experiment files use. The tests in tests/codecs that go over
`CODECS` pick it up.
"""

from typing import Any

from ..utils.registry import Registry
from .base import Codec
from .ccssl import CcsslCodec
from .dark import DarkCodec
from .gaussian import GaussianCodec
from .grmi import GrmiCodec
from .megvii import MegviiCodec
from .soft_argmax import SoftArgmaxCodec
from .udp import UdpCodec, UdpOffsetCodec

CODECS = Registry("codec")
CLASSES: dict[str, type[Codec]] = {
    each.name: each
    for each in (
        CcsslCodec, DarkCodec, GaussianCodec, GrmiCodec, MegviiCodec, SoftArgmaxCodec, UdpCodec, UdpOffsetCodec,
    )
}  # fmt: skip

# LOSS.USE_DIFFERENT_JOINTS_WEIGHT: wrists and ankles 1.5, elbows and knees 1.2, by the number of joints
JOINT_WEIGHTS = {
    17: (1, 1, 1, 1, 1, 1, 1, 1.2, 1.2, 1.5, 1.5, 1, 1, 1.2, 1.2, 1.5, 1.5),  # COCO
}


def build_codec(cfg: Any) -> Codec:
    """The codec that MODEL.CODEC names; a ValueError where the name or one of its settings is wrong."""
    return CODECS.get(cfg.MODEL.CODEC)(cfg)


def channels_per_joint(name: str) -> int:
    """Heatmap channels that the codec `name` asks of the model for every joint: 3 with offsets, else 1.

    >>> channels_per_joint("udp_offset")
    3
    """
    CODECS.get(name)  # an unknown name is an error
    return CLASSES[name].channels_per_joint


@CODECS.register("gaussian")
def _gaussian(cfg: Any) -> Codec:
    return GaussianCodec(**_common(cfg), **_standard(cfg))


@CODECS.register("soft_argmax")
def _soft_argmax(cfg: Any) -> Codec:
    return SoftArgmaxCodec(**_common(cfg), **_standard(cfg), beta=cfg.TEST.BETA, bias=cfg.TEST.BIAS)


@CODECS.register("dark")
def _dark(cfg: Any) -> Codec:
    return DarkCodec(**_common(cfg), sigma=cfg.MODEL.SIGMA, blur_kernel=cfg.TEST.BLUR_KERNEL)


@CODECS.register("megvii")
def _megvii(cfg: Any) -> Codec:
    test = cfg.TEST
    return MegviiCodec(
        **_common(cfg),
        blur_kernel=test.BLUR_KERNEL,
        shift_ratios=test.SHIFT_RATIOS,
        box_extension=cfg.DATASET.BOX_EXTENSION,
    )


@CODECS.register("udp")
def _udp(cfg: Any) -> Codec:
    return UdpCodec(**_common(cfg), sigma=cfg.MODEL.SIGMA, post_process=cfg.TEST.POST_PROCESS)


@CODECS.register("udp_offset")
def _udp_offset(cfg: Any) -> Codec:
    return UdpOffsetCodec(**_common(cfg), kpd=cfg.LOSS.KPD)


@CODECS.register("grmi")
def _grmi(cfg: Any) -> Codec:
    return GrmiCodec(**_common(cfg), radius=cfg.LOSS.DISK_RADIUS, vote_upsampling=cfg.TEST.VOTE_UPSAMPLING)


@CODECS.register("ccssl")
def _ccssl(cfg: Any) -> Codec:
    return CcsslCodec(**_common(cfg), sigma=cfg.MODEL.SIGMA, target_shape=cfg.MODEL.TARGET_SHAPE)


def _standard(cfg: Any) -> dict[str, Any]:
    return {
        "sigma": cfg.MODEL.SIGMA,
        "shift_heatmap": cfg.TEST.SHIFT_HEATMAP,
        "post_process": cfg.TEST.POST_PROCESS,
    }


def _common(cfg: Any) -> dict[str, Any]:
    return {
        "input_size": cfg.MODEL.IMAGE_SIZE,
        "heatmap_size": cfg.MODEL.HEATMAP_SIZE,
        "num_joints": cfg.MODEL.NUM_JOINTS,
        "joint_weights": _joint_weights(cfg.MODEL.NUM_JOINTS) if cfg.LOSS.USE_DIFFERENT_JOINTS_WEIGHT else None,
    }


def _joint_weights(num_joints: int) -> tuple[float, ...]:
    if num_joints not in JOINT_WEIGHTS:
        raise ValueError(
            f"LOSS.USE_DIFFERENT_JOINTS_WEIGHT with MODEL.NUM_JOINTS {num_joints}: weights are known for"
            f" {' and '.join(map(str, sorted(JOINT_WEIGHTS)))} joints (COCO); set it to False"
        )
    return JOINT_WEIGHTS[num_joints]
