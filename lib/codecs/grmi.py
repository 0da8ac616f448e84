"""G-RMI: every pixel of a disk around the keypoint votes for the place that its offset points to.

Towards Accurate Multi-person Pose Estimation in the Wild (Papandreou et al. 2017, arXiv:1701.01779), section 3.2. A
joint's target is 1 in a disk around it and, in the disk, the offsets to it. Decoding fuses the two, eq. 1:
f(x_i) = sum_j G(x_j + F(x_j) - x_i) h(x_j) / (pi R^2), h the sigmoid of the first channel, G the bilinear kernel.

Shapes: keypoints (B,K,2) · outputs (B,3K,h,w), channels 3k the disk's logit, 3k + 1 and 3k + 2 the x and y offsets in
units of the disk's radius, so that they are of the order of 1 at every size · scores (B,K).
Lengths are measured between outermost pixels: 257x353 and 33x45 px are a stride of exactly 8 apart, and input px 8i is
the middle of what a convolutional network sees at heatmap px i.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..utils.heatmaps import argmax_2d
from .aligned import DiskCodec
from .base import require
from .blur import gather_windows

PERFECT = 20.0  # logit of a probability that float32 cannot tell from 1
FRAME = 1  # px around a vote map that take the votes outside it


class GrmiCodec(DiskCodec):
    name = "grmi"

    def __init__(
        self,
        input_size: Sequence[int],
        heatmap_size: Sequence[int],
        num_joints: int,
        joint_weights: Sequence[float] | None = None,
        radius: float = 25.0,
        vote_upsampling: int = 1,
    ):
        """`radius` of the disk, input px; `vote_upsampling` is the number of vote map px for each heatmap px.

        The paper votes at the crop's resolution, an upsampling by the stride. Without, decoding is 60 times faster and
        about as accurate (docs/grmi.md), and exact where outputs are perfect.
        """
        super().__init__(input_size, heatmap_size, num_joints, joint_weights)
        stride_x, stride_y = (
            (side - 1) / (length - 1) for side, length in zip(self.input_size, self.heatmap_size, strict=True)
        )
        corner = math.hypot(stride_x, stride_y) / 2
        require(radius >= corner, radius, "radius", f"{corner:.1f} input px or more: a smaller disk may hold no pixel")
        self.disk_radius = (radius / stride_x, radius / stride_y)
        require(vote_upsampling >= 1, vote_upsampling, "vote_upsampling", "1 or more")
        self.vote_upsampling = int(vote_upsampling)

    def heatmaps(self, output: Tensor) -> Tensor:
        return super().heatmaps(output).sigmoid()

    def peaks(self, target: Tensor) -> Tensor:
        """Highest at the keypoint: the disk less the squared distance in it."""
        disks, offsets_x, offsets_y = self.by_joint(target)
        return disks - offsets_x.square() - offsets_y.square()

    def perfect_output(self, target: Tensor) -> Tensor:
        output = target.clone()
        output[:, ::3] = (2 * target[:, ::3] - 1) * PERFECT
        return output

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The centroid of the 2x2 px of the vote map that gather most votes; the score is f there, eq. 1.

        Votes for one place fall on the 2x2 px around it, with that place as their centroid: then this is exact, and all
        places between the pixels have the same chance. The paper takes place and score of the single best pixel. (0, 0)
        where no vote falls into the map.
        """
        self.check_output(output)
        x, y, weight = self.ballots(output.float())
        places = densest(hough_votes(x, y, weight))
        return places / self.vote_upsampling, votes_at(places, x, y, weight)

    def ballots(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Where each pixel's vote goes, x and y in vote map px, and what it weighs: (B,K,vh,vw) each.

        The weights of a perfect output sum to about 1.
        """
        factor = self.vote_upsampling
        width, height = ((side - 1) * factor + 1 for side in self.heatmap_size)
        if factor > 1:
            output = F.interpolate(output, (height, width), mode="bilinear", align_corners=True)
        logits, offsets_x, offsets_y = self.by_joint(output)
        radius_x, radius_y = (radius * factor for radius in self.disk_radius)
        columns, rows = (torch.arange(side, device=output.device) for side in (width, height))
        weight = logits.sigmoid() / (math.pi * radius_x * radius_y)
        return columns + offsets_x * radius_x, rows.unsqueeze(-1) + offsets_y * radius_y, weight


def hough_votes(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Maps (B,K,h,w) of what falls on each pixel when `weight` is laid down at (x, y), all (B,K,h,w), in px.

    Bilinear: a weight is shared out among the four pixels around its place. What falls outside the map is lost; a place
    that is not a number makes NaN. On CUDA the order of the sums is not fixed, so neither are the last bits.

    >>> place = torch.tensor([[[[0.25, 9.0]]]])
    >>> hough_votes(place, torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2))
    tensor([[[[0.7500, 0.2500]]]])
    """
    height, width = weight.shape[2:]
    x, y = x.clamp(-FRAME, width) + FRAME, y.clamp(-FRAME, height) + FRAME
    left, top = x.nan_to_num().floor(), y.nan_to_num().floor()
    x, y = x - left, y - top
    stride, lines = width + 2 * FRAME + 1, height + 2 * FRAME + 1  # places on the far frame have a neighbour behind it
    index = (top * stride + left).long().flatten(2)
    framed = weight.new_zeros(*weight.shape[:2], lines * stride)
    for down, share_y in enumerate((1 - y, y)):
        for right, share_x in enumerate((1 - x, x)):
            framed.scatter_add_(2, index + (down * stride + right), (weight * share_y * share_x).flatten(2))
    return framed.unflatten(2, (lines, stride))[:, :, FRAME : FRAME + height, FRAME : FRAME + width]


def votes_at(places: Tensor, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """What `hough_votes` would be (B,K) at places (B,K,2) between the pixels.

    >>> x = torch.tensor([[[[0.25, 9.0]]]])
    >>> votes_at(torch.tensor([[[0.5, 0.0]]]), x, torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2))
    tensor([[0.7500]])
    """
    column, row = places[..., None, None].unbind(dim=2)  # (B,K,1,1) each
    shares = (1 - (x - column).abs()).clamp(min=0) * (1 - (y - row).abs()).clamp(min=0)
    return (weight * shares).sum(dim=(2, 3))


def densest(votes: Tensor) -> Tensor:
    """Centroids (B,K,2), x and y, of the 2x2 px with the largest sum in maps (B,K,h,w); (0, 0) where it is not above 0.

    >>> densest(torch.tensor([[[[5.0, 0, 0, 0], [0, 0, 3, 1], [0, 0, 3, 1]]]]))
    tensor([[[2.2500, 1.5000]]])
    """
    framed = F.pad(votes, (1, 1, 1, 1))
    rows = framed[:, :, :-1] + framed[:, :, 1:]
    last, sums = argmax_2d(rows[..., :-1] + rows[..., 1:])  # the frame makes this the block's lower right pixel
    block = gather_windows(votes, last, 1, "constant")[..., :2, :2]
    shares = torch.stack((block[..., 1].sum(dim=-1), block[..., 1, :].sum(dim=-1)), dim=-1) / sums.unsqueeze(-1)
    return torch.where(sums.unsqueeze(-1) <= 0, 0.0, last - 1 + shares)
