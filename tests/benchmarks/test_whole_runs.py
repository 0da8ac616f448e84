"""Whole runs of the benchmark: both ways agree, and what a process spends is told; no timing is asserted."""

import json
import sys

import numpy as np
import pytest
import torch

from benchmarks.speed import networks, plain_run, processes, report, whole
from benchmarks.speed.child import spend
from benchmarks.speed.copies import ANNOTATIONS, BOXES, repeat_sample
from benchmarks.speed.measure import Pair, Processes, disagreement, measure
from heatpose.metrics import heatmap_accuracy

TINY = networks.Network("tiny", "toy/hrnet_64x48.yaml", images=1, copies=2, batch=6, lessons=80)


def test_both_ways_of_a_test_give_the_same_results(samples):
    for pair in whole.tests(samples, [TINY]):
        assert disagreement(pair) <= pair.tolerance <= 0.001
        assert pair.ours()[0][0] > 0.01  # an AP to compare
        pair.ours_network()
        pair.plain_network()


def test_both_ways_of_a_training_give_the_same_loss(samples):
    for pair in whole.trainings(samples, [TINY]):
        assert disagreement(pair) <= pair.tolerance <= 0.01
        pair.ours_network()
        pair.plain_network()


def test_copies_share_no_name_or_id(samples, tmp_path):
    root = repeat_sample(samples, tmp_path, 3, images=2)
    content, boxes = json.loads((root / ANNOTATIONS).read_text()), json.loads((root / BOXES).read_text())
    assert len({image["file_name"] for image in content["images"]}) == len({i["id"] for i in content["images"]}) == 6
    for entries in (content["annotations"], boxes):
        assert len({entry["id"] for entry in entries}) == len(entries) > 0
        assert {entry["image_id"] for entry in entries} == set(range(1, 7))


def test_the_plain_accuracy_is_the_forks():
    rng = np.random.default_rng(0)
    output, target = rng.random((2, 5, 4, 16, 12)).astype(np.float32)
    target[:, 1] = 0  # no joint of that kind
    output[:3, 2] = target[:3, 2]
    mean, count = plain_run.accuracy(output, target)
    ours = heatmap_accuracy(torch.from_numpy(output), torch.from_numpy(target))
    assert (mean, count) == pytest.approx((ours.mean.item(), ours.count.item()))
    assert count == 3 and mean > 0.1


def test_the_plain_test_refuses_another_codec(samples, tmp_path):
    cfg = networks.configure(TINY, repeat_sample(samples, tmp_path, 1), tmp_path, "MODEL.CODEC", "dark")
    with pytest.raises(ValueError, match="MODEL.CODEC is dark"):
        plain_run.Boxes(cfg, plain_run.build_codec(cfg))


def test_a_child_s_memory_is_its_own(repository):
    held = bytearray(300 * 2**20)
    small = spend([sys.executable, "-c", "pass"], repository)
    large = spend([sys.executable, "-c", "bytearray(200 * 2**20)"], repository)
    assert len(held) and small.mib < 100 < 200 < large.mib < small.mib + 250
    assert 0 < small.seconds


def test_a_child_that_fails_is_told_with_its_last_line(repository):
    with pytest.raises(ValueError, match="ended with 1 .*no such luck"):
        spend([sys.executable, "-c", "raise SystemExit('no such luck')"], repository)


def test_the_scoring_chain_runs_in_processes(samples):
    (found,) = processes.score_runs(samples, images=6, detections=60)
    assert found.work == "60 detections"
    assert min(found.ours_mib, found.plain_mib) > 50


def test_rows_of_runs_tell_the_networks_share_and_the_limit():
    pair = Pair("test", "a box", lambda: [1.0], lambda: [1.0], 0.0, 4, ours_network=list, plain_network=list)
    timing = measure(pair, 4)
    assert timing.ours_network_s > 0
    whole_run = report.Timing("test", "a box", 2.0, 8.0, 4.0, 4, 3, 0.0, 0.1, 1.0, 2.0, 80)
    process = Processes("test", "boxes", 1.0, 2.0, 700.0, 600.0, 1)
    text = report.text(json.loads(json.dumps(report.content([whole_run], [process], 0.5))))
    assert (
        "| test | a box | 2.00 (40) | 1.00 (50%) | 8.00 (10) | 2.00 (25%) | 4.0 | 4 | yes | 8.0 | 3 | 0 (0.1) |" in text
    )
    assert "| test | boxes | 1.0 | 2.0 | 2.0 | 700 | 600 | no | 1 |" in text
    assert "load average at the start 0.50" in text
