"""What the methods of adaptation share: labelled and unlabelled crops in one pass through the network."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..utils.batch import Step
from .pseudo_labels import LabelReport, Predictor, PseudoLabels

TARGET = "target"  # the unlabelled crops' name in a batch


class Adaptation:
    """An objective (core.objective) that sees unlabelled crops beside the labelled ones.

    `labelled` is the objective of labelled crops alone (core.objective.Supervised), whose images, loss and maps are
    used. A method overrides what it does otherwise; `target_loss` at least.
    """

    def __init__(self, labelled: Any, weight: float = 1.0):
        """`weight` multiplies the loss of the unlabelled crops (lambda)."""
        self.labelled, self.weight = labelled, weight

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Networks of its own by name, which the checkpoint holds."""
        return {}

    def parameters(self) -> Iterable[nn.Parameter]:
        """What the optimizer trains beside the network."""
        return []

    def begin_epoch(self, model: nn.Module, epoch: int) -> LabelReport | None:
        return None

    def step(self, model: nn.Module, batch: Mapping[str, Any]) -> Step:
        """The labelled crops' loss and, from the epoch on that the loader gives unlabelled ones, theirs.

        Both go through the network as one batch.
        """
        if TARGET not in batch:
            return self.labelled.step(model, batch)
        parts = [self.labelled.images(batch), self.labelled.images(batch[TARGET])]
        labelled, target = split(model(torch.cat(parts)), [len(part) for part in parts])
        step = self.labelled.loss(labelled, batch)
        loss = self.target_loss(target, batch[TARGET])
        step.figures = {"loss_labelled": step.loss, "loss_target": loss}
        step.loss = step.loss + self.weight * loss
        return step

    def target_loss(self, output: Any, batch: Mapping[str, Any]) -> Tensor:
        """The loss, before `weight`, of what the network gives for unlabelled crops."""
        raise NotImplementedError

    def maps(self, step: Step) -> tuple[Tensor, Tensor]:
        return self.labelled.maps(step)

    def end_step(self, model: nn.Module) -> None:
        return None

    def scored(self, model: nn.Module) -> nn.Module:
        return model

    def state_dict(self) -> dict[str, Any]:
        return {name: module.state_dict() for name, module in self.modules.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, module in self.modules.items():
            module.load_state_dict(state[name])


class TargetLabels(Adaptation):
    """The bound: the labels of TARGET's training part, which exist for measuring, take part like all others."""

    def target_loss(self, output: Any, batch: Mapping[str, Any]) -> Tensor:
        return self.labelled.loss(output, batch).loss


def split(output: Any, counts: list[int]) -> list[Any]:
    """A network's output, one tensor or a list of them, for each of several parts of its batch."""
    if isinstance(output, Tensor):
        return list(output.split(counts))
    return [list(part) for part in zip(*(split(one, counts) for one in output), strict=True)]


class LabelRounds:
    """Rounds of pseudo-labels, shared by the methods that train on them.

    Every `every` epochs from `begin` on the labels are predicted anew, and once at least in a run that begins later.
    """

    def __init__(self, labels: PseudoLabels, predictor: Predictor, begin: int, every: int):
        self.labels, self.predictor, self.begin, self.every = labels, predictor, begin, every

    def is_due(self, epoch: int) -> bool:
        return epoch >= self.begin and ((epoch - self.begin) % self.every == 0 or not self.labels.predicted)

    def loss(self, labelled: Any, output: Any, batch: Mapping[str, Any]) -> Tensor:
        """The labelled crops' loss with the labels that are kept in the place of the truth."""
        keypoints, kept = self.labels.targets(batch)
        return labelled.loss(output, {"keypoints_input": keypoints, "visible": kept}).loss

    def report(self) -> LabelReport:
        """Numbers, accuracies and a few crops with their labels."""
        predictor = self.predictor
        if predictor.sample is None:
            return self.labels.report(None)
        boxes = predictor.boxes[predictor.sample["index"].to(predictor.device)].cpu().numpy()
        maps = np.stack([predictor.codec.warp_matrix(box[:2], box[2:]) for box in boxes])
        return self.labels.report({**predictor.sample, "map": torch.from_numpy(maps).float()})
