"""MSPN's targets and decoding against plain loops with OpenCV, and their quirks."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.codecs.megvii import KERNELS, MegviiCodec

SIZE, HEATMAP = (96, 128), (24, 32)
WIDTH, HEIGHT = HEATMAP


def codec(joints=1, **arguments):
    return MegviiCodec(SIZE, HEATMAP, joints, **arguments)


def loop_target(x, y, side):
    """One joint's map with OpenCV."""
    one_hot = np.zeros((HEIGHT, WIDTH), np.float32)
    one_hot[int(y / 4), int(x / 4)] = 1
    blurred = cv2.GaussianBlur(one_hot, (side, side), 0)
    return blurred * (255 / blurred.max())


@settings(max_examples=40, derandomize=True, deadline=None)
@given(x=st.floats(0, SIZE[0] - 1), y=st.floats(0, SIZE[1] - 1))
def test_targets_equal_a_loop_over_kernels(x, y):
    targets, _ = codec().training_targets(torch.tensor([[[x, y]]], dtype=torch.float64), torch.ones(1, 1))
    for side, target in zip(KERNELS, targets, strict=True):
        np.testing.assert_allclose(target[0, 0], loop_target(x, y, side), rtol=0, atol=2e-4)


def loop_decode(heatmap, side, ratios):
    """x, y of one map: the highest pixel, then a share of the way to each next one."""
    field = cv2.GaussianBlur(np.pad(heatmap.astype(np.float64), 10), (side, side), 0)

    def highest():
        row, column = np.unravel_index(field.argmax(), field.shape)
        field[row, column] = 0
        return np.array([column, row]) - 10.0

    place = highest()
    for ratio in ratios:
        way = highest() - place
        length = np.hypot(*way)
        place = place + (ratio * way / length if length > 1e-3 else 0)
    return np.clip(place, 0, [WIDTH - 1, HEIGHT - 1])


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(["noise", "negative", "low"]),
    side=st.sampled_from([5, 9, 11]),
    ratios=st.sampled_from([(0.25,), (0.25, 0.125), ()]),
)
def test_decode_equals_a_loop_over_joints(seed, kind, side, ratios):
    heatmaps = torch.randn(2, 5, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed)) * 60
    heatmaps = {"noise": heatmaps, "negative": -heatmaps.abs(), "low": heatmaps - 100}[kind]
    before = heatmaps.clone()
    keypoints, scores = codec(5, blur_kernel=side, shift_ratios=ratios).decode(heatmaps)
    for heatmap, point, score in zip(
        heatmaps.flatten(0, 1).numpy(), keypoints.flatten(0, 1), scores.flatten(), strict=True
    ):
        expected = loop_decode(heatmap, side, ratios)
        np.testing.assert_allclose(point, expected, rtol=0, atol=1e-5)
        column, row = np.round(expected).astype(int)  # halves to even
        assert score.item() == pytest.approx(heatmap[row, column] / 255 + 0.5, abs=1e-5)
    assert torch.equal(heatmaps, before), "decode changed its input"


def test_a_map_without_a_positive_value_is_decoded_to_the_first_pixel_with_a_score_above_0():
    """The zeros around the map win; a quirk of the original, whose scores are about 0.5 where nothing is found."""
    keypoints, scores = codec().decode(torch.full((1, 1, HEIGHT, WIDTH), -1.0))
    assert keypoints.tolist() == [[[0, 0]]]
    assert scores.item() == pytest.approx(0.5 - 1 / 255)


def test_weights_are_visibilities_and_joints_outside_the_input_have_none():
    places = torch.tensor([[[0.0, 0.0], [95.0, 127.0], [-0.01, 5.0], [95.01, 5.0], [5.0, 127.5], [40.0, 50.0]]])
    visible = torch.tensor([[2.0, 1.0, 2.0, 2.0, 1.0, 0.0]])
    targets, weight = codec(6).training_targets(places, visible)
    assert weight[0, :, 0].tolist() == [2, 1, 0, 0, 0, 0]
    for target in targets:
        assert target.amax(dim=(2, 3)).tolist() == [[255, 255, 0, 0, 0, 0]]


def test_the_wider_the_kernel_the_wider_the_target():
    targets, _ = codec().training_targets(torch.tensor([[[50.0, 60.0]]]), torch.ones(1, 1))
    sums = [target.sum().item() for target in targets]
    assert sums == sorted(sums, reverse=True) and len(set(sums)) == len(KERNELS)


def test_beside_the_border_the_mirrored_blur_moves_the_maximum():
    targets, _ = codec().training_targets(torch.tensor([[[6.0, 60.0]]]), torch.ones(1, 1))
    assert [int(target.amax(dim=2).argmax()) for target in targets] == [0] * len(KERNELS)


def test_a_pixel_stands_for_the_middle_of_its_cell():
    keypoints = torch.tensor([[[0.0, 0.0], [23.0, 31.0]]])
    image = codec(2).to_image(keypoints, torch.tensor([[48.0, 64.0]]), torch.tensor([[96.0, 128.0]]))
    assert image.tolist() == [[[2, 2], [94, 126]]]
    assert torch.equal(codec(2).heatmap_to_input(keypoints), image)


def test_flipped_keypoints_fall_into_the_mirrored_cell_but_for_one_place_in_four():
    """The code mirrors x to W - 1 - x and takes x / 4 downwards, so a cell's last quarter goes next door."""
    x = torch.arange(8, 88, 0.5)
    keypoints = torch.stack((x, torch.full_like(x, 60.0)), dim=-1)[:, None]
    mirrored = torch.stack((SIZE[0] - 1 - x, keypoints[:, 0, 1]), dim=-1)[:, None]
    target, mirrored_target = (codec().encode(k, torch.ones(len(x), 1))[0] for k in (keypoints, mirrored))
    same = (codec().flip_back(mirrored_target, ()) == target).all(dim=(1, 2, 3))
    assert torch.equal(same, x % 4 <= 3)
