"""Many processes come to what one comes to: the shares of the samples, weights, losses, keypoints, scores."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml

from heatpose.core.checkpoint import read_checkpoint
from heatpose.core.distributed import ALONE, join
from heatpose.dataset.loading import EpochSampler

EPOCHS = 2


def shares(size, batch_size, processes, epoch=0):
    samplers = [EpochSampler(size, True, 5, batch_size, (rank, processes)) for rank in range(processes)]
    for sampler in samplers:
        sampler.epoch = epoch
    return samplers


@pytest.mark.parametrize("size", [1, 2, 7, 12, 13, 24])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_a_step_of_all_processes_has_the_samples_of_one_with_a_larger_batch(size, batch_size, processes):
    samplers, whole = shares(size, batch_size, processes), list(EpochSampler(size, True, 5))
    assert len({-(-len(sampler) // batch_size) for sampler in samplers}) == 1
    steps, together = -(-size // (batch_size * processes)), batch_size * processes
    assert -(-len(samplers[0]) // batch_size) == steps
    for step in range(1, steps + 1):
        taken, weights = [], [sampler.weight(step) for sampler in samplers]
        for sampler, weight in zip(samplers, weights, strict=True):
            batch = list(sampler)[(step - 1) * batch_size : step * batch_size]
            assert batch, "a process without a batch would leave the others waiting"
            taken += batch if weight else []
            expected = whole[(step - 1) * together : step * together]
            assert weight * len(expected) == pytest.approx(len(batch) * processes if weight else 0)
        assert sorted(taken) == sorted(expected)
        assert sum(weights) == pytest.approx(processes)


@pytest.mark.parametrize("size", [1, 7, 12, 13])
@pytest.mark.parametrize(("batch_size", "processes", "accumulate"), [(2, 1, 3), (1, 2, 3), (2, 3, 2), (3, 2, 4)])
def test_every_sample_of_a_step_counts_the_same(size, batch_size, processes, accumulate):
    samplers = shares(size, batch_size, processes)
    batches, together = -(-size // (batch_size * processes)), batch_size * processes * accumulate
    for first in range(0, batches, accumulate):
        of_step = min(together, size - first * batch_size * processes)
        counts = []  # of every process's batch, as the processes' mean takes it
        for sampler in samplers:
            for batch in range(first, min(first + accumulate, batches)):
                taken = list(sampler)[batch * batch_size : (batch + 1) * batch_size]
                counts.append(sampler.weight(batch + 1, accumulate) / processes * of_step)
                assert counts[-1] in (pytest.approx(len(taken)), 0), "0 for a sample that is repeated"
        assert sum(counts) == pytest.approx(of_step)


def test_a_process_without_torchrun_is_alone(monkeypatch):
    for key in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(key, raising=False)
    assert join() is ALONE
    assert (ALONE.shard, ALONE.first_of(-1), ALONE.first_of(3), ALONE.from_first("a")) == ((0, 1), -1, 3, "a")
    assert ALONE.is_first_to_fail()


@pytest.fixture(scope="module")
def run(repository, tiny_content, tmp_path_factory):
    """A function (processes, batch size of each, epochs=EPOCHS, start=None, accumulate=1) -> folder of a finished run.

    `start` is the folder of another run to go on from.
    """

    def call(processes, batch_size, epochs=EPOCHS, start=None, accumulate=1):
        folder = tmp_path_factory.mktemp("run")
        content = tiny_content(folder)
        content["TRAIN"].update(END_EPOCH=epochs, OPTIMIZER="sgd", LR=0.5, LR_STEP=[1], WARMUP_ITERS=1)
        content["TRAIN"].update(EMA=0.6, ACCUMULATE=accumulate)
        (folder / "tiny.yaml").write_text(yaml.safe_dump(content))
        if start is not None:
            shutil.copy(start / "checkpoint.pth", folder)
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        script = str(repository / "tests" / "core" / "share_of_a_run.py")
        command = [sys.executable, *launcher * (processes > 1), script, folder / "tiny.yaml", folder, str(batch_size)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert done.returncode == 0, done.stderr
        return folder

    return call


@pytest.fixture(scope="module")
def alone(run):
    return run(1, 6)


@pytest.fixture(scope="module")
def three(run):
    return run(3, 2)


def found(folder):
    return json.loads((folder / "found.json").read_text())


def same_training(one, many):
    for file in ("checkpoint.pth", "final_state.pth"):  # the weights, and their average
        weights, others = (read_checkpoint(folder / file)["state_dict"] for folder in (one, many))
        for key, value in weights.items():
            np.testing.assert_allclose(others[key].numpy(), value.numpy(), rtol=1e-5, atol=1e-7, err_msg=key)
    assert found(many)["losses"] == pytest.approx(found(one)["losses"][-len(found(many)["losses"]) :], rel=1e-5)


def test_three_processes_train_as_one_with_the_threefold_batch(alone, three, toy_root):
    people = len(json.loads((toy_root / "annotations" / "person_keypoints_train.json").read_text())["annotations"])
    assert people % 6 % 3, "the last step should be shared unequally"
    assert len(found(alone)["losses"]) == EPOCHS * -(-people // 6)
    same_training(alone, three)


def test_two_processes_go_on_from_one(alone, run):
    same_training(alone, run(2, 3, start=run(1, 6, epochs=1)))


@pytest.mark.parametrize(("processes", "batch_size", "accumulate"), [(1, 2, 3), (2, 1, 3), (3, 1, 2)])
def test_batches_that_add_up_train_as_one_large_batch(alone, run, toy_root, processes, batch_size, accumulate):
    """The last step has fewer batches than the others, and one of them fewer samples."""
    same_training(alone, run(processes, batch_size, accumulate=accumulate))


def test_keypoints_and_scores_are_those_of_one_process(alone, run, three):
    """With batches of 100 one process predicts everybody, and the others nobody."""
    two = run(2, 3, start=alone)
    three = run(3, 2, start=alone)
    for size in (2, 100):
        scores, mixed = found(alone)[f"scores of {size}"]
        assert mixed["AP"] > scores["AP"]
        for many in (two, three):
            assert found(many)[f"keypoints of {size}"] == found(alone)[f"keypoints of {size}"]
            assert found(many)[f"scores of {size}"] == [scores, mixed]
