"""SimpleBaselines: a ResNet and transposed convolutions.

"Simple Baselines for Human Pose Estimation and Tracking", Xiao et al., ECCV 2018.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from .layers import BasicBlock, Bottleneck, check_deconv, deconv_head, final_conv, residual_blocks
from .registry import MODELS

# layers -> block, blocks of the four stages (ResNet, He et al. 2016, table 1)
DEPTHS: dict[int, tuple[Any, tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
STYLES = ("pytorch", "caffe")


class ResNetPose(nn.Module):
    """A four-stage residual backbone with a head: images (B,3,H,W) -> heatmaps (B,C,h,w).

    Args:
        block: residual block, called with (in_channels, channels, stride, **options).
        blocks: number of blocks of each of the four stages.
        last_stride: stride of the fourth stage; the backbone's stride is 32 with 2, 16 with 1.
        head: deconvolution head for the 8 * width * block.expansion channels of the fourth stage.
        final: convolution of the head's output to the heatmaps.
        width: channels of the first stage; each of the others doubles them.
        options: further arguments of every block.
    """

    head_layers: tuple[str, ...] = ("final_layer",)

    def __init__(
        self,
        block: Any,
        blocks: Sequence[int],
        last_stride: int,
        head: nn.Module,
        final: nn.Module,
        width: int = 64,
        **options: Any,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inner = width * block.expansion
        self.layer1 = residual_blocks(block, width, width, blocks[0], **options)
        self.layer2 = residual_blocks(block, inner, 2 * width, blocks[1], 2, **options)
        self.layer3 = residual_blocks(block, 2 * inner, 4 * width, blocks[2], 2, **options)
        self.layer4 = residual_blocks(block, 4 * inner, 8 * width, blocks[3], last_stride, **options)
        self.deconv_layers = head
        self.final_layer = final

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.final_layer(self.deconv_layers(x))


@MODELS.register("pose_resnet")
class PoseResNet(ResNetPose):
    """SimpleBaselines' network: images (B,3,H,W) -> heatmaps (B,out_channels,h,w), h = H * 2^n / 32.

    Args:
        num_layers: 18, 34, 50, 101 or 152.
        out_channels: channels of the heatmaps.
        style: place of the stride in a bottleneck, "pytorch" (3x3 convolution) or "caffe" (first 1x1 convolution).
        deconv_filters, deconv_kernels: channels and kernel sides (2, 3 or 4) of the n transposed convolutions.
        deconv_bias: give them a bias.
        final_kernel: kernel side of the last convolution, 1 or 3.

    Raises:
        ValueError: a value is none of those named here.
    """

    def __init__(
        self,
        num_layers: int,
        out_channels: int,
        style: str = "pytorch",
        deconv_filters: Sequence[int] = (256, 256, 256),
        deconv_kernels: Sequence[int] = (4, 4, 4),
        deconv_bias: bool = False,
        final_kernel: int = 1,
    ):
        if num_layers not in DEPTHS:
            raise ValueError(
                f"MODEL.EXTRA.NUM_LAYERS {num_layers} of pose_resnet is unknown; use one of {list(DEPTHS)}"
            )
        block, blocks = DEPTHS[num_layers]
        check_deconv(len(deconv_filters), deconv_filters, deconv_kernels)
        channels = 512 * block.expansion
        head = deconv_head(channels, deconv_filters, deconv_kernels, deconv_bias)
        final = final_conv([channels, *deconv_filters][-1], out_channels, final_kernel)
        super().__init__(block, blocks, 2, head, final, **_block_options(num_layers, style))

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any], out_channels: int) -> "PoseResNet":
        """The network that MODEL.EXTRA (and its STYLE) describes."""
        check_deconv(extra["NUM_DECONV_LAYERS"], extra["NUM_DECONV_FILTERS"], extra["NUM_DECONV_KERNELS"])
        return cls(
            extra["NUM_LAYERS"],
            out_channels,
            extra["STYLE"],
            extra["NUM_DECONV_FILTERS"],
            extra["NUM_DECONV_KERNELS"],
            extra["DECONV_WITH_BIAS"],
            extra["FINAL_CONV_KERNEL"],
        )


def _block_options(num_layers: int, style: str) -> dict[str, Any]:
    if style not in STYLES:
        raise ValueError(f"MODEL.STYLE '{style}' is unknown; use one of {', '.join(STYLES)}")
    if DEPTHS[num_layers][0] is Bottleneck:
        return {"style": style}
    if style != "pytorch":
        raise ValueError(
            f"MODEL.STYLE '{style}' is for bottlenecks, which NUM_LAYERS {num_layers} does not have: "
            "use STYLE pytorch, or NUM_LAYERS 50, 101 or 152"
        )
    return {}
