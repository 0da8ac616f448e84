"""WS-CDA: weakly and semi-supervised cross-domain adaptation.

Cross-Domain Adaptation for Animal Pose Estimation (Cao et al., ICCV 2019), section 4.1.

Four parts: the network up to its last layer is the feature extractor, the last layer the keypoint estimator; between
them stands the domain adaptation network, and a domain discriminator reads the features before it. Labelled people,
labelled animals and unlabelled animals go through as one batch. With y 1 for animals and z 1 for unlabelled ones:

    L_DDL  = -w1 mean(y log y' + (1 - y) log(1 - y')) - mean over animals (z log z' + (1 - z) log(1 - z'))
    L_pose = w2 L_animals + L_people
    total  = alpha L_DDL + beta L_pose, alpha beta < 0

The discriminator lowers L_DDL; the features, behind a gradient reversal of strength |alpha|, raise it (Ganin and
Lempitsky 2015). There is no public code: means instead of sums, the form of discriminator and adaptation network, and
w1 and w2 are ours.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..utils.batch import Step
from .base import TARGET, Adaptation, LabelRounds, split

HUMANS = "humans"  # the labelled people's name in a batch


class _Reversal(torch.autograd.Function):
    """The same values; gradients come back times -strength."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(features: Tensor, strength: float) -> Tensor:
    """`features`, whose gradient comes back reversed and times `strength`.

    >>> features = torch.ones(1, requires_grad=True)
    >>> reverse_gradient(features, 0.5).backward()
    >>> features.grad
    tensor([-0.5000])
    """
    return _Reversal.apply(features, strength)


class DomainAdaptation(nn.Module):
    """Two residual convolutions on the features (B,C,h,w) before the last layer, which change nothing at first."""

    def __init__(self, channels: int):
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            last,
        )
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.seen: Tensor | None = None  # the features of the last training step, for the discriminator

    def forward(self, features: Tensor) -> Tensor:
        self.seen = features if self.training else None
        return features + self.layers(features)


def insert_adaptation(model: Any) -> None:
    """Puts a `DomainAdaptation` before `model.final_layer`; the names of all other weights stay."""
    adaptation = DomainAdaptation(model.final_layer.in_channels)
    model.adaptation = adaptation
    model.final_layer.register_forward_pre_hook(_Before(adaptation))


class _Before:
    """A hook that can be copied with its model."""

    def __init__(self, module: nn.Module):
        self.module = module

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self.module(inputs[0]), *inputs[1:])


class Discriminator(nn.Module):
    """Features (B,C,h,w) -> two logits (B,2): an animal, and one without labels."""

    def __init__(self, channels: int, width: int = 64):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * width, 2),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


def domain_loss(logits: Tensor, animal: Tensor, unlabelled: Tensor, w1: float) -> Tensor:
    """L_DDL of logits (B,2), y `animal` (B,) and z `unlabelled` (B,), which counts for animals alone.

    >>> first = torch.tensor([1.0, 0.0])
    >>> domain_loss(torch.zeros(2, 2), first, first, w1=2.0) / torch.tensor(2.0).log()
    tensor(3.)
    """
    kind = F.binary_cross_entropy_with_logits(logits[:, 0], animal)
    each = F.binary_cross_entropy_with_logits(logits[:, 1], unlabelled, reduction="none")
    return w1 * kind + (animal * each).sum() / animal.sum().clamp(min=1)


class WSCDA(Adaptation):
    """See the module. `discriminator` reads the features that `model.adaptation` sees.

    Without people in the batches y is 1 everywhere, which has nothing to tell: w1 is then 0.
    """

    def __init__(
        self,
        labelled: Any,
        discriminator: Discriminator,
        alpha: float = -1.0,
        beta: float = 500.0,
        w1: float = 1.0,
        w2: float = 1.0,
        weight: float = 0.0,
        rounds: LabelRounds | None = None,
    ):
        """`weight`, lambda, and `rounds` are for a method that has a loss on unlabelled crops, too (PPLO)."""
        super().__init__(labelled, weight, rounds)
        self.discriminator, self.alpha, self.beta, self.w1, self.w2 = discriminator, alpha, beta, w1, w2

    @property
    def modules(self) -> dict[str, nn.Module]:
        return {"discriminator": self.discriminator}

    def parameters(self) -> Iterable[nn.Parameter]:
        return self.discriminator.parameters()

    def step(self, model: nn.Module, batch: Mapping[str, Any]) -> Step:
        """The total loss of labelled and unlabelled animals and of people, where there are any, in one pass."""
        kinds = [batch, batch[TARGET], *([batch[HUMANS]] if HUMANS in batch else [])]
        parts = [self.labelled.images(one) for one in kinds]
        counts = [len(part) for part in parts]
        outputs = split(self.labelled.precision.run(model, torch.cat(parts)), counts)
        step = self.labelled.loss(outputs[0], batch)
        pose = self.w2 * step.loss
        if HUMANS in batch:
            people = self.labelled.loss(outputs[2], batch[HUMANS]).loss
            step.figures["loss_humans"], pose = people, pose + people
        target = self.target_loss(outputs[1], batch[TARGET]) if self.weight else pose.new_zeros(())
        domain = self._domain_loss(model, counts)
        step.figures |= {"loss_labelled": step.loss, "loss_target": target, "loss_domain": domain}
        # The reversal gives the features alpha's sign and size, so that the discriminator itself lowers the loss.
        step.loss = self.beta * (pose + self.weight * target) + domain
        return step

    def _domain_loss(self, model: Any, counts: list[int]) -> Tensor:
        features = reverse_gradient(model.adaptation.seen.float(), abs(self.alpha))
        model.adaptation.seen = None
        # labelled animals, unlabelled ones, people
        animal, unlabelled = (
            torch.cat([features.new_full((count,), value) for count, value in zip(counts, values, strict=False)])
            for values in ((1.0, 1.0, 0.0), (0.0, 1.0, 0.0))
        )
        return domain_loss(self.discriminator(features), animal, unlabelled, self.w1 if len(counts) == 3 else 0.0)
