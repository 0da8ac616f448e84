"""Networks for scoring alone: BatchNorm as part of the convolution before it."""

import copy
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from torch import fx, nn
from torch.fx.proxy import TraceError
from torch.nn.utils.fusion import fuse_conv_bn_eval

logger = logging.getLogger(__name__)

# Of torch.fx, from whatever a network does with what stands for a tensor.
TRACE_ERRORS = (TraceError, TypeError, RuntimeError, AttributeError)


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """A copy of `model` for inference whose BatchNorms are folded into the convolutions before them; `model` stays, set
    to scoring.

    The same numbers up to rounding, and one pass less over every feature map. `model` itself where torch.fx cannot
    trace it, as MSPN, which iterates over its outputs, or where a layer with weights is used more than once, which
    would be folded as often. BatchNorm that no convolution feeds stays as it is, and so does what is no plain layer:
    one with hooks, with a second name, or whose weights something else reads.
    """
    try:
        graph = traced(model.eval())
    except TRACE_ERRORS as error:
        logger.info("BatchNorm is not folded into the convolutions: %s", str(error).splitlines()[0])
        return model
    called = Counter(node.target for node in graph.nodes if node.op == "call_module")
    if any(count > 1 and model.get_submodule(str(name)).state_dict() for name, count in called.items()):
        return model
    folded = copy.deepcopy(model)
    for convolution, norm in normalised_convolutions(graph, folded):
        layers: list[Any] = [folded.get_submodule(str(node.target)) for node in (convolution, norm)]
        _replace(folded, str(convolution.target), fuse_conv_bn_eval(*layers))
        _replace(folded, str(norm.target), nn.Identity())
    return folded


def flattened(model: nn.Module) -> nn.Module:
    """`model` as one list of its layers, which are the same: no calls of modules within modules, none of Identity.

    A twentieth of a small network's time. `model` itself where torch.fx cannot trace it.
    """
    try:
        graph = traced(model)
    except TRACE_ERRORS:
        return model
    for node in [*graph.nodes]:
        if node.op == "call_module" and isinstance(model.get_submodule(str(node.target)), nn.Identity):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    return fx.GraphModule(model, graph).train(model.training)


def traced(model: nn.Module) -> fx.Graph:
    """What `model` does; one of TRACE_ERRORS where it asks a tensor for more than its values."""
    return fx.Tracer().trace(model)


def normalised_convolutions(graph: fx.Graph, model: nn.Module) -> Iterator[tuple[fx.Node, fx.Node]]:
    """Calls of convolutions and of the BatchNorms that alone take what they give, of plain layers; see above."""
    names = Counter(layer for _, layer in model.named_modules(remove_duplicate=False))
    read = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}

    def is_layer(node: Any, kind: type[nn.Module]) -> bool:
        """Whether it is called as this kind of layer and nothing else, and known and used by this name alone."""
        if not isinstance(node, fx.Node) or node.op != "call_module" or node.target in read:
            return False
        layer = model.get_submodule(str(node.target))
        has_hooks = layer._forward_hooks or layer._forward_pre_hooks
        return type(layer) is kind and names[layer] == 1 and not has_hooks

    for node in graph.nodes:
        before: Any = node.args[0] if len(node.args) == 1 else None
        if not is_layer(node, nn.BatchNorm2d) or not is_layer(before, nn.Conv2d) or len(before.users) > 1:
            continue
        if model.get_submodule(node.target).running_mean is not None:
            yield before, node


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, own_name = name.rpartition(".")
    setattr(model.get_submodule(parent), own_name, layer)
