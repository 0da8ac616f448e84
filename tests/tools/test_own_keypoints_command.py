"""The tools on a COCO file with keypoints of its own, as its users call them."""

import json
import subprocess
import sys

import pytest
import yaml


@pytest.fixture
def tool(repository, tmp_path, pets, pets_content):
    """A function (tool, *words) -> finished process on the experiment pets.yaml."""
    path = tmp_path / "pets.yaml"
    path.write_text(yaml.safe_dump(pets_content(pets())))

    def call(name, *words, cfg=True):
        given = ["--cfg", str(path)] * cfg
        command = [sys.executable, str(repository / "tools" / f"{name}.py"), *given, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)

    return call


def test_training_and_scoring(tool, tmp_path):
    folder = tmp_path / "output" / "coco" / "pose_resnet" / "pets"
    trained = tool("train")
    assert trained.returncode == 0, trained.stderr
    assert "5 keypoints, 2 pairs of left and right" in trained.stdout and "3 people to train on" in trained.stdout
    assert "| AP " in trained.stdout
    results = json.loads((folder / "results" / "keypoints_val_results.json").read_text())
    assert sorted(each["category_id"] for each in results) == [3, 3, 7] and len(results[0]["keypoints"]) == 15
    scored = tool("test", "TEST.METRIC", "pck", "TEST.PCK_THRE", "0.2", "DATASET.CATEGORIES", "[dog]")
    assert scored.returncode == 0, scored.stderr
    assert "| PCK@0.2 |" in scored.stdout and "2 boxes of" in scored.stdout
    refused = tool("train", "MODEL.NUM_JOINTS", "4")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1 and "set MODEL.NUM_JOINTS 5" in refused.stderr


def test_the_doctor_of_an_experiment_and_of_results(tool, tmp_path, pets):
    content = json.loads((pets() / "annotations" / "pets-val.json").read_text())
    results = [
        {"image_id": a["image_id"], "category_id": a["category_id"], "keypoints": a["keypoints"], "score": a["id"] / 4}
        for a in content["annotations"][:3]
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    done = tool("doctor", "--results", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 annotations are people" in done.stdout and "COCOeval: AP 1.000" in done.stdout
    results[0]["category_id"] = 9
    path.write_text(json.dumps(results))
    done = tool("doctor", "--results", path)
    assert done.returncode == 1 and "results of a category other than [3, 7]" in done.stdout
    wrong = tool("doctor", "MODEL.NUM_JOINTS", "4")
    assert wrong.returncode == 1 and "set MODEL.NUM_JOINTS 5" in wrong.stdout


def test_the_doctor_of_a_file(tool, pets):
    path = pets() / "annotations" / "pets-val.json"
    own = tool("doctor", "--annotations", path, "--skeleton", "file", cfg=False)
    assert own.returncode == 0, own.stdout + own.stderr
    assert "3 of 3 annotations are people" in own.stdout
    as_coco = tool("doctor", "--annotations", path, cfg=False)
    assert as_coco.returncode == 1 and "--skeleton file" in as_coco.stdout


def test_inspection(tool, tmp_path, pets):
    root = pets()
    path, seen = root / "annotations" / "pets-val.json", tmp_path / "seen"
    done = tool("inspect_coco", path, "--images", root / "data", "--out", seen, cfg=False)
    assert done.returncode == 0, done.stderr
    assert "L_Paw" in done.stdout
