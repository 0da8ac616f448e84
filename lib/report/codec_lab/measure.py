"""A codec's decoder on maps whose keypoints are known: what is lost before any network has erred.

Every keypoint goes the whole way, crop -> heatmap -> image -> crop, so that an error is what a user would see, by
whatever conventions. The keypoints lie on a grid over one pixel in the middle of the heatmap: means over the grid are
expectations over a uniform sub-pixel position.

Shapes: B keypoints, each one person with one joint · outputs (B,C,h,w) · errors (m,n,2), found less true in heatmap px,
m rows by the keypoint's y and n columns by its x.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...codecs.base import Codec, require
from ...codecs.rendering import gaussian_maps

FEWEST_STEPS, STEPS_Y = 32, 28
BATCH = 256  # maps decoded at once


def grid_steps(stride: int) -> tuple[int, int]:
    """Grid steps a heatmap pixel in x and in y, chosen so that means over the grid are exact.

    The middles of n cells integrate |m - R(m)| exactly if its kinks, a quarter px apart, lie between cells; and they
    stay middles of cells, never halfway between two pixels, when an average moves them by 1 / (2 * stride) px in x.
    No point is equally far from two neighbours of its pixel: x has more factors of 2 than y. Errors with other kinks
    (soft_argmax, udp_offset) have means within 1e-3 px of those on finer grids.

    >>> [grid_steps(stride) for stride in (2, 3, 8)]
    [(32, 28), (48, 28), (32, 28)]
    """
    unit = math.lcm(8, 2 * stride)
    return math.ceil(FEWEST_STEPS / unit) * unit, STEPS_Y


def subpixel_offsets(steps: int) -> Tensor:
    """The middles (n,) float64 of n equal cells from -0.5 to 0.5.

    >>> subpixel_offsets(4).tolist()
    [-0.375, -0.125, 0.125, 0.375]
    """
    return (torch.arange(steps, dtype=torch.float64) + 0.5) / steps - 0.5


@dataclass(frozen=True)
class TargetShape:
    """The Gaussian of a codec's targets: maximum, sigma in heatmap px, and its mean offset (2,) from the keypoint."""

    maximum: float
    sigma: float
    offset: Tensor


