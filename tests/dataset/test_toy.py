"""The toy people data set: repeatable, true to COCO's format, and never written over someone else's files."""

import json
import logging

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO as CocoReader

from heatpose.dataset import toy
from heatpose.dataset.skeletons import COCO
from heatpose.dataset.toy import ensure_toy_dataset
from heatpose.dataset.toy.body import LIMITS, PART_NAMES, sample_angles, sample_body
from heatpose.dataset.toy.scene import SIZES, draw_scene

SETS = ("toy_train", "toy_val")


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def annotations(root, image_set):
    return json.loads((root / "annotations" / f"person_keypoints_{image_set}.json").read_text())


def detections(root):
    return json.loads((root / "person_detection_results" / f"COCO_{SETS[1]}_detections_AP_toy_person.json").read_text())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy") / "data"
    ensure_toy_dataset(root, *SETS, 12, 12)
    return root


@pytest.fixture(scope="module")
def people(drawn):
    return [(image_set, person) for image_set in SETS for person in annotations(drawn, image_set)["annotations"]]


def test_same_parameters_draw_the_same_bytes(drawn, tmp_path):
    ensure_toy_dataset(tmp_path / "again", *SETS, 12, 12)
    assert contents(drawn) == contents(tmp_path / "again")


def test_an_image_does_not_depend_on_how_many_are_drawn(drawn, tmp_path):
    ensure_toy_dataset(tmp_path / "few", *SETS, 3, 3)
    few = contents(tmp_path / "few")
    many = contents(drawn)
    images = [name for name in few if name.endswith(".jpg")]
    assert len(images) == 6 and all(few[name] == many[name] for name in images)
    for image_set in SETS:
        first = [a for a in annotations(drawn, image_set)["annotations"] if a["image_id"] <= 3]
        assert first == annotations(tmp_path / "few", image_set)["annotations"]


def test_train_and_test_and_seeds_differ(drawn, tmp_path):
    ensure_toy_dataset(tmp_path / "other", *SETS, 3, 3, seed=1)
    one, other = contents(drawn), contents(tmp_path / "other")
    for i in range(1, 4):
        train, test = (f"images/{image_set}/{i:012d}.jpg" for image_set in SETS)
        assert len({one[train], one[test], other[train], other[test]}) == 4


@pytest.mark.parametrize("image_set", SETS)
def test_pycocotools_reads_it(drawn, image_set, capsys):
    reader = CocoReader(str(drawn / "annotations" / f"person_keypoints_{image_set}.json"))
    assert reader.getCatIds(catNms=["person"]) == [1]
    category = reader.loadCats([1])[0]
    assert tuple(category["keypoints"]) == COCO.names
    assert [16, 14] in category["skeleton"] and len(category["skeleton"]) == 19
    for image_id in reader.getImgIds():
        image = reader.loadImgs(image_id)[0]
        picture = cv2.imread(str(drawn / "images" / image_set / image["file_name"]))
        assert picture.shape == (image["height"], image["width"], 3)
        for person in reader.loadAnns(reader.getAnnIds(imgIds=image_id)):
            segment = reader.annToMask(person).sum()
            assert 0.8 * person["area"] - 30 < segment < 1.3 * person["area"] + 30


def test_annotations_are_consistent(drawn, people):
    sizes = {s: {i["id"]: (i["width"], i["height"]) for i in annotations(drawn, s)["images"]} for s in SETS}
    for image_set in SETS:
        ids = [person["id"] for s, person in people if s == image_set]
        assert len(set(ids)) == len(ids) and 0 not in ids
    for image_set, person in people:
        width, height = sizes[image_set][person["image_id"]]
        keypoints = np.array(person["keypoints"]).reshape(17, 3)
        labelled = keypoints[:, 2] > 0
        assert set(keypoints[:, 2]) <= {0, 1, 2}
        assert person["num_keypoints"] == labelled.sum()
        assert (keypoints[~labelled] == 0).all()
        assert (keypoints[:, :2] >= 0).all() and (keypoints[:, :2] <= (width - 1, height - 1)).all()
        x, y, w, h = person["bbox"]
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
        assert 0 < person["area"] <= w * h
        assert person["iscrowd"] == 0 and person["category_id"] == 1 and "visible_fraction" not in person
        seen = keypoints[keypoints[:, 2] == 2]
        assert (seen[:, :2] >= (x - 2, y - 2)).all() and (seen[:, :2] <= (x + w + 1, y + h + 1)).all()


def test_pictures_hold_several_people_visible_and_hidden_points(people):
    flags = np.array([person["keypoints"] for _, person in people]).reshape(-1, 17, 3)[:, :, 2]
    assert 24 <= len(people) <= 4 * 24
    assert 0.6 < (flags == 2).mean() < 0.95
    assert (flags == 1).mean() > 0.05


def test_left_is_the_persons_own_left():
    for seed in range(40):
        body = sample_body(np.random.default_rng(seed))
        front = body.bones["torso"].frame[2, 2]  # towards the viewer, 1 if the chest faces the camera
        upright = body.bones["torso"].frame[1, 1]
        if abs(front) < 0.6 or upright < 0.6:
            continue
        right_of_image = body.joints["left_shoulder"][0] > body.joints["right_shoulder"][0]
        assert right_of_image == (front > 0)


def test_faces_are_visible_from_the_front_only():
    for seed in range(60):
        body = sample_body(np.random.default_rng(seed))
        front = body.bones["head"].frame[2, 2]
        if front > 0.7:
            assert min(body.facing[name] for name in ("nose", "left_eye", "right_eye")) > 0.12
        if front < -0.4:
            assert max(body.facing[name] for name in ("nose", "left_eye", "right_eye")) < 0


