"""One toy picture: a background, people in front of and behind each other, things in the way, and what COCO says of it.

The label map says for every pixel whose body part it shows.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from ..skeletons import COCO
from .backdrop import draw_background, draw_occluder, finish
from .body import PART_NAMES, Body, sample_body
from .bones import Array
from .clothes import sample_clothes
from .figure import draw_person, is_facing
from .painter import OCCLUDER, SUPERSAMPLE, Painter, label_window, shows, to_supersampled

SIZES = ((320, 240), (352, 288), (256, 320), (240, 352), (304, 304))  # (w, h)
# In the label map person p's parts are 1 + p * len(PART_NAMES) + part.
MAX_PEOPLE = (OCCLUDER - 1) // len(PART_NAMES)
MIN_AREA = 80  # px; people of whom less is seen are not annotated
FAR_SIDE = -0.6  # z of the surface normal; head keypoints that are turned farther away are not labelled
MIN_KEYPOINTS = 3  # people with fewer labelled keypoints get none, as COCO's small and hidden ones

# A keypoint is seen where one of these parts of the same person is; the trunk counts for hips and shoulders on the near
# side only.
_LIMB_PARTS = {
    "shoulder": ("upper_arm",), "elbow": ("upper_arm", "forearm"), "wrist": ("forearm", "hand"),
    "hip": ("thigh",), "knee": ("thigh", "shank"), "ankle": ("shank", "foot"),
}  # fmt: skip
_TRUNK = {"shoulder": ("torso", "neck"), "hip": ("pelvis", "torso")}
_NEIGHBOURS = [
    {b for a, b in COCO.limbs if a == k} | {a for a, b in COCO.limbs if b == k} for k in range(COCO.num_joints)
]


@dataclass
class Person:
    """A person in a picture: where it stands (px at the final size) and how much of it was there before others came."""

    body: Body
    origin: Array
    stature: float
    full_area: float = 0.0

    @property
    def keypoints(self) -> Array:
        """All keypoints (17,2) in image px, in COCO's order."""
        return self.origin + self.stature * np.array([self.body.joints[name][:2] for name in COCO.names])


def _box_overlap(a: Array, b: Array) -> float:
    """Shared area of two (x0,y0,x1,y1) boxes over that of the smaller one."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)) / min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2])))


def _place(body: Body, stature: float, size: tuple[int, int], rng: Generator) -> tuple[Person, Array]:
    """The person somewhere in the picture, sometimes cut by its border, and the box (4,) of its keypoints."""
    points = stature * np.array([joint[:2] for joint in body.joints.values()])
    low, high = points.min(0) - 0.04 * stature, points.max(0) + 0.04 * stature
    beyond = 0.3 * (high - low) if rng.random() < 0.15 else np.zeros(2)
    first = -low - beyond
    last = np.maximum(np.array(size) - high + beyond, first)  # too big for the picture: the head stays inside
    origin = rng.uniform(first, last)
    return Person(body, origin, stature), np.concatenate([low, high]) + np.tile(origin, 2)


def _sample_statures(height: int, rng: Generator) -> Array:
    """Sizes (N,) in px of one to four people, small ones first: they are farther away. Now and then one is close."""
    count = int(rng.choice([1, 2, 3, 4], p=[0.3, 0.36, 0.22, 0.12]))
    shortest = 70 if count > 1 else 90
    statures = np.exp(rng.uniform(np.log(shortest), np.log(0.85 * height), count))
    if rng.random() < 0.15:
        statures[0] = rng.uniform(0.85, 1.2) * height
    return np.sort(statures)


def _sample_people(size: tuple[int, int], rng: Generator) -> list[Person]:
    """One to four people whose boxes overlap, but seldom entirely."""
    people: list[Person] = []
    boxes: list[Array] = []
    for stature in _sample_statures(size[1], rng):
        body = sample_body(rng)
        allowed = 0.6 if rng.random() < 0.3 else 0.2
        for _ in range(12):
            person, box = _place(body, float(stature), size, rng)
            if all(_box_overlap(box, other) <= allowed for other in boxes):
                people.append(person)
                boxes.append(box)
                break
    return people


def _draw(person: Person, index: int, canvas: Array, labels: Array, rng: Generator) -> None:
    origin = to_supersampled(person.origin)
    part_labels = {part: label for label, part in enumerate(PART_NAMES, 1 + index * len(PART_NAMES))}
    painter = Painter(canvas, labels, origin, SUPERSAMPLE * person.stature, part_labels)
    draw_person(painter, person.body, sample_clothes(rng))
    person.full_area = _silhouette(labels, index).sum() / SUPERSAMPLE**2


def _silhouette(labels: Array, index: int) -> Array:
    """Mask (H,W) of a person's visible pixels, 0 or 1."""
    first = 1 + index * len(PART_NAMES)
    return ((labels >= first) & (labels < first + len(PART_NAMES))).astype(np.uint8)


