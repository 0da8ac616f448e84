"""Textures of round body parts: what of a surface is seen, and painting on it."""

import numpy as np
from numpy.typing import NDArray

from .bones import Array

TEXTURE_SIZE = (24, 48)  # (w, h) of a part's texture: across its visible half, along it
ACROSS = np.linspace(-0.98, 0.98, TEXTURE_SIZE[0])
TOWARDS = np.sqrt(1 - ACROSS**2)  # z of the surface normal
ALONG = np.linspace(0, 1, TEXTURE_SIZE[1])[:, None]


def visible_normals(frame: Array) -> tuple[Array, Array]:
    """Direction across a part (3,) and the normals (24,3) of the surface seen from one edge to the other."""
    axis = frame[:, 1]
    across = np.array([-axis[1], axis[0], 0.0])
    length = np.linalg.norm(across)
    across = across / length if length > 1e-3 else np.array([1.0, 0, 0])
    towards = np.array([0, 0, 1.0]) - axis[2] * axis
    towards = towards / max(float(np.linalg.norm(towards)), 1e-3)
    return across, np.outer(ACROSS, across) + np.outer(TOWARDS, towards)


def azimuth_of(normals: Array, frame: Array) -> Array:
    """The azimuth (n,) of normals (n,3) round a part: 0 its front, pi/2 its left side."""
    return np.arctan2(normals @ frame[:, 0], normals @ frame[:, 2])


def visible_surface(frame: Array) -> tuple[Array, Array]:
    """Direction across a part (3,) and the azimuth (24,) of the surface seen: 0 its front, pi/2 its left side."""
    across, normals = visible_normals(frame)
    return across, azimuth_of(normals, frame)


def paint(texture: Array, where: NDArray[np.bool_], colour: Array) -> None:
    texture[np.broadcast_to(where, texture.shape[:2])] = colour


def shaded(texture: Array) -> Array:
    """Darker towards the silhouette and, slightly, on the right: as under a lamp from the upper left."""
    light = 0.55 + 0.45 * TOWARDS - 0.08 * ACROSS
    return np.clip(texture * light[None, :, None], 0, 255).astype(np.uint8)


def screw(side: int, azimuth: Array, turns: float) -> Array:
    """How far round a thread each place of a texture is, in 0-1: left-handed on `side` 1, right-handed on -1.

    It looks the same from every side of the part, and its mirror image is that of the other side.
    """
    return (turns * ALONG + side * azimuth / (2 * np.pi)) % 1
