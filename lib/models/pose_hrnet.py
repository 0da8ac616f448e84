"""HRNet: parallel branches of several resolutions that exchange what they have seen.

"Deep High-Resolution Representation Learning for Human Pose Estimation", Sun et al., CVPR 2019.
"""

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..utils.streams import side_by_side
from .layers import BasicBlock, Bottleneck, conv3x3, final_conv, residual_blocks
from .registry import MODELS

BLOCKS: dict[str, Any] = {"BASIC": BasicBlock, "BOTTLENECK": Bottleneck}


class Stage(NamedTuple):
    """One of the stages 2 to 4: number of exchange modules, kind of block, each branch's blocks and inner channels."""

    modules: int
    block: str
    blocks: Sequence[int]
    channels: Sequence[int]

    @property
    def widths(self) -> list[int]:
        """Channels that leave each branch."""
        return [channels * BLOCKS[self.block].expansion for channels in self.channels]

    @classmethod
    def from_extra(cls, name: str, keys: Mapping[str, Any]) -> "Stage":
        """Reads one of STAGE2..4 of MODEL.EXTRA.

        Raises:
            ValueError: the block is unknown, a list does not have one value per branch, branches are not summed.
        """
        stage = cls(keys["NUM_MODULES"], keys["BLOCK"], keys["NUM_BLOCKS"], keys["NUM_CHANNELS"])
        if stage.block not in BLOCKS:
            raise ValueError(f"MODEL.EXTRA.{name}.BLOCK '{stage.block}' is unknown; use one of {', '.join(BLOCKS)}")
        for key, values in (("NUM_BLOCKS", stage.blocks), ("NUM_CHANNELS", stage.channels)):
            if len(values) != keys["NUM_BRANCHES"]:
                raise ValueError(
                    f"MODEL.EXTRA.{name}.{key} {list(values)} needs one value for each of the NUM_BRANCHES "
                    f"{keys['NUM_BRANCHES']}: add or remove values, or change NUM_BRANCHES"
                )
        if keys["FUSE_METHOD"] != "SUM":
            raise ValueError(f"MODEL.EXTRA.{name}.FUSE_METHOD '{keys['FUSE_METHOD']}' is unknown; use SUM")
        return stage


class ExchangeModule(nn.Module):
    """Residual blocks on each branch, then every resolution receives the sum of all: list of (B,C_i,h/2^i,w/2^i).

    HRNet, section 3. Upwards a 1x1 convolution and nearest-neighbour upsampling, downwards strided 3x3 convolutions.

    Args:
        stage: block, number of blocks and channels of the branches.
        outputs: number of resolutions to give, from the highest.
        expansion: channels of the outputs over those of their branches; other than 1 only with `outputs` 1 (UDP).
    """

    is_side_by_side = True  # its parts may be changed, but not be made one with it; see core.fusing

    def __init__(self, stage: Stage, outputs: int, expansion: int = 1):
        super().__init__()
        widths = stage.widths
        self.branches = nn.ModuleList(
            residual_blocks(BLOCKS[stage.block], width, channels, count)
            for width, channels, count in zip(widths, stage.channels, stage.blocks, strict=True)
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_exchange(widths, source, target, expansion) for source in range(len(widths)))
            for target in range(outputs)
        )
        self.relu = nn.ReLU()  # not in place: with one branch its input is what the branch gave

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        branches = side_by_side([*self.branches], branches)
        fusions = [functools.partial(self._fuse, layers) for layers in self.fuse_layers]
        return side_by_side(fusions, [branches] * len(fusions))

    def _fuse(self, layers: Any, branches: list[Tensor]) -> Tensor:
        paths = (layer(x) for layer, x in zip(layers, branches, strict=True))
        return self.relu(functools.reduce(operator.add, paths))


