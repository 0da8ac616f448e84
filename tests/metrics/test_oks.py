"""OKS and the suppressions built on it: the forks' numbers, and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.metrics import COCO_SIGMAS, oks, oks_matrix, oks_nms, oks_nms_of_images, oks_to_truth, soft_oks_nms
from heatpose.metrics.nms import rescore


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


@pytest.mark.parametrize("suppress", [oks_nms, soft_oks_nms])
def test_nothing_to_suppress(suppress):
    kept = suppress(np.zeros((0, 17, 3)), np.zeros(0), np.zeros(0), 0.9)
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


def test_sigmas_of_another_skeleton_are_named(crowd):
    keypoints, scores, areas = crowd
    with pytest.raises(ValueError, match="17 sigmas for 16 keypoints"):
        oks_nms(keypoints[:, :16], scores, areas, 0.9)
    assert len(oks_nms(keypoints[:, :16], scores, areas, 0.9, COCO_SIGMAS[:16])) > 0


SIGMAS = np.array([0.1, 0.1])


def labelled(v, other_v=2.0):
    """Somebody with a keypoint at (10, 10) and one at (50, 50), with these v."""
    return np.array([[[10.0, 10.0, v], [50.0, 50.0, other_v]]])


def test_oks_to_truth_takes_the_area_of_the_truth():
    found = labelled(1.0)[..., :2] + (3.0, 4.0)
    value = oks_to_truth(found, labelled(2), np.array([300.0]), sigmas=SIGMAS)
    np.testing.assert_allclose(value, [[np.exp(-25 / (2 * 300 * 0.04))]], rtol=1e-12)


def test_visible_and_occluded_keypoints_weigh_the_same_and_unlabelled_ones_nothing():
    found = labelled(0.0)
    found[0, 0, :2] += 2
    one, two, none = (oks_to_truth(found, labelled(v), np.array([100.0]), sigmas=SIGMAS).item() for v in (1, 2, 0))
    assert one == two < none == 1


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
@settings(deadline=None)
def test_the_scores_of_predicted_keypoints_do_not_enter_oks(scores):
    people = np.concatenate([labelled(0.0), labelled(0.0) + 3])
    known = oks_to_truth(people, labelled(1), np.array([100.0]), sigmas=SIGMAS)
    people[..., 2] = np.reshape(scores, (2, 2))
    assert oks_to_truth(people, labelled(1), np.array([100.0]), sigmas=SIGMAS).tolist() == known.tolist()


def test_without_labelled_keypoints_the_widened_box_stands_for_the_truth():
    nobody, bbox, area = labelled(0, 0), np.array([[10.0, 20.0, 10.0, 20.0]]), np.array([100.0])  # 0..30, 0..60
    inside = np.array([[[0.0, 0.0], [30.0, 60.0]]])
    assert oks_to_truth(inside, nobody, area, bbox, SIGMAS).tolist() == [[1.0]]
    value = oks_to_truth(inside + [[[0, 0], [3, 4]]], nobody, area, bbox, SIGMAS)
    np.testing.assert_allclose(value, [[(1 + np.exp(-25 / (2 * 100 * 0.04))) / 2]], rtol=1e-12)
    with pytest.raises(ValueError, match="person 0 of the truth has no labelled keypoint: give bboxes"):
        oks_to_truth(inside, nobody, area, sigmas=SIGMAS)


def test_oks_of_the_truth_is_oks_of_the_matrix_where_areas_are_equal(crowd):
    keypoints, _, areas = crowd
    truth = keypoints.copy()
    truth[..., 2] = truth[..., 2] > 0.5
    same = np.full(len(areas), 900.0)
    np.testing.assert_allclose(
        oks_to_truth(keypoints, truth, same), oks_matrix(keypoints, same, visible=truth[..., 2]), rtol=1e-12
    )


def test_no_people():
    nobody = np.zeros((0, 17, 3))
    assert oks_to_truth(nobody, np.ones((2, 17, 3)), np.ones(2)).shape == (0, 2)
    assert oks_to_truth(np.ones((2, 17, 3)), nobody, np.zeros(0)).shape == (2, 0)


def test_unknown_rescoring_is_named():
    with pytest.raises(ValueError, match="unknown kind of rescoring 'cubic'; use gaussian or linear"):
        rescore(np.zeros(1), np.zeros(1), 0.5, "cubic")


def test_many_images_at_once_keep_whom_each_keeps_alone():
    rng = np.random.default_rng(0)
    sizes = [0, 1, 2, 2, 7, 7, 7, 30, 1, 0, 2, 150, 150]
    images = np.split(rng.permutation(sum(sizes)), np.cumsum(sizes)[:-1])
    crowd = rng.integers(0, 3, (sum(sizes), 1, 1)) * 8  # many are alike
    keypoints = np.concatenate([crowd + rng.normal(0, 2, (sum(sizes), 17, 2)), np.ones((sum(sizes), 17, 1))], axis=2)
    scores = rng.integers(0, 5, sum(sizes)) / 4  # with equal ones
    areas = rng.uniform(100, 900, sum(sizes))
    found = oks_nms_of_images(keypoints, scores, areas, images, 0.7, COCO_SIGMAS)
    expected = [
        image[oks_nms(keypoints[image], scores[image], areas[image], 0.7)] if len(image) else image for image in images
    ]
    assert [each.tolist() for each in found] == [each.tolist() for each in expected]
    assert 0 < sum(map(len, found)) < sum(sizes)
