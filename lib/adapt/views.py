"""Scaled and turned views of crops, and the way back: affine maps of whole batches on the device.

Maps (B,2,3) take px to px, with (0, 0) in the middle of the top left pixel.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def random_maps(images: Tensor, scale: float, rotation: float) -> Tensor:
    """(B,2,3) maps, image px -> view px: about the middle, scaled by 1 +- `scale`, turned by +- `rotation` degrees."""
    count, height, width = len(images), *images.shape[2:]
    factor = torch.empty(count, device=images.device).uniform_(1 - scale, 1 + scale)
    angle = torch.deg2rad(torch.empty(count, device=images.device).uniform_(-rotation, rotation))
    cosine, sine = factor * torch.cos(angle), factor * torch.sin(angle)
    linear = torch.stack([cosine, -sine, sine, cosine], dim=1).view(-1, 2, 2)
    middle = images.new_tensor([(width - 1) / 2, (height - 1) / 2])
    return torch.cat([linear, (middle - linear @ middle)[:, :, None]], dim=2)


def inverse(maps: Tensor) -> Tensor:
    """(B,2,3) inverses."""
    linear = torch.linalg.inv(maps[:, :, :2])
    return torch.cat([linear, -linear @ maps[:, :, 2:]], dim=2)


def on_heatmaps(maps: Tensor, codec: Any) -> Tensor:
    """Maps of the input's px -> the same in heatmap px of the codec."""
    origin, unit = codec.input_to_heatmap(maps.new_tensor([[0.0, 0.0], [1.0, 1.0]]))
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
    last = images.new_tensor([max(width - 1, 1), max(height - 1, 1)])
    grid = (transform(pixels, back) / last * 2 - 1).view(-1, height, width, 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
