"""Two ways to the same numbers, timed in turn."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Pair:
    """One stage: heatpose's way and the plain one, both called without arguments.

    `numbers` turns what each returns into arrays that must agree within `tolerance` (absolute); `target` is the ratio
    to reach, 0 for none.
    """

    stage: str
    work: str  # what one call does
    ours: Callable[[], Any]
    plain: Callable[[], Any]
    tolerance: float
    target: float = 0
    numbers: Callable[[Any], list[np.ndarray]] = lambda found: [np.asarray(each) for each in found]


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


def measure(pair: Pair, runs: int) -> Timing:
    """Times of `runs` calls of each, in turn, after one of each whose numbers were compared.

    Raises:
        ValueError: the numbers of the two ways differ by more than the tolerance.
    """
    deviation = disagreement(pair)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for way, seconds in zip((pair.ours, pair.plain), times, strict=True):
            start = time.perf_counter()
            way()
            seconds.append(time.perf_counter() - start)
    ours, plain = (statistics.median(seconds) for seconds in times)
    return Timing(
        pair.stage, pair.work, ours, plain, plain / ours, pair.target, runs, deviation, pair.tolerance
    )  # fmt: skip


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
