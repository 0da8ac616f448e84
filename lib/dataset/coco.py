"""COCO keypoint files -> records, in HRNet's folder layout.

ROOT/images/<set>/000000000139.jpg               or ROOT/images/<set>.zip
ROOT/annotations/person_keypoints_<set>.json     image_info_<set>.json for the test sets
ROOT/person_detection_results/....json           detections, COCO results format

DATASET.ANNOTATIONS and DATASET.IMAGES name other places. Files with keypoints of their own: own_keypoints.py.

COCO's subsets test-dev2017 and so on are lists of images of test2017, whose annotations are not public.
"""

import logging
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.arrays import numbers
from ..utils.files import parse_json
from ..utils.geometry import box_to_center_scale, clip_boxes
from .records import DataError, Records

logger = logging.getLogger(__name__)

PERSON = 1  # category id
PERSONS = (PERSON,)  # the categories that are read
# Why annotations and detections are left out, for Records.left_out.
ELSEWHERE, OUTSIDE = "on images that are not in the file", "with a box outside the image"
OTHERS, NO_AREA = "of a category other than person", "with an area of 0 or less"
HIDDEN = 1  # third number of a keypoint that is labelled but not seen; 2 is seen, 0 not labelled


def is_test_set(image_set: str) -> bool:
    """Whether it is one of COCO's sets without public annotations: test2017, test-dev2017, ...

    >>> is_test_set("test-dev2017"), is_test_set("val2017"), is_test_set("test")
    (True, False, False)
    """
    return re.fullmatch(r"test(-\w+)?20\d\d", image_set) is not None


def annotation_path(root: Path, image_set: str, pattern: str = "") -> Path:
    """ROOT/annotations/person_keypoints_<set>.json, for COCO's test sets image_info_<set>.json; or ROOT/`pattern`.

    >>> annotation_path(Path("ap10k"), "val-split1", "annotations/ap10k-{set}.json").as_posix()
    'ap10k/annotations/ap10k-val-split1.json'
    """
    if pattern:
        return root / pattern.replace("{set}", image_set)
    prefix = "image_info" if is_test_set(image_set) else "person_keypoints"
    return root / "annotations" / f"{prefix}_{image_set}.json"


def image_folder(root: Path, image_set: str, pattern: str = "") -> Path:
    """ROOT/images/<set>, or ROOT/`pattern`; the images of COCO's test-dev2017 lie in test2017.

    >>> image_folder(Path("coco"), "test-dev2017").as_posix()
    'coco/images/test2017'
    """
    folder = f"test{image_set[-4:]}" if is_test_set(image_set) else image_set
    return root / (pattern or "images/{set}").replace("{set}", folder)


def image_name(image_id: int, image_set: str) -> str:
    """COCO's file name of an image: 2014's carry the set.

    >>> image_name(139, "val2017"), image_name(139, "val2014")
    ('000000000139.jpg', 'COCO_val2014_000000000139.jpg')
    """
    prefix = f"COCO_{image_set}_" if "2014" in image_set else ""
    return f"{prefix}{image_id:012d}.jpg"


