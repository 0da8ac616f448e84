"""Lengths that PCK measures distances in, one for each person: the normaliser of `pck` and `auc`."""

import numpy as np

HEAD_SHARE = 0.6  # of the head box's diagonal is a head's size in PCKh (the forks' SC_BIAS)


def longest_side(bboxes: np.ndarray) -> np.ndarray:
    """The longer side (N,) px of boxes (N, 4), x, y, width, height.

    Usual for animals: PCK@0.05 with it counts keypoints within 5% of the box.

    >>> longest_side(np.array([[10, 10, 40, 30]]))
    array([40])
    """
    return np.asarray(bboxes)[:, 2:4].max(axis=1)


def head_size(head_boxes: np.ndarray) -> np.ndarray:
    """MPII's size of a head (N,) px, 0.6 times the diagonal of its box: the normaliser of PCKh.

    `head_boxes` (N, 2, 2) are two corners x, y each, px.

    >>> head_size(np.array([[[0, 0], [30, 40]]])).tolist()
    [30.0]
    """
    head_boxes = np.asarray(head_boxes)
    return np.linalg.norm(head_boxes[:, 1] - head_boxes[:, 0], axis=1) * HEAD_SHARE


def joint_distance(truth: np.ndarray, first: int, second: int, visible: np.ndarray) -> np.ndarray:
    """The distance (N,) px between two annotated joints of each person, NaN where one is not known or they coincide.

    Left shoulder to right hip is the torso that FLIC's PCK and PDJ measure in: `joint_distance(truth, 5, 12, visible)`
    with COCO's joints.

    Args:
        truth: (N, K, 2), px; further columns are not read.
        first, second: indices of the joints.
        visible: (N, K), above 0 where the truth is known.

    Source: Sapp and Taskar 2013, MODEC; Toshev and Szegedy 2014, DeepPose.

    >>> joint_distance(np.array([[[0.0, 0.0], [3.0, 4.0]]] * 2), 0, 1, np.array([[1, 2], [1, 0]]))
    array([ 5., nan])
    """
    truth, known = np.asarray(truth)[..., :2], np.asarray(visible) > 0
    distance = np.linalg.norm(truth[:, first] - truth[:, second], axis=1)
    return np.where(known[:, first] & known[:, second] & (distance > 0), distance, np.nan)
