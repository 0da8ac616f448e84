"""What stands around the toy animals: plain backgrounds, or ground with trunks, bushes and grass, and uneven light."""

import cv2
import numpy as np
from numpy.random import Generator

from ..toy.backdrop import draw_background, noise
from ..toy.bones import Array


def draw_plain(size: tuple[int, int], rng: Generator) -> Array:
    """A bright background (h,w,3) of `size` (w,h) in one colour, slightly darker below."""
    colour = rng.uniform(165, 250) + rng.normal(0, 12, 3)
    rows = np.linspace(1, 0.9, size[1])[:, None, None] * np.clip(colour, 0, 255)
    return np.broadcast_to(rows, (size[1], size[0], 3)).astype(np.uint8)


def draw_landscape(size: tuple[int, int], clutter: float, rng: Generator) -> Array:
    """A cluttered background (h,w,3) of `size` (w,h); `clutter` scales how much stands in it."""
    width, height = size
    picture = _muted(draw_background(size, rng), clutter, rng)
    horizon = height * rng.uniform(0.35, 0.6)
    for _ in range(rng.poisson(5 * clutter * width / 160)):
        _trunk(picture, np.array([rng.uniform(0, width), horizon + rng.uniform(0, 0.4) * height]), rng)
    for _ in range(rng.poisson(3 * clutter * width / 160)):
        _bush(picture, np.array([rng.uniform(0, width), horizon + rng.uniform(-0.1, 0.3) * height]), rng)
    _grass(picture, horizon, round(110 * clutter * width / 160), rng)
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.9))


def _muted(picture: Array, clutter: float, rng: Generator) -> Array:
    """The picture with less colour, rather yellow or green, as outdoors, and less contrast for less clutter."""
    grey = picture.mean(axis=2, keepdims=True)
    tint = np.array([rng.uniform(-25, 15), rng.uniform(0, 15), rng.uniform(-10, 10)])
    muted = grey + rng.uniform(0.15, 0.7) * (picture - grey) + tint
    middle = muted.mean(axis=(0, 1))
    return np.clip(middle + min(0.3 + 0.7 * clutter, 1) * (muted - middle), 0, 255).astype(np.uint8)


def _earth(rng: Generator) -> Array:
    """A colour that coats have too."""
    hsv = np.array([[[rng.uniform(8, 60), rng.uniform(0.15, 0.6), rng.uniform(0.15, 0.75)]]], np.float32)
    return 255.0 * cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(float)


def _trunk(picture: Array, foot: Array, rng: Generator) -> None:
    """A post or a trunk that leans a little, as thick as legs are, sometimes with a branch."""
    colour, thickness = _earth(rng), int(rng.integers(2, 8))
    top = foot - np.array([rng.normal(0, 8), rng.uniform(20, 110)])
    _line(picture, foot, top, colour, thickness)
    _line(picture, foot - (thickness / 4, 0), top - (thickness / 4, 0), colour * 1.3, max(thickness // 3, 1))
    if rng.random() < 0.5:
        fork = foot + rng.uniform(0.3, 0.8) * (top - foot)
        _line(picture, fork, fork + (rng.normal(0, 22), -rng.uniform(5, 30)), colour * 0.85, max(thickness // 2, 1))


def _bush(picture: Array, centre: Array, rng: Generator) -> None:
    colour, spread = _earth(rng) * (0.8, 1.1, 0.8), rng.uniform(5, 14)
    for offset in rng.normal(0, 1, (12, 2)) * (1.4 * spread, 0.7 * spread):
        spot = (centre + offset).astype(int).tolist()
        shade = np.clip(colour * rng.uniform(0.7, 1.25), 0, 255).tolist()
        cv2.circle(picture, spot, int(spread * rng.uniform(0.25, 0.6)) + 1, shade, -1, cv2.LINE_AA)


def _grass(picture: Array, horizon: float, blades: int, rng: Generator) -> None:
    height, width = picture.shape[:2]
    roots = rng.uniform((0, horizon), (width, height), (blades, 2))
    tips = roots - np.stack([rng.normal(0, 3, blades), rng.uniform(3, 14, blades)], axis=1)
    for root, tip in zip(roots, tips, strict=True):
        _line(picture, root, tip, _earth(rng) * (0.7, 1.15, 0.8), 1)


def _line(picture: Array, start: Array, end: Array, colour: Array, thickness: int) -> None:
    first, last = start.astype(int).tolist(), end.astype(int).tolist()
    cv2.line(picture, first, last, np.clip(colour, 0, 255).tolist(), thickness, cv2.LINE_AA)


def draw_light(size: tuple[int, int], strength: float, rng: Generator) -> Array:
    """How much light falls on each place (h,w,1) of a scene of `size` (w,h): a gradient, and shadows of leaves."""
    width, height = size
    angle = rng.uniform(0, 2 * np.pi)
    x, y = np.linspace(-1, 1, width)[None, :, None], np.linspace(-1, 1, height)[:, None, None]
    gradient = 0.6 * (np.cos(angle) * x + np.sin(angle) * y)
    leaves = np.tanh(2.5 * noise(size, int(rng.integers(10, 30)), rng) + rng.uniform(-1, 1))
    return np.clip(1 + strength * (gradient + rng.uniform(0.2, 0.9) * (leaves - 0.3)), 0.15, 1.8).astype(np.float32)
