"""Fixtures every test shares: where the reference numbers and sample images are, and small on-disk data sets."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

REPOSITORY = Path(__file__).resolve().parent.parent
GOLDEN = REPOSITORY.parent / "shared" / "golden"
SAMPLES = Path(os.environ.get("HEATPOSE_SAMPLES", REPOSITORY.parent / "shared" / "data"))

torch.set_num_threads(min(2, os.cpu_count() or 1))


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def repository():
    return REPOSITORY


@pytest.fixture(scope="session")
def golden():
    """A function name -> npz of reference numbers made by the papers' own code."""
    if not GOLDEN.is_dir():
        pytest.skip(f"no reference numbers: {GOLDEN} does not exist")
    return lambda name: np.load(GOLDEN / f"{name}.npz")


@pytest.fixture(scope="session")
def golden_index(golden):
    return json.loads((GOLDEN / "index.json").read_text())["files"]


@pytest.fixture(scope="session")
def golden_dir(golden):
    return GOLDEN


@pytest.fixture(scope="session")
def samples():
    """Folder of real sample images and annotations."""
    if not SAMPLES.is_dir():
        pytest.skip(f"no sample data: {SAMPLES} does not exist (set HEATPOSE_SAMPLES)")
    return SAMPLES
