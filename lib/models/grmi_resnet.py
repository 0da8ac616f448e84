"""G-RMI's network: a dilated ResNet whose last features are mapped to heatmaps and offsets by one convolution.

"Towards Accurate Multi-person Pose Estimation in the Wild", Papandreou et al., CVPR 2017, section 3.2.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

from torch import Tensor, nn

from .layers import BasicBlock, Bottleneck, final_conv
from .pose_resnet import DEPTHS, ResNetPose
from .registry import MODELS

OUTPUT_STRIDES = (4, 8, 16, 32)
CONVOLUTIONS: dict[Any, int] = {BasicBlock: 2, Bottleneck: 3}  # layers of a block
HEATMAP_SHARE = 3  # one of a joint's three channels is the heatmap


@MODELS.register("grmi_resnet")
class GrmiResNet(ResNetPose):
    """Images (B,3,H,W) -> heatmaps and offsets (B,out_channels,h,w), h = ceil(H / output_stride).

    With sides of a multiple of the stride plus 1, outermost pixels lie on outermost pixels. The backbone's weights have
    torchvision's names and meaning: strides that are taken out become dilations (Chen et al. 2016, DeepLab).

    With `intermediate_layer` a training forward gives a list: first heatmaps alone, (B,out_channels/3,h,w), of the last
    block that ends at or before that layer, then the final output.

    Args:
        num_layers: 18, 34, 50, 101 or 152.
        out_channels: channels of the output, 3 for each joint where there is an intermediate layer.
        output_stride: input px per px of the output: 4, 8, 16 or 32.
        intermediate_layer: counted as in the names of ResNets; 0 for none. The paper's is 50.
        width: channels of the first stage, 64 in a ResNet.

    Raises:
        ValueError: a value is none of those named here, or the intermediate layer has another stride than the output.
    """

    def __init__(
        self,
        num_layers: int,
        out_channels: int,
        output_stride: int = 8,
        intermediate_layer: int = 0,
        width: int = 64,
    ):
        _check(num_layers, output_stride, width)
        block, blocks = DEPTHS[num_layers]
        channels = 8 * width * block.expansion
        super().__init__(block, blocks, 2, nn.Identity(), final_conv(channels, out_channels, 1), width)
        dilation = 1
        for stage, stride in zip((self.layer2, self.layer3, self.layer4), OUTPUT_STRIDES[1:], strict=True):
            if stride > output_stride:
                dilation = dilate(stage, dilation)
        self.supervised = 0  # number of the block with a loss of its own, counted from 1
        if intermediate_layer:
            self.supervised = _supervised_block(intermediate_layer, CONVOLUTIONS[block], blocks, output_stride)
            stage_number = sum(self.supervised > end for end in accumulate(blocks))  # from 0
            channels = 2**stage_number * width * block.expansion
            self.head_layers = ("final_layer", "intermediate_layer")
            self.intermediate_layer = final_conv(channels, out_channels // HEATMAP_SHARE, 1)

    def forward(self, images: Tensor) -> Any:
        if not (self.supervised and self.training):
            return super().forward(images)
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        outputs: list[Tensor] = []
        for number, block in enumerate(chain(self.layer1, self.layer2, self.layer3, self.layer4), start=1):
            x = block(x)
            if number == self.supervised:
                outputs.append(self.intermediate_layer(x))
        return [*outputs, self.final_layer(x)]

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any], out_channels: int) -> "GrmiResNet":
        """The network that MODEL.EXTRA describes."""
        return cls(
            extra["NUM_LAYERS"], out_channels, extra["OUTPUT_STRIDE"], extra["INTERMEDIATE_LAYER"], extra["WIDTH"]
        )


def dilate(stage: nn.Module, dilation: int) -> int:
    """Takes the stride of 2 out of a stage whose input has that dilation; returns the dilation of its output, twice it.

    What stood on the coarse grid then stands on every second pixel: every convolution after the stride that was reaches
    twice as far. Where sides are a multiple of the old stride plus 1, the pixels of the coarse grid keep their values.
    """
    current = dilation
    for convolution in (module for module in stage.modules() if isinstance(module, nn.Conv2d)):  # in order of execution
        convolution.dilation = (current, current)
        convolution.padding = tuple(current * (side // 2) for side in convolution.kernel_size)
        if convolution.stride == (2, 2):
            convolution.stride, current = (1, 1), 2 * dilation
    return 2 * dilation


def _check(num_layers: int, output_stride: int, width: int) -> None:
    if num_layers not in DEPTHS:
        raise ValueError(f"MODEL.EXTRA.NUM_LAYERS {num_layers} of grmi_resnet is unknown; use one of {list(DEPTHS)}")
    if output_stride not in OUTPUT_STRIDES:
        known = ", ".join(map(str, OUTPUT_STRIDES))
        raise ValueError(f"MODEL.EXTRA.OUTPUT_STRIDE {output_stride} of grmi_resnet is unknown; use one of {known}")
    if width < 1:
        raise ValueError(f"MODEL.EXTRA.WIDTH {width} of grmi_resnet is no number of channels; use 1 or more")


def _supervised_block(layer: int, convolutions: int, blocks: Sequence[int], output_stride: int) -> int:
    """The last block, from 1, that ends at or before a layer; a ValueError unless its output has the final size."""
    number = (layer - 1) // convolutions  # the first convolution is a layer of its own
    first = sum(blocks[: OUTPUT_STRIDES.index(output_stride)]) + 1
    last = sum(blocks) - 1
    if not first <= number <= last:
        raise ValueError(
            f"MODEL.EXTRA.INTERMEDIATE_LAYER {layer} of grmi_resnet does not lie at the output's stride and before the"
            f" last block: use {first * convolutions + 1} to {(last + 1) * convolutions}, or 0 for none"
        )
    return number
