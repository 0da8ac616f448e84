"""An objective whose network's running average is what is scored and kept."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from ..utils.averaging import WeightAverage
from ..utils.batch import Step
from .objective import Objective

logger = logging.getLogger(__name__)


class Averaged:
    """`objective`, and after every step of its optimizer a step of the average of `model`'s weights.

    Floating-point buffers, BatchNorm's running statistics, are averaged as the weights are.
    """

    def __init__(self, objective: Objective, model: nn.Module, keep: float):
        """`keep` is the share of the average that a step keeps, 0 to 1; see utils.averaging.WeightAverage."""
        self.objective, self.model = objective, model
        self.average = WeightAverage(model, keep, average_buffers=True)

    def parameters(self) -> Iterable[nn.Parameter]:
        return self.objective.parameters()

    def begin_epoch(self, model: nn.Module, epoch: int) -> Any:
        return self.objective.begin_epoch(model, epoch)

    def step(self, model: nn.Module, batch: Mapping[str, Any]) -> Step:
        return self.objective.step(model, batch)

    def maps(self, step: Step) -> tuple[Tensor, Tensor]:
        return self.objective.maps(step)

    def end_step(self, model: nn.Module) -> None:
        self.objective.end_step(model)
        self.average.follow(model)

    def scored(self, model: nn.Module) -> nn.Module:
        return self.average.network

    def state_dict(self) -> dict[str, Any]:
        average = {"state_dict": self.average.network.state_dict(), "steps": self.average.steps}
        return {**self.objective.state_dict(), "average": average}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from a `state_dict`; where it has no average, that begins with the network's weights."""
        self.objective.load_state_dict(state)
        if "average" not in state:
            logger.info("the checkpoint has no average of the weights (TRAIN.EMA): it begins with the weights")
            self.average.restart(self.model)
            return
        self.average.network.load_state_dict(state["average"]["state_dict"])
        self.average.steps = int(state["average"]["steps"])
