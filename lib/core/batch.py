"""Crops as the loaders give them -> images as the networks take them."""

import torch
from torch import Tensor, nn

from ..utils.constants import constant

# ImageNet's channel means and deviations in the order the forks apply them, whatever the order of the channels:
# with COLOR_RGB False they normalise BGR crops with the constants of RGB, and their weights expect it.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(crops: Tensor, device: torch.device) -> Tensor:
    """(B, H, W, 3) uint8 crops -> (B, 3, H, W) float32 on `device`, ImageNet mean 0 and deviation 1."""
    images = crops.to(device, non_blocking=True).permute(0, 3, 1, 2)  # stays channels-last in memory
    pixels = images.float().div_(255)
    return pixels.sub_(constant(MEAN, pixels).view(1, 3, 1, 1)).div_(constant(STD, pixels).view(1, 3, 1, 1))


def final_output(output: Tensor | list[Tensor]) -> Tensor:
    """The heatmaps to decode: the last output of a network with intermediate supervision."""
    return output[-1] if isinstance(output, (list, tuple)) else output


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` on `device`, weights channels-last as the images of `normalise` are: faster on CPUs and GPUs."""
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
