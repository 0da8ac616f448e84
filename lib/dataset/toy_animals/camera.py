"""What the camera does to a shot of toy animals: colours, blur, noise. Fixed for a shot but for the noise."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from ..toy.bones import Array
from .domains import Domain


@dataclass(frozen=True)
class Camera:
    """How pictures come out."""

    gain: Array  # (3,) contrast of blue, green, red
    offset: Array  # (3,) grey levels
    gamma: float
    defocus: float  # standard deviation, px
    motion: Array | None  # kernel of the motion blur
    noise: float  # grey levels

    def expose(self, picture: Array, light: Array | None, rng: Generator) -> Array:
        """The picture (h,w,3) uint8 of a scene (h,w,3) under `light` (h,w,1)."""
        scene: Array = picture.astype(np.float32)
        if light is not None:
            scene *= light
        scene = 255 * (np.clip(scene, 0, 255) / 255) ** self.gamma
        scene = (scene - 128) * self.gain + (128 + self.offset)
        if self.motion is not None:
            scene = cv2.filter2D(scene, -1, self.motion)
        if self.defocus > 0.2:
            scene = cv2.GaussianBlur(scene, (0, 0), self.defocus)
        if self.noise:
            scene += self.noise * rng.standard_normal(scene.shape, dtype=np.float32)
        return np.clip(scene, 0, 255).round().astype(np.uint8)


def sample_camera(domain: Domain, rng: Generator) -> Camera:
    """A random camera of a domain."""
    far = domain.colours
    moves = domain.blur > 0 and rng.random() < 0.5
    return Camera(
        gain=(1 + far * (rng.uniform(-0.45, 0.15) + rng.normal(0, 0.06, 3))).astype(np.float32),
        offset=(far * (rng.uniform(-30, 30) + rng.normal(0, 14, 3))).astype(np.float32),
        gamma=float(np.exp(far * rng.uniform(-0.4, 0.4))),
        defocus=domain.blur * rng.uniform(0.3, 1.2),
        motion=_motion_kernel(3 * domain.blur * rng.uniform(0.5, 1.3), rng.normal(0, 25)) if moves else None,
        noise=domain.noise * rng.uniform(0.5, 1.5),
    )


def _motion_kernel(length: float, degrees: float) -> Array:
    """A kernel that smears over `length` px in a direction."""
    reach = int(np.ceil(length / 2)) + 1
    step = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along, beside = x * step[0] + y * step[1], x * step[1] - y * step[0]
    kernel = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(beside), 0, 1)
    return (kernel / kernel.sum()).astype(np.float32)
