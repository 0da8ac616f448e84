"""How often the peaks of heatmaps lie near those of their targets: what a training logs."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..utils.heatmaps import argmax_2d


class HeatmapAccuracy(NamedTuple):
    """per_joint (K,), -1 for joints without a valid target; mean over the others, 0 if none; count, how many others."""

    per_joint: Tensor
    mean: Tensor
    count: Tensor  # type: ignore[assignment]  # in the place of tuple.count


def heatmap_accuracy(output: Tensor, target: Tensor) -> HeatmapAccuracy:
    """Share of the arg-maxima of `output` that lie near those of `target`: the accuracy that the forks log in training.

    Output and target are heatmaps (B,K,h,w); of a codec with offsets, every third channel. The result stays on their
    device, which is not waited for. Quirks of the forks' function, kept so that logged numbers compare: a distance
    counts below 0.5 whatever the threshold given there; x is divided by h/10 and y by w/10; targets with an arg-maximum
    at x <= 1 or y <= 1 are left out.

    >>> target = torch.zeros(1, 2, 8, 8)
    >>> target[0, 0, 4, 4] = 1.0
    >>> accuracy = heatmap_accuracy(target, target)
    >>> accuracy.per_joint.tolist(), accuracy.mean.item(), accuracy.count.item()
    ([1.0, -1.0], 1.0, 1)
    """
    height, width = target.shape[2:]
    predicted = argmax_2d(output)[0].double()  # (B,K,2)
    wanted = argmax_2d(target)[0].double()
    valid = (wanted > 1).all(dim=2)  # (B,K)
    dx, dy = (predicted[..., i] / (side / 10) - wanted[..., i] / (side / 10) for i, side in enumerate((height, width)))
    near = (dx.square() + dy.square()).sqrt() < 0.5
    counted = valid.sum(dim=0)
    per_joint = (near & valid).sum(dim=0) / counted.clamp(min=1).double()
    known = counted > 0
    count = known.sum()
    mean = (per_joint * known).sum() / count.clamp(min=1)
    return HeatmapAccuracy(torch.where(known, per_joint, -1.0), mean, count)
