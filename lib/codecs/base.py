"""The codec: the one place that holds a paper's crop matrix, stride, encoding, flip alignment and decoding together.

Shapes: B people, K joints, C = K * channels_per_joint channels; the input is W wide and H high, heatmaps w and h.
Spaces: image px -- warp_matrix --> input px -- input_to_heatmap --> heatmap px -- to_image --> image px; (0, 0) is the
top left pixel in all of them. `center` and `scale` are the padded box's middle and its width and height in image px.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..utils.compiled import in_shares, on_cpu
from ..utils.constants import constant
from . import drawing_loops

Size = tuple[int, int]


class Codec(ABC):
    """What every codec shares: its sizes, joint weights and the flip; the rest is the paper's."""

    name: str
    inclusive_boxes = False  # boxes end on pixel x + w - 1 (DarkPose) instead of x + w
    # Shares of width and height by which boxes grow before they take the aspect ratio (MSPN); None: 1.25 times, after.
    box_extension: tuple[float, float] | None = None
    graded_visibility = False  # `visible` is 2 for joints that are seen and 1 for hidden ones (MSPN), not 1 for both
    channels_per_joint = 1
    peak = 1.0  # of the heatmap of a joint that is there
    peak_offset = 0.0  # heatmap px, in x and y: where peaks lie on the average, from `input_to_heatmap` on

    def __init__(
        self,
        input_size: Sequence[int],
        heatmap_size: Sequence[int],
        num_joints: int,
        joint_weights: Sequence[float] | None = None,
    ):
        """Sizes (width, height) in px; `joint_weights` (K,) multiply the weights that `encode` returns."""
        self.input_size = _size("input_size", input_size)
        self.heatmap_size = _size("heatmap_size", heatmap_size)
        self.num_joints = int(require(num_joints >= 1, num_joints, "num_joints", "at least 1"))
        if any(small > large for small, large in zip(self.heatmap_size, self.input_size, strict=True)):
            raise ValueError(
                f"heatmap_size {self.heatmap_size} is larger than input_size {self.input_size}: swap or correct them"
            )
        if joint_weights is not None and len(joint_weights) != num_joints:
            raise ValueError(
                f"{len(joint_weights)} joint weights for {num_joints} joints: give one weight for each joint or none"
            )
        self.joint_weights = None if joint_weights is None else tuple(joint_weights)

    @abstractmethod
    def warp_matrix(self, center: np.ndarray, scale: np.ndarray, rotation: float = 0.0) -> np.ndarray:
        """The (2,3) float64 matrix, image px -> input px, of one crop; `rotation` in degrees."""

    @abstractmethod
    def input_to_heatmap(self, keypoints_input: Tensor) -> Tensor:
        """Keypoints (...,2) in heatmap px of keypoints in input px."""

    @abstractmethod
    def render(self, keypoints_heatmap: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Target (B,C,h,w) float32 and weight (B,K,1) of keypoints (B,K,2) in heatmap px, visible (B,K) 0 or 1."""

    @abstractmethod
    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Keypoints (B,K,2) float32 in heatmap px and scores (B,K) of the model's output (B,C,h,w), left as it is."""

    @abstractmethod
    def to_image(self, keypoints_heatmap: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """Keypoints (B,K,2) in image px; `center` and `scale` (B,2), image px, are those of crops without rotation."""

    def heatmaps(self, output: Tensor) -> Tensor:
        """The model's output without its offsets, as maps (B,K,h,w) that one can look at: 0 to 1 once it is trained."""
        return output[:, :: self.channels_per_joint] / self.peak

    def peaks(self, target: Tensor) -> Tensor:
        """Maps (B,K,h,w) of a target (B,C,h,w) whose maxima those of `heatmaps` should be near."""
        return target[:, :: self.channels_per_joint]

    def heatmap_to_input(self, keypoints_heatmap: Tensor) -> Tensor:
        """Keypoints (...,2) in input px of keypoints in heatmap px: the inverse of `input_to_heatmap`."""
        origin, unit = self.input_to_heatmap(keypoints_heatmap.new_tensor([[0.0, 0.0], [1.0, 1.0]]))
        return (keypoints_heatmap - origin) / (unit - origin)  # every codec's map is affine in each axis

    def encode(self, keypoints_input: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Target (B,C,h,w) float32 and weight (B,K,1) of keypoints (B,K,2) in input px, visible (B,K) 0 or 1.

        A joint whose visible is 0.5 or less, or whose Gaussian lies outside the map, has an empty map; coordinates of
        such joints may be anything. Runs on the keypoints' device, in their precision.
        """
        return self.render(self.input_to_heatmap(keypoints_input), visible)

    def perfect_output(self, target: Tensor) -> Tensor:
        """The output (B,C,h,w) that says what a target (B,C,h,w) does: the same, unless the codec reads logits."""
        return target

    def training_targets(self, keypoints_input: Tensor, visible: Tensor) -> tuple[Tensor | list[Tensor], Tensor]:
        """What the loss is given: `encode`'s result, or several targets, the last of which is that of `encode`."""
        return self.encode(keypoints_input, visible)

    def flip_back(self, output: Tensor, flip_pairs: Sequence[Sequence[int]]) -> Tensor:
        """The output (B,C,h,w) of a mirrored crop as that of the unmirrored one, `output` left as it is.

        Columns are reversed and the channels of left and right joints, `flip_pairs` (P,2), change places.
        """
        self.check_output(output)
        return self._mirrored(output, flip_pairs)

    def _mirrored(self, output: Tensor, flip_pairs: Sequence[Sequence[int]], shift: bool = False) -> Tensor:
        """Mirrored maps; with `shift` moved right by one pixel, the first column keeping its value."""
        sources = self._swapped_channels(flip_pairs, output.device)
        if on_cpu(output) and output.is_contiguous():
            mirrored = torch.empty_like(output)
            in_shares(drawing_loops.mirror, output[:, :, 0, 0].numel(), output.flatten(0, 1).numpy(), sources.numpy(),
                      int(shift), mirrored.flatten(0, 1).numpy())  # fmt: skip
            return mirrored
        mirrored = output.index_select(1, sources).flip(-1)
        return torch.cat((mirrored[..., :1], mirrored[..., :-1]), dim=-1) if shift else mirrored

    def _swapped_channels(
        self,
        flip_pairs: Sequence[Sequence[int]],
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ) -> Tensor:
        """For every channel the one to read from (C,), on `device`; a joint's channels stay together."""
        joints = np.arange(self.num_joints)
        for left, right in flip_pairs:
            joints[[left, right]] = right, left
        channels = joints[:, None] * self.channels_per_joint + np.arange(self.channels_per_joint)
        return constant(channels.ravel().tolist(), torch.empty(0, dtype=torch.long, device=device))

    def _weigh(self, weight: Tensor) -> Tensor:
        """The target weight (B,K,1) float32 of a weight (B,K), times the joint weights."""
        weight = weight.float()
        if self.joint_weights is not None:
            weight = weight * constant(self.joint_weights, weight)
        return weight.unsqueeze(-1)

    def check_output(self, output: Tensor) -> None:
        """ValueError unless the output is (B,C,h,w) with this codec's channels and heatmap size."""
        width, height = self.heatmap_size
        expected = (self.num_joints * self.channels_per_joint, height, width)
        if output.dim() != 4 or tuple(output.shape[1:]) != expected:
            raise ValueError(
                f"codec {self.name} got an output of shape {list(output.shape)}, expected [batch, C, h, w] with"
                f" {list(expected)} at the end: check MODEL.NUM_JOINTS, MODEL.HEATMAP_SIZE and MODEL.CODEC"
            )


def require(holds: bool, value, name: str, expected: str):
    """The value; a ValueError that names it and what was expected, where it does not hold.

    >>> require(3 % 2 == 1, 3, "kernel", "odd")
    3
    """
    if not holds:
        raise ValueError(f"{name} is {value!r}, expected {expected}: correct it")
    return value


def require_one_stride(input_size: Size, heatmap_size: Size) -> None:
    """ValueError unless input and heatmap have one aspect ratio: similarity maps derive the height from the width."""
    if input_size[0] * heatmap_size[1] != input_size[1] * heatmap_size[0]:
        raise ValueError(
            f"input_size {input_size} and heatmap_size {heatmap_size} (width, height) differ in aspect ratio: use one"
            " stride for both axes, such as (192, 256) and (48, 64)"
        )


def _size(name: str, size: Sequence[int]) -> Size:
    if len(size) != 2 or any(int(side) != side or side < 2 for side in size):
        raise ValueError(
            f"{name} is {list(size)}, expected two whole numbers of at least 2, [width, height]: correct it"
        )
    return int(size[0]), int(size[1])
