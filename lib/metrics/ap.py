"""Precision, recall and average precision of detections that have scores.

Which of them are right is decided in matching.py, by the IoU of boxes or the OKS of keypoints.
"""

from typing import NamedTuple

import numpy as np

# Where the precision is read. VOC's points are exact tenths. COCO's are those of COCOeval's code, some of which lie
# above their hundredth by a rounding error (0.7 is 0.7000000000000001), so that a recall of exactly 7/10 misses it.
RECALL_POINTS = {"voc11": np.arange(11) / 10, "coco101": np.linspace(0, 1, 101)}
METHODS = ("voc11", "voc2010", "coco101")


class PrecisionRecall(NamedTuple):
    """precision and recall (..., N) among the detections up to each one, the best first."""

    precision: np.ndarray
    recall: np.ndarray


def precision_recall(
    matched: np.ndarray, scores: np.ndarray, num_truth: int, ignored: np.ndarray | None = None
) -> PrecisionRecall:
    """Precision and recall when detections are taken one after the other, from the highest score to the lowest.

    Args:
        matched: (..., N) whether each detection found somebody; leading axes are thresholds, for instance.
        scores: (N,) in the same order. Of equal scores the first comes first.
        num_truth: how many there are to be found.
        ignored: (..., N) detections that count neither as right nor as wrong; none where None. Their places repeat
            what stood before them: 0 at the very beginning.

    Raises:
        ValueError: shapes that do not fit, scores that are NaN, or nobody to be found: the recall is undefined.

    >>> precision, recall = precision_recall(np.array([True, False, True]), np.array([0.5, 0.9, 0.2]), num_truth=4)
    >>> precision.round(2).tolist(), recall.tolist()
    ([0.0, 0.5, 0.67], [0.0, 0.25, 0.5])
    """
    matched, scores = np.asarray(matched, bool), np.asarray(scores)
    counted = np.ones_like(matched) if ignored is None else ~np.asarray(ignored, bool)
    _check_detections(matched, counted, scores, num_truth)
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum((matched & counted)[..., order], axis=-1)
    taken = np.cumsum(counted[..., order], axis=-1)
    return PrecisionRecall(right / np.maximum(taken, 1), right / num_truth)


def average_precision(precision: np.ndarray, recall: np.ndarray, method: str = "coco101") -> np.ndarray:
    """AP (...) of the curves that `precision_recall` gives, (..., N) each: numbers in 0..1; without detections 0.

    All three methods first replace the precision at a recall by the highest at that recall or a higher one, and take 0
    beyond the highest recall. Then

    - "voc11" is the mean at the recalls 0, 0.1, ..., 1 (PASCAL VOC until 2009),
    - "voc2010" is the area under the curve (PASCAL VOC from 2010 on),
    - "coco101" is the mean at the recalls 0, 0.01, ..., 1 (COCO, at each of its thresholds).

    Raises:
        ValueError: an unknown method, shapes that differ, or a recall that falls.

    Source: Everingham et al. 2010 and 2015, The PASCAL Visual Object Classes Challenge; pycocotools' COCOeval.

    >>> curve = np.array([0.0, 0.5, 0.33]), np.array([0.0, 0.5, 0.5])
    >>> {method: average_precision(*curve, method).round(4).item() for method in ("voc11", "voc2010", "coco101")}
    {'voc11': 0.2727, 'voc2010': 0.25, 'coco101': 0.2525}
    """
    precision, recall = np.asarray(precision), np.asarray(recall)
    if method not in METHODS:
        raise ValueError(f"unknown method '{method}'; use one of {', '.join(METHODS)}")
    if precision.shape != recall.shape:
        raise ValueError(f"precision {precision.shape} and recall {recall.shape} differ in shape; give one curve's")
    if (np.diff(recall, axis=-1) < 0).any():
        raise ValueError("the recall falls along the curve; order the detections from the highest score to the lowest")
    best = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]  # at this recall or a higher one
    if method == "voc2010":
        return np.sum(np.diff(recall, axis=-1, prepend=0) * best, axis=-1)
    return _at_recalls(best, recall, RECALL_POINTS[method]).mean(axis=-1)


def average_recall(recall: np.ndarray) -> float:
    """COCO's AR: the mean over the thresholds (T, N) of the highest recall.

    Wrong detections cost nothing, unless matching left out right ones for them (`max_detections` of `match_coco`).

    >>> average_recall(np.array([[0.25, 0.5], [0.0, 0.25]]))
    0.375
    """
    return float(np.max(recall, axis=-1, initial=0).mean())


def _at_recalls(best: np.ndarray, recall: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The precision (..., P) at the recalls `points` (P,): that of the first place with at least that recall, or 0."""
    after_last = np.concatenate([best, np.zeros((*best.shape[:-1], 1))], axis=-1)
    places = np.apply_along_axis(np.searchsorted, -1, recall, points)
    return np.take_along_axis(after_last, places, axis=-1)


def _check_detections(matched: np.ndarray, counted: np.ndarray, scores: np.ndarray, num_truth: int) -> None:
    if matched.shape != counted.shape or scores.ndim != 1 or matched.shape[-1:] != scores.shape:
        raise ValueError(
            f"matched {matched.shape}, ignored {counted.shape} and scores {scores.shape} do not fit together; "
            "give (..., N), (..., N) and (N,)"
        )
    if np.isnan(scores).any():
        raise ValueError(f"the score of detection {np.isnan(scores).argmax()} is NaN; give every detection a number")
    if num_truth < 1:
        raise ValueError(
            f"num_truth is {num_truth}: without anybody to be found there is no recall; leave this set out"
        )
