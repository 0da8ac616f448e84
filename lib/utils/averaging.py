"""A network's running average, beside the network."""

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """A copy of a network, `network`, whose weights follow the network's as their exponential moving average.

    A step keeps `keep` of the average, less at first: 1 - 1 / (steps + 1), so that early weights are soon forgotten
    (Tarvainen and Valpola 2017). Buffers, BatchNorm's running statistics, are the network's present ones or, with
    `average_buffers`, averaged as the weights are; counters are always the network's.
    """

    def __init__(self, model: nn.Module, keep: float, average_buffers: bool = False):
        self.network = copy.deepcopy(model).requires_grad_(False)
        self.keep, self.average_buffers, self.steps = keep, average_buffers, 0

    def restart(self, model: nn.Module) -> None:
        """Begins with the network's present weights."""
        self._move(model, 0.0)
        self.steps = 0

    def follow(self, model: nn.Module) -> None:
        """What follows a step of the network's optimizer."""
        self.steps += 1
        self._move(model, min(self.keep, 1 - 1 / (self.steps + 1)))

    @torch.no_grad()
    def _move(self, model: nn.Module, keep: float) -> None:
        averaged, copied = self._parts(self.network)
        sources, originals = self._parts(model)
        torch._foreach_lerp_(averaged, sources, 1 - keep)  # one call for all, as torch.optim.swa_utils has it
        if copied:
            torch._foreach_copy_(copied, originals)

    def _parts(self, network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
        """What is averaged and what is copied."""
        averaged: list[Tensor] = list(network.parameters())
        copied: list[Tensor] = []
        for buffer in network.buffers():
            (averaged if self.average_buffers and buffer.is_floating_point() else copied).append(buffer)
        return averaged, copied
