"""MPII's PCKh by HRNet's protocol; its own code's numbers are in benchmarks/parity."""

import numpy as np
import pytest

from heatpose.metrics import pckh


def mpii_people(count=4):
    """Keypoints counted from 0, truth, head boxes of size 10 after the factor 0.6, all visible."""
    keypoints = np.random.default_rng(0).uniform(0, 200, (count, 16, 2))
    boxes = np.zeros((count, 2, 2)) + [[0.0, 0.0], [10 / 0.6, 0.0]]
    return keypoints, keypoints + 1, boxes, np.ones((count, 16))


def test_pckh_of_the_truth_is_100_and_pelvis_and_thorax_do_not_count():
    keypoints, truth, boxes, visible = mpii_people()
    assert set(pckh(keypoints, truth, boxes, visible).values()) == {100.0}
    keypoints[:, [6, 7]] += 500
    assert set(pckh(keypoints, truth, boxes, visible).values()) == {100.0}
    keypoints[0, 8] += 500  # the upper neck stands in the mean alone
    assert {name: round(value, 6) for name, value in pckh(keypoints, truth, boxes, visible).items()} == {
        **dict.fromkeys(("Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle"), 100.0),
        **dict.fromkeys(("Mean", "Mean@0.1"), round(100 * (1 - 1 / 56), 6)),
    }


@pytest.mark.parametrize(("off", "mean", "tenth"), [(1.09, 100, 100), (1.11, 100, 0), (4.99, 100, 0), (5.01, 0, 0)])
def test_mean_at_a_tenth_is_at_eleven_hundredths(off, mean, tenth):
    keypoints, truth, boxes, visible = mpii_people()
    scores = pckh(keypoints + (off, 0), truth, boxes, visible)
    assert (scores["Mean"], scores["Mean@0.1"]) == (mean, tenth)


def test_pckh_means_weigh_joints_by_how_often_they_are_visible():
    keypoints, truth, boxes, visible = mpii_people()
    keypoints[:, 10] += 500  # right wrist
    visible[1:, 10] = 0
    scores = pckh(keypoints, truth, boxes, visible)
    assert scores["Wrist"] == 50
    assert scores["Mean"] == pytest.approx(100 * (1 - 1 / (14 * 4 - 3)))


def test_pckh_of_joints_that_nobody_shows_is_minus_1():
    keypoints, truth, boxes, visible = mpii_people()
    visible[:, [0, 5, 10]] = 0
    scores = pckh(keypoints, truth, boxes, visible)
    assert scores["Ankle"] == -1
    assert scores["Wrist"] == 100  # the left one
    assert scores["Mean"] == 100
    assert set(pckh(keypoints, truth, boxes, np.zeros((4, 16))).values()) == {-1.0}