def _exchange(widths: Sequence[int], source: int, target: int, expansion: int) -> nn.Module:
    """The path from branch `source` to the resolution of branch `target`."""
    out_channels = widths[target] * expansion
    if source > target:
        return nn.Sequential(
            nn.Conv2d(widths[source], out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"),
        )
    if source < target:
        between = [_down(widths[source], widths[source]) for _ in range(target - source - 1)]
        return nn.Sequential(*between, _down(widths[source], out_channels, relu=False))
    if expansion == 1:
        return nn.Identity()
    # UDP's HRNet: the branch's own resolution is widened without batch norm.
    return nn.Sequential(nn.Conv2d(widths[source], out_channels, 1, bias=False))


def _down(in_channels: int, out_channels: int, stride: int = 2, relu: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [conv3x3(in_channels, out_channels, stride), nn.BatchNorm2d(out_channels)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class Transition(nn.ModuleList):
    """Changes the channels of the branches and adds lower resolutions, made of the lowest: list -> longer list."""

    def __init__(self, before: Sequence[int], after: Sequence[int]):
        layers: list[nn.Module] = [
            nn.Identity() if old == new else _down(old, new, stride=1) for old, new in zip(before, after, strict=False)
        ]
        for index in range(len(before), len(after)):
            halvings = index - len(before)
            steps = [_down(before[-1], before[-1]) for _ in range(halvings)]
            layers.append(nn.Sequential(*steps, _down(before[-1], after[index])))
        super().__init__(layers)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        return [layer(branches[min(i, len(branches) - 1)]) for i, layer in enumerate(self)]


@MODELS.register("pose_hrnet")
class PoseHRNet(nn.Module):
    """HRNet: images (B,3,H,W), sides divisible by the stride of the lowest branch -> heatmaps (B,out_channels,H/4,W/4).

    Args:
        stages: stages 2, 3 and 4.
        out_channels: channels of the heatmaps.
        stem_blocks, stem_channels: bottlenecks of stage 1 and their inner channels, which are also the stem's width;
            4 and 64 in HRNet, less for tiny networks.
        final_kernel: kernel side of the last convolution, 1 or 3.
        last_fusion_expansion: channels of the last fusion over those of the first branch; 4 in UDP's code.
    """

    head_layers = ("final_layer",)

    def __init__(
        self,
        stages: Sequence[Stage],
        out_channels: int,
        stem_blocks: int = 4,
        stem_channels: int = 64,
        final_kernel: int = 1,
        last_fusion_expansion: int = 1,
    ):
        super().__init__()
        second, third, fourth = stages
        self.conv1 = conv3x3(3, stem_channels, 2)
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.conv2 = conv3x3(stem_channels, stem_channels, 2)
        self.bn2 = nn.BatchNorm2d(stem_channels)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = residual_blocks(Bottleneck, stem_channels, stem_channels, stem_blocks)
        self.transition1 = Transition([stem_channels * Bottleneck.expansion], second.widths)
        self.stage2 = _exchange_modules(second, len(second.channels))
        self.transition2 = Transition(second.widths, third.widths)
        self.stage3 = _exchange_modules(third, len(third.channels))
        self.transition3 = Transition(third.widths, fourth.widths)
        self.stage4 = _exchange_modules(fourth, 1, last_fusion_expansion)
        self.final_layer = final_conv(fourth.widths[0] * last_fusion_expansion, out_channels, final_kernel)
        # UDP's wider fusion: no backbone's weights have its shape.
        self.own_layers = (f"stage4.{fourth.modules - 1}.fuse_layers",) if last_fusion_expansion != 1 else ()

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.relu(self.bn2(self.conv2(x)))
        branches = self.stage2(self.transition1([self.layer1(x)]))
        branches = self.stage3(self.transition2(branches))
        branches = self.stage4(self.transition3(branches))
        return self.final_layer(branches[0])

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any], out_channels: int) -> "PoseHRNet":
        """The network that MODEL.EXTRA describes."""
        stem = extra["STAGE1"]
        for key in ("NUM_BLOCKS", "NUM_CHANNELS"):
            if len(stem[key]) != 1:
                raise ValueError(f"MODEL.EXTRA.STAGE1.{key} {list(stem[key])} needs one value: stage 1 has one branch")
        return cls(
            [Stage.from_extra(name, extra[name]) for name in ("STAGE2", "STAGE3", "STAGE4")],
            out_channels,
            stem["NUM_BLOCKS"][0],
            stem["NUM_CHANNELS"][0],
            extra["FINAL_CONV_KERNEL"],
            extra["LAST_FUSION_EXPANSION"],
        )


def _exchange_modules(stage: Stage, outputs: int, expansion: int = 1) -> nn.Sequential:
    """The modules of a stage; the last gives `outputs` resolutions, the others all."""
    full = [ExchangeModule(stage, len(stage.channels)) for _ in range(stage.modules - 1)]
    return nn.Sequential(*full, ExchangeModule(stage, outputs, expansion))
