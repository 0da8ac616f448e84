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
    used. A method overrides what it does otherwise.
    """

    def __init__(self, labelled: Any, weight: float = 1.0, rounds: "LabelRounds | None" = None):
        """`weight` multiplies the loss of the unlabelled crops (lambda); `rounds` gives their pseudo-labels, if any."""
        self.labelled, self.weight, self.rounds = labelled, weight, rounds
        self.fits = ""  # method and unlabelled crops in words and numbers, which a resumed run must have in common

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
        labelled, target = split(self.labelled.precision.run(model, torch.cat(parts)), [len(part) for part in parts])
        step = self.labelled.loss(labelled, batch)
        loss = self.target_loss(target, batch[TARGET])
        step.figures = {"loss_labelled": step.loss, "loss_target": loss}
        step.loss = step.loss + self.weight * loss
        return step

    def target_loss(self, output: Any, batch: Mapping[str, Any]) -> Tensor:
        """The loss, before `weight`, of the network's output for unlabelled crops: here of the labels that are kept."""
        keypoints, kept = self.rounds.labels.targets(batch)  # type: ignore[union-attr]
        return self.labelled.loss(output, {"keypoints_input": keypoints, "visible": kept}).loss

    def maps(self, step: Step) -> tuple[Tensor, Tensor]:
        return self.labelled.maps(step)

    def end_step(self, model: nn.Module) -> None:
        return None

    def scored(self, model: nn.Module) -> nn.Module:
        return model

    def state_dict(self) -> dict[str, Any]:
        labels = {} if self.rounds is None else {"labels": self.rounds.labels.state_dict()}
        return {"fits": self.fits, **labels, **{name: module.state_dict() for name, module in self.modules.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from a `state_dict`; a ValueError where it is of another method or of other unlabelled crops."""
        if state.get("fits", "") != self.fits:
            theirs = state.get("fits") or "a training without adaptation"
            raise ValueError(
                f"the checkpoint is of {theirs}, this run is of {self.fits}; "
                "set AUTO_RESUME False, or give the weights alone as MODEL.PRETRAINED"
            )
        for name, module in self.modules.items():
            module.load_state_dict(state[name])
        if self.rounds is not None:
            self.rounds.labels.load_state_dict(state["labels"])


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

    def report(self) -> LabelReport:
        """Numbers, accuracies and a few crops with their labels."""
        predictor = self.predictor
        if predictor.sample is None:
            return self.labels.report(None)
        boxes = predictor.boxes[predictor.sample["index"].to(predictor.device)].cpu().numpy()
        maps = np.stack([predictor.codec.warp_matrix(box[:2], box[2:]) for box in boxes])
        return self.labels.report({**predictor.sample, "map": torch.from_numpy(maps).float()})
