"""Fixtures every test shares: where the reference numbers and sample images are, and small on-disk data sets."""

import json
import os
from pathlib import Path

# Threads that wait for work sleep instead of spinning: on a busy machine the tests take a fifth of the time.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pytest
import torch
import yaml

from heatpose.dataset.toy import ensure_toy_dataset

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


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory):
    """A small drawn data set: sets "train" (6 images) and "val" (4), with detections of "val"."""
    root = tmp_path_factory.mktemp("data") / "toy"
    ensure_toy_dataset(root, "train", "val", 6, 4)
    return root


@pytest.fixture(scope="session")
def tiny_content(toy_root):
    """A function (folder) -> content of an experiment: a very small network on `toy_root`, runs below `folder`."""
    boxes = next((toy_root / "person_detection_results").glob("*.json"))

    def content(folder):
        return {
            "OUTPUT_DIR": str(folder / "output"), "LOG_DIR": str(folder / "log"), "WORKERS": 0, "PRINT_FREQ": 2,
            "DATASET": {"DATASET": "toy", "ROOT": str(toy_root), "TRAIN_SET": "train", "TEST_SET": "val",
                        "TOY_TRAIN_IMAGES": 6, "TOY_TEST_IMAGES": 4},
            "MODEL": {"NAME": "pose_resnet", "IMAGE_SIZE": [64, 96], "HEATMAP_SIZE": [16, 24], "SIGMA": 1.0,
                      "EXTRA": {"NUM_LAYERS": 18, "NUM_DECONV_FILTERS": [8, 8, 8]}},
            "TRAIN": {"BATCH_SIZE_PER_GPU": 4, "END_EPOCH": 2},
            "TEST": {"USE_GT_BBOX": True, "BATCH_SIZE_PER_GPU": 8, "COCO_BBOX_FILE": str(boxes)},
        }  # fmt: skip

    return content


@pytest.fixture
def experiment(tmp_path, tiny_content):
    """A function (**sections) -> path of an experiment file: `tiny_content` with keys of some sections changed."""

    def write(**sections):
        content = tiny_content(tmp_path)
        for section, values in sections.items():
            content[section] = {**content[section], **values} if isinstance(values, dict) else values
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write
