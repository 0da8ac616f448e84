"""Checks of what training sees, whatever format it was read from: records, image files, heatmap targets."""

import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ...utils.geometry import transform_points
from ..images import ImageFolder
from ..records import DataError, Records
from .finding import SYSTEMATIC, Finding, find, shown
from .people import STRAY_PEOPLE_REPORTED, STRAY_PEOPLE_SPOIL, mostly_outside

IMAGES_READ = 8
PEOPLE_ENCODED = 64


class TargetCodec(Protocol):
    """What the check of targets needs of a codec."""

    def warp_matrix(self, center: np.ndarray, scale: np.ndarray, rotation: float = 0.0) -> np.ndarray: ...

    def encode(self, keypoints_input: torch.Tensor, visible: torch.Tensor) -> Any: ...


def check_records(records: Records) -> list[Finding]:
    """People without labels, crops without size, keypoints outside their crops."""
    if not len(records):
        return [Finding("nobody is left to train on or to score", 0, 0, "", "check the annotations and their filters")]
    names = records.image_names[records.image_index]
    labelled = np.asarray(records.visible > 0)
    finite = np.isfinite(records.keypoints).all(axis=2)
    sized = np.isfinite(records.center).all(axis=1) & np.asarray(records.scale > 0).all(axis=1)
    stray = sized & labelled.any(axis=1) & mostly_outside(records.keypoints, labelled, records.center, records.scale)
    return [
        *find(
            "people without a labelled keypoint: they teach nothing", ~labelled.any(axis=1),
            lambda i: f"person number {i} on {names[i]}", "label joints, or leave these people out", 0.5,
        ),
        *find(
            "labelled keypoints that are no finite numbers", (labelled & ~finite).any(axis=1),
            lambda i: f"person number {i} on {names[i]}", "correct the coordinates",
        ),
        *find(
            "people whose crop has no size", ~sized,
            lambda i: f"person number {i} on {names[i]}: center "
            f"{shown(records.center[i])}, width and height {shown(records.scale[i])}", "correct the boxes", SYSTEMATIC,
        ),
        *find(
            "people with more than half of their keypoints outside their crop", stray,
            lambda i: f"person number {i} on {names[i]}: crop around {shown(records.center[i])}, "
            f"{shown(records.scale[i])} px; keypoints around {shown(records.keypoints[i][labelled[i]].mean(axis=0))}",
            "check that boxes and keypoints belong to the same person and image size",
            STRAY_PEOPLE_SPOIL, STRAY_PEOPLE_REPORTED,
        ),
    ]  # fmt: skip


def check_targets(records: Records, codec: TargetCodec, count: int = PEOPLE_ENCODED) -> list[Finding]:
    """The heatmap targets of `count` people, evenly spaced, made as training makes them, without augmentation."""
    people = np.unique(np.linspace(0, len(records) - 1, min(count, len(records))).astype(int))
    people = people[np.all(records.scale[people] > 0, axis=1) & np.isfinite(records.scale[people]).all(axis=1)]
    if not len(people):
        return []
    visible = records.visible[people]
    empty, broken = _empty_targets(records, codec, people)
    labelled = visible > 0
    lost = (empty & labelled).sum(axis=1) > labelled.sum(axis=1) / 2
    names = records.image_names[records.image_index]

    def example(place: int) -> str:
        return f"person number {people[place]} on {names[people[place]]}: {empty[place].sum()} of {visible.shape[1]}"

    if empty.all():
        what = "all heatmap targets are zero or without weight: the network learns to predict nothing"
        fix = "check visibilities, boxes, and MODEL.IMAGE_SIZE, HEATMAP_SIZE and SIGMA"
        return find(what, np.ones(len(people), bool), lambda i: example(i) + " joints empty", fix)
    return [
        *find(
            "heatmap targets that are not finite", broken, example, "check boxes and keypoints for nan and no size"
        ),
        *find(
            "people most of whose labelled joints have an empty heatmap target (of a sample)", lost,
            lambda i: example(i) + " joints empty",
            "check that boxes and keypoints fit; v may be a number of at most 0.5, which counts as not labelled",
            STRAY_PEOPLE_SPOIL, STRAY_PEOPLE_REPORTED,
        ),
    ]  # fmt: skip


