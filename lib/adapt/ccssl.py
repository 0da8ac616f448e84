"""CC-SSL: consistency-constrained semi-supervised learning (Learning from Synthetic Animals, Mu et al., CVPR 2020).

Pseudo-labels of unlabelled films are the maxima of heatmaps averaged over scaled, turned and recoloured views
(equivariance and invariance), replaced by those that optical flow brings from neighbouring frames where these are more
confident (temporal consistency). Loss: L(labelled) + lambda L(pseudo-labels). The most confident come first, by rank.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .base import Adaptation, LabelRounds
from .flow import carry_over
from .pseudo_labels import LabelReport


class CCSSL(Adaptation):
    """See the module.

    Args:
        rank: share of the labels, the least confident ones, to leave out; a function of the epochs since the first
            round. `paper_rank` is the paper's.
        time: (N,) clip of each unlabelled record and its frame there; None leaves out the temporal consistency.
        read_frame: record -> its image, for the flow.
        flow: `limit` and `decay` of `flow.carry_over`.
    """

    def __init__(
        self,
        labelled: Any,
        rounds: LabelRounds,
        rank: Callable[[int], float],
        weight: float = 10.0,
        time: tuple[np.ndarray, np.ndarray] | None = None,
        read_frame: Callable[[int], np.ndarray] | None = None,
        flow: Mapping[str, Any] = {},  # noqa: B006
    ):
        super().__init__(labelled, weight, rounds)
        self.rounds: LabelRounds = rounds
        self.rank = rank
        self.time, self.read_frame, self.flow = time, read_frame, dict(flow)

    def begin_epoch(self, model: nn.Module, epoch: int) -> LabelReport | None:
        """Predicts the labels where a round is due, and keeps what the epoch's rank leaves."""
        if epoch < self.rounds.begin:
            return None
        labels = self.rounds.labels
        if self.rounds.is_due(epoch):
            keypoints, confidence = self.rounds.predictor(model)
            labels.set(*self._over_time(keypoints, confidence))
        labels.keep(rank_threshold(labels.confidence, self.rank(epoch - self.rounds.begin)))
        return self.rounds.report()

    def _over_time(self, keypoints: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
        if self.time is None or self.read_frame is None:
            return keypoints, confidence
        points, worth = carry_over(
            keypoints.cpu().double().numpy(), confidence.cpu().numpy(), *self.time, self.read_frame, **self.flow
        )
        return torch.from_numpy(points).to(keypoints), torch.from_numpy(worth).to(keypoints)


def paper_rank(epoch: int, offset: float = 10.0, step: float = 0.02, floor: float = 0.2) -> float:
    """The share of labels left out, p = max(0.2, 1 - 0.02 (epoch + 10)) in the paper's schedule.

    >>> [round(paper_rank(epoch), 2) for epoch in (0, 10, 30, 100)]
    [0.8, 0.6, 0.2, 0.2]
    """
    return min(max(floor, 1 - step * (epoch + offset)), 1.0)


def rank_threshold(confidence: Tensor, share: float) -> float:
    """The confidence that all but the lowest `share` of confidences, of whatever shape, reach.

    >>> rank_threshold(torch.tensor([0.1, 0.4, 0.2, 0.3]), 0.5)
    0.30000001192092896
    """
    ordered = confidence.flatten().sort().values
    place = int(share * len(ordered) + 1e-9)
    return float(ordered[place]) if place < len(ordered) else float("inf")
