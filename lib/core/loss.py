"""Losses between heatmaps and their targets.

Shapes: output and target (B,C,h,w), weight (B,K,1). C is K, or 3K with offsets: channel 3k is the heatmap of joint k,
3k+1 and 3k+2 are its x and y offsets. JointsL2 takes lists of outputs and targets.

Adding a new loss: write a module with forward(output, target, weight) -> scalar and plain constructor arguments, under
`@LOSSES.register("MyLoss")`, give it a class method `from_keys(keys)` that reads the keys of LOSS, and choose it with
LOSS.NAME.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ..config.check import OWN_LOSSES, loss_fits
from ..utils.registry import Registry

LOSSES = Registry("loss")


def build_loss(cfg: Any) -> nn.Module:
    """The loss that LOSS of `cfg` describes: a callable (output, target, weight) -> scalar.

    `output` is a tensor, or the list of tensors of a network with intermediate supervision, whose losses are summed.
    LOSS.NAME chooses; where it is '', JointsL2 with the codec megvii, else JointsOHKMMSE with LOSS.USE_OHKM, else
    JointsMSEOffset with the codec udp_offset, else JointsMSE. `target` is what `codec.training_targets` gives.

    Raises:
        ValueError: LOSS.NAME or LOSS.REDUCTION is unknown, LOSS.TOPK is no count, or the loss does not fit MODEL.CODEC.
    """
    name = cfg.LOSS.NAME or _default_name(cfg.LOSS.USE_OHKM, cfg.MODEL.CODEC)
    entry: Any = LOSSES.get(name)
    if not loss_fits(name, cfg.MODEL.CODEC):
        fitting = " or ".join(OWN_LOSSES.get(cfg.MODEL.CODEC, ("JointsMSE", "JointsOHKMMSE")))
        raise ValueError(
            f"the loss {name} does not fit MODEL.CODEC {cfg.MODEL.CODEC}: "
            f"set LOSS.NAME to {fitting}, or change the codec"
        )
    loss = entry.from_keys(cfg.LOSS)
    return loss if isinstance(loss, JointsL2) else EveryOutput(loss)


def _default_name(use_ohkm: bool, codec: str) -> str:
    if codec == "megvii":
        return "JointsL2"
    if use_ohkm:
        return "JointsOHKMMSE"
    return "JointsMSEOffset" if codec == "udp_offset" else "JointsMSE"


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
        heatmaps, offsets = _by_joint(output)
        target_disks, target_offsets = _by_joint(target)
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


def _by_joint(channels: Tensor) -> tuple[Tensor, Tensor]:
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


MSPN_LEVELS = 4  # outputs of a stage, coarse to fine
COARSE_SHARE = 0.25  # of a level that is not the finest


@LOSSES.register("JointsL2")
class JointsL2(nn.Module):
    """MSPN's loss: the mean squared errors of all stages and levels, coarse levels counting a quarter (Li et al. 2019).

    Of the five targets a stage takes the four widest, the last stage with `coarse_to_fine` the four narrowest. Weights
    are visibilities: 2 for joints that are seen, 1 for hidden and 0 for unlabelled ones. Only those that are seen have
    a target, the others are trained towards an empty map; on the finest level `use_ohkm` counts the `topk` hardest of
    the labelled joints instead, hidden ones among them.

    Args:
        use_ohkm: choose the hardest joints on the finest level of every stage.
        topk: joints of a person that count there.
        coarse_to_fine: give the last stage narrower targets than the others.

    Raises:
        ValueError: `topk` is less than 1 or, when called, more than the joints; there are not four outputs a stage.
    """

    def __init__(self, use_ohkm: bool = True, topk: int = 8, coarse_to_fine: bool = True):
        super().__init__()
        self.hardest = JointsOHKMMSE(topk=topk) if use_ohkm else None
        self.coarse_to_fine = coarse_to_fine

    @classmethod
    def from_keys(cls, keys: Any) -> "JointsL2":
        return cls(keys.USE_OHKM, keys.TOPK, keys.COARSE_TO_FINE)

    def forward(self, output: Tensor | Sequence[Tensor], target: Tensor | Sequence[Tensor], weight: Tensor) -> Tensor:
        """Outputs (B,K,h,w) stage by stage, coarse to fine, or the finest alone; five targets, or one for all."""
        outputs = [output] if isinstance(output, Tensor) else output
        if len(outputs) != 1 and len(outputs) % MSPN_LEVELS:
            raise ValueError(
                f"JointsL2 got {len(outputs)} outputs, expected {MSPN_LEVELS} a stage, or one: take MODEL.NAME mspn"
            )
        first = -len(outputs) % MSPN_LEVELS  # a lone output is a finest one
        stages = (first + len(outputs)) // MSPN_LEVELS
        total = outputs[-1].new_zeros(())
        for number, heatmaps in enumerate(outputs, first):
            stage, level = divmod(number, MSPN_LEVELS)
            narrower = int(self.coarse_to_fine and stage == stages - 1)
            wanted = target if isinstance(target, Tensor) else target[level + narrower]
            total = total + self._level(heatmaps, wanted, weight, is_finest=level == MSPN_LEVELS - 1)
        return total

    def _level(self, heatmaps: Tensor, target: Tensor, weight: Tensor, is_finest: bool) -> Tensor:
        if is_finest and self.hardest is not None:
            return 2 * self.hardest(heatmaps, target, (weight > 0).float())  # whole squared errors here, not half
        error = F.mse_loss(heatmaps, target * (weight > 1).unsqueeze(-1))
        return error if is_finest else COARSE_SHARE * error
