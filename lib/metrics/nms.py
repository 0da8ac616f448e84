"""Non-maximum suppression: of detections that overlap too much the best is kept, or the others lose score."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def greedy_nms(overlap: Array, scores: Array, threshold: float) -> Array:
    """Indices to keep, best first, where overlap[i, j] (N,N) above the threshold lets a better i drop j.

    Of equal scores (N,) the later comes first, as in HRNet's reversed argsort.

    >>> overlap = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> greedy_nms(overlap, np.array([0.9, 0.7, 0.2]), threshold=0.5)
    array([0, 2])
    """
    order, _ = _descending(np.asarray(scores))
    compatible = overlap <= threshold
    keep: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(int(best))
        order = rest[compatible[best, rest]]
    return np.array(keep, dtype=np.int64)


def greedy_nms_of_images(overlap: Array, scores: Array, threshold: float) -> tuple[Array, Array]:
    """`greedy_nms` on I images with N detections each: the order (I,N), best first, and whether each is kept (I,N).

    `overlap` (I,N,N) and `scores` (I,N) as there. The mask goes with the order.

    >>> order, kept = greedy_nms_of_images(np.array([[[1.0, 0.8], [0.8, 1.0]]]), np.array([[0.2, 0.9]]), threshold=0.5)
    >>> order.tolist(), kept.tolist()
    ([[1, 0]], [[True, False]])
    """
    order = np.argsort(scores, axis=1, kind="stable")[:, ::-1]
    images = np.arange(len(order))[:, None]
    drops = ~(overlap[images[..., None], order[:, :, None], order[:, None]] <= threshold)
    kept = np.ones(order.shape, bool)
    for place in range(order.shape[1] - 1):
        kept[:, place + 1 :] &= ~(kept[:, place, None] & drops[:, place, place + 1 :])
    return order, kept


def soft_nms(overlap: Array, scores: Array, threshold: float, max_detections: int = 20) -> Array:
    """Indices to keep, best first, where a better i lowers the score of j by overlap[i, j] (N,N); see `rescore`.

    Soft-NMS, Bodla et al. 2017, gaussian. Nobody is dropped but for `max_detections`. As in HRNet's code the lowered
    scores decide the order only and are not given back.

    >>> overlap = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> soft_nms(overlap, np.array([0.9, 0.7, 0.2]), threshold=0.5)  # 0.7 becomes 0.7 * exp(-0.64 / 0.5) = 0.19
    array([0, 2, 1])
    """
    order, left = _descending(np.asarray(scores))
    keep: list[int] = []
    while len(order) and len(keep) < max_detections:
        best, rest = order[0], order[1:]
        keep.append(int(best))
        again, left = _descending(rescore(overlap[best, rest], left[1:], threshold))
        order = rest[again]
    return np.array(keep, dtype=np.int64)


def rescore(overlap: Array, scores: Array, threshold: float, kind: str = "gaussian") -> Array:
    """Scores (N,) lowered by their `overlap` (N,) with a better detection (Soft-NMS, Bodla et al. 2017, eq. 2 and 3).

    `kind` "gaussian" multiplies by exp(-overlap^2 / threshold), "linear" by 1 - overlap where that reaches the
    threshold; another is a ValueError.

    >>> rescore(np.array([0.0, 0.5]), np.array([1.0, 1.0]), 0.5, "linear")
    array([1. , 0.5])
    """
    if kind == "gaussian":
        return scores * np.exp(-np.square(overlap) / threshold)
    if kind == "linear":
        return np.where(overlap >= threshold, scores * (1 - overlap), scores)
    raise ValueError(f"unknown kind of rescoring '{kind}'; use gaussian or linear")


def _descending(scores: Array) -> tuple[Array, Array]:
    """The order from the highest score to the lowest, and the scores in it."""
    order = np.argsort(scores, kind="stable")[::-1]
    return order, scores[order]
