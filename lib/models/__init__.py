"""Architectures: images (B,3,H,W) -> heatmaps (B,C,h,w).

Adding a new architecture `my_net`:
  1. write `my_net.py` with an `nn.Module` whose constructor takes plain arguments, under `@MODELS.register("my_net")`,
     with an attribute `head_layers`: the layers whose shape follows from `out_channels` (MODEL.REINIT_HEAD);
  2. give it the class method `from_extra(extra, out_channels)`, which reads the keys of MODEL.EXTRA, and a method
     `init_weights()` where its paper begins from other weights than those of layers.py;
  3. import it below, list its keys in `config/defaults.py`, MODEL_EXTRA, and its strides in `config/check.py`.
The tests in `tests/models` run every registered architecture.
"""

from typing import Any

from torch import nn

from ..codecs import channels_per_joint
from .grmi_resnet import GrmiResNet
from .hourglass import StackedHourglass
from .layers import init_weights
from .lpn import LPN
from .mspn import MSPN
from .pose_hrnet import PoseHRNet
from .pose_resnet import PoseResNet
from .registry import MODELS

__all__ = ["LPN", "MODELS", "MSPN", "GrmiResNet", "PoseHRNet", "PoseResNet", "StackedHourglass", "build_model"]


def build_model(cfg: Any) -> nn.Module:
    """The network that MODEL of `cfg` describes, with fresh weights.

    Returns a module with forward(images (B,3,H,W), normalised, float) -> (B,C,h,w), or a list of such, the last one
    final, where C is MODEL.NUM_JOINTS times the channels that MODEL.CODEC keeps per joint (3 with offsets, else 1).
    MODEL.INIT_WEIGHTS chooses the initialisation of the papers' code; MODEL.PRETRAINED is not read here.

    Raises:
        ValueError: MODEL.NAME or a value of MODEL.EXTRA is unknown, or lists do not fit together.
    """
    # STYLE stands beside EXTRA in the files of the forks, although only pose_resnet has it.
    extra = {**cfg.MODEL.EXTRA, "STYLE": cfg.MODEL.STYLE}
    out_channels = cfg.MODEL.NUM_JOINTS * channels_per_joint(cfg.MODEL.CODEC)
    architecture: Any = MODELS.get(cfg.MODEL.NAME)
    model: nn.Module = architecture.from_extra(extra, out_channels)
    if cfg.MODEL.INIT_WEIGHTS:
        getattr(architecture, "init_weights", init_weights)(model)
    return model
