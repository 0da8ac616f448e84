"""Intersection over union of boxes, and the suppression of boxes that show the same thing.

Boxes are (x1,y1,x2,y2) in px. Two conventions are about. COCO's corners are points of the plane: a side is x2 - x1.
PASCAL VOC's, and those of the forks' NMS, are the first and the last pixel of the box: a side is x2 - x1 + 1. That is
what `inclusive` says here, as elsewhere in this package.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .nms import greedy_nms, soft_nms

Array = NDArray[Any]


def box_iou(boxes: Array, others: Array | None = None, inclusive: bool = False) -> Array:
    """IoU (M,N) of M boxes with N others, or with each other; 0 for two boxes without area.

    Args:
        boxes, others: (M,4) and (N,4), x1, y1, x2, y2 in px; further columns are not read.
        inclusive: whether the corners are pixels of the box; see above.

    Raises:
        ValueError: a box ends before it begins, as those in x, y, width, height mostly do.

    >>> box_iou(np.array([[0, 0, 10, 10]]), np.array([[0, 5, 10, 15], [30, 30, 40, 40]])).round(4)
    array([[0.3333, 0.    ]])
    """
    boxes = _checked(boxes, inclusive)
    return _iou(boxes, boxes if others is None else _checked(others, inclusive), inclusive)


def box_nms(boxes: Array, threshold: float) -> Array:
    """Indices of the boxes to keep, best first: each drops those after it with an IoU above `threshold`.

    Args:
        boxes: (N,5), x1, y1, x2, y2 and score. Both corners are pixels of the box, so a side is x2 - x1 + 1.
        threshold: in 0..1; an IoU equal to it is kept.
    """
    boxes = np.asarray(boxes)
    return greedy_nms(_iou(boxes, boxes, inclusive=True), boxes[:, 4], threshold)


def soft_box_nms(boxes: Array, threshold: float, max_detections: int = 20) -> Array:
    """As `soft_oks_nms`, by the IoU of boxes (N,5), x1, y1, x2, y2 and score, as in `box_nms`."""
    boxes = np.asarray(boxes)
    return soft_nms(_iou(boxes, boxes, inclusive=True), boxes[:, 4], threshold, max_detections)


def _iou(boxes: Array, others: Array, inclusive: bool) -> Array:
    extra = int(inclusive)
    low, high, other_low, other_high = boxes[:, :2], boxes[:, 2:4], others[:, :2], others[:, 2:4]
    sides = np.minimum(high[:, None], other_high) - np.maximum(low[:, None], other_low) + extra  # (M,N,2)
    shared = np.maximum(sides, 0).prod(axis=2)
    areas, other_areas = (high - low + extra).prod(axis=1), (other_high - other_low + extra).prod(axis=1)
    union = areas[:, None] + other_areas - shared
    return shared / np.where(union == 0, 1, union)


def _checked(boxes: Array, inclusive: bool) -> Array:
    boxes = np.asarray(boxes)
    if boxes.ndim != 2 or boxes.shape[1] < 4:
        raise ValueError(f"boxes of shape {boxes.shape}; give (N, 4): x1, y1, x2, y2")
    reversed_ = np.flatnonzero((boxes[:, 2:4] - boxes[:, :2] + int(inclusive) < 0).any(axis=1))
    if len(reversed_):
        number = reversed_[0]
        raise ValueError(
            f"box {number} ends before it begins: {boxes[number, :4].tolist()}; give x1, y1, x2, y2 "
            "(of x, y, width, height: x, y, x + width, y + height)"
        )
    return boxes
