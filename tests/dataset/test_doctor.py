"""The doctor: each fault alone is found and named, clean and real data are left in peace."""

import json
import logging
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from heatpose.codecs.gaussian import GaussianCodec
from heatpose.codecs.grmi import GrmiCodec
from heatpose.codecs.udp import UdpOffsetCodec
from heatpose.dataset import coco, doctor
from heatpose.dataset.augment import Augmentation
from heatpose.dataset.doctor.areas import half_distance
from heatpose.dataset.doctor.people import look_like_corners
from heatpose.dataset.doctor.skeleton import check_flip_pairs
from heatpose.dataset.images import ImageFolder
from heatpose.dataset.joints import TestCrops, TrainingCrops
from heatpose.dataset.skeletons import COCO

CODEC = GaussianCodec((48, 64), (12, 16), 17, sigma=1.0)
GRMI = GrmiCodec((49, 65), (13, 17), 17, radius=8.0)
NAMES = [{"id": 1, "name": "person", "keypoints": list(COCO.names)}]
SPREAD = [(50 + 2 * k, 60 + 4 * k) for k in range(17)]  # inside the box below


def keypoints(points=SPREAD, v=2):
    return [number for x, y in points for number in (x, y, v)]


def annotation(**changes):
    base = {
        "id": 1, "image_id": 5, "category_id": 1, "iscrowd": 0, "area": 2500.0, "bbox": [45, 50, 50, 90],
        "keypoints": keypoints(), "num_keypoints": 17,
    }  # fmt: skip
    return {**base, **changes}


def content(*annotations, images=((5, 200, 160),), **parts):
    entries = [{"id": i, "width": w, "height": h, "file_name": f"{i}.jpg"} for i, w, h in images]
    return {"images": entries, "annotations": list(annotations), "categories": NAMES, **parts}


def check(given):
    return doctor.check_annotations(given, 17, COCO)


def only(findings, words, spoils=True, count=1):
    """The single finding, which says `words`."""
    assert [words in each.what for each in findings] == [True], [str(each) for each in findings]
    found = findings[0]
    assert (found.spoils, found.count) == (spoils, count), str(found)
    assert found.fix
    return found


def without(entry, key):
    return {name: value for name, value in entry.items() if name != key}


def test_a_clean_file_has_no_finding():
    assert check(content(annotation(), annotation(id=2, iscrowd=1, keypoints=[0] * 51, num_keypoints=0))) == []


