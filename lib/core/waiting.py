"""Whether a training waits for its samples."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..utils.jpeg_parts import is_installed

LOADER_BOUND = 0.1  # share of waiting above which a loader beside the network is said to be the bound


class Waiting:
    """How long the device had nothing to do because the next batch was not there.

    On a CPU that is the time for which the loop waits for its loader. On CUDA the loop only queues the device's work
    and runs ahead of it: while it waits for a batch, the device may still be busy with the steps before, which costs
    nothing. So one event is queued when a batch is asked for, and one when it has come. The first happens when the
    device has done what was queued before; the second at once after it where the batch came in time, else when it came.
    What lies between them is lost. They are read by `seconds` after something else has waited for the device, a report,
    so that no step does.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.spans: list[tuple[Any, Any]] = []

    def over(self, loader: Iterable[Any]) -> Iterator[Any]:
        """The batches of `loader`."""
        asked = self._now()
        for batch in loader:
            self.spans.append((asked, self._now()))
            yield batch
            asked = self._now()

    def seconds(self) -> float:
        """Time lost since the last call; the device must have been waited for."""
        spans, self.spans = self.spans, []
        if self.device.type == "cuda":
            return sum(asked.elapsed_time(came) for asked, came in spans) / 1000
        return sum(came - asked for asked, came in spans)

    def _now(self) -> Any:
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


@dataclass(frozen=True)
class Pace:
    """What the speed of an epoch hung on; `waiting` is the share of its time lost to waiting for the loader.

    With many processes it is that of the one that waited most. The share is what a faster loader could save. Loading
    processes that keep up are waited for at the beginning of an epoch alone: above a tenth of the time they are called
    the bound. Without such processes (`in_turn`) the loop loads or computes, and the bound is what takes longer.

    >>> Pace(3, 0.02).bound
    'network'
    """

    epoch: int
    waiting: float
    in_turn: bool = False

    @property
    def bound(self) -> str:
        """loader or network: which of them is to be made faster first."""
        return "loader" if self.waiting > (0.5 if self.in_turn else LOADER_BOUND) else "network"


def advice(cfg: Any, device: torch.device) -> dict[str, str]:
    """What to try where the loader or the network is the bound, by its name; nothing where nothing is left to say."""
    found = {}
    if not is_installed():
        found["loader"] = 'pip install -e ".[jpeg]" takes a third off the decoding of JPEGs; docs/speed.md has more'
    faster = []
    if device.type == "cuda" and cfg.COMPUTE.PRECISION == "fp32" and torch.cuda.get_device_capability(device) >= (8, 0):
        faster.append("COMPUTE.PRECISION bf16")
    if device.type == "cuda" and cfg.COMPUTE.COMPILE == "none" and not (cfg.ADAPT.METHOD or cfg.TRAIN.SYNC_BN):
        faster.append("COMPUTE.COMPILE cudagraphs")
    if faster:
        found["network"] = f"{' '.join(faster)} may be faster on this GPU; docs/speed.md says what it changes"
    return found
