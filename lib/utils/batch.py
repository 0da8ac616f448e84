"""Crops as the loaders give them -> images as the networks take them, and what a training step comes to."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .compiled import compiled, in_shares, on_cpu
from .constants import constant

ROWS = 4096  # of pixels that are worth a thread


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
    if device.type == "cpu" and on_cpu(crops):
        return _normalised_in_loops(crops.contiguous(), pixels)
    return standardise(as_images(crops, device), pixels)


def _normalised_in_loops(crops: Tensor, pixels: PixelStatistics) -> Tensor:
    """`normalise` on a CPU: the same operations in one pass over the memory instead of four."""
    images = torch.empty(crops.shape, dtype=torch.float32)
    count, height, width, channels = crops.shape
    rows = [each.view(count * height, width * channels).numpy() for each in (crops, images)]
    mean, std = (np.tile(np.array(numbers, np.float32), width) for numbers in (pixels.mean, pixels.std))
    in_shares(_normalise_rows, len(rows[0]), *rows, mean, std, share=ROWS)
    return images.permute(0, 3, 1, 2)


@compiled
def _normalise_rows(first: int, end: int, crops: Any, images: Any, mean: Any, std: Any) -> None:
    full = np.float32(255)
    for i in range(first, end):
        crop, image = crops[i], images[i]
        for place in range(len(crop)):
            image[place] = (np.float32(crop[place]) / full - mean[place]) / std[place]


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
