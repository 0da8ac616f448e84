"""Precision, recall and AP: a worked example, cases by hand, the definitions, and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from heatpose.metrics import average_precision, average_recall, box_iou, match_coco, match_voc, precision_recall
from heatpose.metrics.ap import METHODS

TRUTH = np.array([[480, 457, 515, 529], [637, 435, 676, 536]])
DETECTIONS = np.array([
    [641, 439, 670, 532, 0.972], [484, 455, 514, 519, 0.9113], [649, 479, 670, 531, 0.8505],
    [357, 458, 382, 485, 0.2452], [468, 435, 520, 521, 0.1618], [336, 463, 362, 496, 0.1342],
])  # fmt: skip


@pytest.mark.parametrize("match", [match_voc, match_coco])
@pytest.mark.parametrize("inclusive", [False, True])
def test_the_worked_example(match, inclusive):
    """Of six detections the second alone has an IoU of 0.7 with one of two people, in both conventions of pixels."""
    similarity = box_iou(DETECTIONS, TRUTH, inclusive)
    found = match(similarity, DETECTIONS[:, 4], 0.7)
    assert found.matched.tolist() == [False, True, False, False, False, False]
    precision, recall = precision_recall(*found)
    shown = [(int(100 * p) / 100, r) for p, r in zip(precision, recall, strict=True)]
    assert shown == [(0, 0), (0.5, 0.5), (0.33, 0.5), (0.25, 0.5), (0.2, 0.5), (0.16, 0.5)]
    assert average_precision(precision, recall, "voc11") == pytest.approx(6 * 0.5 / 11, abs=1e-15)  # 0, 0.1, ..., 0.5
    assert average_precision(precision, recall, "voc2010") == pytest.approx(0.5 * 0.5, abs=1e-15)
    assert average_precision(precision, recall, "coco101") == pytest.approx(51 * 0.5 / 101, abs=1e-15)  # ..., 0.50


# Four people; right, wrong, right, wrong, right. Precision 1, 1/2, 2/3, 1/2, 3/5 at recall 1/4, 1/4, 1/2, 1/2, 3/4.
BY_HAND = {
    "voc11": (3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11,  # 0, .1, .2; .3, .4, .5; .6, .7; nothing at .8, .9, 1
    "voc2010": (1 + 2 / 3 + 3 / 5) / 4,
    "coco101": (26 * 1 + 25 * 2 / 3 + 25 * 3 / 5) / 101,  # 0 to .25; .26 to .50; .51 to .75
}


@pytest.mark.parametrize("method", METHODS)
def test_by_hand(method):
    curve = precision_recall(np.array([1, 0, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6, 0.5]), 4)
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 1 / 2, 3 / 5])
    np.testing.assert_allclose(curve.recall, [1 / 4, 1 / 4, 1 / 2, 1 / 2, 3 / 4])
    assert average_precision(*curve, method) == pytest.approx(BY_HAND[method], abs=1e-15)


@pytest.mark.parametrize("method", METHODS)
def test_all_found_is_1_and_none_found_is_0(method):
    scores = np.array([0.1, 0.2, 0.3])
    assert average_precision(*precision_recall(np.ones(3), scores, 3), method) == 1
    assert average_precision(*precision_recall(np.zeros(3), scores, 3), method) == 0
    assert average_precision(*precision_recall(np.zeros(0), np.zeros(0), 3), method) == 0


def test_vocs_tenths_are_exact_and_cocos_points_are_cocoevals():
    """7 of 10 are found: that is VOC's recall 0.7, but COCOeval's point 0.7 is 0.7000000000000001."""
    curve = np.ones(7), np.arange(1, 8) / 10
    assert average_precision(*curve, "voc11") == pytest.approx(8 / 11, abs=1e-15)
    assert average_precision(*curve, "coco101") == pytest.approx(70 / 101, abs=1e-15)


def test_ignored_detections_change_nothing_but_the_length():
    matched, scores = np.array([0, 1, 0, 1, 0], bool), np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    ignored = np.array([1, 0, 1, 0, 1], bool)
    curve = precision_recall(matched | ignored, scores, 3, ignored)
    assert curve.precision.tolist() == [0, 1, 1, 1, 1]
    rest = precision_recall(matched[~ignored], scores[~ignored], 3)
    for method in METHODS:
        assert average_precision(*curve, method) == average_precision(*rest, method)


def test_leading_axes_are_curves_of_their_own():
    rng = np.random.default_rng(0)
    matched, ignored, scores = rng.random((3, 4, 30)) < 0.4, rng.random((3, 4, 30)) < 0.2, rng.random(30)
    curves = precision_recall(matched, scores, 40, ignored)
    for method in METHODS:
        together = average_precision(*curves, method)
        assert together.shape == (3, 4)
        for place in np.ndindex(3, 4):
            alone = average_precision(*precision_recall(matched[place], scores, 40, ignored[place]), method)
            assert together[place] == pytest.approx(alone, abs=1e-15)  # sums of another order
        nothing = precision_recall(np.zeros((3, 4, 0)), np.zeros(0), 40)
        assert average_precision(*nothing, method).tolist() == np.zeros((3, 4)).tolist()


def test_average_recall_is_the_mean_of_the_highest():
    recall = precision_recall(np.array([[1, 1, 0], [0, 0, 1]]), np.array([0.3, 0.2, 0.1]), 4).recall
    assert average_recall(recall) == (2 / 4 + 1 / 4) / 2
    assert average_recall(np.zeros((10, 0))) == 0


def defined(precision, recall, method):
    """AP as the papers put it, point by point."""

    def best(at):
        return max((p for p, r in zip(precision, recall, strict=True) if r >= at), default=0.0)

    if method == "voc2010":
        steps = sorted(set(recall) - {0.0})
        return sum((high - low) * best(high) for low, high in zip([0.0, *steps], steps, strict=False))
    points = np.arange(11) / 10 if method == "voc11" else np.linspace(0, 1, 101)
    return sum(best(at) for at in points) / len(points)


@st.composite
def detections(draw):
    """matched (N,), scores (N,), the number of objects, ignored (N,); N from 1 on."""
    count = draw(st.integers(1, 30))
    matched, ignored = (draw(arrays(bool, count)) for _ in range(2))
    scores = draw(arrays(np.float64, count, elements=st.integers(0, 20).map(lambda i: i / 20)))
    return matched, scores, draw(st.integers(max(1, int(matched.sum())), 40)), ignored


@given(detections(), st.sampled_from(METHODS))
@settings(deadline=None)
def test_ap_is_its_definition_and_lies_between_0_and_1(found, method):
    precision, recall = precision_recall(*found)
    assert (np.diff(recall) >= 0).all()
    assert ((precision >= 0) & (precision <= 1) & (recall >= 0) & (recall <= 1)).all()
    ap = average_precision(precision, recall, method)
    assert ap == pytest.approx(defined(precision.tolist(), recall.tolist(), method), abs=1e-12)
    assert 0 <= ap <= 1


@given(detections(), st.sampled_from([np.square, lambda s: 5 * s - 3, lambda s: np.exp(10 * s)]))
@settings(deadline=None)
def test_only_the_order_of_the_scores_counts(found, monotone):
    matched, scores, num_truth, ignored = found
    np.testing.assert_array_equal(
        precision_recall(*found), precision_recall(matched, monotone(scores), num_truth, ignored)
    )


@given(detections(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_the_order_of_the_rows_does_not_count(found, seed):
    rng = np.random.default_rng(seed)
    matched, scores, num_truth, ignored = found
    scores, order = rng.permutation(len(scores)), rng.permutation(len(scores))
    np.testing.assert_array_equal(
        precision_recall(matched, scores, num_truth, ignored),
        precision_recall(matched[order], scores[order], num_truth, ignored[order]),
    )


@given(detections(), st.sampled_from(METHODS))
@settings(deadline=None)
def test_a_wrong_detection_never_raises_ap_and_at_the_end_costs_nothing(found, method):
    matched, scores, num_truth, ignored = found
    ap = average_precision(*precision_recall(*found), method)

    def with_wrong_one(score):
        more = np.append(matched, False), np.append(scores, score), num_truth, np.append(ignored, False)
        return average_precision(*precision_recall(*more), method)

    assert with_wrong_one(-1.0) == pytest.approx(ap, abs=1e-15)
    assert with_wrong_one(2.0) <= ap


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: average_precision(np.ones(2), np.ones(2), "voc2012"), "unknown method 'voc2012'; use one of voc11"),
        (lambda: average_precision(np.ones(2), np.ones(3)), r"precision \(2,\) and recall \(3,\) differ in shape"),
        (lambda: average_precision(np.ones(2), np.array([0.5, 0.2])), "the recall falls along the curve"),
        (lambda: precision_recall(np.ones(2), np.ones(3), 4), r"matched \(2,\), ignored \(2,\) and scores \(3,\)"),
        (lambda: precision_recall(np.ones(2), np.ones(2), 4, np.ones(1)), r"ignored \(1,\)"),
        (lambda: precision_recall(np.ones(2), np.array([0.1, np.nan]), 4), "the score of detection 1 is NaN"),
        (lambda: precision_recall(np.zeros(2), np.ones(2), 0), "num_truth is 0: without anybody to be found"),
    ],
)  # fmt: skip
def test_what_has_no_answer_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
