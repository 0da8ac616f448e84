"""The accuracy that is logged in training and the arg-maximum below it."""

import pytest
import torch

from heatpose.metrics import heatmap_accuracy
from heatpose.utils.heatmaps import argmax_2d


def peak(x, y, height=40, width=10):
    heatmaps = torch.zeros(1, 1, height, width)
    heatmaps[0, 0, y, x] = 1.0
    return heatmaps


@pytest.mark.parametrize(
    ("x", "y", "near"),
    # 40 high and 10 wide: x is divided by 4, y by 1, and the distance must stay below 0.5
    [(5, 10, 1.0), (6, 10, 1.0), (7, 10, 0.0), (5, 11, 0.0)],
)
def test_x_is_normalised_by_the_height_and_y_by_the_width(x, y, near):
    assert heatmap_accuracy(peak(x, y), peak(5, 10)).per_joint.item() == near


@pytest.mark.parametrize(("x", "y", "count"), [(1, 5, 0), (5, 1, 0), (2, 2, 1)])
def test_targets_at_the_first_two_rows_and_columns_are_left_out(x, y, count):
    result = heatmap_accuracy(peak(x, y), peak(x, y))
    assert result.count.item() == count
    assert result.per_joint.item() == (1.0 if count else -1.0)
    assert result.mean.item() == float(count)


def test_argmax_takes_the_first_of_equal_maxima():
    heatmaps = torch.zeros(2, 3, 5, 7)
    heatmaps[1, 2, 3, 2] = heatmaps[1, 2, 3, 6] = heatmaps[1, 2, 4, 0] = 0.25
    keypoints, scores = argmax_2d(heatmaps)
    assert keypoints.shape == (2, 3, 2)
    assert scores.shape == (2, 3)
    assert keypoints[1, 2].tolist() == [2.0, 3.0]
    assert scores[1, 2] == 0.25


def test_argmax_of_a_map_without_positive_values_is_the_origin():
    heatmaps = torch.full((1, 2, 4, 4), -1.0)
    heatmaps[0, :, 2, 3] = torch.tensor([-0.5, 0.0])
    keypoints, scores = argmax_2d(heatmaps)
    assert (keypoints == 0).all()
    assert scores.tolist() == [[-0.5, 0.0]]


def test_argmax_of_half_precision_keeps_large_indices():
    heatmaps = torch.zeros(1, 1, 4, 600, dtype=torch.bfloat16)
    heatmaps[0, 0, 3, 599] = 1.0
    keypoints, _ = argmax_2d(heatmaps)
    assert keypoints.dtype == torch.float32
    assert keypoints.flatten().tolist() == [599.0, 3.0]


@pytest.mark.cuda
def test_argmax_on_cuda_equals_the_cpu_with_many_ties():
    heatmaps = torch.randint(-1, 3, (8, 17, 64, 48), generator=torch.Generator().manual_seed(0)).float()
    for on_cpu, on_cuda in zip(argmax_2d(heatmaps), argmax_2d(heatmaps.cuda()), strict=True):
        assert torch.equal(on_cpu, on_cuda.cpu())


@pytest.mark.cuda
def test_accuracy_on_cuda_does_not_wait_for_the_device():
    heatmaps = torch.rand(8, 17, 64, 48, device="cuda")
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        result = heatmap_accuracy(heatmaps, heatmaps)
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    assert result.mean.item() == 1.0
