"""Data sets -> loaders: order, batches and processes."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from torch.utils.data import DataLoader, Sampler

from ..utils.batch import TOGETHER
from .joints import TestCrops, TrainingCrops, join_images


class EpochSampler(Sampler):
    """(epoch, index) of every sample in an order that (seed, epoch) alone decides, so that a resumed run goes on alike.

    Set `epoch` before each pass. With `shard` (rank, processes) every so many-th sample of that order is taken, so that
    a step of all processes together has the samples of one process with a batch as large as theirs together. Each
    process has the same number of steps: where nothing is left for the last one, a sample is repeated, with weight 0.
    """

    def __init__(self, size: int, shuffle: bool, seed: int, batch_size: int = 1, shard: tuple[int, int] = (0, 1)):
        self.size, self.shuffle, self.seed, self.epoch = size, shuffle, seed, 0
        self.batch_size, (self.rank, self.processes) = batch_size, shard

    @property
    def _own(self) -> int:
        return len(range(self.rank, self.size, self.processes))

    @property
    def _repeated(self) -> int:
        """1 where the last step has samples for other processes only."""
        return int(-(-self._own // self.batch_size) < -(-self.size // (self.batch_size * self.processes)))

    def __len__(self) -> int:
        return self._own + self._repeated

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = (
            np.random.default_rng((self.seed, self.epoch)).permutation(self.size) if self.shuffle else range(self.size)
        )
        own = [*order[self.rank :: self.processes], *order[: self._repeated]]
        return ((self.epoch, int(index)) for index in own)

    def weight(self, batch: int, accumulate: int = 1) -> float:
        """What the mean loss of this process counts at `batch` (from 1), so that the processes' mean is the samples'.

        With `accumulate`, the sum over as many batches, or those that are left, of the processes' mean.
        """
        together = self.batch_size * self.processes
        first = (batch - 1) // accumulate * accumulate  # batches before those that belong together
        of_all = min(together, self.size - (batch - 1) * together)
        of_step = min(accumulate * together, self.size - first * together)
        return len(range(self.rank, of_all, self.processes)) * self.processes / of_step


def pack(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Consecutive positions in groups whose sizes sum to at most `capacity`; a larger one stands alone.

    >>> pack([2, 3, 4, 9, 1], 6)
    [[0, 1], [2], [3], [4]]
    """
    groups: list[list[int]] = []
    filled = capacity
    for position, size in enumerate(sizes):
        if filled + size > capacity:
            groups.append([])
            filled = 0
        groups[-1].append(position)
        filled += size
    return groups


def share(batches: Sequence[Any], rank: int, processes: int) -> list[Any]:
    """What process `rank` predicts of all batches: every so many-th group of TOGETHER; see utils.batch.full_batches."""
    return [batch for number, batch in enumerate(batches) if number // TOGETHER % processes == rank]


def _begin_loading(worker: int) -> None:
    """Every loading process computes with one thread: OpenCV's threads do not survive the fork that made it.

    What it has from its parent is not looked through for garbage: that would write to, and so copy, every page of it.
    """
    cv2.setNumThreads(0)
    gc.freeze()


def training_loader(
    dataset: TrainingCrops,
    batch_size: int,
    shuffle: bool,
    workers: int,
    seed: int,
    pin_memory: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> DataLoader:
    """Batches of crops; its `sampler` is an EpochSampler. The last batch may be smaller, as in the forks."""
    sampler = EpochSampler(len(dataset), shuffle, seed, batch_size, shard)
    return DataLoader(
        dataset,
        batch_size,
        sampler=sampler,
        num_workers=workers,
        pin_memory=pin_memory,
        worker_init_fn=_begin_loading,
        persistent_workers=workers > 0,
    )


class JointLoader:
    """A labelled loader's batches, each with one of every other loader beside it under that one's name.

    An epoch is one pass over `labelled`; the others begin anew as often as needed, in an order of their own for every
    pass, and are read from the epoch in `begin` on. `sampler.epoch` is set as on the labelled loader.
    """

    def __init__(self, labelled: DataLoader, others: Mapping[str, DataLoader], begin: Mapping[str, int]):
        self.labelled, self.others, self.begin = labelled, others, begin
        self.sampler: Any = labelled.sampler
        self.num_workers = labelled.num_workers

    def __len__(self) -> int:
        return len(self.labelled)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        epoch = self.sampler.epoch
        due = {name: loader for name, loader in self.others.items() if epoch >= self.begin[name]}
        endless = {name: self._passes(loader, epoch) for name, loader in due.items()}
        for batch in self.labelled:
            yield {**batch, **{name: next(batches) for name, batches in endless.items()}}

    def _passes(self, loader: DataLoader, epoch: int) -> Iterator[Any]:
        """Batch after batch; the number of a pass follows from the epoch alone, so that a resumed run goes on alike."""
        sampler: Any = loader.sampler
        sampler.epoch = epoch * -(-len(self) // len(loader))
        while True:
            yield from loader
            sampler.epoch += 1


def test_loader(
    dataset: TestCrops,
    batch_size: int,
    workers: int,
    pin_memory: bool = False,
    persistent: bool = True,
    shard: tuple[int, int] = (0, 1),
) -> DataLoader:
    """Batches of whole images with about `batch_size` crops; an image with more makes a larger batch.

    Processes that are not `persistent` end with each pass: for a loader that is seldom used. `shard` is (rank,
    processes).
    """
    return DataLoader(
        dataset.without_truth(),
        batch_sampler=share(pack(dataset.sizes, batch_size), *shard),
        num_workers=workers,
        pin_memory=pin_memory,
        collate_fn=join_images,
        worker_init_fn=_begin_loading,
        persistent_workers=workers > 0 and persistent,
    )


test_loader.__test__ = False  # type: ignore[attr-defined]
