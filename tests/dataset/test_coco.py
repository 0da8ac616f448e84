"""COCO files -> records: the forks' filters and boxes, and mistakes named."""

import json
from pathlib import Path

import numpy as np
import pytest

from heatpose.core.evaluate import CocoScorer, PeopleOfImages, rounded_results
from heatpose.dataset import coco
from heatpose.dataset.records import DataError, select_consistent
from heatpose.dataset.skeletons import COCO


def annotation(**changes):
    base = {
        "id": 1, "image_id": 5, "category_id": 1, "iscrowd": 0, "area": 400.0, "bbox": [10, 10, 20, 40],
        "keypoints": [15, 20, 2] * 17, "num_keypoints": 17,
    }  # fmt: skip
    return {**base, **changes}


def content(*annotations, images=((5, 100, 80),)):
    return {
        "images": [{"id": i, "width": w, "height": h, "file_name": f"{i}.jpg"} for i, w, h in images],
        "annotations": list(annotations),
    }


def people(*annotations, **kwargs):
    return coco.annotated_people(content(*annotations, **kwargs), 17, 0.75)


def test_box_is_clipped_widened_and_padded():
    found = people(annotation(bbox=[-10, 10, 41, 61]))
    # clipped: x 0..40 and y 10..70, one pixel less: 40 x 60; widened to 0.75: 45 x 60; padded by 1.25
    assert found.center[0].tolist() == [20, 40]
    assert found.scale[0].tolist() == [56.25, 75]
    assert found.areas[0] == 56.25 * 75


@pytest.mark.parametrize(
    "change",
    [
        {"iscrowd": 1},
        {"area": 0},
        {"keypoints": [0] * 51},
        {"bbox": [200, 10, 20, 20]},
        {"category_id": 2},
        {"image_id": 9},
    ],
)
def test_people_the_forks_leave_out_are_left_out(change):
    found = people(annotation(id=2, **change) if "id" not in change else annotation(**change), annotation(id=3))
    assert len(found) == 1


def test_visibility_is_0_or_1_and_order_follows_the_images():
    low = annotation(id=1, image_id=7, keypoints=[1, 1, 1] + [15, 20, 2] * 15 + [0, 0, 0])
    found = people(low, annotation(id=2), images=((5, 100, 80), (7, 90, 70)))
    assert found.image_ids[found.image_index].tolist() == [5, 7]
    assert found.visible[1].tolist() == [1] * 16 + [0]
    assert found.image_names.tolist() == ["5.jpg", "7.jpg"]


def test_hidden_joints_are_marked():
    found = people(annotation(keypoints=[1, 1, 1] + [15, 20, 2] * 15 + [0, 0, 0]), annotation(id=2))
    assert found.hidden.tolist() == [[1] + [0] * 16, [0] * 17]
    assert found.select(np.array([1])).hidden.tolist() == [[0] * 17]


def test_mspn_s_boxes_are_not_clipped_and_grow_before_they_are_widened(tmp_path):
    box = [-10, 10, 40, 60]
    detections = [{"image_id": 5, "bbox": box, "score": 1.0}, {"image_id": 5, "bbox": box, "score": 0.5}]
    annotated = coco.annotated_people(content(annotation(bbox=box)), 17, 0.75, extension=(0.1, 0.5))
    detected = coco.detected_people(content(), detections, tmp_path, 17, 0.75, extension=(0.1, 0.5))
    assert annotated.boxes.tolist() == [box]
    for found in (annotated, detected):
        assert found.center[0].tolist() == [10, 40]
        np.testing.assert_allclose(found.scale[0], [67.5, 90], rtol=1e-6)  # 44 x 90, widened to 0.75
    outside = annotation(id=2, bbox=[200, 10, 20, 20])
    assert len(coco.annotated_people(content(outside, annotation()), 17, 0.75, extension=(0.1, 0.5))) == 1


def test_detections_keep_their_order_and_unclipped_boxes(tmp_path):
    detections = [
        {"image_id": 5, "category_id": 1, "bbox": [-10, 0, 30, 40], "score": 0.9},
        {"image_id": 5, "category_id": 3, "bbox": [0, 0, 30, 40], "score": 0.9},
        {"image_id": 5, "category_id": 1, "bbox": [0, 0, 30, 40], "score": 0.1},
        {"image_id": 5, "category_id": 1, "bbox": [0, 0, 30, 40], "score": 0.5},
    ]
    found = coco.detected_people(content(), detections, tmp_path, 17, 0.75, score_threshold=0.5)
    assert found.box_scores.tolist() == [0.9, 0.5]
    assert found.center.tolist() == [[5, 20], [15, 20]]
    assert (found.keypoints == 0).all()


def test_select_data_keeps_people_whose_keypoints_lie_around_the_box_centre():
    inside, outside = annotation(keypoints=[20, 30, 2] * 17), annotation(id=2, keypoints=[60, 75, 2] * 17)
    assert len(select_consistent(people(inside, outside))) == 1


