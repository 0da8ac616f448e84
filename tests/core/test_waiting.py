"""What the speed of an epoch hung on."""

import time

import pytest
import torch
from easydict import EasyDict

from heatpose.core import waiting as module
from heatpose.core.waiting import Pace, Waiting, advice


def slow_loader(batches, seconds):
    for number in range(batches):
        time.sleep(seconds)
        yield number


def test_the_loop_s_own_time_is_not_waiting():
    waiting = Waiting(torch.device("cpu"))
    for _ in waiting.over(slow_loader(3, 0.01)):
        time.sleep(0.3)
    assert 0.03 <= waiting.seconds() < 0.6
    assert waiting.seconds() == 0


@pytest.mark.parametrize(("share", "bound"), [(0.0, "network"), (0.1, "network"), (0.11, "loader"), (1.0, "loader")])
def test_the_bound(share, bound):
    assert Pace(0, share).bound == bound


def test_the_bound_of_what_takes_turns():
    assert [Pace(0, share, in_turn=True).bound for share in (0.3, 0.7)] == ["network", "loader"]


PLAIN = EasyDict(COMPUTE={"PRECISION": "fp32"})


@pytest.mark.parametrize("installed", [True, False])
def test_advice_names_what_is_missing(installed, monkeypatch):
    monkeypatch.setattr(module, "is_installed", lambda: installed)
    assert set(advice(PLAIN, torch.device("cpu"))) == (set() if installed else {"loader"})


@pytest.mark.parametrize(("capability", "precision", "compiled", "method", "synced", "said"), [
    ((9, 0), "fp32", "none", "", False, "COMPUTE.PRECISION bf16 COMPUTE.COMPILE cudagraphs may"),
    ((9, 0), "fp32", "none", "wscda", False, "COMPUTE.PRECISION bf16 may"),
    ((9, 0), "fp32", "none", "", True, "COMPUTE.PRECISION bf16 may"),
    ((9, 0), "bf16", "none", "", False, "COMPUTE.COMPILE cudagraphs may"),
    ((9, 0), "bf16", "default", "", False, None), ((9, 0), "bf16", "none", "", True, None),
    ((7, 5), "fp32", "none", "", False, "COMPUTE.COMPILE cudagraphs may"),
    ((7, 5), "fp32", "cudagraphs", "", False, None),
])  # fmt: skip
def test_advice_for_a_gpu(capability, precision, compiled, method, synced, said, monkeypatch):
    monkeypatch.setattr(module, "is_installed", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    cfg = EasyDict(
        COMPUTE={"PRECISION": precision, "COMPILE": compiled}, ADAPT={"METHOD": method}, TRAIN={"SYNC_BN": synced}
    )
    found = advice(cfg, torch.device("cuda"))
    assert found == {} if said is None else found["network"].startswith(said)


class Queue:
    """A device that works through what is queued while the loop goes on, in seconds of a made-up clock."""

    def __init__(self):
        self.now, self.free_at = 0.0, 0.0

    def work(self, seconds):
        self.free_at = max(self.free_at, self.now) + seconds

    def event(self, enable_timing):
        return Event(self)


class Event:
    def __init__(self, queue):
        self.queue, self.happened = queue, None

    def record(self):
        self.queue.free_at = self.happened = max(self.queue.free_at, self.queue.now)

    def elapsed_time(self, other):
        return 1000 * (other.happened - self.happened)


@pytest.mark.parametrize(("loading", "lost"), [(0.5, 0.5 + 0.0), (2.0, 2.0 + 4 * 1.0)])
def test_a_device_that_is_busy_while_the_loop_waits_loses_nothing(monkeypatch, loading, lost):
    """A batch is a second's work, queued at once; of the loader's time only what the device is idle for counts."""
    queue = Queue()
    monkeypatch.setattr(torch.cuda, "Event", queue.event)

    def loader():
        for number in range(5):
            queue.now += loading
            yield number

    waiting = Waiting(torch.device("cuda"))
    for _ in waiting.over(loader()):
        queue.work(1.0)
    assert waiting.seconds() == pytest.approx(lost)


@pytest.mark.cuda
def test_on_a_device_only_idle_time_counts():
    device = torch.device("cuda")
    matrix = torch.randn(4096, 4096, device=device)
    waiting = Waiting(device)
    for _ in waiting.over(slow_loader(3, 0.01)):
        for _ in range(50):
            matrix = (matrix @ matrix).clamp_(-1, 1)
    torch.cuda.synchronize()
    assert waiting.seconds() < 0.02  # the first batch, for which nothing was queued yet
    for _ in waiting.over(slow_loader(3, 0.05)):
        pass
    torch.cuda.synchronize()
    assert waiting.seconds() >= 0.14
