"""The precision in which networks compute, and cuDNN's choice of algorithms."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Precision:
    """How a network is run: `name` is fp32, or bf16 for mixed precision; `graphs` where torch.compile's do.

    bf16 has float32's range and 8 bits of mantissa. Under torch.autocast convolutions and matrix products take it,
    weights and BatchNorm's statistics stay float32, and no gradient has to be scaled.

    >>> Precision("bf16").run(nn.Linear(1, 1), torch.ones(1, 1)).dtype
    torch.float32
    """

    name: str = "fp32"
    graphs: bool = False

    def run(self, model: nn.Module, images: Tensor) -> Any:
        """What `model` gives for `images` (B,3,H,W), a tensor or a list of them, as float32.

        So losses, flip averages and decoding are float32, whatever the network computes in.
        """
        if self.graphs:
            torch.compiler.cudagraph_mark_step_begin()
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.name == "bf16"):
            output = model(images)
        # A graph's outputs lie where its next replay writes, which a flip test's second pass would do.
        return _as_float32(output, copy=self.graphs and not torch.is_grad_enabled())


FP32 = Precision()


@contextmanager
def untimed() -> Iterator[None]:
    """For batches of many sizes: cuDNN chooses its algorithms without timing them for each (CUDNN.BENCHMARK)."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def precision_of(cfg: Any) -> Precision:
    """COMPUTE.PRECISION, for a network compiled as COMPUTE.COMPILE says."""
    return Precision(cfg.COMPUTE.PRECISION, cfg.COMPUTE.COMPILE == "reduce-overhead")


def _as_float32(output: Any, copy: bool) -> Any:
    if isinstance(output, (list, tuple)):
        return [_as_float32(one, copy) for one in output]
    return output.to(torch.float32, copy=copy)
