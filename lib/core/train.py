"""The training loop: one epoch, and the epochs of a run with their checkpoints."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from ..metrics import heatmap_accuracy
from .checkpoint import CheckpointError, save_atomically
from .distributed import ALONE, World
from .objective import Objective, Step
from .weights import load_weights


class TrainingError(RuntimeError):
    """Training cannot go on; what was saved before stays as it is."""


@dataclass
class StepReport:
    """What an observer is told every PRINT_FREQ steps; losses and speeds are means since the last report."""

    epoch: int
    step: int  # steps done in this epoch
    steps: int  # steps of an epoch
    loss: float
    accuracy: float
    learning_rate: float
    samples_per_second: float
    loading_share: float  # of the time, spent waiting for the loader
    batch: dict[str, Tensor]
    target: Tensor
    output: Tensor
    figures: dict[str, float]  # what the objective tells of its parts


class TrainingObserver(Protocol):
    """What the loops tell the outside world."""

    def on_stage(self, stage: int, stages: int, first_epoch: int, end_epoch: int) -> None: ...

    def on_pseudo_labels(self, epoch: int, labels: Any) -> None: ...

    def on_step(self) -> None: ...

    def on_report(self, report: StepReport) -> None: ...

    def on_epoch(self, epoch: int, score: float | None, is_best: bool) -> None: ...


@dataclass
class _Meter:
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


def train_one_epoch(
    model: nn.Module,
    loader: DataLoader,
    objective: Objective,
    optimizer: Optimizer,
    scheduler: LambdaLR,
    device: torch.device,
    epoch: int,
    observer: TrainingObserver,
    report_every: int = 100,
    world: World = ALONE,
) -> None:
    """One pass over `loader`; with many processes over its share, `model` being what `world` wraps.

    Raises:
        TrainingError: the loss became infinite or NaN; noticed at the next report, before anything is saved.
    """
    model.train()
    steps = len(loader)
    meter, first_bad = _Meter(device), torch.full((), -1, device=device)
    ready = time.perf_counter()
    for step, batch in enumerate(loader, start=1):
        meter.waited += time.perf_counter() - ready
        step_taken = objective.step(model, batch)
        loss, samples = step_taken.loss, len(batch["crop"])
        optimizer.zero_grad(set_to_none=True)
        if world.size == 1:
            loss.backward()
        else:
            weight = loader.sampler.weight(step)  # type: ignore[attr-defined]
            (loss * weight).backward()
            samples = samples if weight else 0
        optimizer.step()
        learning_rate = float(scheduler.get_last_lr()[0])
        scheduler.step()
        objective.end_step(model)
        heatmaps, peaks = objective.maps(step_taken)
        if samples:
            meter.add(loss, heatmap_accuracy(heatmaps, peaks), samples, step_taken.figures)
        first_bad = torch.where((first_bad < 0) & ~loss.detach().isfinite(), step, first_bad)
        observer.on_step()
        if step % report_every == 0 or step == steps:
            _stop_if_bad(world.first_of(int(first_bad)), epoch, learning_rate)
            meter.join(world)
            observer.on_report(_report(meter, epoch, step, steps, learning_rate, batch, step_taken))
            meter = _Meter(device)
        ready = time.perf_counter()


def _stop_if_bad(step: int, epoch: int, learning_rate: float) -> None:
    if step >= 0:
        raise TrainingError(
            f"the loss is not finite since step {step} of epoch {epoch} (learning rate {learning_rate:g}); lower "
            "TRAIN.LR or raise TRAIN.WARMUP_ITERS and start again; what was saved before is untouched"
        )


def _report(
    meter: _Meter,
    epoch: int,
    step: int,
    steps: int,
    rate: float,
    batch: dict[str, Tensor],
    last: Step,
) -> StepReport:
    loss, accuracy = float(meter.loss) / meter.samples, float(meter.accuracy) / max(float(meter.weight), 1.0)
    seconds = max(time.perf_counter() - meter.started, 1e-9)
    figures = {name: float(value) / meter.samples for name, value in meter.figures.items()}
    return StepReport(
        epoch, step, steps, loss, accuracy, rate, meter.samples / seconds, meter.waited / seconds, batch,
        last.target, last.output, figures,
    )  # fmt: skip


@dataclass
class TrainingState:
    """Everything that a run continues from."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LambdaLR
    description: dict[str, Any]  # stored in every weight file: architecture, codec, sizes
    steps_per_epoch: int
    epoch: int = 0  # the next one, counted through all stages
    best_score: float = -1.0
    stage: int = 1
    stage_start: int = 0  # the stage's first epoch; the schedule counts from there
    scores: dict[int, dict[str, Any]] = field(default_factory=dict)  # each stage's last, for the report
    objective: Objective | None = None  # has a state of its own where it adapts to another domain

    def __post_init__(self) -> None:
        self._place_schedule()

    def save(self, path: Path) -> None:
        """Writes the whole state atomically."""
        content = {
            **self.description,
            "epoch": self.epoch,
            "best_score": self.best_score,
            "stage": self.stage,
            "stage_start": self.stage_start,
            "scores": self.scores,
            "state_dict": self.model.state_dict(),
            "objective": self.objective.state_dict() if self.objective else {},
            "optimizer": self.optimizer.state_dict(),
            "random_state": torch.get_rng_state(),
            "cuda_random_state": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        save_atomically(content, path)

    def save_weights(self, path: Path) -> None:
        """Writes the weights that are scored and what they are for."""
        weights = self.scored.state_dict()
        save_atomically({**self.description, "epoch": self.epoch, "stage": self.stage, "state_dict": weights}, path)

    @property
    def scored(self) -> nn.Module:
        """The network that the training is for: the one that is trained, or the one its objective makes of it."""
        return self.objective.scored(self.model) if self.objective else self.model

    def resume(self, path: Path) -> None:
        """Continues from a file of `save`.

        Learning rate, weight decay and schedule are the present configuration's: the schedule is put where the epoch
        begins, so that TRAIN.LR or the batch size can be changed between two starts.

        Raises:
            CheckpointError: `path` is no file of `save`, or of another architecture, codec or size.
        """
        content = load_weights(self.model, path)
        own = "codec" in content  # the forks' files hold "model", too: a name of their own, SimpleBaselines' a tuple
        for key, value in self.description.items():
            if own and content.get(key, value) != value:
                raise CheckpointError(
                    f"{path}: was trained with {key} {content[key]}, this run has {value}; change the experiment or "
                    "set AUTO_RESUME False"
                )
        if "optimizer" not in content:
            raise CheckpointError(
                f"{path}: holds weights but no optimizer; resume from a checkpoint.pth, or give the file as "
                "MODEL.PRETRAINED and set AUTO_RESUME False"
            )
        if self.objective is not None:
            self.objective.load_state_dict(content.get("objective", {}))
        options = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(content["optimizer"])
        for group, present in zip(self.optimizer.param_groups, options, strict=True):
            group.update(present)
        # The forks' checkpoint.pth has neither the best score nor stages nor random states.
        self.epoch, self.best_score = content["epoch"], content.get("best_score", -1.0)
        self.stage, self.stage_start = content.get("stage", 1), content.get("stage_start", 0)
        self.scores = content.get("scores", {})
        self._place_schedule()
        if "random_state" in content:
            torch.set_rng_state(content["random_state"])
        if torch.cuda.is_available() and len(content.get("cuda_random_state", ())) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(content["cuda_random_state"])

    def begin_stage(self) -> None:
        """Goes on to the next stage: the present weights with a fresh optimizer and the schedule's beginning.

        LPN's iterative training (Zhang et al. 2019). The weights are the last, not the best ones, so that the test set
        has no say in what is trained.
        """
        self.stage += 1
        self.stage_start = self.epoch
        self.optimizer.state.clear()
        self._place_schedule()

    def _place_schedule(self) -> None:
        """Puts the schedule, a function of the step, where the epoch begins in its stage."""
        step, schedule = (self.epoch - self.stage_start) * self.steps_per_epoch, self.scheduler
        schedule.last_epoch = step
        rates = [rate * factor(step) for rate, factor in zip(schedule.base_lrs, schedule.lr_lambdas, strict=True)]
        schedule._last_lr = rates  # what get_last_lr returns; LambdaLR has no public way to be moved
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


def fit(
    state: TrainingState,
    loader: DataLoader,
    objective: Objective,
    validate: Callable[[int], float],
    folder: Path,
    end_epoch: int,
    device: torch.device,
    observer: TrainingObserver,
    report_every: int = 100,
    validate_every: int = 1,
    stages: int = 1,
    world: World = ALONE,
    seed: int = 0,
) -> None:
    """Trains from `state.epoch` to the end of the last of `stages`, each of which has `end_epoch` epochs.

    Scores after every `validate_every` epochs and after a stage's last: `validate(epoch)`, higher is better. Epochs are
    counted through all stages, and `loader.sampler` takes the number in its attribute `epoch`: no stage repeats the
    samples of another. Writes checkpoint.pth every epoch, model_best.pth at every new best score, stage_<i>.pth
    before stage i+1 begins and final_state.pth at the end; of the processes of `world` only rank 0 writes, and
    `validate` gives all of them the same score. `seed` is for random numbers that differ between processes.
    """
    network = world.wrap(state.model, device)
    for stage in range(state.stage, stages + 1):
        if stage > state.stage:
            if world.is_first:
                state.save_weights(folder / f"stage_{state.stage}.pth")
            state.begin_stage()
        end = state.stage_start + end_epoch
        if stages > 1 and state.epoch < end:
            observer.on_stage(stage, stages, state.epoch, end)
        for epoch in range(state.epoch, end):
            loader.sampler.epoch = epoch  # type: ignore[attr-defined]
            labels = objective.begin_epoch(state.model, epoch)
            if labels is not None:
                observer.on_pseudo_labels(epoch, labels)
            world.vary_random(seed, epoch)
            train_one_epoch(
                network, loader, objective, state.optimizer, state.scheduler, device, epoch, observer, report_every,
                world,
            )  # fmt: skip
            world.match_buffers(state.model)
            is_due = (epoch + 1 - state.stage_start) % validate_every == 0 or epoch + 1 == end
            score = validate(epoch) if is_due else None
            is_best = score is not None and score > state.best_score
            state.epoch = epoch + 1
            state.best_score = score if score is not None and is_best else state.best_score
            if is_best and world.is_first:
                state.save_weights(folder / "model_best.pth")
            if world.is_first:
                state.save(folder / "checkpoint.pth")
            observer.on_epoch(epoch, score, is_best)
    if world.is_first:
        state.save_weights(folder / "final_state.pth")
