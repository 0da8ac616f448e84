"""Object keypoint similarity, and the suppression of detections that show the same person.

Keypoints are in image px, areas in px^2.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .nms import greedy_nms, greedy_nms_of_images, soft_nms

Array = NDArray[Any]

PAIRS_AT_ONCE = 20_000  # their arrays stay in the cache

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
    _check_sigmas(sigmas, keypoints)
    dx, dy = (keypoints[:, None, :, i] - others[:, :, i] for i in range(2))  # (M,N,K) each
    return _mean_similarity(dx, dy, (areas[:, None] + other_areas) / 2, sigmas, visible)


def oks_to_truth(
    keypoints: Array, truth: Array, areas: Array, bboxes: Array | None = None, sigmas: Array = COCO_SIGMAS
) -> Array:
    """OKS (M,N) of M detections with N annotated people, by the rules of COCOeval.

    It differs from `oks_matrix` in three points. The area is the annotation's alone. The keypoints labelled in the
    truth count (v > 0, occluded ones as much as visible ones), whatever the detection says of them. Around somebody
    without any, a region to ignore, a keypoint's distance is that from the box, widened to three times its sides.

    Args:
        keypoints: (M,K,2), image px; further columns, such as scores, are not read.
        truth: (N,K,3), x, y in image px and v, 0 where it is not labelled.
        areas: (N,) of the annotations, px^2.
        bboxes: (N,4) of the annotations, x, y, width, height in px; may be left out where everybody has a labelled
            keypoint.
        sigmas: (K,) of the skeleton.

    Raises:
        ValueError: there is not one sigma per keypoint, or a box is needed and missing.

    >>> truth = np.array([[[10.0, 10.0, 2.0], [0.0, 0.0, 0.0]]])  # the second keypoint is not labelled
    >>> oks_to_truth(np.array([[[10.0, 10.0], [90.0, 90.0]]]), truth, np.array([100.0]), sigmas=np.array([0.1, 0.1]))
    array([[1.]])
    """
    points, truth = np.asarray(keypoints)[:, None, :, :2], np.asarray(truth)  # (M,1,K,2)
    _check_sigmas(sigmas, truth)
    visible = truth[:, :, 2] > 0  # (N,K)
    unlabelled = np.logical_not(visible.any(axis=1))
    wanted = truth[:, :, :2]
    if unlabelled.any():
        region = _nearest_in_region(points, bboxes, int(np.argmax(unlabelled)))
        wanted = np.where(unlabelled[:, None, None], region, wanted)
    dx, dy = np.moveaxis(points - wanted, 3, 0)  # (M,N,K) each
    return _mean_similarity(dx, dy, np.asarray(areas), sigmas, visible | unlabelled[:, None])


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
    return greedy_nms(_people_overlap(keypoints, areas, sigmas, in_vis_thre), scores, threshold)


def oks_nms_of_images(
    keypoints: Array, scores: Array, areas: Array, images: Sequence[Array], threshold: float, sigmas: Array
) -> list[Array]:
    """`oks_nms` of many images: for each the people to keep, best first.

    Args:
        keypoints, scores, areas: of all N people, as `oks_nms` has them.
        images: the people of each image, positions in these arrays.
    """
    kept: list[Array] = [np.zeros(0, np.int64)] * len(images)
    sizes = np.array([len(image) for image in images], np.int64)
    for size in np.unique(sizes[sizes > 0]):
        alike = np.flatnonzero(sizes == size)
        for some in np.array_split(alike, min(len(alike), -(-len(alike) * size * size // PAIRS_AT_ONCE))):
            people = np.stack([images[number] for number in some])  # (I,N)
            overlap = _oks_within_images(keypoints[people], areas[people], sigmas)
            order, kept_places = greedy_nms_of_images(overlap, scores[people], threshold)
            ordered = np.take_along_axis(people, order, axis=1)
            for number, row, mask in zip(some, ordered, kept_places, strict=True):
                kept[number] = row[mask]
    return kept


def _oks_within_images(keypoints: Array, areas: Array, sigmas: Array) -> Array:
    """OKS (I,N,N) of the people (I,N,K,2+) of I images with each other: of each pair once, since it is symmetric."""
    one, other = np.triu_indices(keypoints.shape[1], 1)
    x, y = (np.ascontiguousarray(keypoints[..., axis]) for axis in range(2))  # (I,N,K)
    dx, dy = (each[:, one] - each[:, other] for each in (x, y))  # (I,P,K)
    overlap = np.ones((*keypoints.shape[:2], keypoints.shape[1]))
    pairs = _mean_similarity(dx, dy, (areas[:, one] + areas[:, other]) / 2, sigmas, None)
    overlap[:, one, other] = overlap[:, other, one] = pairs
    return overlap


def soft_oks_nms(
    keypoints: Array,
    scores: Array,
    areas: Array,
    threshold: float,
    sigmas: Array = COCO_SIGMAS,
    in_vis_thre: float | None = None,
    max_detections: int = 20,
) -> Array:
    """Indices of the people to keep, best first: each lowers the scores of those that are left by their OKS.

    See `nms.soft_nms`; the other arguments are those of `oks_nms`.
    """
    return soft_nms(_people_overlap(keypoints, areas, sigmas, in_vis_thre), scores, threshold, max_detections)


def _people_overlap(keypoints: Array, areas: Array, sigmas: Array, in_vis_thre: float | None) -> Array:
    keypoints = np.asarray(keypoints)
    visible = None if in_vis_thre is None else keypoints[:, :, 2] > in_vis_thre
    return oks_matrix(keypoints, areas, sigmas=sigmas, visible=visible)


def _mean_similarity(dx: Array, dy: Array, areas: Array, sigmas: Array, visible: Array | None) -> Array:
    """OKS (M,N) of coordinate differences (M,N,K), with areas (M,N) or (N,), over the keypoints `visible` (N,K)."""
    variances = np.square(2 * np.asarray(sigmas))
    areas = areas + np.spacing(1)
    similarity = np.exp((dx * dx + dy * dy) / (-2 * areas[..., None] * variances))
    if visible is None:
        return similarity.mean(axis=2)
    return (similarity * visible).sum(axis=2) / np.maximum(np.sum(visible, axis=1), 1)


def _nearest_in_region(points: Array, bboxes: Array | None, number: int) -> Array:
    """The points (M,N,K,2) nearest to `points` (M,1,K,2) in boxes (N,4) that are widened to three times their sides."""
    if bboxes is None:
        raise ValueError(
            f"person {number} of the truth has no labelled keypoint: give bboxes, its OKS depends on its box"
        )
    corner, size = np.split(np.asarray(bboxes)[:, None], 2, axis=2)  # (N,1,2) each
    return np.clip(points, corner - size, corner + 2 * size)


def _check_sigmas(sigmas: Array, keypoints: Array) -> None:
    if len(sigmas) != keypoints.shape[1]:
        raise ValueError(
            f"{len(sigmas)} sigmas for {keypoints.shape[1]} keypoints: give the sigmas of the keypoints' own skeleton"
        )
