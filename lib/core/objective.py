"""What a training step minimises: the loss of labelled samples, or with it what adapts to another domain."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..utils.batch import IMAGENET, PixelStatistics, Step, as_images, final_output, standardise
from ..utils.precision import FP32, Precision


class Objective(Protocol):
    """What the training loop asks for; `Supervised` is the usual one, the package adapt has the others."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """What the optimizer trains beside the network."""

    def begin_epoch(self, model: nn.Module, epoch: int) -> Any:
        """What is to be done before an epoch; fresh pseudo-labels for the observer, or None."""

    def step(self, model: nn.Module, batch: Mapping[str, Any]) -> Step:
        """The loss of one batch as loaded."""

    def maps(self, step: Step) -> tuple[Tensor, Tensor]:
        """Heatmaps (B,K,h,w) of the labelled samples and maps with the peaks of their targets, for the accuracy."""

    def end_step(self, model: nn.Module) -> None:
        """What follows the optimizer's step."""

    def scored(self, model: nn.Module) -> nn.Module:
        """The network that the training is for."""

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs, beside the network and its optimizer."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from a `state_dict`."""


class Supervised:
    """The loss of labelled samples.

    `loss_fn` takes what the network gives, the codec's training targets and their weight. `perturb` changes images
    (B, 3, H, W), 0 to 1, before they are standardised; None leaves them as they are. `precision` is the network's; the
    loss is always float32.
    """

    def __init__(
        self,
        codec: Any,
        loss_fn: Callable[..., Tensor],
        device: torch.device,
        pixels: PixelStatistics = IMAGENET,
        perturb: Callable[[Tensor], Tensor] | None = None,
        precision: Precision = FP32,
    ):
        self.codec, self.loss_fn, self.device = codec, loss_fn, device
        self.pixels, self.perturb, self.precision = pixels, perturb, precision

    def images(self, batch: Mapping[str, Any]) -> Tensor:
        """The network's input (B, 3, H, W) for the crops of a batch."""
        images = as_images(batch["crop"], self.device)
        return standardise(images if self.perturb is None else self.perturb(images), self.pixels)

    def loss(self, output: Any, batch: Mapping[str, Any]) -> Step:
        """The loss of what the network gives for the crops of a labelled batch."""
        keypoints, visible = (batch[key].to(self.device, non_blocking=True) for key in ("keypoints_input", "visible"))
        targets, weight = self.codec.training_targets(keypoints, visible)
        return Step(self.loss_fn(output, targets, weight), final_output(output).detach(), final_output(targets))

    def parameters(self) -> Iterable[nn.Parameter]:
        return []

    def begin_epoch(self, model: nn.Module, epoch: int) -> None:
        return None

    def step(self, model: nn.Module, batch: Mapping[str, Any]) -> Step:
        return self.loss(self.precision.run(model, self.images(batch)), batch)

    def maps(self, step: Step) -> tuple[Tensor, Tensor]:
        return self.codec.heatmaps(step.output), self.codec.peaks(step.target)

    def end_step(self, model: nn.Module) -> None:
        return None

    def scored(self, model: nn.Module) -> nn.Module:
        return model

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        return None
