"""Checks of a file with detected boxes against the images and people of a split."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...metrics import box_iou
from ..coco import PERSONS
from .finding import NEVER, SYSTEMATIC, Finding, find, shown
from .people import lie_outside, look_like_corners, normalised, reach_beyond
from .table import Table, fields, join, named, numbers

UNCOVERED_REPORTED, UNCOVERED_SPOILS = 0.1, 0.5  # share of the images with people that have no detection
FOUND_IOU = 0.5
MISSED_REPORTED, MISSED_SPOILS = 0.4, 0.7  # share of the people without a box of that IoU; 1.3% with a real detector
SAMPLE = 500  # people whose boxes are compared with the detections


def check_detections(
    detections: Any,
    content: dict[str, Any],
    people: Table | None = None,
    score_threshold: float = 0.0,
    categories: Sequence[int] = PERSONS,
) -> list[Finding]:
    """A detections file (COCO results format) against the images of `content` and, where given, its people.

    `categories` are the ids that are read.
    """
    found = check_entries(detections, ("image_id", "bbox", "score"), "detections")
    if found:
        return found
    default = categories[0] if len(categories) == 1 else None
    others = [each.get("category_id", default) not in categories for each in detections]
    persons = [each for each, other in zip(detections, others, strict=True) if not other]
    found = find(
        f"detections of a category other than {named(categories)}; they are left out", others,
        lambda i: f"detection number {i}: category_id {shown(detections[i].get('category_id'))}",
        f"set category_id to {named(categories)} where they are such ones", NEVER if persons else 0.0,
    )  # fmt: skip
    if not persons:
        return found
    index = np.array(join(persons, content["images"]))
    found += check_join(persons, index, content["images"], "detections")
    found += _check_scores(numbers([[each] for each in fields(persons, "score")], 1)[:, 0], score_threshold)
    if (index < 0).all():
        return found
    boxes = numbers([box[:4] if isinstance(box, list) else box for box in fields(persons, "bbox")], 4)
    return found + check_detected_boxes(boxes[index >= 0], index[index >= 0], content, people)


def check_detected_boxes(
    boxes: np.ndarray, index: np.ndarray, content: dict[str, Any], people: Table | None = None
) -> list[Finding]:
    """Detected boxes (N, 4) x, y, width, height, on the images of `content` at the positions `index` (N,)."""
    return _check_coverage(index, content, people) + _check_boxes(boxes, index, content, people)


def check_entries(entries: Any, required: tuple[str, ...], kind: str) -> list[Finding]:
    """Whether it is a list of objects with the required fields."""
    if not isinstance(entries, list) or not entries:
        what = f"the file holds no list of {kind}"
        held = type(entries).__name__ if not isinstance(entries, list) else "empty list"
        return [Finding(what, 1, 1, f"a JSON {held}", f"write [{{{', '.join(required)}}}, ...] (COCO results format)")]
    lacking = [not isinstance(each, dict) or any(name not in each for name in required) for each in entries]
    return find(
        f"{kind} without one of {', '.join(required)}", lacking, lambda i: f"number {i}: {shown(entries[i])}",
        "write COCO results format",
    )  # fmt: skip


def check_join(entries: list[Any], index: np.ndarray, images: list[Any], kind: str) -> list[Finding]:
    """Whether entries are on the split's images; `index` (N,) of the image, -1 for none."""
    none = bool((index < 0).all())
    what = f"{kind} on images that are not in the annotations"
    what += ": the file belongs to another split" if none else "; they are left out"
    return find(
        what, index < 0,
        lambda i: f"image_id {shown(entries[i]['image_id'])}; an image of the annotations has {shown(images[0]['id'])}",
        f"give the {kind} of this split, with ids of the same type (5 is not '5')", 0.0 if none else NEVER,
    )  # fmt: skip


