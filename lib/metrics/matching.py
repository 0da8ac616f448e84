"""Which detections are right: each is given to at most one annotated object, by a similarity such as IoU or OKS.

Detections and objects are those of one image and one class; `pool` puts images together.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# The ten thresholds of COCO's AP and AR: 0.5, 0.55, ..., 0.95
COCO_THRESHOLDS = np.linspace(0.5, 0.95, 10)


class Matches(NamedTuple):
    """What matching found. The fields are the arguments of `precision_recall`, which takes it as `*matches`.

    Attributes:
        matched: (..., N) whether the detection found an object that counts; with T thresholds (T, N).
        scores: (N,) of the detections.
        num_truth: how many objects count.
        ignored: (..., N) detections that count neither as right nor as wrong.
    """

    matched: np.ndarray
    scores: np.ndarray
    num_truth: int
    ignored: np.ndarray


def match_voc(
    similarity: np.ndarray, scores: np.ndarray, threshold: np.ndarray | float, difficult: np.ndarray | None = None
) -> Matches:
    """Matches by PASCAL VOC's rule: a detection may only have the object that it is most similar to.

    The best detection at least `threshold` similar to its object is right, every further one of this object wrong,
    even where another object lies nearly as close. Detections of a difficult object are ignored.

    Args:
        similarity: (N, M) of N detections with M objects.
        scores: (N,) of the detections; of equal ones the first comes first.
        threshold: one number, or (T,) numbers, which give Matches of (T, N).
        difficult: (M,) objects that need not be found; none where None.

    Source: the VOC development kit, VOCevaldet.m.

    >>> match_voc(np.array([[0.9, 0.8], [0.8, 0.7]]), np.array([0.5, 0.6]), 0.7).matched
    array([False,  True])
    """
    similarity, scores, difficult = _checked(similarity, scores, difficult)
    thresholds = np.asarray(threshold, np.float64)[..., None]
    if not similarity.shape[1]:
        nothing = np.zeros((*thresholds.shape[:-1], len(scores)), bool)
        return Matches(nothing, scores, 0, nothing)
    best = similarity.argmax(axis=1)  # (N,)
    near = similarity.max(axis=1) >= thresholds  # (..., N)
    order = np.argsort(-scores, kind="stable")
    claimed = near[..., order, None] & (best[order, None] == np.arange(similarity.shape[1]))  # (..., N, M)
    first = np.zeros_like(near)
    first[..., order] = (claimed & (np.cumsum(claimed, axis=-2) == 1)).any(axis=-1)
    return Matches(first & ~difficult[best], scores, int((~difficult).sum()), near & difficult[best])


def match_coco(
    similarity: np.ndarray,
    scores: np.ndarray,
    threshold: np.ndarray | float = COCO_THRESHOLDS,
    ignored: np.ndarray | None = None,
    crowd: np.ndarray | None = None,
    outside: np.ndarray | None = None,
    max_detections: int = 20,
) -> Matches:
    """Matches by COCO's rule: from the best to the worst, each detection takes the most similar object that is free.

    An object that counts goes before one that is ignored, however similar, if the similarity is at least `threshold`.

    Args:
        similarity: (N, M) of N detections with M objects.
        scores: (N,) of the detections; of equal ones the first comes first.
        threshold: one number, or (T,) numbers, which give Matches of (T, N).
        ignored: (M,) objects that need not be found, e.g. outside the range of areas; a detection of one is ignored.
        crowd: (M,) objects that are ignored and can be taken any number of times.
        outside: (N,) detections that are ignored where they take nothing, e.g. outside the range of areas.
        max_detections: how many of an image count, the best ones; the rest is ignored. COCO: 20 for keypoints.

    Source: pycocotools' COCOeval, evaluateImg.

    >>> match_coco(np.array([[0.9, 0.8], [0.8, 0.7]]), np.array([0.5, 0.6]), 0.7).matched
    array([ True,  True])
    """
    similarity, scores, ignored = _checked(similarity, scores, ignored)
    crowd = _flags(crowd, similarity.shape[1], "crowd", "object")
    outside = _flags(outside, len(scores), "outside", "detection")
    order = np.argsort(-scores, kind="stable")
    limits = np.atleast_1d(np.minimum(threshold, 1 - 1e-10))  # rounding must not cost a perfect detection its match
    taken = _take_in_turn(similarity, order[:max_detections], limits, ignored | crowd, crowd)  # (T, N)
    unwanted = np.append(ignored | crowd, False)[taken]  # -1, taken nothing, is False
    late = np.zeros(len(scores), bool)
    late[order[max_detections:]] = True
    matched, skipped = (taken >= 0) & ~unwanted, unwanted | ((taken < 0) & (outside | late))
    shape = (*np.shape(threshold), len(scores))
    return Matches(matched.reshape(shape), scores, int((~(ignored | crowd)).sum()), skipped.reshape(shape))


def pool(images: Sequence[Matches]) -> Matches:
    """Matches of all images as one: scores order the detections of all of them.

    >>> one, two = (match_coco(np.array([[value]]), np.array([value]), 0.5) for value in (0.9, 0.4))
    >>> pool([one, two])
    Matches(matched=array([ True, False]), scores=array([0.9, 0.4]), num_truth=2, ignored=array([False, False]))
    """
    if not images:
        raise ValueError("no images to pool; give the matches of at least one")
    matched, scores, counts, ignored = zip(*images, strict=True)
    return Matches(
        np.concatenate(matched, axis=-1), np.concatenate(scores), sum(counts), np.concatenate(ignored, axis=-1)
    )


def _take_in_turn(
    similarity: np.ndarray, order: np.ndarray, thresholds: np.ndarray, ignored: np.ndarray, crowd: np.ndarray
) -> np.ndarray:
    """(T, N) the object that each detection takes at each threshold, -1 for none; `order` says whose turn it is."""
    num_detections, num_objects = similarity.shape
    taken = np.full((len(thresholds), num_detections), -1)
    free = np.ones((len(thresholds), num_objects), bool)
    levels = np.arange(len(thresholds))
    for detection in order if num_objects else ():
        row = similarity[detection]
        allowed = (free | crowd) & (row >= thresholds[:, None])  # (T, M)
        wanted = allowed & ~ignored
        allowed = np.where(wanted.any(axis=1, keepdims=True), wanted, allowed)
        values = np.where(allowed, row, -np.inf)
        best = num_objects - 1 - values[:, ::-1].argmax(axis=1)  # of equal ones the last, as in COCOeval
        found = allowed.any(axis=1)
        taken[found, detection] = best[found]
        free[levels[found], best[found]] = False
    return taken


def _checked(
    similarity: np.ndarray, scores: np.ndarray, unwanted: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    similarity, scores = np.asarray(similarity), np.asarray(scores)
    if similarity.ndim != 2 or scores.shape != similarity.shape[:1]:
        raise ValueError(
            f"similarity {similarity.shape} and scores {scores.shape} do not fit together; give (N, M) of N detections "
            "with M objects, and (N,)"
        )
    return similarity, scores, _flags(unwanted, similarity.shape[1], "ignored or difficult", "object")


def _flags(values: np.ndarray | None, count: int, name: str, of: str) -> np.ndarray:
    """(count,) bool; all False where None."""
    flags = np.zeros(count, bool) if values is None else np.asarray(values, bool)
    if flags.shape != (count,):
        raise ValueError(f"{name} has shape {flags.shape}, but there are {count}; give one for every {of}")
    return flags