def _empty_targets(records: Records, codec: TargetCodec, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, K) which joints have no weight or an empty map, and (n,) whose target is not finite."""
    keypoints = np.stack(
        [transform_points(records.keypoints[i], codec.warp_matrix(records.center[i], records.scale[i])) for i in people]
    )
    visible = records.visible[people]
    keypoints = np.where(visible[..., None] > 0, keypoints, 0)
    with torch.no_grad():
        target, weight = codec.encode(
            torch.from_numpy(keypoints.astype(np.float32)), torch.from_numpy(visible.astype(np.float32))
        )
    num_people, num_joints = visible.shape
    # A joint's channels stay together; the largest of all of them is 0 where the map is empty.
    peaks = target.abs().reshape(num_people, num_joints, -1).amax(dim=2).numpy()
    empty = (peaks == 0) | (weight.reshape(num_people, num_joints, -1).amax(dim=2).numpy() <= 0)
    return empty, ~np.isfinite(peaks).all(axis=1)


def check_images(images: ImageFolder, names: Sequence[str], sizes: np.ndarray | None = None) -> list[Finding]:
    """Whether the named image files exist, by listing folders once, and a few of them are readable.

    `sizes` (N, 2), width and height in the annotations, are compared with those few.
    """
    try:
        images.check()
        has = images.archive.holds() if images.archive else _folder_lookup(images.folder, names)
    except (DataError, zipfile.BadZipFile, OSError) as error:
        return [Finding(f"no images: {error}", len(names), len(names), "", "correct the path or fetch them again")]
    missing = np.array([not has(name) for name in names], bool)
    found = find(
        f"images that are not in {images.archive or images.folder}", missing,
        lambda i: str(names[i]) + _near_name(has, str(names[i])),
        "put them there, or correct file_name (letter case and ending count)",
    )  # fmt: skip
    present = np.flatnonzero(~missing)
    chosen = present[np.unique(np.linspace(0, len(present) - 1, min(IMAGES_READ, len(present))).astype(int))]
    return found + _read_some(images, [str(names[i]) for i in chosen], None if sizes is None else sizes[chosen])


def _read_some(images: ImageFolder, names: list[str], sizes: np.ndarray | None) -> list[Finding]:
    errors, differ, real = [], [], []
    for number, name in enumerate(names):
        try:
            height, width = images.read(name).shape[:2]
        except DataError as error:
            errors.append(str(error))
            continue
        annotated = (width, height) if sizes is None else tuple(sizes[number])
        turned = ", turned by 90 degrees" * ((height, width) == annotated)
        differ.append((width, height) != annotated)
        real.append(f"{name} is {width} x {height}, annotated as {annotated[0]:g} x {annotated[1]:g}{turned}")
    total = len(names)
    return [
        *find("images that cannot be read (of a sample)", [True] * len(errors), lambda i: errors[i],
              "fetch them again", total=total),
        *find("images of another size than width and height in the annotations (of a sample)", differ,
              lambda i: real[i], "annotate the stored pixels: resized images need resized boxes and keypoints, and "
              "an EXIF orientation is not applied", total=total),
    ]  # fmt: skip


def _folder_lookup(folder: Path, names: Sequence[str]) -> Callable[[str], bool]:
    """A look-up of names below `folder`, each of whose folders is listed once: 100,000 questions a name are slow."""
    parents = {os.path.dirname(name) for name in names}
    held = {
        os.path.join(parent, name)
        for parent in parents
        if (folder / parent).is_dir()
        for name in os.listdir(folder / parent)
    }
    return lambda name: str(name) in held


def _near_name(has: Callable[[str], bool], name: str) -> str:
    """A hint where the same name with another ending or letter case is there."""
    stem, ending = os.path.splitext(name)
    others = [stem + each for each in (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG") if each != ending]
    near = next((each for each in [*others, os.path.basename(name)] if each != name and has(each)), "")
    return f"; {near} is there" * bool(near)
