"""Stacked hourglass: networks that go down to a few pixels and up again, one after another, each with its own heatmaps.

"Stacked Hourglass Networks for Human Pose Estimation", Newell et al., ECCV 2016; as DarkPose and CC-SSL train it.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .registry import MODELS

DEPTH = 4  # halvings of an hourglass


class PreActivation(nn.Module):
    """1x1, 3x3, 1x1 convolutions, each after batch norm and ReLU, and a shortcut: (B,in,H,W) -> (B,out,H,W).

    "Identity Mappings in Deep Residual Networks", He et al. 2016, fig. 4e, with half the channels in between. Its
    convolutions have a bias; a shortcut that changes the channels is a 1x1 convolution without batch norm.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        inner = out_channels // 2
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, inner, 1)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out_channels, 1)
        self.relu = nn.ReLU(inplace=True)
        same = in_channels == out_channels
        self.downsample = nn.Identity() if same else nn.Sequential(nn.Conv2d(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        return out + self.downsample(x)


def _residuals(in_channels: int, out_channels: int, count: int = 1) -> nn.Sequential:
    """`count` blocks in a row, the first of which changes the channels."""
    rest = [PreActivation(out_channels, out_channels) for _ in range(count - 1)]
    return nn.Sequential(PreActivation(in_channels, out_channels), *rest)


class Hourglass(nn.Module):
    """Halves the resolution `depth` times and doubles it again, with a skip branch at each: (B,C,h,w) -> the same.

    Newell et al., section 3.1. Sides of 2^depth px or more. An odd side is halved downwards and comes back to the size
    of its skip branch, so that every size fits.

    Args:
        channels: C, an even number.
        blocks: residual blocks at each place.
        depth: halvings.
    """

    def __init__(self, channels: int, blocks: int, depth: int = DEPTH):
        super().__init__()
        # From the deepest level, which has the fourth place: the bottom of the hourglass. Else skip, down and up.
        places = [4] + [3] * (depth - 1)
        self.hg = nn.ModuleList(
            nn.ModuleList(_residuals(channels, channels, blocks) for _ in range(count)) for count in places
        )

    def forward(self, x: Tensor) -> Tensor:
        return self._level(len(self.hg) - 1, x)

    def _level(self, level: int, x: Tensor) -> Tensor:
        layers: Any = self.hg[level]
        low = layers[1](F.max_pool2d(x, 2))
        low = layers[3](low) if level == 0 else self._level(level - 1, low)
        # DarkPose's deepest level always gives 4x3 px, the size of the skip branch at 96x128 input and at no other.
        return layers[0](x) + F.interpolate(layers[2](low), size=x.shape[2:], mode="nearest")


@MODELS.register("hourglass")
class StackedHourglass(nn.Module):
    """Images (B,3,H,W) -> a list of heatmaps (B,out_channels,H/4,W/4), one of each hourglass, the last one final.

    Sides are multiples of 4, at least 64. Every hourglass receives the features of the one before, with its heatmaps
    mapped back to features (Newell et al., section 3.2); a loss on all outputs is the intermediate supervision.

    Args:
        out_channels: channels of the heatmaps.
        features: channels of the hourglasses, an even number.
        stacks: number of hourglasses.
        blocks: residual blocks at each place of an hourglass.
        stem_channels: channels of the first convolution, doubled by each of the two blocks after it, whatever
            `features` is; 64 in the papers' code, less for tiny networks.

    Raises:
        ValueError: a number is below 1, or `features` is odd.
    """

    head_layers = ("score", "score_")

    def __init__(
        self, out_channels: int, features: int = 256, stacks: int = 8, blocks: int = 1, stem_channels: int = 64
    ):
        _check_counts(NUM_FEATURES=features, NUM_STACKS=stacks, NUM_BLOCKS=blocks, STEM_CHANNELS=stem_channels)
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem_channels, 7, 2, padding=3)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _residuals(stem_channels, 2 * stem_channels)
        self.maxpool = nn.MaxPool2d(2)
        self.layer2 = _residuals(2 * stem_channels, 4 * stem_channels)
        self.layer3 = _residuals(4 * stem_channels, features)
        self.hg = nn.ModuleList(Hourglass(features, blocks) for _ in range(stacks))
        self.res = nn.ModuleList(_residuals(features, features, blocks) for _ in range(stacks))
        self.fc = nn.ModuleList(_linear(features) for _ in range(stacks))
        self.score = nn.ModuleList(nn.Conv2d(features, out_channels, 1) for _ in range(stacks))
        # The ways to the next hourglass: the last has none.
        self.fc_ = nn.ModuleList(nn.Conv2d(features, features, 1) for _ in range(stacks - 1))
        self.score_ = nn.ModuleList(nn.Conv2d(out_channels, features, 1) for _ in range(stacks - 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.maxpool(self.layer1(x))))
        outputs: list[Tensor] = []
        for stack, hourglass in enumerate(self.hg):
            features = self.fc[stack](self.res[stack](hourglass(x)))
            heatmaps = self.score[stack](features)
            outputs.append(heatmaps)
            if stack < len(self.fc_):
                x = x + self.fc_[stack](features) + self.score_[stack](heatmaps)
        return outputs

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any], out_channels: int) -> "StackedHourglass":
        """The network that MODEL.EXTRA describes."""
        return cls(
            out_channels, extra["NUM_FEATURES"], extra["NUM_STACKS"], extra["NUM_BLOCKS"], extra["STEM_CHANNELS"]
        )


def _linear(channels: int) -> nn.Sequential:
    """A 1x1 convolution with batch norm and ReLU."""
    return nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _check_counts(**counts: int) -> None:
    for key, count in counts.items():
        if count < 1:
            raise ValueError(f"MODEL.EXTRA.{key} {count} of hourglass is no number of anything; use 1 or more")
    if counts["NUM_FEATURES"] % 2:
        raise ValueError(
            f"MODEL.EXTRA.NUM_FEATURES {counts['NUM_FEATURES']} of hourglass is odd; its blocks need an even number"
        )
