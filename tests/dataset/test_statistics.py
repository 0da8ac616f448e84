"""Counts of annotation files, worked out by hand, whatever the files lack."""

import json

import numpy as np
import pytest

from heatpose.dataset.groups import read_groups
from heatpose.dataset.records import DataError
from heatpose.dataset.statistics import (
    as_json,
    count_bins,
    count_categories,
    count_masks,
    histograms,
    measure,
    summary,
)
from heatpose.utils.files import write_json

PERSON = {"id": 1, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2], [1, 3]]}
DOG = {"id": 2, "name": "dog", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}
SQUARE = [[10, 10, 50, 10, 50, 50, 10, 50]]  # 1600 px


def annotation(number, image, v=(2, 1, 0), **changes):
    points = [n for place, each in enumerate(v) for n in ((20 + place, 30, each) if each else (0, 0, 0))]
    base = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [10, 10, 40, 40], "area": 1600.0}
    return {**base, "keypoints": points, "segmentation": SQUARE, **changes}


def content(*annotations, categories=(PERSON,), images=3):
    entries = [{"id": i, "width": 100, "height": 80, "file_name": f"{i}.jpg"} for i in range(1, images + 1)]
    return {"images": entries, "annotations": list(annotations), "categories": list(categories)}


def measured(given):
    groups, notes = read_groups(given, "a.json")
    assert notes == []
    return measure(given, groups)


CROWD = {"size": [80, 100], "counts": [0, 800, 7200]}
FILE = content(
    annotation(1, 1),
    annotation(2, 1, (2, 2, 2), bbox=[0, 0, 10, 20], area=100.0),
    annotation(3, 2, (0, 0, 0), bbox=[0, 0, 100, 79], area=9216.0),
    annotation(4, 2, (0, 0, 0), iscrowd=1, area=1000.0, segmentation=CROWD),
)


class TestByHand:
    found = measured(FILE)

    def test_summary(self):
        assert summary(self.found) == {
            "images": 3, "images with people": 2, "annotations": 4, "people": 3, "crowd regions": 1,
            "people with keypoints": 2, "labelled keypoints": 5, "labelled keypoints per person that has any": 2.5,
            "people per image that has any": 1.5, "small people (area below 32^2)": 1, "medium people": 1,
            "large people (area from 96^2)": 1,
        }  # fmt: skip

    def test_joints(self):
        (joints,) = self.found.joints
        assert joints.people == 2
        assert joints.rows() == {
            "nose": {"not labelled": 0, "occluded": 0, "visible": 2, "labelled": "100.0%"},
            "left_eye": {"not labelled": 0, "occluded": 1, "visible": 1, "labelled": "100.0%"},
            "right_eye": {"not labelled": 1, "occluded": 0, "visible": 1, "labelled": "50.0%"},
        }

    def test_histograms(self):
        found = {name: each.rows() for name, each in histograms(self.found).items()}
        assert {label: n for label, n in found["box width, px"].items() if n} == {
            "0 to 16": 1, "32 to 64": 1, "96 to 128": 1,
        }  # fmt: skip
        assert {label: n for label, n in found["area, px^2"].items() if n} == {
            "0 to 256": 1, "1,024 to 4,096": 1, "9,216 to 16,384": 1,
        }  # fmt: skip
        assert {label: n for label, n in found["people per image"].items() if n} == {"0": 1, "1": 1, "2": 1}

    def test_masks(self):
        found = count_masks(self.found)
        assert found["polygons"] == {
            "annotations": 3, "crowd regions": 0, "mask / area, mean": pytest.approx((1 + 16 + 1600 / 9216) / 3),
            "outside 0.8 to 1.25": 2, "farthest": 16.0, "of annotation": "2",
        }  # fmt: skip
        assert found["uncompressed RLE"]["mask / area, mean"] == pytest.approx(0.8)
        assert found["uncompressed RLE"]["crowd regions"] == 1

    def test_json(self, tmp_path):
        write_json(as_json(self.found), tmp_path / "a.json")
        found = json.loads((tmp_path / "a.json").read_text())
        assert found["summary"] == summary(self.found)
        assert found["joints"][0]["keypoints"]["left_eye"] == {
            "not labelled": 0, "occluded": 1, "visible": 1, "other": 0,
        }  # fmt: skip
        assert sum(found["histograms"]["box height, px"]["counts"]) == 3
        assert set(found["masks"]) == {"polygons", "uncompressed RLE"}


def test_bins_begin_at_their_edges():
    found = count_bins(np.array([0, 15.9, 16, 512, 1e9, -1, np.nan]), (0, 16, 512))
    assert (found.counts, found.unknown) == ((2, 1, 2), 2)
    assert found.rows() == {"0 to 16": 2, "16 to 512": 1, "from 512": 2, "unknown": 2}


