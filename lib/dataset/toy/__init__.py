"""Writes the toy people data set: drawn pictures, COCO annotations and detections, the same for the same parameters.

    root/images/<set>/000000000001.jpg ...
    root/annotations/person_keypoints_<set>.json
    root/person_detection_results/COCO_<test set>_detections_AP_toy_person.json
    root/toy.json                                   the parameters, what makes a folder ours

How the people look and why left and right can be told apart: clothes.py.
"""

import json
import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from ..skeletons import COCO
from .scene import draw_scene

logger = logging.getLogger(__name__)

VERSION = 3  # raise it with every change of the drawing: existing folders are then drawn anew
MARKER = "toy.json"
JPEG_QUALITY = 90
_TRAIN_STREAM, _TEST_STREAM = 0, 1  # the splits' random numbers have nothing in common
_OURS = {"images", "annotations", "person_detection_results", MARKER}


def ensure_toy_dataset(
    root: Path, train_set: str, test_set: str, train_images: int, test_images: int, seed: int = 0
) -> None:
    """Draw the toy data set into `root`, unless it is there already with these parameters and this drawing version.

    The folder appears whole: it is drawn beside `root` under a temporary name and renamed at the end.
    The detections belong to the test set. Image i of a set is the same, however many are drawn.

    Raises:
        ValueError: parameters out of range, or `root` holds files that this function did not write.
    """
    root = Path(root).resolve()
    if min(train_images, test_images) < 1:
        raise ValueError(f"the toy data set needs at least 1 image a split, got {train_images} and {test_images}")
    if train_set == test_set:
        raise ValueError(f"the toy data set needs two different names for its splits, got {train_set!r} twice")
    parameters = {"version": VERSION, "seed": seed, "images": {train_set: train_images, test_set: test_images}}
    if _is_current(root, parameters):
        return
    _refuse_foreign(root)
    started = time.perf_counter()
    root.parent.mkdir(parents=True, exist_ok=True)
    drawn = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        people = _draw_split(drawn, train_set, train_images, (seed, _TRAIN_STREAM))
        people += _draw_split(drawn, test_set, test_images, (seed, _TEST_STREAM), detections=True)
        (drawn / MARKER).write_text(json.dumps(parameters, indent=1))
        drawn.chmod(0o755)  # mkdtemp's folders are private
        _put_in_place(drawn, root, parameters)
    finally:
        shutil.rmtree(drawn, ignore_errors=True)
    seconds = time.perf_counter() - started
    logger.info("drew %d toy images, %d people, in %.1f s: %s", train_images + test_images, people, seconds, root)


def _annotation_path(root: Path, image_set: str) -> Path:
    return root / "annotations" / f"person_keypoints_{image_set}.json"


def _is_current(root: Path, parameters: dict[str, Any]) -> bool:
    """Whether `root` holds the data set of these parameters, with all its files."""
    try:
        found = json.loads((root / MARKER).read_text())
    except (OSError, ValueError):
        return False
    if found != parameters:
        return False
    return all(
        _annotation_path(root, image_set).is_file() and len(list((root / "images" / image_set).glob("*.jpg"))) == count
        for image_set, count in parameters["images"].items()
    ) and any((root / "person_detection_results").glob("*.json"))


def _refuse_foreign(root: Path) -> None:
    """Raise unless `root` can be replaced: it does not exist, is empty, or holds a toy data set and nothing else."""
    if root.exists() and not root.is_dir():
        raise ValueError(f"the toy data set needs a folder, but {root} is a file")
    entries = {path.name for path in root.iterdir()} if root.exists() else set()
    strange = entries if MARKER not in entries else entries - _OURS
    if strange:
        raise ValueError(
            f"{root} holds files that are not the toy data set's ({', '.join(sorted(strange)[:3])}) and would be "
            "overwritten; set DATASET.ROOT to a new folder or move them away"
        )


def _put_in_place(drawn: Path, root: Path, parameters: dict[str, Any]) -> None:
    """Rename the drawn folder to `root`; another process that did so first with the same parameters wins."""
    with tempfile.TemporaryDirectory(prefix=f".{root.name}-old-", dir=root.parent) as aside:
        if _is_current(root, parameters):
            return
        if root.exists():
            root.rename(Path(aside) / "old")
        try:
            drawn.rename(root)
        except OSError:
            if not _is_current(root, parameters):
                raise


def _draw_split(root: Path, image_set: str, count: int, stream: tuple[int, int], detections: bool = False) -> int:
    """Write a split's images, annotations and, if asked, detections; returns the number of annotated people."""
    folder = root / "images" / image_set
    folder.mkdir(parents=True)
    images: list[dict[str, Any]] = []
    people: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for index in range(count):
        rng = np.random.default_rng([*stream, index])
        picture, annotations = draw_scene(rng)
        image = {"id": index + 1, "file_name": f"{index + 1:012d}.jpg", "license": 1}
        image |= {"width": picture.shape[1], "height": picture.shape[0]}
        path = folder / str(image["file_name"])
        if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OSError(f"cannot write {path}")
        for number, annotation in enumerate(annotations):
            annotation |= {"id": 10 * (index + 1) + number, "image_id": index + 1}
        images.append(image)
        people += annotations
        boxes += _detect(image, annotations, rng)
    _write_json(_annotation_path(root, image_set), _coco_content(images, people))
    if detections:
        name = f"COCO_{image_set}_detections_AP_toy_person.json"
        _write_json(root / "person_detection_results" / name, boxes)
    return len(people)


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _coco_content(images: list[dict[str, Any]], people: list[dict[str, Any]]) -> dict[str, Any]:
    """The annotation file's content; fields that are not COCO's are left out."""
    category = {"supercategory": "person", "id": 1, "name": "person", "keypoints": list(COCO.names)}
    category["skeleton"] = [[a + 1, b + 1] for a, b in COCO.limbs]
    return {
        "info": {"description": "heatpose toy people", "version": str(VERSION)},
        "licenses": [{"id": 1, "name": "drawn, no rights reserved", "url": ""}],
        "images": images,
        "annotations": [{k: v for k, v in person.items() if k != "visible_fraction"} for person in people],
        "categories": [category],
    }


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
