"""COCO files with keypoints of their own: reader, crops, flip pairs, scores, and mistakes named."""

import json
import logging

import numpy as np
import pytest
import yaml

from heatpose.config import ConfigError, load_config
from heatpose.core.evaluate import COCO_METRICS, build_scorer
from heatpose.dataset import build_dataset, doctor, own_keypoints
from heatpose.dataset.records import DataError
from heatpose.dataset.skeletons import COCO, category_skeleton

AP10K_SIGMAS = [
    0.025, 0.025, 0.026, 0.035, 0.035, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089, 0.107, 0.087,
    0.089,
]  # fmt: skip
SAMPLES = {"ap10k": (17, 7, 17, 2), "animalpose": (20, 8, 20, 2), "macaque": (17, 8, 19, 2), "horse10": (22, 6, 0, 3)}


@pytest.fixture
def load(tmp_path, pets_content):
    """A function (root, *KEY VALUE) -> configuration of the experiment on `pets`."""

    def config(root, *pairs):
        path = tmp_path / "pets.yaml"
        path.write_text(yaml.safe_dump(pets_content(root)))
        return load_config(path, pairs)

    return config


def sample(samples, repository, name, *pairs):
    """The configuration of our experiment on one of the real samples."""
    folder = samples / "animals" / name
    if not folder.is_dir():
        pytest.skip(f"no samples: {folder} does not exist")
    where = ("ROOT", str(folder), "ANNOTATIONS", "{set}.json", "IMAGES", ".", "TRAIN_SET", f"test_{name}")
    keys = [f"DATASET.{word}" if number % 2 == 0 else word for number, word in enumerate(where)]
    keys += ["DATASET.TEST_SET", f"test_{name}"]
    return load_config(repository / "experiments" / "animals" / name / "hrnet_w32_256x256.yaml", [*keys, *pairs])


def truth_as_prediction(dataset):
    """The annotated keypoints with scores of 1, (N, K, 3)."""
    records = dataset.records
    return np.concatenate([records.keypoints, np.ones_like(records.keypoints[..., :1])], axis=2)


def score(cfg, tmp_path, predictions=truth_as_prediction):
    dataset = build_dataset(cfg, "test")
    return build_scorer(cfg, dataset).score_people(predictions(dataset), dataset.records, tmp_path / "results.json")


def swapped(pairs, count):
    order = np.arange(count)
    for left, right in pairs:
        order[[left, right]] = right, left
    return order


@pytest.mark.parametrize("name", SAMPLES)
class TestRealSamples:
    def test_reader(self, samples, repository, name):
        joints, pairs, limbs, people = SAMPLES[name]
        found = build_dataset(sample(samples, repository, name), "train")
        content = json.loads((samples / "animals" / name / f"test_{name}.json").read_text())
        assert found.skeleton.names == tuple(content["categories"][0]["keypoints"])
        assert (found.skeleton.num_joints, len(found.skeleton.flip_pairs), len(found.skeleton.limbs)) == (
            joints, pairs, limbs,
        )  # fmt: skip
        assert len(found) == people and found.records.keypoints.shape == (people, joints, 2)
        by_image = {a["image_id"]: a["category_id"] for a in content["annotations"]}
        ids = found.records.image_ids[found.records.image_index]
        assert found.records.category.tolist() == [by_image[each] for each in ids]

    def test_crops_have_the_keypoints_of_both_splits(self, samples, repository, name):
        cfg = sample(samples, repository, name, "DATASET.ROT_FACTOR", "0", "DATASET.SCALE_FACTOR", "0")
        training, test = build_dataset(cfg, "train"), build_dataset(cfg, "test")
        item = test[0]
        assert item["crop"].shape[1:] == (256, 256, 3) and item["crop"].float().std() > 5
        index = int(item["index"][0])
        order = swapped(training.skeleton.flip_pairs, training.skeleton.num_joints)
        plain, seen = item["keypoints_input"][0].numpy(), item["visible"][0].numpy()
        kinds = set()
        for epoch in range(12):
            got = training[epoch, index]
            mirrored = not np.array_equal(got["visible"], seen) or not np.allclose(
                got["keypoints_input"][seen > 0], plain[seen > 0], atol=1e-3
            )
            kinds.add(mirrored)
            if mirrored:
                both = seen[order] > 0
                assert np.array_equal(got["visible"], seen[order])
                # A left joint lies where the right one was, mirrored about the crop's middle.
                np.testing.assert_allclose(got["keypoints_input"][both, 1], plain[order][both, 1], atol=1e-3)
                sums = got["keypoints_input"][both, 0] + plain[order][both, 0]
                np.testing.assert_allclose(sums, sums[0], atol=1e-2)
        assert kinds == {False, True}

    def test_the_truth_as_prediction_is_perfect_in_both_metrics(self, samples, repository, tmp_path, name):
        oks = score(sample(samples, repository, name, "TEST.METRIC", "oks"), tmp_path)
        assert (oks["AP"], oks["AR"]) == pytest.approx((1, 1))
        results = json.loads((tmp_path / "results.json").read_text())
        assert {each["category_id"] for each in results} == ({1, 26} if name == "ap10k" else {1})
        pck = score(sample(samples, repository, name, "TEST.METRIC", "pck"), tmp_path)
        assert set(pck.values()) == {100} and "PCK@0.05" in pck

    def test_the_doctor_finds_nothing_that_spoils(self, samples, repository, name):
        cfg = sample(samples, repository, name)
        found = doctor.quick_check(build_dataset(cfg, "train"), [build_dataset(cfg, "test")])
        assert not [str(each) for each in found if each.spoils]


