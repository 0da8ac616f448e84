"""How a toy animal goes through a shot: posed in every frame, from one place to another."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from ..toy.bones import Array, about_d, about_f, about_l
from .body import FRONT_LEG, Animal, pose_animal, sample_build
from .domains import Domain
from .pose import sample_gait

MARGIN = 3  # px between an animal and the border


@dataclass(frozen=True)
class Walk:
    """The animal of a shot in every frame: posed, and where it stands (frames, 2), image px."""

    animals: list[Animal]
    origins: Array
    stature: float  # length of the trunk, px
    pan: Array  # (2,) how far the camera follows it, px a frame


def sample_walk(domain: Domain, size: tuple[int, int], rng: Generator) -> Walk:
    """A random animal's way through pictures of `size` (w,h), within which it stays."""
    build, gait, views = sample_build(rng), sample_gait(domain.pose_noise, rng), _sample_view(domain.clip_frames, rng)
    first, speed = rng.uniform(), rng.uniform(*domain.speed)
    stature = _fitting_stature(pose_animal(build, gait.pose(first), views[len(views) // 2]), size, rng)
    step = speed / (stature * gait.stride * build.leg * sum(FRONT_LEG))  # strides a frame
    animals = [pose_animal(build, gait.pose(first + step * number), view) for number, view in enumerate(views)]
    origins, pan = _place(animals, stature, speed * views[0][:2, 2], size, rng)
    return Walk(animals, origins, stature, pan)


def _sample_view(frames: int, rng: Generator) -> list[Array]:
    """Frames (3,3) of an animal seen from the side or half from the side, that turns slightly as it walks."""
    yaw = rng.choice([-90, 90]) + np.clip(rng.normal(0, 24), -50, 50)
    turn, tilt, roll = rng.normal(0, 0.8), rng.normal(-7, 4), rng.normal(0, 2.5)
    return [about_f(roll) @ about_l(tilt) @ about_d(yaw + turn * number) for number in range(frames)]


def _fitting_stature(animal: Animal, size: tuple[int, int], rng: Generator) -> float:
    """A trunk's length in px with which the animal takes up a random part of the picture's width."""
    longest, height = np.ptp(animal.points, axis=0).max(), np.ptp(animal.points[:, 1])
    return float(min(size[0] * rng.uniform(0.5, 0.72) / longest, 0.8 * (size[1] - 2 * MARGIN) / height))


def _place(
    animals: list[Animal], stature: float, velocity: Array, size: tuple[int, int], rng: Generator
) -> tuple[Array, Array]:
    """Where the animal stands in every frame (frames, 2), and how the camera follows to keep it in, px a frame (2,)."""
    low = stature * np.min([a.points.min(axis=0) for a in animals], axis=0) - (0.12 * stature, 0.2 * stature)  # ears
    high = stature * np.max([a.points.max(axis=0) for a in animals], axis=0) + 0.12 * stature
    room = np.maximum(np.array(size) - 2 * MARGIN - (high - low), 0)
    steps = max(len(animals) - 1, 1)
    moves = np.clip(velocity, -room / steps, room / steps)
    path = moves * np.arange(len(animals))[:, None]
    first, last = MARGIN - low - path.min(axis=0), MARGIN - low + room - path.max(axis=0)
    return rng.uniform(
        first, np.maximum(first, last)
    ) + path, velocity - moves  # equal but for rounding if it just fits
