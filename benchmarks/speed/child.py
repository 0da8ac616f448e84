"""Seconds and peak memory of a command in a process of its own.

python -m benchmarks.speed.child command arguments ...        prints {"seconds": ..., "mib": ...} as its last line

This module imports nothing large: a process that is started begins its count with the peak of the one that started it.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}


@dataclass(frozen=True)
class Spent:
    """Seconds from start to end, and the largest resident memory, MiB."""

    seconds: float
    mib: float


def spend(command: Sequence[str], folder: str | os.PathLike) -> Spent:
    """What `command`, run in `folder` on one thread, takes; a ValueError with its last line where it fails."""
    launcher = [sys.executable, "-m", "benchmarks.speed.child", *command]
    done = subprocess.run(launcher, cwd=folder, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise ValueError(f"{' '.join(command)}: ended with {done.returncode} ({last}); run it by hand")
    return Spent(**json.loads(done.stdout.splitlines()[-1]))


def main(command: Sequence[str]) -> int:
    start = time.perf_counter()
    code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB on Linux, bytes on macOS
    print(json.dumps({"seconds": seconds, "mib": peak / (1024 if sys.platform != "darwin" else 1024**2)}))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
