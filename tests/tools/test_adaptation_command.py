"""Adaptation from the command line: each method trains, resumes, is scored, and shows its pseudo-labels."""

import json
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

METHODS = ("supervised", "mean_teacher", "ccssl", "wscda", "pplo")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that all experiments of this module share, so that the data is drawn once."""
    return tmp_path_factory.mktemp("adaptation")


@pytest.fixture(scope="module")
def write(place):
    """A function (name, method, **ADAPT) -> path of an experiment on a small toy pair, which adapts from epoch 1 on."""

    def write(name, method, people=False, **keys):
        data = str(place / "data")
        content = {
            "OUTPUT_DIR": str(place / "output"), "LOG_DIR": str(place / "log"), "WORKERS": 0, "PRINT_FREQ": 1,
            "AUTO_RESUME": True,
            "DATASET": {"DATASET": "toy_animals", "ROOT": f"{data}/animals", "TRAIN_SET": "train", "TEST_SET": "test",
                        "TOY_TRAIN_IMAGES": 8, "TOY_TEST_IMAGES": 4},
            "TARGET": {"TOY_DOMAIN": "target", "TOY_TRAIN_IMAGES": 10, "TOY_TEST_IMAGES": 5},
            "MODEL": {"NAME": "pose_resnet", "NUM_JOINTS": 18, "IMAGE_SIZE": [64, 64], "HEATMAP_SIZE": [16, 16],
                      "SIGMA": 1.0, "EXTRA": {"NUM_LAYERS": 18, "NUM_DECONV_FILTERS": [8, 8, 8]}},
            "TRAIN": {"BATCH_SIZE_PER_GPU": 4, "END_EPOCH": 3},
            "TEST": {"USE_GT_BBOX": True, "BATCH_SIZE_PER_GPU": 8},
            "ADAPT": {"METHOD": method, "STRONG_AUGMENTATION": True, "BEGIN_EPOCH": 1, "REFRESH_EVERY": 1, "VIEWS": 2,
                      "THRESHOLD_START": 0.05, "THRESHOLD_STEP": 0.01, "THRESHOLD_FLOOR": 0.001, **keys},
        }  # fmt: skip
        if people:
            content["HUMANS"] = {
                "DATASET": "toy", "ROOT": f"{data}/people", "TRAIN_SET": "train", "TEST_SET": "val",
                "TOY_TRAIN_IMAGES": 4, "TOY_TEST_IMAGES": 1,
            }  # fmt: skip
        path = place / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def output(path):
    return path.parent / "output" / "toy_animals" / "pose_resnet" / path.stem


@pytest.fixture(scope="module")
def tool(repository, place):
    def call(name, path, *pairs):
        words = [sys.executable, str(repository / "tools" / f"{name}.py"), "--cfg", str(path), *pairs]
        return subprocess.run(words, capture_output=True, text=True, cwd=place, timeout=300)

    return call


@pytest.fixture(scope="module")
def trained(write, tool):
    """A finished training of every method: method -> (path, what it printed)."""
    found = {}
    for method in METHODS:
        path = write(method, method, people=method in ("wscda", "pplo"))
        done = tool("train", path)
        assert done.returncode == 0, done.stderr
        found[method] = path, done.stdout
    return found


def tags(path):
    (folder,) = (path.parent / "log" / "toy_animals" / "pose_resnet").glob(f"{path.stem}_2*")
    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    return events


@pytest.mark.parametrize("method", METHODS)
def test_the_target_is_scored_and_the_test_tool_agrees(trained, tool, method):
    path, text = trained[method]
    assert "5 boxes of" in text and "target/annotations" in text
    run = json.loads((output(path) / "run.json").read_text())
    done = tool("test", path)
    assert done.returncode == 0, done.stderr
    test = json.loads((output(path) / "test.json").read_text())
    assert test["rows"][0]["metrics"] == run["rows"][0]["metrics"]
    assert {"PCK@0.05", "accuracy", "hoof"} <= test["rows"][0]["metrics"].keys()


@pytest.mark.parametrize("method", ["ccssl", "pplo"])
def test_pseudo_labels_are_in_the_log_in_tensorboard_and_in_pictures(trained, method):
    path, text = trained[method]
    assert "pseudo-labels kept" in text
    events = tags(path)
    scalars = set(events.Tags()["scalars"])
    assert {f"pseudo_labels/{name}" for name in ("threshold", "number", "share")} <= scalars
    assert {"pseudo_labels/number_of/chin", "train/loss_target", "train/loss_labelled", "valid/PCK_0.05"} <= scalars
    assert {"pseudo_labels/accuracy_kept", "pseudo_labels/accuracy_rejected"} & scalars
    assert [event.step for event in events.Scalars("pseudo_labels/threshold")] == [2, 4]  # two steps an epoch
    assert "pseudo_labels/kept_and_rejected" in events.Tags()["images"]
    assert sorted(file.name for file in (output(path) / "pictures").glob("pseudo_labels*")) == [
        "pseudo_labels_1.jpg", "pseudo_labels_2.jpg",
    ]  # fmt: skip


def test_the_domain_loss_is_in_tensorboard(trained):
    assert {"train/loss_domain", "train/loss_humans"} <= set(tags(trained["wscda"][0]).Tags()["scalars"])


def test_the_adaptation_network_is_among_the_weights(trained):
    names = torch.load(output(trained["wscda"][0]) / "final_state.pth", weights_only=True)["state_dict"]
    assert any(name.startswith("adaptation.") for name in names)


@pytest.mark.parametrize("method", ["mean_teacher", "ccssl", "pplo"])
def test_a_killed_adaptation_resumes_to_the_same_weights(trained, write, repository, tool, method):
    path = write(f"{method}_killed", method, people=method == "pplo")
    words = [sys.executable, str(repository / "tools" / "train.py"), "--cfg", str(path)]
    with open(path.with_suffix(".log"), "w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=path.parent)
        deadline = time.monotonic() + 240
        while "epoch 1 done" not in path.with_suffix(".log").read_text():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = tool("train", path)
    assert done.returncode == 0 and "resumed from" in done.stdout, done.stderr
    whole, killed = (
        torch.load(output(one) / "final_state.pth", weights_only=True)["state_dict"]
        for one in (trained[method][0], path)
    )
    for key, value in whole.items():
        assert torch.equal(value, killed[key]), key


MISTAKES = {
    "no target": (("TARGET.DATASET", ""), "there is no TARGET to adapt to"),
    "method": (("ADAPT.METHOD", "ccsll"), "ADAPT.METHOD is 'ccsll'; choose one of"),
    "signs": (("ADAPT.METHOD", "wscda", "ADAPT.ALPHA", "1"), "confuse the discriminator, ALPHA below 0"),
    "people": (("HUMANS.DATASET", "toy"), "HUMANS is read by ADAPT.METHOD wscda and pplo"),
    "never": (("TRAIN.END_EPOCH", "1"), "ccssl would never begin"),
    "weight": (("LOSS.USE_TARGET_WEIGHT", "False"), "leaves out rejected pseudo-labels by their weight"),
    "selection": (("TARGET.SELECT_DATA", "True"), "selects by labels"),
    "choice": (("TARGET.AUGMENTATION", "mpsn"), "TARGET.AUGMENTATION is 'mpsn'; choose one of"),
    "share": (("ADAPT.FLOW_DECAY", "1.5"), "ADAPT.FLOW_DECAY is 1.5; expected 0 to 1"),
    "half bodies": (("TARGET.PROB_HALF_BODY", "0.5"), "half bodies are cropped by labels"),
    "joints": (("TARGET.DATASET", "toy"), "TARGET.DATASET toy has 17 keypoints"),
    "boxes": (("TEST.BOTH_BOXES", "True"), "TARGET.DATASET toy_animals is always scored on its annotated boxes"),
    "codec": (("MODEL.CODEC", "udp_offset"), "takes heatmaps alone"),
    "time": (("TARGET.TOY_DOMAIN", "source"), "TARGET has no clips"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(trained, tool, mistake):
    pairs, expected = MISTAKES[mistake]
    path, _ = trained["ccssl"]
    done = tool("train", path, "OUTPUT_DIR", str(path.parent / "mistakes"), *pairs)
    assert done.returncode == 2
    assert expected in done.stderr and len(done.stderr.strip().splitlines()) == 1
