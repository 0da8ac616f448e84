"""Times heatpose beside a plain per-sample, per-joint path, on one thread or on a GPU, and prints the tables.

python -m benchmarks.speed --samples ../shared/data
python -m benchmarks.speed --stages encode,decode --runs 9
python -m benchmarks.speed --stages test,train,processes
python -m benchmarks.speed --write            also benchmarks/speed.md and benchmarks/speed.json
python -m benchmarks.speed --device cuda --write        benchmarks/speed_cuda.md and .json; HRNet-W32 on one GPU
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch and OpenCV are loaded

import argparse
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import cv2
import torch

from heatpose.utils.memory import keep_freed_memory

from . import gpu, processes, report, scoring, whole
from .measure import Pair, Processes, Timing, measure
from .networks import ON_CPU, Setting
from .stages import STAGES

HERE = Path(__file__).parents[1]
PAIRS = {**STAGES, "test": whole.tests, "train": whole.trainings}
NAMES = (*PAIRS, "processes")
NEEDED = ("coco_sample", "coco_val538")


def main() -> int:
    options = _arguments()
    stages, on_card = options.stages.split(","), options.device == "cuda"
    if unknown := [name for name in stages if name not in NAMES]:
        raise ValueError(f"--stages {unknown[0]}: no such stage; use some of {','.join(NAMES)}")
    if options.runs < 1:
        raise ValueError(f"--runs {options.runs}: use 1 or more")
    if missing := [name for name in NEEDED[: 1 if on_card else 2] if not (options.samples / name).is_dir()]:
        raise ValueError(
            f"{options.samples / missing[0]}: no such folder; --samples wants one with {', '.join(NEEDED)}"
        )
    keep_freed_memory()  # as the tools do; both ways gain
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    load = os.getloadavg()[0]
    setting, children = ON_CPU, []
    if on_card:
        report.require_cuda()
        torch.backends.cudnn.benchmark = True
        setting = Setting(torch.device("cuda"), options.workers, options.precision, options.compile)
        timings = list(_timed(gpu.pairs(options.samples, setting), options.runs))
    else:
        chosen = ((name, PAIRS[name](options.samples)) for name in stages if name in PAIRS)
        runs = {"score": max(1, options.runs // 3)}
        timings = [each for name, pairs in chosen for each in _timed(pairs, runs.get(name, options.runs))]
        children = list(_processes(options.samples)) if "processes" in stages else []
    content = report.content(timings, children, load, setting)
    if options.json:
        report.write_json(content, options.json)
    if options.write:
        page = HERE / ("speed_cuda.md" if on_card else "speed.md")
        report.write_json(content, page.with_suffix(".json"))
        page.write_text(report.text(content))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=Path("../shared/data"), help=f"folder with {', '.join(NEEDED)}")
    parser.add_argument("--stages", default=",".join(NAMES), help="some of them, with commas between; cpu only")
    parser.add_argument("--runs", type=int, default=7, help="timed calls of each way; of long stages a third")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--write", action="store_true", help="write the page and its JSON in benchmarks/")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1), help="cuda: loading processes")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16", help="cuda: of heatpose's network")
    parser.add_argument("--compile", default="cudagraphs", help="cuda: COMPUTE.COMPILE of heatpose's network")
    return parser.parse_args()


def _timed(pairs: Iterable[Pair], runs: int) -> Iterator[Timing]:
    for pair in pairs:
        timing = measure(pair, runs)
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
