"""LPN: a ResNet of lightweight bottlenecks with a lightweight head.

"Simple and Lightweight Human Pose Estimation", Zhang et al., 2019, arXiv:1911.10346.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from .layers import check_deconv, conv3x3, deconv_head, final_conv, shortcut
from .pose_resnet import DEPTHS, ResNetPose
from .registry import MODELS

LPN_LAYERS = (50, 101, 152)


class GCBlock(nn.Module):
    """Global context block, (B,C,H,W) -> the same: adds one vector per image, made of an attention-weighted mean.

    GCNet, Cao et al. 2019, section 3.3, with softmax pooling and fusion by addition. The bottleneck has C/16 channels,
    at least 16.
    """

    def __init__(self, channels: int):
        super().__init__()
        inner = max(16, channels // 16)
        self.conv_mask = nn.Conv2d(channels, 1, 1)
        self.channel_add_conv = nn.Sequential(
            nn.Conv2d(channels, inner, 1),
            nn.LayerNorm([inner, 1, 1]),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        attention = self.conv_mask(x).flatten(2).softmax(dim=2)  # (B,1,H*W)
        context = x.flatten(2) @ attention.transpose(1, 2)  # (B,C,1)
        return x + self.channel_add_conv(context.unsqueeze(3))


class SEBlock(nn.Module):
    """Squeeze-and-excitation, (B,C,H,W) -> the same: multiplies each channel by a gate made of the channels' means.

    SENet, Hu et al. 2018, section 3, reduction 16.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        inner = channels // reduction
        self.fc = nn.Sequential(
            nn.Linear(channels, inner, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(inner, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gates = self.fc(x.mean(dim=(2, 3)))  # (B,C)
        return x * gates[:, :, None, None]


ATTENTIONS: dict[str, Any] = {"GC": GCBlock, "SE": SEBlock, "none": None}


class LightweightBottleneck(nn.Module):
    """1x1, depthwise 3x3, 1x1 convolutions and attention: (B,in_channels,H,W) -> (B,channels,H/stride,W/stride).

    LPN, section 3.1. `attention` is a key of ATTENTIONS; it stands before the sum with the shortcut.
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int = 1, attention: str = "GC"):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels, stride, groups=channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(in_channels, channels, stride)
        self.att = ATTENTIONS[attention](channels) if ATTENTIONS[attention] else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.att(self.bn3(self.conv3(out)))
        return self.relu(out + self.downsample(x))


@MODELS.register("lpn")
class LPN(ResNetPose):
    """LPN's network: images (B,3,H,W) -> heatmaps (B,out_channels,h,w), h = H * 2^n / 16.

    Args:
        num_layers: 50, 101 or 152.
        out_channels: channels of the heatmaps.
        attention: "GC", "SE" or "none".
        deconv_filters, deconv_kernels: channels and kernel sides (2, 3 or 4) of the n grouped transposed convolutions.
        deconv_bias: give them a bias.
        final_kernel: kernel side of the last convolution, 1 or 3.

    Raises:
        ValueError: a value is none of those named here.
    """

    def __init__(
        self,
        num_layers: int,
        out_channels: int,
        attention: str = "GC",
        deconv_filters: Sequence[int] = (256, 256),
        deconv_kernels: Sequence[int] = (4, 4),
        deconv_bias: bool = False,
        final_kernel: int = 1,
    ):
        if num_layers not in LPN_LAYERS:
            raise ValueError(f"MODEL.EXTRA.NUM_LAYERS {num_layers} of lpn is unknown; use one of {list(LPN_LAYERS)}")
        if attention not in ATTENTIONS:
            raise ValueError(f"MODEL.EXTRA.ATTENTION '{attention}' is unknown; use one of {', '.join(ATTENTIONS)}")
        check_deconv(len(deconv_filters), deconv_filters, deconv_kernels)
        head = deconv_head(512, deconv_filters, deconv_kernels, deconv_bias, lightweight=True)
        final = final_conv([512, *deconv_filters][-1], out_channels, final_kernel)
        super().__init__(LightweightBottleneck, DEPTHS[num_layers][1], 1, head, final, attention=attention)

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any], out_channels: int) -> "LPN":
        """The network that MODEL.EXTRA describes."""
        check_deconv(extra["NUM_DECONV_LAYERS"], extra["NUM_DECONV_FILTERS"], extra["NUM_DECONV_KERNELS"])
        return cls(
            extra["NUM_LAYERS"],
            out_channels,
            extra["ATTENTION"],
            extra["NUM_DECONV_FILTERS"],
            extra["NUM_DECONV_KERNELS"],
            extra["DECONV_WITH_BIAS"],
            extra["FINAL_CONV_KERNEL"],
        )
