"""The accuracy that is logged in training and the arg-maximum below it; PCK and PCKh."""

import numpy as np
import pytest
import torch

from heatpose.metrics import heatmap_accuracy, pck, pckh
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


CASES = ("case0", "case1", "case2")


def test_pck_counts_the_limit_and_takes_any_normaliser():
    truth = np.zeros((2, 2, 2))
    predicted = truth + [[[3.0, 4.0]], [[6.0, 8.0]]]  # 5 px off, 10 px off
    everyone = np.ones((2, 2))
    assert pck(predicted, truth, 10.0, 0.5, everyone).tolist() == [0.5, 0.5]
    assert pck(predicted, truth, 10.0, 0.49, everyone).tolist() == [0, 0]
    assert pck(predicted, truth, np.array([[10.0], [20.0]]), 0.5, everyone).tolist() == [1, 1]
    assert pck(predicted, truth, np.array([[10.0, 9.0], [20.0, 20.0]]), 0.5, everyone).tolist() == [1, 0.5]
    assert pck(predicted, truth, 10.0, np.array([0.1, 0.5, 1.0]), everyone).tolist() == [[0, 0], [0.5, 0.5], [1, 1]]


def test_pck_leaves_out_what_is_not_visible():
    truth, visible = np.zeros((2, 2, 2)), np.array([[1, 0], [0, 0]])
    found = pck(truth, truth, 1.0, 0.5, visible)
    assert found[0] == 1
    assert np.isnan(found[1])


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
