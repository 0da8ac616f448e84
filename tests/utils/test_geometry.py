"""Boxes and affine maps: the forks' numbers to the bit, and what must hold for any box."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.utils.geometry import (
    box_to_center_scale,
    clip_boxes,
    compose,
    crop_image,
    invert,
    mirror_matrix,
    moved,
    seen_box,
    similarity_matrix,
    transform_points,
    udp_matrix,
)

FORKS = ("hrnet", "dark", "udp")


def crop_matrix(fork, center, scale, rotation, size):
    if fork == "udp":
        return udp_matrix(center, scale, rotation, size)
    return similarity_matrix(center, scale, rotation, size, inclusive=fork == "dark")


def test_a_box_outside_its_image_is_not_valid():
    boxes = np.array([[5, 5, 10, 10], [100, 5, 10, 10], [5, 90, 10, 10], [99, 49, 10, 10]])
    _, valid = clip_boxes(boxes, np.array([100, 50]))
    assert valid.tolist() == [True, False, False, True]


@pytest.mark.parametrize("fork", FORKS)
def test_a_crop_of_the_mirror_image_needs_no_mirror_image(fork):
    image = np.random.default_rng(0).integers(0, 256, (120, 91, 3), np.uint8)
    matrix = crop_matrix(fork, np.array([40.0, 60.0]), np.array([75.0, 100.0]), 20.0, (48, 64))
    of_mirror = crop_image(np.ascontiguousarray(image[:, ::-1]), matrix, (48, 64)).astype(int)
    in_one_go = crop_image(image, compose(matrix, mirror_matrix(91)), (48, 64)).astype(int)
    difference = np.abs(of_mirror - in_one_go)
    limit = 16 if cv2.__version__.startswith("4.") else 1  # OpenCV 4 rounds source coordinates to 1/32 px
    assert difference.max() <= limit and difference.mean() < 1


coordinate = st.floats(-500, 1500, allow_nan=False)
side = st.floats(8, 900, allow_nan=False)


@settings(max_examples=40, derandomize=True, deadline=None)
@given(x=coordinate, y=coordinate, width=side, height=side, rotation=st.floats(-180, 180), fork=st.sampled_from(FORKS))
def test_the_box_fills_the_crop(x, y, width, height, rotation, fork):
    """The padded box has the asked aspect ratio, its middle goes to the crop's middle, and `invert` leads back."""
    center, scale = box_to_center_scale(np.array([[x, y, width, height]]), 0.75, inclusive=fork == "dark")
    np.testing.assert_allclose(scale[0, 0], 0.75 * scale[0, 1], rtol=1e-5)
    matrix = crop_matrix(fork, center[0], scale[0], rotation, (192, 256))
    middle = np.array([96, 128]) if fork == "hrnet" else np.array([95.5, 127.5])
    np.testing.assert_allclose(transform_points(center, matrix)[0], middle, atol=5e-3)
    np.testing.assert_allclose(compose(invert(matrix), matrix), [[1, 0, 0], [0, 1, 0]], atol=1e-8)
    corner = transform_points(np.zeros((1, 2)), invert(matrix)) - center
    if fork == "udp":
        np.testing.assert_allclose(np.linalg.norm(corner), np.linalg.norm(scale[0]) / 2, rtol=1e-4)


@pytest.mark.parametrize("rgb", [False, True])
def test_a_fourth_channel_changes_no_crop(rgb):
    rng = np.random.default_rng(0)
    for number in range(60):
        height, width = rng.integers(20, 300, 2)
        image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        angle, scale = rng.uniform(-3, 3) * (number % 3 > 0), rng.uniform(0.2, 3)
        turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = np.concatenate([turn, rng.uniform(-100, 100, (2, 1))], axis=1)
        expected = cv2.warpAffine(image, matrix, (48, 64), flags=cv2.INTER_LINEAR)
        expected = expected[..., ::-1] if rgb else expected
        for source in (image, cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)):
            into = np.empty((64, 48, 3), np.uint8)
            assert np.array_equal(crop_image(source, matrix, (48, 64), rgb=rgb), expected)
            crop_image(source, matrix, (48, 64), into, rgb)
            assert np.array_equal(into, expected)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.floats(-60, 160), st.floats(-60, 120)), st.floats(2, 300), st.floats(-180, 180), st.booleans(),
    st.integers(0, 2**31),
)  # fmt: skip
def test_the_seen_box_holds_all_that_a_crop_reads(center, scale, rotation, flip, seed):
    image = np.random.default_rng(seed).integers(0, 255, (60, 100, 3), dtype=np.uint8)
    matrix = similarity_matrix(np.array(center), np.array([scale, scale]), rotation, (24, 32))
    matrix = compose(matrix, mirror_matrix(100)) if flip else matrix
    left, top, right, bottom = seen_box(matrix, (24, 32), (100, 60))
    assert 0 <= left < right <= 100 and 0 <= top < bottom <= 60
    crop = crop_image(image[top:bottom, left:right], moved(matrix, left, top), (24, 32))
    # From another origin coordinates are rounded a little otherwise: by OpenCV 5 in float32, by OpenCV 4 to 1/32 px.
    allowed = 1 if int(cv2.__version__.split(".")[0]) >= 5 else 2 * 255 / 32
    assert np.abs(crop.astype(int) - crop_image(image, matrix, (24, 32))).max() <= allowed
