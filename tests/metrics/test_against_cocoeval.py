"""OKS, matching, AP and AR of heatpose.metrics give COCOeval's numbers, crowds, ignored people and areas included."""

import contextlib
import copy
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from heatpose.metrics import (
    COCO_SIGMAS,
    COCO_THRESHOLDS,
    average_precision,
    average_recall,
    box_iou,
    match_coco,
    oks_to_truth,
    pool,
    precision_recall,
)


def cocoeval(truth, results, kind):
    """The evaluation after accumulate(), and its detections, which loadRes gave areas."""
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = COCO()
        ground_truth.dataset = copy.deepcopy(truth)
        ground_truth.createIndex()
        detections = ground_truth.loadRes(copy.deepcopy(results))
        evaluation = COCOeval(ground_truth, detections, kind)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation, detections.dataset["annotations"]


def column(entries, key, *shape):
    return np.array([entry[key] for entry in entries], np.float64).reshape(-1, *shape)


def similarity_of(found, people, kind):
    if kind == "keypoints":
        points, truth = (column(entries, "keypoints", len(COCO_SIGMAS), 3) for entries in (found, people))
        return oks_to_truth(points, truth, column(people, "area"), column(people, "bbox", 4))
    boxes, others = (column(entries, "bbox", 4) for entries in (found, people))
    corners = (np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1) for b in (boxes, others))
    return box_iou(*corners)


def matches_of(people, found, kind, area_range, max_detections):
    """Matches on one image: `people` are its annotations, `found` its detections."""
    low, high = area_range
    areas, found_areas = column(people, "area"), column(found, "area")
    crowd = np.array([person["iscrowd"] for person in people], bool)
    ignored = (areas < low) | (areas > high)
    if kind == "keypoints":
        ignored |= column(people, "num_keypoints") == 0
    outside = (found_areas < low) | (found_areas > high)
    similarity = similarity_of(found, people, kind)
    return match_coco(
        similarity, column(found, "score"), COCO_THRESHOLDS, ignored, crowd, outside, max_detections=max_detections
    )


def compare(truth, results, kind="keypoints"):
    """AP and recall must be COCOeval's; returns both, (T,) each, for every range of areas that holds somebody."""
    evaluation, detections = cocoeval(truth, results, kind)
    params, found = evaluation.params, {}
    np.testing.assert_array_equal(params.iouThrs, COCO_THRESHOLDS)
    for number, (name, area_range) in enumerate(zip(params.areaRngLbl, params.areaRng, strict=True)):
        pooled = pool([
            matches_of(
                [a for a in truth["annotations"] if a["image_id"] == image],
                [d for d in detections if d["image_id"] == image], kind, area_range, params.maxDets[-1],
            )
            for image in params.imgIds
        ])  # fmt: skip
        precisions = evaluation.eval["precision"][:, :, 0, number, -1]  # (T, 101)
        recalls = evaluation.eval["recall"][:, 0, number, -1]  # (T,)
        if pooled.num_truth == 0:
            assert (precisions == -1).all()
            continue
        curve = precision_recall(*pooled)
        found[name] = average_precision(*curve), curve.recall.max(axis=1, initial=0)
        np.testing.assert_allclose(found[name], [precisions.mean(axis=1), recalls], rtol=0, atol=1e-12)
        assert average_recall(curve.recall) == pytest.approx(recalls.mean(), abs=1e-12)
    return found


def test_a_real_image_gives_its_known_numbers(samples):
    folder = samples / "scored" / "one_image"
    truth, results = (json.loads((folder / f"{name}_dataset.json").read_text()) for name in ("gt", "dt"))
    found = compare(truth, results)
    numbers = [
        [everywhere.mean(), everywhere[0], everywhere[5], medium.mean(), large.mean()]  # thresholds 0.5 and 0.75
        for everywhere, medium, large in zip(found["all"], found["medium"], found["large"], strict=True)
    ]
    known = [
        [0.5048844884488449, 0.7227722772277227, 0.6336633663366337, 0.46633663366336636, 0.7504950495049505],
        [0.5181818181818182, 0.7272727272727273, 0.6363636363636364, 0.4666666666666666, 0.75],
    ]
    np.testing.assert_allclose(numbers, known, rtol=0, atol=1e-12)


