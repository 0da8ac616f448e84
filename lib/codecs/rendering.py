"""Gaussian maps of a whole batch: the product of a profile along x and one along y."""

import torch
from torch import Tensor

from ..utils.constants import constant

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
    profiles = []
    for axis, length in enumerate(size):
        pixels = torch.arange(length, device=mean.device, dtype=mean.dtype)
        profile = torch.exp(-((pixels - mean[..., axis, None]) ** 2) / (2 * sigma**2))  # (...,length)
        kept = drawn[..., None]
        if middle is not None:
            first, end = window(middle[..., axis, None], sigma)
            kept = kept & (pixels >= first) & (pixels < end)
        profiles.append(torch.where(kept, profile, 0.0).float())  # where, not a product: hidden joints may be NaN
    along_x, along_y = profiles
    return along_y[..., :, None] * along_x[..., None, :]  # (...,h,w)
