"""The forks' augmentation and MSPN's, as pure functions of a random generator.

Boxes are `center` (2,) and `scale` (2,) = width and height, image px; keypoints (K, 2) image px.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..utils.geometry import widened
from .skeletons import Skeleton

ROTATION_PROBABILITY = 0.6
HALF_BODY_PADDING = 1.5

Variation = tuple[np.ndarray, np.ndarray, float, bool]  # center, scale, rotation in degrees, mirrored or not


@dataclass(frozen=True)
class Augmentation:
    """How strongly training samples are varied, by HRNet's rules; see the keys of the same names under DATASET."""

    flip: bool = False
    scale_factor: float = 0.0
    rotation_factor: float = 0.0
    prob_half_body: float = 0.0
    num_joints_half_body: int = 8

    from_bare_box = False  # `vary` begins with the box as annotated, instead of with the padded one

    def vary(
        self,
        center: np.ndarray,
        scale: np.ndarray,
        keypoints: np.ndarray,
        visible: np.ndarray,
        skeleton: Skeleton,
        aspect_ratio: float,
        rng: np.random.Generator,
        inclusive: bool = False,
    ) -> Variation:
        """The crop of one training sample; see `vary_box`."""
        upper = skeleton.upper_body
        return vary_box(center, scale, keypoints, visible, upper, aspect_ratio, self, rng, inclusive)


@dataclass(frozen=True)
class MSPNAugmentation(Augmentation):
    """MSPN's rules: the box grows by random shares, and scale and rotation are uniform draws (Li et al. 2019).

    `random_extension` are the largest shares of width and height. `basic_extension` and `shrink`, which make up for
    them on the average, and the probability of a rotation are constants of the authors' code.
    """

    random_extension: tuple[float, float] = (0.6, 0.8)
    basic_extension: float = 0.05
    shrink: float = 0.8
    prob_rotation: float = 0.5

    from_bare_box = True

    def vary(
        self,
        center: np.ndarray,
        scale: np.ndarray,
        keypoints: np.ndarray,
        visible: np.ndarray,
        skeleton: Skeleton,
        aspect_ratio: float,
        rng: np.random.Generator,
        inclusive: bool = False,
    ) -> Variation:
        """The crop of one training sample; `scale` is the size of the box as annotated, `inclusive` is not read."""
        scale = widened(scale * (1 + self.basic_extension) * (1 + self._shares(rng)), aspect_ratio)
        if (visible > 0).sum() > self.num_joints_half_body and rng.random() < self.prob_half_body:
            upper, prefer_upper = skeleton.upper_body_mspn or skeleton.upper_body, bool(rng.standard_normal() < 0.5)
            half = mspn_half_body_box(keypoints, visible, upper, aspect_ratio, prefer_upper, self._shares(rng))
            center, scale = half or (center, scale)
        scale = scale * self.shrink * rng.uniform(1 - self.scale_factor, 1 + self.scale_factor)
        turned = rng.random() <= self.prob_rotation
        rotation = float(rng.uniform(-self.rotation_factor, self.rotation_factor)) if turned else 0.0
        return center, scale, rotation, bool(self.flip and rng.random() <= 0.5)

    def _shares(self, rng: np.random.Generator) -> np.ndarray:
        return np.asarray(self.random_extension) * rng.random(2)


def vary_box(
    center: np.ndarray,
    scale: np.ndarray,
    keypoints: np.ndarray,
    visible: np.ndarray,
    upper_body: Sequence[int],
    aspect_ratio: float,
    how: Augmentation,
    rng: np.random.Generator,
    inclusive: bool = False,
) -> Variation:
    """Center, scale, rotation (degrees) and mirroring of one training crop, drawn in HRNet's order."""
    if (visible > 0).sum() > how.num_joints_half_body and rng.random() < how.prob_half_body:
        # HRNet compares a normal draw, not a uniform one, with 0.5: the upper body has a probability of 0.69.
        prefer_upper = bool(rng.standard_normal() < 0.5)
        half = half_body_box(keypoints, visible, upper_body, aspect_ratio, prefer_upper, inclusive)
        center, scale = half or (center, scale)
    amount, turn = how.scale_factor, how.rotation_factor
    scale = scale * np.clip(1 + amount * rng.standard_normal(), 1 - amount, 1 + amount)
    rotation = float(np.clip(turn * rng.standard_normal(), -2 * turn, 2 * turn))
    if rng.random() > ROTATION_PROBABILITY:
        rotation = 0.0
    return center, scale, rotation, bool(how.flip and rng.random() <= 0.5)


def half_body_box(
    keypoints: np.ndarray,
    visible: np.ndarray,
    upper_body: Sequence[int],
    aspect_ratio: float,
    prefer_upper: bool,
    inclusive: bool = False,
) -> tuple[np.ndarray, np.ndarray] | None:
    """(center, scale) around the upper or the lower body's visible keypoints; None where fewer than 2 are visible.

    The preferred half is taken if more than 2 of its keypoints are visible (HRNet, `half_body_transform`).
    `inclusive` counts the last pixel into the box's size (DarkPose).
    """
    chosen = _half_body(keypoints, visible, upper_body, prefer_upper, more_than=2)
    if len(chosen) < 2:
        return None
    width, height = np.ptp(chosen, axis=0) + (1 if inclusive else 0)
    if width > aspect_ratio * height:
        height = width / aspect_ratio
    elif width < aspect_ratio * height:
        width = height * aspect_ratio
    return chosen.mean(axis=0).astype(np.float32), np.array([width, height], np.float32) * HALF_BODY_PADDING


def mspn_half_body_box(
    keypoints: np.ndarray,
    visible: np.ndarray,
    upper_body: Sequence[int],
    aspect_ratio: float,
    prefer_upper: bool,
    shares: np.ndarray,
) -> tuple[np.ndarray, np.ndarray] | None:
    """(center, scale) around the extent of one half's visible keypoints; None where fewer than 3 are visible.

    The preferred half is taken if more than 3 of its keypoints are visible. The extent's width and height grow by
    `shares` (2,) of themselves, which are drawn (MSPN, `half_body_transform`).
    """
    chosen = _half_body(keypoints, visible, upper_body, prefer_upper, more_than=3).astype(np.float32)
    if len(chosen) < 3:
        return None
    first, last = chosen.min(axis=0), chosen.max(axis=0)
    grown = (last - first) * (1 + shares)
    return (first + last) / 2, widened(grown, aspect_ratio).astype(np.float32)


def _half_body(
    keypoints: np.ndarray, visible: np.ndarray, upper_body: Sequence[int], prefer_upper: bool, more_than: int
) -> np.ndarray:
    """Visible keypoints (n, 2) of the upper or the lower body, the lower where the preferred upper has too few."""
    seen = visible > 0
    is_upper = np.zeros(len(visible), dtype=bool)
    is_upper[list(upper_body)] = True
    upper, lower = keypoints[seen & is_upper], keypoints[seen & ~is_upper]
    if prefer_upper and len(upper) > more_than:
        return upper
    return lower if len(lower) > more_than else upper


def mirror_keypoints(
    keypoints: np.ndarray, visible: np.ndarray, width: int, flip_pairs: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (K, 2) and visibility (K,) of the mirrored image: x -> width - 1 - x, left and right exchanged."""
    order = np.arange(len(keypoints))
    for left, right in flip_pairs:
        order[left], order[right] = right, left
    mirrored = keypoints[order].copy()
    mirrored[:, 0] = width - 1 - mirrored[:, 0]
    return mirrored, visible[order]
