"""Fills polygons with colours and textures on a canvas, and writes down in a label map which part is seen where.

Pictures are drawn at SUPERSAMPLE times their size and shrunk afterwards: edges become smooth while the label map stays
exact. Pixel centres are at integers in both sizes.
"""

from collections.abc import Collection, Mapping

import cv2
import numpy as np

from .bones import Array, Bone

SUPERSAMPLE = 2
OCCLUDER = 255  # label of things in the way; 0 is the background
SEEN = 0.3  # share of a keypoint's surroundings that must show its part


def to_supersampled(points: Array) -> Array:
    """Points (...,2) in px of the picture -> px of the canvas."""
    return SUPERSAMPLE * points + (SUPERSAMPLE - 1) / 2


class Painter:
    """Draws one body's parts onto `canvas` (H,W,3) and `labels` (H,W); both are changed in place.

    `origin` (2,) is where the body's origin lands and `stature` its unit of length in px, both at the size of the
    canvas. `part_labels` has the label that a part's pixels get.
    """

    def __init__(self, canvas: Array, labels: Array, origin: Array, stature: float, part_labels: Mapping[str, int]):
        self.canvas, self.labels = canvas, labels
        self.origin, self.stature, self.part_labels = origin, stature, part_labels

    def to_canvas(self, point: Array) -> Array:
        return self.origin + self.stature * point[:2]

    def fill(self, outline: Array, part: str, texture: Array, matrix: Array | None = None) -> None:
        """Fill the polygon (N,2) with a colour (3,), or a texture (h,w,3) that `matrix` (2,3) takes to the canvas."""
        height, width = self.labels.shape
        x0, y0 = np.maximum(np.floor(outline.min(0)).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(outline.max(0)).astype(int) + 2, (width, height))
        if x0 >= x1 or y0 >= y1:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [np.round((outline - (x0, y0)) * 16).astype(np.int32)], 1, shift=4)
        inside = mask.astype(bool)
        self.labels[y0:y1, x0:x1][inside] = self.part_labels[part]
        if matrix is None:
            self.canvas[y0:y1, x0:x1][inside] = np.clip(texture, 0, 255)
            return
        shifted = matrix - np.array([[0, 0, x0], [0, 0, y0]])
        warped = cv2.warpAffine(texture, shifted, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        self.canvas[y0:y1, x0:x1][inside] = warped[inside]

    def ellipse(self, centre: Array, part: str, radii: Array, down: Array, colour: Array) -> None:
        """Fill an ellipse at `centre` (canvas px); half width and height in statures, `down` (2,) along its height."""
        self.fill(ellipse_outline(centre, radii * self.stature, down), part, colour)

    def surface(self, outline: Array, part: str, texture: Array, line: tuple[Array, Array], side: Array) -> None:
        """Fill the polygon (N,2) with a texture that runs along `line`, its two ends, `side` (2,) to either side of it.

        All in canvas px.
        """
        start, along = line[0], line[1] - line[0]
        if np.linalg.norm(along) < 1:  # seen end on
            along = np.array([-side[1], side[0]]) / np.linalg.norm(side) if side.any() else np.array([0.0, 1.0])
        height, width = texture.shape[:2]
        matrix = np.column_stack([2 * side / (width - 1), along / (height - 1), start - side])
        self.fill(outline, part, texture, matrix)

    def tube(self, bone: Bone, texture: Array, across: Array) -> None:
        """A part with round ends; `across` (3,) is the direction across it (see surface.py)."""
        line = (self.to_canvas(bone.start), self.to_canvas(bone.end))
        circles = [ellipse_outline(p, np.full(2, r * self.stature)) for p, r in zip(line, bone.radii, strict=True)]
        outline = cv2.convexHull(np.concatenate(circles).astype(np.float32))[:, 0]
        self.surface(outline, bone.part, texture, line, across[:2] * (max(bone.radii) * self.stature))


def ellipse_outline(centre: Array, radii: Array, down: Array | None = None) -> Array:
    """Polygon (20,2) of an ellipse with `radii` (half width, half height), its height along the unit vector `down`."""
    down = np.array([0.0, 1.0]) if down is None else down
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)[:, None]
    return centre + radii[0] * np.cos(turn) * np.array([down[1], -down[0]]) + radii[1] * np.sin(turn) * down


def label_window(labels: Array, point: Array, stature: float) -> Array:
    """The labels around a point x, y of the label map (H,W), up to `stature` / 125; empty where it lies far outside.

    `stature` is the body's size in px of the label map.
    """
    reach = max(1, round(0.008 * stature))
    x, y = np.round(point).astype(int)
    return labels[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]


def shows(window: Array, accepted: Collection[int]) -> bool:
    """Whether enough of a window of labels has one of those accepted."""
    count = np.bincount(window.ravel(), minlength=256)
    return bool(count[list(accepted)].sum() > SEEN * window.size)
