"""Everything that a training run continues from, and its files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from .checkpoint import CheckpointError, save_atomically
from .objective import Objective
from .weights import load_weights


@dataclass
class TrainingState:
    """Everything that a run continues from."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LambdaLR
    description: dict[str, Any]  # stored in every weight file: architecture, codec, sizes
    steps_per_epoch: int  # of the optimizer: an epoch's batches over those of a step, rounded up
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
        self._resume_optimizer(content["optimizer"])
        # The forks' checkpoint.pth has neither the best score nor stages nor random states.
        self.epoch, self.best_score = content["epoch"], content.get("best_score", -1.0)
        self.stage, self.stage_start = content.get("stage", 1), content.get("stage_start", 0)
        self.scores = content.get("scores", {})
        self._place_schedule()
        if "random_state" in content:
            torch.set_rng_state(content["random_state"])
        if torch.cuda.is_available() and len(content.get("cuda_random_state", ())) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(content["cuda_random_state"])

    def _resume_optimizer(self, saved: Mapping[str, Any]) -> None:
        """Takes the saved moments; the options stay the present ones."""
        # Put in before loading: by `fused` load_state_dict decides which device an optimizer's step counts go to.
        present = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        groups = [{**group, **options} for group, options in zip(saved["param_groups"], present, strict=True)]
        self.optimizer.load_state_dict({**saved, "param_groups": groups})

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
