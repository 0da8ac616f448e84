"""The standard heatmap: a Gaussian around the nearest pixel, decoded by the maximum and a quarter shift.

Simple Baselines for Human Pose Estimation and Tracking (Xiao et al. 2018); Deep High-Resolution Representation Learning
for Human Pose Estimation (Sun et al. 2019). The quarter shift is Newell et al.'s (2016).

Shapes: keypoints (B,K,2) · heatmaps (B,K,h,w), one channel a joint · scores (B,K), the maxima. Strides are W/w and H/h.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..utils import heatmap_loops
from ..utils.compiled import loops_take
from ..utils.constants import constant
from ..utils.geometry import similarity_matrix
from ..utils.heatmaps import argmax_2d, keypoints_in_loops
from .base import Codec, require, require_one_stride
from .rendering import gaussian_maps, reaches_map

ABOVE = 1  # heatmap px; maxima in lower columns and rows are not shifted, as in the originals


class GaussianCodec(Codec):
    name = "gaussian"

    def __init__(
        self,
        input_size: Sequence[int],
        heatmap_size: Sequence[int],
        num_joints: int,
        joint_weights: Sequence[float] | None = None,
        sigma: float = 2.0,
        shift_heatmap: bool = False,
        post_process: bool = True,
    ):
        """`sigma` in heatmap px; `shift_heatmap` moves flipped maps by 1 px; `post_process` is the quarter shift."""
        super().__init__(input_size, heatmap_size, num_joints, joint_weights)
        require_one_stride(self.input_size, self.heatmap_size)
        self.sigma = require(sigma > 0, sigma, "sigma", "more than 0 heatmap px")
        self.shift_heatmap, self.post_process = shift_heatmap, post_process

    def warp_matrix(self, center: np.ndarray, scale: np.ndarray, rotation: float = 0.0) -> np.ndarray:
        return similarity_matrix(center, scale, rotation, self.input_size)

    def input_to_heatmap(self, keypoints_input: Tensor) -> Tensor:
        return keypoints_input / (self.input_size[0] / self.heatmap_size[0])

    def render(self, keypoints_heatmap: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussians around the nearest pixel, in a box of 6 sigma; a joint whose box misses the map weighs nothing."""
        pixels = torch.trunc(keypoints_heatmap + 0.5)  # as int() in the originals: -0.6 goes to 0
        weight = visible * reaches_map(pixels, self.sigma, self.heatmap_size)
        target = gaussian_maps(pixels, self.sigma, self.heatmap_size, drawn=weight > 0.5, middle=pixels)
        return target, self._weigh(weight)

    def flip_back(self, output: Tensor, flip_pairs: Sequence[Sequence[int]]) -> Tensor:
        """As every codec's; with `shift_heatmap` moved right by one pixel too, column 0 keeping its value.

        Mirroring the input takes a keypoint at x to w - w/W - x, mirroring the heatmap to w - 1 - x: at stride 4 that
        is 0.75 px too far left, which the pixel makes up for.
        """
        self.check_output(output)
        return self._mirrored(output, flip_pairs, self.shift_heatmap)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The first maximum of every map, with `post_process` moved a quarter px toward its higher neighbours.

        (0, 0) where the maximum, the score, is not above 0.
        """
        self.check_output(output)
        heatmaps = output.float()
        if not self.post_process:
            return argmax_2d(heatmaps)
        if loops_take(heatmaps):
            return keypoints_in_loops(heatmap_loops.maxima, heatmaps, ABOVE)
        keypoints, scores = argmax_2d(heatmaps)
        return quarter_shift(heatmaps, keypoints), scores

    def to_image(self, keypoints_heatmap: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        width, height = self.heatmap_size
        middle = constant((width / 2, height / 2), keypoints_heatmap)
        stride_image = scale[:, None, :1] / width  # the height's follows from the aspect ratio
        return torch.addcmul(center[:, None], keypoints_heatmap - middle, stride_image)


def quarter_shift(heatmaps: Tensor, keypoints: Tensor, above: int = ABOVE) -> Tensor:
    """Keypoints (B,K,2), heatmap px, moved by 0.25 px in x and in y toward the higher of the two neighbours.

    Only where both coordinates of the pixel are above `above` and below size - 1. Equal neighbours do not move.

    >>> heatmap = torch.tensor([[0.0] * 6] * 2 + [[0, 0, 1, 2, 0, 0]] + [[0.0] * 6] * 3).view(1, 1, 6, 6)
    >>> quarter_shift(heatmap, torch.tensor([[[3.0, 2.0]]]))
    tensor([[[2.7500, 2.0000]]])
    """
    height, width = heatmaps.shape[2:]
    pixels = torch.floor(keypoints + 0.5)
    last = constant((width - 1, height - 1), pixels)
    inner = ((pixels > above) & (pixels < last)).all(dim=-1, keepdim=True)
    x, y = pixels.long().unbind(dim=-1)
    sides = (y * width + x).unsqueeze(-1) + constant((1, width, -1, -width), x)  # (B,K,4)
    around = heatmaps.flatten(2).gather(2, sides.clamp(0, height * width - 1))
    slope = around[..., :2] - around[..., 2:]
    return keypoints + torch.where(inner, torch.sign(slope) * 0.25, 0.0)
