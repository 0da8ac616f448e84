"""The keys of docs/speed.md from the command line: they train, resume, score, and are refused where they cannot be."""

import re
import subprocess
import sys

import pytest
import torch
import yaml

from heatpose.core.checkpoint import read_checkpoint


@pytest.fixture(scope="module")
def call(repository, tiny_content, tmp_path_factory):
    """A function (tool, *pairs, code=0) -> what tools/<tool>.py wrote; all runs are in `call.folder`."""
    folder = tmp_path_factory.mktemp("speed")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(tiny_content(folder)))

    def call(tool, *pairs, code=0):
        command = [sys.executable, str(repository / "tools" / f"{tool}.py"), "--cfg", str(folder / "tiny.yaml"), *pairs]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    call.folder = folder / "output" / "toy" / "pose_resnet" / "tiny"
    return call


def table(text):
    return [line for line in text.splitlines() if "pose_resnet gt" in line][-1]


OPTIONS = ("COMPUTE.PRECISION", "bf16", "TRAIN.ACCUMULATE", "2", "TRAIN.EMA", "0.5", "TRAIN.BATCH_SIZE_PER_GPU", "2")


def test_a_training_with_everything_is_resumed_and_scored(call):
    text = call("train", *OPTIONS)
    assert re.search(r"epoch 1: bound by the (network|loader) \(\d+% of the time waiting for data\)", text)
    steps = int(re.search(r"epoch 0 step \d+/(\d+) ", text).group(1))
    checkpoint, final = (read_checkpoint(call.folder / f"{name}.pth") for name in ("checkpoint", "final_state"))
    assert checkpoint["objective"]["average"]["steps"] == 2 * steps
    for key, value in final["state_dict"].items():
        assert torch.equal(value, checkpoint["objective"]["average"]["state_dict"][key])
    assert {value.dtype for value in final["state_dict"].values()} == {torch.float32, torch.int64}
    assert table(call("test", *OPTIONS)) == table(text)
    resumed = call("train", *OPTIONS, "AUTO_RESUME", "True", "TRAIN.END_EPOCH", "3")
    assert "epoch 2: bound by" in resumed
    assert read_checkpoint(call.folder / "checkpoint.pth")["objective"]["average"]["steps"] == 3 * steps


@pytest.mark.parametrize(
    ("pairs", "line"),
    [
        (("COMPUTE.PRECISION", "fp16"), "COMPUTE.PRECISION is 'fp16'; choose one of fp32, bf16"),
        (("COMPUTE.COMPILE", "fast"), "COMPUTE.COMPILE is 'fast'; choose one of none, cudagraphs"),
        (("COMPUTE.COMPILE", "reduce-overhead", "TRAIN.ACCUMULATE", "2"), "set COMPUTE.COMPILE to default"),
        (("TRAIN.ACCUMULATE", "0"), "TRAIN.ACCUMULATE is 0; it must be above 0"),
        (("TRAIN.EMA", "1"), "TRAIN.EMA is 1"),
        (("TRAIN.EMA", "1.5"), "TRAIN.EMA is 1.5; expected 0 to 1"),
    ],
)
def test_what_cannot_be_is_one_line(call, pairs, line):
    error = call("train", *pairs, code=2)
    assert line in error
    assert len(error.strip().splitlines()) == 1
