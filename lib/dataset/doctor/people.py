"""Checks of annotated people: labels, boxes in images, keypoints in boxes."""

import numpy as np

from .finding import NEVER, SYSTEMATIC, Finding, find, shown
from .table import Table

PADDING = 1.25  # of the crops around the boxes
# Real COCO: of 1452 people 3 have more than half of their keypoints outside the padded box.
STRAY_PEOPLE_REPORTED, STRAY_PEOPLE_SPOIL = 0.05, 0.2
CORNERS_BEYOND, CORNERS_FIT = 0.2, 0.99  # see `look_like_corners`


def check_labels(table: Table) -> list[Finding]:
    """Visibility values, num_keypoints, and labelled joints at (0, 0)."""
    visibility, labelled = table.keypoints[..., 2], table.labelled
    counts = labelled.sum(axis=1)
    if table.crowd.all():
        what = "everybody is a crowd (iscrowd 1): crowds are not trained on, and what is found on them is not counted"
        return [Finding(what, len(counts), len(counts), table.name(0), "write iscrowd 0 for single people")]
    if not (labelled.any(axis=1) & ~table.crowd).any():
        what = "nobody has a labelled keypoint (v is 1 or 2): there is nothing to train on or to score"
        fix = "write v = 2 for visible and v = 1 for hidden but labelled joints"
        return [Finding(what, len(counts), len(counts), f"{table.name(0)}: v {shown(visibility[0])}", fix)]
    strange = np.isfinite(visibility) & ~np.isin(visibility, (0, 1, 2))
    partial = strange & (visibility < 1)  # from 1 on, every value is read as labelled
    lost = labelled & (table.keypoints[..., :2] == 0).all(axis=2)
    at_origin = lost.any(axis=1)
    counted = ~table.crowd & np.isfinite(table.keypoints).all(axis=(1, 2))
    disagree = counted & ((table.declared == 0) != (counts == 0))
    inexact = counted & ~disagree & (table.declared != counts)
    return [
        *find(
            "people with a visibility below 1 that is not 0: it weighs their joints in the loss", partial.any(axis=1),
            lambda i: f"{table.name(i)}: v {shown(visibility[i][partial[i]])}",
            "write 0 (not labelled), 1 (hidden) or 2 (visible)", SYSTEMATIC,
        ),
        *find(
            "people with a visibility other than 0, 1 or 2, which is read as labelled",
            (strange & ~partial).any(axis=1), lambda i: f"{table.name(i)}: v {shown(visibility[i][strange[i]])}",
            "write 0 (not labelled), 1 (hidden) or 2 (visible)", NEVER,
        ),
        *find(
            "people with labelled joints at (0, 0), most likely missing ones", at_origin,
            lambda i: f"{table.name(i)}: joint number {np.flatnonzero(lost[i])[0]}",
            "write v = 0 for joints without a label", SYSTEMATIC,
        ),
        *find(
            "people whose num_keypoints is 0 although joints are labelled, or the other way round: COCOeval ignores "
            "people with 0, and counts the others as people to be found",
            disagree, lambda i: f"{table.name(i)}: num_keypoints {table.declared[i]:g}, labelled {counts[i]}",
            "write the number of joints with v > 0, or leave num_keypoints out", SYSTEMATIC,
        ),
        *find(
            "people whose num_keypoints is not the number of labelled joints; only 0 matters to COCOeval", inexact,
            lambda i: f"{table.name(i)}: num_keypoints {table.declared[i]:g}, labelled {counts[i]}",
            "write the number of joints with v > 0, or leave num_keypoints out", NEVER,
        ),
    ]  # fmt: skip


def check_boxes(table: Table) -> list[Finding]:
    """Boxes without size, in other units, given by corners, or outside their images."""
    boxes, sizes, crowd = table.boxes, table.sizes, table.crowd
    given = np.isfinite(boxes).all(axis=1) & ~crowd
    small = normalised(boxes, sizes) & given
    empty = given & ~small & ~table.sound_boxes
    rest = given & ~small & ~empty & np.isfinite(sizes).all(axis=1)
    found = [
        *find(
            "boxes in fractions of the image instead of px", small,
            lambda i: f"{table.name(i)}: bbox {shown(boxes[i])}", "multiply x and width by the image's width, "
            "y and height by its height", SYSTEMATIC,
        ),
        *find(
            "boxes whose width or height is not positive", empty,
            lambda i: f"{table.name(i)}: bbox {shown(boxes[i])}", "write x, y, width, height in px", SYSTEMATIC,
        ),
    ]  # fmt: skip
    if look_like_corners(boxes[rest], sizes[rest]):
        beyond = rest & reach_beyond(boxes, sizes)
        what = "boxes that reach beyond their image; read as corners x1, y1, x2, y2, nearly all lie inside"
        fix = "write x, y, width, height: width = x2 - x1, height = y2 - y1"
        return found + find(what, beyond, lambda i: _box_in_image(table, i), fix, SYSTEMATIC, total=int(rest.sum()))
    outside = rest & lie_outside(boxes, sizes)
    partly = rest & ~outside & (area_inside(boxes, sizes) < 0.9)
    return [
        *found,
        *find(
            "boxes outside their image: these people are left out", outside, lambda i: _box_in_image(table, i),
            "check that boxes and image sizes belong together", SYSTEMATIC,
        ),
        *find(
            "boxes with more than a tenth of their area outside the image; they are clipped", partly,
            lambda i: _box_in_image(table, i), "check that boxes and image sizes belong together", 0.5, SYSTEMATIC,
        ),
    ]  # fmt: skip


