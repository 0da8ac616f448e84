"""Checks of a COCO annotation file: its parts, ids that have to join, categories, numbers that have to be numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..coco import PERSON, PERSONS
from .finding import NEVER, SYSTEMATIC, Finding, find, shown
from .table import Table, key, named, numbers, shown_id

IMAGE_FIELDS = ("id", "width", "height")
ANNOTATION_FIELDS = ("id", "image_id", "bbox", "area", "keypoints")


def has_images(content: Any) -> bool:
    """Whether the images of a COCO file can be read, whatever its annotations are."""
    images = content.get("images") if isinstance(content, dict) else None
    return isinstance(images, list) and bool(images) and not _fields(images, "image", IMAGE_FIELDS)


def check_structure(content: Any, annotation_fields: tuple[str, ...] = ANNOTATION_FIELDS) -> list[Finding]:
    """Whether it is a COCO file at all, with its images and annotations and their fields.

    Other checks of annotations take a content in which this finds nothing. Who needs less than readers and scorers
    names the `annotation_fields` that have to be there.
    """
    if not isinstance(content, dict):
        what = f"the file holds a {type(content).__name__} instead of an object with 'images' and 'annotations'"
        return [Finding(what, 1, 1, shown(content), "give a COCO annotation file; a list is a results file")]
    wrong = [name for name in ("images", "annotations") if not isinstance(content.get(name), list) or not content[name]]
    if wrong:
        example = f"its parts are {', '.join(map(str, content)) or 'none'}"
        what = "the file has no list, or an empty one, of " + " and of ".join(wrong)
        return [Finding(what, len(wrong), 2, example, "give a COCO keypoint annotation file (person_keypoints_*.json)")]
    return _fields(content["images"], "image", IMAGE_FIELDS) + _fields(
        content["annotations"], "annotation", annotation_fields
    )


def _fields(entries: list[Any], kind: str, required: tuple[str, ...]) -> list[Finding]:
    plain = [not isinstance(entry, dict) for entry in entries]
    if any(plain):
        return find(
            f"{kind}s that are no objects", plain, lambda i: shown(entries[i]), f"write every {kind} as {{...}}"
        )
    found: list[Finding] = []
    for name in required:
        hint = "; instances_<set>.json has none, take person_keypoints_<set>.json" * (name == "keypoints")
        found += find(
            f"{kind}s without {name!r}: the file cannot be read",
            [name not in entry for entry in entries],
            lambda i: f"{kind} {shown_id(entries[i], 'id', i)}",
            f"give every {kind} {', '.join(required)}{hint}",
        )
    return found


def check_images(content: dict[str, Any]) -> list[Finding]:
    """Ids and sizes of the images."""
    images = content["images"]
    ids = [image["id"] for image in images]
    sizes = numbers([[image["width"], image["height"]] for image in images], 2)
    return [
        *find(
            "image ids that are no whole numbers", [not _is_whole(each) for each in ids],
            lambda i: f"image number {i} has id {shown(ids[i])}",
            "number the images, in 'images' and in the annotations' 'image_id'",
        ),
        *find(
            "image ids that occur more than once: annotations of all of them go to the last one", _repeated(ids),
            lambda i: f"id {shown(ids[i])}, e.g. {images[i].get('file_name', f'image number {i}')}",
            "give every image an id of its own, or drop the repeated entries",
        ),
        *find(
            "images whose width or height is no positive number: boxes are clipped to nothing",
            np.any(~(sizes > 0), axis=1),
            lambda i: f"image {ids[i]}: {shown(images[i]['width'])} x {shown(images[i]['height'])}",
            "write the size of the stored image in px",
        ),
    ]  # fmt: skip


def check_ids(content: dict[str, Any], table: Table) -> list[Finding]:
    """Whether annotations join images, and their own ids."""
    ids = [annotation["id"] for annotation in table.annotations]
    known = content["images"][0]["id"]
    return [
        *find(
            "annotations whose image_id is the id of no image: they are left out", table.image_index < 0,
            lambda i: f"{table.name(i)}: image_id {shown(table.annotations[i]['image_id'])}; an image: {shown(known)}",
            "use the ids of 'images', of the same type (5 is not '5'), or add the images",
            SYSTEMATIC,
        ),
        *find(
            "annotation ids that occur more than once: COCOeval counts the last one again and forgets the others",
            _repeated(ids), table.name, "number the annotations anew, from 1",
        ),
        *find(
            "annotations with id 0: COCOeval takes 0 for 'not matched', so their detections count as false",
            [each in (0, "0") for each in ids], table.name, "number the annotations from 1", SYSTEMATIC,
        ),
    ]  # fmt: skip


def check_categories(content: dict[str, Any], table: Table, categories_read: Sequence[int] = PERSONS) -> list[Finding]:
    """Whether annotations are of a category that is read, and COCOeval looks at such ones."""
    categories = [each for each in content.get("categories") or [] if isinstance(each, dict)]
    listed = [each.get("id") for each in categories]
    others = ~table.person
    used = {key(table.annotations[i].get("category_id")) for i in np.flatnonzero(others)}
    matters = bool(used & {key(each) for each in listed}) or bool(others.all())
    found = find(
        f"annotations of a category other than {named(categories_read)}: nobody trains on them or predicts them"
        + ", but COCOeval scores every listed category, so the mean over the categories falls" * matters,
        others,
        lambda i: f"{table.name(i)}: category_id {shown(table.annotations[i].get('category_id'))}",
        f"set category_id to {PERSON}, with one entry of that id in 'categories', or drop them; keypoints and "
        "categories of the file's own: DATASET.SKELETON file",
        SYSTEMATIC if matters else NEVER,
    )
    if "categories" in content and not any(each in listed for each in categories_read):
        what = f"'categories' has no id {PERSON}: COCOeval scores the listed categories only and gives -1 for the rest"
        fix = f"list the category {{'id': {PERSON}, 'name': 'person'}}"
        found.append(Finding(what, 1, 1, f"listed ids: {shown(listed)}", fix, spoils=not matters))
    if "categories" not in content:
        what = "'categories' is missing: read as one category, person; other programs refuse the file"
        found.append(Finding(what, 1, 1, "", f"add 'categories': [{{'id': {PERSON}, 'name': 'person'}}]", False))
    return found


def check_numbers(table: Table) -> list[Finding]:
    """Boxes, areas and keypoints that are missing numbers or have too many."""
    width = table.keypoints.shape[1] * 3
    entries = table.annotations
    lengths = np.array([len(e["keypoints"]) if isinstance(e["keypoints"], list) else -1 for e in entries])
    wrong_length = lengths != width
    return [
        *find(
            f"annotations without {width} keypoint numbers (x, y, v of {width // 3} joints): the file cannot be read",
            wrong_length,
            lambda i: f"{table.name(i)}: {max(lengths[i], 0)} numbers, {lengths[i] / 3:.4g} joints",
            f"write x, y, v for {width // 3} keypoints in the skeleton's order, 0, 0, 0 for unlabelled ones",
        ),
        *find(
            "keypoints that are no finite numbers",
            ~wrong_length & ~np.isfinite(table.keypoints).all(axis=(1, 2)),
            lambda i: f"{table.name(i)}: {shown(entries[i]['keypoints'])}", "write 0, 0, 0 for joints without a label",
        ),
        *find(
            "boxes that are not four finite numbers", ~np.isfinite(table.boxes).all(axis=1),
            lambda i: f"{table.name(i)}: bbox {shown(entries[i]['bbox'])}", "write x, y, width, height in px",
        ),
        *find(
            "`area` that is no finite number: the reader or COCOeval fails on it", ~np.isfinite(table.areas),
            lambda i: f"{table.name(i)}: area {shown(entries[i]['area'])}",
            "write the person's area in px^2: of the mask, or about 0.53 of the box",
        ),
    ]  # fmt: skip


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _repeated(ids: list[Any]) -> np.ndarray:
    """(N,) which ids have occurred before."""
    seen: set[Any] = set()
    repeated = []
    for each in map(key, ids):
        repeated.append(each in seen)
        seen.add(each)
    return np.array(repeated, bool)
