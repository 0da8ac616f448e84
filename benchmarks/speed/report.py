"""Timings as JSON and as a table."""

import dataclasses
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from .measure import Processes, Timing
from .networks import CPU, ON_CPU, Setting

HEAD = """# Speed on one thread of a CPU

Each stage beside a plain path that works sample by sample and joint by joint in NumPy and OpenCV, as the papers' code
does (`benchmarks/speed/plain.py`, `plain_scores.py`), in one process, in turn. Before a pair is timed its numbers are
compared; the largest difference stands in the last column. Made by `python -m benchmarks.speed --write`; figures are
medians.

"""
CARD_HEAD = """# Speed on a GPU

heatpose's path beside a plain one on the same card, in one process, in turn: a fork's loop in float32 (PyTorch's own
defaults, TF32 in convolutions) that takes loss, accuracy and heatmaps to the CPU at every step and works joint by joint
in NumPy there (`benchmarks/speed/plain_run.py`). Every call is timed until the device has done its work, after a first
one whose results are compared: of a whole test AP and AR, with a network that was taught the sample's people.
Made by `python -m benchmarks.speed --device cuda --write`; figures are medians.

"""
COLUMNS = "-stage|-work|heatpose, ms|plain, ms|ratio|target|-met|runs|-difference (allowed)"
RUN_HEAD = """## Whole runs

Everything from reading the images to the last number, in one process whose set-up (imports, annotations, network) is
left out. *Of it network*: the same forwards (in training: forward, backward and optimizer step) on inputs that are
ready, by the network as each way has it: as built in the plain path; with heatpose channels-last, and for a test with
BatchNorm folded into the convolutions, on a GPU fused with them and what follows. *Limit*: the ratio if heatpose took
no time but the network's. The two ways' results are compared first: COCO's ten numbers and every keypoint in the
results file, image px (on a GPU AP and AR); in training the logarithm of the loss and the accuracy of the epoch.

"""
RUN_COLUMNS = (
    "-run|-work|heatpose, s (samples/s)|of it network|plain, s (samples/s)|of it network|ratio|target|-met|limit|runs|"
    "-difference (allowed)"
)
PROCESS_HEAD = """## Whole processes

The same as commands, the start of Python included, each in a fresh process, with its largest resident memory. The start
is the same in both and weighs most on few boxes; the difference of two runs is free of it.

"""
PROCESS_COLUMNS = "-run|-work|heatpose, s|plain, s|ratio|heatpose, MiB|plain, MiB|-no higher|runs"


def content(
    timings: Sequence[Timing],
    processes: Sequence[Processes] = (),
    load: float | None = None,
    setting: Setting = ON_CPU,
) -> dict[str, Any]:
    """What the tables need: figures, versions, machine and its load average when the measuring began."""
    return {
        **surroundings(load, setting.device),
        "setting": {**dataclasses.asdict(setting), "device": setting.device.type},
        "timings": [dataclasses.asdict(each) for each in timings],
        "processes": [dataclasses.asdict(each) for each in processes],
    }


def surroundings(load: float | None = None, device: torch.device = CPU) -> dict[str, Any]:
    """The machine and the versions."""
    machine = {"processor": _processor(), "system": platform.platform(), "threads": torch.get_num_threads()}
    if device.type == "cuda":
        machine["card"] = torch.cuda.get_device_name(device)
    return {
        "machine": {**machine, "load": load},
        "versions": {
            "python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__,
            "opencv": cv2.__version__,
        },
    }  # fmt: skip


def about(found: dict[str, Any]) -> str:
    """`surroundings` in a line."""
    machine, versions = found["machine"], found["versions"]
    load = "" if machine["load"] is None else f"; load average at the start {machine['load']:.2f}"
    card = f"{machine['card']}, " if "card" in machine else ""
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{card}{machine['processor']}, {machine['system']}, {machine['threads']} thread; {named}{load}"


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def require_cuda() -> None:
    """A ValueError where there is no CUDA device."""
    if not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch sees no CUDA device here; use --device cpu, or a machine with a GPU")


def refuse(line: str) -> int:
    """Tells a mistake of the user's; the exit code for it."""
    print(f"error: {line}", file=sys.stderr)
    return 2


def _processor() -> str:
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def text(found: dict[str, Any]) -> str:
    """The page benchmarks/speed.md."""
    timings = [Timing(**each) for each in found["timings"]]
    stages = _table(COLUMNS, [row(each) for each in timings if not each.ours_network_s])
    runs = _table(RUN_COLUMNS, [row(each) for each in timings if each.ours_network_s])
    processes = _table(PROCESS_COLUMNS, [process_row(Processes(**each)) for each in found["processes"]])
    tables = [stages, runs and RUN_HEAD + runs, processes and PROCESS_HEAD + processes]
    head, setting = HEAD, found["setting"]
    if setting["device"] == "cuda":
        how = [f"{name} {value}" for name, value in setting.items() if name != "device"]
        head = f"{CARD_HEAD}heatpose's own settings: {', '.join(how)}.\n\n"
    return head + "\n".join([*(each for each in tables if each), f"{about(found)}\n"])


def _table(columns: str, rows: list[str]) -> str:
    """Columns that begin with "-" stand to the left, the others, numbers, to the right."""
    names = columns.split("|")
    head = "|" + "|".join(f" {name.strip(' -')} " for name in names) + "|\n"
    rule = "|" + "|".join("---" if name.startswith("-") else "---:" for name in names) + "|\n"
    return head + rule + "\n".join(rows) + "\n" if rows else ""


def row(timing: Timing) -> str:
    """A row of the table."""
    met = "" if not timing.target else "yes" if timing.ratio >= timing.target else "no"
    target = f"{timing.target:g}" if timing.target else "-"
    judged = f"{timing.ratio:.1f} | {target} | {met}"
    last = f"{timing.runs} | {timing.deviation:.1g} ({timing.tolerance:.1g}) |"
    if not timing.ours_network_s:
        milliseconds = f"{timing.ours_s * 1e3:.1f} | {timing.plain_s * 1e3:.1f}"
        return f"| {timing.stage} | {timing.work} | {milliseconds} | {judged} | {last}"
    seconds = " | ".join(
        f"{whole:.2f} ({timing.samples / whole:.0f}) | {network:.2f} ({network / whole:.0%})"
        for whole, network in ((timing.ours_s, timing.ours_network_s), (timing.plain_s, timing.plain_network_s))
    )
    limit = timing.plain_s / timing.ours_network_s
    return f"| {timing.stage} | {timing.work} | {seconds} | {judged} | {limit:.1f} | {last}"


def process_row(run: Processes) -> str:
    """A row of the table of processes."""
    no_higher = "yes" if run.ours_mib <= run.plain_mib else "no"
    ratio = f"{run.plain_s / run.ours_s:.1f}"
    memory = f"{run.ours_mib:.0f} | {run.plain_mib:.0f} | {no_higher}" if run.ours_mib else " |  | "
    return f"| {run.run} | {run.work} | {run.ours_s:.1f} | {run.plain_s:.1f} | {ratio} | {memory} | {run.runs} |"


def write_json(found: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(found, indent=1) + "\n")
