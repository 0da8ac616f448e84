"""The training loop: one epoch, and the epochs of a run with their checkpoints."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from ..metrics import heatmap_accuracy
from .distributed import ALONE, World
from .objective import Objective
from .progress import Meter, TrainingObserver, step_report
from .state import TrainingState
from .waiting import Pace, Waiting


class TrainingError(RuntimeError):
    """Training cannot go on; what was saved before stays as it is."""


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
    accumulate: int = 1,
) -> Pace:
    """One pass over `loader`; with many processes over its share, `model` being what `world` wraps.

    A step takes `accumulate` batches, or those that are left at the end: their gradients add up to that of the mean
    loss of all their samples. Between reports nothing waits for the device.

    Raises:
        TrainingError: the loss became infinite or NaN; noticed at the next report, before anything is saved.
    """
    model.train()
    batches, steps = len(loader), -(-len(loader) // accumulate)
    meter, first_bad = Meter(device), torch.full((), -1, device=device)
    waiting, waited, started = Waiting(device), 0.0, time.perf_counter()
    for number, batch in enumerate(waiting.over(loader), start=1):
        step, is_whole = -(-number // accumulate), number % accumulate == 0 or number == batches
        weight = _weight(loader, number, accumulate, world)
        if number % accumulate == 1 % accumulate:  # the first of a step
            optimizer.zero_grad(set_to_none=True)
        with world.gradients(model, joined=is_whole):
            taken = objective.step(model, batch)
            (taken.loss * weight).backward()
        if weight:
            meter.add(taken.loss, heatmap_accuracy(*objective.maps(taken)), len(batch["crop"]), taken.figures)
        first_bad = torch.where((first_bad < 0) & ~taken.loss.detach().isfinite(), step, first_bad)
        if not is_whole:
            continue
        optimizer.step()
        learning_rate = float(scheduler.get_last_lr()[0])
        scheduler.step()
        objective.end_step(model)
        observer.on_step()
        if step % report_every == 0 or step == steps:
            _stop_if_bad(world.first_of(int(first_bad)), epoch, learning_rate)
            meter.waited = waiting.seconds()
            waited += meter.waited
            meter.join(world)
            observer.on_report(step_report(meter, epoch, step, steps, learning_rate, batch, taken))
            meter = Meter(device)
    share = world.largest(waited / (time.perf_counter() - started))
    return Pace(epoch, share, in_turn=getattr(loader, "num_workers", 0) == 0)


def _weight(loader: DataLoader, number: int, accumulate: int, world: World) -> float:
    """What the mean loss of a batch counts in its step; 0 for one that only keeps a process going."""
    if world.size == accumulate == 1:
        return 1.0
    return loader.sampler.weight(number, accumulate)  # type: ignore[attr-defined]


def _stop_if_bad(step: int, epoch: int, learning_rate: float) -> None:
    if step >= 0:
        raise TrainingError(
            f"the loss is not finite since step {step} of epoch {epoch} (learning rate {learning_rate:g}); lower "
            "TRAIN.LR or raise TRAIN.WARMUP_ITERS and start again; what was saved before is untouched"
        )


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
    accumulate: int = 1,
) -> None:
    """Trains from `state.epoch` to the end of the last of `stages`, each of which has `end_epoch` epochs.

    Scores after every `validate_every` epochs and after a stage's last: `validate(epoch)`, higher is better. Epochs are
    counted through all stages, and `loader.sampler` takes the number in its attribute `epoch`: no stage repeats the
    samples of another. Writes checkpoint.pth every epoch, model_best.pth at every new best score, stage_<i>.pth
    before stage i+1 begins and final_state.pth at the end; of the processes of `world` only rank 0 writes, and
    `validate` gives all of them the same score. `seed` is for random numbers that differ between processes. A step
    takes `accumulate` batches.
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
            pace = train_one_epoch(
                network, loader, objective, state.optimizer, state.scheduler, device, epoch, observer, report_every,
                world, accumulate,
            )  # fmt: skip
            observer.on_pace(pace)
            world.match(state.model.buffers())  # BatchNorm's running statistics
            if state.scored is not state.model:
                world.match(state.scored.state_dict().values())
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
