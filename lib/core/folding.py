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


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """A copy of `model` for inference whose BatchNorms are folded into the convolutions before them; `model` stays.

    The same numbers up to rounding, and one pass less over every feature map. `model` itself where torch.fx cannot
    trace it, as MSPN, which iterates over its outputs, or where a layer with weights is used more than once, which
    would be folded as often. BatchNorm that no convolution feeds stays as it is.
    """
    model.eval()
    try:
        graph = fx.symbolic_trace(model).graph
    except (TraceError, TypeError, RuntimeError, AttributeError) as error:  # whatever a network does with a proxy
        logger.info("BatchNorm is not folded into the convolutions: %s", str(error).splitlines()[0])
        return model
    called = Counter(node.target for node in graph.nodes if node.op == "call_module")
    weighted = [count for name, count in called.items() if [*model.get_submodule(str(name)).parameters()]]
    if max(weighted, default=0) > 1:
        return model
    folded = copy.deepcopy(model)
    for convolution, norm in _pairs(graph, folded):
        layers: list[Any] = [folded.get_submodule(name) for name in (convolution, norm)]
        _replace(folded, convolution, fuse_conv_bn_eval(*layers))
        _replace(folded, norm, nn.Identity())
    return folded


def _pairs(graph: fx.Graph, model: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of convolutions and of the BatchNorms that alone take what they give."""
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(model.get_submodule(node.target), nn.BatchNorm2d):
            continue
        (before,) = node.args
        if before.op != "call_module" or len(before.users) > 1:
            continue
        if isinstance(model.get_submodule(before.target), nn.Conv2d):
            yield before.target, node.target


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, own_name = name.rpartition(".")
    setattr(model.get_submodule(parent), own_name, layer)
