"""Annotations drawn on their images: masks, boxes, skeletons, crowd regions. Images are (H, W, 3) uint8 BGR."""

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .pictures import DARK, LEFT, MIDDLE, RIGHT, draw_joint, draw_skeleton, enlarged, tile

CELL = (480, 400)  # width and height of a picture in a sheet, px
_OPACITY, _HATCH = 0.38, 14  # of masks; px from one line of a crowd's hatching to the next
_PAPER, _INK, _GREY = (255, 255, 255), (40, 40, 40), (190, 190, 190)
_GOLDEN = 0.61803398875  # multiples of it, modulo 1, are hues that lie far apart however many there are
_FARTHEST = 2**15  # px; boxes that reach farther are not drawn
_FONT, _LINE = cv2.FONT_HERSHEY_SIMPLEX, 26  # height of a line of text, px
_PERSON_TO_LIMB = 60  # a person's size, as the root of the box's area, over the width of a limb

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Shape:
    """An annotation in image px.

    Attributes:
        box: (4,) x, y, width, height; nan where there is none.
        keypoints: (K, 3) x, y, v.
        limbs, names: of its skeleton.
        mask: (H, W) bool, or None.
        crowd: whether it is a region of many.
        label: text beside the box, "" for none.
    """

    box: np.ndarray
    keypoints: np.ndarray
    limbs: Sequence[tuple[int, int]]
    names: Sequence[str]
    mask: np.ndarray | None = None
    crowd: bool = False
    label: str = ""


def draw_annotations(image: np.ndarray, shapes: Sequence[Shape], factor: float = 1.0) -> np.ndarray:
    """The image enlarged by `factor`, with masks below, then boxes, then skeletons, then labels.

    Everybody has a colour for mask and box. Crowd regions are hatched. Keypoints with v = 1 are rings.
    """
    canvas = _resized(image, factor)
    coloured = list(zip(shapes, map(_colour, range(len(shapes))), strict=True))
    for shape, colour in coloured:
        if shape.mask is not None:
            _fill(canvas, _fitted(shape.mask, image.shape[:2]), colour, shape.crowd)
    for shape, colour in coloured:
        corners = _corners(shape.box, factor)
        if corners:
            cv2.rectangle(canvas, corners[0], corners[1], _GREY if shape.crowd else colour, 1 if shape.crowd else 2)
    for shape, _ in sorted(coloured, key=lambda each: -_size(each[0])):
        points, v = enlarged(shape.keypoints[:, :2], factor), shape.keypoints[:, 2]
        width = math.ceil(min(_size(shape) * factor / _PERSON_TO_LIMB, max(canvas.shape[:2]) / 256))
        canvas = draw_skeleton(canvas, points, v, shape.limbs, shape.names, v == 1, max(1, width))
    _write_labels(canvas, coloured, factor)
    return canvas


def sheet(pictures: Sequence[tuple[np.ndarray, str]], title: str) -> np.ndarray:
    """A contact sheet of (picture, caption) pairs, each at most CELL large, below a title and the legend."""
    columns = min(4, math.ceil(math.sqrt(len(pictures))))
    height = max(picture.shape[0] for picture, _ in pictures)
    cells = [np.vstack([_centred(picture, height), _text_line(caption, CELL[0])]) for picture, caption in pictures]
    grid = tile(cells, columns, gap=6)
    head = [_text_line(title, grid.shape[1]), *_legend(grid.shape[1])]
    return np.vstack([*head, grid])


def cell_factor(size: Sequence[float]) -> float:
    """What enlarges an image of `size` (w, h) to a cell of a sheet."""
    return min(CELL[0] / size[0], CELL[1] / size[1])


def blank(size: Sequence[float]) -> np.ndarray:
    """A canvas (h, w, 3) in place of an image of `size` (w, h)."""
    width, height = map(int, size)
    return np.full((height, width, 3), 232, np.uint8)


def _resized(image: np.ndarray, factor: float) -> np.ndarray:
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)


def _colour(number: int) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.75, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


def _size(shape: Shape) -> float:
    """The root of the box's area, px; without a box that of the keypoints' box."""
    sides = shape.box[2:]
    if not np.isfinite(shape.box).all():
        points = shape.keypoints[(shape.keypoints[:, 2] > 0) & np.isfinite(shape.keypoints).all(axis=1), :2]
        sides = np.ptp(points, axis=0) if len(points) else np.zeros(2)
    return math.sqrt(np.maximum(sides, 0).prod())


