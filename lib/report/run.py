"""The record of a run: its folders, log file, TensorBoard events, pictures and run.json."""

import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensorboardX import SummaryWriter

from ..utils.files import write_json, write_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFolders:
    """`output` for weights, logs and results; `log` for TensorBoard events of this start."""

    output: Path
    log: Path


def run_folders(output_dir: str, log_dir: str, dataset: str, model: str, name: str) -> RunFolders:
    """output/<dataset>/<model>/<cfg name> and log/<dataset>/<model>/<cfg name>_<time>."""
    stamp = time.strftime("%Y-%m-%d-%H-%M-%S")
    return RunFolders(Path(output_dir) / dataset / model / name, Path(log_dir) / dataset / model / f"{name}_{stamp}")


def start_logging(folder: Path | None = None, phase: str = "train") -> None:
    """Log lines to the console and, with `folder`, to <phase>_<time>.log in it.

    What was logged before the folder was known, by a first call without one, begins the file: the experiment's codec
    and whatever else was said about its keys.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    early = [handler for handler in logging.getLogger().handlers if isinstance(handler, _Kept)]
    if folder is None:
        handlers.append(_Kept())
    else:
        folder.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(folder / f"{phase}_{time.strftime('%Y-%m-%d-%H-%M-%S')}.log"))
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=handlers, force=True
    )
    if folder is not None:
        for record in (record for each in early for record in each.records):
            handlers[-1].handle(record)


class _Kept(logging.Handler):
    """Keeps what is logged while there is no file yet."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def versions() -> dict[str, str]:
    """What the numbers of a run may depend on."""
    import cv2

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or platform.machine()
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "device": device,
        "threads": str(torch.get_num_threads()),
        "commit": _commit(),
    }


def machine() -> str:
    """The processor's name and its number of cores, for measured times."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def _commit() -> str:
    """The git commit of this checkout, "unknown" for an installed package."""
    call = ["git", "-C", str(Path(__file__).resolve().parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(call, capture_output=True, text=True, timeout=10, check=True).stdout.strip() or "unknown"
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def save_run(
    path: Path,
    phase: str,
    weights: Path,
    rows: Sequence[Mapping[str, Any]],
    stages: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Writes the record of a run as JSON: versions, command, weights, and each row's boxes and metrics.

    `stages` are rows of a training's earlier stages: their "weights", "boxes" and "metrics".
    """
    content = {
        "phase": phase,
        "command": sys.argv,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": versions(),
        "weights": str(weights),
        "rows": [dict(row) for row in rows],
    }
    if stages:
        content["stages"] = [dict(row) for row in stages]
    write_json(content, path, indent=2)


def save_config(path: Path, text: str) -> None:
    """Writes the resolved configuration."""
    write_text(text, path)


class Board:
    """TensorBoard events."""

    def __init__(self, folder: Path):
        self.writer = SummaryWriter(str(folder))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def picture(self, name: str, image: np.ndarray, step: int) -> None:
        """`image` (H, W, 3) uint8 BGR."""
        self.writer.add_image(name, image[..., ::-1].copy(), step, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()


def file_name(path: str | os.PathLike) -> str:
    """The name of an experiment: its file's name without the ending."""
    return Path(path).stem
