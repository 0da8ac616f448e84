"""MSPN: heatmaps up to 255 of a blurred pixel, the blur wide for the coarse outputs and narrow for the fine ones.

Rethinking on Multi-Stage Networks for Human Pose Estimation (Li et al. 2019, arXiv:1901.00148), as in its authors' code
(Megvii's). Encoding: the pixel that the keypoint lies in, blurred with each kernel in turn and scaled to a maximum of
255 (section 3.3, coarse-to-fine supervision). Decoding: blur, then from the highest pixel a share of a pixel towards
the next highest. A pixel of the heatmap stands for the middle of its cell of the input, x * 4 + 2.

Shapes: keypoints (B,K,2) · heatmaps (B,K,h,w), one channel a joint · scores (B,K), map / 255 + 0.5.
The crop is the standard one; boxes grow by shares of their sides before they take the aspect ratio.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..utils.constants import constant
from ..utils.geometry import similarity_matrix
from .base import Codec, require, require_one_stride
from .blur import blur_double, gaussian_kernel
from .soft_argmax import value_at

KERNELS = (15, 11, 9, 7, 5)  # sides of the blurs of the targets, heatmap px; the last is the final output's
BORDER = 10  # zeros around a heatmap in which its blur may put a maximum, heatmap px
NEAR = 1e-3  # heatmap px; peaks closer together give no direction


class MegviiCodec(Codec):
    name = "megvii"
    graded_visibility = True
    peak = 255.0

    def __init__(
        self,
        input_size: Sequence[int],
        heatmap_size: Sequence[int],
        num_joints: int,
        joint_weights: Sequence[float] | None = None,
        blur_kernel: int = 5,
        shift_ratios: Sequence[float] = (0.25,),
        box_extension: Sequence[float] = (0.09, 0.135),
    ):
        """`blur_kernel` is the side of the decoder's blur, heatmap px, odd; `shift_ratios` are steps in heatmap px.

        `box_extension` are the shares of width and height by which boxes grow for testing. Joint weights do not exist
        in this convention: weights are visibilities.
        """
        super().__init__(input_size, heatmap_size, num_joints, joint_weights)
        require(joint_weights is None, joint_weights, "joint_weights", "None with codec megvii, which has no weights")
        require_one_stride(self.input_size, self.heatmap_size)
        reach = max(KERNELS) // 2
        require(min(self.heatmap_size) > reach, self.heatmap_size, "heatmap_size", f"sides of more than {reach} px")
        require(blur_kernel > 0 and blur_kernel % 2 == 1, blur_kernel, "blur_kernel", "an odd number of heatmap px")
        require(len(box_extension) == 2 and min(box_extension) >= 0, box_extension, "box_extension", "two shares")
        self.stride = self.input_size[0] / self.heatmap_size[0]
        self.kernel, self.shift_ratios = gaussian_kernel(int(blur_kernel)), tuple(shift_ratios)
        self.box_extension = (float(box_extension[0]), float(box_extension[1]))

    def warp_matrix(self, center: np.ndarray, scale: np.ndarray, rotation: float = 0.0) -> np.ndarray:
        return similarity_matrix(center, scale, rotation, self.input_size)

    def input_to_heatmap(self, keypoints_input: Tensor) -> Tensor:
        return keypoints_input / self.stride - 0.5

    def render(self, keypoints_heatmap: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """The narrowest blur's maps. Weights are the visibilities; a joint outside the input has none and no map."""
        weight = visible * self._lies_inside(keypoints_heatmap)
        return self._blurred_pixels(keypoints_heatmap, weight, KERNELS[-1]), self._weigh(weight)

    def training_targets(self, keypoints_input: Tensor, visible: Tensor) -> tuple[list[Tensor], Tensor]:
        """One target (B,K,h,w) for each of KERNELS, the widest first, and the weight (B,K,1).

        `visible` is 2 for joints that are seen, 1 for hidden and 0 for unlabelled ones, and so is the weight.
        """
        keypoints_heatmap = self.input_to_heatmap(keypoints_input)
        final, weight = self.render(keypoints_heatmap, visible)
        coarse = [self._blurred_pixels(keypoints_heatmap, weight.squeeze(-1), kernel) for kernel in KERNELS[:-1]]
        return [*coarse, final], weight

    def _lies_inside(self, keypoints_heatmap: Tensor) -> Tensor:
        """Mask (B,K) of the points between the outermost pixels of the input."""
        last = (constant(self.input_size, keypoints_heatmap) - 1) / self.stride - 0.5
        return ((keypoints_heatmap >= -0.5) & (keypoints_heatmap <= last)).all(dim=-1)

    def _blurred_pixels(self, keypoints_heatmap: Tensor, weight: Tensor, kernel: int) -> Tensor:
        """Maps (B,K,h,w) float32 of the nearest pixels under a blur, with maximum 255, empty where weight is 0."""
        drawn = (weight > 0.5).unsqueeze(-1)
        pixels = torch.where(drawn, torch.floor(keypoints_heatmap + 0.5), 0.0).long()
        along_x, along_y = (
            _blurred_pixel(pixels[..., axis, None], length, gaussian_kernel(kernel))
            for axis, length in enumerate(self.heatmap_size)
        )
        return torch.where(drawn, along_y, 0.0).mul(self.peak)[..., :, None] * along_x[..., None, :]

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """From the highest pixel of every blurred map, `shift_ratios` px towards the next highest ones in turn.

        The blur reaches beyond the map, where there is zero; what is found there is moved to the nearest pixel of the
        map. The score is the map's own value at the rounded place, over 255, plus 0.5. So a map without a positive
        value is decoded to pixel (0, 0), with a score that may be above 0.
        """
        self.check_output(output)
        blurred = blur_double(F.pad(output, (BORDER,) * 4), self.kernel)
        keypoints = _take_highest(blurred)
        for ratio in self.shift_ratios:
            way = _take_highest(blurred) - keypoints
            length = torch.linalg.vector_norm(way, dim=-1, keepdim=True)
            keypoints = keypoints + torch.where(length > NEAR, ratio * way / length, 0.0)
        last = constant(self.heatmap_size, keypoints) - 1
        keypoints = torch.minimum(keypoints.clamp(min=0), last)
        return keypoints.float(), value_at(output.float(), keypoints) / self.peak + 0.5

    def to_image(self, keypoints_heatmap: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        share = (keypoints_heatmap + 0.5) * self.stride / constant(self.input_size, keypoints_heatmap)
        return share * scale[:, None] + (center - scale * 0.5)[:, None]


def _blurred_pixel(pixel: Tensor, length: int, kernel: list[float]) -> Tensor:
    """Profiles (...,length) with maximum 1 of rows that are 1 at `pixel` (...,1), 0 elsewhere, under a blur.

    It mirrors at the ends; next to one the mirrored part adds up, and the maximum can move there.

    >>> _blurred_pixel(torch.tensor([[2], [1]]), 5, [0.25, 0.5, 0.25])
    tensor([[0.0000, 0.5000, 1.0000, 0.5000, 0.0000],
            [1.0000, 1.0000, 0.5000, 0.0000, 0.0000]])
    """
    reach = len(kernel) // 2
    by_distance = constant((*kernel[reach:], 0.0), torch.empty(0, device=pixel.device))
    columns, last = torch.arange(length, device=pixel.device), length - 1
    profile = by_distance[(columns - pixel).abs().clamp(max=reach + 1)]
    for mirrored, exists in ((-pixel, pixel > 0), (2 * last - pixel, pixel < last)):
        profile = profile + by_distance[(columns - mirrored).abs().clamp(max=reach + 1)] * exists
    return profile / profile.amax(dim=-1, keepdim=True)


def _take_highest(maps: Tensor) -> Tensor:
    """Places (B,K,2) of the first maxima of bordered maps (B,K,h,w), heatmap px, which are set to 0."""
    width, flat = maps.shape[3], maps.flatten(2)  # a view, so that what is set is set in `maps`
    index = flat.max(dim=2, keepdim=True).indices
    flat.scatter_(2, index, 0.0)
    return torch.cat((index % width, index // width), dim=-1).to(maps.dtype) - BORDER
