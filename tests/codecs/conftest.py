"""Comparisons with the reference numbers that the tests of all codecs share."""

import pytest

FLIP_PAIRS = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))


@pytest.fixture(scope="session")
def flip_pairs():
    return FLIP_PAIRS


@pytest.fixture(scope="session")
def sizes():
    """Sizes of the references by the name of their entry, as arguments of a codec."""
    return {
        "192x256_s2": {"input_size": (192, 256), "heatmap_size": (48, 64), "num_joints": 17},
        "256x256_s2": {"input_size": (256, 256), "heatmap_size": (64, 64), "num_joints": 17},
    }
