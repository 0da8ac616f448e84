"""Augmentation: the forks' half-body boxes and mirroring, and bounds of what is drawn."""

import numpy as np
import pytest

from heatpose.dataset.augment import (
    Augmentation,
    MSPNAugmentation,
    half_body_box,
    mirror_keypoints,
    mspn_half_body_box,
    vary_box,
)
from heatpose.dataset.skeletons import COCO, MPII

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


def test_vary_is_hrnet_s_unless_it_is_mspn_s():
    how = Augmentation(True, 0.3, 20, 0.5)
    first = how.vary(*BOX, POINTS, ALL, COCO, 0.75, np.random.default_rng(3))
    second = vary_box(*BOX, POINTS, ALL, COCO.upper_body, 0.75, how, np.random.default_rng(3))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


# --- MSPN ---------------------------------------------------------------------------------------------------------


def test_mspn_s_boxes_grow_by_random_shares_and_its_draws_are_uniform():
    how, rng = MSPNAugmentation(True, 0.25, 45, random_extension=(0.6, 0.8)), np.random.default_rng(0)
    size = np.array([60.0, 80.0])  # 0.75 already: both sides grow on their own, then one makes up for the other
    drawn = [how.vary(BOX[0], size, POINTS, ALL, COCO, 0.75, rng) for _ in range(4000)]
    assert all(np.array_equal(center, BOX[0]) for center, *_ in drawn)
    heights = np.array([scale[1] / 80 for _, scale, *_ in drawn])
    assert all(scale[0] / scale[1] == pytest.approx(0.75) for _, scale, *_ in drawn)
    shrunk = 1.05 * 0.8
    assert shrunk * 0.75 <= heights.min() < shrunk * 0.8 and shrunk * 2.1 < heights.max() <= shrunk * 1.8 * 1.25
    # The larger of two uniform shares up to 0.6 and 0.8 is 0.475 on the average.
    assert heights.mean() == pytest.approx(shrunk * 1.475, rel=0.01)
    rotations = np.array([rotation for _, _, rotation, _ in drawn])
    assert (rotations == 0).mean() == pytest.approx(0.5, abs=0.03)
    assert np.abs(rotations).max() <= 45 and rotations[rotations != 0].std() == pytest.approx(45 / 3**0.5, rel=0.05)
    assert np.mean([flip for *_, flip in drawn]) == pytest.approx(0.5, abs=0.03)


def test_mspn_s_half_bodies_have_its_own_halves_and_their_own_growth():
    how = MSPNAugmentation(False, 0.0, 0.0, 1.0, 3, (0.0, 0.0))
    rng = np.random.default_rng(0)
    centers = np.array([how.vary(*BOX, POINTS, ALL, COCO, 0.75, rng)[0] for _ in range(1000)])
    halves = [POINTS[:13], POINTS[13:]]
    middles = np.array([(half.min(axis=0) + half.max(axis=0)) / 2 for half in halves])
    is_upper, is_lower = (np.abs(centers - middle).max(axis=1) < 1e-4 for middle in middles)
    assert (is_upper | is_lower).all() and is_upper.mean() == pytest.approx(0.69, abs=0.05)


def test_mspn_s_half_body_needs_more_keypoints():
    def box(count, prefer_upper=True):
        seen = np.where(np.arange(17) < count, 2, 0)
        return mspn_half_body_box(POINTS, seen, COCO.upper_body_mspn, 0.75, prefer_upper, np.zeros(2))

    assert box(2) is None
    few, (center, scale) = POINTS[:3], box(3)
    np.testing.assert_allclose(center, (few.min(axis=0) + few.max(axis=0)) / 2, rtol=1e-6)
    assert scale[0] / scale[1] == pytest.approx(0.75)
    # The lower body has 4 keypoints, which must all be seen to count.
    lower = POINTS[13:]
    np.testing.assert_allclose(box(17, False)[0], (lower.min(axis=0) + lower.max(axis=0)) / 2, rtol=1e-6)
    upper = POINTS[:13]
    np.testing.assert_allclose(box(16, False)[0], (upper.min(axis=0) + upper.max(axis=0)) / 2, rtol=1e-6)


def test_mspn_s_upper_body_has_coco_s_hips_and_not_mpii_s():
    added = set(COCO.upper_body_mspn) - set(COCO.upper_body)
    assert {COCO.names[joint] for joint in added} == {"left_hip", "right_hip"}
    assert MPII.upper_body_mspn == ()


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
