"""What UDP and G-RMI share: lengths measured between outermost pixels, and the disk with offsets as an encoding.

Shapes: keypoints (B,K,2) · disks with offsets (B,3K,h,w), channels 3k disk, 3k + 1 and 3k + 2 the x and y offsets from
a pixel to the keypoint in units of the disk's radius.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..utils.constants import constant
from ..utils.geometry import udp_matrix
from .base import Codec


class AlignedCodec(Codec):
    """UDP's geometry: crop and stride take outermost pixels to outermost pixels, x and y apart."""

    def warp_matrix(self, center: np.ndarray, scale: np.ndarray, rotation: float = 0.0) -> np.ndarray:
        return udp_matrix(center, scale, rotation, self.input_size)

    def input_to_heatmap(self, keypoints_input: Tensor) -> Tensor:
        input_extent = constant(self.input_size, keypoints_input) - 1
        return keypoints_input / (input_extent / (constant(self.heatmap_size, keypoints_input) - 1))

    def to_image(self, keypoints_heatmap: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        stride_image = scale / (constant(self.heatmap_size, scale) - 1)
        return keypoints_heatmap * stride_image[:, None] + (center - scale / 2)[:, None]


class DiskCodec(AlignedCodec):
    """A disk around the keypoint, and in it the offsets that lead there."""

    channels_per_joint = 3
    disk_radius: tuple[float, float]  # along x and along y, heatmap px; set by the subclass

    def render(self, keypoints_heatmap: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Disks with the offsets from their pixels to the keypoint, over the radius; zero elsewhere.

        A visible joint outside the map keeps its weight, as in UDP's code.
        """
        offsets_x, offsets_y = (self._offsets(keypoints_heatmap, axis) for axis in (0, 1))  # (B,K,w), (B,K,h)
        near = offsets_x.square().unsqueeze(-2) + offsets_y.square().unsqueeze(-1) <= 1  # (B,K,h,w)
        near = near & (visible > 0.5)[..., None, None]
        target = torch.zeros((*near.shape[:2], 3, *near.shape[2:]), device=near.device)  # (B,K,3,h,w)
        target[:, :, 0] = near
        target[:, :, 1] = torch.where(near, offsets_x.float().unsqueeze(-2), 0.0)
        target[:, :, 2] = torch.where(near, offsets_y.float().unsqueeze(-1), 0.0)
        return target.flatten(1, 2), self._weigh(visible)

    def _offsets(self, keypoints_heatmap: Tensor, axis: int) -> Tensor:
        """Signed distances (B,K,w or h) along one axis from every pixel to the keypoints, in units of the radius."""
        pixels = torch.arange(self.heatmap_size[axis], device=keypoints_heatmap.device)
        return (keypoints_heatmap[..., axis, None] - pixels) / self.disk_radius[axis]

    def flip_back(self, output: Tensor, flip_pairs: Sequence[Sequence[int]]) -> Tensor:
        """As every codec's, with x offsets that point the other way."""
        flipped = super().flip_back(output, flip_pairs)
        flipped[:, 1::3].neg_()
        return flipped

    def by_joint(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Disks, x offsets and y offsets, (B,K,h,w) each, of an output (B,3K,h,w); views, no copies."""
        disks, offsets_x, offsets_y = output.unflatten(1, (self.num_joints, 3)).unbind(dim=2)
        return disks, offsets_x, offsets_y
