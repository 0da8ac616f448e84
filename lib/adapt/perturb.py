"""Strong augmentation of images in batches, on their device: colour, noise, blur and erased patches.

What CC-SSL trains with on synthetic images ("sp") and asks its predictions to be invariant to (Mu et al. 2020, section
3.1). The paper names the kinds; the strengths are ours. Draws come from torch's global generator, whose state a
checkpoint holds.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Perturbation:
    """Strengths; 0 leaves out what the number is the strength of.

    Attributes:
        contrast: contrast and brightness change by factors of up to 1 +- this.
        colour: each channel's factor is 1 +- this; saturation falls by up to twice this.
        noise: largest standard deviation of the noise, of the range 0 to 1.
        blur: largest standard deviation of the blur, px; every second image keeps its sharpness.
        patches: erased rectangles an image, each filled with one colour.
    """

    contrast: float = 0.0
    colour: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    patches: int = 0

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Changed copies of images (B, 3, H, W), 0 to 1."""
        images = self._colours(images)
        if self.blur:
            images = blurred(images, self.blur * _uniform(images, 0, 1) * (_uniform(images, 0, 1) > 0.5))
        for _ in range(self.patches):
            images = _erase(images)
        if self.noise:
            images = images + torch.randn_like(images) * _uniform(images, 0, self.noise)
        return images.clamp(0, 1)

    def _colours(self, images: Tensor) -> Tensor:
        if self.colour:
            grey = images.mean(dim=1, keepdim=True)
            images = torch.lerp(images, grey, _uniform(images, 0, min(2 * self.colour, 1.0)))
            images = images * _uniform(images, 1 - self.colour, 1 + self.colour, channels=3)
        if self.contrast:
            middle = images.mean(dim=(1, 2, 3), keepdim=True)
            factor, brightness = (_uniform(images, 1 - self.contrast, 1 + self.contrast) for _ in range(2))
            images = (torch.lerp(middle, images, factor)) * brightness
        return images


MILD = Perturbation(contrast=0.2, colour=0.1, noise=0.03)  # what a teacher's prediction bears
STRONG = Perturbation(contrast=0.4, colour=0.3, noise=0.1, blur=1.5, patches=2)


def _uniform(images: Tensor, low: float, high: float, channels: int = 1) -> Tensor:
    """(B, channels, 1, 1) draws, one for each image."""
    return torch.empty(len(images), channels, 1, 1, device=images.device).uniform_(low, high)


def blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Images (B,3,H,W) under Gaussians of their own standard deviations (B,1,1,1), px; borders repeat."""
    radius = 4
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (offsets / sigma.view(-1, 1).clamp(min=0.05)).square())
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    count, channels, height, width = images.shape
    weight = kernels.repeat_interleave(channels, dim=0)
    rows = F.pad(images.reshape(1, -1, height, width), (radius,) * 4, mode="replicate")
    rows = F.conv2d(rows, weight[:, None, None], groups=count * channels)
    return F.conv2d(rows, weight[:, None, :, None], groups=count * channels).view(count, channels, height, width)


def _erase(images: Tensor) -> Tensor:
    """One rectangle of each image, 5% to 30% of its sides, takes a random colour."""
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1) / height
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1) / width
    inside = torch.ones_like(images[:, :1], dtype=torch.bool)
    for place in (rows, columns):
        middle, half = _uniform(images, 0, 1), _uniform(images, 0.025, 0.15)
        inside = inside & ((place - middle).abs() < half)
    return torch.where(inside, _uniform(images, 0, 1, channels=3), images)
