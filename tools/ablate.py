"""Trains and scores sets of small experiments over several seeds and writes one table with mean and spread.

python tools/ablate.py experiments/toy/ablation/*.yaml
python tools/ablate.py experiments/toy/ablation/codecs_64x48.yaml --jobs 4 --runs output/ablation --out table

What is trained and scored already, with the same configuration, is not done again. docs/ablation.md tells more.
"""

import argparse
import logging
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from ablation_jobs import Training, finished_scores, plan, run_all
from common import run

from heatpose.config.ablation import Ablation, Cell, load_ablation
from heatpose.core.train import TrainingError
from heatpose.dataset import build_dataset
from heatpose.report.ablation import READING, set_section, summarise_set
from heatpose.report.run import machine, start_logging, versions
from heatpose.utils.files import write_json, write_text

logger = logging.getLogger(__name__)


def main() -> None:
    start_logging()
    logging.getLogger("heatpose.config").setLevel(logging.WARNING)  # dozens of configurations, each with its notes
    parsed = parse_arguments()
    started = time.perf_counter()
    ablations = read_sets(parsed.sets)
    trainings = plan(ablations, parsed.runs.resolve(), parsed.dataDir)
    failures: list[str] = []
    if not parsed.tabulate:
        prepare_data(trainings)
        failures = run_all(trainings, parsed.jobs)
    write_tables(ablations, trainings, parsed.out, time.perf_counter() - started, parsed.title)
    if failures:
        raise TrainingError(f"{len(failures)} of {len(trainings)} trainings failed: {'; '.join(failures)}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train and score sets of small experiments over several seeds.")
    parser.add_argument("sets", nargs="+", type=Path, help="ablation files (YAML)")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, each with one thread")
    parser.add_argument("--runs", type=Path, default=Path("output/ablation"), help="folder for weights and results")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/ablation"), help="the table: OUT.md and OUT.json")
    parser.add_argument("--title", default="Ablations on toy people", help="the table's heading")
    parser.add_argument("--dataDir", default="", help="folder that relative data paths start from, DATA_DIR")
    parser.add_argument("--tabulate", action="store_true", help="train nothing: write the table of what is there")
    parsed = parser.parse_args()
    if parsed.jobs < 1:
        raise ValueError(f"--jobs is {parsed.jobs}; give 1 or more")
    return parsed


def read_sets(paths: list[Path]) -> list[Ablation]:
    """The sets of all files; a ValueError where two have one name."""
    ablations = [load_ablation(path) for path in paths]
    names = [ablation.name for ablation in ablations]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two ablation files are named {name}; the table needs different names")
    return ablations


def prepare_data(trainings: list[Training]) -> None:
    """Draws what toy data there is to draw, before several processes would."""
    for cfg in {str(training.cfg.DATASET): training.cfg for training in trainings}.values():
        build_dataset(cfg, "train")


def write_tables(
    ablations: list[Ablation],
    trainings: list[Training],
    out: Path,
    seconds: float,
    title: str,
) -> None:
    """OUT.md and OUT.json: means, spreads, verdicts; the JSON with every single score."""
    found = finished_scores(trainings)
    record: dict[str, Any] = {
        "title": title,
        "command": shlex.join(["python", *sys.argv]),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "machine": machine(),
        "versions": versions(),
        "seconds": round(seconds, 1),
        "training_seconds": round(sum({each["run"]: each["training_seconds"] for each in found}.values()), 1),
        "sets": [],
    }
    for ablation in ablations:
        mine = [each for each in found if each["set"] == ablation.name]
        scores, keypoints = (_by_cell(ablation, mine, kind) for kind in ("metrics", "keypoints"))
        record["sets"].append({**summarise_set(ablation, scores, keypoints), "scores": mine})
    sections = [set_section(content) for content in record["sets"]]
    write_json(record, out.with_name(f"{out.name}.json"), indent=1)
    write_text("\n\n".join([heading(record), *sections]) + "\n", out.with_name(f"{out.name}.md"))
    logger.info("%s\n\nwritten to %s.md and %s.json", "\n\n".join(sections), out, out)


def _by_cell(ablation: Ablation, found: list[dict[str, Any]], kind: str) -> dict[Cell, dict[int, Any]]:
    """Row of the set's table -> seed -> what stands under `kind`."""
    scores: dict[Cell, dict[int, Any]] = {cell: {} for cell in ablation.cells}
    for each in found:
        if kind in each:
            scores[Cell(each["train"], each["test"])][each["seed"]] = each[kind]
    return scores


def heading(record: dict[str, Any]) -> str:
    """How the table came about, and how to read it."""
    scores = [each for content in record["sets"] for each in content["scores"]]
    version = record["versions"]
    commits = ", ".join(sorted({each["commit"] for each in scores})) or version["commit"]
    count = len({each["run"] for each in scores})
    together, call = (record[key] / 60 for key in ("training_seconds", "seconds"))
    return "\n".join(
        [
            f"# {record['title']}",
            "",
            f"    {record['command']}",
            "",
            f"{record['time']}, {record['machine']}, PyTorch {version['torch']}, commit {commits}. {count} trainings:",
            f"{together:.0f} min of wall time added up, this call {call:.0f} min. Every single score: the JSON file.",
            "",
            READING,
        ]
    )


if __name__ == "__main__":
    run(main)
