"""Timings as JSON and as a table."""

import dataclasses
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from .measure import Timing

HEAD = """# Speed on one thread of a CPU

Each stage beside a plain path that works sample by sample and joint by joint in NumPy and OpenCV, as the papers' code
does (`benchmarks/speed/plain.py`, `plain_scores.py`), in one process, in turn. Before a pair is timed its numbers are
compared; the largest difference stands in the last column. Made by `python -m benchmarks.speed --write`; figures are
medians.

"""
COLUMNS = "| stage | work | heatpose, ms | plain, ms | ratio | target | met | runs | difference (allowed) |\n"


def content(timings: Sequence[Timing]) -> dict[str, Any]:
    """What a table needs: figures, versions, machine."""
    return {
        "machine": {"processor": _processor(), "system": platform.platform(), "threads": torch.get_num_threads()},
        "versions": {
            "python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__,
            "opencv": cv2.__version__,
        },
        "timings": [dataclasses.asdict(each) for each in timings],
    }  # fmt: skip


def _processor() -> str:
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def text(found: dict[str, Any]) -> str:
    """The page benchmarks/speed.md."""
    rows = [row(Timing(**each)) for each in found["timings"]]
    machine, versions = found["machine"], found["versions"]
    about = f"{machine['processor']}, {machine['system']}, {machine['threads']} thread; " + ", ".join(
        f"{name} {version}" for name, version in versions.items()
    )
    return HEAD + COLUMNS + "|---|---|---:|---:|---:|---:|---|---:|---|\n" + "\n".join(rows) + f"\n\n{about}\n"


def row(timing: Timing) -> str:
    """A row of the table."""
    met = "" if not timing.target else "yes" if timing.ratio >= timing.target else "no"
    target = f"{timing.target:g}" if timing.target else "-"
    return (
        f"| {timing.stage} | {timing.work} | {timing.ours_s * 1e3:.1f} | {timing.plain_s * 1e3:.1f} | "
        f"{timing.ratio:.1f} | {target} | {met} | {timing.runs} | {timing.deviation:.1g} ({timing.tolerance:.1g}) |"
    )


def write_json(found: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(found, indent=1) + "\n")
