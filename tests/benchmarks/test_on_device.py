"""The benchmark of a GPU: its code runs on a CPU here, on CUDA where there is one; no timing is asserted."""

import pytest
import torch

from benchmarks.speed import gpu, networks, report, stages
from benchmarks.speed.measure import disagreement, measure

TINY = networks.Network("tiny", "toy/hrnet_64x48.yaml", images=1, batch=6, target=5, training_target=3)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(stages, "PEOPLE", 3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("stage", [gpu.encodings, gpu.decodings, gpu.flips, gpu.losses])
def test_both_ways_of_a_stage_give_the_same_numbers(samples, few, stage, device):
    for pair in stage(samples, networks.Setting(torch.device(device))):
        assert disagreement(pair) <= pair.tolerance <= 0.01


@pytest.mark.parametrize("device", DEVICES)
def test_whole_runs_are_timed_with_loading_processes(samples, few, device):
    setting = networks.Setting(torch.device(device), workers=1)
    timings = [measure(pair, 1) for pair in gpu.pairs(samples, setting, TINY)]
    runs = [each for each in timings if each.ours_network_s]
    assert [(each.stage, each.target) for each in runs] == [("training, tiny", 3), ("test, tiny", 5)]
    assert "| training, tiny | 12 people in batches of 6 |" in report.text(report.content(timings, setting=setting))


def test_the_page_of_a_card_says_how_heatpose_computed():
    content = report.content([], setting=networks.Setting(workers=4, precision="bf16"))
    content["setting"]["device"] = "cuda"
    assert "own settings: workers 4, precision bf16, compilation none." in report.text(content)
