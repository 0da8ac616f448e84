"""Checks of a results file, predicted keypoints in COCO's format, against the annotations it is scored on."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..coco import PERSONS
from .detections import UNCOVERED_REPORTED, UNCOVERED_SPOILS, check_entries
from .finding import SYSTEMATIC, Finding, find, shown
from .table import Table, fields, join, key, named, numbers

FAR = 0.5  # distance over the root of the box's area from which a result shows somebody or something else
ORDER_SHARE = 1 / 3  # of the joints to lie nearer another joint's truth
SAMPLE = 500  # people to compare with their nearest results


def check_results(
    results: Any, content: dict[str, Any], table: Table, categories: Sequence[int] = PERSONS
) -> list[Finding]:
    """A results file against the annotations `content`, read as `table`; `categories` are the ids that are read."""
    num_joints = table.keypoints.shape[1]
    found = check_result_format(results, content, num_joints, categories)
    if found:
        return found
    index, points = np.array(join(results, content["images"])), _points(results, num_joints)
    scores = numbers([[score] for score in fields(results, "score")], 1)[:, 0]
    return [*_check_scores(scores), *_check_coverage(results, content, table), *_check_places(points, index, table)]


def check_result_format(
    results: Any, content: dict[str, Any], num_joints: int, categories: Sequence[int] = PERSONS
) -> list[Finding]:
    """What keeps COCOeval from scoring a results file on the images of `content`."""
    found = check_entries(results, ("image_id", "category_id", "keypoints", "score"), "results")
    if found:
        return found
    index = np.array(join(results, content["images"]))
    points = _points(results, num_joints)
    scores = numbers([[score] for score in fields(results, "score")], 1)[:, 0]
    first = content["images"][0]["id"]
    return [
        *find(
            "results on images that are not in the annotations: COCOeval refuses the file", index < 0,
            lambda i: f"image_id {shown(results[i]['image_id'])}; an image of the annotations has {shown(first)}",
            "score the results against the annotations they were made for, with ids of the same type (5 is not '5')",
        ),
        *find(
            f"results of a category other than {named(categories)}: they match nobody",
            [each["category_id"] not in categories for each in results],
            lambda i: f"result number {i}: category_id {shown(results[i]['category_id'])}",
            f"write category_id {named(categories)}", SYSTEMATIC,
        ),
        *find(
            f"results without {3 * num_joints} finite keypoint numbers", ~np.isfinite(points).all(axis=(1, 2)),
            lambda i: f"result number {i}: {shown(results[i]['keypoints'])}", "write x, y, score for every joint",
        ),
        *find(
            "results whose score is no finite number", ~np.isfinite(scores), lambda i: f"result number {i}",
            "write a score for every person",
        ),
    ]  # fmt: skip


def _points(results: list[dict[str, Any]], num_joints: int) -> np.ndarray:
    return numbers(fields(results, "keypoints"), 3 * num_joints).reshape(-1, num_joints, 3)


def _check_scores(scores: np.ndarray) -> list[Finding]:
    if len(scores) < 2 or not (scores == scores[0]).all():
        return []
    what = "all results have the same score: COCOeval ranks by it, so good and bad ones count alike"
    fix = "write the person's score, e.g. the box's times the mean of the joints'"
    return [Finding(what, len(scores), len(scores), f"{scores[0]:.6g}", fix, spoils=False)]


def _check_coverage(results: list[Any], content: dict[str, Any], table: Table) -> list[Finding]:
    wanted = np.unique(table.image_index[table.people])
    covered = {key(each["image_id"]) for each in results}
    ids = [content["images"][place]["id"] for place in wanted]
    return find(
        "images with people but without a result", [key(each) not in covered for each in ids],
        lambda i: f"image {ids[i]}", "make results for the whole split", UNCOVERED_SPOILS, UNCOVERED_REPORTED,
    )  # fmt: skip


def _check_places(points: np.ndarray, index: np.ndarray, table: Table) -> list[Finding]:
    small = (np.abs(points[..., :2]) <= 1).all(axis=(1, 2)) & (points[..., :2] != 0).any(axis=(1, 2))
    found = find(
        "results whose keypoints are fractions of the image instead of px", small,
        lambda i: f"result number {i}: {shown(points[i].ravel())}", "write image px", SYSTEMATIC,
    )  # fmt: skip
    chosen, nearest, distances = nearest_results(points[..., :2], index, table)
    if found or not len(chosen):
        return found
    far = distances > FAR
    return _check_order(points[nearest, :, :2], table, chosen) or find(
        f"people whose nearest result is on average more than {FAR:g} of their box's side away (of a sample)", far,
        lambda i: f"{table.name(chosen[i])}: {distances[i]:.2f} of the side",
        "check that results are in px of the whole image, not of the crop, and that the ids belong together",
        0.5, 0.3,
    )  # fmt: skip


def _check_order(points: np.ndarray, table: Table, chosen: np.ndarray) -> list[Finding]:
    """Whether the results' joints come in the annotations' order: each is nearest, on average, to its own truth."""
    truth, labelled = table.keypoints[chosen, :, :2], table.labelled[chosen]
    side = np.sqrt(table.boxes[chosen, 2:].prod(axis=1))
    away = np.linalg.norm(truth[:, :, None] - points[:, None], axis=3) / side[:, None, None]  # (people, truth, result)
    mean = (away * labelled[..., None]).sum(axis=0) / np.maximum(labelled.sum(axis=0), 1)[:, None]
    own, other = np.diagonal(mean), mean.argmin(axis=1)
    wrong = (own > 0.1) & (mean.min(axis=1) < own / 2) & labelled.any(axis=0)
    return find(
        "joints whose truth is nearer another joint of the results than their own: the orders of the joints differ",
        wrong, lambda i: f"joint {i} of the annotations lies at joint {other[i]} of the results "
        f"({own[i]:.2f} of the box's side from joint {i})",
        "write results in the annotations' order of joints; check left and right", report_from=ORDER_SHARE,
    )  # fmt: skip


def nearest_results(points: np.ndarray, index: np.ndarray, table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A sample of people, the nearest result of each, and its mean distance over the root of the box's area; (n,) all.

    `points` (R, K, 2) in image px, `index` (R,) the results' images. Only people on images with results.
    """
    chosen = np.flatnonzero(table.people & table.sound_boxes & np.isin(table.image_index, index))
    chosen = chosen[:: len(chosen) // SAMPLE + 1]
    nearest = np.zeros(len(chosen), np.int64)
    distances = np.zeros(len(chosen))
    for place, person in enumerate(chosen):
        candidates = np.flatnonzero(index == table.image_index[person])
        seen = table.labelled[person]
        away = np.linalg.norm(points[candidates][:, seen] - table.keypoints[person, seen, :2], axis=2).mean(axis=1)
        nearest[place] = candidates[away.argmin()]
        distances[place] = away.min() / np.sqrt(table.boxes[person, 2:].prod())
    return chosen, nearest, distances


def describe_results(results: list[dict[str, Any]], content: dict[str, Any], table: Table) -> str:
    """How far the results are from the people, in words; for results that `check_result_format` has no fault with."""
    points = _points(results, table.keypoints.shape[1])
    _, _, distances = nearest_results(points[..., :2], np.array(join(results, content["images"])), table)
    if not len(distances):
        return "no result is on an image with people"
    return (
        f"the nearest results are {100 * np.median(distances):.2g}% of the box's side from the annotated people's "
        f"keypoints (median of {len(distances)} people)"
    )
