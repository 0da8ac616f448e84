"""Pieces that several architectures share: residual blocks, the deconvolution head, the initialisation.

The names of attributes are the keys of the published checkpoints.
"""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut: (B,in_channels,H,W) -> (B,channels,H/stride,W/stride).

    ResNet, He et al. 2016, fig. 5 left.
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1):
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions with a shortcut: (B,in_channels,H,W) -> (B,4*channels,H/stride,W/stride).

    ResNet, He et al. 2016, fig. 5 right. `style` says where the stride is: "pytorch" in the 3x3, "caffe" in the first
    1x1 convolution, as in the authors' Caffe models.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1, style: str = "pytorch"):
        super().__init__()
        first, second = (stride, 1) if style == "caffe" else (1, stride)
        out_channels = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, channels, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels, second)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + self.downsample(x))


def conv3x3(in_channels: int, out_channels: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A padded 3x3 convolution without bias."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, groups=groups, bias=False)


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The identity where a block keeps the shape, otherwise a strided 1x1 convolution with batch norm."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def residual_blocks(
    block: Any, in_channels: int, channels: int, count: int, stride: int = 1, **options: Any
) -> nn.Sequential:
    """`count` blocks in a row, the first with `stride`; `options` go to every block. Gives channels*block.expansion."""
    inner = channels * block.expansion
    rest = [block(inner, channels, **options) for _ in range(count - 1)]
    return nn.Sequential(block(in_channels, channels, stride, **options), *rest)


def check_deconv(layers: int, filters: Sequence[int], kernels: Sequence[int]) -> None:
    """Raises a ValueError where the three keys of a deconvolution head do not describe the same number of layers."""
    if not len(filters) == len(kernels) == layers:
        raise ValueError(
            f"MODEL.EXTRA.NUM_DECONV_FILTERS {list(filters)} and NUM_DECONV_KERNELS {list(kernels)} need one value for "
            f"each of the NUM_DECONV_LAYERS {layers}: add or remove values, or change NUM_DECONV_LAYERS"
        )


def deconv_head(
    in_channels: int, filters: Sequence[int], kernels: Sequence[int], bias: bool, lightweight: bool = False
) -> nn.Sequential:
    """Transposed convolutions that double the resolution each: (B,in_channels,h,w) -> (B,filters[-1],2^n*h,2^n*w).

    SimpleBaselines, Xiao et al. 2018, section 2. `lightweight` is LPN's form (Zhang et al. 2019, section 3.2): grouped
    transposed convolutions, each followed by a 1x1 convolution that mixes the groups.
    """
    layers: list[nn.Module] = []
    for channels, kernel in zip(filters, kernels, strict=True):
        groups = math.gcd(in_channels, channels) if lightweight else 1
        padding, output_padding = _deconv_padding(kernel)
        layers += [
            nn.ConvTranspose2d(in_channels, channels, kernel, 2, padding, output_padding, groups, bias),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        if lightweight:
            layers += [
                nn.Conv2d(channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
        in_channels = channels
    return nn.Sequential(*layers)


def _deconv_padding(kernel: int) -> tuple[int, int]:
    """Padding and output padding with which a transposed convolution of stride 2 doubles the size exactly."""
    known = {4: (1, 0), 3: (1, 1), 2: (0, 0)}
    if kernel not in known:
        raise ValueError(f"MODEL.EXTRA.NUM_DECONV_KERNELS has {kernel}; a kernel side is one of {sorted(known)}")
    return known[kernel]


def final_conv(in_channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    """The last convolution, features -> heatmaps, which keeps the size; its kernel side is 1 or 3."""
    if kernel not in (1, 3):
        raise ValueError(f"MODEL.EXTRA.FINAL_CONV_KERNEL {kernel} is unknown; use 1 or 3")
    return nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)


def init_weights(model: nn.Module) -> None:
    """Initialises in place as the papers' code does: convolutions normal with std 0.001, bias 0, batch norm 1 and 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.001)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
