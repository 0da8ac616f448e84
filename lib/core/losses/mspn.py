"""MSPN's loss of several stages and levels (Li et al. 2019, arXiv:1901.00148)."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .heatmaps import JointsOHKMMSE
from .registry import LOSSES

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