class TestTheFile:
    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ([], "a list instead of an object"),
            ({"images": [{}]}, "no list, or an empty one, of annotations"),
            ({"images": {}, "annotations": [{}]}, "no list, or an empty one, of images"),
            (content(7), "annotations that are no objects"),
            (content(without(annotation(), "area")), "annotations without 'area'"),
            (content(without(annotation(), "keypoints")), "annotations without 'keypoints'"),
            ({**content(annotation()), "images": [{"id": 5, "width": 9}]}, "images without 'height'"),
        ],
    )
    def test_of_another_structure(self, given, words):
        only(check(given), words)

    @pytest.mark.parametrize(
        ("images", "words"),
        [
            (((5, 200, 160), (5, 200, 160)), "image ids that occur more than once"),
            (((5, 200, 160), (6, 0, 100)), "no positive number"),
            (((5, 200, 160), (6, 100, None)), "no positive number"),
            (((5, 200, 160), ("6", 100, 100)), "no whole numbers"),
        ],
    )
    def test_images(self, images, words):
        given = content(annotation(), images=images)
        given["annotations"][0]["image_id"] = images[0][0]
        only(check(given), words)

    @pytest.mark.parametrize("other", [6, "5", [5]])
    def test_image_ids_that_do_not_join(self, other):
        found = only(check(content(annotation(), annotation(id=2, image_id=other))), "image_id is the id of no image")
        assert "annotation 2" in found.example

    def test_repeated_annotation_ids(self):
        only(check(content(annotation(), annotation())), "annotation ids that occur more than once")

    def test_annotation_id_0_is_never_matched(self):
        only(check(content(annotation(id=0), annotation())), "annotations with id 0")

    def test_one_stray_annotation_of_many_is_a_remark(self):
        many = [annotation(id=i + 1) for i in range(200)]
        only(check(content(*many, annotation(id=900, image_id=6))), "the id of no image", spoils=False)

    @pytest.mark.parametrize(("number", "count"), [(48, 1), (54, 1)])
    def test_another_number_of_keypoints(self, number, count):
        given = content(annotation(), annotation(id=2, keypoints=[60, 80, 2] * (number // 3)))
        only(check(given), "without 51 keypoint numbers", count=count)

    def test_keypoints_of_another_skeleton_leave_nothing_to_check(self):
        found = check(content(annotation(keypoints=[60, 80, 2] * 21)))
        assert "21 joints" in only(found, "without 51 keypoint numbers").example

    @pytest.mark.parametrize("value", [None, "4", float("nan"), float("inf")])
    def test_values_that_are_no_numbers(self, value):
        other = annotation(id=2)
        only(check(content(annotation(), {**other, "area": value})), "`area` that is no finite number")
        only(check(content(annotation(), {**other, "bbox": [value, 1, 2, 3]})), "not four finite numbers")
        only(check(content(annotation(), {**other, "keypoints": [value] + keypoints()[1:]})), "no finite numbers")


class TestCategories:
    def test_a_listed_other_category(self):
        given = content(annotation(), annotation(id=2, category_id=7), categories=[*NAMES, {"id": 7}])
        assert "category_id 7" in only(check(given), "category other than 1").example

    def test_an_unlisted_other_category_is_left_out(self):
        only(check(content(annotation(), annotation(id=2, category_id=7))), "category other than 1", spoils=False)

    def test_nobody_of_category_1(self):
        only(check(content(annotation(category_id=7))), "category other than 1")

    def test_a_list_of_categories_without_persons(self):
        only(check(content(annotation(), categories=[{"id": 0}])), "'categories' has no id 1")

    def test_no_list_of_categories(self):
        only(check(without(content(annotation()), "categories")), "'categories' is missing", spoils=False)


class TestLabels:
    def test_nobody_labelled(self):
        only(check(content(annotation(keypoints=[0] * 51, num_keypoints=0))), "nobody has a labelled keypoint")

    def test_everybody_a_crowd(self):
        only(check(content(annotation(iscrowd=1))), "everybody is a crowd")

    def test_a_visibility_that_weighs(self):
        only(check(content(annotation(keypoints=keypoints(v=0.4)))), "visibility below 1")

    def test_a_visibility_that_is_read_as_labelled(self):
        only(check(content(annotation(keypoints=keypoints(v=3)))), "visibility other than 0, 1 or 2", spoils=False)

    def test_missing_joints_at_the_origin(self):
        points = [*SPREAD[:5], (0, 0), *SPREAD[6:]]
        found = only(check(content(annotation(keypoints=keypoints(points)))), "labelled joints at (0, 0)")
        assert "joint number 5" in found.example

    @pytest.mark.parametrize(("declared", "labelled"), [(0, keypoints()), (17, [0] * 51)])
    def test_num_keypoints_that_matters(self, declared, labelled):
        given = content(annotation(), annotation(id=2, keypoints=labelled, num_keypoints=declared))
        only(check(given), "num_keypoints is 0 although")

    def test_num_keypoints_that_does_not_matter(self):
        only(check(content(annotation(num_keypoints=3))), "not the number of labelled", spoils=False)

    def test_a_missing_num_keypoints_is_no_fault(self):
        assert check(content(without(annotation(), "num_keypoints"))) == []


class TestBoxesAndKeypoints:
    @pytest.mark.parametrize("bbox", [[45, 50, 0, 90], [45, 50, 50, -90]])
    def test_empty_box(self, bbox):
        only(check(content(annotation(), annotation(id=2, bbox=bbox))), "not positive")

    @pytest.mark.parametrize("bbox", [[300, 50, 50, 90], [-90, 50, 50, 90]])
    def test_box_outside_its_image(self, bbox):
        far = annotation(id=2, bbox=bbox, keypoints=keypoints([(-1, 60)] * 17))
        found = check(content(*[annotation(id=i + 10) for i in range(8)], far))
        assert "boxes outside their image" in [each.what for each in found if each.spoils][0]

    def test_box_partly_outside_is_a_remark(self):
        wide = annotation(bbox=[-30, -50, 120, 190], area=8000)
        only(check(content(wide, annotation(id=2), annotation(id=3))), "more than a tenth", spoils=False)

    def test_corners_instead_of_a_size(self):
        x, y, width, height = annotation()["bbox"]
        shifted = keypoints([(a + 90, b + 10) for a, b in SPREAD])
        box = [x + 90, y + 10, x + 90 + width, y + 10 + height]
        only(check(content(annotation(bbox=box, keypoints=shifted))), "read as corners")

    def test_real_boxes_do_not_look_like_corners(self):
        boxes, sizes = np.array([[10.0, 20, 50, 60], [40, 10, 60, 90]]), np.array([[100.0, 100], [100, 100]])
        assert not look_like_corners(boxes, sizes)
        corners = boxes.copy()
        corners[:, 2:] += corners[:, :2]
        assert look_like_corners(corners, sizes)

    def test_box_in_fractions(self):
        only(check(content(annotation(bbox=[0.2, 0.3, 0.25, 0.5]))), "boxes in fractions")

    def test_keypoints_in_fractions(self):
        points = [(x / 200, y / 160) for x, y in SPREAD]
        only(check(content(annotation(keypoints=keypoints(points)))), "keypoints are fractions")

    def test_keypoints_outside_their_image(self):
        points = [(x + 150, y) for x, y in SPREAD]
        only(check(content(annotation(keypoints=keypoints(points)))), "outside their image")

    def test_keypoints_outside_their_box(self):
        points = [(x + 90, y) for x, y in SPREAD]
        found = only(check(content(annotation(keypoints=keypoints(points)))), "outside their box")
        assert "box [45, 50, 50, 90]" in found.example

    def test_a_few_keypoints_outside_the_box_are_normal(self):
        points = [*SPREAD[:12], *[(130, 60)] * 5]
        assert check(content(annotation(keypoints=keypoints(points)))) == []


class TestAreas:
    def test_0(self):
        only(check(content(annotation(), annotation(id=2, area=0))), "`area` is 0 or less")

    def test_much_too_small(self):
        found = only(check(content(annotation(area=90.12), annotation(id=2, area=90.12))), "much too small", count=2)
        assert "90.12 px^2 for all of them" in found.what
        assert "Nobody is medium or large" in found.what

    def test_larger_than_the_box(self):
        only(check(content(annotation(area=45000))), "larger than the box")

    def test_of_the_box(self):
        only(check(content(annotation(area=4500))), "`area` is the box's", spoils=False)

    def test_polygons_tell_the_true_one(self):
        small = annotation(area=9, segmentation=[[45, 50, 95, 50, 95, 140, 45, 140]])
        given = content(small, annotation(id=2))
        found = only(check(given), "much too small")
        assert "enclose 4500 px^2" in found.example
        table = doctor.read_table(given, 17)
        assert [each["area"] for each in doctor.repaired_areas(given, table)["annotations"]] == [4500, 2500]
        assert given["annotations"][0]["area"] == 9

    def test_without_polygons_a_share_of_the_box_is_taken(self):
        given = content(annotation(area=9))
        repaired = doctor.repaired_areas(given, doctor.read_table(given, 17))
        assert repaired["annotations"][0]["area"] == pytest.approx(0.53 * 4500)

    def test_half_distance_is_where_oks_is_a_half(self):
        distance = half_distance(400.0, COCO.sigmas)
        sigma = np.median(COCO.sigmas)
        assert np.exp(-(distance**2) / (2 * 400 * (2 * sigma) ** 2)) == pytest.approx(0.5)

    def test_sizes_of_which_there_is_nobody_are_explained(self):
        table = doctor.read_table(content(annotation()), 17)
        lines = doctor.explain_scores({"AP (M)": 0.5, "AP (L)": -1.0}, table)
        assert len(lines) == 1
        assert lines[0].startswith("(L) is -1")
        assert "2500 to 2500" in lines[0]


class TestSkeleton:
    def test_of_coco_is_sound(self):
        assert doctor.check_skeleton(COCO, 17) == []

    @pytest.mark.parametrize(
        ("changes", "words", "spoils"),
        [
            ({"sigmas": COCO.sigmas[:-1]}, "number of sigmas", True),
            ({"sigmas": (0.0, *COCO.sigmas[1:])}, "sigmas that are not between", True),
            ({"sigmas": tuple(10 * each for each in COCO.sigmas)}, "sigmas that are not between", True),
            ({"limbs": ((0, 17),)}, "limbs", False),
            ({"upper_body": (0, 20)}, "upper body", True),
            ({"flip_pairs": (*COCO.flip_pairs[:-1], (15, 17))}, "two different keypoints", True),
            ({"flip_pairs": (*COCO.flip_pairs, (0, 0))}, "two different keypoints", True),
            ({"flip_pairs": (*COCO.flip_pairs[:-1], (15, 1))}, "share a keypoint", True),
            ({"flip_pairs": (*COCO.flip_pairs[:-2], (13, 16), (15, 14))}, "contradict the names", True),
            ({"flip_pairs": COCO.flip_pairs[:-1]}, "in no flip pair", True),
        ],
    )
    def test_each_fault(self, changes, words, spoils):
        found = doctor.check_skeleton(replace(COCO, **changes), 17)
        assert words in found[0].what
        assert len(found) == 1
        assert found[0].spoils == spoils

    def test_a_metric_other_than_oks_needs_no_sigmas(self):
        without_sigmas = replace(COCO, sigmas=())
        assert doctor.check_skeleton(without_sigmas, 17, needs_sigmas=False) == []
        only(doctor.check_skeleton(without_sigmas, 17), "number of sigmas", count=17)

    def test_another_number_of_joints_than_the_configuration(self):
        only(doctor.check_skeleton(COCO, 16), "MODEL.NUM_JOINTS")

    def test_names_in_many_spellings(self):
        names = ["L_Eye", "R_Eye", "leftHip", "rightHip", "Lsho", "Rsho", "ear.l", "ear.r", "lip", "Rump", "near_knee"]
        assert check_flip_pairs([(0, 1), (2, 3), (4, 5), (6, 7), (9, 10)], names) == []

    def test_names_of_the_file_in_another_order(self):
        swapped = [*COCO.names[:15], "right_ankle", "left_ankle"]
        given = content(
            annotation(), categories=[{"id": 1, "keypoints": [*swapped[:13], *swapped[15:], *swapped[13:15]]}]
        )
        found = only(check(given), "are not those of the skeleton", count=4, spoils=False)
        assert "right_ankle in the file, left_knee in the skeleton" in found.example

    def test_names_of_the_file_that_the_flip_pairs_contradict(self):
        names = [*COCO.names[:13], "left_knee", "left_ankle", "right_knee", "right_ankle"]
        found = only(check(content(annotation(), categories=[{"id": 1, "keypoints": names}])), "flip pairs", count=2)
        assert "exchanges left_knee with left_ankle" in found.example

    def test_a_name_too_few(self):
        only(
            check(content(annotation(), categories=[{"id": 1, "keypoints": ["nose"]}])),
            "number of keypoint names",
            True,
            16,
        )


def detection(**changes):
    return {"image_id": 5, "category_id": 1, "bbox": [45, 50, 50, 90], "score": 0.9, **changes}


class TestDetections:
    def find(self, *detections, threshold=0.0, annotations=None):
        given = content(*(annotations or [annotation()]), images=((5, 200, 160), (6, 200, 160)))
        return doctor.check_detections(list(detections), given, doctor.read_table(given, 17), threshold)

    def test_clean(self):
        assert self.find(detection(), detection(score=0.1, bbox=[0, 0, 10, 10])) == []

    def test_without_people(self):
        given = {"images": content()["images"]}
        assert doctor.check_detections([detection()], given) == []

    @pytest.mark.parametrize(
        ("changes", "words", "spoils"),
        [
            ({"image_id": 7}, "belongs to another split", True),
            ({"image_id": "5"}, "belongs to another split", True),
            ({"category_id": 3}, "category other than 1", True),
            ({"bbox": [45, 50, 0, 9]}, "width or height is not positive", True),
            ({"bbox": [45, 50]}, "not four numbers: the file cannot be read", True),
            ({"bbox": [0.2, 0.3, 0.2, 0.5]}, "detections in fractions", True),
            ({"bbox": [300, 10, 20, 20]}, "outside their image", True),
            ({"bbox": [130, 90, 190, 150]}, "read as corners", True),
            ({"bbox": [0, 0, 40, 40]}, "without a detection of an IoU", True),
            ({"score": None}, "score is no number", True),
            ({"score": 70}, "score outside 0 to 1", False),
        ],
    )  # fmt: skip
    def test_each_fault(self, changes, words, spoils):
        only(self.find(detection(**changes)), words, spoils)

    def test_some_on_other_images_are_a_remark(self):
        only(self.find(detection(), detection(image_id=9, score=0.5)), "left out", spoils=False)

    def test_images_without_one(self):
        people = [annotation(), annotation(id=2, image_id=6)]
        only(self.find(detection(), annotations=people), "images with people without a detection")

    def test_equal_scores_are_a_remark(self):
        only(self.find(detection(), detection()), "the same score", spoils=False, count=2)

    def test_a_threshold_that_none_reaches(self):
        only(self.find(detection(), detection(score=0.8), threshold=0.95), "TEST.IMAGE_THRE", count=2)

    @pytest.mark.parametrize("given", [{}, [], None])
    def test_no_list(self, given):
        only(doctor.check_detections(given, content(annotation())), "no list of detections")

    def test_lacking_fields(self):
        only(self.find({"image_id": 5}), "without one of")


def result(**changes):
    return {"image_id": 5, "category_id": 1, "keypoints": keypoints(v=0.8), "score": 0.9, **changes}


class TestResults:
    def find(self, *results, annotations=None):
        given = content(*(annotations or [annotation()]), images=((5, 200, 160), (6, 200, 160)))
        return doctor.check_results(list(results), given, doctor.read_table(given, 17))

    def test_clean(self):
        assert self.find(result(), result(score=0.1)) == []

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"image_id": 9}, "COCOeval refuses"),
            ({"category_id": 2}, "category other than 1"),
            ({"keypoints": [1, 2, 3]}, "without 51 finite keypoint numbers"),
            ({"keypoints": [float("nan")] * 51}, "without 51 finite keypoint numbers"),
            ({"score": None}, "score is no finite number"),
            ({"keypoints": keypoints([(x / 200, y / 160) for x, y in SPREAD])}, "fractions of the image"),
            ({"keypoints": keypoints([(x + 80, y) for x, y in SPREAD])}, "nearest result"),
        ],
    )  # fmt: skip
    def test_each_fault(self, changes, words):
        only(self.find(result(**changes)), words)

    def test_another_order_of_joints(self):
        points = [(50 + 45 * (k % 2), 60 + 80 * (k // 2 % 2)) for k in range(17)]
        moved = result(keypoints=keypoints(points[1:] + points[:1]))
        found = self.find(moved, annotations=[annotation(keypoints=keypoints(points))])
        only(found, "the orders of the joints differ", count=found[0].count)

    def test_images_without_one(self):
        only(self.find(result(), annotations=[annotation(), annotation(id=2, image_id=6)]), "without a result")

    def test_equal_scores_are_a_remark(self):
        only(self.find(result(), result()), "the same score", spoils=False, count=2)

    def test_distance_in_words(self):
        given = content(annotation())
        moved = result(keypoints=keypoints([(x + 3, y) for x, y in SPREAD]))
        side = np.sqrt(50 * 90)
        text = doctor.describe_results([moved], given, doctor.read_table(given, 17))
        assert f"{300 / side:.2g}% of the box's side" in text


@pytest.fixture
def records():
    people = [annotation(id=i + 1, bbox=[45 + i, 50, 50, 90]) for i in range(3)]
    return coco.annotated_people(content(*people), 17, 0.75)


class TestRecords:
    def test_clean(self, records):
        assert doctor.check_records(records) == []
        assert doctor.check_targets(records, CODEC) == []

    def test_nobody(self, records):
        only(doctor.check_records(records.select(np.zeros(3, bool))), "nobody is left", count=0)
        assert doctor.check_targets(records.select(np.zeros(3, bool)), CODEC) == []

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("visible", 0, "without a labelled keypoint"),
            ("keypoints", np.nan, "no finite numbers"),
            ("scale", 0, "crop has no size"),
            ("keypoints", 1e4, "outside their crop"),
        ],
    )
    def test_each_fault(self, records, name, value, words):
        changed = replace(records, **{name: np.full_like(getattr(records, name), value)})
        found = doctor.check_records(changed)
        assert words in found[0].what
        assert found[0].spoils

    @pytest.mark.parametrize("codec", [CODEC, UdpOffsetCodec((48, 64), (12, 16), 17, kpd=2.0), GRMI])
    def test_targets_all_zero(self, records, codec):
        only(doctor.check_targets(replace(records, visible=records.visible * 0), codec), "all heatmap targets", count=3)
        away = replace(records, keypoints=records.keypoints + 1e4)
        assert doctor.check_targets(records, codec) == []
        assert doctor.check_targets(away, codec)[0].count == 3

    def test_visibility_that_counts_as_not_labelled(self, records):
        visible = records.visible.copy()
        visible[0] = 0.4
        found = only(doctor.check_targets(replace(records, visible=visible), CODEC), "empty heatmap target")
        assert "17 of 17" in found.example

    def test_targets_that_are_not_finite(self, records):
        codec = SimpleNamespace(
            warp_matrix=CODEC.warp_matrix,
            encode=lambda points, visible: (
                torch.full((len(points), 17, 4, 4), np.nan),
                torch.ones(len(points), 17, 1),
            ),
        )
        only(doctor.check_targets(records, codec), "not finite", count=3)

    def test_any_skeleton(self, records):
        half = replace(records, keypoints=records.keypoints[:, :9], visible=records.visible[:, :9])
        assert doctor.check_targets(half, GaussianCodec((48, 64), (12, 16), 9, sigma=1.0)) == []


class TestImages:
    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("a.jpg", "b.jpg"):
            cv2.imwrite(str(tmp_path / name), np.zeros((20, 30, 3), np.uint8))
        return tmp_path

    def test_clean(self, folder):
        assert doctor.check_images(ImageFolder(folder), ["a.jpg", "b.jpg"], np.array([[30, 20]] * 2)) == []

    def test_missing_with_a_hint_at_the_right_name(self, folder):
        found = only(doctor.check_images(ImageFolder(folder), ["a.jpg", "b.png"]), "images that are not in")
        assert "b.jpg is there" in found.example

    def test_below_folders(self, folder):
        (folder / "day").mkdir()
        (folder / "a.jpg").rename(folder / "day" / "a.jpg")
        assert doctor.check_images(ImageFolder(folder), ["day/a.jpg", "b.jpg"]) == []
        only(doctor.check_images(ImageFolder(folder), ["night/a.jpg", "b.jpg"]), "images that are not in")

    def test_no_folder(self, folder):
        only(doctor.check_images(ImageFolder(folder / "no"), ["a.jpg"]), "no images")

    def test_zip(self, folder, tmp_path_factory):
        import zipfile

        place = tmp_path_factory.mktemp("zip")
        with zipfile.ZipFile(place / "set.zip", "w") as archive:
            archive.write(folder / "a.jpg", "set/a.jpg")
            archive.write(folder / "b.jpg", "b.jpg")
        images = ImageFolder(place / "set", "zip")
        assert doctor.check_images(images, ["a.jpg", "b.jpg"]) == []
        only(doctor.check_images(images, ["a.jpg", "c.jpg"]), "images that are not in")

    def test_turned(self, folder):
        sizes = np.array([[20, 30], [30, 20]])
        found = only(doctor.check_images(ImageFolder(folder), ["a.jpg", "b.jpg"], sizes), "another size")
        assert "a.jpg is 30 x 20, annotated as 20 x 30, turned by 90 degrees" in found.example

    def test_broken(self, folder):
        (folder / "a.jpg").write_bytes(b"nothing")
        only(doctor.check_images(ImageFolder(folder), ["a.jpg", "b.jpg"]), "cannot be read")


def splits(root, train, test):
    """Both splits of a data set in COCO's layout below `root`, from contents."""

    def parts(given, name):
        return coco.annotated_people(given, 17, 0.75), ImageFolder(root / "images" / name), CODEC, COCO

    training = TrainingCrops(*parts(train, "train"), Augmentation())
    return training, TestCrops(*parts(test, "val"), ground_truth=test)


def toy_content(root, name):
    return json.loads((root / "annotations" / f"person_keypoints_{name}.json").read_text())


def quick(training, *tests):
    return doctor.quick_check(training, tests)


class TestTheQuickCheck:
    def test_says_nothing_about_sound_data(self, toy_root, caplog):
        with caplog.at_level(logging.INFO):
            assert quick(*splits(toy_root, toy_content(toy_root, "train"), toy_content(toy_root, "val"))) == []
        assert not caplog.records

    def test_warns_and_lets_the_training_go_on(self, toy_root, caplog):
        test = toy_content(toy_root, "val")
        for each in test["annotations"]:
            each["area"] = 1.0
        found = quick(*splits(toy_root, toy_content(toy_root, "train"), test))
        only(found, "`area` is much too small", count=len(test["annotations"]))
        assert "much too small" in caplog.text
        assert {each.levelname for each in caplog.records} == {"WARNING"}

    def detections(self, toy_root, change):
        """The drawn data with detected boxes, changed, after the quick check."""
        training, test = splits(toy_root, toy_content(toy_root, "train"), toy_content(toy_root, "val"))
        boxes = json.loads(next((toy_root / "person_detection_results").iterdir()).read_text())
        for box in boxes:
            change(box)
        records = coco.detected_people(toy_content(toy_root, "val"), boxes, toy_root, 17, 0.75)
        detected = TestCrops(records, test.images, CODEC, COCO, ground_truth=test.ground_truth, detected=True)
        return quick(training, test, detected)

    def test_sound_detections(self, toy_root):
        assert self.detections(toy_root, lambda box: None) == []

    def test_detections_at_another_scale(self, toy_root):
        found = self.detections(toy_root, lambda box: box.update(bbox=[3 * n for n in box["bbox"]]))
        assert any(each.spoils for each in found)

    def test_detections_of_another_split(self, toy_root):
        images = [image["id"] for image in toy_content(toy_root, "val")["images"]]
        found = self.detections(toy_root, lambda box: box["image_id"] != images[0] and box.update(image_id=777))
        assert [each.spoils for each in found if "without a detection" in each.what] == [True]
        assert any("on images that are not in the file" in each.what for each in found)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"image_id": 777}, "annotations on images that are not in the file"),
            ({"bbox": [5000, 10, 20, 20]}, "annotations with a box outside the image"),
        ],
    )
    def test_annotations_that_the_reader_leaves_out(self, toy_root, change, words):
        train = toy_content(toy_root, "train")
        for each in train["annotations"][1:]:
            each.update(change)
        found = quick(*splits(toy_root, train, toy_content(toy_root, "val")))
        assert [each.count for each in found if words in each.what and each.spoils] == [len(train["annotations"]) - 1]

    def test_keypoint_names_of_the_training_file(self, toy_root):
        training, test = splits(toy_root, toy_content(toy_root, "train"), toy_content(toy_root, "val"))
        training.categories = [{"id": 1, "keypoints": list(COCO.names)[::-1]}]
        only(quick(training, test), "keypoint names in the file's categories", count=16)

    def test_needs_no_public_annotations(self, toy_root):
        training, test = splits(toy_root, toy_content(toy_root, "train"), toy_content(toy_root, "val"))
        test.ground_truth = {"images": test.ground_truth["images"]}
        assert quick(training, test) == []


