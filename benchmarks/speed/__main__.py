"""Times heatpose beside a plain per-sample, per-joint path on one thread and prints the table.

python -m benchmarks.speed --samples ../shared/data
python -m benchmarks.speed --stages encode,decode --runs 9
python -m benchmarks.speed --stages test,train,processes
python -m benchmarks.speed --write            also benchmarks/speed.md and benchmarks/speed.json
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch and OpenCV are loaded

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import cv2
import torch

from . import processes, report, scoring, whole
from .measure import Processes, Timing, measure
from .stages import STAGES

HERE = Path(__file__).parents[1]
PAIRS = {**STAGES, "test": whole.tests, "train": whole.trainings}
NAMES = (*PAIRS, "processes")
NEEDED = ("coco_sample", "coco_val538")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=Path("../shared/data"), help=f"folder with {', '.join(NEEDED)}")
    parser.add_argument("--stages", default=",".join(NAMES), help="some of them, with commas between")
    parser.add_argument("--runs", type=int, default=7, help="timed calls of each way; of long stages a third")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--write", action="store_true", help="write benchmarks/speed.md and benchmarks/speed.json")
    options = parser.parse_args()
    stages = options.stages.split(",")
    if unknown := [name for name in stages if name not in NAMES]:
        return report.refuse(f"--stages {unknown[0]}: no such stage; use some of {','.join(NAMES)}")
    if options.runs < 1:
        return report.refuse(f"--runs {options.runs}: use 1 or more")
    if missing := [name for name in NEEDED if not (options.samples / name).is_dir()]:
        return report.refuse(
            f"{options.samples / missing[0]}: no such folder; --samples wants one with {', '.join(NEEDED)}"
        )
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    load = os.getloadavg()[0]
    timings = [timing for name in stages if name in PAIRS for timing in _timed(name, options.samples, options.runs)]
    children = list(_processes(options.samples)) if "processes" in stages else []
    content = report.content(timings, children, load)
    if options.json:
        report.write_json(content, options.json)
    if options.write:
        report.write_json(content, HERE / "speed.json")
        (HERE / "speed.md").write_text(report.text(content))
    return 0


def _timed(name: str, samples: Path, runs: int) -> Iterator[Timing]:
    for pair in PAIRS[name](samples):
        timing = measure(pair, max(1, runs // 3) if name == "score" else runs)
        print(report.row(timing), flush=True)
        yield timing


def _processes(samples: Path) -> Iterator[Processes]:
    yielding = chain(processes.test_runs(samples), processes.score_runs(samples, scoring.IMAGES, scoring.DETECTIONS))
    for found in yielding:
        print(report.process_row(found), flush=True)
        yield found


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        sys.exit(report.refuse(str(error)))
