"""PCK, AUC and EPE by hand, and their properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.metrics import auc, epe, pck


def test_pck_counts_the_limit_and_takes_any_normaliser():
    truth = np.zeros((2, 2, 2))
    predicted = truth + [[[3.0, 4.0]], [[6.0, 8.0]]]  # 5 px off, 10 px off
    everyone = np.ones((2, 2))
    assert pck(predicted, truth, 10.0, 0.5, everyone).tolist() == [0.5, 0.5]
    assert pck(predicted, truth, 10.0, 0.49, everyone).tolist() == [0, 0]
    assert pck(predicted, truth, np.array([[10.0], [20.0]]), 0.5, everyone).tolist() == [1, 1]
    assert pck(predicted, truth, np.array([[10.0, 9.0], [20.0, 20.0]]), 0.5, everyone).tolist() == [1, 0.5]
    assert pck(predicted, truth, 10.0, np.array([0.1, 0.5, 1.0]), everyone).tolist() == [[0, 0], [0.5, 0.5], [1, 1]]


def test_pck_leaves_out_what_is_not_visible():
    truth, visible = np.zeros((2, 2, 2)), np.array([[1, 0], [0, 0]])
    found = pck(truth, truth, 1.0, 0.5, visible)
    assert found[0] == 1
    assert np.isnan(found[1])


def test_pck_takes_one_length_for_each_person_with_or_without_a_second_axis():
    truth = np.zeros((2, 2, 2))
    predicted = truth + [[[3.0, 4.0]], [[6.0, 8.0]]]
    lengths = np.array([10.0, 19.0])
    for normaliser in (lengths, lengths[:, None], np.repeat(lengths[:, None], 2, axis=1)):
        assert pck(predicted, truth, normaliser, 0.5, np.ones((2, 2))).tolist() == [0.5, 0.5]


def test_people_without_a_length_are_left_out_and_missing_predictions_are_misses():
    truth, everyone = np.zeros((3, 2, 2)), np.ones((3, 2))
    predicted = truth.copy()
    predicted[0, 1] = np.nan
    assert pck(predicted, truth, np.array([1.0, 1.0, np.nan]), 0.5, everyone).tolist() == [1, 0.5]
    assert np.isnan(pck(predicted, truth, np.nan, 0.5, everyone)).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"normaliser": 0.0}, "a normaliser of 0 px; give positive lengths, or NaN to leave people out"),
        ({"normaliser": np.array([3.0, -2.0])}, "a normaliser of -2 px"),
        ({"normaliser": np.ones(3)}, r"a normaliser of shape \(3,\) for 2 people with 4 keypoints"),
        ({"normaliser": np.ones((1, 4))}, r"a normaliser of shape \(1, 4\)"),
        ({"visible": np.ones((4, 2))}, r"visible \(4, 2\) do not fit together; give \(N, K, 2\)"),
        ({"predicted": np.ones((1, 4, 2))}, r"predicted \(1, 4, 2\), truth \(2, 4, 2\)"),
        ({"predicted": np.ones((2, 4, 3)), "truth": np.ones((2, 4, 3))}, r"predicted \(2, 4, 3\)"),
    ],
)
def test_what_pck_cannot_measure_is_said(changed, message):
    people = {"predicted": np.ones((2, 4, 2)), "truth": np.ones((2, 4, 2)), "visible": np.ones((2, 4))}
    with pytest.raises(ValueError, match=message):
        pck(**{**people, "normaliser": 1.0, "threshold": 0.5, **changed})


@pytest.mark.parametrize("thresholds", [0.5, [0.5], [0.1, 0.1, 0.2], [0.2, 0.1]])
def test_auc_wants_a_range(thresholds):
    with pytest.raises(ValueError, match="span no range; give two or more that rise"):
        auc(np.ones((2, 4, 2)), np.ones((2, 4, 2)), 1.0, thresholds, np.ones((2, 4)))


def test_auc_by_hand():
    truth = np.zeros((2, 2, 2))
    predicted = truth.copy()
    predicted[1, :, 0] = 2, 9  # the first joint of the second person is found from 0.2 on, the second never
    visible = np.ones((2, 2))
    # between 0.1 and 0.2 the curve rises from a half to one
    assert auc(predicted, truth, 10.0, [0.1, 0.2, 0.5], visible) == pytest.approx([(0.1 * 0.75 + 0.3) / 0.4, 0.5])
    assert auc(truth, truth, 10.0, [0.0, 0.5], visible).tolist() == [1, 1]
    assert np.isnan(auc(truth, truth, 10.0, [0.0, 0.5], np.array([[1, 0], [1, 0]]))).tolist() == [False, True]


def test_epe_by_hand():
    truth = np.zeros((2, 3, 2))
    predicted = truth + [[[3.0, 4.0]], [[0.0, 1.0]]]
    truth[1, 1] = np.nan  # unknown, and so is all of the third joint
    result = epe(predicted, truth, np.array([[1, 1, 0], [2, 0, 0]]))
    np.testing.assert_array_equal(result.per_joint, [3, 5, np.nan])
    assert result.mean == pytest.approx(11 / 3)
    assert np.isnan(epe(predicted, truth, np.zeros((2, 3))).mean)


@st.composite
def poses(draw):
    """predicted, truth (N, K, 2) and visible (N, K)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    truth = rng.uniform(0, 100, (*shape, 2))
    return truth + rng.normal(0, 20, truth.shape), truth, rng.integers(0, 3, shape)


@given(poses(), st.floats(0.5, 100))
@settings(deadline=None)
def test_pck_rises_with_the_threshold_and_auc_lies_within_it(people, length):
    predicted, truth, visible = people
    thresholds = np.linspace(0, 1, 11)
    curve = pck(predicted, truth, length, thresholds, visible)
    known = (visible > 0).any(axis=0)
    assert (np.isnan(curve) == ~known).all()
    assert (np.diff(curve[:, known], axis=0) >= 0).all()
    area = auc(predicted, truth, length, thresholds, visible)[known]
    assert ((area >= curve[0, known] - 1e-12) & (area <= curve[-1, known] + 1e-12)).all()
    assert ((area >= 0) & (area <= 1 + 1e-12)).all()


@given(poses(), st.floats(0.1, 10))
@settings(deadline=None)
def test_scale_cancels_in_pck_and_multiplies_epe(people, factor):
    predicted, truth, visible = people
    assert pck(predicted, truth, 10.0, 0.77, visible) == pytest.approx(
        pck(predicted * factor, truth * factor, 10.0 * factor, 0.77, visible), nan_ok=True
    )
    small, large = epe(predicted, truth, visible), epe(predicted * factor, truth * factor, visible)
    assert large.per_joint == pytest.approx(small.per_joint * factor, nan_ok=True)
    assert large.mean == pytest.approx(small.mean * factor, nan_ok=True)
