"""tools/doctor.py as its users call it: what it prints and its exit codes."""

import json
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def call(repository, tmp_path):
    """A function (*words) -> finished process of tools/doctor.py."""

    def run(*words):
        command = [sys.executable, str(repository / "tools" / "doctor.py"), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)

    return run


@pytest.fixture
def copy(toy_root, tmp_path):
    """A copy of the drawn data that may be spoilt."""
    return shutil.copytree(toy_root, tmp_path / "copy")


def test_a_sound_experiment(call, experiment):
    done = call("--cfg", experiment(), "TEST.BOTH_BOXES", "True")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 10 annotations are people" in done.stdout
    assert "detections: " in done.stdout
    assert done.stdout.strip().endswith("doctor: nothing that will spoil the score")


def test_faults_of_both_splits_and_of_the_detections_are_found_in_one_go(call, experiment, copy):
    train, val = (copy / "annotations" / f"person_keypoints_{name}.json" for name in ("train", "val"))
    content = json.loads(train.read_text())
    del content["annotations"][1]["area"]
    train.write_text(json.dumps(content))
    content = json.loads(val.read_text())
    for annotation in content["annotations"]:
        annotation["area"] = 2.0
    val.write_text(json.dumps(content))
    (copy / "images" / "val" / content["images"][0]["file_name"]).unlink()
    boxes = copy / "boxes.json"
    boxes.write_text(json.dumps([{"image_id": 777, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]))
    path = experiment(DATASET={"DATASET": "coco", "ROOT": str(copy)})
    done = call("--cfg", path, "TEST.USE_GT_BBOX", "False", "TEST.COCO_BBOX_FILE", boxes)
    assert done.returncode == 1, done.stderr
    for words in ("annotations without 'area'", "much too small", "images that are not in", "another split"):
        assert words in done.stdout
    assert done.stdout.strip().endswith("doctor: 4 findings that will spoil the score")


def test_a_real_file_with_an_ap_of_0_is_explained(call, samples):
    folder = samples / "scored" / "zero_ap"
    done = call(
        "--annotations", folder / "person_keypoints_val201701.json",
        "--results", folder / "keypoints_val201702_results_0.json",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "`area` is much too small" in done.stdout
    assert "COCOeval: AP 0.000" in done.stdout
    assert "(L) is -1: nobody of the ground truth is large" in done.stdout
    assert "with areas that fit the boxes it would be: AP 0.450" in done.stdout


def test_a_real_scored_file_is_clean_and_gets_its_known_ap(call, samples):
    folder = samples / "scored" / "one_image"
    done = call("--annotations", folder / "gt_dataset.json", "--results", folder / "dt_dataset.json")
    assert done.returncode == 0, done.stderr
    assert "COCOeval: AP 0.505, Ap .5 0.723, AP .75 0.634, AP (M) 0.466, AP (L) 0.750" in done.stdout


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((), ("--cfg", "--annotations")),
        (("--annotations", "nothing.json"), ("nothing.json", "no such file")),
        (("--cfg", "nothing.yaml"), ("nothing.yaml", "no such file")),
        (("--cfg", "a.yaml", "--images", "b"), ("--images",)),
    ],
)
def test_mistakes_are_one_line(call, words, parts):
    done = call(*words)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(part in done.stderr for part in parts)


def test_a_missing_data_folder_is_a_mistake(call, experiment, tmp_path):
    done = call("--cfg", experiment(DATASET={"DATASET": "coco", "ROOT": str(tmp_path / "nowhere")}))
    assert done.returncode == 2
    assert "nowhere" in done.stderr
