"""DARK: heatmaps with sub-pixel Gaussians, decoded by a Taylor expansion of the log heatmap at its maximum.

Distribution-Aware Coordinate Representation for Human Pose Estimation (Zhang et al. 2020, arXiv:1910.06278).
Encoding: a Gaussian around the unquantised keypoint. Decoding: smooth with a Gaussian (eq. 10) and restore the maximum
(eq. 11; the authors' code scales and does not subtract the minimum), take the logarithm, and step from the maximum m of
the map by -H(m)^-1 D(m) (eq. 9).

Shapes: keypoints (B,K,2) · heatmaps (B,K,h,w), one channel a joint · scores (B,K), the maxima before smoothing.
The code measures boxes, inputs and heatmaps between outermost pixels: w - 1 everywhere, the height following the width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..utils.compiled import loops_take
from ..utils.constants import constant
from ..utils.geometry import similarity_matrix
from ..utils.heatmaps import argmax_2d, keypoints_in_loops
from . import dark_loops
from .base import Codec, require, require_one_stride
from .blur import blur, blur_around, gaussian_kernel, outwards
from .rendering import gaussian_maps, reaches_map

FLOOR = 1e-10  # smallest value whose logarithm is taken


class DarkCodec(Codec):
    name = "dark"
    inclusive_boxes = True

    def __init__(
        self,
        input_size: Sequence[int],
        heatmap_size: Sequence[int],
        num_joints: int,
        joint_weights: Sequence[float] | None = None,
        sigma: float = 2.0,
        blur_kernel: int = 11,
    ):
        """`sigma` in heatmap px; `blur_kernel` the side of the smoothing kernel, heatmap px, odd."""
        super().__init__(input_size, heatmap_size, num_joints, joint_weights)
        require_one_stride(self.input_size, self.heatmap_size)
        self.sigma = require(sigma > 0, sigma, "sigma", "more than 0 heatmap px")
        require(blur_kernel > 0 and blur_kernel % 2 == 1, blur_kernel, "blur_kernel", "an odd number of heatmap px")
        self.kernel = gaussian_kernel(int(blur_kernel))

    def warp_matrix(self, center: np.ndarray, scale: np.ndarray, rotation: float = 0.0) -> np.ndarray:
        return similarity_matrix(center, scale, rotation, self.input_size, inclusive=True)

    def input_to_heatmap(self, keypoints_input: Tensor) -> Tensor:
        """Input px back to the box and on to the heatmap: both maps keep the middle and have the widths' ratio."""
        input_middle = (constant(self.input_size, keypoints_input) - 1) / 2
        heatmap_middle = (constant(self.heatmap_size, keypoints_input) - 1) / 2
        ratio = (self.heatmap_size[0] - 1) / (self.input_size[0] - 1)
        return (keypoints_input - input_middle) * ratio + heatmap_middle

    def render(self, keypoints_heatmap: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussians around the keypoints themselves, over the whole map; too far outside, a joint weighs nothing."""
        weight = visible * reaches_map(keypoints_heatmap, self.sigma, self.heatmap_size)
        target = gaussian_maps(keypoints_heatmap, self.sigma, self.heatmap_size, drawn=weight > 0.5)
        return target, self._weigh(weight)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The first maximum of every map and its Taylor step, where it is two pixels or more from the border.

        (0, 0) where the maximum, the score, is not above 0. The step is not limited, and zero for a singular Hessian.
        """
        self.check_output(output)
        heatmaps = output.float()
        if loops_take(heatmaps):
            return keypoints_in_loops(dark_loops.taylor_keypoints, heatmaps, outwards(self.kernel), FLOOR)
        keypoints, scores = argmax_2d(heatmaps)
        last = constant(self.heatmap_size, keypoints) - 2
        inner = ((keypoints > 1) & (keypoints < last)).all(dim=-1)
        step = taylor_step(self._log_windows(heatmaps, keypoints, scores, inner))
        return keypoints + torch.where(inner.unsqueeze(-1), step, 0.0), scores

    def _log_windows(self, heatmaps: Tensor, keypoints: Tensor, scores: Tensor, inner: Tensor) -> Tensor:
        """Logarithms (B,K,5,5) of the smoothed maps around the keypoints, the maximum restored where it matters."""
        windows = blur_around(heatmaps, keypoints, 2, self.kernel, "constant")
        # Restoring the maximum multiplies by a factor >= 1, which derivatives of the logarithm do not see as long as no
        # value is below the floor; only maps with such a value near their maximum need the maximum of the smoothed map.
        low = inner & (windows < FLOOR).flatten(2).any(dim=2)
        # All maps are blurred: to pick some out, the host would have to wait for their number.
        smoothed_maxima = blur(heatmaps, self.kernel, "constant").amax(dim=(2, 3))
        windows = torch.where(low[..., None, None], windows * (scores / smoothed_maxima)[..., None, None], windows)
        return windows.clamp(min=FLOOR).log()

    def to_image(self, keypoints_heatmap: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        middle = (constant(self.heatmap_size, keypoints_heatmap) - 1) / 2
        stride_image = (scale[:, None, :1] - 1) / (
            self.heatmap_size[0] - 1
        )  # the height's follows from the aspect ratio
        return (keypoints_heatmap - middle) * stride_image + center[:, None]


def taylor_step(window: Tensor) -> Tensor:
    """The step (B,K,2) from the middle of windows (B,K,5,5) of a log heatmap to its maximum (eq. 9).

    Second differences reach two pixels, as in the authors' code. Zero where the Hessian is singular.

    >>> x = torch.arange(-2.0, 3.0)
    >>> taylor_step(-((x - 0.3) ** 2)[None, :] - ((x + 0.1) ** 2)[:, None])
    tensor([ 0.3000, -0.1000])
    """
    f = window
    dx, dy = (f[..., 2, 3] - f[..., 2, 1]) / 2, (f[..., 3, 2] - f[..., 1, 2]) / 2
    dxx = (f[..., 2, 4] - 2 * f[..., 2, 2] + f[..., 2, 0]) / 4
    dyy = (f[..., 4, 2] - 2 * f[..., 2, 2] + f[..., 0, 2]) / 4
    dxy = (f[..., 3, 3] - f[..., 1, 3] - f[..., 3, 1] + f[..., 1, 1]) / 4
    return newton_step(dx, dy, dxx, dxy, dyy)


def newton_step(dx: Tensor, dy: Tensor, dxx: Tensor, dxy: Tensor, dyy: Tensor) -> Tensor:
    """-H^-1 D, (...,2), of first and second derivatives (...); zero where the determinant of H is."""
    determinant = dxx * dyy - dxy**2
    step = torch.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), dim=-1) / determinant.unsqueeze(-1)
    return torch.where((determinant == 0).unsqueeze(-1), 0.0, step)
