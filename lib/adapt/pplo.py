"""PPLO: progressive pseudo-label-based optimisation, on top of WS-CDA.

Cross-Domain Adaptation for Animal Pose Estimation (Cao et al., ICCV 2019), section 4.2.

Confident predictions on the unlabelled animals become labels; training goes on with them and the labelled data
together; then the labels are predicted anew with a lower threshold, round by round.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from .base import LabelRounds
from .pseudo_labels import LabelReport
from .wscda import WSCDA, Discriminator


class PPLO(WSCDA):
    """WS-CDA until the first round of pseudo-labels, both from then on.

    Args:
        threshold: the confidence that labels of round 0, 1, ... need; `falling_threshold` is usual.
        weight: of the loss on pseudo-labels beside those on labels, lambda.
        options: WS-CDA's.
    """

    def __init__(
        self,
        labelled: Any,
        discriminator: Discriminator,
        rounds: LabelRounds,
        threshold: Callable[[int], float],
        weight: float = 1.0,
        **options: Any,
    ):
        super().__init__(labelled, discriminator, weight=weight, rounds=rounds, **options)
        self.rounds: LabelRounds = rounds
        self.threshold = threshold

    def begin_epoch(self, model: nn.Module, epoch: int) -> LabelReport | None:
        if not self.rounds.is_due(epoch):
            return None
        labels = self.rounds.labels
        labels.set(*self.rounds.predictor(model))
        labels.keep(self.threshold((epoch - self.rounds.begin) // self.rounds.every))
        return self.rounds.report()


def falling_threshold(number: int, start: float = 0.9, step: float = 0.1, floor: float = 0.5) -> float:
    """The confidence that labels of a round need.

    >>> [round(falling_threshold(number), 1) for number in range(6)]
    [0.9, 0.8, 0.7, 0.6, 0.5, 0.5]
    """
    return max(start - step * number, floor)
