"""What surrounds a toy animal in the frames of a shot, in which a camera moves through it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from ..skeletons import QUADRUPED
from ..toy.backdrop import draw_occluder
from ..toy.bones import Array
from ..toy.painter import OCCLUDER, SUPERSAMPLE, to_supersampled
from .domains import Domain
from .landscape import draw_landscape, draw_light, draw_plain
from .walk import Walk

SHAKE = 0.35  # px, standard deviation of the camera's steps between frames


@dataclass(frozen=True)
class Scenery:
    """What is around the animal: a picture larger than the frames, its light, and where each frame begins in it."""

    background: Array
    light: Array | None  # (h,w,1) float32
    corners: Array  # (frames, 2) px
    occluder: tuple[Array, int] | None  # what it stands before (2,) in the scenery, and the seed it is drawn with

    def seen(self, picture: Array, number: int, size: tuple[int, int]) -> Array:
        """The part of a picture of the scenery that frame `number` shows, `size` (w,h) px."""
        move = np.column_stack([np.eye(2), -self.corners[number]])
        return cv2.warpAffine(picture, move, size, borderMode=cv2.BORDER_REPLICATE).reshape(size[1], size[0], -1)

    def draw_occluder(self, canvas: Array, labels: Array, number: int, stature: float) -> None:
        """Draw what stands in the way of frame `number`, if anything, the same in every frame."""
        if self.occluder is not None:
            target, rng = (
                to_supersampled(self.occluder[0] - self.corners[number]),
                np.random.default_rng(self.occluder[1]),
            )
            draw_occluder(canvas, labels, OCCLUDER, target, SUPERSAMPLE * stature, rng)


def sample_scenery(domain: Domain, size: tuple[int, int], walk: Walk, rng: Generator) -> Scenery:
    """The surroundings of a shot; the camera follows the walk and is held in a hand."""
    frames = domain.clip_frames
    path = walk.pan * np.arange(frames)[:, None]
    if frames > 1:
        path = path + np.cumsum(rng.normal(0, SHAKE, (frames, 2)), axis=0)
    corners = path - path.min(axis=0) + 1
    width, height = np.ceil(np.array(size) + corners.max(axis=0) + 2).astype(int).tolist()
    background = (
        draw_landscape((width, height), domain.clutter, rng) if domain.clutter else draw_plain((width, height), rng)
    )
    light = draw_light((width, height), domain.light, rng) if domain.light else None
    occluder = None
    if rng.random() < domain.occlusion:
        number, joint = frames // 2, str(rng.choice(QUADRUPED.names))
        target = walk.origins[number] + walk.stature * walk.animals[number].joints[joint][:2] + corners[number]
        occluder = (target, int(rng.integers(2**31)))
    return Scenery(background, light, corners, occluder)


def cast_shadow(ground: Array, origin: Array, stature: float, sun: Array) -> Array:
    """The ground (h,w,3) with a soft dark ellipse under an animal that stands at `origin`."""
    shade = np.ones(ground.shape[:2], np.float32)
    centre = origin - (0.25 * stature * sun[0], 0)
    axes = (np.array([0.55, 0.1]) * stature).astype(int).tolist()
    cv2.ellipse(shade, centre.astype(int).tolist(), axes, 0, 0, 360, 0.5, -1)
    return (ground * cv2.GaussianBlur(shade, (0, 0), 0.05 * stature)[..., None]).astype(np.uint8)