def test_poses_stay_within_the_joint_limits():
    for seed in range(50):
        for limb in sample_angles(np.random.default_rng(seed)).values():
            assert all(LIMITS[joint][0] <= angle <= LIMITS[joint][1] for joint, angle in limb.items())


def test_bodies_have_every_part_and_keypoint():
    body = sample_body(np.random.default_rng(0))
    assert set(body.bones) == set(PART_NAMES)
    assert set(body.joints) == set(COCO.names)
    lengths = [np.linalg.norm(body.joints["left_hip"] - body.joints["left_knee"])]
    lengths += [np.linalg.norm(body.joints["left_knee"] - body.joints["left_ankle"])]
    assert all(0.18 < length < 0.29 for length in lengths)
    for bone in body.bones.values():
        np.testing.assert_allclose(bone.frame.T @ bone.frame, np.eye(3), atol=1e-9)


def test_scene_sizes():
    picture, _ = draw_scene(np.random.default_rng(5))
    assert picture.dtype == np.uint8 and picture.shape[1::-1] in SIZES


def test_detections_are_like_a_detectors(drawn, people):
    found = detections(drawn)
    images = {image["id"]: image for image in annotations(drawn, SETS[1])["images"]}
    for box in found:
        image = images[box["image_id"]]
        x, y, w, h = box["bbox"]
        assert box["category_id"] == 1 and 0 < box["score"] < 1 and w > 0 and h > 0
        assert x >= 0 and y >= 0 and x + w <= image["width"] + 0.02 and y + h <= image["height"] + 0.02
    true = sum(image_set == SETS[1] for image_set, _ in people)
    assert 0.7 * true < sum(box["score"] > 0.5 for box in found) < 1.3 * true
    assert any(box["score"] < 0.5 for box in found)


def test_nothing_is_drawn_twice(drawn, monkeypatch):
    monkeypatch.setattr(toy, "draw_scene", lambda rng: pytest.fail("drawn again"))
    ensure_toy_dataset(drawn, *SETS, 12, 12)


@pytest.mark.parametrize("change", [{"seed": 3}, {"train_images": 2}, {"test_set": "val_b"}, {"version": 999}])
def test_other_parameters_replace_it(tmp_path, change, monkeypatch):
    parameters = {"train_set": "a", "test_set": "b", "train_images": 1, "test_images": 1}
    ensure_toy_dataset(tmp_path / "toy", **parameters)
    before = contents(tmp_path / "toy")
    monkeypatch.setattr(toy, "VERSION", change.pop("version", toy.VERSION))
    ensure_toy_dataset(tmp_path / "toy", **parameters | change)
    assert contents(tmp_path / "toy") != before
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


def test_a_lost_image_is_noticed(tmp_path):
    ensure_toy_dataset(tmp_path / "toy", *SETS, 2, 1)
    before = contents(tmp_path / "toy")
    (tmp_path / "toy" / "images" / SETS[0] / "000000000002.jpg").unlink()
    ensure_toy_dataset(tmp_path / "toy", *SETS, 2, 1)
    assert contents(tmp_path / "toy") == before


@pytest.mark.parametrize("name", ["annotations/person_keypoints_val2017.json", "notes.txt"])
def test_a_foreign_folder_is_refused(tmp_path, name):
    file = tmp_path / "coco" / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    with pytest.raises(ValueError, match="coco"):
        ensure_toy_dataset(tmp_path / "coco", *SETS, 1, 1)
    assert contents(tmp_path / "coco") == {name: b"mine"}


def test_files_added_to_a_toy_folder_are_not_lost(tmp_path):
    ensure_toy_dataset(tmp_path / "toy", *SETS, 1, 1)
    (tmp_path / "toy" / "notes.txt").write_text("mine")
    ensure_toy_dataset(tmp_path / "toy", *SETS, 1, 1)
    with pytest.raises(ValueError, match=r"notes\.txt"):
        ensure_toy_dataset(tmp_path / "toy", *SETS, 1, 2)


def test_an_empty_folder_is_filled(tmp_path):
    ensure_toy_dataset(tmp_path, *SETS, 1, 1)
    assert (tmp_path / "toy.json").is_file()


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(rng, calls=[]):  # noqa: B006
        calls.append(rng)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return draw_scene(rng)

    monkeypatch.setattr(toy, "draw_scene", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_toy_dataset(tmp_path / "toy", *SETS, 2, 1)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    ensure_toy_dataset(tmp_path / "toy", *SETS, 2, 1)
    assert (tmp_path / "toy" / "toy.json").is_file()


def test_of_two_runs_at_once_one_wins(tmp_path, monkeypatch):
    """The other process finishes while this one draws."""

    def overtaken(rng):
        monkeypatch.undo()
        ensure_toy_dataset(tmp_path / "toy", *SETS, 1, 1)
        return draw_scene(rng)

    monkeypatch.setattr(toy, "draw_scene", overtaken)
    ensure_toy_dataset(tmp_path / "toy", *SETS, 1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["toy"]


@pytest.mark.parametrize(("names", "counts"), [(("a", "a"), (1, 1)), (("a", "b"), (0, 1)), (("a", "b"), (1, -1))])
def test_wrong_parameters_are_refused(tmp_path, names, counts):
    with pytest.raises(ValueError, match="toy data set needs"):
        ensure_toy_dataset(tmp_path / "toy", *names, *counts)
    assert not list(tmp_path.iterdir())


def test_one_line_says_what_was_drawn(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="heatpose"):
        ensure_toy_dataset(tmp_path / "toy", *SETS, 1, 1)
    assert len(caplog.messages) == 1 and "2 toy images" in caplog.messages[0]
