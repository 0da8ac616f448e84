"""The size of a model: parameters, output shapes and multiply-adds of its layers."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from .tables import markdown_table


@dataclass(frozen=True)
class ModelSummary:
    """`parameters` and `multiply_adds` in all; `layers` is a table of the model's direct children."""

    parameters: int
    multiply_adds: int
    layers: str

    def __str__(self) -> str:
        total = f"{self.parameters:,} parameters, {self.multiply_adds / 1e9:.3f} G multiply-adds for one crop"
        return f"{total}\n{self.layers}"


def summarise(model: nn.Module, input_size: tuple[int, int]) -> ModelSummary:
    """The summary for one image of `input_size` (width, height).

    Counted by PyTorch's FlopCounterMode on the meta device, so that nothing is computed. One multiply-add is two of
    its FLOPs; convolutions, transposed convolutions and matrix products count.
    """
    width, height = input_size
    skeleton = copy.deepcopy(model).to("meta").eval()
    shapes: dict[str, str] = {}
    for name, child in skeleton.named_children():
        child.register_forward_hook(_note_shape(shapes, name))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        skeleton(torch.empty(1, 3, height, width, device="meta"))
    flops = {name.split(".", 1)[-1]: sum(kinds.values()) for name, kinds in counter.get_flop_counts().items()}
    rows = [
        [
            name,
            type(child).__name__,
            shapes.get(name, "-"),
            f"{_parameters(child):,}",
            f"{_flops(flops, name, child) / 2e9:.3f}",
        ]
        for name, child in skeleton.named_children()
    ]
    table = markdown_table(["layer", "type", "output", "parameters", "G multiply-adds"], rows)
    return ModelSummary(_parameters(model), counter.get_total_flops() // 2, table)


def _flops(counted: dict[str, int], name: str, module: nn.Module) -> int:
    """FLOPs of a module; those of a list, which is never called itself, are the sum of its members'."""
    if name in counted:
        return counted[name]
    return sum(_flops(counted, f"{name}.{key}", member) for key, member in module.named_children())


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _note_shape(shapes: dict[str, str], name: str) -> Any:
    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        outputs = [output] if isinstance(output, Tensor) else output
        shapes[name] = " ".join("x".join(map(str, one.shape[1:])) for one in outputs)

    return hook
