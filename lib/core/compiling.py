"""Networks compiled by torch.compile, or recorded as CUDA graphs."""

import torch
from torch import Tensor, nn

from .graphs import record

# By its own name this mode records CUDA graphs, too, which only reduce-overhead is to do here.
MODES = {"max-autotune": "max-autotune-no-cudagraphs"}


def compile_networks(mode: str, device: torch.device, *networks: nn.Module, scored_at_once: int = 0) -> None:
    """Lets torch.compile's `mode` compile networks where they stand, at their next call; "none" leaves them.

    "cudagraphs" compiles nothing: it records the networks' own kernels, see core/graphs.py, for scoring in batches of
    up to `scored_at_once`.

    Names of weights stay as they are, and so do files. DistributedDataParallel comes around a compiled network and
    BatchNorm is converted before: a compiled network is what it was when it was first called.

    Raises:
        ValueError: nothing can be compiled here, or `mode` needs CUDA.
    """
    if mode == "none":
        return
    if mode in ("cudagraphs", "reduce-overhead") and device.type != "cuda":
        raise ValueError(f"COMPUTE.COMPILE is {mode}, CUDA graphs, but there is no CUDA device; take default")
    if mode == "cudagraphs":
        for network in networks:
            record(network, scored_at_once)
        return
    try:
        torch.compile(_trial)(torch.zeros(8, device=device))
    except Exception as error:
        raise ValueError(
            f"COMPUTE.COMPILE is {mode}, but torch.compile fails here ({_first_line(error)}); set it to none"
        ) from error
    for network in networks:
        network.compile(mode=MODES.get(mode, mode))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


def _trial(values: Tensor) -> Tensor:
    return (values + 1).relu() * values
