"""The standard heatmap against HRNet's, SimpleBaselines' and LPN's code."""

import torch

from heatpose.codecs.gaussian import GaussianCodec, quarter_shift


def test_column_0_keeps_its_value_when_the_flipped_map_moves(sizes):
    output = torch.arange(48.0).expand(1, 17, 64, 48)
    flipped = GaussianCodec(**sizes["192x256_s2"], shift_heatmap=True).flip_back(output, ())
    assert flipped[0, 0, 0].tolist() == [47, *range(47, 0, -1)]


def test_quarter_shift_leaves_out_row_and_column_1():
    heatmaps = torch.zeros(1, 3, 8, 8)
    for joint, x in enumerate((1, 2, 6)):
        heatmaps[0, joint, 4, x], heatmaps[0, joint, 4, x + 1] = 1.0, 0.5
    keypoints = torch.tensor([[[1.0, 4.0], [2.0, 4.0], [6.0, 4.0]]])
    assert quarter_shift(heatmaps, keypoints)[0, :, 0].tolist() == [1.0, 2.25, 6.25]


def test_a_joint_just_outside_keeps_its_weight_with_an_empty_map(sizes):
    """The originals' border test is strict: a window that ends one pixel before the map counts as inside."""
    codec = GaussianCodec(**sizes["192x256_s2"])
    target, weight = codec.render(
        torch.tensor([[[-7.6, 20.0], [-8.5, 20.0], [53.0, 20.0], [54.0, 20.0]]]), torch.ones(1, 4)
    )
    assert weight[0, :, 0].tolist() == [1, 0, 1, 0]
    assert [bool(heatmap.any()) for heatmap in target[0]] == [False, False, True, False]
