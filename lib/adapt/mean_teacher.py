"""Mean teacher: a network agrees with the running average of itself (Tarvainen and Valpola 2017), on heatmaps.

The teacher sees a mildly recoloured crop, the student a scaled, turned and strongly changed view of it; the teacher's
heatmaps are taken to the student's view. The teacher is what is scored.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..utils.averaging import WeightAverage
from ..utils.batch import Step, as_images, final_output, standardise
from .base import TARGET, Adaptation, split
from .perturb import MILD, STRONG
from .views import inverse, on_heatmaps, random_maps, resample


class MeanTeacher(Adaptation):
    """See the module.

    Args:
        keep: share of the teacher's weights that a step keeps; less at first, as 1 - 1 / (steps + 1) (the paper's).
        begin, rampup: epochs: the first with a teacher, and those over which the weight rises as
            exp(-5 (1 - t)^2) (the paper's).
        scale, rotation: the student's views, see `views.random_maps`.
    """

    def __init__(
        self,
        labelled: Any,
        model: nn.Module,
        weight: float = 10.0,
        keep: float = 0.999,
        begin: int = 0,
        rampup: float = 5.0,
        scale: float = 0.25,
        rotation: float = 30.0,
    ):
        super().__init__(labelled, weight)
        self.average = WeightAverage(model, keep)
        self.begin, self.rampup = begin, rampup
        self.scale, self.rotation = scale, rotation
        self.epoch, self.started = 0, False

    @property
    def teacher(self) -> nn.Module:
        return self.average.network

    @property
    def modules(self) -> dict[str, nn.Module]:
        return {"teacher": self.teacher}

    def begin_epoch(self, model: nn.Module, epoch: int) -> None:
        if epoch >= self.begin and not self.started:
            self.average.restart(model)
            self.started = True
        self.epoch = epoch

    def step(self, model: nn.Module, batch: Mapping[str, Any]) -> Step:
        """The labelled crops' loss and, weighed, the disagreement of student and teacher on the unlabelled ones."""
        if TARGET not in batch:
            return self.labelled.step(model, batch)
        source = self.labelled.images(batch)
        crops = as_images(batch[TARGET]["crop"], source.device)
        maps = random_maps(crops, self.scale, self.rotation)
        view = standardise(STRONG(resample(crops, inverse(maps))), self.labelled.pixels)
        images, run = torch.cat([source, view]), self.labelled.precision.run
        labelled, output = split(run(model, images), [len(source), len(view)])
        step = self.labelled.loss(labelled, batch)
        loss = self._disagreement(output, crops, maps)
        step.figures = {"loss_labelled": step.loss, "loss_target": loss}
        step.loss = step.loss + self._ramp() * self.weight * loss
        return step

    def _disagreement(self, output: Any, crops: Tensor, maps: Tensor) -> Tensor:
        """Half the mean squared difference to the teacher's heatmaps, where they reach the view."""
        with torch.no_grad():
            self.teacher.eval()
            images = standardise(MILD(crops), self.labelled.pixels)
            wanted = final_output(self.labelled.precision.run(self.teacher, images))
            wanted = torch.cat([wanted, torch.ones_like(wanted[:, :1])], dim=1)
            wanted = resample(wanted, inverse(on_heatmaps(maps, self.labelled.codec)))
        heatmaps = final_output(output)
        return 0.5 * (wanted[:, -1:] * (heatmaps - wanted[:, :-1]).square()).mean()

    def _ramp(self) -> float:
        done = min((self.epoch - self.begin + 1) / self.rampup, 1.0) if self.rampup else 1.0
        return math.exp(-5.0 * (1 - done) ** 2)

    def end_step(self, model: nn.Module) -> None:
        self.average.follow(model)

    def scored(self, model: nn.Module) -> nn.Module:
        return self.teacher

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "steps": self.average.steps, "started": self.started}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.average.steps, self.started = int(state["steps"]), bool(state["started"])
