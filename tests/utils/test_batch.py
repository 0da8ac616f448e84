"""Crops -> network inputs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heatpose.config import ConfigError, load_config
from heatpose.dataset.loading import pack, share
from heatpose.utils.batch import (
    TOGETHER,
    PixelStatistics,
    as_images,
    final_output,
    full_batches,
    normalise,
    pixel_statistics,
    standardise,
)

CPU = torch.device("cpu")


def test_normalised_crops_have_the_channels_first_and_imagenet_s_statistics():
    crops = torch.full((2, 4, 6, 3), 255, dtype=torch.uint8)
    images = normalise(crops, CPU)
    assert images.shape == (2, 3, 4, 6)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert images[0, :, 0, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("pixels", [PixelStatistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
                                    PixelStatistics((0.2, 0.4, 0.6), (0.5, 0.3, 0.25))])  # fmt: skip
def test_the_table_of_a_cpu_holds_what_the_arithmetic_gives(pixels):
    crops = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 40, 30, 3), np.uint8))
    crops = crops[:, :, ::2]  # not contiguous
    images, expected = normalise(crops, CPU, pixels), standardise(as_images(crops, CPU), pixels)
    assert (
        torch.equal(images, expected)
        and images.stride() == expected.contiguous(memory_format=torch.channels_last).stride()
    )
    images.zero_()  # the table itself is nobody's to change
    assert torch.equal(normalise(crops, CPU, pixels), expected)


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


def batches_of(sizes, size, rank=0, processes=1):
    """Samples of each batch that a process gives its network, of images with `sizes` crops."""
    ends = np.cumsum([0, *sizes])

    def loaded():
        for images in share(pack(sizes, size), rank, processes):
            index = torch.cat([torch.arange(ends[image], ends[image + 1]) for image in images])
            yield {"index": index, "crop": index[:, None] * torch.ones(3)}

    found = list(full_batches(loaded(), size, CPU))
    assert all(torch.equal(batch["crop"][:, 1], batch["index"].float()) for batch in found)
    return [tuple(batch["index"].tolist()) for batch in found]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=80), st.integers(1, 6), st.integers(2, 4))
def test_batches_are_full_and_the_same_in_any_number_of_processes(sizes, size, processes):
    alone = batches_of(sizes, size)
    assert sorted(sample for batch in alone for sample in batch) == list(range(sum(sizes)))
    shared = [batch for rank in range(processes) for batch in batches_of(sizes, size, rank, processes)]
    assert sorted(shared) == sorted(alone)
    groups = -(-len(pack(sizes, size)) // TOGETHER)
    assert sum(len(batch) < size for batch in alone) <= groups
    assert max(map(len, alone), default=0) <= size
