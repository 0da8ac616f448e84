"""The plain path from keypoints to COCO's numbers: dictionaries, loops over people and keypoints, COCOeval as it is."""

import contextlib
import io
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def load_detections(path: Path, aspect_ratio: float) -> list[dict]:
    """Persons of a detection file, one dictionary each with image, center, scale, score and area."""
    people = []
    for entry in json.loads(path.read_bytes()):
        if entry.get("category_id", 1) != 1:
            continue
        center, scale = _padded(entry["bbox"][:4], aspect_ratio)
        area = float(np.prod((scale * np.float32(200)).astype(np.float64)))
        people.append(
            {"image": entry["image_id"], "center": center, "scale": scale, "score": entry["score"], "area": area}
        )
    return people


def load_people(path: Path, aspect_ratio: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centers (N, 2), scales (N, 2) in image px and keypoints (N, 17, 2) of everybody that training uses."""
    truth = open_truth(path)
    centers, scales, people = [], [], []
    for image in truth.getImgIds():
        size = truth.loadImgs(image)[0]
        for entry in truth.loadAnns(truth.getAnnIds(imgIds=image, iscrowd=False)):
            x, y, width, height = entry["bbox"]
            x1, y1 = max(0, x), max(0, y)
            x2, y2 = min(size["width"] - 1, x1 + max(0, width - 1)), min(size["height"] - 1, y1 + max(0, height - 1))
            if entry["area"] <= 0 or x2 < x1 or y2 < y1 or max(entry["keypoints"]) == 0:
                continue
            points = np.zeros((17, 2))
            for joint in range(17):
                points[joint] = entry["keypoints"][3 * joint], entry["keypoints"][3 * joint + 1]
            center, scale = _padded((x1, y1, x2 - x1, y2 - y1), aspect_ratio)
            centers.append(center)
            scales.append(scale * 200)
            people.append(points)
    return np.stack(centers), np.stack(scales), np.stack(people)


def _padded(box, aspect_ratio: float, padding: float = 1.25) -> tuple[np.ndarray, np.ndarray]:
    """Middle in px, and size in units of 200 px."""
    x, y, width, height = box
    center = np.array([x + width * 0.5, y + height * 0.5], np.float32)
    if width > aspect_ratio * height:
        height = width / aspect_ratio
    elif width < aspect_ratio * height:
        width = height * aspect_ratio
    return center, np.array([width / 200, height / 200], np.float32) * np.float32(padding)


def results(
    keypoints: np.ndarray, people: list[dict], sigmas: np.ndarray, visible: float, threshold: float
) -> list[dict]:
    """COCO results after rescoring and OKS-NMS, image by image."""
    images = defaultdict(list)
    for points, person in zip(keypoints, people, strict=True):
        images[person["image"]].append(
            {**person, "keypoints": points, "score": _rescored(points, person["score"], visible)}
        )
    found = []
    for image, group in images.items():
        for person in _nms(group, sigmas, threshold):
            numbers = []
            for x, y, score in person["keypoints"]:
                numbers += [round(float(x), 4), round(float(y), 4), round(float(score), 4)]
            found.append({"image_id": image, "category_id": 1, "keypoints": numbers, "score": float(person["score"])})
    return found


def _rescored(points: np.ndarray, box_score: float, visible: float) -> float:
    total, count = 0.0, 0
    for score in points[:, 2]:
        if score > visible:
            total, count = total + score, count + 1
    return (total / count if count else 0.0) * box_score


def _nms(group: list[dict], sigmas: np.ndarray, threshold: float) -> list[dict]:
    order = np.array([person["score"] for person in group]).argsort(kind="stable")[::-1].tolist()
    kept = []
    while order:
        best = group[order[0]]
        kept.append(best)
        order = [other for other in order[1:] if _oks(best, group[other], sigmas) <= threshold]
    return kept


def _oks(one: dict, other: dict, sigmas: np.ndarray) -> float:
    dx = other["keypoints"][:, 0] - one["keypoints"][:, 0]
    dy = other["keypoints"][:, 1] - one["keypoints"][:, 1]
    e = (dx**2 + dy**2) / (sigmas * 2) ** 2 / ((one["area"] + other["area"]) / 2 + np.spacing(1)) / 2
    return float(np.sum(np.exp(-e)) / len(e))


def score(annotations: Path, results_file: Path) -> list[float]:
    """COCOeval's ten numbers of a results file."""
    return evaluate(open_truth(annotations), results_file)


def open_truth(annotations: Path) -> COCO:
    """The index of an annotation file, without pycocotools' messages."""
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(annotations))


def evaluate(truth: COCO, results_file: Path) -> list[float]:
    """COCOeval's ten numbers of a results file on annotations that are open already."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(str(results_file)), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]
