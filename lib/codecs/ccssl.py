"""CC-SSL: the stacked hourglass' heatmaps as in the code of Learning from Synthetic Animals, whole pixels at both ends.

Learning from Synthetic Animals (Mu et al. 2020, arXiv:1911.08649), whose code inherits Newell et al.'s (2016) habit of
counting from 1. Encoding: a Gaussian or a Cauchy bell around the pixel that the keypoint lies in. Decoding: the
maximum, a quarter shift, and half a pixel, since positions were cut off; what comes out is cut off to whole image px.

Shapes: keypoints (B,K,2) · heatmaps (B,K,h,w), one channel a joint · scores (B,K), the maxima. Strides are W/w and H/h.
All coordinates begin at 0: the original's less 1.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..utils.constants import constant
from ..utils.heatmaps import argmax_2d
from .base import Codec, require, require_one_stride
from .gaussian import quarter_shift
from .rendering import cauchy_maps, gaussian_maps, reaches_map

SHAPES = {"gaussian": gaussian_maps, "cauchy": cauchy_maps}
NOT_FOUND = -0.5  # heatmap px: pixel 0 of those that count from 1, half a pixel added


class CcsslCodec(Codec):
    name = "ccssl"
    peak_offset = -0.5  # positions are cut off to whole px

    def __init__(
        self,
        input_size: Sequence[int],
        heatmap_size: Sequence[int],
        num_joints: int,
        joint_weights: Sequence[float] | None = None,
        sigma: float = 1.0,
        target_shape: str = "gaussian",
    ):
        """`sigma` in heatmap px; `target_shape` is gaussian, or cauchy, with the maximum 1 / sigma^2."""
        super().__init__(input_size, heatmap_size, num_joints, joint_weights)
        require_one_stride(self.input_size, self.heatmap_size)
        self.sigma = require(sigma > 0, sigma, "sigma", "more than 0 heatmap px")
        self.target_shape = require(target_shape in SHAPES, target_shape, "target_shape", " or ".join(SHAPES))
        self.peak = 1.0 if target_shape == "gaussian" else sigma**-2

    def warp_matrix(self, center: np.ndarray, scale: np.ndarray, rotation: float = 0.0) -> np.ndarray:
        """The standard crop without the float32 roundings of `similarity_matrix`, which would move what is cut off."""
        angle = np.deg2rad(rotation)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turn *= self.input_size[0] / float(scale[0])  # the height follows from the aspect ratio
        move = np.asarray(self.input_size) / 2 - turn @ np.asarray(center, np.float64)
        return np.concatenate([turn, move[:, None]], axis=1)

    def input_to_heatmap(self, keypoints_input: Tensor) -> Tensor:
        return keypoints_input / (self.input_size[0] / self.heatmap_size[0])

    def render(self, keypoints_heatmap: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Bells around the keypoints cut off to whole pixels, in a box of 6 sigma.

        A joint whose box misses the map weighs nothing.
        """
        pixels = torch.trunc(keypoints_heatmap)  # toward zero: -0.9 goes to 0
        weight = visible * reaches_map(pixels, self.sigma, self.heatmap_size)
        draw = SHAPES[self.target_shape]
        return draw(pixels, self.sigma, self.heatmap_size, weight > 0.5, pixels), self._weigh(weight)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The first maximum of every map, a quarter px toward its higher neighbours, and half a pixel on top.

        (-0.5, -0.5) where the maximum, the score, is not above 0. The border pixels alone are not shifted.
        """
        self.check_output(output)
        heatmaps = output.float()
        pixels, scores = argmax_2d(heatmaps)
        keypoints = quarter_shift(heatmaps, pixels, above=0) + 0.5
        return torch.where((scores > 0).unsqueeze(-1), keypoints, NOT_FOUND), scores

    def to_image(self, keypoints_heatmap: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """Cut off to whole image px, toward zero."""
        middle = constant(self.heatmap_size, keypoints_heatmap).double() / 2
        stride_image = scale[:, None, :1].double() / self.heatmap_size[0]  # the height's follows from the aspect ratio
        keypoints_image = (keypoints_heatmap - middle) * stride_image + center[:, None]
        return torch.trunc(keypoints_image).to(keypoints_heatmap.dtype)
