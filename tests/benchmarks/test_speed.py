"""The plain path agrees with heatpose, and the command says what is missing; no timing is asserted."""

import json
import subprocess
import sys

import pytest

from benchmarks.speed import report, scoring, stages
from benchmarks.speed.measure import Pair, disagreement, measure


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(stages, "PEOPLE", 3)


@pytest.mark.parametrize("stage", ["sample", "encode", "loss", "flip", "decode"])
def test_both_ways_give_the_same_numbers(samples, few, stage):
    for pair in stages.STAGES[stage](samples):
        assert disagreement(pair) <= pair.tolerance < 0.5


def test_scores_of_both_ways_are_the_same(samples):
    for pair in scoring.scores(samples, images=12, detections=150):
        assert disagreement(pair) <= pair.tolerance < 0.01


def test_ways_that_differ_are_not_timed():
    pair = Pair("sum", "two numbers", lambda: [1.0, 2.0], lambda: [1.0, 2.1], tolerance=0.01)
    with pytest.raises(ValueError, match="sum: the two ways differ by 0.1"):
        measure(pair, 1)


def test_a_row_says_whether_the_target_was_met():
    timing = measure(Pair("sum", "a number", lambda: [1.0], lambda: [1.0], 0.0, target=1e9), 3)
    content = json.loads(json.dumps(report.content([timing])))
    assert "| 1e+09 | no | 3 | 0 (0) |" in report.text(content)


def test_the_command_names_a_missing_folder(repository, tmp_path):
    command = [sys.executable, "-m", "benchmarks.speed", "--samples", str(tmp_path)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "coco_sample: no such folder" in done.stderr
