"""OpenCV's Gaussian blur for a whole batch, on whole maps or only around given pixels.

Written as sums of shifted maps: exact float32 on every device (matrix products and convolutions may run in TF32), the
same order every time, and pixels of equal surroundings get equal values, on which singular Hessians depend.
"""

from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.compiled import loops_take, over_maps
from . import blur_loops

CPU_PIECE = 16  # maps blurred at once on a CPU: what its cache holds takes half the time


def gaussian_kernel(size: int) -> list[float]:
    """The weights of OpenCV's Gaussian blur with a kernel of `size` (odd) and sigma 0, which it derives from the size.

    >>> gaussian_kernel(3)
    [0.25, 0.5, 0.25]
    """
    return cv2.getGaussianKernel(size, 0)[:, 0].tolist()


def blur(maps: Tensor, kernel: list[float], border: str) -> Tensor:
    """Blurred maps (B,K,h,w); `border` is "constant" (zeros) or "reflect" (OpenCV's BORDER_REFLECT_101).

    >>> blur(torch.ones(1, 1, 2, 2), [0.25, 0.5, 0.25], "constant")
    tensor([[[[0.5625, 0.5625],
              [0.5625, 0.5625]]]])
    """
    return _blur_inside(F.pad(maps, (len(kernel) // 2,) * 4, mode=border), kernel)


def blur_around(maps: Tensor, pixels: Tensor, radius: int, kernel: list[float], border: str) -> Tensor:
    """Windows (B,K,n,n), n = 2 * radius + 1, of the blurred maps (B,K,h,w) around integer pixels (B,K,2), x and y.

    The same numbers as `blur`, without blurring the rest. Outside the map the border goes on.
    """
    if not loops_take(maps):
        return _blur_inside(gather_windows(maps, pixels, radius + len(kernel) // 2, border), kernel)
    side = 2 * radius + 1
    windows = maps.new_empty(*maps.shape[:2], side, side)
    around = pixels.long().flatten(0, 1).contiguous().numpy()
    flat = windows.flatten(0, 1).numpy()
    over_maps(blur_loops.blurred_windows, maps, around, outwards(kernel), border == "constant", flat)
    return windows


def outwards(kernel: list[float]) -> tuple[np.float32, ...]:
    """A symmetric kernel's weights from the middle outwards, as compiled loops take them; two and more.

    >>> outwards([0.25, 0.5, 0.25])
    (np.float32(0.5), np.float32(0.25))
    """
    return _outwards(tuple(kernel))


@lru_cache(maxsize=64)
def _outwards(kernel: tuple[float, ...]) -> tuple[np.float32, ...]:
    weights = tuple(np.float32(weight) for weight in kernel[len(kernel) // 2 :])
    return weights if len(weights) > 1 else (*weights, np.float32(0))


def gather_windows(maps: Tensor, pixels: Tensor, radius: int, border: str) -> Tensor:
    """Windows (B,K,n,n), n = 2 * radius + 1, of maps (B,K,h,w) around integer pixels (B,K,2), x and y.

    `border` as for `blur`, or "replicate" (the outermost pixels go on).

    >>> gather_windows(torch.arange(6.0).view(1, 1, 2, 3), torch.tensor([[[0, 0]]]), 1, "replicate")
    tensor([[[[0., 0., 1.],
              [0., 0., 1.],
              [3., 3., 4.]]]])
    """
    height, width = maps.shape[2:]
    steps = torch.arange(-radius, radius + 1, device=maps.device)
    columns, rows = (pixels.long().unsqueeze(-1) + steps).unbind(dim=2)  # (B,K,n) each
    if border == "reflect":
        columns, rows = _reflect(columns, width), _reflect(rows, height)
    inside_x, inside_y = columns.clamp(0, width - 1), rows.clamp(0, height - 1)
    index = inside_y.unsqueeze(-1) * width + inside_x.unsqueeze(-2)  # (B,K,n,n)
    windows = maps.flatten(2).gather(2, index.flatten(2)).view(index.shape)
    if border == "constant":
        inside = (rows == inside_y).unsqueeze(-1) & (columns == inside_x).unsqueeze(-2)
        windows = torch.where(inside, windows, 0.0)
    return windows


def _reflect(index: Tensor, length: int) -> Tensor:
    last = length - 1
    return last - (last - index.abs()).abs()


def _blur_inside(maps: Tensor, kernel: list[float]) -> Tensor:
    """Blurred maps (...,h-s+1,w-s+1) of maps (...,h,w): the pixels whose whole kernel, of size s, lies inside."""
    return _blur_axis(_blur_axis(maps, kernel, -1), kernel, -2)


def _blur_axis(maps: Tensor, kernel: list[float], axis: int) -> Tensor:
    length = maps.shape[axis] - len(kernel) + 1
    blurred = maps.narrow(axis, 0, length) * kernel[0]
    for step, value in enumerate(kernel[1:], start=1):
        blurred.add_(maps.narrow(axis, step, length), alpha=value)
    return blurred


def blur_double(maps: Tensor, kernel: list[float]) -> Tensor:
    """Blurred float64 maps (B,K,h,w), zeros outside, rounded as OpenCV rounds float64 images.

    Rows are summed from the first weight to the last by fused multiply-adds, columns from the middle outwards in pairs.
    Where a map has two equal peaks these roundings decide which of them becomes the higher one.
    """
    reach = len(kernel) // 2
    flat = maps.double().flatten(0, 1).unsqueeze(1)  # (B*K,1,h,w)
    pieces = flat.split(CPU_PIECE) if maps.device.type == "cpu" else (flat,)
    return torch.cat([_blur_outwards(_blur_axis(F.pad(p, (reach,) * 4), kernel, -1), kernel) for p in pieces]).view(
        maps.shape
    )


def _blur_outwards(maps: Tensor, kernel: list[float]) -> Tensor:
    """Columns blurred (...,h-s+1,w) of maps (...,h,w) by a symmetric kernel of size s."""
    middle, length = len(kernel) // 2, maps.shape[-2] - len(kernel) + 1
    blurred = maps.narrow(-2, middle, length) * kernel[middle]
    for step in range(1, middle + 1):
        pair = maps.narrow(-2, middle + step, length) + maps.narrow(-2, middle - step, length)
        blurred += pair.mul_(kernel[middle + step])  # two roundings: no fused multiply-add here
    return blurred
