"""Two ways to the same numbers, timed in turn."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SHORT = 0.5  # s


@dataclass(frozen=True)
class Pair:
    """One stage: heatpose's way and the plain one, both called without arguments.

    `numbers` turns what each returns into arrays that must agree within `tolerance` (absolute); `target` is the ratio
    to reach, 0 for none. Of a whole run, `ours_network` and `plain_network` are the network's work alone, on inputs
    that are ready, and `samples` how many there are.
    """

    stage: str
    work: str  # what one call does
    ours: Callable[[], Any]
    plain: Callable[[], Any]
    tolerance: float
    target: float = 0
    numbers: Callable[[Any], list[np.ndarray]] = lambda found: [np.asarray(each) for each in found]
    ours_network: Callable[[], Any] | None = None
    plain_network: Callable[[], Any] | None = None
    runs_share: float = 1.0  # of the timed calls that are asked for, where one takes long
    samples: int = 0


@dataclass(frozen=True)
class Timing:
    """Median seconds of both ways, their ratio, and how far their numbers lie apart."""

    stage: str
    work: str
    ours_s: float
    plain_s: float
    ratio: float
    target: float
    runs: int
    deviation: float
    tolerance: float
    ours_network_s: float = 0.0
    plain_network_s: float = 0.0
    samples: int = 0


@dataclass(frozen=True)
class Processes:
    """Median seconds and largest peaks of memory (MiB, 0 where none was taken) of both ways as processes."""

    run: str
    work: str
    ours_s: float
    plain_s: float
    ours_mib: float
    plain_mib: float
    runs: int


def measure(pair: Pair, runs: int) -> Timing:
    """Times of `runs` calls of each (see `runs_share`), in turn, after one of each whose numbers were compared.

    Of a short call the two after a turn's first count: that one finds in the caches what the other way left there.

    Raises:
        ValueError: the numbers of the two ways differ by more than the tolerance.
    """
    deviation, runs = disagreement(pair), max(1, int(runs * pair.runs_share))
    ways = [way for way in (pair.ours, pair.plain, pair.ours_network, pair.plain_network) if way is not None]
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(runs):
        for way, seconds in zip(ways, times, strict=True):
            calls = [_seconds(way)]
            if calls[0] < SHORT:
                calls = [_seconds(way), _seconds(way)]
            seconds += calls
    ours, plain, *networks = (statistics.median(seconds) for seconds in times)
    return Timing(
        pair.stage, pair.work, ours, plain, plain / ours, pair.target, runs, deviation, pair.tolerance,
        *(networks or (0.0, 0.0)), pair.samples,
    )  # fmt: skip


def _seconds(way: Callable[[], Any]) -> float:
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def disagreement(pair: Pair) -> float:
    """The largest difference of the two ways' numbers; a ValueError where it is above the tolerance."""
    largest = 0.0
    both = zip(pair.numbers(pair.ours()), pair.numbers(pair.plain()), strict=True)
    for number, (ours, plain) in enumerate(both):
        if ours.shape != plain.shape:
            raise ValueError(f"{pair.stage}: array {number} has shape {ours.shape}, the plain path's {plain.shape}")
        if ours.size:
            largest = max(largest, float(np.abs(ours.astype(np.float64) - plain.astype(np.float64)).max()))
    if not largest <= pair.tolerance:
        raise ValueError(
            f"{pair.stage}: the two ways differ by {largest:g}, allowed is {pair.tolerance:g}; nothing was timed"
        )
    return largest
