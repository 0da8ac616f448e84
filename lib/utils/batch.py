"""Crops as the loaders give them -> images as the networks take them, and what a training step comes to."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from .constants import constant


@dataclass(frozen=True)
class PixelStatistics:
    """Means and standard deviations of the channels, 0 to 1, in the order in which a crop has them."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


# ImageNet's in the order the forks apply them, whatever the order of the channels: with COLOR_RGB False they normalise
# BGR crops with the constants of RGB, and their weights expect it.
IMAGENET = PixelStatistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def pixel_statistics(cfg: Any) -> PixelStatistics:
    """MODEL.PIXEL_MEAN and PIXEL_STD."""
    return PixelStatistics(tuple(cfg.MODEL.PIXEL_MEAN), tuple(cfg.MODEL.PIXEL_STD))


def as_images(crops: Tensor, device: torch.device) -> Tensor:
    """(B, H, W, 3) uint8 crops -> (B, 3, H, W) float32 on `device`, from 0 to 1."""
    images = crops.to(device, non_blocking=True).permute(0, 3, 1, 2)  # stays channels-last in memory
    return images.float().div_(255)


def standardise(images: Tensor, pixels: PixelStatistics = IMAGENET) -> Tensor:
    """Images (B, 3, H, W), 0 to 1, changed in place to mean 0 and deviation 1 by `pixels`."""
    mean, std = (constant(numbers, images).view(1, 3, 1, 1) for numbers in (pixels.mean, pixels.std))
    return images.sub_(mean).div_(std)


def normalise(crops: Tensor, device: torch.device, pixels: PixelStatistics = IMAGENET) -> Tensor:
    """(B, H, W, 3) uint8 crops -> (B, 3, H, W) float32 on `device`, with mean 0 and deviation 1 by `pixels`."""
    if device.type == "cpu" and crops.device.type == "cpu" and crops.numel():
        return _looked_up(crops, pixels)
    return standardise(as_images(crops, device), pixels)


def _looked_up(crops: Tensor, pixels: PixelStatistics) -> Tensor:
    """`normalise` on a CPU: the same numbers, read from a table in one pass over the memory instead of four."""
    rows = crops.contiguous().view(-1, *crops.shape[2:]).numpy()  # (B*H, W, 3)
    return torch.from_numpy(cv2.LUT(rows, _table(pixels))).view(crops.shape).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
def _table(pixels: PixelStatistics) -> np.ndarray:
    """(1, 256, 3) float32: what every grey level of every channel becomes."""
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 256, 1).expand(-1, -1, -1, 3)
    return standardise(as_images(levels, torch.device("cpu")), pixels).permute(0, 2, 3, 1)[0].contiguous().numpy()


def final_output(output: Tensor | list[Tensor]) -> Tensor:
    """The heatmaps to decode, or their target: the last of those of a network with intermediate supervision."""
    return output[-1] if isinstance(output, (list, tuple)) else output


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` on `device`, weights channels-last as the images of `normalise` are: faster on CPUs and GPUs."""
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


@dataclass
class Step:
    """What a training step came to: the loss, the labelled samples' final output and target (B,C,h,w), and figures.

    `figures` are scalars of the loss's parts, by name, which stay on the device until they are logged.
    """

    loss: Tensor
    output: Tensor
    target: Tensor
    figures: dict[str, Tensor] = field(default_factory=dict)
