"""A COCO file's annotations grouped by skeleton: what is needed to look into a file whatever its categories are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import doctor
from .coco import PERSON
from .doctor.table import Table, fields, key
from .masks import Masks, measure_masks
from .records import DataError
from .skeletons import Skeleton, category_skeleton

REQUIRED = ("image_id",)  # of an annotation; whatever else is missing is left out of the counts

LONGEST_EXAMPLE = 100  # letters of what is shown from a file that is none of COCO's


@dataclass(frozen=True)
class Group:
    """The N annotations of the categories that have the same keypoints and limbs.

    Attributes:
        skeleton: of the categories' entries; sigmas and upper body are empty.
        categories: (N,) names.
        table: boxes, areas, keypoints as arrays; nan where they are missing.
        masks: encodings and areas.
    """

    skeleton: Skeleton
    categories: np.ndarray
    table: Table
    masks: Masks


def read_groups(content: Any, where: str) -> tuple[list[Group], list[str]]:
    """The groups of a COCO content, in the order of the file, and what is wrong with the entries of its categories.

    Parts of an entry that contradict one another or the annotations are named in the second list and not used.

    Raises:
        DataError: `where`, the file, is no COCO file (`doctor.check_structure`).
    """
    for finding in doctor.check_structure(content, REQUIRED):
        example = f" ({finding.example})" * (0 < len(finding.example) <= LONGEST_EXAMPLE)
        raise DataError(f"{where}: {finding.what}{example}; {finding.fix}")
    entries = _category_entries(content)
    ids = [key(annotation.get("category_id", PERSON)) for annotation in content["annotations"]]
    members: dict[Any, list[int]] = {}
    for number, each in enumerate(ids):
        members.setdefault(each, []).append(number)
    names = {each: str(entries.get(each, {}).get("name") or f"category {each}") for each in members}
    by_skeleton: dict[Skeleton, list[int]] = {}
    notes = []
    for each, numbers in members.items():
        own = {"annotations": [content["annotations"][number] for number in numbers]}
        skeleton, note = read_skeleton(entries.get(each, {}), doctor.most_frequent_joints(own, default=0))
        by_skeleton.setdefault(skeleton, []).extend(numbers)
        notes += [note] * bool(note)
    groups = [
        _group(content, skeleton, sorted(numbers), [names[ids[number]] for number in sorted(numbers)])
        for skeleton, numbers in by_skeleton.items()
    ]
    return groups, notes


def _category_entries(content: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    """The entries of "categories" that are some, by their ids."""
    listed = content.get("categories")
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return {key(each.get("id")): each for each in entries}


def read_skeleton(category: Mapping[str, Any], num_joints: int) -> tuple[Skeleton, str]:
    """The skeleton of a category's entry, and what is wrong with the parts of the entry that were not used.

    `num_joints` is 0 where no annotation of the category has keypoints.
    """
    unknown = bool(category.get("keypoints")) and not num_joints
    problem = ""
    for unused in ((), ("keypoints",), ("skeleton",), ("keypoints", "skeleton")):
        used = {name: value for name, value in category.items() if name not in unused}
        try:
            skeleton = category_skeleton(used, None if unknown and used.get("keypoints") else num_joints)
        except DataError as error:
            problem = problem or str(error)
        else:
            return skeleton, problem and f"{problem}; read without {' and '.join(unused)}"
    raise AssertionError("an entry without keypoints and edges is a skeleton")


def _group(content: dict[str, Any], skeleton: Skeleton, numbers: list[int], categories: list[str]) -> Group:
    annotations = [content["annotations"][number] for number in numbers]
    table = doctor.read_table({**content, "annotations": annotations}, skeleton.num_joints)
    masks = measure_masks(fields(annotations, "segmentation"), table.sizes)
    return Group(skeleton, np.array(categories), table, masks)
