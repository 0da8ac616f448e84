"""Parts of a profile add up, and the page names the largest; no timing is asserted."""

import json
import subprocess
import sys
import time

import pytest
import torch

from benchmarks import profile
from benchmarks.speed import networks, report

TINY = networks.Network("tiny", "toy/hrnet_64x48.yaml", images=1, batch=6)


class Work:
    def outer(self):
        time.sleep(0.02)
        self.inner()

    def inner(self):
        time.sleep(0.05)


def test_a_part_counts_without_the_parts_within_it():
    work, parts = Work(), profile.Parts(torch.device("cpu"))
    with parts.watched({"outer": (work, "outer"), "inner": (work, "inner")}):
        work.outer()
    work.outer()  # no longer watched
    assert 0.05 <= parts.seconds["inner"]
    assert 0.02 <= parts.seconds["outer"] < parts.seconds["inner"]


def test_a_part_that_does_not_exist_is_an_error():
    with (
        pytest.raises(AttributeError, match="no_such"),
        profile.Parts(torch.device("cpu")).watched({"x": (Work(), "no_such")}),
    ):
        pass


SETTINGS = [
    networks.ON_CPU,
    networks.Setting(workers=1),
    pytest.param(networks.Setting(torch.device("cuda"), 1, "bf16", "cudagraphs"), marks=pytest.mark.cuda),
]


@pytest.mark.parametrize("setting", SETTINGS, ids=["cpu", "processes", "cuda"])
def test_every_part_of_a_step_and_of_an_evaluation_is_met(samples, setting):
    found = list(profile.profiles(samples, [TINY], setting))
    assert [each.work for each in found] == ["training step", "evaluation"]
    for each in found:
        assert each.seconds == pytest.approx(sum(each.parts.values()))
        assert len(each.parts) >= (9 if setting.workers else 12) and all(spent > 0 for spent in each.parts.values())
        assert ("waiting for the loading processes" in each.parts) == (setting.workers > 0)
    content = json.loads(json.dumps(report.surroundings()))
    page = profile.text(found, report.about(content))
    assert page.count("The three largest: ") == 2 and "| network and loss backward" in page


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("module", ["benchmarks.profile", "benchmarks.speed"])
def test_a_missing_card_is_told_in_one_line(repository, samples, module):
    command = [sys.executable, "-m", module, "--device", "cuda", "--samples", str(samples)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "no CUDA device" in done.stderr
