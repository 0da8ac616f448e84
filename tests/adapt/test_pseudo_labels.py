"""Pseudo-labels: prediction over views, what is kept, and what a training crop gets of them."""

import math

import numpy as np
import pytest
import torch

from heatpose.adapt.ccssl import paper_rank, rank_threshold
from heatpose.adapt.pplo import falling_threshold
from heatpose.adapt.pseudo_labels import Predictor, PseudoLabels, Views
from heatpose.utils.batch import PixelStatistics

from .conftest import CPU, JOINTS, SIZE

PLAIN = PixelStatistics((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
PAIRS = [(0, 1)]


def predictor(codec, crops, views):
    """Crops that are their images: the boxes' middle is (16, 16), their side 32 px."""
    index = torch.arange(len(crops))
    loader = [{"crop": crops[:5], "index": index[:5]}, {"crop": crops[5:], "index": index[5:]}]
    middle, side = np.full((len(crops), 2), SIZE / 2), np.full((len(crops), 2), float(SIZE))
    return Predictor(codec, loader, middle, side, CPU, PLAIN, views)


@pytest.mark.parametrize("count", [1, 6])
def test_spots_are_found_whatever_the_views(codec, network, crops, count):
    torch.manual_seed(0)
    images, places = crops
    keypoints, confidence = predictor(codec, images, Views(count, 0.2, 30.0))(network)
    assert keypoints.shape == (8, JOINTS, 2) and confidence.shape == (8, JOINTS)
    assert (keypoints - places).abs().max() <= 1.5  # the stride is 2 px, and a spot covers several px of a heatmap
    assert 0.4 < confidence.min() and confidence.max() <= 1.01


def test_crops_from_all_over_the_data_are_kept_for_the_picture(codec, network, crops):
    each = predictor(codec, crops[0].repeat(13, 1, 1, 1), Views(1))
    each(network)
    index = each.sample["index"].tolist()
    assert len(index) == 32 and index[0] == 0 and index[-1] == 103
    assert max(np.diff(index)) <= 4
    assert torch.equal(each.sample["crop"], crops[0][torch.tensor(index) % 8])


def test_views_that_disagree_lower_the_confidence(codec, crops):
    """A network whose answer does not move with the picture is sure of each view, but not of all together."""

    class Stubborn(torch.nn.Module):
        def forward(self, images):
            maps = images.new_zeros(len(images), JOINTS, SIZE // 2, SIZE // 2)
            maps[:, :, 4, 11] = 1.0
            return maps

    torch.manual_seed(0)
    one = predictor(codec, crops[0], Views(1))(Stubborn())[1]
    many = predictor(codec, crops[0], Views(8, 0.25, 30.0))(Stubborn())[1]
    assert (one == 1).all()
    assert many.max() < 0.6


def test_where_a_view_does_not_reach_it_has_no_say(codec, network):
    """A white picture has an answer of 1 everywhere, in the corners too, which turned views do not show."""
    torch.manual_seed(0)
    each = predictor(codec, torch.full((8, SIZE, SIZE, 3), 255, dtype=torch.uint8), Views(1))
    assert torch.allclose(each.heatmaps(network, torch.ones(2, 3, SIZE, SIZE)), torch.ones(1))
    turned = predictor(codec, torch.zeros(8, SIZE, SIZE, 3, dtype=torch.uint8), Views(6, 0.25, 45.0))
    maps = turned.heatmaps(network, torch.ones(2, 3, SIZE, SIZE))
    assert maps[:, :, 0, 0].min() > 0.6


@pytest.fixture
def labels():
    """Two boxes of 100 px; in the first every label is right, in the second joint 2 is wrong."""
    truth = np.array([[[10.0, 20], [30, 40], [50, 60]], [[15, 25], [35, 45], [55, 65]]])
    labels = PseudoLabels(truth, np.ones((2, 3)), np.array([[0, 0, 100, 80]] * 2), PAIRS, CPU)
    predicted = torch.from_numpy(truth).float()
    predicted[1, 2] += 30
    labels.set(predicted, torch.tensor([[0.9, 0.8, 0.3], [0.7, 0.6, 0.5]]))
    return labels


def report(labels):
    crops = torch.zeros(2, 4, 4, 3, dtype=torch.uint8)
    return labels.report({"crop": crops, "index": torch.arange(2), "map": torch.eye(2, 3).repeat(2, 1, 1)})


def test_nothing_is_kept_before_a_threshold_is_set(labels):
    found = report(labels)
    assert (found.kept, found.share) == (0, 0.0)
    assert math.isnan(found.accuracy_kept)


def test_numbers_and_accuracies(labels):
    labels.keep(0.5)
    found = report(labels)
    assert (found.threshold, found.kept, found.share) == (0.5, 5, pytest.approx(5 / 6))
    assert (found.accuracy_kept, found.accuracy_rejected) == (80.0, 100.0)
    assert found.per_joint == [(2, 100.0), (2, 100.0), (1, 0.0)]
    assert found.sample["kept"].tolist() == [[True, True, False], [True, True, True]]
    assert found.sample["keypoints_input"][0, 1].tolist() == [30.0, 40.0]


def test_a_confidence_of_0_is_never_kept(labels):
    labels.set(labels.keypoints, torch.zeros(2, 3))
    labels.keep(-1.0)
    assert not labels.kept.any()


def test_labels_go_through_each_crop_s_own_map(labels):
    labels.keep(0.5)
    maps = torch.tensor([[[0.5, 0, 1], [0, 0.5, 2]], [[-1.0, 0, 99], [0, 1, 0]]])
    batch = {"index": torch.tensor([0, 1]), "map": maps, "mirrored": torch.tensor([False, True])}
    keypoints, kept = labels.targets(batch)
    assert keypoints[0].tolist() == [[6, 12], [16, 22], [26, 32]]
    assert kept[0].tolist() == [1, 1, 0]
    # in the mirrored crop left is where right was
    assert keypoints[1].tolist() == [[64, 45], [84, 25], [99 - 85, 95]]
    assert kept[1].tolist() == [1, 1, 1]


def test_the_order_is_that_of_the_crops(labels):
    labels.keep(0.0)
    batch = {
        "index": torch.tensor([1, 0, 1]),
        "map": torch.eye(2, 3).repeat(3, 1, 1),
        "mirrored": torch.zeros(3).bool(),
    }
    assert labels.targets(batch)[0][:, 0].tolist() == [[15, 25], [10, 20], [15, 25]]


def test_labels_are_resumed(labels):
    labels.keep(0.5)
    other = PseudoLabels(labels.truth, labels.known, np.array([[0, 0, 100, 80]] * 2), PAIRS, CPU)
    other.load_state_dict(labels.state_dict())
    assert torch.equal(other.kept, labels.kept) and torch.equal(other.keypoints, labels.keypoints)
    assert other.threshold == 0.5


def test_the_paper_s_rank():
    """p = max(0.2, 1 - 0.02 (epoch + 10))."""
    assert [round(paper_rank(epoch), 3) for epoch in (0, 1, 15, 29, 30, 31)] == [0.8, 0.78, 0.5, 0.22, 0.2, 0.2]
    assert paper_rank(0, offset=0) == 1.0


def test_a_rank_leaves_its_share():
    torch.manual_seed(0)
    confidence = torch.rand(40, 5)
    for share in (0.0, 0.2, 0.755, 0.8, 1.0):
        assert (confidence >= rank_threshold(confidence, share)).sum().item() == 200 - int(share * 200 + 1e-9)


def test_the_threshold_falls_round_by_round():
    assert [round(falling_threshold(number, 0.9, 0.15, 0.5), 2) for number in range(5)] == [0.9, 0.75, 0.6, 0.5, 0.5]
