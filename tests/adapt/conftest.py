"""Small stand-ins: a network of one convolution, crops of coloured spots, and an objective of labelled crops."""

import numpy as np
import pytest
import torch
from torch import nn

from heatpose.codecs.gaussian import GaussianCodec
from heatpose.core.loss import EveryOutput, JointsMSE
from heatpose.core.objective import Supervised

SIZE, STRIDE, JOINTS = 32, 2, 3
CPU = torch.device("cpu")


class Spots(nn.Module):
    """Reads a heatmap for each joint off one colour channel; `final_layer` as the real networks have it."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(STRIDE)
        self.final_layer = nn.Conv2d(3, JOINTS, 1)
        with torch.no_grad():
            self.final_layer.weight.copy_(torch.eye(JOINTS).view(JOINTS, 3, 1, 1))
            self.final_layer.bias.zero_()

    def forward(self, images):
        return self.final_layer(self.pool(images))


@pytest.fixture
def codec():
    return GaussianCodec((SIZE, SIZE), (SIZE // STRIDE, SIZE // STRIDE), JOINTS, sigma=1.0, post_process=False)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Spots()


@pytest.fixture
def labelled(codec):
    return Supervised(codec, EveryOutput(JointsMSE()), CPU)


@pytest.fixture
def crops():
    """Crops (8, 32, 32, 3) uint8 with a spot of each colour, and where the spots are (8, 3, 2), input px."""
    rng = np.random.default_rng(0)
    places = rng.integers(10, 22, (8, JOINTS, 2))
    images = np.zeros((8, SIZE, SIZE, 3), np.uint8)
    for image, spots in zip(images, places, strict=True):
        for channel, (x, y) in enumerate(spots):
            image[y - 1 : y + 3, x - 1 : x + 3, channel] = 255
    return torch.from_numpy(images), torch.from_numpy(places).float() + 0.5


def batch_of(crops, places, index=None):
    """A batch as dataset.TrainingCrops gives it, of crops that are not augmented."""
    count = len(crops)
    return {
        "crop": crops, "keypoints_input": places, "visible": torch.ones(count, JOINTS),
        "index": torch.arange(count) if index is None else index,
        "map": torch.eye(2, 3).repeat(count, 1, 1), "mirrored": torch.zeros(count, dtype=torch.bool),
    }  # fmt: skip


@pytest.fixture
def batch(crops):
    return batch_of(*crops)
