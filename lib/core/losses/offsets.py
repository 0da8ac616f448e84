"""UDP's losses of heatmaps and the offsets inside their disks.

Shapes: output and target (B,3K,h,w), channel 3k the heatmap of joint k, 3k+1 and 3k+2 its x and y offsets; weight
(B,K,1).
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .registry import LOSSES


class _OffsetLoss(nn.Module):
    """What the two losses of UDP share; they differ in `criterion`, a function (a, b, reduction="sum") -> scalar.

    UDP, Huang et al. 2020, section 3.3. The heatmaps count by their weight; the offsets count inside the target's disk,
    whatever the weight. Without weights UDP's code gives (0, 0) and trains nothing; here every joint then counts 1.
    """

    def __init__(self, criterion: Callable[..., Tensor], use_target_weight: bool, reduction: str):
        super().__init__()
        if reduction not in ("mean", "sum"):
            raise ValueError(f"LOSS.REDUCTION '{reduction}' is unknown; use mean or sum")
        self.criterion = criterion
        self.use_target_weight = use_target_weight
        self.reduction = reduction

    def terms(self, output: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(heatmap loss, offset loss) of output and target (B,3K,h,w), weight (B,K,1): two scalars."""
        heatmaps, offsets = by_joint(output)
        target_disks, target_offsets = by_joint(target)
        # The mean is over samples, joints and pixels, so that x and y add up; the sum is over all of them.
        count = heatmaps.numel() if self.reduction == "mean" else 1
        offset_loss = self.criterion(offsets * target_disks, target_offsets * target_disks, reduction="sum")
        if self.use_target_weight:
            weight = weight[..., None, None]  # (B,K,1,1,1)
            heatmaps, target_disks = heatmaps * weight, target_disks * weight
        heatmap_loss = self.criterion(heatmaps, target_disks, reduction="sum")
        return 0.5 * heatmap_loss / count, 0.5 * offset_loss / count

    def forward(self, output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        heatmap_loss, offset_loss = self.terms(output, target, weight)
        return heatmap_loss + offset_loss


def by_joint(channels: Tensor) -> tuple[Tensor, Tensor]:
    """(B,3K,h,w) -> heatmaps (B,K,1,h,w) and offsets (B,K,2,h,w); views, no copies."""
    joints = channels.unflatten(1, (-1, 3))
    return joints[:, :, :1], joints[:, :, 1:]


@LOSSES.register("JointsMSEOffset")
class JointsMSEOffset(_OffsetLoss):
    """Half the mean squared error of the heatmaps plus that of the x and y offsets inside the disk (UDP).

    Args:
        use_target_weight: multiply each joint's heatmap error by its weight; otherwise `weight` is not read.
    """

    def __init__(self, use_target_weight: bool = True):
        super().__init__(F.mse_loss, use_target_weight, "mean")

    @classmethod
    def from_keys(cls, keys: Any) -> "JointsMSEOffset":
        return cls(keys.USE_TARGET_WEIGHT)


@LOSSES.register("JointsL1Offset")
class JointsL1Offset(_OffsetLoss):
    """JointsMSEOffset with smooth L1 errors in the place of squared ones (UDP's JointsL1Loss_offset).

    Args:
        use_target_weight: multiply each joint's heatmap error by its weight; otherwise `weight` is not read.
        reduction: "mean" over samples, joints and pixels, or "sum".

    Raises:
        ValueError: the reduction is none of the two.
    """

    def __init__(self, use_target_weight: bool = True, reduction: str = "mean"):
        super().__init__(F.smooth_l1_loss, use_target_weight, reduction)

    @classmethod
    def from_keys(cls, keys: Any) -> "JointsL1Offset":
        return cls(keys.USE_TARGET_WEIGHT, keys.REDUCTION)
