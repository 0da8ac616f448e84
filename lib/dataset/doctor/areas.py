"""`area`, on which COCO's score hangs twice: OKS measures distances in its root, and it sorts people by size."""

import copy
from typing import Any

import numpy as np

from .finding import NEVER, SYSTEMATIC, Finding, find
from .people import look_like_corners, normalised
from .table import Table, numbers

# area / (box width * box height). In 2297 real people of COCO it is 0.12 to 0.95, for nine in ten 0.3 to 0.73, the
# median 0.55; people with labelled keypoints alone: 0.16 to 0.95, median 0.53.
TOO_SMALL, TOO_LARGE, TYPICAL = 0.05, 1.1, 0.53
SIZE_RANGES = {"medium": (32**2, 96**2), "large": (96**2, 1e10)}  # px^2, both ends belong to them (COCOeval)


def check_areas(table: Table, sigmas: Any | None = None) -> list[Finding]:
    """Areas that do not fit their boxes; `sigmas` (K,) are the constants of OKS, where they are known."""
    areas, ratio = table.areas, area_ratio(table)
    people = table.people & np.isfinite(areas)
    judged = people & np.isfinite(ratio)
    small, large = judged & (areas > 0) & (ratio < TOO_SMALL), judged & (ratio > TOO_LARGE)
    alike = judged & (np.abs(ratio - 1) < 0.01)
    total = int(people.sum())
    return [
        *find(
            "`area` is 0 or less: these people are left out of training, and OKS with them is 0, so that nothing is "
            "counted as found",
            people & (areas <= 0), lambda i: _example(table, i), _fix(table), SYSTEMATIC, total=total,
        ),
        *find(
            _why_small(table, small, sigmas), small, lambda i: _example(table, i), _fix(table), SYSTEMATIC, total=total,
        ),
        *find(
            "`area` is larger than the box: OKS takes large errors for small ones, and the score is too high", large,
            lambda i: _example(table, i), _fix(table), SYSTEMATIC, total=total,
        ),
        *find(
            f"`area` is the box's: scores come out higher than COCO's, whose areas are of masks, about {TYPICAL} of the"
            " box",
            alike, lambda i: _example(table, i), "keep it, but do not compare the AP with COCO's", NEVER, 0.5, total,
        ),
    ]  # fmt: skip


def area_ratio(table: Table) -> np.ndarray:
    """(N,) areas over those of the boxes; nan where the box is unsound or not in px."""
    known = table.sound_boxes & ~normalised(table.boxes, table.sizes)
    rest = known & np.isfinite(table.sizes).all(axis=1)
    if look_like_corners(table.boxes[rest], table.sizes[rest]):
        known = np.zeros_like(known)
    return np.divide(table.areas, table.boxes[:, 2:].prod(axis=1), out=np.full(len(known), np.nan), where=known)


def _why_small(table: Table, small: np.ndarray, sigmas: Any | None) -> str:
    """Why areas that are much too small give an AP of 0 and sizes of -1, with the file's own numbers."""
    if not small.any():
        return ""
    areas, boxes = table.areas[small], table.boxes[small, 2:].prod(axis=1)
    area, box = np.median(areas), np.median(boxes)
    values = f"{area:.6g} px^2 for all of them" if len(np.unique(areas)) == 1 else f"{area:.6g} px^2 (median)"
    text = f"`area` is much too small for the box: {values}, {100 * area / box:.2g}% of a box of {box:.6g} px^2"
    text += f" (median); real people fill {100 * TYPICAL:.0f}%. OKS divides squared distances by area"
    if sigmas is not None:
        wrong, right = (half_distance(each, sigmas) for each in (area, TYPICAL * box))
        text += f": a keypoint is worth half up to {wrong:.1f} px from the truth, instead of {right:.0f} px"
    text += ", so good predictions count as misses and AP goes to 0"
    empty = [name for name in SIZE_RANGES if not _in_range(table, name).any()]
    if empty:
        text += f". Nobody is {' or '.join(empty)} ({_limits(empty)}): COCOeval gives -1 for these sizes"
    return text


def half_distance(area: float, sigmas: Any) -> float:
    """Px from the truth at which a keypoint with the median of `sigmas` counts half in OKS: exp(-d^2 / 8 A s^2) = 1/2.

    >>> round(half_distance(10000.0, [0.072]), 1)
    17.0
    """
    return float(np.sqrt(2 * np.log(2) * area) * 2 * np.median(sigmas))


def explain_scores(scores: dict[str, float], table: Table) -> list[str]:
    """Why COCOeval gives -1 for the sizes of people it gives it for, a line each."""
    counted = table.areas[_counted(table)]
    held = f"its {len(counted)} counted people have areas of {counted.min():.6g} to {counted.max():.6g} px^2"
    lines = []
    for name, short in (("medium", "(M)"), ("large", "(L)")):
        if any(value == -1 for metric, value in scores.items() if short in metric):
            lines.append(f"{short} is -1: nobody of the ground truth is {name} ({_limits([name])}); {held}")
    return lines


def repaired_areas(content: dict[str, Any], table: Table) -> dict[str, Any]:
    """The content with an area from the mask's polygons, or else the box, for the people whose area does not fit it."""
    ratio = area_ratio(table)
    wrong = table.people & np.isfinite(ratio) & ((ratio < TOO_SMALL) | (ratio > TOO_LARGE))
    annotations = copy.copy(content["annotations"])
    for number in np.flatnonzero(wrong):
        area = polygon_area(annotations[number].get("segmentation"))
        area = area or TYPICAL * float(table.boxes[number, 2:].prod())
        annotations[number] = {**annotations[number], "area": area}
    return {**content, "annotations": annotations}


def polygon_area(segmentation: Any) -> float:
    """Area in px^2 of COCO's polygons [[x, y, x, y, ...], ...]; 0 where there are none.

    >>> polygon_area([[0, 0, 4, 0, 4, 3, 0, 3]])
    12.0
    """
    if not isinstance(segmentation, list):
        return 0.0
    total = 0.0
    for polygon in segmentation:
        if isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0:
            x, y = numbers([polygon], len(polygon)).reshape(-1, 2).T
            total += abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
    return total if np.isfinite(total) else 0.0


def _counted(table: Table) -> np.ndarray:
    """(N,) the people whom COCOeval expects to be found."""
    return ~table.crowd & table.person & (table.declared > 0) & np.isfinite(table.areas)


def _in_range(table: Table, name: str) -> np.ndarray:
    low, high = SIZE_RANGES[name]
    return _counted(table) & (table.areas >= low) & (table.areas <= high)


def _limits(names: list[str]) -> str:
    text = {"medium": "32^2 = 1024 to 96^2 = 9216 px^2", "large": "from 96^2 = 9216 px^2"}
    return "at least 32^2 = 1024 px^2" if len(names) == 2 else text[names[0]]


def _example(table: Table, number: int) -> str:
    width, height = table.boxes[number, 2:]
    text = f"{table.name(number)}: area {table.areas[number]:.6g}, box {width:.6g} x {height:.6g} px"
    polygons = polygon_area(table.annotations[number].get("segmentation"))
    return text + f", the polygons of its mask enclose {polygons:.6g} px^2" * bool(polygons)


def _fix(table: Table) -> str:
    if any(polygon_area(each.get("segmentation")) for each in table.annotations[:20]):
        return "write the area of the mask in px^2: the file's own polygons give it"
    return f"write the area of the mask in px^2, or about {TYPICAL} of the box's where there is no mask"
