"""MPII's PCKh: the share of joints within half a head of the truth, by the protocol of HRNet's code."""

import numpy as np

from .normalisers import head_size
from .pck import pck

MPII_GROUPS = {
    "Head": (9,), "Shoulder": (13, 12), "Elbow": (14, 11), "Wrist": (15, 10), "Hip": (3, 2), "Knee": (4, 1),
    "Ankle": (5, 0),
}  # fmt: skip
MPII_LEFT_OUT = (6, 7)  # pelvis and thorax
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

    Distances are measured in `head_size`, 0.6 times the diagonal of the head box. A pair of joints has the mean of its
    two; Mean weighs all joints but pelvis and thorax by how often they are visible. What is nowhere visible has -1 and
    is left out of the means.

    Args:
        threshold: e.g. 0.5, in units of the head's size.
        predicted: (N, 16, 2), image px counted from 0, in MPII's order (see dataset.skeletons).
        truth: (N, 16, 2), image px counted from 1, as in MPII's files.
        head_boxes: (N, 2, 2), two corners x, y each, px.
        visible: (N, 16), above 0 where the truth is known.

    Source: Andriluka et al. 2014, 2D Human Pose Estimation: New Benchmark and State of the Art Analysis.
    """
    percent = 100 * pck(predicted + 1, truth, head_size(head_boxes), threshold, visible)  # (16,)
    count = (np.asarray(visible) > 0).sum(axis=0)
    count[list(MPII_LEFT_OUT)] = 0
    scores = {name: _mean_of_known(percent[list(joints)]) for name, joints in MPII_GROUPS.items()}
    return {**scores, "Mean": _mean_of_known(percent, count)}


def _mean_of_known(values: np.ndarray, weight: np.ndarray | None = None) -> float:
    """The mean of those that are not NaN; NOT_ANNOTATED where none is, or none has a weight."""
    weight = np.where(np.isnan(values), 0, 1 if weight is None else weight)
    total = weight.sum()
    return float((np.nan_to_num(values) * weight).sum() / total) if total else NOT_ANNOTATED
