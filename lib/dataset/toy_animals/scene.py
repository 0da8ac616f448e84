"""One shot of a toy animal: a single picture, or an animal that walks through a clip, and its annotations."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from ..skeletons import QUADRUPED
from ..toy.bones import Array
from ..toy.painter import OCCLUDER, SUPERSAMPLE, Painter, label_window, shows, to_supersampled
from .body import PART_NAMES, Animal
from .camera import sample_camera
from .coat import sample_coat
from .domains import Domain
from .figure import EYE_SEEN, AnimalPainter
from .scenery import cast_shadow, sample_scenery
from .walk import sample_walk

SIZES = ((128, 128), (144, 120), (160, 128), (160, 112))  # (w, h)
_PART_LABELS = {part: label for label, part in enumerate(PART_NAMES, 1)}
Frame = tuple[Array, dict[str, Any]]


def draw_shot(domain: Domain, frames: int, rng: Generator) -> Iterator[Frame]:
    """Pictures (H,W,3) BGR of a shot and their annotations in COCO's form, without ids; the first `frames` of them."""
    size = SIZES[rng.integers(len(SIZES))]
    walk = sample_walk(domain, size, rng)
    coat, camera, sun = sample_coat(domain, rng), sample_camera(domain, rng), _sample_sun(rng)
    scenery = sample_scenery(domain, size, walk, rng)
    for number in range(min(frames, domain.clip_frames)):
        animal, origin, stature = walk.animals[number], walk.origins[number], walk.stature
        ground = scenery.seen(scenery.background, number, size)
        if domain.light:
            ground = cast_shadow(ground, origin, stature, sun)
        canvas = cv2.resize(ground, None, fx=SUPERSAMPLE, fy=SUPERSAMPLE, interpolation=cv2.INTER_LINEAR)
        labels = np.zeros(canvas.shape[:2], np.uint8)
        painter = Painter(canvas, labels, to_supersampled(origin), SUPERSAMPLE * stature, _PART_LABELS)
        AnimalPainter(painter, animal, coat, sun, domain.relief).draw()
        scenery.draw_occluder(canvas, labels, number, stature)
        light = None if scenery.light is None else scenery.seen(scenery.light, number, size)
        picture = camera.expose(cv2.resize(canvas, size, interpolation=cv2.INTER_AREA), light, rng)
        yield picture, _annotate(labels, animal, origin, stature)


def _sample_sun(rng: Generator) -> Array:
    """Where the light comes from (3,): above, in front, from either side."""
    return np.array([rng.uniform(-0.7, 0.7), -0.8, rng.uniform(0.5, 1)])


def _accepted_parts(animal: Animal, name: str) -> list[str]:
    """The parts that show a keypoint where they are seen; the trunk only those of the near side."""
    if name.endswith("_eye"):
        return ["head"] if animal.facing[name] > EYE_SEEN else []
    if name == "chin":
        return ["head"]
    if name == "tail_start":
        return ["tail", "trunk", "left_back_upper", "right_back_upper"]
    side, near = name.split("_")[0], animal.is_near(name.split("_")[0])
    if name.endswith("_shoulder"):
        return ["trunk", "neck", f"{side}_front_upper"] if near else []
    leg, joint = name.rsplit("_", 1)
    limbs = {"elbow": ("upper", "middle"), "knee": ("middle", "lower"), "hoof": ("lower", "hoof")}[joint]
    return [f"{leg}_{limb}" for limb in limbs] + ["trunk"] * (near and joint == "elbow")


def _annotate(labels: Array, animal: Animal, origin: Array, stature: float) -> dict[str, Any]:
    """COCO's annotation without its ids. Keypoints that are not seen have no label, as in TigDog."""
    keypoints = np.zeros((QUADRUPED.num_joints, 3))
    height, width = np.array(labels.shape) // SUPERSAMPLE
    for k, name in enumerate(QUADRUPED.names):
        point = np.round(origin + stature * animal.joints[name][:2], 2)
        inside = (point >= 0).all() and (point <= (width - 1, height - 1)).all()
        window = label_window(labels, to_supersampled(point), 1.3 * SUPERSAMPLE * stature)
        if inside and shows(window, [_PART_LABELS[part] for part in _accepted_parts(animal, name)]):
            keypoints[k] = *point, 2
    mask = ((labels > 0) & (labels != OCCLUDER)).astype(np.uint8)
    return {
        "num_keypoints": int((keypoints[:, 2] > 0).sum()),
        "area": float(mask.sum()) / SUPERSAMPLE**2,
        "iscrowd": 0,
        "keypoints": [int(v) if v == int(v) else float(v) for v in keypoints.ravel()],
        "bbox": [float(v) / SUPERSAMPLE for v in cv2.boundingRect(mask)],
        "category_id": 1,
    }
