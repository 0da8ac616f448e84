"""PCK of animals: the numbers, what is written, and the tools from end to end."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml

from heatpose.core.evaluate import build_scorer
from heatpose.core.evaluate_pck import PckScorer
from heatpose.dataset.records import Records

NAMES = ("left_eye", "right_eye", "chin", "left_front_hoof")


def records(visible):
    """Animals in boxes whose longest side is 100 px, all keypoints at (50, 50)."""
    visible = np.array(visible, np.float32)
    count, joints = visible.shape
    return Records(
        np.array(["a.jpg"]), np.arange(1), np.zeros(count, int), np.full((count, 2), 50.0), np.full((count, 2), 150.0),
        np.full((count, joints, 2), 50.0), visible, np.ones(count), np.tile([10.0, 20, 100, 60], (count, 1)),
    )  # fmt: skip


def predictions(distances):
    """Keypoints (N, K, 3) that many px to the right of (50, 50)."""
    distances = np.array(distances, float)
    keypoints = np.full((*distances.shape, 3), 50.0)
    keypoints[..., 0] += distances
    return keypoints


def test_a_twentieth_of_the_boxs_longest_side_is_right(tmp_path):
    scorer = PckScorer(NAMES)
    truth = records([[1, 1, 1, 0], [1, 0, 1, 0]])
    scores = scorer.score_people(predictions([[5, 5.1, 0, 0], [0, 0, 6, 0]]), truth, tmp_path / "r.json")
    assert scorer.headline == "PCK@0.05"
    assert scores == pytest.approx({"PCK@0.05": 60, "eye": 100 * 2 / 3, "chin": 50})
    each = json.loads((tmp_path / "pck.json").read_text())["PCK@0.05"]
    assert each == {"left_eye": 100, "right_eye": 0, "chin": 50, "left_front_hoof": None}


def test_the_results_name_image_crop_and_keypoints(tmp_path):
    file = tmp_path / PckScorer(NAMES).results_name("test", "source_only", "")
    PckScorer(NAMES).score_people(predictions([[1, 2, 3, 4]]), records([[1, 1, 1, 1]]), file)
    assert file.name == "keypoints_test_results.json"
    (entry,) = json.loads(file.read_text())
    assert entry["image"] == "a.jpg" and entry["center"] == [50, 50] and entry["scale"] == [150, 150]
    assert entry["keypoints"][:6] == [51, 50, 50, 52, 50, 50]


@pytest.fixture(scope="module")
def run(repository, tmp_path_factory):
    """Folder of a short training on the toy animals' source domain, and a function that runs a tool on it."""
    folder = tmp_path_factory.mktemp("run")
    experiment = {
        "OUTPUT_DIR": str(folder / "output"), "LOG_DIR": str(folder / "log"), "WORKERS": 0,
        "DATASET": {"DATASET": "toy_animals", "ROOT": str(folder / "data"), "TRAIN_SET": "train", "TEST_SET": "test",
                    "TOY_TRAIN_IMAGES": 8, "TOY_TEST_IMAGES": 12},
        "MODEL": {"NAME": "pose_resnet", "NUM_JOINTS": 18, "IMAGE_SIZE": [64, 64], "HEATMAP_SIZE": [16, 16],
                  "SIGMA": 1.0, "EXTRA": {"NUM_LAYERS": 18, "NUM_DECONV_FILTERS": [8, 8, 8]}},
        "TRAIN": {"BATCH_SIZE_PER_GPU": 4, "END_EPOCH": 1},
    }  # fmt: skip
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(experiment))

    def tool(name, *pairs):
        command = [sys.executable, str(repository / "tools" / f"{name}.py"), "--cfg", str(path), *pairs]
        return subprocess.run(command, capture_output=True, text=True, cwd=repository)

    trained = tool("train")
    assert trained.returncode == 0, trained.stderr
    return folder / "output" / "toy_animals" / "pose_resnet" / "tiny", tool, trained.stdout


def test_training_ends_with_a_table_of_the_parts(run):
    folder, _, output = run
    assert "| PCK@0.05 | eye " in output and "12 boxes of" in output
    assert set(json.loads((folder / "run.json").read_text())["rows"][0]["metrics"]) >= {"PCK@0.05", "hoof", "knee"}
    assert len(json.loads((folder / "results" / "keypoints_test_results.json").read_text())) == 12
    assert len(json.loads((folder / "results" / "pck.json").read_text())["PCK@0.05"]) == 18


def test_the_weights_are_scored_on_the_other_domain(run):
    _, tool, _ = run
    scored = tool("test", "DATASET.TOY_DOMAIN", "target")
    assert scored.returncode == 0, scored.stderr
    assert "drew 20 toy animals of the target domain" in scored.stdout and "| PCK@0.05 |" in scored.stdout


def test_detected_boxes_are_refused(run):
    _, tool, _ = run
    refused = tool("test", "TEST.BOTH_BOXES", "True")
    assert refused.returncode == 2 and "annotated boxes" in refused.stderr


def test_the_data_set_has_its_scorer():
    class Config:
        class DATASET:
            DATASET = "toy_animals"

        class TEST:
            METRIC, PCK_THRE = "", 0.1

    class Data:
        class skeleton:
            names = NAMES

    scorer = build_scorer(Config, Data)
    assert isinstance(scorer, PckScorer) and scorer.headline == "PCK@0.1"
