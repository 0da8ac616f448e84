"""IoU of boxes in both conventions, and the suppression of boxes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.metrics import box_iou, box_nms, soft_box_nms


def test_both_conventions_by_hand():
    boxes, others = np.array([[0, 0, 9, 9]]), np.array([[0, 5, 9, 14], [9, 9, 20, 20], [10, 0, 20, 9]])
    np.testing.assert_allclose(box_iou(boxes, others), [[36 / 126, 0, 0]])
    np.testing.assert_allclose(box_iou(boxes, others, inclusive=True), [[50 / 150, 1 / 243, 0]])


def test_boxes_without_area_overlap_nothing():
    points = np.array([[3, 3, 3, 3], [3, 3, 3, 3], [0, 0, 9, 9]])
    assert box_iou(points)[:2].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert box_iou(points[:0], points).shape == (0, 3)


@st.composite
def some_boxes(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low = rng.uniform(-20, 50, (draw(st.integers(1, 8)), 2))
    return np.concatenate([low, low + rng.uniform(0.1, 60, low.shape)], axis=1)


@given(some_boxes(), st.booleans())
@settings(deadline=None)
def test_iou_is_symmetric_between_0_and_1_and_1_with_itself(boxes, inclusive):
    iou = box_iou(boxes, inclusive=inclusive)
    np.testing.assert_array_equal(iou, iou.T)
    np.testing.assert_allclose(np.diag(iou), 1)
    assert ((iou >= 0) & (iou <= 1 + 1e-12)).all()
    np.testing.assert_array_equal(iou, box_iou(boxes, boxes, inclusive))


def test_boxes_in_width_and_height_are_noticed():
    with pytest.raises(ValueError, match=r"box 1 ends before it begins: \[50, 60, 20, 90\]; give x1, y1, x2, y2"):
        box_iou(np.array([[0, 0, 20, 30], [50, 60, 20, 90]]))
    with pytest.raises(ValueError, match=r"boxes of shape \(4,\)"):
        box_iou(np.zeros(4))


def test_nms_by_hand():
    # 10 x 10 px each; the second shares 10 x 5 with the first: IoU 50 / 150
    boxes = np.array([[0, 0, 9, 9, 0.5], [0, 5, 9, 14, 0.9], [30, 30, 39, 39, 0.1]])
    assert box_nms(boxes, 0.33).tolist() == [1, 2]
    assert box_nms(boxes, 0.34).tolist() == [1, 0, 2]


def test_soft_nms_keeps_all_and_reorders():
    boxes = np.array([[0, 0, 9, 9, 0.9], [0, 0, 9, 9, 0.8], [30, 30, 39, 39, 0.7]])
    assert soft_box_nms(boxes, 0.5).tolist() == [0, 2, 1]
    assert soft_box_nms(boxes, 0.5, max_detections=2).tolist() == [0, 2]


@pytest.mark.parametrize("suppress", [box_nms, soft_box_nms])
def test_no_boxes(suppress):
    assert suppress(np.zeros((0, 5)), 0.5).shape == (0,)
