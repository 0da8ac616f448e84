"""COCO's `segmentation` in its three encodings: polygons, uncompressed and compressed run lengths (RLE).

pycocotools makes the masks. It trusts what it is given: run lengths that end too early give a mask of whatever the
memory held, and coordinates far away end the process. So both are checked here first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from .doctor.finding import shown
from .doctor.table import numbers
from .records import DataError

POLYGONS, UNCOMPRESSED, COMPRESSED, NONE, FAULTY = ENCODINGS = (
    "polygons", "uncompressed RLE", "compressed RLE", "none", "faulty",
)  # fmt: skip
FAR = 10  # image sizes that a polygon may reach beyond its image
LARGEST = 2**28  # px of an image


@dataclass(frozen=True)
class Masks:
    """The masks of N annotations.

    Attributes:
        encodings: (N,) one of ENCODINGS each.
        areas: (N,) pixels; nan without a mask, with a faulty one, and for polygons on an image of unknown size.
        faults: what is wrong with the faulty ones, by their position.
    """

    encodings: np.ndarray
    areas: np.ndarray
    faults: dict[int, str]


def measure_masks(segmentations: Sequence[Any], sizes: np.ndarray) -> Masks:
    """Encodings and areas of N segmentations as JSON gives them on images of `sizes` (N, 2), width and height."""
    encodings, areas, faults = [], np.full(len(segmentations), np.nan), {}
    for number, (segmentation, size) in enumerate(zip(segmentations, sizes.tolist(), strict=True)):
        encodings.append(encoding(segmentation))
        if encodings[-1] == NONE or (encodings[-1] == POLYGONS and not is_sound_size(size)):
            continue
        try:
            areas[number] = coco_mask.area(run_lengths(segmentation, size))
        except DataError as error:
            encodings[-1], faults[number] = FAULTY, str(error)
    return Masks(np.array(encodings), areas, faults)


def encoding(segmentation: Any) -> str:
    """One of ENCODINGS, by the type alone.

    >>> encoding([[0, 0, 4, 0, 4, 3]]), encoding({"size": [2, 2], "counts": [4]}), encoding([])
    ('polygons', 'uncompressed RLE', 'none')
    """
    if segmentation is None or segmentation == []:
        return NONE
    if isinstance(segmentation, list):
        return POLYGONS
    counts = segmentation.get("counts") if isinstance(segmentation, dict) else None
    return UNCOMPRESSED if isinstance(counts, list) else COMPRESSED if isinstance(counts, (str, bytes)) else FAULTY


def read_mask(segmentation: Any, size: Sequence[float]) -> np.ndarray | None:
    """The mask (H, W) of bool on an image of `size` (w, h), None where there is none; a DataError for a faulty one."""
    if encoding(segmentation) == NONE:
        return None
    return coco_mask.decode(run_lengths(segmentation, size)).astype(bool)


def run_lengths(segmentation: Any, size: Sequence[float]) -> dict[str, Any]:
    """pycocotools' RLE of a segmentation on an image of `size` (w, h) px; its own size counts where that is unknown.

    Raises:
        DataError: what is wrong with it.
    """
    kind = encoding(segmentation)
    if kind == FAULTY:
        raise DataError(f"neither polygons nor an object with 'counts': {shown(segmentation)}")
    if kind != POLYGONS:
        return _checked_runs(segmentation, size)
    if not is_sound_size(size):
        raise DataError(f"polygons on an image of {size[0]:g} x {size[1]:g} px")
    _check_polygons(segmentation, size)
    width, height = map(int, size)
    return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))


def is_sound_size(size: Sequence[float]) -> bool:
    """Whether (w, h) are whole numbers of px of an image that one can hold."""
    width, height = size
    return width > 0 and height > 0 and width % 1 == 0 == height % 1 and width * height <= LARGEST


def _check_polygons(polygons: list[Any], size: Sequence[float]) -> None:
    for polygon in polygons:
        if not isinstance(polygon, list):
            raise DataError(f"a polygon is no list of numbers: {shown(polygon)}; write [[x, y, x, y, ...], ...]")
        if len(polygon) < 6 or len(polygon) % 2:  # pycocotools would take four numbers for a box
            raise DataError(f"a polygon of {len(polygon)} numbers; it takes x and y of three points or more")
        values = numbers([polygon], len(polygon))
        if not (np.abs(values) <= FAR * max(size)).all():
            raise DataError(f"a polygon with coordinates that are no numbers near the image: {shown(polygon)}")


def _checked_runs(segmentation: dict[str, Any], size: Sequence[float]) -> dict[str, Any]:
    own = segmentation.get("size")
    if not isinstance(own, list) or len(own) != 2 or not all(type(n) is int for n in own) or not is_sound_size(own):
        raise DataError(f"'size' is not height and width in px: {shown(own)}")
    height, width = own
    if is_sound_size(size) and (width, height) != tuple(size):
        raise DataError(f"a mask of {width} x {height} px on an image of {size[0]:g} x {size[1]:g} px")
    counts = segmentation["counts"]
    runs = _whole_numbers(counts) if isinstance(counts, list) else decompress(counts)
    if (runs < 0).any() or runs.sum() != height * width:
        raise DataError(f"run lengths that cover {runs.sum()} of {height * width} px")
    if isinstance(counts, list):
        return coco_mask.frPyObjects({"size": own, "counts": runs.tolist()}, height, width)
    return {"size": own, "counts": counts}


def _whole_numbers(counts: list[Any]) -> np.ndarray:
    if not all(type(count) is int and 0 <= count <= LARGEST for count in counts):
        raise DataError(f"run lengths that are no whole numbers of px: {shown(counts)}")
    return np.array(counts, np.int64)


def decompress(text: str | bytes) -> np.ndarray:
    """The run lengths (n,) of COCO's compressed RLE; a DataError where the text is none.

    Each number is written in groups of 5 bits, low ones first, a character (48 + bits) each with 32 added where
    another follows; bit 16 of the last is the sign. From the fourth number on it is the difference to the last but one.

    >>> decompress("04")
    array([0, 4])
    """
    codes = np.frombuffer(text.encode("utf-8") if isinstance(text, str) else text, np.uint8).astype(np.int64) - 48
    last = (codes & 32) == 0
    if not len(codes) or not ((codes >= 0) & (codes < 64)).all() or not last[-1]:
        raise DataError(f"'counts' is no text of compressed run lengths: {shown(text)}")
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    lengths = np.diff(np.append(starts, len(codes)))
    if lengths.max() > 7:
        raise DataError(f"'counts' holds numbers that are too large for an image: {shown(text)}")
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    values = np.add.reduceat((codes & 31) << shifts, starts)
    values -= np.where(codes[last] & 16, 1 << 5 * lengths, 0)
    runs = values.copy()
    runs[1::2], runs[2::2] = values[1::2].cumsum(), values[2::2].cumsum()
    return runs
