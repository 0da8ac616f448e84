"""The stages of scoring at val2017's size: 538 real images' annotations and detections, repeated to 5000 images."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heatpose.core.evaluate import CocoScorer, PeopleOfImages
from heatpose.dataset.coco import annotated_people, detected_people, read_annotations, read_json
from heatpose.dataset.skeletons import COCO

from . import plain_scores
from .measure import Pair

IMAGES, DETECTIONS = 5000, 104_125
ASPECT_RATIO = 192 / 256
VISIBLE, THRESHOLD = 0.2, 0.9  # HRNet's TEST.IN_VIS_THRE and OKS_THRE


@dataclass(frozen=True)
class Written:
    """The repeated files, and random predictions (N, 17, 3) for the detections."""

    annotations: Path
    detections: Path
    keypoints: np.ndarray


def repeat(samples: Path, folder: Path, images: int, detections: int) -> Written:
    """Writes `images` images' annotations and `detections` detections, and draws predictions."""
    root = samples / "coco_val538"
    content = json.loads((root / "annotations/person_keypoints_val2017.json").read_text())
    found = json.loads((root / "person_detection_results/COCO_val2017_detections_AP_H_56_person.json").read_text())
    copies = -(-images // len(content["images"]))
    chosen = [(copy, image) for copy in range(copies) for image in content["images"]][:images]
    ids = {(copy, image["id"]): number for number, (copy, image) in enumerate(chosen, start=1)}
    content["images"] = [{**image, "id": number} for number, (_, image) in enumerate(chosen, start=1)]
    content["annotations"] = moved(content["annotations"], ids, copies)
    boxes = moved(found, ids, copies)
    kept = np.sort(np.random.default_rng(0).permutation(len(boxes))[:detections])
    boxes = [boxes[number] for number in kept]
    annotations, file = folder / "annotations.json", folder / "detections.json"
    annotations.write_text(json.dumps(content))
    file.write_text(json.dumps(boxes))
    return Written(annotations, file, predictions(content["annotations"], boxes, np.random.default_rng(1)))


def moved(entries: list[dict], ids: dict[tuple[int, int], int], copies: int) -> list[dict]:
    """The entries of every copied image, with its new id and ids of their own."""
    moved = [
        {**entry, "image_id": ids[copy, entry["image_id"]]}
        for copy in range(copies)
        for entry in entries
        if (copy, entry["image_id"]) in ids
    ]
    return [{**entry, "id": number} for number, entry in enumerate(moved, start=1)]


def predictions(annotations: list[dict], boxes: list[dict], rng: np.random.Generator) -> np.ndarray:
    """(N, 17, 3): points of the person nearest to each box, moved at random; without one, anywhere in it."""
    corners = np.array([box["bbox"][:4] for box in boxes])
    points = corners[:, None, :2] + rng.random((len(boxes), 17, 2)) * corners[:, None, 2:]
    people: dict[int, list[dict]] = {}
    for annotation in annotations:
        if annotation["num_keypoints"]:
            people.setdefault(annotation["image_id"], []).append(annotation)
    middles = {image: np.array([a["bbox"] for a in group]) @ _MIDDLE for image, group in people.items()}
    for number, box in enumerate(boxes):
        if (group := people.get(box["image_id"])) is not None:
            middle = corners[number] @ _MIDDLE
            nearest = group[int(np.square(middles[box["image_id"]] - middle).sum(axis=1).argmin())]
            truth = np.array(nearest["keypoints"], float).reshape(17, 3)
            spread = rng.uniform(0.01, 0.1) * np.sqrt(nearest["area"])
            labelled = truth[:, 2] > 0
            points[number, labelled] = truth[labelled, :2] + rng.normal(0, spread, (labelled.sum(), 2))
    return np.concatenate([points, rng.beta(4, 2, (len(boxes), 17, 1))], axis=2).astype(np.float32)


_MIDDLE = np.array([[1, 0], [0, 1], [0.5, 0], [0, 0.5]])


def scores(samples: Path, images: int = IMAGES, detections: int = DETECTIONS) -> Iterator[Pair]:
    """Loading, then the whole chain from the detection file to COCOeval's ten numbers."""
    with tempfile.TemporaryDirectory() as folder:
        written = repeat(samples, Path(folder), images, detections)
        yield Pair(
            "load annotations", f"{images} images' people with boxes", lambda: _people(written.annotations),
            lambda: plain_scores.load_people(written.annotations, ASPECT_RATIO), 1e-3,
        )  # fmt: skip
        yield Pair(
            "scoring chain", f"{len(written.keypoints)} detections loaded, rescored, suppressed, written, scored",
            lambda: ours(written, Path(folder) / "ours.json"), lambda: plain(written, Path(folder) / "plain.json"),
            1e-6, 8, numbers=_numbers,
        )  # fmt: skip


def _people(path: Path) -> list[np.ndarray]:
    found = annotated_people(read_annotations(path, 17), 17, ASPECT_RATIO)
    return [found.center, found.scale, found.keypoints]


def ours(written: Written, results: Path) -> tuple[list[float], Path]:
    """The ten numbers, and the results file."""
    content = read_annotations(written.annotations, 17)
    boxes = read_json(written.detections, "write it again")
    people = detected_people(content, boxes, written.detections, 17, ASPECT_RATIO)
    scorer = CocoScorer(content, PeopleOfImages(COCO.sigmas, VISIBLE))
    return list(scorer.score_people(written.keypoints, people, results).values()), results


def plain(written: Written, results: Path) -> tuple[list[float], Path]:
    people = plain_scores.load_detections(written.detections, ASPECT_RATIO)
    found = plain_scores.results(written.keypoints, people, np.asarray(COCO.sigmas), VISIBLE, THRESHOLD)
    results.write_text(json.dumps(found))
    return plain_scores.score(written.annotations, results), results


def _numbers(found: tuple[list[float], Path]) -> list[np.ndarray]:
    """The ten numbers, and images, scores and keypoints of what was written, read back after the timing."""
    entries = json.loads(found[1].read_text())
    rows = [[entry["image_id"], entry["score"], *entry["keypoints"]] for entry in entries]
    return [np.array(found[0]), np.array(rows)]
