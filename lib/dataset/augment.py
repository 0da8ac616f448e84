"""The forks' augmentation, as pure functions of a random generator.

Boxes are `center` (2,) and `scale` (2,) = width and height, image px; keypoints (K, 2) image px.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROTATION_PROBABILITY = 0.6
HALF_BODY_PADDING = 1.5


@dataclass(frozen=True)
class Augmentation:
    """How strongly training samples are varied; see the keys of the same names under DATASET."""

    flip: bool = False
    scale_factor: float = 0.0
    rotation_factor: float = 0.0
    prob_half_body: float = 0.0
    num_joints_half_body: int = 8


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
) -> tuple[np.ndarray, np.ndarray, float, bool]:
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
    seen = visible > 0
    is_upper = np.zeros(len(visible), dtype=bool)
    is_upper[list(upper_body)] = True
    upper, lower = keypoints[seen & is_upper], keypoints[seen & ~is_upper]
    if prefer_upper and len(upper) > 2:
        chosen = upper
    else:
        chosen = lower if len(lower) > 2 else upper
    if len(chosen) < 2:
        return None
    width, height = np.ptp(chosen, axis=0) + (1 if inclusive else 0)
    if width > aspect_ratio * height:
        height = width / aspect_ratio
    elif width < aspect_ratio * height:
        width = height * aspect_ratio
    return chosen.mean(axis=0).astype(np.float32), np.array([width, height], np.float32) * HALF_BODY_PADDING


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
