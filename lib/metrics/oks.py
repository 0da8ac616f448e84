"""Object keypoint similarity, and the suppression of detections that show the same person.

Keypoints are in image px, areas in px^2, boxes as (x1,y1,x2,y2) in px.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# COCO's constants per keypoint, nose to ankles (pycocotools, Params.kpt_oks_sigmas)
COCO_SIGMAS: Array = (
    np.array([0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89])
    / 10
)


def oks(
    keypoints: Array,
    others: Array,
    area: float,
    other_areas: Array,
    sigmas: Array = COCO_SIGMAS,
    visible: Array | None = None,
) -> Array:
    """OKS (N,) of one person with N others; see `oks_matrix`.

    Args:
        keypoints: (K,2), further columns are not read.
        others: (N,K,2), likewise.
        area, other_areas: of the person and of the others (N,).
        sigmas: (K,) of the skeleton.
        visible: (N,K), keypoints of the others that count; all where None.

    >>> person = np.zeros((17, 2))
    >>> oks(person, np.stack([person, person + 1000]), 100.0, np.array([100.0, 100.0]))
    array([1., 0.])
    """
    return oks_matrix(np.asarray(keypoints)[None], np.asarray([area]), others, other_areas, sigmas, visible)[0]


def oks_matrix(
    keypoints: Array,
    areas: Array,
    others: Array | None = None,
    other_areas: Array | None = None,
    sigmas: Array = COCO_SIGMAS,
    visible: Array | None = None,
) -> Array:
    """OKS (M,N) of M people with N others, or with each other.

    The mean over the keypoints of exp(-d^2 / (2 * area * (2*sigma)^2)), where `area` is the mean of both areas, as in
    HRNet's `oks_iou`; COCOeval takes the annotation's. Needs several arrays of M*N*K float64 at a time.

    Args:
        keypoints, areas: (M,K,2), further columns are not read, and (M,).
        others, other_areas: (N,K,2) and (N,); the same people where None.
        sigmas: (K,) of the skeleton.
        visible: (N,K), keypoints of the others that count; all where None. Where none counts, OKS is 0.

    Raises:
        ValueError: there is not one sigma per keypoint.
    """
    keypoints, areas = np.asarray(keypoints), np.asarray(areas)
    others = keypoints if others is None else np.asarray(others)
    other_areas = areas if other_areas is None else np.asarray(other_areas)
    if len(sigmas) != keypoints.shape[1]:
        raise ValueError(
            f"{len(sigmas)} sigmas for {keypoints.shape[1]} keypoints: give the sigmas of the keypoints' own skeleton"
        )
    dx, dy = (keypoints[:, None, :, i] - others[:, :, i] for i in range(2))  # (M,N,K) each
    variances = np.square(2 * np.asarray(sigmas))
    mean_areas = (areas[:, None] + other_areas) / 2 + np.spacing(1)  # (M,N)
    similarity = np.exp((dx * dx + dy * dy) / (-2 * mean_areas[:, :, None] * variances))
    if visible is None:
        return similarity.mean(axis=2)
    return (similarity * visible).sum(axis=2) / np.maximum(np.sum(visible, axis=1), 1)


def oks_nms(
    keypoints: Array,
    scores: Array,
    areas: Array,
    threshold: float,
    sigmas: Array = COCO_SIGMAS,
    in_vis_thre: float | None = None,
) -> Array:
    """Indices of the people to keep, best first: each drops those after it with an OKS above `threshold`.

    Args:
        keypoints: (N,K,3), x, y and score.
        scores, areas: (N,) each.
        threshold: in 0..1; an OKS equal to it is kept.
        sigmas: (K,) of the skeleton.
        in_vis_thre: OKS counts only keypoints with a higher score in the person that may be dropped. HRNet's code
            evidently means the scores of both people, but its `list(a) and list(b)` reads the second list only.

    Of equal scores the later comes first, as in HRNet's reversed argsort.
    """
    return _greedy_nms(_people_overlap(keypoints, areas, sigmas, in_vis_thre), scores, threshold)


def soft_oks_nms(
    keypoints: Array,
    scores: Array,
    areas: Array,
    threshold: float,
    sigmas: Array = COCO_SIGMAS,
    in_vis_thre: float | None = None,
    max_detections: int = 20,
) -> Array:
    """Indices of the people to keep, best first: each lowers the scores of those that are left by `rescore`, gaussian.

    Soft-NMS, Bodla et al. 2017. Nobody is dropped but for `max_detections`. As in HRNet's code the lowered scores
    decide the order only and are not given back. The other arguments are those of `oks_nms`.
    """
    return _soft_nms(_people_overlap(keypoints, areas, sigmas, in_vis_thre), scores, threshold, max_detections)


def box_nms(boxes: Array, threshold: float) -> Array:
    """Indices of the boxes to keep, best first: each drops those after it with an IoU above `threshold`.

    Args:
        boxes: (N,5), x1, y1, x2, y2 and score. Both corners are pixels of the box, so a side is x2 - x1 + 1.
        threshold: in 0..1; an IoU equal to it is kept.
    """
    return _greedy_nms(_box_overlap(boxes), np.asarray(boxes)[:, 4], threshold)


def soft_box_nms(boxes: Array, threshold: float, max_detections: int = 20) -> Array:
    """As `soft_oks_nms`, by the IoU of boxes (N,5), x1, y1, x2, y2 and score, as in `box_nms`."""
    return _soft_nms(_box_overlap(boxes), np.asarray(boxes)[:, 4], threshold, max_detections)


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


def _people_overlap(keypoints: Array, areas: Array, sigmas: Array, in_vis_thre: float | None) -> Array:
    keypoints = np.asarray(keypoints)
    visible = None if in_vis_thre is None else keypoints[:, :, 2] > in_vis_thre
    return oks_matrix(keypoints, areas, sigmas=sigmas, visible=visible)


def _box_overlap(boxes: Array) -> Array:
    """IoU (N,N) of boxes (N,4+), x1, y1, x2, y2, both corners pixels of the box."""
    boxes = np.asarray(boxes)
    low, high = boxes[:, :2], boxes[:, 2:4]
    areas = (high - low + 1).prod(axis=1)
    sides = np.minimum(high[:, None], high) - np.maximum(low[:, None], low) + 1  # (N,N,2)
    shared = np.maximum(sides, 0).prod(axis=2)
    return shared / (areas[:, None] + areas - shared)


def _soft_nms(overlap: Array, scores: Array, threshold: float, max_detections: int) -> Array:
    """Indices to keep, best first, where a better i lowers the score of j by overlap[i, j] (N,N)."""
    order, left = _descending(np.asarray(scores))
    keep: list[int] = []
    while len(order) and len(keep) < max_detections:
        best, rest = order[0], order[1:]
        keep.append(int(best))
        again, left = _descending(rescore(overlap[best, rest], left[1:], threshold))
        order = rest[again]
    return np.array(keep, dtype=np.int64)


def _greedy_nms(overlap: Array, scores: Array, threshold: float) -> Array:
    """Indices to keep, best first, where overlap[i, j] (N,N) above the threshold lets a better i drop j."""
    order, _ = _descending(np.asarray(scores))
    compatible = overlap <= threshold
    keep: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(int(best))
        order = rest[compatible[best, rest]]
    return np.array(keep, dtype=np.int64)


def _descending(scores: Array) -> tuple[Array, Array]:
    """The order from the highest score to the lowest, and the scores in it."""
    order = np.argsort(scores, kind="stable")[::-1]
    return order, scores[order]