class Bench:
    """A codec of one joint, and the outputs (B,C,h,w) it is tried on, made from keypoints (B,1,2) in input px."""

    def __init__(self, codec: Codec, stride: int):
        """ValueError where the codec's targets are too small or too narrow to be measured."""
        self.codec = codec
        self.middle = torch.tensor(codec.heatmap_size, dtype=torch.float64) // 2
        offsets_x, offsets_y = (subpixel_offsets(steps) for steps in grid_steps(stride))
        grid = torch.stack(torch.meshgrid(offsets_x, offsets_y, indexing="xy"), dim=-1)  # (m,n,2)
        self.grid_shape = grid.shape
        self.keypoints = self._around_middle(grid.view(-1, 2))
        self.unit = self._around_middle(torch.ones(2)) - self._around_middle(torch.zeros(2))  # input px a heatmap px
        one, other = (self.target(self._around_middle(torch.tensor([[place, place]]))) for place in (0.1, 0.2))
        self.quantises = torch.equal(one, other)
        self.shape = _target_shape(self) if self.quantises and codec.channels_per_joint == 1 else None

    def target(self, keypoints: Tensor) -> Tensor:
        """The output that says what the codec's own target does."""
        return self.codec.perfect_output(self._encoded(keypoints))

    def ideal(self, keypoints: Tensor) -> Tensor:
        """What a network would say that knows the keypoint: the target, at its true sub-pixel position.

        A codec that draws its Gaussian around the nearest pixel gets the same Gaussian around the keypoint itself.
        """
        if self.shape is None:
            return self.target(keypoints)
        mean = self.codec.input_to_heatmap(keypoints) + self.shape.offset
        drawn = torch.ones(keypoints.shape[:2], dtype=torch.bool)
        return self.shape.maximum * gaussian_maps(mean, self.shape.sigma, self.codec.heatmap_size, drawn)

    def flipped(self, keypoints: Tensor) -> Tensor:
        """`ideal` of the mirrored crop, flipped back."""
        mirrored = keypoints.clone()
        mirrored[..., 0] = self.codec.input_size[0] - 1 - keypoints[..., 0]
        return self.codec.flip_back(self.ideal(mirrored), ())

    def averaged(self, keypoints: Tensor) -> Tensor:
        """The flip test's mean of both ways round."""
        return (self.ideal(keypoints) + self.flipped(keypoints)) / 2

    def noisy(self, level: float, seed: int) -> Callable[[Tensor], Tensor]:
        """`ideal` with normal noise on every pixel and channel; `level` is its deviation over the target's maximum."""
        generator = torch.Generator().manual_seed(seed)
        deviation = level * self._encoded(self.keypoints[:1]).max().item()

        def make(keypoints: Tensor) -> Tensor:
            output = self.ideal(keypoints)
            return output + deviation * torch.randn(output.shape, generator=generator)

        return make

    def errors(self, make_output: Callable[[Tensor], Tensor]) -> Tensor:
        """Errors (m,n,2) float64, heatmap px, of decoding the outputs that `make_output` gives for the grid."""
        found = torch.cat([self._locate(make_output(keypoints)) for keypoints in self.keypoints.split(BATCH)])
        return ((found - self.keypoints) / self.unit).view(self.grid_shape)

    @cached_property
    def ideal_errors(self) -> Tensor:
        """`errors` of `ideal`."""
        return self.errors(self.ideal)

    def misalignment(self, make_output: Callable[[Tensor], Tensor]) -> float:
        """Mean displacement in x, heatmap px, against decoding `ideal`, so that the decoder's own bias cancels."""
        return (self.errors(make_output) - self.ideal_errors)[..., 0].mean().item()

    def _encoded(self, keypoints: Tensor) -> Tensor:
        return self.codec.encode(keypoints, torch.ones(keypoints.shape[:2]))[0]

    def _around_middle(self, offsets: Tensor) -> Tensor:
        """Keypoints (B,1,2) float64 in input px, `offsets` (B,2) or (2,) heatmap px from the map's middle pixel."""
        return self.codec.heatmap_to_input(self.middle + offsets).view(-1, 1, 2)

    def _locate(self, output: Tensor) -> Tensor:
        """Keypoints (B,1,2) float64 that the codec reads from outputs, taken to the image and back to input px."""
        size = torch.tensor([self.codec.input_size], dtype=torch.float64)
        keypoints_heatmap, _ = self.codec.decode(output)
        box = size.expand(len(output), 2)
        keypoints_image = self.codec.to_image(keypoints_heatmap.double(), box / 2, box)
        matrix = torch.from_numpy(self.codec.warp_matrix(size[0].numpy() / 2, size[0].numpy()))
        return keypoints_image @ matrix[:, :2].T + matrix[:, 2]


def _target_shape(bench: Bench) -> TargetShape:
    """The shape of a quantising codec's targets, read from them."""
    width, height = bench.codec.heatmap_size
    require(min(width, height) >= 3, (width, height), "heatmap_size", "sides of at least 3 px to be measured")
    x, y = bench.middle.long().tolist()
    # a quarter px from the middle both roundings, to the nearest pixel and downward, give the middle itself
    target = bench.target(bench._around_middle(torch.tensor([[0.25, 0.25]])))[0, 0].double()
    left, top, right = target[y, x - 1 : x + 2].log().tolist()
    curvature = 2 * top - left - right
    if not (0 < curvature < math.inf and target[y, x] == target.max()):
        raise ValueError(f"codec {bench.codec.name} draws no Gaussian around the nearest pixel: raise MODEL.SIGMA")
    offsets = subpixel_offsets(8).unsqueeze(-1).expand(-1, 2)
    peaks = bench.target(bench._around_middle(offsets)).flatten(1).argmax(dim=1)
    pixels = torch.stack((peaks % width, peaks // width), dim=-1)
    offset = (pixels - bench.middle - offsets).mean(dim=0)
    return TargetShape(target.max().item(), curvature**-0.5, offset)
