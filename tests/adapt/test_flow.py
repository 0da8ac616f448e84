"""Labels carried along a clip."""

import cv2
import numpy as np
import pytest

from heatpose.adapt.flow import carry_over, follow


def film(shifts, seed=0):
    """Frames of a texture that moves by `shifts` (T, 2) px from the first one on."""
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.integers(0, 255, (120, 160, 3)).astype(np.uint8), (0, 0), 2)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
    return [
        cv2.warpAffine(texture, np.array([[1.0, 0, x], [0, 1.0, y]]), (160, 120), borderMode=cv2.BORDER_REFLECT)
        for x, y in shifts
    ]


POINTS = np.array([[60.0, 50.0], [90.0, 70.0]])
STEADY = np.array([[3.0 * frame, 2.0 * frame] for frame in range(4)])


def labels(shifts, confident):
    """Labels of a film: right and confident in the frames `confident`, wrong and unsure elsewhere."""
    keypoints = np.full((len(shifts), 2, 2), 5.0)
    confidence = np.full((len(shifts), 2), 0.1)
    for frame in confident:
        keypoints[frame] = POINTS + shifts[frame]
        confidence[frame] = 0.8
    return keypoints, confidence


def carried(shifts, confident, clip=None, frame=None, **options):
    frames = film(shifts)
    keypoints, confidence = labels(shifts, confident)
    clip = np.zeros(len(shifts), int) if clip is None else np.asarray(clip)
    before = keypoints.copy(), confidence.copy()
    frame = np.arange(len(shifts)) if frame is None else np.asarray(frame)
    result = carry_over(keypoints, confidence, clip, frame, frames.__getitem__, **options)
    assert np.array_equal(keypoints, before[0]) and np.array_equal(confidence, before[1])
    return result


def test_a_point_is_followed():
    before, after = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in film([(0, 0), (6, -4)]))
    moved, found = follow(before, after, POINTS)
    assert found.all()
    assert np.abs(moved - POINTS - (6, -4)).max() < 0.2


@pytest.mark.parametrize("confident", [0, 1, 3])
def test_the_confident_frame_s_labels_go_to_both_sides_with_less_confidence(confident):
    keypoints, confidence = carried(STEADY, [confident])
    assert np.abs(keypoints - (POINTS + STEADY[:, None])).max() < 0.5
    expected = 0.8 * 0.9 ** np.abs(np.arange(4) - confident)
    assert np.allclose(confidence, expected[:, None])


def test_the_more_confident_side_counts():
    keypoints, confidence = labels(STEADY, [0, 3])
    confidence[3] = 0.95
    result = carry_over(keypoints, confidence, np.zeros(4, int), np.arange(4), film(STEADY).__getitem__)
    assert np.allclose(result[1], np.array([[0.8], [0.95 * 0.81], [0.95 * 0.9], [0.95]]))


def test_a_label_is_not_replaced_by_a_less_confident_one():
    keypoints, confidence = labels(STEADY, [0, 1])
    keypoints[1] += 2.0  # another opinion, as confident
    result = carry_over(keypoints, confidence, np.zeros(4, int), np.arange(4), film(STEADY).__getitem__)
    assert np.array_equal(result[0][1], keypoints[1])


def test_what_moves_too_far_is_lost():
    _, confidence = carried(np.array([[0.0, 0], [9.0, 0], [18.0, 0]]), [0], limit=8.0)
    assert np.allclose(confidence, [[0.8] * 2, [0.1] * 2, [0.1] * 2])


def test_nothing_goes_from_clip_to_clip_or_to_single_images():
    _, confidence = carried(STEADY, [1], clip=[0, 0, 1, 1])
    assert np.allclose(confidence[:, 0], [0.72, 0.8, 0.1, 0.1])
    _, confidence = carried(STEADY, [1], clip=[-1, -1, -1, -1])
    assert np.allclose(confidence[:, 0], [0.1, 0.8, 0.1, 0.1])


def test_nothing_goes_over_a_gap():
    _, confidence = carried(STEADY, [0], frame=[3, 4, 6, 7])
    assert np.allclose(confidence[:, 0], [0.8, 0.72, 0.1, 0.1])


def test_each_frame_is_read_once():
    frames, read = film(STEADY), []
    keypoints, confidence = labels(STEADY, [0])
    carry_over(
        keypoints, confidence, np.zeros(4, int), np.arange(4), lambda index: (read.append(index), frames[index])[1]
    )
    assert sorted(read) == [0, 1, 2, 3]


def test_frames_of_other_sizes_and_points_outside_are_not_followed():
    before, after = (cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in film([(0, 0), (0, 0)]))
    assert not follow(before, after[:50], POINTS)[1].any()
    assert follow(before, after, np.array([[-3.0, 10.0], [60.0, 50.0]]))[1].tolist() == [False, True]
