"""LPN: keypoints as the expectation under a softmax of the heatmap, in place of its maximum.

Simple and Lightweight Human Pose Estimation (Zhang et al. 2019, arXiv:1911.10346): beta-soft-argmax. Crop, stride,
encoding and flip are the standard ones.

Shapes: keypoints (B,K,2) · heatmaps (B,K,h,w), one channel a joint · scores (B,K).
"""

import torch
from torch import Tensor

from .base import require
from .gaussian import GaussianCodec, quarter_shift


class SoftArgmaxCodec(GaussianCodec):
    name = "soft_argmax"

    def __init__(self, *args, beta: float = 160.0, bias: float = 0.0, **kwargs):
        """GaussianCodec's arguments; `beta` is the softmax's inverse temperature, `bias` in image px."""
        super().__init__(*args, **kwargs)
        self.beta = require(beta > 0, beta, "beta", "more than 0")
        self.bias = bias

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The expected position of every map; with `post_process` the quarter shift comes on top.

        The score is the map's value at the rounded position. Maps without a value above 0 are decoded as well.
        """
        self.check_output(output)
        heatmaps = output.float()
        keypoints = soft_argmax_2d(heatmaps, self.beta)
        scores = value_at(heatmaps, keypoints)
        return (quarter_shift(heatmaps, keypoints) if self.post_process else keypoints), scores

    def to_image(self, keypoints_heatmap: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """As GaussianCodec, less the bias."""
        return super().to_image(keypoints_heatmap, center, scale) - self.bias


def soft_argmax_2d(heatmaps: Tensor, beta: float) -> Tensor:
    """Expected position (B,K,2), x and y in heatmap px, under softmax(beta * heatmap) of heatmaps (B,K,h,w).

    >>> soft_argmax_2d(torch.tensor([[[[0.0, 0.0], [1.0, 1.0]]]]), beta=160)
    tensor([[[0.5000, 1.0000]]])
    """
    probability = (heatmaps * beta).flatten(2).softmax(dim=2).view_as(heatmaps)
    positions = []
    for axis in (3, 2):  # x runs along the last axis, y along the one before
        pixels = torch.arange(heatmaps.shape[axis], device=heatmaps.device, dtype=heatmaps.dtype)
        positions.append((probability.sum(dim=5 - axis) * pixels).sum(dim=-1))
    return torch.stack(positions, dim=-1)


def value_at(heatmaps: Tensor, keypoints: Tensor) -> Tensor:
    """Values (B,K) of heatmaps (B,K,h,w) at the pixels nearest to keypoints (B,K,2); halves round to even.

    >>> value_at(torch.arange(6.0).view(1, 1, 2, 3), torch.tensor([[[1.5, 0.5]]]))
    tensor([[2.]])
    """
    height, width = heatmaps.shape[2:]
    x, y = keypoints.nan_to_num().round().long().unbind(dim=-1)  # (B,K)
    index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return heatmaps.flatten(2).gather(2, index.unsqueeze(-1)).squeeze(-1)
