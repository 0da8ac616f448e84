"""Batched matching: COCOeval's own arrays, to the last bit."""

import contextlib
import copy
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from heatpose.core.coco_matching import BatchedCOCOeval
from heatpose.core.evaluate import CocoScorer, PeopleOfImages
from heatpose.dataset.skeletons import COCO as SKELETON


def draw(seed, images=40, categories=(1,)):
    """Annotations with crowds and people without keypoints, and detections near them, some of equal score."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 7)):
            box = rng.uniform(0, 300, 4)
            visible = rng.integers(0, 3, 17) * (rng.random() < 0.8)
            points = box[:2] + rng.random((17, 2)) * box[2:]
            annotations.append({
                "id": len(annotations) + 1, "image_id": image, "category_id": int(rng.choice(categories)),
                "bbox": box.tolist(), "area": float(box[2] * box[3] * 0.6), "iscrowd": int(rng.random() < 0.1),
                "num_keypoints": int((visible > 0).sum()),
                "keypoints": np.column_stack([points * (visible > 0)[:, None], visible]).ravel().tolist(),
            })  # fmt: skip
            for _ in range(rng.integers(0, 8)):
                near = points + rng.normal(0, rng.choice([0.0, 5.0, 20.0]), (17, 2))
                results.append({
                    "image_id": image, "category_id": int(rng.choice(categories)),
                    "keypoints": np.column_stack([near, rng.random(17)]).ravel().tolist(),
                    "score": float(rng.integers(0, 20) / 20),
                })  # fmt: skip
    content = {
        "images": [{"id": image} for image in range(images)], "annotations": annotations,
        "categories": [{"id": each, "name": str(each)} for each in categories],
    }  # fmt: skip
    return content, results


def index(content):
    truth = COCO()
    truth.dataset = copy.deepcopy(content)
    truth.createIndex()
    return truth


def columns(results):
    ids, categories, scores = (np.array([r[key] for r in results]) for key in ("image_id", "category_id", "score"))
    return ids, categories, np.array([r["keypoints"] for r in results]).reshape(len(results), -1, 3), scores


def finish(evaluation):
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("categories", [(1,), (3, 7)])
def test_every_number_of_cocoeval_is_the_same(seed, categories):
    content, results = draw(seed, categories=categories)
    results[0]["category_id"] = 99  # a category that is not annotated does not count
    with contextlib.redirect_stdout(io.StringIO()):
        truth = index(content)
        expected = finish(COCOeval(truth, truth.loadRes(copy.deepcopy(results)), "keypoints"))
        ours = finish(BatchedCOCOeval(index(content), *columns(results), SKELETON.sigmas))
    for name in ("precision", "recall", "scores"):
        np.testing.assert_array_equal(ours.eval[name], expected.eval[name])
    np.testing.assert_array_equal(ours.stats, expected.stats)
    assert (expected.stats > 0).all()


def test_an_image_that_is_not_annotated_is_an_error():
    content, results = draw(0)
    results[3]["image_id"] = 12345
    with pytest.raises(ValueError, match="12345"):
        CocoScorer(content, PeopleOfImages(SKELETON.sigmas)).score(results)
