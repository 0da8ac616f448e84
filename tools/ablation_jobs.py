"""The trainings and scorings of an ablation: what there is to do, what is done, and doing it in processes."""

import json
import logging
import os
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import test  # tools/test.py, not the standard library's
import train

from heatpose.config import dump_config, load_config
from heatpose.config.ablation import NOT_FOR_SCORES, NOT_FOR_WEIGHTS, Ablation, Cell, compared_keys, fingerprint
from heatpose.core.train import TrainingError
from heatpose.report.run import run_folders
from heatpose.utils.files import write_json, write_text

logger = logging.getLogger(__name__)

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1")


@dataclass
class Job:
    """One run of a tool on an experiment file of its own, whose name is its configuration's fingerprint."""

    name: str
    cfg: Any
    left_out: tuple[str, ...]  # keys that do not change its outcome

    @property
    def file(self) -> Path:
        return Path(self.cfg.OUTPUT_DIR) / "experiments" / f"{self.name}.yaml"

    @property
    def folder(self) -> Path:
        cfg = self.cfg
        return run_folders(cfg.OUTPUT_DIR, cfg.LOG_DIR, cfg.DATASET.DATASET, cfg.MODEL.NAME, self.name).output

    def left(self, result: str, config: str) -> bool:
        """Whether the folder holds the file `result`, made with this configuration: the file `config` says so."""
        return (self.folder / result).is_file() and self.agrees(config)

    def agrees(self, config: str) -> bool:
        """Whether the folder's file `config` says what this configuration does."""
        try:
            stored = load_config(self.folder / config)
        except ValueError:
            return False
        return compared_keys(stored, self.left_out) == compared_keys(self.cfg, self.left_out)

    def call(self, tool: Callable[[Sequence[str]], None]) -> str:
        """Runs the main function of a tool, its output in a file; what it said last if it failed, else ''."""
        write_text(dump_config(self.cfg), self.file)
        log = self.file.with_suffix(".log")
        with open(log, "w", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
            try:
                tool(["--cfg", str(self.file)])
            except (ValueError, TrainingError) as error:
                return f"{error} (log: {log})"
            except Exception as error:
                traceback.print_exc()
                return f"{type(error).__name__}: {error} (log: {log})"
        return ""


@dataclass
class Training(Job):
    """A network to train once, however many sets ask for it, and all the ways in which it is scored."""

    label: str
    scorings: dict[str, Job] = field(default_factory=dict)
    uses: list[tuple[str, Cell, int, str]] = field(default_factory=list)  # set, row of its table, seed, scoring

    @property
    def is_trained(self) -> bool:
        """Whether the weights are there, and the time they took, which is written last."""
        return self.left("final_state.pth", "config.yaml") and (self.folder / "wall.json").is_file()

    def missing(self) -> list[Job]:
        """The scorings that are not done."""
        return [job for job in self.scorings.values() if not job.left("test.json", "test_config.yaml")]

    def train(self) -> str:
        """Trains, from the last checkpoint where there is one; what went wrong, or ''."""
        if self.folder.exists() and not self.agrees("config.yaml"):
            shutil.rmtree(self.folder)
        for folder in self.folder.parent.glob(f"{self.name}_*"):
            shutil.rmtree(folder)  # scores of other weights
        started = time.perf_counter()
        problem = self.call(train.main)
        if not problem:
            write_json({"training": self.label, "seconds": time.perf_counter() - started}, self.folder / "wall.json")
        return problem


def plan(ablations: Sequence[Ablation], runs: Path, data_dir: str) -> list[Training]:
    """The trainings of all sets, each with its scorings; equal ones of two sets are one."""
    common = {"OUTPUT_DIR": str(runs), "LOG_DIR": str(runs / "log"), "WORKERS": 0, "AUTO_RESUME": True}
    common |= {"DATA_DIR": data_dir} if data_dir else {}
    trainings: dict[str, Training] = {}
    for ablation in ablations:
        for seed in ablation.seeds:  # a whole first seed soon tells whether the set makes sense
            for variant in ablation.train:
                cfg = ablation.training_config(variant, seed, common)
                name = fingerprint(cfg, NOT_FOR_WEIGHTS)
                label = f"{ablation.name}, {variant}, seed {seed}"
                training = trainings.setdefault(name, Training(name, cfg, NOT_FOR_WEIGHTS, label))
                _add_scorings(training, ablation, variant, seed, common)
    return list(trainings.values())


def _add_scorings(training: Training, ablation: Ablation, variant: str, seed: int, common: dict[str, Any]) -> None:
    weights = {"TEST.MODEL_FILE": str(training.folder / "final_state.pth")}
    for cell in (cell for cell in ablation.cells if cell.train == variant):
        cfg = ablation.scoring_config(cell, seed, {**common, **weights})
        name = f"{training.name}_{fingerprint(cfg, NOT_FOR_SCORES)}"
        training.scorings.setdefault(name, Job(name, cfg, NOT_FOR_SCORES))
        training.uses.append((ablation.name, cell, seed, name))


def run_all(trainings: Sequence[Training], jobs: int) -> list[str]:
    """Does what is left to do, `jobs` trainings at a time in as many processes; a line for each that failed."""
    waiting = [training for training in trainings if not training.is_trained or training.missing()]
    logger.info("%d trainings, %d of them done before", len(trainings), len(trainings) - len(waiting))
    started, failures = time.perf_counter(), []
    os.environ.update(ONE_THREAD)  # read when a process starts
    pool = ProcessPoolExecutor(jobs, get_context("spawn"))
    try:
        futures = {pool.submit(_run, training): training for training in waiting}
        for count, future in enumerate(as_completed(futures), start=1):
            training, problem = futures[future], future.result()
            failures += [f"{training.label}: {problem}"] if problem else []
            minutes = (time.perf_counter() - started) / 60
            logger.info(
                "[%d/%d] %s: %s; %.1f min, about %.0f to go", count, len(waiting), training.label,
                problem or _headline(training), minutes, minutes / count * (len(waiting) - count),
            )  # fmt: skip
    except BrokenProcessPool:
        raise TrainingError("a process was killed, perhaps for memory: call again, with fewer --jobs") from None
    finally:
        pool.shutdown(cancel_futures=True)
    return failures


def _run(training: Training) -> str:
    """Trains and scores as far as needed; what went wrong, or ''."""
    problem = "" if training.is_trained else training.train()
    for job in [] if problem else training.missing():
        problem = problem or job.call(test.main)
    return problem


def _headline(training: Training) -> str:
    """The data set's own score for every way of scoring."""
    scores = [next(iter(_metrics(job).items())) for job in training.scorings.values()]
    return f"{scores[0][0]} " + ", ".join(f"{value:.3f}" for _, value in scores)


def _metrics(job: Job) -> dict[str, float]:
    return json.loads((job.folder / "test.json").read_text(encoding="utf-8"))["rows"][0]["metrics"]


def _keypoints(job: Job) -> dict[str, dict[str, float | None]]:
    """Every keypoint's score by its name, under "keypoints", where the data set's scorer writes pck.json."""
    file = job.folder / "results" / "pck.json"
    return {"keypoints": next(iter(json.loads(file.read_text()).values()))} if file.is_file() else {}


def finished_scores(trainings: Sequence[Training]) -> list[dict[str, Any]]:
    """Every single score that is there: set, row, seed, the run it is of, and the metrics."""
    found = []
    for training in trainings:
        missing = {job.name for job in training.missing()} if training.is_trained else set(training.scorings)
        for name, cell, seed, scoring in training.uses:
            if scoring in missing:
                continue
            run = json.loads((training.folder / "run.json").read_text(encoding="utf-8"))
            wall = json.loads((training.folder / "wall.json").read_text(encoding="utf-8"))
            job = training.scorings[scoring]
            found.append(
                {"set": name, **cell._asdict(), "seed": seed, "run": training.name, "commit": run["versions"]["commit"],
                 "training_seconds": round(wall["seconds"], 1), "metrics": _metrics(job), **_keypoints(job)}
            )  # fmt: skip
    return found
