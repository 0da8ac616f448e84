"""Crops -> network inputs."""

import pytest
import torch

from heatpose.config import ConfigError, load_config
from heatpose.utils.batch import PixelStatistics, final_output, normalise, pixel_statistics

CPU = torch.device("cpu")


def test_normalised_crops_have_the_channels_first_and_imagenet_s_statistics():
    crops = torch.full((2, 4, 6, 3), 255, dtype=torch.uint8)
    images = normalise(crops, CPU)
    assert images.shape == (2, 3, 4, 6)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert images[0, :, 0, 0].tolist() == pytest.approx(expected)


def test_the_configuration_s_statistics_are_used(experiment):
    cfg = load_config(experiment(MODEL={"PIXEL_MEAN": [0.2, 0.4, 0.6], "PIXEL_STD": [0.5, 0.5, 0.25]}))
    assert pixel_statistics(cfg) == PixelStatistics((0.2, 0.4, 0.6), (0.5, 0.5, 0.25))
    images = normalise(torch.zeros(1, 2, 2, 3, dtype=torch.uint8), CPU, pixel_statistics(cfg))
    assert images[0, :, 0, 0].tolist() == pytest.approx([-0.4, -0.8, -2.4])


@pytest.mark.parametrize(("key", "values"), [("PIXEL_MEAN", [0.5, 0.5]), ("PIXEL_STD", [0.2, 0.0, 0.2])])
def test_statistics_that_are_none_are_refused(experiment, key, values):
    with pytest.raises(ConfigError, match=f"MODEL.{key} is .*; expected three numbers"):
        load_config(experiment(MODEL={key: values}))


def test_the_last_of_several_outputs_counts():
    output = torch.zeros(1)
    assert final_output(output) is output
    assert final_output([torch.ones(1), output]) is output
