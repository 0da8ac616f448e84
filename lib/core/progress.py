"""What a training tells while it goes on: sums over steps, the reports made of them, and who is told."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ..utils.batch import Step
from .distributed import World
from .waiting import Pace


@dataclass
class StepReport:
    """What an observer is told every PRINT_FREQ steps; losses and speeds are means since the last report."""

    epoch: int
    step: int  # steps of the optimizer done in this epoch
    steps: int  # steps of an epoch
    loss: float
    accuracy: float
    learning_rate: float
    samples_per_second: float
    loading_share: float  # of the time, lost to waiting for the loader, see core.waiting
    batch: dict[str, Tensor]  # the last one
    target: Tensor
    output: Tensor
    figures: dict[str, float]  # what the objective tells of its parts


class TrainingObserver(Protocol):
    """What the loops tell the outside world."""

    def on_stage(self, stage: int, stages: int, first_epoch: int, end_epoch: int) -> None: ...

    def on_pseudo_labels(self, epoch: int, labels: Any) -> None: ...

    def on_step(self) -> None: ...

    def on_report(self, report: StepReport) -> None: ...

    def on_pace(self, pace: Pace) -> None: ...

    def on_epoch(self, epoch: int, score: float | None, is_best: bool) -> None: ...


@dataclass
class Meter:
    """Sums since the last report. They stay on the device, so that only a report waits for it."""

    device: torch.device
    loss: Tensor = field(init=False)
    accuracy: Tensor = field(init=False)
    weight: Tensor = field(init=False)
    figures: dict[str, Tensor] = field(default_factory=dict)
    samples: int = 0
    waited: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.loss, self.accuracy, self.weight = torch.zeros(3, device=self.device, dtype=torch.float64).unbind()

    def add(self, loss: Tensor, accuracy: Any, samples: int, figures: Mapping[str, Tensor]) -> None:
        self.loss = self.loss + loss.detach() * samples
        for name, value in figures.items():
            self.figures[name] = self.figures.get(name, 0) + value.detach() * samples
        self.accuracy = self.accuracy + accuracy.mean * accuracy.count
        self.weight = self.weight + accuracy.count
        self.samples += samples

    def join(self, world: World) -> None:
        """Adds the sums of the other processes."""
        if world.size == 1:
            return
        sums = [self.loss, self.accuracy, self.weight, torch.tensor(self.samples), *self.figures.values()]
        total = world.total(torch.stack([each.detach().double().cpu() for each in sums]))
        self.loss, self.accuracy, self.weight, samples, *figures = total.unbind()
        self.samples, self.figures = int(samples), dict(zip(self.figures, figures, strict=True))


def step_report(
    meter: Meter,
    epoch: int,
    step: int,
    steps: int,
    rate: float,
    batch: dict[str, Tensor],
    last: Step,
) -> StepReport:
    """The report at a step, of what the meter has summed up since the last one; waits for the device."""
    loss, accuracy = float(meter.loss) / meter.samples, float(meter.accuracy) / max(float(meter.weight), 1.0)
    seconds = max(time.perf_counter() - meter.started, 1e-9)
    figures = {name: float(value) / meter.samples for name, value in meter.figures.items()}
    return StepReport(
        epoch, step, steps, loss, accuracy, rate, meter.samples / seconds, meter.waited / seconds, batch,
        last.target, last.output, figures,
    )  # fmt: skip
