"""G-RMI's votes against the paper's formula written out; what decoding makes of perfect, torn and broken outputs."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.codecs.grmi import GrmiCodec, hough_votes, votes_at

PAPER = {"input_size": (257, 353), "heatmap_size": (33, 45)}


def direct_votes(x, y, weight):
    """Eq. 1 without its constant, as a sum over all pairs of pixels: map (h,w) of x, y and weight (h,w)."""
    height, width = weight.shape
    votes = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            kernel = np.maximum(0, 1 - np.abs(x - column)) * np.maximum(0, 1 - np.abs(y - row))
            votes[row, column] = (kernel * weight).sum()
    return votes


@settings(max_examples=20, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    width=st.integers(2, 9),
    height=st.integers(2, 9),
    spread=st.sampled_from([0.0, 0.7, 3.0, 100.0]),
    whole=st.booleans(),
)
def test_votes_equal_the_sum_over_all_pairs_of_pixels(seed, width, height, spread, whole):
    rng = np.random.default_rng(seed)
    x = np.arange(width) + spread * rng.standard_normal((2, 3, height, width))
    y = np.arange(height)[:, None] + spread * rng.standard_normal((2, 3, height, width))
    x, y = (np.round(x), np.round(y)) if whole else (x, y)  # places on pixels and on the frame around the map
    weight = rng.random((2, 3, height, width))
    found = hough_votes(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(weight))
    expected = [[direct_votes(x[b, k], y[b, k], weight[b, k]) for k in range(3)] for b in range(2)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    pixel = torch.from_numpy(rng.integers(0, (width, height), (2, 3, 2)))
    at_pixel = votes_at(pixel.double(), torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(weight))
    index = pixel[..., 1] * width + pixel[..., 0]
    torch.testing.assert_close(at_pixel, found.flatten(2).gather(2, index[..., None])[..., 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("factor", [1, 2])
def test_the_vote_map_is_the_papers_formula(factor):
    """With a factor of the stride, 2 here, votes are cast from and on the input's own pixels."""
    codec = GrmiCodec((17, 21), (9, 11), 2, radius=6.0, vote_upsampling=factor)
    output = torch.randn(1, 6, 11, 9, generator=torch.Generator().manual_seed(0))
    x, y, weight = codec.ballots(output)
    size = (9, 11) if factor == 1 else (17, 21)
    large = F.interpolate(output, size[::-1], mode="bilinear", align_corners=True)
    radius = 6.0 / 2 * factor  # vote map px
    votes = hough_votes(x, y, weight)
    for joint in range(2):
        logits, offset_x, offset_y = large[0, 3 * joint : 3 * joint + 3].double().numpy()
        place_x, place_y = np.arange(size[0]) + radius * offset_x, np.arange(size[1])[:, None] + radius * offset_y
        expected = direct_votes(place_x, place_y, 1 / (1 + np.exp(-logits))) / (math.pi * radius**2)
        np.testing.assert_allclose(votes[0, joint], expected, rtol=0, atol=1e-5)


def test_heatmap_px_i_is_input_px_8i_and_the_disk_is_round_in_the_input():
    codec = GrmiCodec(**PAPER, num_joints=1)
    rows, columns = np.mgrid[:45, :33]
    pixels_input = torch.from_numpy(np.stack([8 * columns, 8 * rows], axis=-1).reshape(1, -1, 2)).float()
    back = codec.input_to_heatmap(pixels_input)
    assert torch.equal(back, torch.from_numpy(np.stack([columns, rows], axis=-1).reshape(1, -1, 2)).float())
    target, _ = codec.encode(torch.tensor([[[101.5, 203.25]]]), torch.ones(1, 1))
    distance = np.hypot(8 * columns - 101.5, 8 * rows - 203.25)
    np.testing.assert_array_equal(target[0, 0], distance <= 25)
    inside = distance <= 25
    np.testing.assert_allclose((8 * columns + 25 * target[0, 1].numpy())[inside], 101.5, atol=1e-4)
    np.testing.assert_allclose((8 * rows + 25 * target[0, 2].numpy())[inside], 203.25, atol=1e-4)


