"""Memory of a network: networks whose live tensors can be counted by hand, and what real tensors take."""

import functools

import pytest
import torch
from torch import nn

from heatpose.report.memory import LiveBytes, measure_memory

SIZE = (16, 32)  # width, height
PIXELS = 16 * 32
SGD = functools.partial(torch.optim.SGD, lr=0.1)


def chain():
    """1x1 convolutions 3 -> 8 -> 2 -> 4 channels."""
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 4, 1))


def test_prediction_keeps_the_images_and_two_layers_at_a_time():
    model = chain()
    memory = measure_memory(model, SIZE, 1)
    assert memory.weights == 4 * (3 * 8 + 8 + 8 * 2 + 2 + 2 * 4 + 4)
    assert memory.prediction == memory.weights + 4 * PIXELS * (
        3 + 8 + 2
    )  # at the second layer; the third has 3 + 2 + 4


@pytest.mark.parametrize("batch", [1, 5])
def test_training_keeps_what_the_backward_pass_needs(batch):
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.ReLU())
    memory = measure_memory(model, SIZE, batch, SGD)
    # At the convolution's turn in the backward pass: the images, the output, its gradient, the gradient before the
    # ReLU, and the gradient of the weights.
    assert memory.training == memory.weights + batch * 4 * PIXELS * (3 + 8 + 8 + 8) + 4 * 3 * 8


def test_activations_grow_with_the_batch_and_weights_do_not():
    one, five = (measure_memory(chain(), SIZE, batch) for batch in (1, 5))
    assert one.weights == five.weights
    assert five.prediction - five.weights == 5 * (one.prediction - one.weights)


@pytest.mark.parametrize(
    ("optimizer", "values"),
    [
        (torch.optim.Adam, 2),
        (torch.optim.AdamW, 2),
        (torch.optim.RMSprop, 1),
        (functools.partial(SGD, momentum=0.9), 1),
    ],
)
def test_the_state_of_the_optimizer(optimizer, values):
    model = chain()
    parameters = list(model.parameters())
    steps = 0 if isinstance(optimizer, functools.partial) else len(parameters)  # one number for each tensor
    state = 4 * (values * sum(parameter.numel() for parameter in parameters) + steps)
    assert measure_memory(model, SIZE, 1, optimizer).training - measure_memory(model, SIZE, 1, SGD).training == state


def test_buffers_are_weights_and_are_not_counted_twice():
    model = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8))
    memory = measure_memory(model, SIZE, 1)
    assert memory.weights == 4 * (24 + 8 + 8) + 4 * (8 + 8) + 8
    # Without data batch norm also gives two statistics of each channel, which it does not use for prediction.
    assert memory.prediction == memory.weights + 4 * PIXELS * (3 + 8 + 8) + 2 * 4 * 8


def test_real_tensors_live_as_long_as_those_without_data():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(8, 2, 1))
    expected = measure_memory(model, SIZE, 2)
    with LiveBytes([*model.parameters(), *model.buffers()]) as live, torch.no_grad():
        output = model.eval()(torch.zeros(2, 3, 32, 16))
    assert live.peak == expected.prediction - expected.weights
    assert live.now == output.nbytes


def test_the_model_stays_as_it_is():
    model = chain().eval()
    measure_memory(model, SIZE, 2)
    assert not model.training
    assert all(parameter.device.type == "cpu" and parameter.grad is None for parameter in model.parameters())
