"""MSPN: ResNets that come back up to heatmaps, one after another, each stage fed with the features of the one before.

"Rethinking on Multi-Stage Networks for Human Pose Estimation", Li et al. 2019, arXiv:1901.00148. Every convolution has
a bias although batch norm follows, as in the authors' code; the names of attributes are the keys of its checkpoints.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .registry import MODELS

LEVELS = 4  # resolutions of a stage: 1/32, 1/16, 1/8 and 1/4 of the input
EXPANSION = 4  # output channels of a bottleneck over its inner ones

Features = list[Tensor]  # one of each level, fine to coarse


class ConvNorm(nn.Module):
    """A convolution with bias, batch norm and, with `relu`, a ReLU: (B,in_channels,H,W) -> (B,out_channels,h,w)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, relu: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """ResNet's bottleneck of ConvNorms, stride in the 3x3: (B,in_channels,H,W) -> (B,4*channels,H/stride,W/stride)."""

    def __init__(self, in_channels: int, channels: int, stride: int):
        super().__init__()
        out_channels = channels * EXPANSION
        self.conv_bn_relu1 = ConvNorm(in_channels, channels)
        self.conv_bn_relu2 = ConvNorm(channels, channels, 3, stride)
        self.conv_bn_relu3 = ConvNorm(channels, out_channels, relu=False)
        same = stride == 1 and in_channels == out_channels
        self.downsample = nn.Identity() if same else ConvNorm(in_channels, out_channels, stride=stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv_bn_relu3(self.conv_bn_relu2(self.conv_bn_relu1(x))) + self.downsample(x))


class Stem(nn.Module):
    """Images (B,3,H,W) -> (B,channels,H/4,W/4)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = ConvNorm(3, channels, 7, 2)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.maxpool(self.conv(images))


class Downsample(nn.Module):
    """The way down, a ResNet's four layers: (B,channels[0],h,w) -> features of each level, fine to coarse.

    `skips` are features of the stage before, added to each level's (section 3.2, cross stage feature aggregation), or
    empty in the first stage.
    """

    def __init__(self, blocks: Sequence[int], channels: Sequence[int]):
        super().__init__()
        in_channels = channels[0]
        for level, (count, inner) in enumerate(zip(blocks, channels, strict=True)):
            inputs = [in_channels] + [inner * EXPANSION] * (count - 1)
            strides = [1 if level == 0 else 2] + [1] * (count - 1)
            layer = nn.Sequential(*(Bottleneck(i, inner, s) for i, s in zip(inputs, strides, strict=True)))
            setattr(self, f"layer{level + 1}", layer)
            in_channels = inner * EXPANSION

    def forward(self, x: Tensor, skips: Features) -> Features:
        features: Features = []
        for level in range(LEVELS):
            x = getattr(self, f"layer{level + 1}")(x)
            x = x + skips[level] if skips else x
            features.append(x)
        return features


class UpsampleUnit(nn.Module):
    """One level of the way up: features (B,in_channels,h,w), and those of the coarser level, -> features and heatmaps.

    Args:
        level: 0 for the coarsest to 3 for the finest.
        stem_channels: channels of the next stage's input, which comes from the finest level; 0 where no stage follows.
    """

    def __init__(self, level: int, in_channels: int, channels: int, out_channels: int, stem_channels: int):
        super().__init__()
        self.u_skip = ConvNorm(in_channels, channels, relu=False)
        if level > 0:
            self.up_conv = ConvNorm(channels, channels, relu=False)
        if stem_channels:
            self.skip1 = ConvNorm(in_channels, in_channels)
            self.skip2 = ConvNorm(channels, in_channels)
        if stem_channels and level == LEVELS - 1:
            self.cross_conv = ConvNorm(channels, stem_channels)
        self.res_conv1 = ConvNorm(channels, channels)
        self.res_conv2 = ConvNorm(channels, out_channels, 3, relu=False)

    def forward(self, x: Tensor, coarser: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features (B,channels,h,w) and heatmaps (B,out_channels,h,w)."""
        features = self.u_skip(x)
        if coarser is not None:
            features = features + self.up_conv(_resized(coarser, x.shape[2:]))
        features = F.relu(features)
        return features, self.res_conv2(self.res_conv1(features))


class Upsample(nn.Module):
    """The way up: features of each level, fine to coarse, -> heatmaps of each, coarse to fine, at the finest's size.

    With `stem_channels` also what the next stage takes: its input and its skip features, fine to coarse.
    """

    def __init__(self, level_channels: Sequence[int], channels: int, out_channels: int, stem_channels: int):
        super().__init__()
        self.is_last = stem_channels == 0
        for level, inner in enumerate(reversed(level_channels)):
            unit = UpsampleUnit(level, inner * EXPANSION, channels, out_channels, stem_channels)
            setattr(self, f"up{level + 1}", unit)

    def forward(self, levels: Features) -> tuple[list[Tensor], list[Tensor]]:
        heatmaps: list[Tensor] = []
        carried: list[Tensor] = []
        features = None
        for number, x in enumerate(reversed(levels), start=1):
            unit = getattr(self, f"up{number}")
            features, maps = unit(x, features)
            heatmaps.append(_resized(maps, levels[0].shape[2:]))
            if not self.is_last:
                carried.insert(0, unit.skip1(x) + unit.skip2(features))
        if not self.is_last:
            carried.insert(0, unit.cross_conv(features))
        return heatmaps, carried


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    same = tuple(x.shape[2:]) == tuple(size)
    return x if same else F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


