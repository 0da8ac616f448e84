"""Fixtures every test shares: where the reference numbers and sample images are, and small on-disk data sets."""

import json
import os
from pathlib import Path

# Threads that wait for work sleep instead of spinning: on a busy machine the tests take a fifth of the time.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import cv2
import numpy as np
import pytest
import torch
import yaml

from heatpose.dataset.toy import ensure_toy_dataset

REPOSITORY = Path(__file__).resolve().parent.parent
GOLDEN = REPOSITORY.parent / "shared" / "golden"
SAMPLES = Path(os.environ.get("HEATPOSE_SAMPLES", REPOSITORY.parent / "shared" / "data"))

torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Nothing is kept in the user's cache, nor taken from it."""
    before = os.environ.get("HEATPOSE_CACHE")
    os.environ["HEATPOSE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("HEATPOSE_CACHE")
    if before is not None:
        os.environ["HEATPOSE_CACHE"] = before


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


PET_POINTS = ["nose", "left_ear", "right_ear", "L_Paw", "R_Paw"]


@pytest.fixture
def pets(tmp_path):
    """A function (change=None) -> folder of a COCO data set with keypoints of its own: two dogs and a cat on 2 images.

    The sets "train" and "val" of annotations/pets-<set>.json are alike; `change` gets their content and may spoil it.
    Images lie in data/. A third category, a ball, has no keypoints.
    """

    def make(change=None):
        limbs = [[1, 2], [1, 3], [4, 5]]
        kinds = [
            {"id": n, "name": name, "keypoints": PET_POINTS, "skeleton": limbs} for n, name in ((3, "dog"), (7, "cat"))
        ]
        content = {
            "images": [{"id": n, "file_name": f"{n}.jpg", "width": 120, "height": 100} for n in (1, 2)],
            "annotations": [
                _pet(1, 1, 3, 10), _pet(2, 1, 7, 60), _pet(3, 2, 3, 30), {**_pet(4, 2, 9, 5), "keypoints": []},
            ],
            "categories": [*kinds, {"id": 9, "name": "ball"}],
        }  # fmt: skip
        if change is not None:
            change(content)
        root = tmp_path / "pets"
        for name in ("data", "annotations"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for image in (1, 2):
            noise = np.random.default_rng(image).integers(0, 255, (100, 120, 3)).astype(np.uint8)
            cv2.imwrite(str(root / "data" / f"{image}.jpg"), noise)
        for name in ("train", "val"):
            (root / "annotations" / f"pets-{name}.json").write_text(json.dumps(content))
        return root

    return make


def _pet(number, image, category, x):
    points = [(x + 20, 20), (x + 10, 15), (x + 30, 15), (x + 5, 70), (x + 38, 70)]
    keypoints = [value for point in points for value in (*point, 2)]
    keypoints[6:9] = [0, 0, 0] if number == 3 else keypoints[6:9]
    return {
        "id": number, "image_id": image, "category_id": category, "iscrowd": 0, "bbox": [x, 10, 45, 70], "area": 2000.0,
        "num_keypoints": sum(v > 0 for v in keypoints[2::3]), "keypoints": keypoints,
    }  # fmt: skip


@pytest.fixture
def pets_content(tmp_path, tiny_content):
    """A function (root) -> content of an experiment on the folder of `pets`, with a very small network."""

    def content(root):
        dataset = {
            "DATASET": "coco", "ROOT": str(root), "TRAIN_SET": "train", "TEST_SET": "val", "SKELETON": "file",
            "ANNOTATIONS": "annotations/pets-{set}.json", "IMAGES": "data",
        }  # fmt: skip
        tiny = tiny_content(tmp_path)
        test = {"USE_GT_BBOX": True, "BATCH_SIZE_PER_GPU": 8, "FLIP_TEST": True}
        return {**tiny, "DATASET": dataset, "MODEL": {**tiny["MODEL"], "NUM_JOINTS": 5}, "TEST": test}

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