@pytest.mark.parametrize("name", ["train", "val"])
def test_toy_data_are_clean(toy_root, name):
    given = toy_content(toy_root, name)
    assert check(given) == []
    table = doctor.read_table(given, 17)
    images = ImageFolder(toy_root / "images" / name)
    assert doctor.check_images(images, *doctor.image_files(given, table.image_index)) == []
    if name == "val":
        boxes = json.loads(next((toy_root / "person_detection_results").iterdir()).read_text())
        assert doctor.check_detections(boxes, given, table) == []


@pytest.mark.parametrize(
    ("folder", "name"), [("coco_sample", "val2017"), ("coco_mini", "train2017"), ("coco_val538", "val2017")]
)
def test_real_data_are_clean(samples, folder, name):
    given = toy_content(samples / folder, name)
    assert check(given) == []
    table = doctor.read_table(given, 17)
    people = coco.annotated_people(given, 17, 0.75)
    assert doctor.check_records(people) == []
    assert doctor.check_targets(people, GaussianCodec((192, 256), (48, 64), 17, sigma=2.0), 16) == []
    assert f"{len(people)} of {len(given['annotations'])} annotations" in doctor.describe_people(table)
    for boxes in (samples / folder).glob("person_detection_results/*.json"):
        assert doctor.check_detections(json.loads(boxes.read_text()), given, table) == []
    if (samples / folder / "images").is_dir():
        images = ImageFolder(samples / folder / "images" / name)
        assert doctor.check_images(images, *doctor.image_files(given, table.image_index)) == []


def test_a_real_file_with_an_ap_of_0_is_explained(samples):
    folder = samples / "scored" / "zero_ap"
    given = json.loads((folder / "person_keypoints_val201701.json").read_text())
    area = next(each for each in check(given) if "`area`" in each.what)
    assert (area.spoils, area.count, area.total) == (True, 100, 100)
    assert "90.12" in area.what
    assert "Nobody is medium or large" in area.what
    results = json.loads((folder / "keypoints_val201702_results_0.json").read_text())
    assert doctor.check_results(results, given, doctor.read_table(given, 17)) == []  # the fault is not theirs
    assert "flip pairs" in next(each.what for each in check(given) if "keypoint names" in each.what)