def check_keypoint_places(table: Table) -> list[Finding]:
    """Labelled keypoints in other units, outside their images or their boxes."""
    labelled = table.labelled & np.isfinite(table.keypoints).all(axis=2)
    points = table.keypoints[..., :2]
    people = table.people & np.isfinite(table.sizes).all(axis=1)
    small = people & np.where(labelled[..., None], np.abs(points) <= 1, True).all(axis=(1, 2)) & _large(table.sizes)
    inside = np.all((points >= -1) & (points <= table.sizes[:, None] + 1), axis=2)
    outside = people & ~small & (labelled & ~inside).any(axis=1)
    boxed = people & ~small & ~outside & table.sound_boxes & ~normalised(table.boxes, table.sizes)
    center, size = table.boxes[:, :2] + table.boxes[:, 2:] / 2, table.boxes[:, 2:]
    stray = boxed & mostly_outside(points, labelled, center, size * PADDING)
    return [
        *find(
            "people whose keypoints are fractions of the image instead of px", small,
            lambda i: f"{table.name(i)}: keypoints {shown(table.keypoints[i].ravel())}",
            "multiply x by the image's width and y by its height", SYSTEMATIC, total=int(people.sum()),
        ),
        *find(
            "people with labelled keypoints outside their image", outside,
            lambda i: f"{table.name(i)}: {shown(points[i][labelled[i] & ~inside[i]][0])} in an image of "
            f"{shown(table.sizes[i])}",
            "check that keypoints and images have the same size and orientation; v = 0 for joints out of sight",
            STRAY_PEOPLE_REPORTED, total=int(people.sum()),
        ),
        *find(
            f"people with more than half of their keypoints outside their box, even widened {PADDING} times: their "
            "crops show something else",
            stray, lambda i: f"{table.name(i)}: box {shown(table.boxes[i])}, keypoints around "
            f"{shown(points[i][labelled[i]].mean(axis=0).round(1))}",
            "check that boxes and keypoints belong to the same person and image size",
            STRAY_PEOPLE_SPOIL, STRAY_PEOPLE_REPORTED, int(people.sum()),
        ),
    ]  # fmt: skip


def mostly_outside(points: np.ndarray, labelled: np.ndarray, center: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(N,) whose labelled points (N, K, 2) lie for more than half outside the box `center`, `size` (N, 2), image px."""
    away = (np.abs(points - center[:, None]) > size[:, None] / 2 + 1).any(axis=2) & labelled
    return away.sum(axis=1) > labelled.sum(axis=1) / 2


def normalised(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N,) boxes (N, 4) with all numbers in 0..1 on images larger than that (N, 2)."""
    return (boxes >= 0).all(axis=1) & (boxes <= 1).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1) & _large(sizes)


def look_like_corners(boxes: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether boxes (N, 4) on images of `sizes` (N, 2) are x1, y1, x2, y2 rather than x, y, width, height.

    As x, y, width, height many reach beyond their images, while as corners nearly all lie inside.
    """
    if not len(boxes):
        return False
    fit = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (boxes[:, 2:] <= sizes + 1).all(axis=1)
    return bool(reach_beyond(boxes, sizes).mean() >= CORNERS_BEYOND and fit.mean() >= CORNERS_FIT)


def reach_beyond(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N,) boxes that end more than 2 px to the right of or below their images."""
    return (boxes[:, :2] + boxes[:, 2:] > sizes + 2).any(axis=1)


def lie_outside(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N,) boxes without a pixel in their images."""
    return ((boxes[:, :2] >= sizes) | (boxes[:, :2] + boxes[:, 2:] <= 0)).any(axis=1)


def area_inside(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N,) shares of the boxes' areas that lie in their images; 1 for boxes without area."""
    first, last = np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, :2] + boxes[:, 2:], sizes)
    area = boxes[:, 2:].prod(axis=1)
    return np.where(area > 0, np.maximum(last - first, 0).prod(axis=1) / np.where(area > 0, area, 1), 1.0)


def _large(sizes: np.ndarray) -> np.ndarray:
    return np.all(sizes > 10, axis=1)


def _box_in_image(table: Table, number: int) -> str:
    return f"{table.name(number)}: bbox {shown(table.boxes[number])} in an image of {shown(table.sizes[number])}"
