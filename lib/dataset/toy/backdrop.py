"""What stands around the toy people: textured backgrounds, things in the way, the camera's colours, noise and blur."""

import cv2
import numpy as np
from numpy.random import Generator

from .bones import Array


def _colour(rng: Generator) -> Array:
    """A rather unsaturated BGR colour (3,)."""
    grey = rng.uniform(40, 215)
    return np.clip(grey + rng.normal(0, 28, 3), 10, 245)


def noise(size: tuple[int, int], cell: int, rng: Generator, channels: int = 1) -> Array:
    """Smooth noise (h,w,channels) of about unit variance whose blobs are about `cell` px wide."""
    width, height = size
    coarse = rng.standard_normal((height // cell + 2, width // cell + 2, channels), dtype=np.float32)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)


def _wall(size: tuple[int, int], rng: Generator) -> Array:
    """A gradient between two colours, perhaps with stripes or tiles (h,w,3)."""
    width, height = size
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    angle = rng.uniform(0, 2 * np.pi)
    mix = (np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5) + 0.5)[..., None]
    wall = _colour(rng) * mix + _colour(rng) * (1 - mix)
    pitch = rng.uniform(10, 45)
    pattern = rng.choice(["none", "stripes", "tiles"], p=[0.5, 0.25, 0.25])
    if pattern != "none":
        lines = (x + 0 * y) % pitch < pitch * rng.uniform(0.1, 0.5)
        if pattern == "tiles":
            lines = (x % pitch < 1.5) | (y % (pitch * 0.7) < 1.5)
        wall[lines] += rng.uniform(-30, 30)
    return wall


def _add_floor(picture: Array, rng: Generator) -> None:
    """A floor of another colour below a horizon, perhaps with boards that run towards it."""
    height, width = picture.shape[:2]
    horizon = int(height * rng.uniform(0.45, 0.85))
    picture[horizon:] = _colour(rng) * np.linspace(0.8, 1.1, height - horizon)[:, None, None]
    if rng.random() < 0.5:
        shade, vanishing = (_colour(rng)).tolist(), rng.uniform(0, width)
        for x in np.arange(-2 * width, 3 * width, rng.uniform(30, 70)):
            cv2.line(picture, (int(vanishing), horizon - 30), (int(x), height), shade, 1, cv2.LINE_AA)
        picture[max(horizon - 30, 0) : horizon] = picture[max(horizon - 31, 0)]


def _add_shapes(picture: Array, rng: Generator) -> None:
    """Windows, boards and bushes far behind."""
    height, width = picture.shape[:2]
    for _ in range(rng.integers(0, 7)):
        centre, extent = rng.uniform(0, (width, height)), rng.uniform(8, 50, 2)
        low, high = (centre - extent).astype(int).tolist(), (centre + extent).astype(int).tolist()
        if rng.random() < 0.6:
            cv2.rectangle(picture, low, high, _colour(rng).tolist(), -1)
            if rng.random() < 0.5:
                cv2.rectangle(picture, low, high, _colour(rng).tolist(), 2)
        else:
            middle, axes = centre.astype(int).tolist(), extent.astype(int).tolist()
            cv2.ellipse(picture, middle, axes, rng.uniform(0, 180), 0, 360, _colour(rng).tolist(), -1, cv2.LINE_AA)


def draw_background(size: tuple[int, int], rng: Generator) -> Array:
    """A picture (h,w,3) of `size` (w,h) without people: wall, floor, shapes, out of focus, with texture on top."""
    picture: Array = _wall(size, rng).astype(np.float32)
    if rng.random() < 0.7:
        _add_floor(picture, rng)
    _add_shapes(picture, rng)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 2.5))
    for cell, strength in ((64, 10), (20, 8), (6, 6), (2, 5)):
        picture = picture + strength * rng.uniform(0, 1.3) * noise(size, cell, rng, channels=3 if cell > 30 else 1)
    return np.clip(picture, 0, 255).astype(np.uint8)


def draw_occluder(canvas: Array, labels: Array, label: int, target: Array, stature: float, rng: Generator) -> None:
    """Draw a pole, a box or a bush in front of `target` (2,), its size after the person's `stature` (px)."""
    kind = rng.choice(["pole", "box", "bush"])
    mask = np.zeros(labels.shape, np.uint8)
    height = labels.shape[0]
    x, y = (target + rng.normal(0, 0.04 * stature, 2)).astype(int).tolist()
    if kind == "pole":
        half = int(stature * rng.uniform(0.02, 0.05)) + 1
        cv2.rectangle(mask, (x - half, 0), (x + half, height), 1, -1)
    elif kind == "box":
        half, depth = (stature * rng.uniform((0.08, 0.12), (0.22, 0.4))).astype(int).tolist()
        cv2.rectangle(mask, (x - half, y - depth // 4), (x + half, y + depth), 1, -1)
    else:
        for dx, dy in rng.normal(0, 0.07, (14, 2)) * stature:
            cv2.circle(mask, (int(x + dx), int(y + abs(dy))), int(stature * rng.uniform(0.02, 0.05)) + 1, 1, -1)
    _fill_occluder(canvas, mask.astype(bool), kind == "bush", rng)
    labels[mask.astype(bool)] = label


def _fill_occluder(canvas: Array, inside: Array, bush: bool, rng: Generator) -> None:
    """Wood, metal or leaves: a colour, lighter on one side, with a grain."""
    if not inside.any():
        return
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    region = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    shape = inside[region].shape
    colour = np.array([40, 110, 60]) + rng.normal(0, 25, 3) if bush else _colour(rng)
    grain = noise((shape[1], shape[0]), 4 if bush else 9, rng) * (30 if bush else 7)
    filled = colour * np.linspace(1.15, 0.8, shape[1])[None, :, None] + grain
    canvas[region][inside[region]] = np.clip(filled, 0, 255)[inside[region]]


def finish(image: Array, rng: Generator) -> Array:
    """The camera: brightness, contrast, a colour cast, slight blur and sensor noise."""
    picture: Array = image.astype(np.float32)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.8))
    picture = (picture - 128) * rng.uniform(0.8, 1.15) + 128 + rng.uniform(-18, 18) + rng.normal(0, 5, 3)
    picture += rng.uniform(1, 5) * rng.standard_normal(picture.shape, dtype=np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)
