"""Scaled and turned views of crops, and the way back: affine maps of whole batches on the device.

Maps (B,2,3) take px to px, with (0, 0) in the middle of the top left pixel.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..utils.constants import constant


def random_maps(images: Tensor, scale: float, rotation: float) -> Tensor:
    """(B,2,3) maps, image px -> view px: about the middle, scaled by 1 +- `scale`, turned by +- `rotation` degrees."""
    count, height, width = len(images), *images.shape[2:]
    factor = torch.empty(count, device=images.device).uniform_(1 - scale, 1 + scale)
    angle = torch.deg2rad(torch.empty(count, device=images.device).uniform_(-rotation, rotation))
    cosine, sine = factor * torch.cos(angle), factor * torch.sin(angle)
    linear = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 2, 2)
    middle = constant(((width - 1) / 2, (height - 1) / 2), linear)
    return torch.cat([linear, (middle - linear @ middle)[:, :, None]], dim=2)


def inverse(maps: Tensor) -> Tensor:
    """(B,2,3) inverses."""
    (a, b), (c, d) = maps[:, 0, :2].unbind(1), maps[:, 1, :2].unbind(1)
    # torch.linalg.inv looks whether the matrices are singular, and a GPU has to be waited for to tell
    linear = torch.stack([d, -b, -c, a], dim=1).view(-1, 2, 2) / (a * d - b * c).view(-1, 1, 1)
    return torch.cat([linear, -linear @ maps[:, :, 2:]], dim=2)


def on_heatmaps(maps: Tensor, codec: Any) -> Tensor:
    """Maps of the input's px -> the same in heatmap px of the codec, as its peaks follow them."""
    origin, unit = codec.input_to_heatmap(constant((0.0, 0.0, 1.0, 1.0), maps).view(2, 2)) + codec.peak_offset
    stride = unit - origin  # heatmap px = input px * stride + origin
    linear = maps[:, :, :2] * stride[:, None] / stride
    move = stride * maps[:, :, 2] + origin - (linear @ origin[:, None])[:, :, 0]
    return torch.cat([linear, move[:, :, None]], dim=2)


def transform(keypoints: Tensor, maps: Tensor) -> Tensor:
    """Points (B,K,2) under maps (B,2,3)."""
    return keypoints @ maps[:, :, :2].mT + maps[:, None, :, 2]


def resample(images: Tensor, back: Tensor) -> Tensor:
    """(B,C,h,w) whose px p is that of `images` at `back` p: bilinear, 0 outside."""
    height, width = images.shape[2:]
    rows, columns = (torch.arange(side, device=images.device, dtype=images.dtype) for side in (height, width))
    pixels = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).view(1, -1, 2)
    last = constant((max(width - 1, 1), max(height - 1, 1)), images)
    grid = (transform(pixels, back) / last * 2 - 1).view(-1, height, width, 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