def test_horses_have_near_and_off_sides(samples, repository):
    skeleton = build_dataset(sample(samples, repository, "horse10"), "test").skeleton
    pairs = {(skeleton.names[left], skeleton.names[right]) for left, right in skeleton.flip_pairs}
    assert ("Nearfrontfoot", "Offfrontfoot") in pairs and ("Nearhindhock", "Offhindhock") in pairs


def test_the_experiments_sigmas(samples, repository):
    assert build_dataset(sample(samples, repository, "ap10k"), "test").skeleton.sigmas == tuple(AP10K_SIGMAS)
    assert build_dataset(sample(samples, repository, "macaque"), "test").skeleton.sigmas == COCO.sigmas
    assert set(build_dataset(sample(samples, repository, "animalpose"), "test").skeleton.sigmas) == {0.05}


def test_all_categories_with_keypoints_are_read(load, pets, caplog):
    caplog.set_level(logging.INFO)
    found = build_dataset(load(pets()), "train")
    assert found.records.category.tolist() == [3, 7, 3]
    assert found.skeleton.flip_pairs == ((1, 2), (3, 4)) and found.skeleton.limbs == ((0, 1), (0, 2), (3, 4))
    assert "not read: 1 of ball" in caplog.text
    assert found.records.select(np.array([1])).category.tolist() == [7]


def test_chosen_categories_alone_are_read_and_scored(load, pets, tmp_path):
    cfg = load(pets(), "DATASET.CATEGORIES", "[cat]")
    dataset = build_dataset(cfg, "test")
    assert dataset.records.category.tolist() == [7] and dataset.category_ids == (7,)
    assert [each["name"] for each in dataset.ground_truth["categories"]] == ["cat"]
    assert score(cfg, tmp_path)["AP"] == pytest.approx(1)


def test_limbs_of_all_categories_are_drawn(load, pets):
    def more(content):
        content["categories"][1]["skeleton"] = [[1, 4]]

    assert build_dataset(load(pets(more)), "test").skeleton.limbs == ((0, 1), (0, 2), (3, 4), (0, 3))


def test_what_had_to_be_assumed_is_said(load, pets, caplog):
    caplog.set_level(logging.INFO)

    def rename(content):
        for entry in content["categories"][:2]:
            entry["keypoints"] = ["nose", "left_ear", "other_ear", "L_Paw", "R_Paw"]

    assert set(build_dataset(load(pets()), "test").skeleton.sigmas) == {0.05}
    assert "5 keypoints, 2 pairs of left and right, 3 limbs" in caplog.text
    assert "SIGMAS is empty: OKS takes 0.05 for every keypoint" in caplog.text and "no partner" not in caplog.text
    caplog.clear()
    build_dataset(load(pets(rename), "DATASET.SIGMAS", "[0.1, 0.1, 0.1, 0.1, 0.1]"), "test")
    assert "no partner for left_ear" in caplog.text and "SIGMAS" not in caplog.text
    caplog.clear()
    own_keypoints.describe(category_skeleton({"keypoints": ["head", "tail"]}), sigmas_given=True)
    assert "no keypoint's name tells a side" in caplog.text


