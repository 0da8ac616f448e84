"""OKS and the suppressions built on it: the forks' numbers, and properties."""

import numpy as np
import pytest

from heatpose.metrics import box_nms, oks, oks_matrix, oks_nms, soft_oks_nms
from heatpose.metrics.oks import COCO_SIGMAS, rescore


@pytest.fixture
def crowd():
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.uniform(0, 60, (12, 17, 2)), rng.uniform(0, 1, (12, 17, 1))], axis=2)
    return keypoints, rng.uniform(0, 1, 12), rng.uniform(500, 4000, 12)


def test_oks_by_hand():
    person, shifted = np.zeros((2, 2)), np.array([[3.0, 4.0], [0.0, 0.0]])
    sigmas = np.array([0.1, 0.05])
    # distance 5, mean area 200, variance (2 * 0.1)^2
    expected = (np.exp(-25 / (2 * 200 * 0.04)) + 1) / 2
    result = oks(person, shifted[None], 100.0, np.array([300.0]), sigmas)
    np.testing.assert_allclose(result, [expected], rtol=1e-12)


def test_oks_matrix_is_symmetric_and_one_on_the_diagonal(crowd):
    keypoints, _, areas = crowd
    matrix = oks_matrix(keypoints, areas)
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12)
    np.testing.assert_allclose(np.diag(matrix), 1.0)
    assert ((matrix >= 0) & (matrix <= 1)).all()


def test_oks_matrix_between_two_groups_equals_the_rows(crowd):
    keypoints, _, areas = crowd
    visible = keypoints[3:, :, 2] > 0.7
    matrix = oks_matrix(keypoints[:3], areas[:3], keypoints[3:], areas[3:], visible=visible)
    assert matrix.shape == (3, 9)
    for row, person, area in zip(matrix, keypoints, areas, strict=False):
        np.testing.assert_array_equal(row, oks(person, keypoints[3:], area, areas[3:], visible=visible))


def test_oks_without_visible_keypoints_is_zero(crowd):
    keypoints, _, areas = crowd
    visible = np.zeros((1, 17), bool)
    assert oks(keypoints[0], keypoints[:1], areas[0], areas[:1], visible=visible).tolist() == [0.0]


def test_visibility_reads_the_weaker_person_only():
    keypoints = np.zeros((2, 17, 3))
    keypoints[1, 8:, 0] = 1000.0  # the second half of the weaker person is elsewhere, and
    keypoints[1, :8, 2] = 1.0  # not visible there, though it is in the better one
    keypoints[0, :, 2] = 1.0
    scores, areas = np.array([0.9, 0.8]), np.array([1000.0, 1000.0])
    assert oks_nms(keypoints, scores, areas, 0.5).tolist() == [0, 1]
    assert oks_nms(keypoints, scores, areas, 0.5, in_vis_thre=0.2).tolist() == [0]


def test_oks_nms_keeps_the_better_of_two_equal_poses(crowd):
    keypoints, scores, areas = crowd
    doubled = (
        np.concatenate([keypoints, keypoints]),
        np.concatenate([scores, scores - 1]),
        np.concatenate([areas, areas]),
    )
    assert oks_nms(*doubled, 0.9).tolist() == np.argsort(-scores).tolist()


def test_an_overlap_equal_to_the_threshold_is_kept():
    keypoints, areas = np.zeros((2, 17, 3)), np.ones(2)
    assert oks_nms(keypoints, np.array([0.1, 0.2]), areas, 1.0).tolist() == [1, 0]
    assert oks_nms(keypoints, np.array([0.1, 0.2]), areas, 0.99).tolist() == [1]


def test_soft_oks_nms_keeps_all_and_reorders():
    keypoints, areas = np.zeros((3, 17, 3)), np.full(3, 1000.0)
    keypoints[2, :, 0] = 1000.0
    # the second shows the same person as the first and falls behind the third
    scores = np.array([0.9, 0.8, 0.7])
    assert soft_oks_nms(keypoints, scores, areas, 0.5).tolist() == [0, 2, 1]
    assert soft_oks_nms(keypoints, scores, areas, 0.5, max_detections=2).tolist() == [0, 2]


def test_box_nms_by_hand():
    # 10 x 10 px each; the second shares 10 x 5 with the first: IoU 50 / 150
    boxes = np.array([[0, 0, 9, 9, 0.5], [0, 5, 9, 14, 0.9], [30, 30, 39, 39, 0.1]])
    assert box_nms(boxes, 0.33).tolist() == [1, 2]
    assert box_nms(boxes, 0.34).tolist() == [1, 0, 2]


@pytest.mark.parametrize("suppress", [oks_nms, soft_oks_nms])
def test_nothing_to_suppress(suppress):
    kept = suppress(np.zeros((0, 17, 3)), np.zeros(0), np.zeros(0), 0.9)
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


def test_no_boxes():
    assert box_nms(np.zeros((0, 5)), 0.5).shape == (0,)


def test_sigmas_of_another_skeleton_are_named(crowd):
    keypoints, scores, areas = crowd
    with pytest.raises(ValueError, match="17 sigmas for 16 keypoints"):
        oks_nms(keypoints[:, :16], scores, areas, 0.9)
    assert len(oks_nms(keypoints[:, :16], scores, areas, 0.9, COCO_SIGMAS[:16])) > 0


def test_unknown_rescoring_is_named():
    with pytest.raises(ValueError, match="unknown kind of rescoring 'cubic'; use gaussian or linear"):
        rescore(np.zeros(1), np.zeros(1), 0.5, "cubic")
