"""Networks for scoring alone: BatchNorm as part of the convolution before it."""

import logging
from collections import Counter

from torch import fx, nn
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError

logger = logging.getLogger(__name__)


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """A copy of `model` for inference whose BatchNorms are folded into the convolutions before them; `model` stays.

    The same numbers up to rounding, and one pass less over every feature map. `model` itself where torch.fx cannot
    trace it, as MSPN, which iterates over its outputs, or where a layer with weights is used more than once, which
    would be folded as often. BatchNorm that no convolution feeds stays as it is.
    """
    model.eval()
    try:
        called = Counter(node.target for node in fx.symbolic_trace(model).graph.nodes if node.op == "call_module")
        weighted = [count for name, count in called.items() if [*model.get_submodule(str(name)).parameters()]]
        if max(weighted, default=0) <= 1:
            return fuse(model)
    except (TraceError, TypeError, RuntimeError, AttributeError) as error:  # whatever a network does with a proxy
        logger.info("BatchNorm is not folded into the convolutions: %s", str(error).splitlines()[0])
    return model
