"""LPN's soft-argmax against its code."""

import pytest
import torch

from heatpose.codecs.gaussian import GaussianCodec
from heatpose.codecs.soft_argmax import SoftArgmaxCodec, value_at


def test_encodes_and_flips_as_the_standard_codec(sizes, flip_pairs):
    soft, standard = (c(**sizes["192x256_s2"], shift_heatmap=True) for c in (SoftArgmaxCodec, GaussianCodec))
    keypoints, visible = torch.rand(2, 17, 2) * 180, torch.ones(2, 17)
    assert torch.equal(soft.encode(keypoints, visible)[0], standard.encode(keypoints, visible)[0])
    output = torch.rand(2, 17, 64, 48)
    assert torch.equal(soft.flip_back(output, flip_pairs), standard.flip_back(output, flip_pairs))


def test_the_bias_is_taken_off_in_image_px(sizes):
    keypoints, center, scale = torch.rand(1, 17, 2) * 40, torch.tensor([[50.0, 60.0]]), torch.tensor([[90.0, 120.0]])
    plain, biased = (SoftArgmaxCodec(**sizes["192x256_s2"], bias=bias) for bias in (0.0, 0.5))
    difference = plain.to_image(keypoints, center, scale) - biased.to_image(keypoints, center, scale)
    torch.testing.assert_close(difference, torch.full((1, 17, 2), 0.5))


def test_the_score_belongs_to_the_pixel_at_the_half_to_even_rounded_place():
    heatmaps = torch.arange(20.0).view(1, 1, 4, 5).repeat(1, 4, 1, 1)
    keypoints = torch.tensor([[[0.5, 0.0], [1.5, 0.0], [2.5, 1.5], [3.5, 2.5]]])
    assert value_at(heatmaps, keypoints).tolist() == [[0, 2, 12, 14]]


def test_a_higher_beta_comes_closer_to_the_maximum(sizes):
    heatmaps = torch.zeros(1, 17, 64, 48)
    heatmaps[..., 30, 20], heatmaps[..., 30, 24] = 1.0, 0.9
    places = [
        SoftArgmaxCodec(**sizes["192x256_s2"], beta=beta, post_process=False).decode(heatmaps)[0][0, 0, 0].item()
        for beta in (20.0, 40.0, 160.0)
    ]
    assert places == sorted(places, reverse=True) and places[-1] == pytest.approx(20, abs=1e-3)