def made_people(rng, count, num_images):
    """Annotations of all kinds: crowds, people without labelled keypoints, small, medium and large ones."""
    people = []
    for number in range(count):
        size = rng.uniform(15, 180, 2)
        corner = rng.uniform(0, 300, 2)
        points = corner + rng.uniform(0, 1, (17, 2)) * size
        v = rng.integers(0, 3, 17) * (rng.random() > 0.2)
        keypoints = np.concatenate([np.round(points, 2), v[:, None]], axis=1) * (v > 0)[:, None]
        people.append({
            "id": number + 1, "image_id": int(rng.integers(1, num_images + 1)), "category_id": 1,
            "iscrowd": int(rng.random() < 0.1), "bbox": [*corner.tolist(), *size.tolist()],
            "area": float(size.prod() * rng.uniform(0.3, 0.8)), "num_keypoints": int((v > 0).sum()),
            "keypoints": keypoints.ravel().tolist(), "places": points,
        })  # fmt: skip
    return people


def made_results(rng, people, num_images):
    """Detections around the people, up to five each, and some anywhere; equal scores occur."""
    results = []
    for person in [p for p in people for _ in range(rng.integers(0, 6))]:
        noise = rng.normal(0, rng.uniform(0.1, 12), (17, 2))
        box = np.array(person["bbox"]) + rng.normal(0, rng.uniform(0.1, 8), 4)
        results.append((person["image_id"], person["places"] + noise, np.maximum(box, 1)))
    for _ in range(30):
        corner, size = rng.uniform(0, 300, 2), rng.uniform(15, 180, 2)
        points = corner + rng.uniform(0, 1, (17, 2)) * size
        results.append((int(rng.integers(1, num_images + 1)), points, np.concatenate([corner, size])))
    return [
        {"image_id": image, "category_id": 1, "score": float(rng.integers(1, 40)) / 40, "box": box.tolist(),
         "keypoints": np.concatenate([points, rng.random((17, 1))], axis=1).ravel().tolist()}
        for image, points, box in results
    ]  # fmt: skip


def made(seed):
    """Truth and results of eight images; about forty detections on each, so that the limits of 20 cut."""
    rng = np.random.default_rng(seed)
    people = made_people(rng, 110, 8)
    results = made_results(rng, people, 8)
    for person in people:
        del person["places"]
    images = [{"id": number} for number in range(1, 10)]  # the last has neither people nor detections
    return {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}, results


def inside_the_bounds(found):
    """Whether numbers lie between 0 and 1 by so much that rules that differ would show."""
    return all(0.02 < values.mean() < 0.98 for pair in found.values() for values in pair)


@pytest.mark.parametrize("seed", range(6))
def test_made_keypoints(seed):
    truth, results = made(seed)
    found = compare(truth, [{k: v for k, v in r.items() if k != "box"} for r in results])
    assert set(found) == {"all", "medium", "large"}
    assert inside_the_bounds(found)


@pytest.mark.parametrize("seed", range(3))
def test_made_boxes(seed):
    """COCO's boxes have the same rules with 100 detections an image; crowds have an IoU of their own and stay out."""
    truth, results = made(seed)
    truth["annotations"] = [a for a in truth["annotations"] if not a["iscrowd"]]
    boxes = [{"bbox": r["box"], **{k: v for k, v in r.items() if k not in ("box", "keypoints")}} for r in results]
    found = compare(truth, boxes, "bbox")
    assert set(found) == {"all", "small", "medium", "large"}
    assert inside_the_bounds(found)


def test_a_range_of_areas_without_people_has_no_number():
    truth, results = made(0)
    truth["annotations"] = [a for a in truth["annotations"] if a["area"] < 96**2]
    assert set(compare(truth, [{k: v for k, v in r.items() if k != "box"} for r in results])) == {"all", "medium"}