def test_ap_is_the_mean_of_the_categories(load, pets, tmp_path):
    def cats_are_missed(dataset):
        found = truth_as_prediction(dataset)
        found[dataset.records.category == 7, :, 0] += 50
        return found

    assert score(load(pets()), tmp_path)["AP"] == pytest.approx(1)
    both = score(load(pets()), tmp_path, cats_are_missed)["AP"]
    one = [score(load(pets(), "DATASET.CATEGORIES", f"[{name}]"), tmp_path, cats_are_missed) for name in ("dog", "cat")]
    assert (one[0]["AP"], one[1]["AP"], both) == pytest.approx((1, 0, 0.5))


def test_sigmas_decide_how_far_is_near(load, pets, tmp_path):
    def shifted(dataset):
        return truth_as_prediction(dataset) + [3, 0, 0]

    strict, lenient = (
        score(load(pets(), "DATASET.SIGMAS", f"{[sigma] * 5}"), tmp_path, shifted)["AP"] for sigma in (0.02, 0.3)
    )
    assert strict < 0.5 and lenient == pytest.approx(1)


def test_pck_has_its_threshold(load, pets, tmp_path):
    def shifted(dataset):  # boxes are 45 x 70
        return truth_as_prediction(dataset) + [5, 0, 0]

    assert score(load(pets(), "TEST.METRIC", "pck"), tmp_path, shifted)["PCK@0.05"] == 0
    pairs = ("TEST.METRIC", "pck", "TEST.PCK_THRE", "0.1")
    assert score(load(pets(), *pairs), tmp_path, shifted)["PCK@0.1"] == 100


def test_half_bodies_need_names(load, pets):
    names = ("DATASET.PROB_HALF_BODY", "0.3", "DATASET.UPPER_BODY", "[R_Paw, nose]")
    assert build_dataset(load(pets(), *names), "train").skeleton.upper_body == (4, 0)
    with pytest.raises(ConfigError, match="no upper body; name its keypoints in DATASET.UPPER_BODY"):
        load(pets(), "DATASET.PROB_HALF_BODY", "0.3")
    with pytest.raises(DataError, match=r"UPPER_BODY: no keypoint 'left_eer' \(did you mean 'left_ear'\?\)"):
        build_dataset(load(pets(), "DATASET.UPPER_BODY", "[left_eer]"), "train")


def test_detections_of_the_categories_are_read(load, pets, tmp_path):
    boxes = [{"image_id": 1, "category_id": each, "bbox": [10, 10, 45, 70], "score": 0.5} for each in (3, 7, 9)]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(boxes))
    detected = ("TEST.USE_GT_BBOX", "False", "TEST.COCO_BBOX_FILE", str(path))
    found = build_dataset(load(pets(), *detected), "test")
    assert found.records.category.tolist() == [3, 7]
    path.write_text(json.dumps([{key: value for key, value in boxes[0].items() if key != "category_id"}]))
    only = build_dataset(load(pets(), *detected, "DATASET.CATEGORIES", "[cat]"), "test")
    assert only.records.category.tolist() == [7]


def test_people_elsewhere_keep_coco_s_keypoints(load, toy_root, tmp_path):
    pairs = (
        "DATASET.SKELETON", "", "MODEL.NUM_JOINTS", "17", "DATASET.IMAGES", "images/{set}",
        "DATASET.ANNOTATIONS", "annotations/person_keypoints_{set}.json",
    )  # fmt: skip
    dataset = build_dataset(load(toy_root, *pairs), "test")
    assert dataset.skeleton == COCO and set(dataset.records.category.tolist()) == {1}
    assert list(score(load(toy_root, *pairs), tmp_path)) == list(COCO_METRICS)