@settings(max_examples=20, derandomize=True, deadline=None)
@given(x=st.floats(30, 226), y=st.floats(30, 322))
def test_perfect_votes_have_unit_mass_at_the_keypoint(x, y):
    codec = GrmiCodec(**PAPER, num_joints=1)
    output = codec.perfect_output(codec.encode(torch.tensor([[[x, y]]]), torch.ones(1, 1))[0])
    keypoints, scores = codec.decode(output)
    np.testing.assert_allclose(codec.heatmap_to_input(keypoints)[0, 0], [x, y], rtol=0, atol=1e-3)
    assert scores.item() == pytest.approx(codec.ballots(output)[2].sum().item(), abs=1e-4)
    assert scores.item() == pytest.approx(1, abs=0.1)  # a disk of area pi (25/8)^2 holds 31 pixels or so


@pytest.mark.parametrize("corner", [(0.0, 0.0), (256.0, 352.0), (0.4, 350.0)])
def test_keypoints_at_the_border_are_found(corner):
    codec = GrmiCodec(**PAPER, num_joints=1)
    output = codec.perfect_output(codec.encode(torch.tensor([[corner]]), torch.ones(1, 1))[0])
    keypoints, scores = codec.decode(output)
    np.testing.assert_allclose(codec.heatmap_to_input(keypoints)[0, 0], corner, rtol=0, atol=1e-3)
    assert 0.2 < scores.item() < 0.6  # more than half of the disk is outside


def test_the_larger_agreement_wins_wherever_it_lies_between_the_pixels():
    """Two people in one crop: votes for a place between four pixels are shared out among them and still count whole."""
    codec = GrmiCodec(**PAPER, num_joints=1)
    on_a_pixel, between = (
        codec.perfect_output(codec.encode(torch.tensor([[place]]), torch.ones(1, 1))[0])
        for place in ([80.0, 80.0], [180.0, 268.0])
    )
    on_a_pixel[:, 0] = on_a_pixel[:, 0].clamp(max=1.0)  # seen with a probability of 0.73
    both = torch.where(between[:, :1] > 0, between, on_a_pixel)
    keypoints, scores = codec.decode(both)
    np.testing.assert_allclose(codec.heatmap_to_input(keypoints)[0, 0], [180, 268], rtol=0, atol=1e-3)
    assert scores.item() == pytest.approx(1, abs=0.1)


def test_stray_votes_do_not_move_the_keypoint():
    codec = GrmiCodec(**PAPER, num_joints=1)
    output = codec.perfect_output(codec.encode(torch.tensor([[[180.0, 270.0]]]), torch.ones(1, 1))[0])
    output[:, 1, 31:37, 22] = 1.5  # a column of the disk points 37 px further to the right
    keypoints, scores = codec.decode(output)
    np.testing.assert_allclose(codec.heatmap_to_input(keypoints)[0, 0], [180, 270], rtol=0, atol=1e-3)
    assert 0.7 < scores.item() < 0.9


def test_what_is_not_a_number_is_not_found():
    codec = GrmiCodec((65, 65), (9, 9), 3)
    output = torch.zeros(1, 9, 9, 9)
    output[0, 1, 4, 4] = output[0, 3, 4, 4] = float("nan")  # an offset of joint 0, the logit of joint 1
    scores = codec.decode(output)[1][0]
    assert scores[:2].isnan().all() and scores[2] > 0


def test_votes_that_miss_the_map_are_lost():
    codec = GrmiCodec((65, 65), (9, 9), 1)
    output = torch.full((1, 3, 9, 9), 1e30)
    keypoints, scores = codec.decode(output)
    assert not keypoints.any() and not scores.any()


def test_pictures_and_peaks():
    codec = GrmiCodec((65, 65), (9, 9), 2, radius=20.0)
    keypoints = torch.tensor([[[41.0, 22.0], [10.0, 55.0]]])
    target, _ = codec.encode(keypoints, torch.ones(1, 2))
    assert codec.peaks(target).flatten(2).argmax(dim=2).tolist() == [[3 * 9 + 5, 7 * 9 + 1]]
    output = torch.linspace(-30, 30, 6 * 81).view(1, 6, 9, 9)
    maps = codec.heatmaps(output)
    assert maps.shape == (1, 2, 9, 9) and maps.min() >= 0 and maps.max() <= 1
    torch.testing.assert_close(maps[:, 1], output[:, 3].sigmoid())
