"""The tools as their users call them: what a run leaves behind, resuming after SIGKILL, and mistakes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from heatpose.config import load_config
from heatpose.models import build_model

TABLE = "| Arch | AP | Ap .5 | AP .75 | AP (M) | AP (L) | AR | AR .5 | AR .75 | AR (M) | AR (L) |"


@pytest.fixture
def tool(repository, tmp_path):
    """A function (name, cfg, *pairs) -> finished process of tools/<name>.py."""

    def call(name, cfg, *pairs):
        return subprocess.run(
            command(repository, name, cfg, *pairs), capture_output=True, text=True, cwd=tmp_path, timeout=300
        )

    return call


def command(repository, name, cfg, *pairs):
    return [sys.executable, str(repository / "tools" / f"{name}.py"), "--cfg", str(cfg), *pairs]


def run_folder(path):
    content = yaml.safe_load(path.read_text())
    return path.parent / "output" / "toy" / content["MODEL"]["NAME"] / path.stem


def table_header(text):
    return [re.sub(r" +", " ", line) for line in text.splitlines() if line.startswith("| Arch")]


KINDS = ("SAVE_BATCH_IMAGES_GT", "SAVE_BATCH_IMAGES_PRED", "SAVE_HEATMAPS_GT", "SAVE_HEATMAPS_PRED")


def write_experiment(content, **sections):
    """Writes `content` with keys of some sections changed to its run's folder; returns the path."""
    for section, values in sections.items():
        content[section] = {**content[section], **values} if isinstance(values, dict) else values
    path = Path(content["OUTPUT_DIR"]).parent / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def trained(repository, tmp_path_factory, tiny_content):
    """A finished training of two epochs with all pictures, shared by the tests of TestATraining."""
    folder = tmp_path_factory.mktemp("run")
    path = write_experiment(tiny_content(folder), WORKERS=1, TEST={"BOTH_BOXES": True})
    debug = [word for kind in KINDS for word in (f"DEBUG.{kind}", "True")]
    done = subprocess.run(
        command(repository, "train", path, "DEBUG.DEBUG", "True", *debug),
        capture_output=True, text=True, cwd=folder, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return path, done.stdout


class TestATraining:
    def test_prints_the_table_and_names_the_boxes(self, trained):
        _, text = trained
        assert set(table_header(text)) == {TABLE}
        assert "boxes: ground truth" in text
        assert re.search(r"boxes: detections, \d+ boxes of .*\(SHA-256 [0-9a-f]{64}\)", text)
        assert "multiply-adds" in text
        assert "samples/s" in text

    def test_leaves_its_files_behind(self, trained):
        path, _ = trained
        folder = run_folder(path)
        for name in ("config.yaml", "checkpoint.pth", "model_best.pth", "final_state.pth", "run.json"):
            assert (folder / name).is_file(), name
        assert list(folder.glob("train_*.log"))
        run = json.loads((folder / "run.json").read_text())
        assert run["rows"][0]["boxes"].startswith("ground truth")
        assert {"torch", "opencv", "commit"} <= run["versions"].keys()
        results = json.loads(next((folder / "results").glob("keypoints_val*.json")).read_text())
        assert {"image_id", "category_id", "keypoints", "score"} == results[0].keys()
        assert not list(folder.rglob("*.tmp"))

    def test_writes_readable_pictures(self, trained):
        pictures = {file.name for file in (run_folder(trained[0]) / "pictures").iterdir()}
        for ending in ("gt", "pred", "hm_gt", "hm_pred"):
            assert any(re.fullmatch(rf"train_\d+_\d+_{ending}\.jpg", name) for name in pictures), ending
            assert any(re.fullmatch(rf"val_\d+_\d+_{ending}\.jpg", name) for name in pictures), ending

    def test_writes_tensorboard_events(self, trained):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        folder = next((trained[0].parent / "log" / "toy" / "pose_resnet").iterdir())
        events = EventAccumulator(str(folder))
        events.Reload()
        tags = events.Tags()
        expected = {"train/loss", "train/accuracy", "train/learning_rate", "train/samples_per_second", "valid/AP",
                    "valid/Ap_.5", "valid/AP_.75", "valid/AP_M", "valid/AP_L", "valid/AR", "valid/AR_.5",
                    "valid/AR_.75", "valid/AR_M", "valid/AR_L", "train/waiting_for_data"}  # fmt: skip
        assert set(tags["scalars"]) == expected
        assert tags["images"] == ["valid/predictions"]
        assert len(events.Scalars("valid/AP")) == 2

    def test_is_scored_alike_by_the_test_tool_with_both_kinds_of_boxes(self, trained, tool):
        path, text = trained
        done = tool("test", path)
        assert done.returncode == 0, done.stderr
        rows = [line for line in text.splitlines() if line.startswith("| pose_resnet")]
        assert [line for line in done.stdout.splitlines() if line.startswith("| pose_resnet")][-1] in rows
        detected = tool("test", path, "TEST.USE_GT_BBOX", "False", "TEST.SOFT_NMS", "True", "TEST.FLIP_TEST", "True")
        assert detected.returncode == 0, detected.stderr
        assert "boxes: detections" in detected.stdout

    def test_another_codec_than_in_training_is_said(self, trained, tool):
        done = tool("test", trained[0], "MODEL.CODEC", "dark")
        assert done.returncode == 0
        assert "was trained with codec gaussian, scored with dark" in done.stdout

    def test_a_checkpoint_of_another_architecture_is_refused_with_its_keys(self, trained, tool):
        weights = str(run_folder(trained[0]) / "final_state.pth")
        done = tool(
            "test", trained[0], "MODEL.NAME", "pose_resnet", "MODEL.EXTRA.NUM_LAYERS", "34", "TEST.MODEL_FILE", weights
        )
        refused(done, weights, "missing", "layer1.2.conv1.weight")


@pytest.fixture(scope="module")
def staged(repository, tmp_path_factory, tiny_content):
    """Two trainings of two stages, {"whole" or "killed": path}; the second was killed once in each stage."""
    paths = {}
    for name in ("whole", "killed"):
        folder = tmp_path_factory.mktemp(name)
        path = write_experiment(
            tiny_content(folder), WORKERS=1, AUTO_RESUME=True, TRAIN={"STAGES": 2, "END_EPOCH": 2, "LR_STEP": [1]}
        )
        if name == "killed":
            kill_once_there(run_folder(path) / "checkpoint.pth", command(repository, "train", path), folder)
            kill_once_there(run_folder(path) / "stage_1.pth", command(repository, "train", path), folder)
            assert not (run_folder(path) / "final_state.pth").exists()
        done = subprocess.run(
            command(repository, "train", path), capture_output=True, text=True, cwd=folder, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert ("resumed from" in done.stdout) == (name == "killed")
        (folder / "stdout.txt").write_text(done.stdout)
        paths[name] = path
    return paths


def kill_once_there(file, words, cwd):
    """Runs a tool until `file` exists."""
    with open(cwd / "killed.log", "w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=cwd, start_new_session=True)
        deadline = time.monotonic() + 240
        while not file.exists():
            assert process.poll() is None, (cwd / "killed.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


class TestStages:
    @pytest.mark.parametrize("name", ["stage_1", "model_best", "final_state", "checkpoint"])
    def test_a_killed_training_resumes_to_the_same_weights(self, staged, name):
        whole, killed = (
            torch.load(run_folder(path) / f"{name}.pth", weights_only=True)["state_dict"] for path in staged.values()
        )
        for key, value in whole.items():
            assert torch.equal(value, killed[key]), key

    def test_every_stage_has_its_row(self, staged):
        for path in staged.values():
            run, text = (
                json.loads((run_folder(path) / "run.json").read_text()),
                (path.parent / "stdout.txt").read_text(),
            )
            names = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| pose_resnet ")]
            assert names == ["pose_resnet stage_1 gt", "pose_resnet gt"]
            (row,) = run["stages"]
            assert (row["weights"], row["boxes"]) == (str(run_folder(path) / "stage_1.pth"), run["rows"][0]["boxes"])
            assert row["metrics"].keys() == run["rows"][0]["metrics"].keys()

    def test_a_stage_was_scored_as_the_test_tool_scores_its_weights(self, staged, tool):
        path = staged["killed"]
        done = tool("test", path, "TEST.MODEL_FILE", str(run_folder(path) / "stage_1.pth"))
        assert done.returncode == 0, done.stderr
        run, test = (json.loads((run_folder(path) / name).read_text()) for name in ("run.json", "test.json"))
        assert run["stages"][0]["metrics"] == test["rows"][0]["metrics"]

    def test_the_steps_of_tensorboard_run_on(self, staged):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        (folder,) = (staged["whole"].parent / "log" / "toy" / "pose_resnet").iterdir()
        events = EventAccumulator(str(folder))
        events.Reload()
        steps = [event.step for event in events.Scalars("train/loss")]
        assert steps == sorted(set(steps))
        assert [event.step for event in events.Scalars("valid/AP")] == [steps[-1] // 4 * epoch for epoch in range(1, 5)]
        rates = [event.value for event in events.Scalars("train/learning_rate")]
        assert rates[: len(rates) // 2] == rates[len(rates) // 2 :]
        assert rates[0] > rates[len(rates) // 2 - 1]

    def test_fewer_stages_than_are_begun_are_refused(self, staged, tool):
        checkpoint = str(run_folder(staged["whole"]) / "checkpoint.pth")
        refused(tool("train", staged["whole"], "TRAIN.STAGES", "1"), checkpoint, "in stage 2", "TRAIN.STAGES is 1")


def refused(done, *parts):
    """The tool ended with code 2 and one line that holds `parts`."""
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]


class TestMistakes:
    def test_missing_experiment_file(self, tool, tmp_path):
        refused(tool("train", tmp_path / "nothing.yaml"), "nothing.yaml", "no such file")

    def test_unknown_key(self, tool, experiment):
        refused(tool("train", experiment(), "TEST.USE_GT_BOX", "True"), "TEST.USE_GT_BOX", "TEST.USE_GT_BBOX")

    def test_wrong_type(self, tool, experiment):
        refused(tool("test", experiment(TRAIN={"LR": "fast"})), "tiny.yaml", "TRAIN.LR", "'fast'")

    def test_data_root_that_does_not_exist(self, tool, experiment, tmp_path):
        path = experiment(DATASET={"DATASET": "coco", "ROOT": str(tmp_path / "nowhere")})
        refused(tool("train", path), "nowhere", "DATASET.ROOT")

    def test_empty_detections(self, tool, experiment, tmp_path):
        boxes = tmp_path / "boxes.json"
        boxes.write_text("[]")
        refused(tool("test", experiment(), "TEST.USE_GT_BBOX", "False", "TEST.COCO_BBOX_FILE", str(boxes)), str(boxes))

    @pytest.fixture
    def copy(self, toy_root, tmp_path):
        """A copy of the drawn data that is not taken for the toy data set, and may be spoilt."""
        folder = tmp_path / "copy"
        shutil.copytree(toy_root, folder)
        return folder

    def test_missing_image(self, tool, experiment, copy):
        (copy / "images" / "train" / "000000000003.jpg").unlink()
        path = experiment(DATASET={"DATASET": "coco", "ROOT": str(copy)}, WORKERS=1)
        refused(tool("train", path), "000000000003.jpg", "cannot read")

    def test_truncated_jpeg(self, tool, experiment, copy):
        image = copy / "images" / "val" / "000000000002.jpg"
        image.write_bytes(image.read_bytes()[:5000])
        path = experiment(DATASET={"DATASET": "coco", "ROOT": str(copy)})
        refused(tool("train", path, "TRAIN.END_EPOCH", "1"), str(image), "cut off after 5000 bytes")

    def test_annotations_without_keypoints(self, tool, experiment, copy):
        file = copy / "annotations" / "person_keypoints_train.json"
        content = json.loads(file.read_text())
        del content["annotations"][2]["keypoints"]
        file.write_text(json.dumps(content))
        path = experiment(DATASET={"DATASET": "coco", "ROOT": str(copy)})
        refused(tool("train", path), str(file), "'keypoints'", f"annotation {content['annotations'][2]['id']}")

    def test_missing_backbone_shows_before_the_data_is_read(self, tool, experiment):
        path = experiment(DATASET={"ROOT": "nowhere", "DATASET": "coco"}, MODEL={"PRETRAINED": "backbone.pth"})
        refused(tool("train", path), "backbone.pth", "no such file", "MODEL.PRETRAINED")

    def test_no_weights_yet(self, tool, experiment):
        refused(tool("test", experiment()), "final_state.pth", "no such file", "TEST.MODEL_FILE")


@pytest.mark.parametrize("codec", ["gaussian", "dark", "udp", "udp_offset", "soft_argmax", "grmi"])
def test_real_images_are_scored_with_every_codec_and_both_kinds_of_boxes(tool, samples, tmp_path, tiny_content, codec):
    root = samples / "coco_sample"
    boxes = root / "person_detection_results" / "COCO_val2017_detections_AP_H_56_person.json"
    path = write_experiment(
        tiny_content(tmp_path),
        DATASET={"DATASET": "coco", "ROOT": str(root), "TEST_SET": "val2017"},
        MODEL={"CODEC": codec, "IMAGE_SIZE": [96, 128], "HEATMAP_SIZE": [24, 32]},
        TEST={"COCO_BBOX_FILE": str(boxes), "BOTH_BOXES": True, "FLIP_TEST": True, "POST_PROCESS": True},
    )
    weights = tmp_path / "random.pth"
    torch.manual_seed(0)
    torch.save(build_model(load_config(path)).state_dict(), weights)
    done = tool("test", path, "TEST.MODEL_FILE", str(weights))
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "output/coco/pose_resnet/tiny/test.json").read_text())["rows"]
    assert [re.search(r"\d+ boxes", row["boxes"]).group() for row in rows] == ["12 boxes", "118 boxes"]
    for row in rows:
        assert 0 <= row["metrics"]["AP"] < 0.1  # the weights are random
    for file in (tmp_path / "output/coco/pose_resnet/tiny/results").iterdir():
        keypoints = np.array([entry["keypoints"] for entry in json.loads(file.read_text())])
        assert keypoints.shape[1:] == (51,)
        assert np.isfinite(keypoints).all()
