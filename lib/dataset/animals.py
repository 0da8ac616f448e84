"""Animals as CC-SSL crops them, by their visible keypoints, and the clips that they are frames of.

ROOT/images/<set>/000000000001.jpg
ROOT/annotations/animal_keypoints_<set>.json     COCO's format; the frames of a clip have `clip` and `frame`
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.geometry import box_to_center_scale
from . import coco
from .records import DataError, Records

PADDING = 1.5
NO_CLIP = -1


def annotation_path(root: Path, image_set: str) -> Path:
    """ROOT/annotations/animal_keypoints_<set>.json."""
    return root / "annotations" / f"animal_keypoints_{image_set}.json"


def read_animals(path: Path, num_joints: int, aspect_ratio: float) -> Records:
    """The labelled animals of an annotation file, cropped around their visible keypoints; clips in order of time.

    Raises:
        DataError: see `coco.read_annotations`; an image with only one of `clip` and `frame`; nobody has a label.
    """
    content = coco.read_annotations(path, num_joints)
    records = around_keypoints(coco.annotated_people(content, num_joints, aspect_ratio), aspect_ratio)
    if not len(records):
        raise DataError(f"{path}: no animal with a labelled keypoint; label some, or name another set")
    return _in_clips(records, content["images"], path)


def around_keypoints(records: Records, aspect_ratio: float) -> Records:
    """The records with boxes around their visible keypoints, of which each has one or more, padded by PADDING."""
    return replace(records, **_crops(records.keypoints, records.visible, aspect_ratio))


def visible_animals(
    names: np.ndarray,
    keypoints: np.ndarray,
    visible: np.ndarray,
    aspect_ratio: float,
    clip: np.ndarray | None = None,
    frame: np.ndarray | None = None,
) -> Records:
    """One animal an image, cropped around its visible keypoints; images without a visible one are left out.

    `names` (N,) of the images, `keypoints` (N, K, 2) image px, `visible` (N, K), `clip` and `frame` (N,). Images have
    no ids of their own and are numbered.
    """
    shown = (visible > 0).any(axis=1)
    count = int(shown.sum())
    labelled = (visible[shown] > 0).astype(np.float32)
    points = np.where(labelled[..., None] > 0, keypoints[shown], 0.0)
    return Records(
        names[shown], np.arange(count), np.arange(count), keypoints=points, visible=labelled,
        box_scores=np.ones(count), **_crops(points, labelled, aspect_ratio), clip=None if clip is None else clip[shown],
        frame=None if frame is None else frame[shown],
        left_out={"without a visible keypoint": len(names) - count} if count < len(names) else {},
    )  # fmt: skip


def _crops(keypoints: np.ndarray, visible: np.ndarray, aspect_ratio: float) -> dict[str, Any]:
    """The fields `boxes`, `center` and `scale` of Records."""
    boxes = keypoint_boxes(keypoints, visible)
    center, scale = box_to_center_scale(boxes, aspect_ratio, PADDING)
    return {"boxes": boxes, "center": center, "scale": scale}


def keypoint_boxes(keypoints: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """The smallest boxes (N,4), x, y, width, height, around the visible ones of keypoints (N,K,2); no side below 1.

    >>> keypoint_boxes(np.array([[[2.0, 3.0], [6.0, 9.0], [0.0, 0.0]]]), np.array([[1, 1, 0]])).tolist()
    [[2.0, 3.0, 4.0, 6.0]]
    """
    shown = visible[..., None] > 0
    low = np.where(shown, keypoints, np.inf).min(axis=1)
    high = np.where(shown, keypoints, -np.inf).max(axis=1)
    return np.concatenate([low, np.maximum(high - low, 1)], axis=1)


def _in_clips(records: Records, images: Sequence[Mapping[str, Any]], path: Path) -> Records:
    """The records with their `clip`, in the order of clips and frames; None and the file's order without clips."""
    if not any("clip" in image or "frame" in image for image in images):
        return records
    for image in images:
        if ("clip" in image) != ("frame" in image):
            raise DataError(f"{path}: image {image['id']} has only one of 'clip' and 'frame'; give both or neither")
    clip, frame = (np.array([image.get(key, NO_CLIP) for image in images], np.int64) for key in ("clip", "frame"))
    order = np.lexsort((frame[records.image_index], clip[records.image_index]))
    return replace(records, clip=clip[records.image_index], frame=frame[records.image_index]).select(order)
