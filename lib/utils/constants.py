"""Small constant tensors, made once for each device."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def constant(values: Sequence[float], like: Tensor) -> Tensor:
    """A tensor of `values` with the type and on the device of `like`; shared, so never to be changed in place.

    Every copy from the host to a GPU waits for the work before it; a constant that is kept costs that once.

    >>> constant((48, 64), torch.zeros(1))
    tensor([48., 64.])
    """
    return _constant(tuple(values), like.dtype, like.device)


@lru_cache(maxsize=256)
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # made during a prediction, it may serve a training step later
        return torch.tensor(values, dtype=dtype, device=device)
