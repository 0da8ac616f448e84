"""A COCO annotation file as arrays, whatever is wrong with it: nan where a value is missing or no number."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...utils.arrays import numbers
from ..coco import PERSON, PERSONS
from .finding import shown


@dataclass(frozen=True)
class Table:
    """N annotations on M images; boxes and keypoints in image px.

    Attributes:
        annotations: the N dicts themselves, for messages.
        image_index: (N,) position of the annotation's image, -1 where it is in no image of the file.
        sizes: (N, 2) width and height of that image.
        boxes: (N, 4) x, y, width, height.
        areas: (N,) px^2.
        keypoints: (N, K, 3) x, y, v.
        declared: (N,) num_keypoints; where the field is missing the number of labelled keypoints.
        crowd: (N,) whether it is a crowd.
        person: (N,) whether category_id is of a category that is read, by default COCO's person, or missing.
    """

    annotations: list[dict[str, Any]]
    image_index: np.ndarray
    sizes: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    keypoints: np.ndarray
    declared: np.ndarray
    crowd: np.ndarray
    person: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        """(N, K) which keypoints are labelled."""
        return self.keypoints[..., 2] > 0

    @property
    def people(self) -> np.ndarray:
        """(N,) persons with labelled keypoints on an image: what is trained on and scored, were all else well."""
        return ~self.crowd & self.person & self.labelled.any(axis=1) & (self.image_index >= 0)

    @property
    def sound_boxes(self) -> np.ndarray:
        """(N,) boxes with four finite numbers and a positive size."""
        return np.isfinite(self.boxes).all(axis=1) & (self.boxes[:, 2:] > 0).all(axis=1)

    def name(self, number: int) -> str:
        """An annotation's ids, for messages."""
        entry = self.annotations[number]
        return f"annotation {shown_id(entry, 'id', number)} (image {entry.get('image_id', 'unknown')})"


def shown_id(entry: dict[str, Any], key: str, number: int) -> str:
    """The id of an entry, or its position in the file where it has none."""
    return str(entry.get(key, f"number {number}"))


def read_table(content: dict[str, Any], num_joints: int, categories: Collection[int] = PERSONS) -> Table:
    """The arrays of a content that `check_structure` found nothing in; `categories` are the ids that are read."""
    annotations = content["annotations"]
    index = np.array(join(annotations, content["images"]), np.int64)
    sizes = numbers([[image.get("width"), image.get("height")] for image in content["images"]], 2)
    sizes = np.concatenate([sizes, np.full((1, 2), np.nan)])[index]  # position -1 is no image
    keypoints = numbers(fields(annotations, "keypoints"), 3 * num_joints).reshape(len(annotations), num_joints, 3)
    declared = numbers([[a.get("num_keypoints")] for a in annotations], 1)[:, 0]
    return Table(
        annotations,
        index,
        sizes,
        numbers([box[:4] if isinstance(box, list) else box for box in fields(annotations, "bbox")], 4),
        numbers([[area] for area in fields(annotations, "area")], 1)[:, 0],
        keypoints,
        np.where(np.isnan(declared), (keypoints[..., 2] > 0).sum(axis=1), declared),
        np.array([bool(a.get("iscrowd", 0)) for a in annotations], bool),
        np.array(["category_id" not in a or a["category_id"] in categories for a in annotations], bool),
    )


def named(categories: Sequence[int]) -> str:
    """Categories' ids for messages.

    >>> named(PERSONS), named([2, 7])
    ('1 (person)', '[2, 7]')
    """
    return f"{PERSON} (person)" if tuple(categories) == PERSONS else shown(list(categories))


def fields(entries: Sequence[dict[str, Any]], key: str) -> list[Any]:
    """One field of all entries, None where it is missing."""
    return [entry.get(key) for entry in entries]


def join(entries: Sequence[dict[str, Any]], images: Sequence[dict[str, Any]]) -> list[int]:
    """For every entry the position of the image with its image_id, -1 where there is none."""
    position = {key(image.get("id")): number for number, image in enumerate(images)}
    return [position.get(key(entry.get("image_id", "missing")), -1) for entry in entries]


def key(value: Any) -> Any:
    """An id as a dictionary key: lists and the like, which cannot be one, as their text."""
    return value if isinstance(value, (int, float, str)) else repr(value)