def _check_scores(scores: np.ndarray, threshold: float) -> list[Finding]:
    found = find(
        "detections whose score is no number", np.isnan(scores), lambda i: f"detection number {i}", "write their scores"
    )
    found += find(
        "detections with a score outside 0 to 1: it multiplies the scores of the keypoints",
        (scores < 0) | (scores > 1), lambda i: f"detection number {i}: {scores[i]:.6g}", "write probabilities", NEVER,
    )  # fmt: skip
    if len(scores) > 1 and (scores == scores[0]).all():
        what = "all detections have the same score, so good and bad boxes rank alike"
        found.append(Finding(what, len(scores), len(scores), f"{scores[0]:.6g}", "write the detector's scores", False))
    if not found and (scores < threshold).all():
        what = f"no detection reaches TEST.IMAGE_THRE {threshold:g}"
        example = f"the highest score is {scores.max():.6g}"
        found.append(Finding(what, len(scores), len(scores), example, "lower TEST.IMAGE_THRE"))
    return found


def _check_coverage(index: np.ndarray, content: dict[str, Any], people: Table | None) -> list[Finding]:
    images = content["images"]
    wanted = np.arange(len(images)) if people is None else np.unique(people.image_index[people.people])
    bare = ~np.isin(wanted, index)
    what = "images with people" if people is not None else "images"
    return find(
        f"{what} without a detection: nobody is found there", bare, lambda i: f"image {images[wanted[i]]['id']}",
        "give the detections of the whole split", UNCOVERED_SPOILS, UNCOVERED_REPORTED,
    )  # fmt: skip


def _check_boxes(boxes: np.ndarray, index: np.ndarray, content: dict[str, Any], people: Table | None) -> list[Finding]:
    images = content["images"]
    sizes = numbers([[image["width"], image["height"]] for image in images], 2)[index]

    def example(number: int) -> str:
        box, size = shown(boxes[number]), shown(sizes[number])
        return f"bbox {box} in image {images[index[number]]['id']} of {size}"

    finite = np.isfinite(boxes).all(axis=1)
    small = finite & normalised(boxes, sizes)
    unsound = finite & ~small & ~(boxes[:, 2:] > 0).all(axis=1)
    fix = "write x, y, width, height in px"
    found = find("detections whose box is not four numbers: the file cannot be read", ~finite, example, fix)
    found += find("detections whose width or height is not positive", unsound, example, fix, SYSTEMATIC)
    found += find("detections in fractions of the image instead of px", small, example, fix, SYSTEMATIC)
    rest = finite & ~small & ~unsound
    if look_like_corners(boxes[rest], sizes[rest]):
        what = "detections that reach beyond their image; read as corners x1, y1, x2, y2, nearly all lie inside"
        return found + find(what, rest & reach_beyond(boxes, sizes), example, fix)
    outside = rest & lie_outside(boxes, sizes)
    found += find("detections outside their image", outside, example, "give boxes of the images' size", 0.1, SYSTEMATIC)
    if found or people is None:
        return found
    return _check_overlap(boxes, index, people)


def _check_overlap(boxes: np.ndarray, index: np.ndarray, people: Table) -> list[Finding]:
    """Whether detections lie on the annotated people of the images that have any, by the IoU with the best one."""
    chosen = np.flatnonzero(people.people & people.sound_boxes & np.isin(people.image_index, index))
    chosen = chosen[:: len(chosen) // SAMPLE + 1]
    truth, found = _corners(people.boxes), _corners(boxes)
    best = np.array([box_iou(truth[[i]], found[index == people.image_index[i]]).max() for i in chosen])
    missed = best < FOUND_IOU
    return find(
        f"annotated people without a detection of an IoU of at least {FOUND_IOU} (of a sample)", missed,
        lambda i: f"{people.name(chosen[i])}: bbox {shown(people.boxes[chosen[i]])}, best IoU {best[i]:.2f}",
        "check that detections and annotations are of the same images at the same size, or take a better detector",
        MISSED_SPOILS, MISSED_REPORTED,
    )  # fmt: skip


def _corners(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) x1, y1, x2, y2 of boxes in x, y, width, height."""
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
