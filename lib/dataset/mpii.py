"""MPII Human Pose -> records, in HRNet's folder layout.

ROOT/images/015601864.jpg                                  or ROOT/images.zip
ROOT/annot/train.json, valid.json, trainval.json, test.json
ROOT/annot/gt_valid.mat                                    what PCKh is measured against; see `read_truth`

A person is {"image", "center": [x, y], "scale", "joints": 16 x [x, y], "joints_vis": 16 x 0 or 1}, pixels counted from
1 as in MATLAB, `scale` the person's height in units of 200 px. test.json has neither joints nor joints_vis.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.geometry import NO_CENTER, PIXEL_STD, widened
from .arrays import MATLAB_ORIGIN, read_mat
from .coco import read_json
from .records import DataError, Records

logger = logging.getLogger(__name__)

PADDING = 1.25
DOWNWARD_SHIFT = 15  # px for every unit of scale; HRNet: "to avoid cropping limbs"
# gt_valid.mat's names of the joints, in the order of skeletons.MPII.
MAT_NAMES = (
    "rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor", "neck", "head", "rwri", "relb", "rsho", "lsho",
    "lelb", "lwri",
)  # fmt: skip


def is_test_set(image_set: str) -> bool:
    """Whether a set's annotations are not public, by its name, as in the forks.

    >>> is_test_set("test"), is_test_set("valid")
    (True, False)
    """
    return "test" in image_set


def annotation_path(root: Path, image_set: str) -> Path:
    """ROOT/annot/<set>.json."""
    return root / "annot" / f"{image_set}.json"


def truth_path(root: Path, image_set: str) -> Path:
    """ROOT/annot/gt_<set>.mat."""
    return root / "annot" / f"gt_{image_set}.mat"


def read_people(
    path: Path, has_joints: bool = True, extension: Sequence[float] | None = None, aspect_ratio: float = 1.0
) -> Records:
    """Everybody in an annotation file, in its order.

    The box is a square. As in HRNet's reader it moves down by 15 px and grows by 1.25 unless the centre's x is -1, and
    then 1 is subtracted from every coordinate, so that missing joints, -1 in the file, are at -2. Center and scale are
    float64 as in the forks. With `extension`, MSPN's convention, width and height grow by these shares instead, and
    then to the aspect ratio. Without `has_joints` (test.json) nobody has a visible joint. Images are numbered by first
    appearance: MPII gives them no ids.

    Raises:
        DataError: missing or broken file; a person without a field, or with one that is not as expected.
    """
    people = read_json(path, "put MPII's annotations there, or set DATASET.ROOT or the name of the set")
    if not isinstance(people, list) or not people:
        raise DataError(f"{path}: expected a list of people in the JSON format of HRNet's MPII files")
    center, scale = _field(people, "center", (2,), path), _field(people, "scale", (), path)
    if not (scale > 0).all():
        raise _wrong(path, people, int(np.argmin(scale > 0)), "scale", "a number above 0")
    count, joints = len(people), len(MAT_NAMES)
    keypoints, visible = np.zeros((count, joints, 2)), np.zeros((count, joints))
    if has_joints:
        keypoints = _field(people, "joints", (joints, 2), path) - MATLAB_ORIGIN
        visible = _field(people, "joints_vis", (joints,), path)
    names, index = _images(people, path)
    side = scale[:, None].repeat(2, axis=1) * PIXEL_STD
    boxes = np.concatenate([center - MATLAB_ORIGIN - side / 2, side], axis=1)
    center, padded = _adjusted(center, scale)
    if extension is not None:
        padded = widened(side * (1 + np.asarray(extension)), aspect_ratio)
    return Records(
        names, np.arange(len(names)), index, center, padded, keypoints, (visible > 0).astype(np.float32),
        np.ones(count), boxes,
    )  # fmt: skip


def _adjusted(center: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle and size (both (N, 2), image px from 0) of the padded boxes."""
    known = center[:, 0] != NO_CENTER
    moved = center + np.stack([np.zeros_like(scale), DOWNWARD_SHIFT * scale * known], axis=1)
    # in the forks' order of roundings: the scale is padded before it becomes px
    padded = (scale * np.where(known, PADDING, 1.0))[:, None] * np.float64(PIXEL_STD)
    return moved - MATLAB_ORIGIN, padded.repeat(2, axis=1)


