"""What UDP and G-RMI share: lengths measured between outermost pixels, and the disk with offsets as an encoding.

Shapes: keypoints (B,K,2) · disks with offsets (B,3K,h,w), channels 3k disk, 3k + 1 and 3k + 2 the x and y offsets from
a pixel to the keypoint in units of the disk's radius.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..utils.compiled import in_shares, on_cpu
from ..utils.constants import constant
from ..utils.geometry import udp_matrix
from . import drawing_loops
from .base import Codec

FAR = 1 << 20  # heatmap px: further away than any pixel, and exact in float32


class AlignedCodec(Codec):
    """UDP's geometry: crop and stride take outermost pixels to outermost pixels, x and y apart."""

    def warp_matrix(self, center: np.ndarray, scale: np.ndarray, rotation: float = 0.0) -> np.ndarray:
        return udp_matrix(center, scale, rotation, self.input_size)

    def input_to_heatmap(self, keypoints_input: Tensor) -> Tensor:
        input_extent = constant(self.input_size, keypoints_input) - 1
        return keypoints_input / (input_extent / (constant(self.heatmap_size, keypoints_input) - 1))

    def to_image(self, keypoints_heatmap: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        width, height = self.heatmap_size
        stride_image = scale / constant((width - 1, height - 1), scale)
        corner = torch.sub(center, scale, alpha=0.5)
        return torch.addcmul(corner[:, None], keypoints_heatmap, stride_image[:, None])


class DiskCodec(AlignedCodec):
    """A disk around the keypoint, and in it the offsets that lead there."""

    channels_per_joint = 3
    disk_radius: tuple[float, float]  # along x and along y, heatmap px; set by the subclass

    def render(self, keypoints_heatmap: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Disks with the offsets from their pixels to the keypoint, over the radius; zero elsewhere.

        A visible joint outside the map keeps its weight, as in UDP's code.
        """
        middle = keypoints_heatmap.nan_to_num().round().clamp(-FAR, FAR).long()  # what is far outside draws nothing
        along = [self._along(keypoints_heatmap, middle, axis) for axis in range(2)]  # pixels within the radius
        draw = self._draw_in_loops if on_cpu(keypoints_heatmap) else self._draw
        return draw(visible > 0.5, *along).flatten(1, 2), self._weigh(visible)

    def _draw_in_loops(self, drawn: Tensor, along_x: tuple[Tensor, Tensor], along_y: tuple[Tensor, Tensor]) -> Tensor:
        """`_draw` on a CPU."""
        width, height = self.heatmap_size
        (columns, offsets_x), (rows, offsets_y) = along_x, along_y
        target = torch.empty(*drawn.shape, 3, height, width)
        corner = torch.stack((columns[..., 0], rows[..., 0]), dim=-1)
        arrays = [each.flatten(0, 1).contiguous().numpy() for each in (drawn, corner, offsets_x, offsets_y, target)]
        in_shares(drawing_loops.disks, len(arrays[0]), *arrays)
        return target

    def _draw(self, drawn: Tensor, along_x: tuple[Tensor, Tensor], along_y: tuple[Tensor, Tensor]) -> Tensor:
        """Disks and offsets (B,K,3,h,w) where `drawn` (B,K), from pixels and distances (B,K,n) in x and in y."""
        (columns, offsets_x), (rows, offsets_y) = along_x, along_y
        near = offsets_x.square().unsqueeze(-2) + offsets_y.square().unsqueeze(-1) <= 1  # (B,K,m,n)
        near = near & self._on_map(columns, 0).unsqueeze(-2) & self._on_map(rows, 1).unsqueeze(-1)
        near = near & drawn[..., None, None]
        width, height = self.heatmap_size
        inside_x, inside_y = columns.clamp(0, width - 1), rows.clamp(0, height - 1)
        pixel = (inside_y.unsqueeze(-1) * width + inside_x.unsqueeze(-2)).flatten(2)  # (B,K,m*n)
        values = torch.stack([
            near.float(),
            torch.where(near, offsets_x.float().unsqueeze(-2), 0.0),
            torch.where(near, offsets_y.float().unsqueeze(-1), 0.0),
        ], dim=2)  # fmt: skip
        target = torch.zeros((*near.shape[:2], 3, height * width), device=near.device)
        # Pixels moved onto the map's border add zeros there, so that nothing waits for a count of the others.
        target.scatter_add_(3, pixel.unsqueeze(2).expand(-1, -1, 3, -1), values.flatten(3))
        return target.view(*drawn.shape, 3, height, width)

    def _along(self, keypoints_heatmap: Tensor, middle: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        """Pixels (B,K,n) around the keypoints along one axis, and the signed distances from them in radii."""
        reach = int(self.disk_radius[axis]) + 1
        pixels = middle[..., axis, None] + torch.arange(-reach, reach + 1, device=middle.device)
        return pixels, (keypoints_heatmap[..., axis, None] - pixels) / self.disk_radius[axis]

    def _on_map(self, pixels: Tensor, axis: int) -> Tensor:
        return (pixels >= 0) & (pixels < self.heatmap_size[axis])

    def flip_back(self, output: Tensor, flip_pairs: Sequence[Sequence[int]]) -> Tensor:
        """As every codec's, with x offsets that point the other way."""
        flipped = super().flip_back(output, flip_pairs)
        flipped[:, 1::3].neg_()
        return flipped

    def by_joint(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Disks, x offsets and y offsets, (B,K,h,w) each, of an output (B,3K,h,w); views, no copies."""
        disks, offsets_x, offsets_y = output.unflatten(1, (self.num_joints, 3)).unbind(dim=2)
        return disks, offsets_x, offsets_y
