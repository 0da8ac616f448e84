"""The size of a model: kernel, output shape, parameters and multiply-adds of its layers, its stages and in all."""

import copy
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from .tables import markdown_table

COUNTING_RULE = """\
Counted by torch.utils.flop_counter for one crop: convolutions, transposed convolutions and matrix products, two FLOPs
for each multiply-add; not bias, normalisation, activation, pooling, upsampling and sums. The papers' GFLOPs are
multiply-adds, mostly by HRNet's count: in units of 1024^3, convolutions and linear layers only, a transposed
convolution at every output pixel (four times what one of stride 2 takes)."""


@dataclass(frozen=True)
class Layer:
    """A module without what its submodules have: parameters, and multiply-adds of one crop.

    `kernel` is "3x3 /2 g64" for stride 2 and 64 groups; `outputs` the different shapes (C,H,W) that it gave, in order.
    """

    name: str
    kind: str
    kernel: str
    outputs: tuple[tuple[int, ...], ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class ModelSummary:
    """The modules of a network in the order of its state_dict, the network itself first.

    `hrnet_count` is the number of multiply-adds by HRNet's rule, which most published GFLOPs follow: convolutions and
    linear layers only, and a transposed convolution as if it were computed at every output pixel.
    """

    layers: tuple[Layer, ...]
    hrnet_count: int

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    def rows(self, depth: int | None = None) -> list[Layer]:
        """The layers; with `depth`, those whose dotted names have more parts are summed up in the module above.

        A module with submodules has a row of its own only for what they do not account for.
        """
        groups: dict[str, list[Layer]] = {}
        for layer in self.layers:
            groups.setdefault(".".join(layer.name.split(".")[:depth]), []).append(layer)
        inner = {name.rpartition(".")[0] for name in groups if name}
        summed = (_sum(members) for members in groups.values())
        return [row for row in summed if row.name not in inner or row.parameters or row.multiply_adds]

    def stages(self) -> list[Layer]:
        """The sums of the network's direct children."""
        return self.rows(1)

    def table(self, depth: int | None = None) -> str:
        """A markdown table of `rows(depth)`, with a sum after each stage and of all."""
        rows = self.rows(depth)
        cells = []
        for stage in self.stages():
            members = [row for row in rows if row.name.split(".")[0] == stage.name]
            cells += [_cells(row) for row in members]
            if len(members) > 1:
                cells.append(_cells(stage, f"sum of {stage.name}"))
        cells.append(["total", "", "", "", *_numbers(self.parameters, self.multiply_adds)])
        return markdown_table(["layer", "type", "kernel", "output", "parameters", "MFLOPs", "M multiply-adds"], cells)

    @property
    def totals(self) -> str:
        """One line with the totals, by both rules."""
        return (
            f"{self.parameters:,} parameters, {self.multiply_adds / 1e9:.3f} G multiply-adds for one crop "
            f"({2 * self.multiply_adds / 1e9:.3f} GFLOPs; by HRNet's count {self.hrnet_count / 1024**3:.3f})"
        )

    def __str__(self) -> str:
        return f"{self.totals}\n{self.table(1)}"


def summarise(model: nn.Module, input_size: tuple[int, int]) -> ModelSummary:
    """The summary for one image of `input_size` (width, height).

    Counted by PyTorch's FlopCounterMode on the meta device, so that nothing is computed; the model stays as it is. One
    multiply-add is two of its FLOPs; convolutions, transposed convolutions and matrix products count. A module that is
    called several times counts as often, and one that stands at several places has the first one's name.
    """
    width, height = input_size
    skeleton = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        meter = _Meter(counter)
        for module in skeleton.modules():
            module.register_forward_pre_hook(meter.enter)
            module.register_forward_hook(meter.leave)
        skeleton(torch.empty(1, 3, height, width, device="meta"))
    return ModelSummary(tuple(_layers(skeleton, meter)), meter.hrnet_count)


class _Meter:
    """Hooks that note, for every module, the shapes it gives and the FLOPs of itself without its submodules."""

    def __init__(self, counter: FlopCounterMode):
        self.counter = counter
        self.flops: dict[nn.Module, int] = defaultdict(int)
        self.outputs: dict[nn.Module, list[tuple[int, ...]]] = defaultdict(list)
        self.hrnet_count = 0
        self._open: list[tuple[int, list[int]]] = []  # the modules under way: FLOPs before, FLOPs of each submodule

    def enter(self, module: nn.Module, inputs: Any) -> None:
        """Before a module computes."""
        self._open.append((self.counter.get_total_flops(), []))

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """After a module has computed: its own share of the FLOPs, and the shapes of its output."""
        before, inner = self._open.pop()
        spent = self.counter.get_total_flops() - before
        self.flops[module] += spent - sum(inner)
        if self._open:
            self._open[-1][1].append(spent)
        self.outputs[module] += [tuple(one.shape[1:]) for one in tree_leaves(output) if isinstance(one, Tensor)]
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            self.hrnet_count += module.weight.numel() * math.prod(output.shape[2:])


def _layers(model: nn.Module, meter: _Meter) -> Iterator[Layer]:
    for name, module in model.named_modules():
        yield Layer(
            name,
            type(module).__name__,
            _kernel(module),
            tuple(dict.fromkeys(meter.outputs[module])),
            sum(parameter.numel() for parameter in module.parameters(recurse=False)),
            meter.flops[module] // 2,
        )


def _kernel(module: nn.Module) -> str:
    """Kernel, stride and groups of a convolution or pooling layer, the factor of an upsampling layer; '' of others."""
    if (size := getattr(module, "kernel_size", None)) is not None:
        stride, groups = _sides(getattr(module, "stride", 1)), getattr(module, "groups", 1)
        return _sides(size) + f" /{stride.split('x')[0]}" * (stride != "1x1") + f" g{groups}" * (groups != 1)
    factor = getattr(module, "scale_factor", None)
    return f"x{factor:g}" if factor else ""


def _sides(value: int | tuple[int, ...]) -> str:
    return "x".join(map(str, (value, value) if isinstance(value, int) else value))


def _sum(layers: list[Layer]) -> Layer:
    """The first of `layers` with the parameters and multiply-adds of all."""
    first = layers[0]
    parameters = sum(layer.parameters for layer in layers)
    multiply_adds = sum(layer.multiply_adds for layer in layers)
    return Layer(first.name, first.kind, first.kernel, first.outputs, parameters, multiply_adds)


def _cells(layer: Layer, name: str = "") -> list[str]:
    outputs = " ".join("x".join(map(str, shape)) for shape in layer.outputs)
    name = name or layer.name or "-"
    return [name, layer.kind, layer.kernel, outputs or "-", *_numbers(layer.parameters, layer.multiply_adds)]


def _numbers(parameters: int, multiply_adds: int) -> list[str]:
    return [f"{parameters:,}", f"{2 * multiply_adds / 1e6:,.3f}", f"{multiply_adds / 1e6:,.3f}"]
