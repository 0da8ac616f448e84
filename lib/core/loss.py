"""The loss of an experiment.

Shapes: output and target (B,C,h,w), weight (B,K,1). C is K, or 3K with offsets: channel 3k is the heatmap of joint k,
3k+1 and 3k+2 are its x and y offsets. JointsL2 takes lists of outputs and targets.

Adding a new loss: write a file in core/losses with a module that has forward(output, target, weight) -> scalar and
plain constructor arguments, under `@LOSSES.register("MyLoss")`, give it a class method `from_keys(keys)` that reads the
keys of LOSS, import it here, and choose it with LOSS.NAME.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..config.check import LOSSES_OF_CODEC, fits_codec
from .losses.grmi import JointsGRMI
from .losses.heatmaps import JointsMSE, JointsOHKMMSE
from .losses.mspn import JointsL2
from .losses.offsets import JointsL1Offset, JointsMSEOffset
from .losses.registry import LOSSES

__all__ = [
    "LOSSES",
    "EveryOutput",
    "JointsGRMI",
    "JointsL1Offset",
    "JointsL2",
    "JointsMSE",
    "JointsMSEOffset",
    "JointsOHKMMSE",
    "build_loss",
]


def build_loss(cfg: Any) -> nn.Module:
    """The loss that LOSS of `cfg` describes: a callable (output, target, weight) -> scalar.

    `output` is a tensor, or the list of tensors of a network with intermediate supervision, whose losses are summed.
    LOSS.NAME chooses; where it is '', JointsL2 with the codec megvii, else JointsOHKMMSE with LOSS.USE_OHKM, else the
    codec's own: JointsMSEOffset with udp_offset, JointsGRMI with grmi, JointsMSE with the others. `target` is what
    `codec.training_targets` gives.

    Raises:
        ValueError: LOSS.NAME or LOSS.REDUCTION is unknown, LOSS.TOPK is no count, or the loss does not fit MODEL.CODEC.
    """
    name = cfg.LOSS.NAME or _default_name(cfg.LOSS.USE_OHKM, cfg.MODEL.CODEC)
    entry: Any = LOSSES.get(name)
    if not fits_codec(name, cfg.MODEL.CODEC):
        fitting = LOSSES_OF_CODEC.get(cfg.MODEL.CODEC, ("JointsMSE", "JointsOHKMMSE"))
        raise ValueError(
            f"the loss {name} does not fit MODEL.CODEC {cfg.MODEL.CODEC}: "
            f"set LOSS.NAME to {' or '.join(fitting)}, or change the codec"
        )
    loss = entry.from_keys(cfg.LOSS)
    return loss if isinstance(loss, JointsL2) else EveryOutput(loss)


def _default_name(use_ohkm: bool, codec: str) -> str:
    if codec == "megvii":
        return "JointsL2"
    if use_ohkm:
        return "JointsOHKMMSE"
    return LOSSES_OF_CODEC.get(codec, ("JointsMSE",))[0]


class EveryOutput(nn.Module):
    """Sums a loss over the outputs of a network with intermediate supervision; a single tensor is one output."""

    def __init__(self, loss: nn.Module):
        super().__init__()
        self.loss = loss

    def forward(self, output: Tensor | Sequence[Tensor], target: Tensor, weight: Tensor) -> Tensor:
        outputs = [output] if isinstance(output, Tensor) else output
        total = self.loss(outputs[0], target, weight)
        for one in outputs[1:]:
            total = total + self.loss(one, target, weight)
        return total
