"""UDP: every length is measured between outermost pixels, so that flipping and resizing agree with each other.

The Devil is in the Details: Delving into Unbiased Data Processing for Human Pose Estimation (Huang et al. 2020,
arXiv:1911.07524). Crop, stride and flip measure W - 1 and w - 1, x and y apart. Two encodings: `udp` is a Gaussian
around the keypoint itself, decoded by a Taylor step of the log heatmap as DARK does; `udp_offset`, after G-RMI, is a
disk that says "near", and in it the offsets to the keypoint.

Shapes: keypoints (B,K,2) · `udp` heatmaps (B,K,h,w) · `udp_offset` outputs (B,3K,h,w), channels 3k disk, 3k + 1 and
3k + 2 the x and y offsets in units of the disk's radius · scores (B,K).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..utils.compiled import in_shares, loops_take
from ..utils.heatmaps import argmax_2d, keypoints_in_loops
from ..utils.vectors import LANES
from . import udp_loops
from .aligned import AlignedCodec, DiskCodec
from .base import require
from .blur import blur, blur_around, gather_windows, gaussian_kernel, outwards
from .dark import newton_step
from .rendering import gaussian_maps, reaches_map

BLUR_KERNEL = 7  # of heatmaps before the Taylor step
DISK_KERNEL, OFFSET_KERNEL = 15, 7  # of the channels of `udp_offset`
FLOOR, CEILING = 0.001, 50.0  # range of a heatmap whose logarithm is taken


class UdpCodec(AlignedCodec):
    name = "udp"

    def __init__(
        self,
        input_size: Sequence[int],
        heatmap_size: Sequence[int],
        num_joints: int,
        joint_weights: Sequence[float] | None = None,
        sigma: float = 2.0,
        post_process: bool = True,
    ):
        """`sigma` in heatmap px; `post_process` is the Taylor step."""
        super().__init__(input_size, heatmap_size, num_joints, joint_weights)
        self.sigma = require(sigma > 0, sigma, "sigma", "more than 0 heatmap px")
        self.post_process = post_process
        self.kernel = _kernel(BLUR_KERNEL, self.heatmap_size)

    def render(self, keypoints_heatmap: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussians around the keypoints themselves, cut off outside the box of 6 sigma around the nearest pixel.

        A joint whose box misses the map weighs nothing.
        """
        pixels = torch.trunc(keypoints_heatmap + 0.5)
        weight = visible * reaches_map(pixels, self.sigma, self.heatmap_size)
        target = gaussian_maps(keypoints_heatmap, self.sigma, self.heatmap_size, drawn=weight > 0.5, middle=pixels)
        return target, self._weigh(weight)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The first maximum of every map, with `post_process` and its Taylor step, which is not limited.

        (0, 0) where the maximum, the score, is not above 0. NaN with `post_process` where a map is flat.
        """
        self.check_output(output)
        heatmaps = output.float()
        if not self.post_process:
            return argmax_2d(heatmaps)
        if loops_take(heatmaps) and self.heatmap_size[0] >= LANES:
            kernel = outwards(self.kernel)
            return keypoints_in_loops(udp_loops.taylor_keypoints, heatmaps, kernel, FLOOR, CEILING)
        keypoints, scores = argmax_2d(heatmaps)
        return keypoints + taylor_step(self._log_windows(heatmaps, keypoints, scores)), scores

    def _log_windows(self, heatmaps: Tensor, keypoints: Tensor, scores: Tensor) -> Tensor:
        """Logarithms (B,K,3,3) around the keypoints of the maps, blurred and stretched to the range 0 to score.

        Beyond the map its outermost pixels go on.
        """
        blurred = blur(heatmaps, self.kernel, "reflect")
        lowest = blurred.amin(dim=(2, 3))
        stretch = scores / (blurred.amax(dim=(2, 3)) - lowest)
        windows = gather_windows(blurred, keypoints, 1, "replicate") - lowest[..., None, None]
        return (windows * stretch[..., None, None]).clamp(FLOOR, CEILING).log()


def taylor_step(window: Tensor) -> Tensor:
    """The step (B,K,2) from the middle of windows (B,K,3,3) of a log heatmap to its maximum.

    The mixed derivative looks along one diagonal only, as in the authors' code. Zero where the Hessian is singular.

    >>> x = torch.arange(-1.0, 2.0)
    >>> taylor_step(-((x - 0.3) ** 2)[None, :] - ((x + 0.1) ** 2)[:, None])
    tensor([ 0.3000, -0.1000])
    """
    f = window
    dx, dy = (f[..., 1, 2] - f[..., 1, 0]) / 2, (f[..., 2, 1] - f[..., 0, 1]) / 2
    dxx = f[..., 1, 2] - 2 * f[..., 1, 1] + f[..., 1, 0]
    dyy = f[..., 2, 1] - 2 * f[..., 1, 1] + f[..., 0, 1]
    edges = f[..., 1, 2] + f[..., 2, 1] + f[..., 1, 0] + f[..., 0, 1]
    dxy = (f[..., 2, 2] + f[..., 0, 0] + 2 * f[..., 1, 1] - edges) / 2
    return newton_step(dx, dy, dxx, dxy, dyy)


class UdpOffsetCodec(DiskCodec):
    name = "udp_offset"

    def __init__(
        self,
        input_size: Sequence[int],
        heatmap_size: Sequence[int],
        num_joints: int,
        joint_weights: Sequence[float] | None = None,
        kpd: float = 4.0,
    ):
        """`kpd` is the disk's radius, heatmap px."""
        super().__init__(input_size, heatmap_size, num_joints, joint_weights)
        self.kpd = require(kpd > 0, kpd, "kpd", "more than 0 heatmap px")
        self.disk_radius = (self.kpd, self.kpd)
        self.disk_kernel = _kernel(DISK_KERNEL, self.heatmap_size)
        self.offset_kernel = _kernel(OFFSET_KERNEL, self.heatmap_size)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The first maximum of every blurred disk plus the blurred offset there; the score is the blurred disk's value.

        Where that value is not above 0 the offset is taken from pixel (0, 0).
        """
        self.check_output(output)
        output = output.float()
        if loops_take(output) and self.heatmap_size[0] >= LANES:
            return self._decode_in_loops(output.contiguous())
        disks, offsets_x, offsets_y = self.by_joint(output)
        pixels, scores = argmax_2d(blur(disks, self.disk_kernel, "reflect"))
        offsets = [blur_around(o, pixels, 0, self.offset_kernel, "reflect").flatten(2) for o in (offsets_x, offsets_y)]
        return pixels + torch.cat(offsets, dim=2) * self.kpd, scores

    def _decode_in_loops(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """`decode` on a CPU."""
        keypoints = output.new_empty(len(output), self.num_joints, 2)
        scores = output.new_empty(len(output), self.num_joints)
        maps, kernels = output.numpy().reshape(-1, *output.shape[2:]), (self.disk_kernel, self.offset_kernel)
        in_shares(udp_loops.disk_keypoints, scores.numel(), maps, *map(outwards, kernels), np.float32(self.kpd),
                  keypoints.numpy().reshape(-1, 2), scores.numpy().reshape(-1))  # fmt: skip
        return keypoints, scores


def _kernel(size: int, heatmap_size: tuple[int, int]) -> list[float]:
    """The blur's weights; a ValueError where its border, which mirrors the map, would reach beyond the map."""
    require(
        min(heatmap_size) > size // 2, heatmap_size, "heatmap_size", f"sides of more than {size // 2} px for the blur"
    )
    return gaussian_kernel(size)
