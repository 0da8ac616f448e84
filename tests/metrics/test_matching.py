"""Which detections are right, by VOC's and by COCO's rule; COCOeval's own numbers are in test_against_cocoeval.py."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.metrics import COCO_THRESHOLDS, match_coco, match_voc, pool, precision_recall


def test_voc_counts_a_second_detection_of_the_same_object_as_wrong_and_coco_gives_it_the_other_one():
    similarity, scores = np.array([[0.9, 0.8], [0.8, 0.7]]), np.array([0.9, 0.5])
    assert match_voc(similarity, scores, 0.7).matched.tolist() == [True, False]
    assert match_coco(similarity, scores, 0.7).matched.tolist() == [True, True]


@pytest.mark.parametrize("match", [match_voc, match_coco])
def test_the_score_decides_who_comes_first_not_the_similarity(match):
    similarity = np.array([[0.99], [0.71]])
    assert match(similarity, np.array([0.4, 0.5]), 0.7).matched.tolist() == [False, True]
    assert match(similarity, np.array([0.5, 0.5]), 0.7).matched.tolist() == [True, False]  # equal: the first


@pytest.mark.parametrize("match", [match_voc, match_coco])
def test_a_similarity_equal_to_the_threshold_matches(match):
    assert match(np.array([[0.75]]), np.ones(1), np.array([0.5, 0.75, 0.76])).matched.tolist() == [
        [True], [True], [False],
    ]  # fmt: skip


def test_rounding_does_not_cost_a_perfect_detection_its_match():
    assert match_coco(np.array([[1 - 1e-12]]), np.ones(1), 1.0).matched.tolist() == [True]


@pytest.mark.parametrize("match", [match_voc, match_coco])
def test_detections_of_ignored_objects_are_ignored(match):
    found = match(np.array([[0.9, 0.0], [0.8, 0.0], [0.0, 0.9]]), np.array([0.9, 0.8, 0.7]), 0.5, np.array([1, 0]))
    assert found.num_truth == 1
    assert found.matched.tolist() == [False, False, True]
    # VOC ignores both detections of a difficult object; in COCO the first takes it, unless it is a crowd
    assert found.ignored.tolist() == [True, match is match_voc, False]


def test_a_crowd_can_be_taken_again_and_is_not_to_be_found():
    found = match_coco(np.array([[0.9], [0.8]]), np.array([0.9, 0.8]), 0.5, crowd=np.array([True]))
    assert found.num_truth == 0
    assert found.ignored.tolist() == [True, True]
    assert not found.matched.any()


def test_an_object_that_counts_goes_before_a_more_similar_ignored_one():
    found = match_coco(np.array([[0.6, 0.9]]), np.ones(1), np.array([0.5, 0.7]), np.array([False, True]))
    assert found.matched.tolist() == [[True], [False]]
    assert found.ignored.tolist() == [[False], [True]]


def test_detections_outside_the_range_are_ignored_only_where_they_take_nothing():
    similarity, everyone = np.array([[0.9], [0.1]]), np.array([True, True])
    found = match_coco(similarity, np.array([0.9, 0.8]), 0.5, outside=everyone)
    assert found.matched.tolist() == [True, False]
    assert found.ignored.tolist() == [False, True]


def test_beyond_max_detections_nothing_is_found_or_wrong():
    similarity, scores = np.eye(3), np.array([0.1, 0.3, 0.2])
    found = match_coco(similarity, scores, 0.5, max_detections=2)
    assert found.matched.tolist() == [False, True, True]
    assert found.ignored.tolist() == [True, False, False]
    assert found.num_truth == 3


@pytest.mark.parametrize("match", [match_voc, match_coco])
@pytest.mark.parametrize(("detections", "objects"), [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_match(match, detections, objects):
    for threshold, shape in ((0.5, (detections,)), (COCO_THRESHOLDS, (10, detections))):
        found = match(np.zeros((detections, objects)), np.zeros(detections), threshold)
        assert found.matched.shape == found.ignored.shape == shape
        assert not found.matched.any()
        assert found.num_truth == objects


def test_pooled_images_are_ranked_together():
    one = match_coco(np.array([[0.9], [0.1]]), np.array([0.9, 0.3]), COCO_THRESHOLDS)
    two = match_coco(np.array([[0.6, 0.0]]), np.array([0.5]), COCO_THRESHOLDS)
    pooled = pool([one, two])
    assert pooled.matched.shape == pooled.ignored.shape == (10, 3)
    assert pooled.num_truth == 3
    precision, recall = precision_recall(*pooled)
    np.testing.assert_allclose(precision[0], [1, 1, 2 / 3])  # at 0.5 both are found before the wrong one
    np.testing.assert_allclose(recall[:, -1], [2 / 3] * 3 + [1 / 3] * 6 + [0])  # 0.5 to 0.6; to 0.9; 0.95


def voc_by_turns(similarity, scores, threshold, difficult):
    """VOC's rule, a detection after the other: (matched, ignored)."""
    matched, ignored, taken = np.zeros(len(scores), bool), np.zeros(len(scores), bool), set()
    for detection in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        best = int(np.argmax(similarity[detection]))
        if similarity[detection, best] < threshold:
            continue
        ignored[detection] = difficult[best]
        matched[detection] = not difficult[best] and best not in taken
        taken.add(best)
    return matched, ignored


@st.composite
def images(draw):
    """similarity (N, M), scores (N,), thresholds (T,), flags (M,); coarse, so that equal values occur."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(0, 12)), draw(st.integers(1, 6))
    return (
        rng.integers(0, 11, shape) / 10,
        rng.integers(0, 6, shape[0]) / 5,
        np.array([0.5, 0.7]),
        rng.random(shape[1]) < 0.3,
    )


@given(images())
@settings(deadline=None)
def test_voc_equals_taking_turns(image):
    similarity, scores, thresholds, difficult = image
    found = match_voc(similarity, scores, thresholds, difficult)
    for number, threshold in enumerate(thresholds):
        matched, ignored = voc_by_turns(similarity, scores, threshold, difficult)
        assert found.matched[number].tolist() == matched.tolist()
        assert found.ignored[number].tolist() == ignored.tolist()


@pytest.mark.parametrize("match", [match_voc, match_coco])
@given(image=images())
@settings(deadline=None)
def test_properties_of_both(match, image):
    found = match(*image)
    assert not (found.matched & found.ignored).any()
    assert (found.matched.sum(axis=1) <= found.num_truth).all()
    for number, threshold in enumerate(image[2]):  # thresholds do not hang together
        alone = match(*image[:2], threshold, image[3])
        assert alone.matched.tolist() == found.matched[number].tolist()
        assert alone.ignored.tolist() == found.ignored[number].tolist()


@pytest.mark.parametrize("match", [match_voc, match_coco])
def test_shapes_that_do_not_fit_are_named(match):
    with pytest.raises(ValueError, match=r"similarity \(2, 3\) and scores \(3,\) do not fit together"):
        match(np.zeros((2, 3)), np.zeros(3), 0.5)
    with pytest.raises(
        ValueError, match=r"ignored or difficult has shape \(2,\), but there are 3; give one for every ob"
    ):
        match(np.zeros((2, 3)), np.zeros(2), 0.5, np.zeros(2))


def test_no_images_to_pool():
    with pytest.raises(ValueError, match="no images to pool"):
        pool([])