def _images(people: Sequence[Mapping[str, Any]], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Names of the images (M,) by first appearance, and each person's position among them (N,)."""
    for number, person in enumerate(people):
        if not isinstance(person.get("image"), str) or not person["image"]:
            raise _wrong(path, people, number, "image", "the image's file name")
    position: dict[str, int] = {}
    index = [position.setdefault(person["image"], len(position)) for person in people]
    return np.array(list(position)), np.array(index, np.int64)


def _field(people: Sequence[Any], key: str, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """One field of all people, (N, *shape) float64; a DataError that names the first person it is wrong for."""
    expected = f"{' x '.join(map(str, shape))} numbers" if shape else "a number"
    rows = []
    for number, person in enumerate(people):
        try:
            row = np.array(person[key], np.float64)
        except (KeyError, TypeError, ValueError):
            raise _wrong(path, people, number, key, expected) from None
        if row.shape != shape or not np.isfinite(row).all():
            raise _wrong(path, people, number, key, expected)
        rows.append(row)
    return np.stack(rows)


def _wrong(path: Path, people: Sequence[Any], number: int, key: str, expected: str) -> DataError:
    person = people[number]
    if not isinstance(person, dict):
        return DataError(f"{path}: person number {number} is {type(person).__name__}, expected a mapping of fields")
    what = f"has the wrong {key!r}" if key in person else f"has no {key!r}"
    return DataError(
        f"{path}: person number {number} (image {person.get('image', 'unknown')}) {what}, expected {expected}; "
        "take HRNet's MPII annotations, or write yours in their format"
    )


def read_truth(root: Path, image_set: str, count: int) -> dict[str, np.ndarray] | None:
    """What PCKh is measured against: gt_<set>.mat, for the `count` people of <set>.json; None for a set without it.

    HRNet's download has gt_valid.mat only. The set valid must have it; another is then predicted but not scored.

    The file holds dataset_joints (16 names), jnt_missing (16, N), pos_gt_src (16, 2, N), and headboxes_src (2, 2, N):
    corner, then x and y. Its joints may be in any order.

    Returns:
        truth (N, 16, 2), image px counted from 1 as in the file, and visible (N, 16) bool, both in the order of
        skeletons.MPII; head_boxes (N, 2, 2), two corners x, y each. The arguments of metrics.pckh.

    Raises:
        DataError: no gt_valid.mat, no such arrays, or of other people than those of the annotations.
    """
    path = truth_path(root, image_set)
    if is_test_set(image_set):
        return None
    if not path.is_file() and image_set != "valid":
        logger.warning("%s: no such file, so the set %s is predicted but not scored", path, image_set)
        return None
    content = read_mat(
        path,
        f", so PCKh cannot be measured; put {path.name} of HRNet's MPII annotations there (docs/mpii.md)",
    )
    order = _joint_order(content, path)
    joints = len(order)
    shapes = {"jnt_missing": (joints, count), "pos_gt_src": (joints, 2, count), "headboxes_src": (2, 2, count)}
    for key, shape in shapes.items():
        found = np.shape(content.get(key, ()))
        if found != shape:
            raise DataError(
                f"{path}: {key} has the shape {list(found)}, expected {list(shape)} for the {count} people of the "
                "annotations; take both files from one download"
            )
    return {
        "truth": content["pos_gt_src"][order].astype(np.float64).transpose(2, 0, 1),
        "visible": (content["jnt_missing"][order] == 0).T,
        "head_boxes": content["headboxes_src"].astype(np.float64).transpose(2, 0, 1),
    }


def _joint_order(content: Mapping[str, Any], path: Path) -> list[int]:
    """For every joint of skeletons.MPII its row in the file."""
    names = [str(np.squeeze(name)) for name in np.ravel(content.get("dataset_joints", ()))]
    if sorted(names) != sorted(MAT_NAMES):
        raise DataError(f"{path}: dataset_joints is {names}, expected MPII's {', '.join(MAT_NAMES)}; fetch it again")
    return [names.index(name) for name in MAT_NAMES]
