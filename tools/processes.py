"""How many processes a run has, and which device each of them takes."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

import torch

from heatpose.core.distributed import World, launch, under_launcher

logger = logging.getLogger(__name__)


def start_processes(cfg: Any, script: str, arguments: Sequence[str] | None) -> bool:
    """Where GPUS lists several CUDA devices, runs `script` in as many processes; True when they have ended.

    False where this process is to go on by itself: under torchrun, with one device, and on a machine without CUDA.

    Raises:
        ValueError: GPUS lists devices that are not there.
        SystemExit: the processes ended with an error, which they have told.
    """
    if under_launcher() or not torch.cuda.is_available():
        return False
    _require_devices(cfg.GPUS, cfg.TRAIN.BATCH_SIZE_PER_GPU)
    if len(cfg.GPUS) == 1:
        return False
    logger.info("GPUS %s: a process for each", list(cfg.GPUS))
    given = sys.argv[1:] if arguments is None else arguments
    code = launch(len(cfg.GPUS), [sys.executable, "-u", script, *given])
    if code:
        sys.exit(code)
    return True


def _require_devices(listed: Sequence[int], batch_size: int) -> None:
    count = torch.cuda.device_count()
    if max(listed) >= count:
        present = f"({','.join(map(str, range(count)))}{',' * (count == 1)})"
        raise ValueError(
            f"GPUS is {list(listed)}, but of CUDA devices there {'is' if count == 1 else 'are'} {count}; set GPUS "
            f"{present}. A step then has {count} * {batch_size} samples: TRAIN.BATCH_SIZE_PER_GPU or TRAIN.LR may have "
            "to follow"
        )


def device_number(cfg: Any, world: World) -> int:
    """Of many processes each takes its own of the devices in GPUS, where there are as many; else LOCAL_RANK."""
    if world.size == 1 or len(cfg.GPUS) == world.local_size:
        _require_devices(cfg.GPUS[: world.local_size], cfg.TRAIN.BATCH_SIZE_PER_GPU)
        return cfg.GPUS[world.local_rank]
    if world.local_size > torch.cuda.device_count():
        raise ValueError(
            f"{world.local_size} processes on this machine, but {torch.cuda.device_count()} CUDA devices; start fewer: "
            f"torchrun --nproc_per_node {torch.cuda.device_count()}"
        )
    return world.local_rank


def require_divisible(cfg: Any, world: World) -> None:
    """A ValueError for what one process can do and many cannot."""
    if world.size == 1:
        return
    if cfg.ADAPT.METHOD:
        raise ValueError(
            f"ADAPT.METHOD {cfg.ADAPT.METHOD} trains in one process, this is one of {world.size}; start "
            "python tools/train.py with GPUS (0,)"
        )
    if cfg.LOSS.NAME == "JointsL1Offset" and cfg.LOSS.REDUCTION == "sum":
        raise ValueError(
            f"LOSS.REDUCTION sum adds up a batch, but {world.size} processes take the mean of theirs; set it to mean"
        )
    if cfg.COMPUTE.COMPILE == "reduce-overhead":
        raise ValueError(
            f"COMPUTE.COMPILE reduce-overhead, CUDA graphs, is for one process, this is one of {world.size}; set it to "
            "default"
        )
    if cfg.COMPUTE.COMPILE == "cudagraphs" and cfg.TRAIN.SYNC_BN:
        raise ValueError(
            "COMPUTE.COMPILE is cudagraphs with TRAIN.SYNC_BN, whose exchange between processes is not recorded; set "
            "COMPUTE.COMPILE to none or TRAIN.SYNC_BN to False"
        )
    if cfg.TRAIN.SYNC_BN and not torch.cuda.is_available():
        raise ValueError("TRAIN.SYNC_BN is True, but PyTorch has it for CUDA devices only; set it to False")
