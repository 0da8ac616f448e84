"""Whole processes, the start of Python included: seconds and peak memory of both ways."""

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from . import scoring
from .child import Spent, spend
from .copies import repeat_sample
from .measure import Processes
from .networks import EXPERIMENTS, SMALL, Network, configure, overrides, taught

ROOT = Path(__file__).resolve().parents[2]
PLAIN_TEST = ("-m", "benchmarks.speed.plain_run")
TEST = ("tools/test.py",)
WEIGHTS = "weights.pth"


def compare(run: str, work: str, ours: Sequence[str], plain: Sequence[str], runs: int) -> Processes:
    """Arguments of Python, both ways in turn."""
    spent: tuple[list[Spent], list[Spent]] = ([], [])
    for _ in range(runs):
        for way, found in zip((ours, plain), spent, strict=True):
            found.append(spend([sys.executable, *way], ROOT))
    seconds = [statistics.median(each.seconds for each in way) for way in spent]
    peaks = [max(each.mib for each in way) for way in spent]
    return Processes(run, work, *seconds, *peaks, runs)


def test_runs(samples: Path, network: Network = SMALL, runs: int = 3) -> Iterator[Processes]:
    """tools/test.py and the plain test: their start alone, the sample's boxes once, and as often as `network` says."""
    yield compare("start", "imports, --help", [*TEST, "--help"], [*PLAIN_TEST, "--help"], runs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lessons = configure(network, repeat_sample(samples, folder / "lessons", 1), folder)
        torch.save({"state_dict": taught(lessons, network.lessons).state_dict()}, folder / WEIGHTS)
        once, often = (_tests(samples, folder, network, copies, runs) for copies in (1, network.copies))
        yield from (once, often)
        yield Processes(
            "difference of these two", "without what is done once", often.ours_s - once.ours_s,
            often.plain_s - once.plain_s, 0, 0, runs,
        )  # fmt: skip
        if network.many_copies:
            yield _tests(samples, folder, network, network.many_copies, 1)


def _tests(samples: Path, folder: Path, network: Network, copies: int, runs: int) -> Processes:
    """The commands on the sample's images so many times, with the weights in `folder`."""
    root = repeat_sample(samples, folder / f"{copies}_times", copies)
    given = ["--cfg", str(EXPERIMENTS / network.experiment), *network.keys, *overrides(root, folder)]
    given += ["TEST.MODEL_FILE", str(folder / WEIGHTS)]
    work = f"{network.title}, sample {copies} time{'s' * (copies > 1)}"
    return compare("tools/test.py", work, [*TEST, *given], [*PLAIN_TEST, *given], runs)


test_runs.__test__ = False  # type: ignore[attr-defined]


def score_runs(samples: Path, images: int, detections: int) -> Iterator[Processes]:
    """The scoring chain, each way in a fresh process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = scoring.repeat(samples, folder, images, detections)
        np.save(folder / "keypoints.npy", written.keypoints)
        ours, plain = (["-m", "benchmarks.speed.processes", way, name] for way in ("ours", "plain"))
        yield compare("scoring chain", f"{len(written.keypoints)} detections", ours, plain, 1)


def main(way: str, folder: Path) -> None:
    """The scoring chain of files that `score_runs` wrote."""
    keypoints = np.load(folder / "keypoints.npy")
    written = scoring.Written(folder / "annotations.json", folder / "detections.json", keypoints)
    {"ours": scoring.ours, "plain": scoring.plain}[way](written, folder / f"{way}.json")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