class TestMistakes:
    @pytest.mark.parametrize(
        ("pairs", "words"),
        [
            (("MODEL.NUM_JOINTS", "17", "DATASET.SKELETON", "file"), ("5 keypoints", "set MODEL.NUM_JOINTS 5")),
            (("DATASET.CATEGORIES", "[cot]"), ("no category 'cot' (did you mean 'cat'?)", "dog, cat, ball")),
            (("DATASET.CATEGORIES", "[ball]"), ("'ball'", "names no 'keypoints'")),
            (("DATASET.ANNOTATIONS", "annotations/dogs-{set}.json"), ("dogs-train.json", "DATASET.ANNOTATIONS")),
            (("DATASET.IMAGES", "pictures"), ("pictures: no such folder", "DATASET.IMAGES")),
        ],
    )
    def test_of_the_experiment(self, load, pets, pairs, words):
        with pytest.raises(DataError) as error:
            build_dataset(load(pets(), *pairs), "train")
        assert all(each in str(error.value) for each in words), error.value

    @pytest.mark.parametrize(
        ("pairs", "words"),
        [
            (("DATASET.SIGMAS", "[0.1, 0.1]"), "SIGMAS has 2 numbers, MODEL.NUM_JOINTS is 5"),
            (("DATASET.SIGMAS", "[0.1, 0, 0.1, 0.1, 0.1]"), "numbers above 0"),
            (("DATASET.SKELETON", "files"), "DATASET.SKELETON is 'files'; choose one of"),
            (("DATASET.SKELETON", ""), "set MODEL.NUM_JOINTS 17, or take the annotation file's keypoints with"),
            (("DATASET.SKELETON", "", "DATASET.CATEGORIES", "[cat]"), "only DATASET.SKELETON file reads"),
            (("DATASET.CATEGORIES", "[1, 2]"), "expected a list of names"),
            (("DATASET.ANNOTATIONS", "all.json"), "one file for both sets; write {set}"),
            (("DATASET.DATASET", "toy"), "only DATASET.DATASET coco reads it"),
            (("LOSS.USE_DIFFERENT_JOINTS_WEIGHT", "True"), "those of COCO's joints"),
            (("TEST.METRIC", "pck", "TEST.USE_GT_BBOX", "False"), "pck needs annotated boxes"),
            (("TEST.METRIC", "pckh"), "TEST.METRIC is 'pckh'; choose one of"),
            (("TEST.PCK_THRE", "0"), "must be above 0"),
        ],
    )
    def test_of_the_configuration(self, load, pets, pairs, words):
        with pytest.raises(ConfigError) as error:
            load(pets(), *pairs)
        assert words in str(error.value)

    @pytest.mark.parametrize(
        ("dataset", "joints", "pairs"),
        [("toy_animals", 18, ("TEST.METRIC", "oks")), ("mpii", 16, ("TEST.METRIC", "pck"))],
    )
    def test_metrics_of_other_data_sets(self, dataset, joints, pairs):
        with pytest.raises(ConfigError, match="a metric of its own"):
            load_config(None, ["DATASET.DATASET", dataset, "MODEL.NUM_JOINTS", str(joints), *pairs])

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (
                lambda c: c["categories"][1].update(keypoints=["nose"], skeleton=[]),
                ("'dog' and 'cat'", "(5 and 1)", "DATASET.CATEGORIES"),
            ),
            (
                lambda c: c["categories"][1].update(keypoints=["snout", *c["categories"][0]["keypoints"][1:]]),
                ("'dog' and 'cat'", "number 1 is 'nose' and 'snout'", "e.g. ['dog']"),
            ),
            (lambda c: c["categories"][0].update(skeleton=[[1, 9]]), ("'dog'", "edge [1, 9]")),
            (lambda c: c.pop("categories"), ("no list of 'categories'", "DATASET.SKELETON")),
            (lambda c: c.update(categories=[{"id": "3"}]), ("no list of 'categories'", "whole number")),
            (lambda c: c.update(categories=[{"id": 9, "name": "ball"}]), ("none of its 1 categories names",)),
            (lambda c: c["annotations"][0].pop("category_id"), ("annotation 1", "no 'category_id'")),
            (lambda c: c["annotations"][0]["keypoints"].pop(), ("annotation 1 (image 1) has 14 keypoint numbers",)),
            (lambda c: [a.update(area=0) for a in c["annotations"]], ("nobody is left", "need a box inside")),
        ],
    )
    def test_of_the_file(self, load, pets, change, words):
        cfg = load(pets(change))
        with pytest.raises(DataError) as error:
            build_dataset(cfg, "train")
        assert all(each in str(error.value) for each in words), error.value

    def test_choosing_categories_mends_a_disagreement(self, load, pets):
        root = pets(lambda content: content["categories"][1].update(keypoints=["nose"], skeleton=[]))
        assert len(build_dataset(load(root, "DATASET.CATEGORIES", "[dog]"), "train")) == 2

    def test_files_of_other_keypoints_for_training_and_test(self, load, pets):
        cfg = load(pets())
        training, test = build_dataset(cfg, "train"), build_dataset(cfg, "test")
        assert not [each for each in doctor.quick_check(training, [test]) if each.spoils]
        path = pets() / "annotations" / "pets-val.json"
        content = json.loads(path.read_text())
        for entry in content["categories"][:2]:
            entry["keypoints"][3:] = ["R_Paw", "L_Paw"]
        path.write_text(json.dumps(content))
        found = doctor.quick_check(training, [build_dataset(cfg, "test")])
        (spoiling,) = [each for each in found if each.spoils]
        assert "different keypoints" in spoiling.what and spoiling.example == "keypoint 3: L_Paw, R_Paw"
