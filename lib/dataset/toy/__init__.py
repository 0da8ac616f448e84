"""Writes the toy people data set: drawn pictures, COCO annotations and detections, the same for the same parameters.

    root/images/<set>/000000000001.jpg ...
    root/annotations/person_keypoints_<set>.json
    root/person_detection_results/COCO_<test set>_detections_AP_toy_person.json
    root/toy.json                                   the parameters, what makes a folder ours

How the people look and why left and right can be told apart: clothes.py.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from ..skeletons import COCO
from .drawn_folder import check_splits, coco_content, ensure_drawn, image_entry, write_json, write_picture
from .scene import draw_scene

VERSION = 3  # raise it with every change of the drawing: existing folders are then drawn anew
_TRAIN_STREAM, _TEST_STREAM = 0, 1  # the splits' random numbers have nothing in common


def ensure_toy_dataset(
    root: Path, train_set: str, test_set: str, train_images: int, test_images: int, seed: int = 0
) -> None:
    """Draw the toy data set into `root`, unless it is there already with these parameters and this drawing version.

    The folder appears whole. The detections belong to the test set. Image i of a set is the same, however many are
    drawn.

    Raises:
        ValueError: parameters out of range, or `root` holds files that this function did not write.
    """
    images = check_splits(train_set, test_set, train_images, test_images)
    parameters = {"version": VERSION, "seed": seed, "images": images}
    detections = f"person_detection_results/COCO_{test_set}_detections_AP_toy_person.json"
    files = [f"annotations/person_keypoints_{image_set}.json" for image_set in images]

    def draw(folder: Path) -> str:
        people, _ = _draw_split(folder, train_set, train_images, (seed, _TRAIN_STREAM))
        more_people, boxes = _draw_split(folder, test_set, test_images, (seed, _TEST_STREAM))
        write_json(folder / detections, boxes)
        return f"{train_images + test_images} toy images, {people + more_people} people"

    ensure_drawn(root, parameters, [*files, detections], draw)


def _draw_split(root: Path, image_set: str, count: int, stream: tuple[int, int]) -> tuple[int, list[dict[str, Any]]]:
    """Write a split's images and annotations; returns the number of annotated people, and detections."""
    folder = root / "images" / image_set
    folder.mkdir(parents=True)
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for index in range(count):
        rng = np.random.default_rng([*stream, index])
        picture, annotations = draw_scene(rng)
        image = image_entry(index + 1, picture)
        write_picture(picture, folder / image["file_name"])
        for number, annotation in enumerate(annotations):
            annotation |= {"id": 10 * (index + 1) + number, "image_id": index + 1}
        images.append(image)
        people += annotations
        boxes += _detect(image, annotations, rng)
    people_of_file = [{k: v for k, v in person.items() if k != "visible_fraction"} for person in people]
    info = {"description": "heatpose toy people", "version": str(VERSION)}
    write_json(
        root / f"annotations/person_keypoints_{image_set}.json",
        coco_content("person", COCO, images, people_of_file, info),
    )
    return len(people), boxes


def _jittered(box: list[float], spread: float, rng: Generator) -> list[float]:
    """The box with its edges moved by normal noise of `spread` times its sides."""
    x, y, w, h = box
    left, top, right, bottom = rng.normal(0, spread, 4) * (w, h, w, h)
    return [x + left, y + top, w + right - left, h + bottom - top]


def _detect(image: dict[str, Any], people: list[dict[str, Any]], rng: Generator) -> list[dict[str, Any]]:
    """What a person detector might find: most people, some twice, hidden ones with less confidence, and things."""
    found: list[tuple[list[float], float]] = []
    for person in people:
        fraction, box = person["visible_fraction"], person["bbox"]
        if rng.random() > 0.04 + 0.25 * (fraction < 0.4):
            found.append((_jittered(box, 0.025, rng), 0.35 + 0.6 * fraction - abs(rng.normal(0, 0.06)) + 0.05))
        if rng.random() < 0.06:
            found.append((_jittered(box, 0.09, rng), rng.uniform(0.1, 0.5)))
    for _ in range(rng.poisson(0.6)):
        height = rng.uniform(30, 150)
        width = height * rng.uniform(0.3, 0.9)
        corner = rng.uniform(0, (image["width"], image["height"])) - (width / 2, height / 2)
        found.append(([*corner, width, height], 0.05 + 0.6 * rng.beta(1.2, 4)))
    clipped = [(_clip_box(box, image), min(max(score, 0.05), 0.999)) for box, score in found]
    return [
        {"image_id": image["id"], "category_id": 1, "bbox": box, "score": round(float(score), 4)}
        for box, score in clipped
        if min(box[2:]) >= 2
    ]


def _clip_box(box: list[float], image: dict[str, Any]) -> list[float]:
    x0, y0 = max(box[0], 0.0), max(box[1], 0.0)
    x1, y1 = min(box[0] + box[2], image["width"]), min(box[1] + box[3], image["height"])
    return [round(float(v), 2) for v in (x0, y0, x1 - x0, y1 - y0)]