def _accepted_parts(body: Body, name: str) -> list[str]:
    side, _, joint = name.partition("_")
    if joint not in _LIMB_PARTS:
        return ["head"] if is_facing(body, name) else []
    parts = [f"{side}_{limb}" for limb in _LIMB_PARTS[joint]]
    if body.joints[name][2] > -0.05:
        parts += _TRUNK.get(joint, ())
    return parts


def _is_seen(labels: Array, person: Person, index: int, name: str, point: Array) -> tuple[bool, bool]:
    """Whether a keypoint is visible, and if not, whether the person's own body hides it (not another thing)."""
    window = label_window(labels, to_supersampled(point), person.stature * SUPERSAMPLE)
    first = 1 + index * len(PART_NAMES)
    accepted = [first + PART_NAMES.index(part) for part in _accepted_parts(person.body, name)]
    seen = shows(window, accepted)
    own = bool(((window >= first) & (window < first + len(PART_NAMES))).any())
    return seen, own


def _label_keypoints(labels: Array, person: Person, index: int, size: tuple[int, int]) -> Array:
    """Keypoints (17,3) x, y, v: 2 seen, 1 hidden, 0 outside the picture or hidden too well for anyone to tell where.

    A keypoint behind another person or a thing is labelled if its neighbour on the skeleton is seen: an annotator could
    guess it. Eyes, nose and ears on the far side of the head are not labelled, as COCO's annotators hardly ever do.
    """
    points = np.round(person.keypoints, 2)
    inside = ((points >= 0) & (points <= np.array(size) - 1)).all(1)
    seen = np.zeros((len(points), 2), bool)
    for k in np.flatnonzero(inside):
        seen[k] = _is_seen(labels, person, index, COCO.names[k], points[k])
    visible, own = seen.T
    guessable = np.array([visible[list(near)].any() for near in _NEIGHBOURS])
    far = np.array([person.body.facing.get(name, 0.0) < FAR_SIDE for name in COCO.names])
    flags = np.where(visible, 2, np.where(inside & (own | guessable) & ~far, 1, 0))
    if (flags > 0).sum() < MIN_KEYPOINTS or not visible.any():
        flags[:] = 0
    return np.column_stack([points * (flags > 0)[:, None], flags])


def _segmentation(mask: Array) -> list[list[float]]:
    """Polygons [x1, y1, x2, y2, ...] in image px around the visible pieces of a (H,W) mask of the supersampled size."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outlines = [cv2.approxPolyDP(c, 1.0, True)[:, 0] for c in contours if cv2.contourArea(c) >= 8]
    return [[round(float(v) / SUPERSAMPLE, 1) for v in outline.ravel()] for outline in outlines if len(outline) >= 3]


def _annotate(labels: Array, person: Person, index: int, size: tuple[int, int]) -> dict[str, Any] | None:
    """COCO's annotation of a person without its ids, or None where too little of it is seen."""
    mask = _silhouette(labels, index)
    area = float(mask.sum()) / SUPERSAMPLE**2
    segmentation = _segmentation(mask) if area >= MIN_AREA else []
    if not segmentation:
        return None
    keypoints = _label_keypoints(labels, person, index, size)
    return {
        "segmentation": segmentation,
        "num_keypoints": int((keypoints[:, 2] > 0).sum()),
        "area": area,
        "iscrowd": 0,
        "keypoints": [int(v) if v == int(v) else float(v) for v in keypoints.ravel()],
        "bbox": [float(v) / SUPERSAMPLE for v in cv2.boundingRect(mask)],
        "category_id": 1,
        "visible_fraction": area / max(person.full_area, 1.0),
    }


def draw_scene(rng: Generator) -> tuple[Array, list[dict[str, Any]]]:
    """A picture (H,W,3) BGR and its annotations in COCO's form, without ids.

    `visible_fraction`, the part of the silhouette that nobody else covers, is not COCO's.
    """
    size = SIZES[rng.integers(len(SIZES))]
    background = draw_background(size, rng)
    canvas = cv2.resize(background, None, fx=SUPERSAMPLE, fy=SUPERSAMPLE, interpolation=cv2.INTER_LINEAR)
    labels = np.zeros(canvas.shape[:2], np.uint8)
    people = _sample_people(size, rng)
    occluded = rng.integers(len(people)) if rng.random() < 0.3 else None
    for index, person in enumerate(people):
        _draw(person, index, canvas, labels, rng)
        if index == occluded:
            target = SUPERSAMPLE * person.keypoints[rng.integers(5, COCO.num_joints)]
            draw_occluder(canvas, labels, OCCLUDER, target, SUPERSAMPLE * person.stature, rng)
    annotations = [_annotate(labels, person, index, size) for index, person in enumerate(people)]
    image = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    return finish(image, rng), [a for a in annotations if a is not None]
