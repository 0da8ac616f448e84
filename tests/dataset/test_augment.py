"""Augmentation: the forks' half-body boxes and mirroring, and bounds of what is drawn."""

import numpy as np
import pytest

from heatpose.dataset.augment import Augmentation, half_body_box, mirror_keypoints, vary_box
from heatpose.dataset.skeletons import COCO

BOX = np.array([50.0, 60.0], np.float32), np.array([75.0, 100.0], np.float32)
POINTS = np.random.default_rng(0).uniform(0, 100, (17, 2))
ALL = np.ones(17, np.float32)


def draw(how, rng):
    return vary_box(*BOX, POINTS, ALL, COCO.upper_body, 0.75, how, rng)


def test_nothing_asked_for_changes_nothing():
    center, scale, rotation, flip = draw(Augmentation(), np.random.default_rng(0))
    assert np.array_equal(center, BOX[0])
    assert np.array_equal(scale, BOX[1])
    assert (rotation, flip) == (0.0, False)


def test_draws_stay_in_their_bounds_and_have_their_frequencies():
    how, rng = Augmentation(flip=True, scale_factor=0.3, rotation_factor=20), np.random.default_rng(0)
    drawn = [draw(how, rng) for _ in range(2000)]
    factors = np.array([scale[0] / BOX[1][0] for _, scale, _, _ in drawn])
    rotations = np.array([rotation for *_, rotation, _ in drawn])
    assert factors.min() == pytest.approx(0.7)
    assert factors.max() == pytest.approx(1.3)
    assert np.abs(rotations).max() == 40
    assert abs((rotations == 0).mean() - 0.4) < 0.04
    assert abs(np.mean([flip for *_, flip in drawn]) - 0.5) < 0.04


def test_half_body_prefers_the_upper_half_in_69_percent_and_leaves_few_joints_alone():
    how, rng = Augmentation(prob_half_body=1.0, num_joints_half_body=8), np.random.default_rng(0)
    upper = half_body_box(POINTS, ALL, COCO.upper_body, 0.75, prefer_upper=True)
    centers = np.array([draw(how, rng)[0] for _ in range(2000)])
    assert abs((centers == upper[0]).all(axis=1).mean() - 0.69) < 0.03
    few = np.where(np.arange(17) < 8, 1, 0)
    assert np.array_equal(vary_box(*BOX, POINTS, few, COCO.upper_body, 0.75, how, rng)[0], BOX[0])


def test_half_body_box_has_the_aspect_ratio_and_holds_the_points():
    center, scale = half_body_box(POINTS, ALL, COCO.upper_body, 0.75, prefer_upper=True)
    assert scale[0] / scale[1] == pytest.approx(0.75)
    assert (np.abs(POINTS[:11] - center) <= scale).all()


def test_mirroring_twice_is_nothing():
    points, visible = mirror_keypoints(POINTS, np.arange(17), 200, COCO.flip_pairs)
    assert points[1, 0] == 199 - POINTS[2, 0]
    again = mirror_keypoints(points, visible, 200, COCO.flip_pairs)
    np.testing.assert_allclose(again[0], POINTS)
    assert np.array_equal(again[1], np.arange(17))


def test_flip_pairs_join_left_and_right_of_the_same_name():
    for left, right in COCO.flip_pairs:
        assert COCO.names[left].replace("left", "right") == COCO.names[right]
    assert len(COCO.sigmas) == COCO.num_joints
