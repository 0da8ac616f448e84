"""COCO files with keypoints of their own: names, limbs, left and right from "categories" (DATASET.SKELETON file).

ROOT/<DATASET.ANNOTATIONS>     e.g. annotations/ap10k-{set}.json, {set} being the name of the set
ROOT/<DATASET.IMAGES>          e.g. data

All categories that name keypoints are read, or those of DATASET.CATEGORIES; they must name the same ones.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..utils.registry import nearest
from ..utils.sides import plain, sides
from . import coco, skeletons
from .records import DataError
from .skeletons import Skeleton, category_skeleton

logger = logging.getLogger(__name__)

DEFAULT_SIGMA = 0.05  # of every keypoint where nothing is known; COCO's are 0.025 to 0.107


def read_annotations(
    path: Path, num_joints: int, image_set: str = "", categories: Sequence[str] = ()
) -> tuple[dict[str, Any], Skeleton]:
    """The content of a file, limited to the categories that are read, and their skeleton, without sigmas.

    Args:
        num_joints: the keypoints that the network has.
        categories: names of those to read; empty for all that name keypoints.

    Raises:
        DataError: as `coco.read_annotations`, `select_categories` and `common_skeleton`; another number of keypoints.
    """
    content = select_categories(coco.read_content(path, image_set), path, categories)
    skeleton = common_skeleton(content["categories"], path)
    if skeleton.num_joints != num_joints:
        raise DataError(
            f"{path}: its categories have {skeleton.num_joints} keypoints, but MODEL.NUM_JOINTS is {num_joints}; set "
            f"MODEL.NUM_JOINTS {skeleton.num_joints}"
        )
    return (coco.completed(content, path, num_joints) if "annotations" in content else content), skeleton


def select_categories(content: dict[str, Any], path: Path, names: Sequence[str] = ()) -> dict[str, Any]:
    """The content with the categories called `names`, or with all that name keypoints, and their annotations alone.

    COCOeval scores every category that is listed, and averages over those that have annotations.

    Raises:
        DataError: no categories, none of that name, none that names keypoints; annotations that do not say which of
            several categories they are of.
    """
    listed = content.get("categories")
    if not isinstance(listed, list) or not all(
        isinstance(entry, dict) and type(entry.get("id")) is int for entry in listed
    ):
        raise DataError(
            f"{path}: DATASET.SKELETON is file, but it has no list of 'categories' with 'id' (a whole number), 'name' "
            "and 'keypoints'; add it, or leave DATASET.SKELETON out for COCO's keypoints"
        )
    chosen = _named(listed, names, path) if names else [entry for entry in listed if entry.get("keypoints")]
    if not chosen:
        raise DataError(
            f"{path}: none of its {len(listed)} categories names 'keypoints'; list one name for every keypoint"
        )
    selected = {**content, "categories": chosen}
    if isinstance(content.get("annotations"), list):
        selected["annotations"] = _annotations_of(content["annotations"], chosen, listed, path)
    return selected


def _named(listed: Sequence[dict[str, Any]], names: Sequence[str], path: Path) -> list[dict[str, Any]]:
    known = [str(entry.get("name")) for entry in listed]
    for name in names:
        if name not in known:
            raise DataError(
                f"{path}: no category {name!r}{nearest(name, known)}; DATASET.CATEGORIES takes some of "
                f"{', '.join(known)}"
            )
    return [entry for entry, name in zip(listed, known, strict=True) if name in names]


def _annotations_of(
    annotations: list[Any], chosen: Sequence[dict[str, Any]], listed: Sequence[dict[str, Any]], path: Path
) -> list[Any]:
    """The annotations of the chosen categories; what is no annotation stays, for the reader to complain of."""
    ids = [entry["id"] for entry in chosen]
    kept, others = [], Counter[str]()
    names = {str(entry["id"]): str(entry.get("name", entry["id"])) for entry in listed}
    for number, annotation in enumerate(annotations):
        if isinstance(annotation, dict) and "category_id" not in annotation:
            if len(ids) > 1:
                raise DataError(
                    f"{path}: annotation {annotation.get('id', f'number {number}')} has no 'category_id'; write the id "
                    "of one of the file's categories"
                )
            annotation["category_id"] = ids[0]
        if not isinstance(annotation, dict) or annotation["category_id"] in ids:
            kept.append(annotation)
        else:
            others[names.get(str(annotation["category_id"]), f"unknown id {annotation['category_id']}")] += 1
    if others:
        kinds = ", ".join(f"{count} of {name}" for name, count in others.most_common())
        logger.info("%s: annotations of categories that are not read: %s", path, kinds)
    return kept


def common_skeleton(categories: Sequence[dict[str, Any]], path: Path) -> Skeleton:
    """The skeleton of all `categories`, with the limbs of each; they must have the same keypoints.

    Raises:
        DataError: an entry that contradicts itself, or two that differ.
    """
    try:
        found = [category_skeleton(entry) for entry in categories]
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    first = found[0]
    for entry, other in zip(categories, found, strict=True):
        if other.names != first.names:
            one, two = (str(each.get("name", each["id"])) for each in (categories[0], entry))
            raise DataError(
                f"{path}: categories {one!r} and {two!r} have different keypoints ({_difference(first, other)}); "
                f"choose some that agree with DATASET.CATEGORIES, e.g. ['{one}']"
            )
    return replace(first, limbs=tuple(dict.fromkeys(limb for each in found for limb in each.limbs)))


def _difference(one: Skeleton, other: Skeleton) -> str:
    if one.num_joints != other.num_joints:
        return f"{one.num_joints} and {other.num_joints}"
    pairs = enumerate(zip(one.names, other.names, strict=True), start=1)
    return next(f"number {number} is {a!r} and {b!r}" for number, (a, b) in pairs if a != b)


def with_upper_body(skeleton: Skeleton, names: Sequence[str]) -> Skeleton:
    """The skeleton with the keypoints called `names` for half-body crops; a DataError where one is unknown."""
    for name in names:
        if name not in skeleton.names:
            raise DataError(
                f"DATASET.UPPER_BODY: no keypoint {name!r}{nearest(name, skeleton.names)}; known: "
                f"{', '.join(skeleton.names)}"
            )
    return replace(skeleton, upper_body=tuple(skeleton.names.index(name) for name in names))


def with_sigmas(skeleton: Skeleton, sigmas: Sequence[float]) -> Skeleton:
    """The skeleton with `sigmas`; where none are given with COCO's if it has COCO's keypoints, else DEFAULT_SIGMA each.

    Raises:
        DataError: another number of sigmas than keypoints.
    """
    if sigmas and len(sigmas) != skeleton.num_joints:
        raise DataError(
            f"DATASET.SIGMAS has {len(sigmas)} numbers for {skeleton.num_joints} keypoints; give one for each, in "
            f"their order: {', '.join(skeleton.names)}"
        )
    if sigmas:
        return replace(skeleton, sigmas=tuple(map(float, sigmas)))
    known = tuple(map(plain, skeleton.names)) == tuple(map(plain, skeletons.COCO.names))
    return replace(skeleton, sigmas=skeletons.COCO.sigmas if known else (DEFAULT_SIGMA,) * skeleton.num_joints)


def describe(skeleton: Skeleton, sigmas_given: bool) -> None:
    """Logs what a file's skeleton is, and what had to be assumed."""
    logger.info(
        "the annotation file's skeleton: %d keypoints, %d pairs of left and right, %d limbs",
        skeleton.num_joints, len(skeleton.flip_pairs), len(skeleton.limbs),
    )  # fmt: skip
    paired = {index for pair in skeleton.flip_pairs for index in pair}
    sided = [index for index, side in enumerate(sides(skeleton.names)) if side]
    alone = [skeleton.names[index] for index in sided if index not in paired]
    if alone:
        logger.warning(
            "no partner for %s: mirrored samples teach left for right; name both sides alike (left_eye, right_eye), or "
            "set DATASET.FLIP and TEST.FLIP_TEST False", ", ".join(alone),
        )  # fmt: skip
    elif not paired:
        logger.info("no keypoint's name tells a side: mirrored samples keep the keypoints' order")
    if not sigmas_given and skeleton.sigmas == skeletons.COCO.sigmas:
        logger.info("DATASET.SIGMAS is empty: OKS takes COCO's, since the keypoints are COCO's")
    elif not sigmas_given:
        logger.info("DATASET.SIGMAS is empty: OKS takes %g for every keypoint", DEFAULT_SIGMA)
