"""Parts of a network that do not depend on each other, side by side in a CUDA graph."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

_recording = False


@contextmanager
def recording() -> Iterator[None]:
    """While it lasts a CUDA graph is recorded, and `side_by_side` gives every call a stream of its own."""
    global _recording
    _recording = True
    try:
        yield
    finally:
        _recording = False


def side_by_side(calls: Sequence[Callable[[Any], Tensor]], inputs: Sequence[Any]) -> list[Tensor]:
    """What each of `calls` gives for its input, a tensor or a list of them; none may need what another gives.

    One after the other, as anywhere; in a CUDA graph at the same time: kernels on small maps leave most of a GPU idle,
    and backward passes follow the streams of their forward passes. Without a graph streams would gain nothing, since
    launching takes longer than the kernels do.
    """
    if not _recording or len(calls) == 1:
        return [call(each) for call, each in zip(calls, inputs, strict=True)]
    here = torch.cuda.current_stream()
    streams = [here, *(_other(here.device_index, i) for i in range(len(calls) - 1))]
    for stream in streams[1:]:
        stream.wait_stream(here)
    outputs = []
    for call, each, stream in zip(calls, inputs, streams, strict=True):
        with torch.cuda.stream(stream):
            outputs.append(call(each))
        if stream is not here:  # whose memory is not to be taken anew before all who use it have
            _keep(each, stream)
            _keep(outputs[-1], here)
    for stream in streams[1:]:
        here.wait_stream(stream)
    return outputs


def _keep(tensors: Any, stream: torch.cuda.Stream) -> None:
    for each in [tensors] if isinstance(tensors, Tensor) else tensors:
        each.record_stream(stream)


@functools.cache
def _other(device: int, number: int) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
