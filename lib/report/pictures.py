"""Contact sheets: crops with skeletons, and heatmaps over crops. Images are (H, W, 3) uint8 BGR."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..utils.sides import sides

LEFT, RIGHT, MIDDLE = (80, 160, 255), (255, 170, 60), (90, 230, 90)
DARK, WHITE = (20, 20, 20), (255, 255, 255)
_SUBPIXEL_BITS = 4
_FARTHEST = 1e6  # px; OpenCV takes no larger numbers with sub-pixel bits
_READABLE_HEIGHT = 224  # px of a crop in a contact sheet, at least


def draw_skeleton(
    image: np.ndarray,
    keypoints: np.ndarray,
    visible: np.ndarray,
    limbs: Sequence[tuple[int, int]],
    names: Sequence[str],
    occluded: np.ndarray | None = None,
    width: int | None = None,
) -> np.ndarray:
    """A copy of `image` with the keypoints (K, 2), px, and limbs between those with `visible` > 0.

    The person's left is orange, the right blue, what is neither green. The keypoints marked in `occluded` (K,) are
    rings. `width` is that of a limb in px; by default it follows the image's size.
    """
    canvas = image.copy()
    colours = [{"left": LEFT, "right": RIGHT}.get(side, MIDDLE) for side in sides(names)]
    shown = (visible > 0) & (np.abs(keypoints) < _FARTHEST).all(axis=1)
    points = np.round(np.where(shown[:, None], keypoints, 0) * 2**_SUBPIXEL_BITS).astype(int)
    width = width or max(1, round(max(image.shape[:2]) / 128))
    for first, second in limbs:
        if shown[first] and shown[second]:
            ends = tuple(points[first]), tuple(points[second])
            colour = colours[first] if colours[first] == colours[second] else MIDDLE
            cv2.line(canvas, *ends, DARK, width + 2, cv2.LINE_AA, _SUBPIXEL_BITS)
            cv2.line(canvas, *ends, colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)
    for joint in np.flatnonzero(shown):
        hollow = occluded is not None and bool(occluded[joint])
        draw_joint(canvas, points[joint] / 2**_SUBPIXEL_BITS, colours[joint], width + 1, hollow)
    return canvas


def draw_joint(
    canvas: np.ndarray, point: Sequence[float] | np.ndarray, colour: tuple[int, int, int], radius: int, hollow: bool
) -> None:
    """A disk at `point`, px, drawn into `canvas`, or a ring with a white middle; both have a dark outline."""
    centre = tuple(int(round(value * 2**_SUBPIXEL_BITS)) for value in point)
    radius = max(radius, 3 * hollow) * 2**_SUBPIXEL_BITS
    cv2.circle(canvas, centre, radius, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    if hollow:
        cv2.circle(canvas, centre, radius * 5 // 9, WHITE, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.circle(canvas, centre, radius, DARK, 1, cv2.LINE_AA, _SUBPIXEL_BITS)


def overlay_heatmap(image: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """`heatmap` (h, w), 0 to 1, as colours over `image`."""
    height, width = image.shape[:2]
    scaled = cv2.resize(heatmap.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((np.clip(scaled, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_JET)
    return cv2.addWeighted(image, 0.4, colours, 0.6, 0)


def tile(images: Sequence[np.ndarray], columns: int, gap: int = 2) -> np.ndarray:
    """Images of one size in a grid, row by row."""
    height, width = images[0].shape[:2]
    rows = math.ceil(len(images) / columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = gap + number // columns * (height + gap), gap + number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def skeleton_sheet(
    crops: np.ndarray,
    keypoints: np.ndarray,
    visible: np.ndarray,
    limbs: Sequence[tuple[int, int]],
    names: Sequence[str],
    columns: int = 8,
    persons: int = 32,
    hollow: np.ndarray | None = None,
) -> np.ndarray:
    """The first crops (B, H, W, 3) with their keypoints (B, K, 2) in crop px, side by side.

    Those marked in `hollow` (B, K) are rings; no line ends in them.
    """
    factor = _enlargement(crops)
    rings = np.zeros(visible.shape, dtype=bool) if hollow is None else hollow
    drawn = [
        draw_skeleton(_enlarge(crop, factor), enlarged(points, factor), seen, _without(limbs, ring), names, ring)
        for crop, points, seen, ring in list(zip(crops, keypoints, visible, rings, strict=True))[:persons]
    ]
    return tile(drawn, min(columns, len(drawn)))


def _without(limbs: Sequence[tuple[int, int]], left_out: np.ndarray) -> list[tuple[int, int]]:
    """The limbs that end in no keypoint of `left_out` (K,)."""
    return [limb for limb in limbs if not left_out[list(limb)].any()]


def heatmap_sheet(
    crops: np.ndarray, heatmaps: np.ndarray, keypoints: np.ndarray, names: Sequence[str], persons: int = 8
) -> np.ndarray:
    """A row for each of the first crops: the crop, then each joint's heatmap (B, K, h, w) over it with its name.

    `keypoints` (B, K, 2) in crop px are marked by a cross.
    """
    factor = _enlargement(crops)
    cells = []
    for crop, maps, points in list(zip(crops, heatmaps, enlarged(keypoints, factor), strict=True))[:persons]:
        large = _enlarge(crop, factor)
        cells.append(large)
        for heatmap, point, name in zip(maps, points, names, strict=True):
            cell = overlay_heatmap(large, heatmap)
            if np.isfinite(point).all():
                centre = tuple(int(round(value)) for value in point)
                cv2.drawMarker(cell, centre, (255, 255, 255), cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
            cv2.putText(cell, name, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
            cells.append(cell)
    return tile(cells, 1 + len(names))


def _enlargement(crops: np.ndarray) -> int:
    """The whole factor that makes crops (B, H, W, 3) high enough for text and lines."""
    return math.ceil(_READABLE_HEIGHT / crops.shape[1])


def _enlarge(crop: np.ndarray, factor: int) -> np.ndarray:
    return cv2.resize(crop, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)


def enlarged(keypoints: np.ndarray, factor: float) -> np.ndarray:
    """Keypoints in the px of an enlarged picture; pixel centres are at whole numbers in both."""
    return (keypoints + 0.5) * factor - 0.5


def save_picture(path: Path, image: np.ndarray) -> None:
    """Writes a picture; an OSError where that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image):
        raise OSError(f"{path}: the picture could not be written")
