"""Loops compiled for the CPU by Numba, where calls of array functions would read the memory too often.

GPUs get the same numbers from array functions: whoever has a compiled loop has both, and `on_cpu` says which to take.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from numba import njit
from torch import Tensor

SHARE = 256  # heatmaps that are worth a thread
_FILES = sorted([*Path(__file__).parents[1].rglob("*_loops.py"), *Path(__file__).parent.glob("vectors.py")])
_CONTENT = b"".join(file.read_bytes() for file in _FILES)


def compiled(function: Callable) -> Callable:
    """`function` in machine code, made at its first call and kept on the disk where that is possible."""
    return _compiled(function, fastmath=False)


def fused(function: Callable) -> Callable:
    """As `compiled`; a product and a sum become one operation, rounded once, as in torch's sums of products."""
    return _compiled(function, fastmath={"contract"})


def _compiled(function: Callable, **options: Any) -> Callable:
    options |= {"nogil": True, "error_model": "numpy"}  # a division by zero is no error
    try:
        loop = njit(cache=True, **options)(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return njit(**options)(function)
    # Numba takes what is on the disk until the loop's own file changes. It also holds what the loop calls in others.
    own = Path(function.__code__.co_filename).read_bytes()
    loop._cache._cache_file._source_stamp = hashlib.sha256(_CONTENT + own).hexdigest()
    return loop


def on_cpu(*tensors: Tensor) -> bool:
    """Whether compiled loops may read the tensors: on the CPU, of a type that NumPy has, no gradient wanted."""
    return all(
        each.device.type == "cpu"
        and each.dtype not in (torch.float16, torch.bfloat16)
        and not (torch.is_grad_enabled() and each.requires_grad)
        for each in tensors
    )


def in_shares(loop: Callable, count: int, *arguments: Any, share: int = SHARE) -> None:
    """Calls `loop(first, end, *arguments)` for all of 0 to `count`, in as many threads as torch has.

    `share` is how many of them are worth a thread.
    """
    threads = min(torch.get_num_threads(), count // share)
    if threads < 2:
        loop(0, count, *arguments)
        return
    bounds = [count * number // threads for number in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda first, end: loop(first, end, *arguments), bounds, bounds[1:]))


def loops_take(maps: Tensor) -> bool:
    """Whether loops over maps, which are compiled for float32, may read these."""
    wanted = maps.requires_grad and torch.is_grad_enabled()
    return maps.dtype == torch.float32 and maps.device.type == "cpu" and not wanted


def over_maps(loop: Callable, maps: Tensor, *arguments: Any) -> None:
    """Calls `loop(first, end, maps, step, *arguments)` on maps (B,K,h,w), of which it takes every `step`-th one.

    The loop gets them as (N,h,w), without a copy where they are every so many-th of contiguous ones.
    """
    batch, joints, height, width = maps.shape
    if maps.is_contiguous():
        in_shares(loop, batch * joints, maps.numpy().reshape(-1, height, width), 1, *arguments)
        return
    size, apart = height * width, maps.stride(1)
    if maps.stride() != (joints * apart, apart, width, 1) or apart % size:
        maps, apart = maps.contiguous(), size
    count, step = batch * joints, apart // size
    if count:
        whole = maps.as_strided(((count - 1) * step + 1, height, width), (size, width, 1))
        in_shares(loop, count, whole.numpy(), step, *arguments)
