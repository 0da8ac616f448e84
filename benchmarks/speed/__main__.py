"""Times heatpose beside a plain per-sample, per-joint path on one thread and prints the table.

python -m benchmarks.speed --samples ../shared/data
python -m benchmarks.speed --stages encode,decode --runs 9
python -m benchmarks.speed --write            also benchmarks/speed.md and benchmarks/speed.json
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch and OpenCV are loaded

import argparse
import sys
from pathlib import Path

import cv2
import torch

from . import report
from .measure import measure
from .stages import STAGES

HERE = Path(__file__).parents[1]
NEEDED = ("coco_sample", "coco_val538")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=Path("../shared/data"), help=f"folder with {', '.join(NEEDED)}")
    parser.add_argument("--stages", default=",".join(STAGES), help="some of them, with commas between")
    parser.add_argument("--runs", type=int, default=7, help="timed calls of each way; of the scoring chain a third")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--write", action="store_true", help="write benchmarks/speed.md and benchmarks/speed.json")
    options = parser.parse_args()
    stages = options.stages.split(",")
    if unknown := [name for name in stages if name not in STAGES]:
        return _refuse(f"--stages {unknown[0]}: no such stage; use some of {','.join(STAGES)}")
    if options.runs < 1:
        return _refuse(f"--runs {options.runs}: use 1 or more")
    if missing := [name for name in NEEDED if not (options.samples / name).is_dir()]:
        return _refuse(f"{options.samples / missing[0]}: no such folder; --samples wants one with {', '.join(NEEDED)}")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    timings = []
    for name in stages:
        for pair in STAGES[name](options.samples):
            runs = max(1, options.runs // 3) if name == "score" else options.runs
            timings.append(measure(pair, runs))
            print(report.row(timings[-1]), flush=True)
    content = report.content(timings)
    if options.json:
        report.write_json(content, options.json)
    if options.write:
        report.write_json(content, HERE / "speed.json")
        (HERE / "speed.md").write_text(report.text(content))
    return 0


def _refuse(line: str) -> int:
    print(f"error: {line}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        sys.exit(_refuse(str(error)))