class TestMistakes:
    def refusal(self, tmp_path, value):
        path = tmp_path / "person_keypoints_val.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        with pytest.raises(DataError) as caught:
            coco.read_annotations(path, 17)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
        return str(caught.value)

    def test_no_keypoints(self, tmp_path):
        broken = annotation(id=42)
        del broken["keypoints"]
        found = self.refusal(tmp_path, content(annotation(), broken))
        assert "annotation 42 (image 5) has no 'keypoints'" in found
        assert "person_keypoints" in found

    def test_another_number_of_keypoints(self, tmp_path):
        found = self.refusal(tmp_path, content(annotation(keypoints=[1, 1, 2] * 20)))
        assert "60 keypoint numbers, 20 keypoints" in found
        assert "reads people with 17" in found

    def test_not_json_and_not_coco(self, tmp_path):
        assert "not valid JSON" in self.refusal(tmp_path, "{")
        assert "expected a COCO file" in self.refusal(tmp_path, [])

    def test_empty_and_foreign_detections(self, tmp_path):
        with pytest.raises(DataError, match="no detections"):
            coco.detected_people(content(), [], tmp_path, 17, 0.75)
        foreign = [{"image_id": 6, "category_id": 1, "bbox": [0, 0, 3, 4], "score": 0.9}]
        with pytest.raises(DataError, match="none of its 1 detections"):
            coco.detected_people(content(), foreign, tmp_path, 17, 0.75)
        with pytest.raises(DataError, match="number 0 has no 'bbox'"):
            coco.detected_people(content(), [{"image_id": 5, "score": 1}], tmp_path, 17, 0.75)


def test_fields_that_follow_from_others_are_completed_so_that_cocoeval_runs(tmp_path):
    sparse = {key: annotation()[key] for key in ("id", "image_id", "bbox", "area", "keypoints")}
    sparse["area"] = 2500.0  # COCO scores areas from 32^2
    path = tmp_path / "person_keypoints_val.json"
    path.write_text(json.dumps({**content(sparse), "info": {}}))
    truth = coco.read_annotations(path, 17)
    assert len(coco.annotated_people(truth, 17, 0.75)) == 1
    prediction = np.array(sparse["keypoints"], float).reshape(1, 17, 3)
    results = rounded_results(prediction, np.ones(1), np.array([5]))
    scores = CocoScorer(truth, PeopleOfImages(COCO.sigmas)).score_results(results)
    assert scores["AR"] == pytest.approx(1.0)


@pytest.mark.parametrize("missing", ["id", "width", "height"])
def test_images_without_a_size_are_refused(tmp_path, missing):
    truth = content(annotation())
    del truth["images"][0][missing]
    path = tmp_path / "person_keypoints_val.json"
    path.write_text(json.dumps(truth))
    with pytest.raises(DataError, match=f"image number 0 has no '{missing}'"):
        coco.read_annotations(path, 17)


def test_names_of_images_that_the_file_does_not_name_are_cocos(tmp_path):
    bare = content(annotation())
    for image in bare["images"]:
        image.pop("file_name", None)
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(bare))
    for image_set, expected in (("val2017", "000000000005.jpg"), ("train2014", "COCO_train2014_000000000005.jpg")):
        truth = coco.read_annotations(path, 17, image_set)
        assert coco.annotated_people(truth, 17, 0.75).image_names.tolist() == [expected]


def test_test_dev_has_its_own_files_and_no_people(tmp_path):
    assert coco.annotation_path(tmp_path, "test-dev2017").name == "image_info_test-dev2017.json"
    assert coco.image_folder(tmp_path, "test-dev2017").name == "test2017"
    path = tmp_path / "image_info_test-dev2017.json"
    path.write_text(json.dumps({"images": [{"id": 1, "width": 9, "height": 9, "file_name": "000000000001.jpg"}]}))
    truth = coco.read_annotations(path, 17, "test-dev2017")
    assert "annotations" not in truth
    with pytest.raises(DataError, match="no 'annotations'"):
        coco.read_annotations(path, 17, "val2017")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"area": None}, "has area None"), ({"area": "12.5"}, "has area '12.5'"), ({"bbox": None}, "has bbox None"),
        ({"bbox": [1, 2, 3]}, "has bbox"), ({"keypoints": None}, "has keypoints None"),
        ({"keypoints": [None] + [1] * 50}, "has keypoints"), ({"image_id": [5]}, "has image_id [5]"),
        ({"keypoints": [1] * 54}, "54 keypoint numbers, 18 keypoints"),
    ],
)  # fmt: skip
def test_values_that_are_no_numbers_are_one_line(tmp_path, change, words):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content(annotation(), annotation(id=7, **change))))
    with pytest.raises(DataError) as caught:
        coco.read_annotations(path, 17)
    text = str(caught.value)
    assert words in text and "annotation 7" in text and str(path) in text and "\n" not in text


@pytest.mark.parametrize("image", [{"id": [5]}, {"id": "5"}, {"width": None}, {"height": 0}])
def test_images_with_strange_values_are_one_line(tmp_path, image):
    given = content(annotation())
    given["images"][0].update(image)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(given))
    with pytest.raises(DataError, match="image"):
        coco.read_annotations(path, 17)


@pytest.mark.parametrize("change", [{"bbox": None}, {"bbox": [1, 2]}, {"score": "high"}, {"image_id": None}])
def test_detections_with_strange_values_are_one_line(change):
    boxes = [{"image_id": 5, "bbox": [1, 2, 30, 40], "score": 0.9} for _ in range(2)]
    boxes[1].update(change)
    with pytest.raises(DataError, match=r"boxes\.json: detection number 1 has"):
        coco.detected_people(content(annotation()), boxes, Path("boxes.json"), 17, 0.75)


def test_what_is_left_out_is_counted():
    found = people(annotation(), annotation(id=2, iscrowd=1), annotation(id=3, image_id=9), annotation(id=4, area=0))
    assert found.left_out == {"crowds": 1, coco.ELSEWHERE: 1, coco.NO_AREA: 1}
