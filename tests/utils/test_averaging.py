"""The running average of a network's weights."""

import copy

import pytest
import torch
from torch import nn

from heatpose.utils.averaging import WeightAverage


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


def changed(model, step):
    """Weights, statistics and the counter after a step of training."""
    torch.manual_seed(step)
    with torch.no_grad():
        for each in model.parameters():
            each.copy_(torch.randn_like(each))
    model.train()
    model(torch.randn(4, 3, 2, 2) + step)
    return model


@pytest.mark.parametrize("average_buffers", [False, True])
def test_it_is_the_recurrence(average_buffers):
    model, keep = network(), 0.7
    average = WeightAverage(model, keep, average_buffers)
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    averaged = {"0.weight", "0.bias", "1.weight", "1.bias"}
    averaged |= {"1.running_mean", "1.running_var"} if average_buffers else set()
    for step in range(1, 7):
        average.follow(changed(model, step))
        share = min(keep, 1 - 1 / (step + 1))
        for key, value in model.state_dict().items():
            expected[key] = share * expected[key] + (1 - share) * value if key in averaged else value.clone()
        for key, value in average.network.state_dict().items():
            torch.testing.assert_close(value, expected[key], msg=key)
    assert average.network.state_dict()["1.num_batches_tracked"] == 6


def test_the_network_does_not_follow_its_average():
    model = network()
    before = copy.deepcopy(model.state_dict())
    average = WeightAverage(model, 0.5)
    average.follow(changed(network(), 1))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(each.requires_grad for each in average.network.parameters())


def test_it_begins_anew_with_the_present_weights():
    model = network()
    average = WeightAverage(model, 0.9, average_buffers=True)
    average.follow(changed(model, 1))
    average.restart(changed(model, 2))
    assert average.steps == 0
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in average.network.state_dict().items())
