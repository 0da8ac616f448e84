"""Crops as the loaders give them -> images as the networks take them, and what a training step comes to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .compiled import compiled, in_shares, on_cpu
from .constants import constant

ROWS = 4096  # of pixels that are worth a thread
TOGETHER = 8  # of a test loader's batches whose crops may share a batch of the network; see `full_batches`


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


def full_batches(loaded: Iterable[dict[str, Tensor]], size: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
    """Batches of `size` crops, made of batches of whole images; the crops, `crop`, on `device`.

    Only TOGETHER batches following one another are joined and cut anew, and a smaller batch ends them. Processes share
    the work by as many (see dataset.loading), so that a batch, and with it every bit of its heatmaps, is the same in
    any number of processes.
    """
    kept: list[dict[str, Tensor]] = []
    for number, batch in enumerate(loaded, start=1):
        pieces = _cut([*kept, {**batch, "crop": batch["crop"].to(device, non_blocking=True)}], size)
        is_open = len(pieces[-1]["index"]) < size and number % TOGETHER > 0
        kept = [pieces.pop()] if is_open else []
        yield from pieces
    yield from kept


def _cut(batches: list[dict[str, Tensor]], size: int) -> list[dict[str, Tensor]]:
    """The batches' samples, in their order, in batches of `size` and a smaller last one."""
    joined = {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]} if batches[1:] else batches[0]
    starts = range(0, len(joined["index"]), size)
    return [{key: values[start : start + size] for key, values in joined.items()} for start in starts]


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
