"""COCO keypoint files -> records, in HRNet's folder layout.

ROOT/images/<set>/000000000139.jpg               or ROOT/images/<set>.zip
ROOT/annotations/person_keypoints_<set>.json     image_info_<set>.json for the test sets
ROOT/person_detection_results/....json           detections, COCO results format

COCO's subsets test-dev2017 and so on are lists of images of test2017, whose annotations are not public.
"""

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.geometry import box_to_center_scale, clip_boxes
from .records import DataError, Records

logger = logging.getLogger(__name__)

PERSON = 1  # category id
HIDDEN = 1  # third number of a keypoint that is labelled but not seen; 2 is seen, 0 not labelled


def is_test_set(image_set: str) -> bool:
    """Whether it is one of COCO's sets without public annotations: test2017, test-dev2017, ...

    >>> is_test_set("test-dev2017"), is_test_set("val2017"), is_test_set("test")
    (True, False, False)
    """
    return re.fullmatch(r"test(-\w+)?20\d\d", image_set) is not None


def annotation_path(root: Path, image_set: str) -> Path:
    """ROOT/annotations/person_keypoints_<set>.json, for COCO's test sets image_info_<set>.json."""
    prefix = "image_info" if is_test_set(image_set) else "person_keypoints"
    return root / "annotations" / f"{prefix}_{image_set}.json"


def image_folder(root: Path, image_set: str) -> Path:
    """ROOT/images/<set>; the images of COCO's test-dev2017 lie in test2017.

    >>> image_folder(Path("coco"), "test-dev2017").as_posix()
    'coco/images/test2017'
    """
    return root / "images" / (f"test{image_set[-4:]}" if is_test_set(image_set) else image_set)


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
        return json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); fetch or write the file again") from None


def read_annotations(path: Path, num_joints: int, image_set: str = "") -> dict[str, Any]:
    """A COCO keypoint annotation file, checked for what the readers need.

    Images without a file name get COCO's own (see `image_name`). The content of a test set has no "annotations".

    Raises:
        DataError: missing or broken file, no images, annotations without keypoints or with another number of them.
    """
    content = read_json(path, "put the annotations there, or set DATASET.ROOT or the name of the set")
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
    _check_annotations(content["annotations"], path, num_joints)
    return _completed(content)


def _check_images(images: list[dict[str, Any]], path: Path) -> None:
    for number, image in enumerate(images):
        missing = [key for key in ("id", "width", "height") if key not in image]
        if missing:
            raise DataError(
                f"{path}: image number {number} has no {missing[0]!r}; give every image id, width and height"
            )


def _check_annotations(annotations: list[dict[str, Any]], path: Path, num_joints: int) -> None:
    for number, annotation in enumerate(annotations):
        missing = [key for key in ("id", "image_id", "bbox", "area", "keypoints") if key not in annotation]
        name = f"annotation {annotation.get('id', f'number {number}')} (image {annotation.get('image_id', 'unknown')})"
        if missing:
            hint = ", i.e. person_keypoints_<set>.json rather than instances_<set>.json" * (missing == ["keypoints"])
            raise DataError(f"{path}: {name} has no {missing[0]!r}; expected COCO keypoint annotations{hint}")
        if len(annotation["keypoints"]) != 3 * num_joints:
            raise DataError(
                f"{path}: {name} has {len(annotation['keypoints'])} keypoint numbers, but MODEL.NUM_JOINTS "
                f"{num_joints} needs {3 * num_joints} (x, y, v each); set MODEL.NUM_JOINTS to fit the data"
            )


def _completed(content: dict[str, Any]) -> dict[str, Any]:
    """The fields that COCO's own files have, that COCOeval wants, and that follow from the others."""
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
) -> Records:
    """Everybody with a usable box and at least one labelled keypoint, in the forks' order.

    Left out, as HRNet's reader does: crowds, boxes without area after clipping to the image, areas of 0, people
    without keypoints, categories other than person. `inclusive` is DarkPose's box convention; `extension` is MSPN's,
    which takes boxes as they are annotated instead of clipped.
    """
    images = content["images"]
    position = {image["id"]: i for i, image in enumerate(images)}
    people = [a for a in content["annotations"] if _is_candidate(a) and a["image_id"] in position]
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
    return Records(
        *_image_arrays(images), index[valid], center, scale, keypoints[..., :2], visible, np.ones(len(center)),
        boxes, hidden,
    )  # fmt: skip


def _is_candidate(annotation: dict[str, Any]) -> bool:
    return (
        not annotation["iscrowd"]
        and annotation["area"] > 0
        and annotation["category_id"] == PERSON
        and max(annotation["keypoints"]) > 0
    )


def detected_people(
    content: dict[str, Any],
    detections: Sequence[dict[str, Any]],
    source: Path,
    num_joints: int,
    aspect_ratio: float,
    score_threshold: float = 0.0,
    inclusive: bool = False,
    extension: Sequence[float] | None = None,
) -> Records:
    """The detections of persons with at least that score, in the file's order; boxes are not clipped, as in the forks.

    Raises:
        DataError: the file is empty, a detection lacks a field, or none of them is on an image of the annotations.
    """
    if not isinstance(detections, list) or not detections:
        raise DataError(f"{source}: no detections in the file; give one with boxes, or TEST.USE_GT_BBOX True")
    for number, detection in enumerate(detections):
        missing = [key for key in ("image_id", "bbox", "score") if key not in detection]
        if missing:
            raise DataError(f"{source}: detection number {number} has no {missing[0]!r}; expected COCO results format")
    position = {image["id"]: i for i, image in enumerate(content["images"])}
    people = [d for d in detections if d.get("category_id", PERSON) == PERSON and d["score"] >= score_threshold]
    kept = [d for d in people if d["image_id"] in position]
    if not kept:
        raise DataError(
            f"{source}: none of its {len(people)} detections of persons with score >= {score_threshold} is on an image "
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
    )


def _image_arrays(images: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([image["file_name"] for image in images]), np.array([image["id"] for image in images], np.int64)
