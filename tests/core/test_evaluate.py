"""Rescoring, suppression and COCO's numbers."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from heatpose.core.evaluate import (
    COCO_METRICS,
    CocoScorer,
    PeopleOfImages,
    ServerResults,
    Suppression,
    mean_keypoint_score,
    rescore,
    rounded_results,
    suppress,
)
from heatpose.dataset.records import Records
from heatpose.dataset.skeletons import COCO
from heatpose.utils.files import write_json_rows


def test_rescore_is_the_mean_of_the_confident_keypoints_times_the_box():
    scores = np.array([[0.9, 0.5, 0.1], [0.2, 0.1, 0.2]], np.float32)
    np.testing.assert_allclose(rescore(scores, np.array([0.5, 1.0]), 0.2), [0.35, 0.0])


def test_g_rmis_score_is_the_mean_of_all_keypoints_whatever_the_box():
    scores = np.array([[0.9, 0.5, 0.1], [0.2, 0.1, 0.3]], np.float32)
    np.testing.assert_allclose(mean_keypoint_score(scores), [0.5, 0.2])
    keypoints = np.stack([person(0, 0.3), person(100, 0.1)])
    found = people([8, 8], [[0, 0, 50, 50], [100, 0, 50, 50]])
    found = replace(found, box_scores=np.array([0.1, 0.9]))
    for rescoring, expected in (("keypoints", [0.3, 0.1]), ("box_times_keypoints", [0.03, 0.0])):
        results = PeopleOfImages(COCO.sigmas, rescoring=rescoring).results(keypoints, found)
        np.testing.assert_allclose(results.scores, expected)


def person(x, score):
    return np.concatenate([np.random.default_rng(0).uniform(0, 50, (17, 2)) + (x, 0), np.full((17, 1), score)], axis=1)


def people(image_ids, boxes):
    """Records of which only images and boxes matter; areas 2500."""
    unique, index = np.unique(image_ids, return_inverse=True)
    count = len(boxes)
    return Records(
        unique.astype(str), unique, index, np.zeros((count, 2)), np.full((count, 2), 50.0), np.zeros((count, 17, 2)),
        np.ones((count, 17)), np.ones(count), np.asarray(boxes, float).reshape(-1, 4),
    )  # fmt: skip


def test_suppress_drops_doubles_within_an_image_only():
    keypoints = np.stack([person(0, 0.5), person(0, 0.9), person(100, 0.3), person(0, 0.2)])
    scores, found = keypoints[:, 0, 2], people([8, 8, 8, 3], [[0, 0, 50, 50]] * 4)
    kept = suppress(keypoints, scores, found, COCO.sigmas, Suppression())
    assert kept.tolist() == [1, 2, 3]  # image 8 came first; its best person first
    assert suppress(keypoints[:0], scores[:0], people([], []), COCO.sigmas, Suppression()).tolist() == []


def test_suppress_by_boxes_looks_at_boxes_and_not_at_keypoints():
    keypoints = np.stack([person(0, 0.5), person(0, 0.9), person(100, 0.3)])
    found = people([8, 8, 8], [[0, 0, 50, 50], [200, 0, 50, 50], [0, 5, 50, 50]])
    scores = keypoints[:, 0, 2]
    hard = suppress(keypoints, scores, found, COCO.sigmas, Suppression("box", 0.5))
    assert hard.tolist() == [1, 0]  # 2 shares 45 of 55 rows with 0
    soft = suppress(keypoints, scores, found, COCO.sigmas, Suppression("box", 0.5, soft=True))
    assert soft.tolist() == [1, 0, 2]
    crowd = people([8] * 30, [[0, 0, 50, 50]] * 30)
    many = suppress(
        keypoints[:1].repeat(30, 0), np.linspace(0, 1, 30), crowd, COCO.sigmas, Suppression("box", 0.5, True)
    )
    assert len(many) == 20


def test_results_are_coco_format(tmp_path):
    results = rounded_results(np.full((1, 17, 3), 1.23456), np.array([0.5]), np.array([7]))
    write_json_rows(results.rows(), tmp_path / "results.json")
    content = json.loads((tmp_path / "results.json").read_text())
    assert content == [{"image_id": 7, "category_id": 1, "keypoints": [1.2346] * 51, "score": 0.5}]


def test_results_that_json_has_no_word_for_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        rounded_results(np.full((1, 17, 3), np.nan), np.array([0.5]), np.array([7]))


def truth(keypoints):
    annotation = {
        "id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "area": 2500.0, "bbox": [0, 0, 50, 50],
        "num_keypoints": 17, "keypoints": np.concatenate([keypoints[:, :2], np.full((17, 1), 2)], 1).ravel().tolist(),
    }  # fmt: skip
    categories = [{"id": 1, "name": "person"}]
    return {"images": [{"id": 7}], "annotations": [annotation], "categories": categories}


def test_perfect_keypoints_score_1_and_none_score_0(caplog):
    keypoints = person(0, 1.0)
    scorer = CocoScorer(truth(keypoints), PeopleOfImages(COCO.sigmas))
    perfect = scorer.score_results(rounded_results(keypoints[None], np.array([1.0]), np.array([7])))
    assert tuple(perfect) == COCO_METRICS
    assert perfect["AP"] == pytest.approx(1.0)
    assert perfect["AP (L)"] == -1  # COCO's sign for "no such people"
    assert scorer.score([]) == dict.fromkeys(COCO_METRICS, 0.0)
    assert "nobody" in caplog.text


def test_one_real_image_scores_its_published_numbers(samples):
    folder = samples / "scored" / "one_image"
    scorer = CocoScorer(json.loads((folder / "gt_dataset.json").read_text()), PeopleOfImages(COCO.sigmas))
    scores = scorer.score(json.loads((folder / "dt_dataset.json").read_text()))
    assert list(scores.values()) == [
        0.5048844884488449, 0.7227722772277227, 0.6336633663366337, 0.46633663366336636, 0.7504950495049505,
        0.5181818181818182, 0.7272727272727273, 0.6363636363636364, 0.4666666666666666, 0.75,
    ]  # fmt: skip


def test_a_set_without_public_annotations_gives_the_zip_that_the_server_takes(tmp_path):
    scorer = ServerResults(PeopleOfImages(COCO.sigmas))
    name = scorer.results_name("test-dev2017", "w32_256x192", "")
    assert name == "person_keypoints_test-dev2017_w32-256x192_results.json"
    keypoints = np.stack([person(0, 0.5), person(100, 0.3)])
    assert scorer.score_people(keypoints, people([8, 3], [[0, 0, 50, 50]] * 2), tmp_path / name) == {}
    with zipfile.ZipFile((tmp_path / name).with_suffix(".zip")) as archive:
        assert archive.namelist() == [name]
        results = json.loads(archive.read(name))
    assert [entry["image_id"] for entry in results] == [8, 3]
    assert all(list(entry) == ["image_id", "category_id", "keypoints", "score"] for entry in results)