class TestCategories:
    given = content(
        annotation(1, 1),
        annotation(2, 1, (2, 1), category_id=2),
        annotation(3, 2, (2, 0), category_id=2),
        annotation(4, 3, (2, 2), category_id=3),
        categories=(PERSON, DOG, {**DOG, "id": 3, "name": "cat"}, {"id": 9, "name": "unused"}),
    )

    def test_counts_are_per_category(self):
        found = count_categories(measured(self.given))
        assert list(found) == ["cat", "dog", "person"]
        assert found["dog"] == {
            "images": 2, "people": 2, "crowd regions": 0, "people with keypoints": 2, "labelled keypoints": 3,
        }  # fmt: skip

    def test_joints_are_per_skeleton(self):
        person, animals = measured(self.given).joints
        assert (person.what, person.people, len(person.names)) == ("person", 1, 3)
        assert (animals.categories, animals.people) == (("dog", "cat"), 3)
        assert animals.rows()["tail"]["occluded"] == 1

    def test_a_category_without_keypoints(self):
        boxes = {key: value for key, value in annotation(5, 2, category_id=9).items() if key != "keypoints"}
        given = content(annotation(1, 1), boxes, categories=(PERSON, {"id": 9, "name": "car"}))
        found = measured(given)
        assert len(found.joints) == 1
        assert summary(found)["annotations without readable keypoints"] == 1
        assert count_categories(found)["car"]["people with keypoints"] == 0

    def test_without_entries_categories_and_keypoints_are_numbered(self):
        for categories in ([], None, "none", [7]):
            groups, notes = read_groups({**content(annotation(1, 1)), "categories": categories}, "a.json")
            assert notes == []
            assert groups[0].skeleton.names == ("keypoint_0", "keypoint_1", "keypoint_2")
            assert groups[0].categories.tolist() == ["category 1"]

    @pytest.mark.parametrize(
        ("changes", "words", "limbs"),
        [
            ({"skeleton": [[0, 1]]}, ("edge [0, 1]", "read without skeleton"), 0),
            ({"keypoints": ["nose"]}, ("names 1 keypoints", "read without keypoints"), 2),
            ({"keypoints": "nose", "skeleton": [[0, 1]]}, ("no list", "read without keypoints and skeleton"), 0),
        ],
    )
    def test_contradictory_entries_are_remarks(self, changes, words, limbs):
        groups, (note,) = read_groups(content(annotation(1, 1), categories=[{**PERSON, **changes}]), "a.json")
        assert all(word in note for word in words), note
        assert (groups[0].skeleton.num_joints, len(groups[0].skeleton.limbs)) == (3, limbs)


class TestWhatIsMissing:
    def test_fields_of_annotations(self):
        bare = {"image_id": 1, "keypoints": [5, 5, 2, 0, 0, 0, 0, 0, 0]}
        found = measured(content(bare, annotation(2, 7)))
        counts = summary(found)
        assert (counts["people"], counts["crowd regions"], counts["people with keypoints"]) == (2, 0, 2)
        assert counts["annotations without a box"] == counts["annotations without area"] == 1
        assert counts["annotations on no image"] == 1
        assert count_masks(found)["none"] == {"annotations": 1, "crowd regions": 0}
        assert histograms(found)["area, px^2"].unknown == 1
        assert histograms(found)["box width, px"].unknown == 1

    def test_keypoints_of_another_length_are_counted_apart(self):
        found = measured(content(annotation(1, 1), annotation(2, 1), annotation(3, 1, (2, 2))))
        assert summary(found)["annotations without readable keypoints"] == 1
        assert found.joints[0].people == 2

    def test_a_visibility_of_another_value(self):
        found = measured(content(annotation(1, 1, (3, 2, 0)))).joints[0]
        assert found.rows()["nose"] == {
            "not labelled": 0, "occluded": 0, "visible": 0, "other": 1, "labelled": "100.0%",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ([{"image_id": 1}], "a list is a results file"),
            ({"images": [{"id": 1}]}, "no list, or an empty one, of annotations"),
            (content({"keypoints": [1, 1, 2]}), "annotations without 'image_id'"),
            ({**content(annotation(1, 1)), "images": [{"id": 1, "width": 9}]}, "images without 'height'"),
        ],
    )
    def test_files_that_are_none(self, given, words):
        with pytest.raises(DataError) as error:
            read_groups(given, "a.json")
        assert str(error.value).startswith("a.json: ")
        assert words in str(error.value)


def test_real_counts(samples):
    path = samples / "coco_mini" / "annotations" / "person_keypoints_train2017.json"
    found = measured(json.loads(path.read_text()))
    counts = summary(found)
    assert (counts["images"], counts["annotations"], counts["crowd regions"]) == (28, 147, 5)
    assert counts["people with keypoints"] == 86
    masks = count_masks(found)
    assert (masks["polygons"]["annotations"], masks["uncompressed RLE"]["annotations"]) == (142, 5)
    assert masks["polygons"]["mask / area, mean"] == pytest.approx(1, abs=0.01)
    assert masks["polygons"]["outside 0.8 to 1.25"] == 0
    declared = sum(a["num_keypoints"] for a in json.loads(path.read_text())["annotations"] if not a["iscrowd"])
    assert counts["labelled keypoints"] == declared == 800