class Stage(nn.Module):
    """One way down and up: an input and skip features -> heatmaps, and the same for the next stage; see Upsample."""

    def __init__(
        self, blocks: Sequence[int], level_channels: Sequence[int], channels: int, out_channels: int, is_last: bool
    ):
        super().__init__()
        self.downsample = Downsample(blocks, level_channels)
        self.upsample = Upsample(level_channels, channels, out_channels, 0 if is_last else level_channels[0])

    def forward(self, carried: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        x, *skips = carried
        return self.upsample(self.downsample(x, skips))


@MODELS.register("mspn")
class MSPN(nn.Module):
    """Images (B,3,H,W) -> a list of heatmaps (B,out_channels,H/4,W/4), 4 of each stage, coarse to fine; the last final.

    H and W are multiples of 32. All levels have the size of the finest (bilinear, corners aligned), so that one loss
    can read them: JointsL2 takes them in this order.

    Args:
        out_channels: channels of the heatmaps.
        stages: number of stages; the paper's networks have 1 to 4.
        channels: channels on the way up.
        blocks: bottlenecks at each of the four levels.
        level_channels: their inner channels; the first is the stem's too.

    Raises:
        ValueError: a number is below 1, or there are not four levels.
    """

    def __init__(
        self,
        out_channels: int,
        stages: int = 2,
        channels: int = 256,
        blocks: Sequence[int] = (3, 4, 6, 3),
        level_channels: Sequence[int] = (64, 128, 256, 512),
    ):
        _check(blocks, level_channels, NUM_STAGES=stages, UPSAMPLE_CHANNELS=channels)
        super().__init__()
        self.top = Stem(level_channels[0])
        for number in range(stages):
            stage = Stage(blocks, level_channels, channels, out_channels, is_last=number == stages - 1)
            setattr(self, f"stage{number}", stage)
        self.stages = stages
        self.head_layers = tuple(name for name, _ in self.named_modules() if name.endswith("res_conv2"))

    def forward(self, images: Tensor) -> list[Tensor]:
        carried = [self.top(images)]
        outputs: list[Tensor] = []
        for number in range(self.stages):
            heatmaps, carried = getattr(self, f"stage{number}")(carried)
            outputs += heatmaps
        return outputs

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any], out_channels: int) -> "MSPN":
        """The network that MODEL.EXTRA describes."""
        return cls(
            out_channels,
            extra["NUM_STAGES"],
            extra["UPSAMPLE_CHANNELS"],
            extra["NUM_BLOCKS"],
            extra["NUM_CHANNELS"],
        )

    def init_weights(self) -> None:
        """Initialises in place as the authors' code does: the ways down by He et al. 2015, the rest as PyTorch does."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and ".downsample." in name:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def backbone_weights(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of a ResNet under torchvision's names, for the stem and the way down of every stage; others unchanged.

        A ResNet has no biases before its batch norms; ours keep the fresh ones.
        """
        if "conv1.weight" not in weights:
            return dict(weights)
        renamed: dict[str, Tensor] = {}
        for key, value in weights.items():
            if key.startswith("layer"):
                renamed |= {f"stage{n}.downsample.{_renamed(key)}": value for n in range(self.stages)}
            elif key.startswith(("conv1.", "bn1.")):
                renamed[f"top.conv.{key.replace('1.', '.')}"] = value
            else:
                renamed[key] = value  # named in the report as what the model does not have
        return renamed


def _renamed(key: str) -> str:
    """A key of torchvision's ResNet layers in MSPN's spelling.

    >>> _renamed("layer1.0.bn2.weight"), _renamed("layer2.0.downsample.0.weight")
    ('layer1.0.conv_bn_relu2.bn.weight', 'layer2.0.downsample.conv.weight')
    """
    key = key.replace("downsample.0.", "downsample.conv.").replace("downsample.1.", "downsample.bn.")
    return re.sub(r"\.(conv|bn)(\d)\.", r".conv_bn_relu\2.\1.", key)


def _check(blocks: Sequence[int], level_channels: Sequence[int], **counts: int) -> None:
    for key, values in (("NUM_BLOCKS", blocks), ("NUM_CHANNELS", level_channels)):
        if len(values) != LEVELS or min(values) < 1:
            raise ValueError(
                f"MODEL.EXTRA.{key} {list(values)} of mspn needs one number of 1 or more for each of {LEVELS} levels"
            )
    for key, count in counts.items():
        if count < 1:
            raise ValueError(f"MODEL.EXTRA.{key} {count} of mspn is no number of anything; use 1 or more")