def read_json(path: Path, fix: str) -> Any:
    """The content of a JSON file; a DataError that ends with `fix` where there is none."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; {fix}")
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error}); fetch or write the file again") from None


def read_annotations(path: Path, num_joints: int, image_set: str = "") -> dict[str, Any]:
    """A COCO keypoint annotation file, checked for what the readers need.

    Images without a file name get COCO's own (see `image_name`). The content of a test set has no "annotations".

    Raises:
        DataError: missing or broken file, no images, annotations without keypoints or with another number of them.
    """
    content = read_content(path, image_set)
    return content if is_test_set(image_set) else completed(content, path, num_joints)


def read_content(path: Path, image_set: str = "") -> dict[str, Any]:
    """`read_annotations` before the annotations are looked at: the file's parts, images checked and named.

    Raises:
        DataError: missing or broken file, no images, no annotations.
    """
    content = read_json(
        path, "put the annotations there, or set DATASET.ROOT, DATASET.ANNOTATIONS or the name of the set"
    )
    if not isinstance(content, dict) or not content.get("images"):
        raise DataError(f"{path}: expected a COCO file with 'images' and 'annotations'")
    _check_images(content["images"], path)
    for image in content["images"]:
        image["file_name"] = image.get("file_name") or image_name(image["id"], image_set)
    if is_test_set(image_set):
        content.pop("annotations", None)
        return content
    if "annotations" not in content:
        raise DataError(
            f"{path}: no 'annotations', so nothing to train on or to score; only COCO's test sets lack them"
        )
    return content


def _check_images(images: list[dict[str, Any]], path: Path) -> None:
    for number, image in enumerate(images):
        missing = [key for key in ("id", "width", "height") if not isinstance(image, dict) or key not in image]
        if missing:
            raise DataError(
                f"{path}: image number {number} has no {missing[0]!r}; give every image id, width and height"
            )
        if type(image["id"]) is not int:
            raise DataError(f"{path}: image number {number} has id {image['id']!r}; expected a whole number")
    sizes = numbers([[image["width"], image["height"]] for image in images], 2)
    if (bad := _first(~np.all(sizes > 0, axis=1))) is not None:
        width, height = images[bad]["width"], images[bad]["height"]
        raise DataError(f"{path}: image {images[bad]['id']} is {width!r} x {height!r}; write its size in px")


def _check_annotations(annotations: list[dict[str, Any]], path: Path, num_joints: int) -> None:
    for number, annotation in enumerate(annotations):
        if not isinstance(annotation, dict):
            raise DataError(f"{path}: annotation number {number} is {annotation!r:.60}; expected an object {{...}}")
        missing = [key for key in ("id", "image_id", "bbox", "area", "keypoints") if key not in annotation]
        if missing:
            hint = ", i.e. person_keypoints_<set>.json rather than instances_<set>.json" * (missing == ["keypoints"])
            name = _annotation_name(annotation, number)
            raise DataError(f"{path}: {name} has no {missing[0]!r}; expected COCO keypoint annotations{hint}")
        keypoints = annotation["keypoints"]
        if isinstance(keypoints, list) and len(keypoints) != 3 * num_joints:
            raise DataError(
                f"{path}: {_annotation_name(annotation, number)} has {len(keypoints)} keypoint numbers, "
                f"{len(keypoints) / 3:g} keypoints; DATASET.DATASET coco reads people with {num_joints} "
                f"({3 * num_joints} numbers: x, y, v each): write the missing ones as 0, 0, 0; other keypoints than "
                "COCO's need DATASET.SKELETON file"
            )
    for key, width, fix in (
        ("image_id", 1, "write the id of an image"),
        ("bbox", 4, "write x, y, width, height in px"),
        ("area", 1, "write the person's area in px^2"),
        ("keypoints", 3 * num_joints, "write x, y, v for every keypoint, 0, 0, 0 where it is not labelled"),
    ):
        _require_numbers(annotations, key, width, path, _annotation_name, fix)


def _annotation_name(annotation: Mapping[str, Any], number: int) -> str:
    return f"annotation {annotation.get('id', f'number {number}')} (image {annotation.get('image_id', 'unknown')})"


def _require_numbers(
    entries: Sequence[Mapping[str, Any]], key: str, width: int, path: Path, name: Any, fix: str
) -> None:
    """DataError unless `key` is `width` finite numbers in every entry; more may follow in a box."""
    rows = [entry[key] if width > 1 else [entry[key]] for entry in entries]
    rows = [row[:4] if key == "bbox" and isinstance(row, list) else row for row in rows]
    if key == "image_id":  # a text joins no image, which is not this check's matter
        rows = [[0] if isinstance(row[0], str) else row for row in rows]
    bad = _first(~np.isfinite(numbers(rows, width)).all(axis=1)) if rows else None
    if bad is not None:
        raise DataError(f"{path}: {name(entries[bad], bad)} has {key} {entries[bad][key]!r:.60}; {fix}")


def _first(mask: np.ndarray) -> int | None:
    """Position of the first True."""
    return int(mask.argmax()) if mask.any() else None


def completed(content: dict[str, Any], path: Path, num_joints: int) -> dict[str, Any]:
    """Checked annotations with the fields that COCO's own files have, that COCOeval wants, and that follow from others.

    Raises:
        DataError: annotations without keypoints or with another number of them than `num_joints`.
    """
    _check_annotations(content["annotations"], path, num_joints)
    for annotation in content["annotations"]:
        annotation.setdefault("iscrowd", 0)
        annotation.setdefault("category_id", PERSON)
        annotation.setdefault("num_keypoints", sum(v > 0 for v in annotation["keypoints"][2::3]))
    content.setdefault("categories", [{"id": PERSON, "name": "person"}])
    return content


def annotated_people(
    content: dict[str, Any],
    num_joints: int,
    aspect_ratio: float,
    inclusive: bool = False,
    extension: Sequence[float] | None = None,
    categories: Collection[int] = PERSONS,
    labelled: bool = True,
) -> Records:
    """Everybody with a usable box and, if `labelled`, at least one labelled keypoint, in the forks' order.

    Left out, as HRNet's reader does: crowds, boxes without area after clipping to the image, areas of 0, people
    without keypoints, other categories than those with the ids `categories`. `inclusive` is DarkPose's box convention;
    `extension` is MSPN's, which takes boxes as they are annotated instead of clipped.
    """
    images = content["images"]
    position = {image["id"]: i for i, image in enumerate(images)}
    reasons = [_left_out(annotation, position, categories, labelled) for annotation in content["annotations"]]
    people = [a for a, reason in zip(content["annotations"], reasons, strict=True) if not reason]
    people.sort(key=lambda a: position[a["image_id"]])  # stable: the file's order within an image
    index = np.array([position[a["image_id"]] for a in people], np.int64)
    sizes = np.array([(image["width"], image["height"]) for image in images], np.float64)
    boxes = np.array([a["bbox"][:4] for a in people], np.float64).reshape(-1, 4)
    clipped, valid = clip_boxes(boxes, sizes[index].reshape(-1, 2), inclusive=inclusive)
    boxes = (clipped if extension is None else boxes)[valid]
    keypoints = np.array([a["keypoints"] for a in people], np.float64).reshape(-1, num_joints, 3)[valid]
    center, scale = box_to_center_scale(boxes, aspect_ratio, inclusive=inclusive, extension=extension)
    visible = np.minimum(keypoints[..., 2], 1).astype(np.float32)
    hidden = (keypoints[..., 2] == HIDDEN).astype(np.float32)
    left_out = Counter(reason for reason in reasons if reason)
    left_out[OUTSIDE] += int((~valid).sum())
    return Records(
        *_image_arrays(images), index[valid], center, scale, keypoints[..., :2], visible, np.ones(len(center)),
        boxes, hidden, dict(+left_out), category=np.array([a["category_id"] for a in people], np.int64)[valid],
    )  # fmt: skip


def _left_out(
    annotation: dict[str, Any], position: Mapping[Any, int], categories: Collection[int], labelled: bool
) -> str:
    """Why an annotation is not among the people, "" where it may be."""
    if annotation["image_id"] not in position:
        return ELSEWHERE
    if annotation["iscrowd"]:
        return "crowds"
    if annotation["category_id"] not in categories:
        return OTHERS
    if labelled and not max(annotation["keypoints"]) > 0:
        return "without labelled keypoints"
    return "" if annotation["area"] > 0 else NO_AREA


def detected_people(
    content: dict[str, Any],
    detections: Sequence[dict[str, Any]],
    source: Path,
    num_joints: int,
    aspect_ratio: float,
    score_threshold: float = 0.0,
    inclusive: bool = False,
    extension: Sequence[float] | None = None,
    categories: Sequence[int] = PERSONS,
) -> Records:
    """The detections of persons with at least that score, in the file's order; boxes are not clipped, as in the forks.

    `categories` are the ids that are read; where there is only one, detections need not name it.

    Raises:
        DataError: the file is empty, a detection lacks a field, or none of them is on an image of the annotations.
    """
    if not isinstance(detections, list) or not detections:
        raise DataError(f"{source}: no detections in the file; give one with boxes, or TEST.USE_GT_BBOX True")
    for number, detection in enumerate(detections):
        missing = [k for k in ("image_id", "bbox", "score") if not isinstance(detection, dict) or k not in detection]
        if missing:
            raise DataError(f"{source}: detection number {number} has no {missing[0]!r}; expected COCO results format")
    for field, width, fix in (
        ("image_id", 1, "write the id of an image"),
        ("bbox", 4, "write x, y, width, height in px"),
        ("score", 1, "write the detector's score"),
    ):
        _require_numbers(detections, field, width, source, lambda _, number: f"detection number {number}", fix)
    position = {image["id"]: i for i, image in enumerate(content["images"])}
    only = categories[0] if len(categories) == 1 else None
    people = [d for d in detections if d.get("category_id", only) in categories and d["score"] >= score_threshold]
    kind = "persons" if only == PERSON else "the categories that are read"
    kept = [d for d in people if d["image_id"] in position]
    if not kept:
        raise DataError(
            f"{source}: none of its {len(people)} detections of {kind} with score >= {score_threshold} is on an image "
            "of the annotations; give the detections of this split, or lower TEST.IMAGE_THRE"
        )
    if len(kept) < len(people):
        logger.warning(
            "%s: %d of %d detections are on other images; left out", source, len(people) - len(kept), len(people)
        )
    index = np.array([position[d["image_id"]] for d in kept], np.int64)
    boxes = np.array([d["bbox"][:4] for d in kept], np.float64)
    center, scale = box_to_center_scale(boxes, aspect_ratio, inclusive=inclusive, extension=extension)
    count = len(kept)
    return Records(
        *_image_arrays(content["images"]),
        index,
        center,
        scale,
        np.zeros((count, num_joints, 2)),
        np.ones((count, num_joints), np.float32),
        np.array([d["score"] for d in kept], np.float64),
        boxes,
        left_out={ELSEWHERE: len(people) - len(kept)} if len(kept) < len(people) else {},
        category=np.array([d.get("category_id", only) for d in kept], np.int64),
    )


def _image_arrays(images: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([image["file_name"] for image in images]), np.array([image["id"] for image in images], np.int64)
