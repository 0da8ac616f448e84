"""Bones and the axes they are described in: what every drawn body, of people or animals, is made of.

Two kinds of axes are used: a body part's own (l, d, f) = (the body's left, down along the part, its front), and the
camera's (x, y, z) = (image right, image down, towards the viewer). A (3,3) frame has the part's l, d, f in its columns,
in camera axes; the identity is a part that hangs down and faces the camera, so that its left is image right.
The camera is orthographic: dropping z projects.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SIDES = {"left": 1, "right": -1}


@dataclass(frozen=True)
class Bone:
    """A rigid, roughly cylindrical part from `start` to `end` (3,), `radii` thick there; `frame`'s d is its axis."""

    part: str
    start: Array
    end: Array
    frame: Array
    radii: tuple[float, float]
    side: int  # +1 the body's left, -1 right, 0 neither


def about_l(degrees: float) -> Array:
    """Rotation (3,3) that swings d towards f: flexion."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def about_d(degrees: float) -> Array:
    """Rotation (3,3) that swings f towards l: yaw, twist."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def about_f(degrees: float) -> Array:
    """Rotation (3,3) that swings d towards l: abduction, roll."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
