"""Networks for scoring alone on a GPU: convolution, BatchNorm, the sum with a shortcut and ReLU in one kernel.

The kernel adds the bias, which is what BatchNorm comes to, and the shortcut to the convolution's float32 sums and
rounds once; one by one, each reads the whole feature map, rounds it and writes it.
"""

import contextlib
import copy
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .folding import TRACE_ERRORS, normalised_convolutions, traced

CHANNELS = 8  # cuDNN's kernels take multiples of it
IN_PLACE = ("iadd", "isub", "imul", "itruediv")  # x += y and so on; methods have names that end in "_"


class FusedConvolution(nn.Module):
    """ReLU(convolution(x) + bias + shortcut) of maps (B,C,h,w) and, if given, a shortcut of the output's shape."""

    def __init__(self, layer: nn.Conv2d, dtype: torch.dtype):
        super().__init__()
        assert layer.bias is not None
        self.weight = nn.Parameter(layer.weight.detach().to(dtype), requires_grad=False)
        self.bias = nn.Parameter(layer.bias.detach().to(dtype), requires_grad=False)
        self.how: Any = layer.stride, layer.padding, layer.dilation, layer.groups

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        x = x.to(self.weight.dtype)
        if not x.is_cuda or (shortcut is not None and shortcut.shape != self._output_shape(x)):  # which cuDNN assumes
            output = F.conv2d(x, self.weight, self.bias, *self.how)
            return F.relu(output if shortcut is None else output + shortcut.to(output.dtype))
        if shortcut is None:
            return torch.cudnn_convolution_relu(x, self.weight, self.bias, *self.how)
        return torch.cudnn_convolution_add_relu(x, self.weight, shortcut.to(x.dtype), 1.0, self.bias, *self.how)

    def _output_shape(self, x: Tensor) -> tuple[int, ...]:
        stride, padding, dilation, _ = self.how
        sides = (
            (x.shape[2 + i] + 2 * padding[i] - dilation[i] * (self.weight.shape[2 + i] - 1) - 1) // stride[i] + 1
            for i in range(2)
        )
        return (len(x), len(self.weight), *sides)


def fuse_activations(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of `model` for scoring whose convolutions that lead through BatchNorm to a ReLU are FusedConvolutions.

    They compute in `dtype`, float32 or bfloat16; in float32 the other BatchNorms are folded, which in bfloat16 would
    round before the bias comes. Whatever has hooks, is no plain layer or cannot be traced by torch.fx stays as it is,
    and so does what stands beside modules that run their parts side by side, as HRNet's stem; their parts are fused.
    Convolutions in groups or of channels that are no multiples of CHANNELS are not.
    """
    return _fused(copy.deepcopy(model).eval(), dtype)


def _fused(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """`module`, or what is to stand in its place."""
    graph = None
    if not any(_stays(part) for part in module.modules() if any(part.children())):
        with contextlib.suppress(*TRACE_ERRORS):  # its parts may be traced
            graph = traced(module)
    if graph is not None:
        return _with_fused_layers(module, graph, dtype)
    for name, part in module.named_children():
        if any(part.children()):
            setattr(module, name, _fused(part, dtype))
    return module


def _stays(module: nn.Module) -> bool:
    """Whether it may not be made one with what is around it."""
    return getattr(module, "is_side_by_side", False) or _has_hooks(module)


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


class _Chain(NamedTuple):
    """Calls, torch.fx's nodes, that one layer does; only the last is used by others. `sum` and `relu` may be None."""

    convolution: Any
    norm: Any
    sum: Any = None
    relu: Any = None

    @property
    def nodes(self) -> list[Any]:
        """From the last to the first."""
        return [node for node in (self.relu, self.sum, self.norm, self.convolution) if node is not None]

    @property
    def inputs(self) -> tuple[Any, ...]:
        shortcuts = [] if self.sum is None else [each for each in self.sum.args if each is not self.norm]
        return (self.convolution.args[0], *shortcuts)

    def layer(self, module: nn.Module, dtype: torch.dtype) -> nn.Module:
        layers: list[Any] = [module.get_submodule(str(node.target)) for node in (self.convolution, self.norm)]
        folded = fuse_conv_bn_eval(*layers)
        return folded if self.relu is None else FusedConvolution(folded, dtype)


def _with_fused_layers(module: nn.Module, graph: fx.Graph, dtype: torch.dtype) -> nn.Module:
    pairs = [pair for pair in normalised_convolutions(graph, module) if not pair[0].kwargs]
    chains = [*_chains(module, graph, {norm: convolution for convolution, norm in pairs})]
    if dtype == torch.float32:
        fused = {chain.norm for chain in chains}
        chains += [_Chain(*pair) for pair in pairs if pair[1] not in fused]
    chains = [chain for chain in chains if not any(_is_overwritten(node, chain, module) for node in chain.inputs)]
    if not chains:
        return module
    network = fx.GraphModule(module, graph)
    for number, chain in enumerate(chains):
        name = f"fused_{number}"
        network.add_module(name, chain.layer(module, dtype))
        last = chain.nodes[0]
        with graph.inserting_before(last):
            last.replace_all_uses_with(graph.call_module(name, chain.inputs))
        for node in chain.nodes:
            graph.erase_node(node)
    network.delete_all_unused_submodules()
    network.recompile()
    return network.eval()


def _chains(module: nn.Module, graph: fx.Graph, convolutions: dict[Any, Any]) -> Iterator[_Chain]:
    """Those that end in a ReLU; `convolutions` by their BatchNorms."""
    norms = {norm for norm, convolution in convolutions.items() if _is_taken(convolution, module)}
    for relu in graph.nodes:
        given: Any = relu.args[0] if relu.args else None
        if not _is_relu(relu, module) or not _has_one_user(given):
            continue
        if given in norms:
            yield _Chain(convolutions[given], given, None, relu)
        elif given.op == "call_function" and given.target is operator.add:
            norm = next((each for each in given.args if _has_one_user(each) and each in norms), None)
            if norm is not None and len({each for each in given.args if isinstance(each, fx.Node)}) == 2:
                yield _Chain(convolutions[norm], norm, given, relu)


def _has_one_user(node: Any) -> bool:
    return isinstance(node, fx.Node) and len(node.users) == 1


def _is_relu(node: fx.Node, module: nn.Module) -> bool:
    if node.op == "call_module":
        layer = module.get_submodule(str(node.target))
        return type(layer) is nn.ReLU and not _has_hooks(layer)
    return node.op == "call_function" and node.target in (F.relu, torch.relu)


def _is_overwritten(node: Any, chain: _Chain, module: nn.Module) -> bool:
    """Whether a call outside the chain changes what `node` gives, which its one layer reads later than its first."""
    return any(user not in chain.nodes and _is_in_place(user, module) for user in node.users)


def _is_in_place(node: fx.Node, module: nn.Module) -> bool:
    if node.op == "call_module":
        return bool(getattr(module.get_submodule(str(node.target)), "inplace", False))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return bool(node.kwargs.get("inplace")) or name in IN_PLACE or (name.endswith("_") and not name.endswith("__"))


def _is_taken(convolution: fx.Node, module: nn.Module) -> bool:
    layer: Any = module.get_submodule(str(convolution.target))
    plain = layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return plain and layer.in_channels % CHANNELS == layer.out_channels % CHANNELS == 0
