"""Maps of a whole batch: Gaussians, the product of a profile along x and one along y, and Cauchy bells."""

import math

import numpy as np
import torch
from torch import Tensor

from ..utils.compiled import in_shares, on_cpu
from ..utils.constants import constant
from . import drawing_loops

NOTHING = 104.0  # e^-104 is 0 in float32
WINDOW_SIGMAS = 3  # the papers' code cuts Gaussians off after three standard deviations


def window(middle: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """First pixel and the one after the last, both (...), of the box of 6 sigma around `middle` (...), heatmap px.

    >>> window(torch.tensor([10.0, 1.0]), sigma=2)
    (tensor([ 4., -5.]), tensor([17.,  8.]))
    """
    # int() in the originals rounds toward zero, also below zero
    reach = WINDOW_SIGMAS * sigma
    return torch.trunc(middle - reach), torch.trunc(middle + reach + 1)


def reaches_map(middle: Tensor, sigma: float, size: tuple[int, int]) -> Tensor:
    """Mask (...) of the points (...,2), heatmap px, whose window touches a map of `size` (w, h).

    A window that ends one pixel before the map counts as touching it, as in the originals; NaN does not.

    >>> reaches_map(torch.tensor([[-7.0, 0.0], [-8.0, 0.0]]), sigma=2, size=(48, 64))
    tensor([ True, False])
    """
    first, end = window(middle, sigma)
    return ((first < constant(size, first)) & (end >= 0)).all(dim=-1)


def gaussian_maps(
    mean: Tensor, sigma: float, size: tuple[int, int], drawn: Tensor, middle: Tensor | None = None
) -> Tensor:
    """Maps (...,h,w) float32 of Gaussians with maximum 1 around `mean` (...,2), heatmap px, sigma in heatmap px.

    `size` is (w, h). Where `drawn` (...) is false the map is zero. With `middle` (...,2) the Gaussian is cut off
    outside the window around that point; without, it covers the whole map.

    >>> gaussian_maps(torch.tensor([1.0, 0.0]), 1.0, (3, 2), torch.tensor(True)).round(decimals=2)
    tensor([[0.6100, 1.0000, 0.6100],
            [0.3700, 0.6100, 0.3700]])
    """
    if on_cpu(mean):
        return _gaussians_in_loops(mean, sigma, size, drawn, middle)
    profiles = []
    for axis, length in enumerate(size):
        squares, kept = _along(mean, axis, length, drawn, middle, sigma)
        profile = torch.exp(-squares / (2 * sigma**2))
        profiles.append(torch.where(kept, profile, 0.0).float())  # where, not a product: hidden joints may be NaN
    along_x, along_y = profiles
    return along_y[..., :, None] * along_x[..., None, :]  # (...,h,w)


def _gaussians_in_loops(
    mean: Tensor, sigma: float, size: tuple[int, int], drawn: Tensor, middle: Tensor | None
) -> Tensor:
    """`gaussian_maps` on a CPU."""
    maps = torch.empty(*mean.shape[:-1], size[1], size[0])
    around, reach = (middle, WINDOW_SIGMAS * sigma) if middle is not None else (mean, math.sqrt(2 * NOTHING) * sigma)
    arrays = [each.contiguous().numpy() for each in (mean.reshape(-1, 2), drawn.reshape(-1), around.reshape(-1, 2))]
    same_type = np.asarray(reach, arrays[2].dtype)[()]  # the windows' arithmetic is that of `window`
    flat = maps.view(len(arrays[0]), size[1], size[0]).numpy()
    in_shares(drawing_loops.gaussians, len(flat), *arrays, same_type, 2.0 * sigma**2, flat)
    return maps


def cauchy_maps(
    mean: Tensor, sigma: float, size: tuple[int, int], drawn: Tensor, middle: Tensor | None = None
) -> Tensor:
    """Maps (...,h,w) float32 of sigma / (r^2 + sigma^2)^1.5, r the distance from `mean`, with maximum 1 / sigma^2.

    The bell is that of a Cauchy distribution in the plane, but for a factor. The arguments are those of
    `gaussian_maps`.

    >>> cauchy_maps(torch.tensor([1.0, 0.0]), 1.0, (3, 2), torch.tensor(True)).round(decimals=2)
    tensor([[0.3500, 1.0000, 0.3500],
            [0.1900, 0.3500, 0.1900]])
    """
    (squares_x, kept_x), (squares_y, kept_y) = (
        _along(mean, axis, length, drawn, middle, sigma) for axis, length in enumerate(size)
    )
    squares = squares_y[..., :, None] + squares_x[..., None, :]  # (...,h,w)
    bell = sigma / (squares + sigma**2) ** 1.5
    return torch.where(kept_y[..., :, None] & kept_x[..., None, :], bell, 0.0).float()


def _along(
    mean: Tensor, axis: int, length: int, drawn: Tensor, middle: Tensor | None, sigma: float
) -> tuple[Tensor, Tensor]:
    """Squared distances from `mean` along one axis, and the mask of what is drawn there, both (...,length)."""
    pixels = torch.arange(length, device=mean.device, dtype=mean.dtype)
    kept = drawn[..., None].expand(*mean.shape[:-1], length)
    if middle is not None:
        first, end = window(middle[..., axis, None], sigma)
        kept = kept & (pixels >= first) & (pixels < end)
    return (pixels - mean[..., axis, None]) ** 2, kept
