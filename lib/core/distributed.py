"""Many processes, each with a share of the samples: who is who, who waits, and what they put together.

Started by torchrun, or by `launch`, which is the same from within. A process on its own is `ALONE`, for which every
method is the identity: nothing of this touches what a single process computes.
"""

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

logger = logging.getLogger(__name__)

# How long a process waits for the others before it gives up. Rank 0 scores while the others wait.
PATIENCE = timedelta(minutes=30)
_FAILED = "heatpose/failed"


@dataclass(frozen=True)
class World:
    """The processes of a run. Rank 0 alone writes files and log lines."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among those of this machine
    local_size: int = 1
    store: Any = None  # torch.distributed.Store that all of them reach, even while the others compute

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def shard(self) -> tuple[int, int]:
        """(rank, size), what the loaders split their samples by."""
        return self.rank, self.size

    def wait(self) -> None:
        """Goes on when all have come here."""
        if self.size > 1:
            dist.all_reduce(torch.zeros(1))  # on the CPU; a barrier would have to know the device

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """For what one process writes and the others find done: rank 0 first, one on each machine, then all others."""
        turn = 0 if self.is_first else 1 if self.local_rank == 0 else 2
        for _ in range(turn):
            self.wait()
        yield
        for _ in range(turn, 2):
            self.wait()

    def from_first(self, value: Any) -> Any:
        """Rank 0's `value`, in every process."""
        if self.size == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    def total(self, values: Tensor) -> Tensor:
        """The sum of every process's `values`, on the CPU with more than one."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def first_of(self, step: int) -> int:
        """The smallest of every process's `step` that is not negative; -1 where there is none."""
        if self.size == 1:
            return step
        never = torch.iinfo(torch.int64).max
        found = int(self._reduced(torch.tensor(step if step >= 0 else never), dist.ReduceOp.MIN))
        return -1 if found == never else found

    def largest(self, value: float) -> float:
        """The largest of every process's `value`."""
        return float(self._reduced(torch.tensor(value, dtype=torch.float64), dist.ReduceOp.MAX))

    def _reduced(self, values: Tensor, how: Any) -> Tensor:
        if self.size == 1:
            return values
        values = values.detach().cpu().clone()
        dist.all_reduce(values, how)
        return values

    def assemble(self, rows: Tensor, index: Tensor, count: int) -> Tensor:
        """(count, ...) with `rows` of every process at their `index`, on the CPU; 0 where nobody has a row."""
        if self.size > 1:  # a process without a share does not know the shape
            shape = self._reduced(torch.tensor(rows.shape[1:]), dist.ReduceOp.MAX)
            rows = rows.reshape(len(rows), *shape.tolist())
        whole = rows.new_zeros(count, *rows.shape[1:])
        whole[index] = rows
        if self.size == 1:
            return whole
        found = self.total(torch.bincount(index, minlength=count))
        if (found > 1).any():
            raise AssertionError(f"{int((found > 1).sum())} of {count} samples were predicted by more than one process")
        return self.total(whole)  # all but one add 0: no rounding

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """`model` whose gradients are the mean of all processes'."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)

    def gradients(self, model: nn.Module, joined: bool) -> AbstractContextManager:
        """For a pass forth and back of what `wrap` gave: gradients are joined, or add up in each process until then."""
        return nullcontext() if self.size == 1 or joined else model.no_sync()  # type: ignore[operator]

    def match(self, tensors: Iterable[Tensor]) -> None:
        """Gives every process rank 0's `tensors`, so that all score one network."""
        for each in tensors if self.size > 1 else ():
            whole = each.contiguous()  # channels-last weights are not, and not every backend takes them as they are
            dist.broadcast(whole, src=0)
            if whole is not each:
                each.copy_(whole)

    def vary_random(self, seed: int, epoch: int) -> None:
        """Random numbers on the device that differ between processes; rank 0's, which are resumed, stay."""
        if not self.is_first:
            torch.manual_seed((seed * 1_000_003 + epoch) * 1_000_003 + self.rank)

    def is_first_to_fail(self) -> bool:
        """Whether to tell of an error: the first process that asks. Others fail because of it, or in the same way."""
        if self.store is None:
            return True
        try:
            return self.store.add(_FAILED, 1) == 1
        except RuntimeError:  # whoever kept the store has ended, after an error that was told
            return False


ALONE = World()
_joined = ALONE


def join() -> World:
    """The processes that torchrun started this one among; ALONE without torchrun. Called again, it says the same."""
    global _joined
    if not under_launcher() or int(os.environ["WORLD_SIZE"]) == 1 or _joined is not ALONE:
        return _joined
    store, rank, size = next(iter(dist.rendezvous("env://", timeout=PATIENCE)))
    # Small things go by the CPU, so that they need no device; gradients and buffers on CUDA devices go by nccl.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    local_rank, local_size = (int(os.environ[key]) for key in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    _joined = World(rank, size, local_rank, local_size, store)
    if rank:
        logging.disable(logging.CRITICAL)  # rank 0 says the same
    return _joined


def end(code: int) -> NoReturn:
    """Ends a process at once: nothing that goes with the interpreter is waited for, other processes included.

    Threads of a process group outlive it otherwise, and now and then one of them is found running and aborts.
    """
    for child in multiprocessing.active_children():  # those that load
        child.terminate()
    for stream in (sys.stdout, sys.stderr):
        with suppress(BrokenPipeError):  # its reader, such as head, has seen enough
            if stream is not None:
                stream.flush()
    os._exit(code)


def under_launcher() -> bool:
    """Whether torchrun, or `launch`, started this process."""
    return all(key in os.environ for key in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"))


def launch(processes: int, command: Sequence[str]) -> int:
    """Runs `command` in so many processes on this machine, as torchrun does, and returns their exit code.

    0 where all ended well. An error in one ends all; its code is returned.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the process told what was wrong
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does: the processes share the cores
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=processes, run_id=f"heatpose-{os.getpid()}", rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", max_restarts=0, monitor_interval=0.1,
    )  # fmt: skip
    try:
        elastic_launch(config, command[0])(*command[1:])
    except ChildFailedError as error:
        # A signal is a negative code: SIGTERM where it was stopped because another had failed.
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        for rank, code in codes.items():
            if code < 0 and code != -signal.SIGTERM:
                logger.error("process %d was ended by %s", rank, signal.Signals(-code).name)
        return max(1, *codes.values())
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    return 0
