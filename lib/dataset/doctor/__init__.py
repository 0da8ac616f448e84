"""The doctor: finds why an AP will be 0 before an epoch is spent.

Pure functions from plain data to lists of `Finding`: annotation files as JSON gives them (structure.py, people.py,
areas.py), skeletons (skeleton.py), detections and results files, records, images and targets (crops.py).
`check_annotations` runs all on one file, `quick_check` those that a training can afford at its start.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...metrics.oks import COCO_SIGMAS
from .. import coco
from ..joints import TestCrops, TrainingCrops
from ..records import Records
from ..skeletons import Skeleton
from .areas import check_areas, explain_scores, repaired_areas
from .crops import check_images, check_records, check_targets
from .detections import check_detected_boxes, check_detections
from .finding import NEVER, SYSTEMATIC, Finding
from .people import check_boxes, check_keypoint_places, check_labels, lie_outside
from .results import check_result_format, check_results, describe_results
from .skeleton import check_keypoint_names, check_same_keypoints, check_skeleton
from .structure import check_categories, check_ids, check_numbers, check_structure, has_images
from .structure import check_images as check_image_entries
from .table import Table, join, numbers, read_table

__all__ = [
    "Finding",
    "Table",
    "check_annotations",
    "check_detections",
    "check_images",
    "check_records",
    "check_result_format",
    "check_results",
    "check_same_keypoints",
    "check_skeleton",
    "check_structure",
    "check_targets",
    "describe_people",
    "describe_results",
    "explain_scores",
    "has_images",
    "image_files",
    "join",
    "most_frequent_joints",
    "quick_check",
    "read_table",
    "repaired_areas",
]

logger = logging.getLogger(__name__)

QUICK_ANNOTATIONS = 20_000


def check_annotations(
    content: Any, num_joints: int, skeleton: Skeleton | None = None, categories: Sequence[int] = coco.PERSONS
) -> list[Finding]:
    """Every check of a COCO annotation file as JSON gives it; goes on after mistakes that a reader stops at.

    `categories` are the ids that are read.
    """
    found = check_structure(content)
    if found:
        return found
    table = read_table(content, num_joints, categories)
    found = [
        *check_image_entries(content),
        *check_ids(content, table),
        *check_categories(content, table, categories),
        *check_numbers(table),
    ]
    if not np.isfinite(table.keypoints).all(axis=(1, 2)).any():
        return found  # nothing more can be said about people without coordinates
    found += check_labels(table)
    found += check_boxes(table)
    found += check_keypoint_places(table)
    found += check_areas(table, (skeleton.sigmas or None) if skeleton else None)
    if skeleton is not None:
        found += check_keypoint_names(content, skeleton)
    if not any(each.spoils for each in found) and not _used(table).any():
        what = "nobody is left after the reader's filters"
        found.append(Finding(what, len(table.areas), len(table.areas), describe_people(table), "label people"))
    return found


def describe_people(table: Table) -> str:
    """How many people the reader keeps, and why it leaves others out, in words."""
    used = _used(table)
    reasons = np.select(
        [
            table.image_index < 0, table.crowd, ~table.person, ~table.labelled.any(axis=1), ~(table.areas > 0),
        ],
        ["on no image", "crowd", "other category", "without labelled keypoints", "area not above 0"],
        "box outside the image",
    )  # fmt: skip
    left_out = Counter(reasons[~used].tolist())
    text = f"{used.sum()} of {len(used)} annotations are people to train on and to score"
    return text + "; left out: " * bool(left_out) + ", ".join(f"{n} {reason}" for reason, n in left_out.most_common())


def _used(table: Table) -> np.ndarray:
    """(N,) whom `coco.annotated_people` keeps."""
    outside = ~table.sound_boxes | lie_outside(table.boxes, table.sizes)
    return table.people & (table.areas > 0) & ~outside


def image_files(content: dict[str, Any], index: np.ndarray, image_set: str = "") -> tuple[list[str], np.ndarray]:
    """File names and sizes (M, 2) of the M images of a COCO content that `index` (N,), with -1 for none, names."""
    images = [content["images"][place] for place in np.unique(index[index >= 0])]
    names = [str(image.get("file_name") or _default_name(image["id"], image_set)) for image in images]
    return names, numbers([[image.get("width"), image.get("height")] for image in images], 2)


def _default_name(image_id: Any, image_set: str) -> str:
    return coco.image_name(image_id, image_set) if isinstance(image_id, int) else str(image_id)


def most_frequent_joints(content: Any, default: int = len(COCO_SIGMAS)) -> int:
    """The number of keypoints that most annotations of a file have; `default`, COCO's, where none can be told."""
    entries = content.get("annotations") if isinstance(content, dict) else None
    lists = [e.get("keypoints") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    counts = Counter(len(each) // 3 for each in lists if isinstance(each, list) and each)
    return counts.most_common(1)[0][0] if counts else default


def quick_check(training: TrainingCrops, tests: Sequence[TestCrops]) -> list[Finding]:
    """What can be found in a second or two before a training; spoiling findings go to the log as warnings.

    `tests` are the same split with one kind of boxes or with two.
    """
    records, skeleton, test = training.records, training.skeleton, tests[0]
    has_oks = isinstance(test.ground_truth, dict) and "images" in test.ground_truth  # COCO's
    found = [
        *check_skeleton(skeleton, records.keypoints.shape[1], has_oks),
        *check_same_keypoints(skeleton, test.skeleton),
        *check_records(records),
        *_check_left_out(records, "annotations", SYSTEMATIC),
        *check_targets(records, training.codec),  # type: ignore[arg-type]
        *check_images(training.images, records.image_names[np.unique(records.image_index)].tolist()),
        *check_keypoint_names({"categories": training.categories}, skeleton),
        *_check_scored(test),
        *(finding for each in tests if each.detected for finding in _check_detected(each)),
    ]
    for each in found:
        logger.log(logging.WARNING if each.spoils else logging.INFO, "%s", each)
    if any(each.spoils for each in found):
        logger.warning("the data has faults that spoil the score; python tools/doctor.py --cfg ... checks all of it")
    return found


def _check_scored(test: TestCrops) -> list[Finding]:
    records = test.records
    found = check_images(test.images, records.image_names[np.unique(records.image_index)].tolist())
    sample = _sample(test.ground_truth)
    if sample is None:
        return found
    return found + check_annotations(sample, records.keypoints.shape[1], test.skeleton, test.category_ids)


def _check_detected(test: TestCrops) -> list[Finding]:
    records, sample = test.records, _sample(test.ground_truth)
    sound = sample is not None and not check_structure(sample)
    people = read_table(sample, records.keypoints.shape[1], test.category_ids) if sample and sound else None
    return [
        *check_detected_boxes(records.boxes, records.image_index, test.ground_truth or {}, people),
        *_check_left_out(records, "detections", NEVER),  # what is spoilt shows in the images without any
    ]


def _sample(content: Any) -> dict[str, Any] | None:
    """A COCO content with at most QUICK_ANNOTATIONS annotations; None of a test set without, and of other formats."""
    if not isinstance(content, dict) or not content.get("annotations"):
        return None
    step = -(-len(content["annotations"]) // QUICK_ANNOTATIONS)
    return {**content, "annotations": content["annotations"][::step]}


# What is wrong where many annotations are left out for one of these reasons; others are usual.
LEFT_OUT_FIXES = {
    coco.ELSEWHERE: "use the ids of 'images', of the same type (5 is not '5'), or add the images",
    coco.OUTSIDE: "check that boxes and image sizes belong together",
    coco.OTHERS: f"set category_id to {coco.PERSON} where they are people, or read others with DATASET.SKELETON file",
    coco.NO_AREA: "write the person's area in px^2",
}


def _check_left_out(records: Records, kind: str, spoils_from: float) -> list[Finding]:
    total = len(records) + sum(records.left_out.values())
    return [
        Finding(f"{kind} {reason}: they are left out", count, total, "", fix, count >= spoils_from * total)
        for reason, fix in LEFT_OUT_FIXES.items()
        if (count := records.left_out.get(reason, 0))
    ]