def _corners(box: np.ndarray, factor: float) -> list[tuple[int, int]]:
    """Upper left and lower right corner in the enlarged picture; none where the box is no box near it."""
    if not np.isfinite(box).all():
        return []
    ends = np.array([box[:2], box[:2] + box[2:]]) * factor
    if not (np.abs(ends) < _FARTHEST).all():
        return []
    return [(int(round(x)), int(round(y))) for x, y in ends]


def _fitted(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The mask in an image of another size than annotated: pixels stay where they are."""
    if mask.shape == shape:
        return mask
    fitted = np.zeros(shape, bool)
    height, width = np.minimum(mask.shape, shape)
    fitted[:height, :width] = mask[:height, :width]
    return fitted


def _fill(canvas: np.ndarray, mask: np.ndarray, colour: Colour, crowd: bool) -> None:
    height, width = canvas.shape[:2]
    large = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
    region, opacity = large, _OPACITY
    if crowd:
        rows, columns = np.ogrid[:height, :width]
        region, opacity, colour = large & ((rows + columns) % _HATCH < 4), 0.7, _GREY
    canvas[region] = (canvas[region] * (1 - opacity) + np.array(colour) * opacity).astype(np.uint8)
    outlines, _ = cv2.findContours(large.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, outlines, -1, colour, 1, cv2.LINE_8)


def _write_labels(canvas: np.ndarray, coloured: Sequence[tuple[Shape, Colour]], factor: float) -> None:
    """Labels at the boxes' upper left corners, each moved down until it covers no other; left out where none fits."""
    taken: list[tuple[int, int, int, int]] = []
    for shape, colour in coloured:
        corners = _corners(shape.box, factor)
        if not shape.label or not corners:
            continue
        (width, height), _ = cv2.getTextSize(_ascii(shape.label), _FONT, 0.5, 1)
        width, height = width + 6, height + 8
        left = int(np.clip(corners[0][0], 0, max(canvas.shape[1] - width, 0)))
        for top in range(max(corners[0][1] - height, 0), canvas.shape[0] - height, height + 1):
            place = left, top, left + width, top + height
            if not any(_overlap(place, other) for other in taken):
                taken.append(place)
                cv2.rectangle(canvas, place[:2], place[2:], _GREY if shape.crowd else colour, -1)
                corner = left + 3, top + height - 5
                cv2.putText(canvas, _ascii(shape.label), corner, _FONT, 0.5, DARK, 1, cv2.LINE_AA)
                break


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _centred(picture: np.ndarray, height: int) -> np.ndarray:
    """The picture in the middle of a cell of that height."""
    width = CELL[0]
    cell = np.full((height, width, 3), _PAPER, np.uint8)
    top, left = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
    cell[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return cell


def _text_line(text: str, width: int, indent: int = 6) -> np.ndarray:
    """A line of text on paper, cut off with dots where it is too long."""
    line = np.full((_LINE, width, 3), _PAPER, np.uint8)
    text = shown = _ascii(text)
    while shown and cv2.getTextSize(shown, _FONT, 0.5, 1)[0][0] > width - indent - 6:
        text = text[:-1]
        shown = text + "..."
    cv2.putText(line, shown, (indent, 18), _FONT, 0.5, _INK, 1, cv2.LINE_AA)
    return line


def _ascii(text: str) -> str:
    """The text in the letters that OpenCV can write."""
    return text.encode("ascii", "replace").decode()


def _legend(width: int) -> list[np.ndarray]:
    """Lines that explain colours and rings, as many as `width` px need."""
    items = [
        ("left", LEFT, False), ("right", RIGHT, False), ("neither", MIDDLE, False), ("visible", _GREY, False),
        ("occluded", _GREY, True), ("crowd", None, False),
    ]  # fmt: skip
    lines, left = [_text_line("", width)], 6
    for text, colour, hollow in items:
        needed = 26 + cv2.getTextSize(text, _FONT, 0.5, 1)[0][0] + 20
        if left + needed > width and left > 6:
            lines, left = [*lines, _text_line("", width)], 6
        line = lines[-1]
        if colour is None:
            _hatched_patch(line[5:22, left : left + 18])
        else:
            draw_joint(line, (left + 9, 13), colour, 6, hollow)
        cv2.putText(line, text, (left + 24, 18), _FONT, 0.5, _INK, 1, cv2.LINE_AA)
        left += needed
    return lines


def _hatched_patch(patch: np.ndarray) -> None:
    patch[:] = 90
    _fill(patch, np.ones(patch.shape[:2], bool), _GREY, crowd=True)
