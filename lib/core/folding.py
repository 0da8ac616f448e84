"""Networks for scoring alone: BatchNorm as part of the convolution before it."""

from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """A copy of `model` for inference whose BatchNorms are folded into the convolutions before them; `model` stays.

    The same numbers up to rounding, and one pass less over every feature map. `model` itself where torch.fx cannot
    trace it, as MSPN, which iterates over its outputs. BatchNorm that no convolution feeds stays as it is.
    """
    model.eval()
    try:
        return fuse(model)
    except TraceError:
        return model
