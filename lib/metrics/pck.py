"""The share of keypoints that lie near enough."""

from typing import NamedTuple

import numpy as np
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


def pck(
    predicted: np.ndarray,
    truth: np.ndarray,
    normaliser: np.ndarray | float,
    threshold: np.ndarray | float,
    visible: np.ndarray,
) -> np.ndarray:
    """Share (K,) of the visible keypoints at most `threshold` times `normaliser` away from the truth.

    Args:
        predicted, truth: (N, K, 2), px of one image space.
        normaliser: the length that distances are measured in, px: one, or (N, 1) for each person, or (N, K).
        threshold: one number; for a curve (T,) numbers, which give (T, K) shares.
        visible: (N, K), above 0 where the truth is known. A joint that is never known has the share NaN.

    >>> truth = np.zeros((2, 1, 2))
    >>> pck(truth + [[[3.0, 4.0]], [[0.0, 5.1]]], truth, 10.0, np.array([0.4, 0.5]), np.ones((2, 1))).tolist()
    [[0.0], [0.5]]
    """
    known = np.asarray(visible) > 0
    distance = np.linalg.norm(predicted - truth, axis=2) / normaliser  # (N, K)
    thresholds = np.asarray(threshold, np.float64)
    near = (distance <= thresholds[..., None, None]) & known  # (T, N, K) or (N, K)
    count = known.sum(axis=0)
    return np.where(count > 0, near.sum(axis=-2) / np.maximum(count, 1), np.nan)


MPII_GROUPS = {
    "Head": (9,), "Shoulder": (13, 12), "Elbow": (14, 11), "Wrist": (15, 10), "Hip": (3, 2), "Knee": (4, 1),
    "Ankle": (5, 0),
}  # fmt: skip
MPII_LEFT_OUT = (6, 7)  # pelvis and thorax
HEAD_SHARE = 0.6  # of the head box's diagonal is the length that PCKh measures in (the forks' SC_BIAS)
# The forks print entry 11 of a curve over 0, 0.01, ... as Mean@0.1: their published numbers are at 0.11.
MEAN_AT_TENTH = 0.11
NOT_ANNOTATED = -1.0


def pckh(predicted: np.ndarray, truth: np.ndarray, head_boxes: np.ndarray, visible: np.ndarray) -> dict[str, float]:
    """MPII's PCKh as HRNet's code prints it: `pckh_at` 0.5, and as Mean@0.1 its mean at 0.11, a quirk of that code."""
    tenth = pckh_at(MEAN_AT_TENTH, predicted, truth, head_boxes, visible)
    return {**pckh_at(0.5, predicted, truth, head_boxes, visible), "Mean@0.1": tenth["Mean"]}


def pckh_at(
    threshold: float, predicted: np.ndarray, truth: np.ndarray, head_boxes: np.ndarray, visible: np.ndarray
) -> dict[str, float]:
    """MPII's PCKh in percent by HRNet's protocol: Head, Shoulder, Elbow, Wrist, Hip, Knee, Ankle, Mean.

    Distances are measured in 0.6 times the diagonal of the head box. A pair of joints has the mean of its two; Mean
    weighs all joints but pelvis and thorax by how often they are visible. What is nowhere visible has -1 and is left
    out of the means.

    Args:
        threshold: e.g. 0.5, in units of the head's size.
        predicted: (N, 16, 2), image px counted from 0, in MPII's order (see dataset.skeletons).
        truth: (N, 16, 2), image px counted from 1, as in MPII's files.
        head_boxes: (N, 2, 2), two corners x, y each, px.
        visible: (N, 16), above 0 where the truth is known.

    Source: Andriluka et al. 2014, 2D Human Pose Estimation: New Benchmark and State of the Art Analysis.
    """
    head_sizes = np.linalg.norm(head_boxes[:, 1] - head_boxes[:, 0], axis=1) * HEAD_SHARE
    percent = 100 * pck(predicted + 1, truth, head_sizes[:, None], threshold, visible)  # (16,)
    count = (np.asarray(visible) > 0).sum(axis=0)
    count[list(MPII_LEFT_OUT)] = 0
    scores = {name: _mean_of_known(percent[list(joints)]) for name, joints in MPII_GROUPS.items()}
    return {**scores, "Mean": _mean_of_known(percent, count)}


def _mean_of_known(values: np.ndarray, weight: np.ndarray | None = None) -> float:
    """The mean of those that are not NaN; NOT_ANNOTATED where none is, or none has a weight."""
    weight = np.where(np.isnan(values), 0, 1 if weight is None else weight)
    total = weight.sum()
    return float((np.nan_to_num(values) * weight).sum() / total) if total else NOT_ANNOTATED
