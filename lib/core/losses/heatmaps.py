"""Mean squared errors of heatmaps: of all joints (SimpleBaselines, HRNet), or of the hardest (CPN).

Shapes: output and target (B,K,h,w), weight (B,K,1).
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .registry import LOSSES


def _half_squared_errors(output: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """(B,K): half the mean over the pixels of (weight * (output - target))^2. The forks too square the weights."""
    errors = 0.5 * F.mse_loss(output, target, reduction="none").mean(dim=(2, 3))
    return errors if weight is None else errors * weight.squeeze(-1).square()


@LOSSES.register("JointsMSE")
class JointsMSE(nn.Module):
    """Half the mean squared error over joints and pixels, weights applied before the square (SimpleBaselines, HRNet).

    Args:
        use_target_weight: multiply each joint's error by its weight; otherwise `weight` is not read.
    """

    def __init__(self, use_target_weight: bool = True):
        super().__init__()
        self.use_target_weight = use_target_weight

    @classmethod
    def from_keys(cls, keys: Any) -> "JointsMSE":
        return cls(keys.USE_TARGET_WEIGHT)

    def forward(self, output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        return _half_squared_errors(output, target, weight if self.use_target_weight else None).mean()


@LOSSES.register("JointsOHKMMSE")
class JointsOHKMMSE(nn.Module):
    """JointsMSE over the `topk` joints of each person that have the largest loss (CPN, Chen et al. 2018, section 3.3).

    Without weights the forks' code raises an IndexError for a batch of one person; here such a batch is like any other.

    Args:
        use_target_weight: multiply each joint's error by its weight; otherwise `weight` is not read.
        topk: joints of a person that count.

    Raises:
        ValueError: `topk` is less than 1, or, when called, more than the joints.
    """

    def __init__(self, use_target_weight: bool = True, topk: int = 8):
        super().__init__()
        if topk < 1:
            raise ValueError(f"LOSS.TOPK {topk} is no number of joints; use 1 or more")
        self.use_target_weight = use_target_weight
        self.topk = topk

    @classmethod
    def from_keys(cls, keys: Any) -> "JointsOHKMMSE":
        return cls(keys.USE_TARGET_WEIGHT, keys.TOPK)

    def forward(self, output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        if self.topk > output.shape[1]:
            raise ValueError(f"LOSS.TOPK {self.topk} is more than the {output.shape[1]} joints; use that many or fewer")
        errors = _half_squared_errors(output, target, weight if self.use_target_weight else None)
        return errors.topk(self.topk, dim=1).values.mean()
