"""Skeletons from the categories of COCO files: four animal data sets, and entries that contradict themselves."""

import json

import pytest

from heatpose.dataset import doctor
from heatpose.dataset.records import DataError
from heatpose.dataset.skeletons import COCO, category_skeleton

HORSE10_PAIRS = {
    ("Nearknee", "Offknee"), ("Nearfrontfetlock", "Offfrontfetlock"), ("Nearfrontfoot", "Offfrontfoot"),
    ("Nearhindhock", "Offhindhock"), ("Nearhindfetlock", "Offhindfetlock"), ("Nearhindfoot", "Offhindfoot"),
}  # fmt: skip
ANIMALPOSE_PAIRS = {
    ("L_" + part, "R_" + part)
    for part in ("Eye", "EarBase", "F_Elbow", "B_Elbow", "F_Knee", "B_Knee", "F_Paw", "B_Paw")
}
AP10K_PAIRS = {
    ("left_" + part, "right_" + part)
    for part in ("eye", "shoulder", "elbow", "front_paw", "hip", "knee", "back_paw")
}  # fmt: skip


def entry(**changes):
    return {"id": 1, "name": "cat", "keypoints": ["nose", "L_Eye", "R_Eye"], "skeleton": [[1, 2], [3, 1]], **changes}


def test_names_pairs_and_limbs():
    found = category_skeleton(entry(), 3)
    assert found.names == ("nose", "L_Eye", "R_Eye")
    assert found.flip_pairs == ((1, 2),)
    assert found.limbs == ((0, 1), (2, 0))
    assert (found.upper_body, found.sigmas) == ((), ())
    assert doctor.check_skeleton(found, 3, needs_sigmas=False) == []


def test_without_names_keypoints_are_numbered_and_have_no_pairs():
    for nothing in ({}, {"keypoints": []}, {"keypoints": None, "skeleton": None}):
        found = category_skeleton(nothing, 2)
        assert found.names == ("keypoint_0", "keypoint_1")
        assert found.flip_pairs == found.limbs == ()


@pytest.mark.parametrize(
    ("changes", "num_joints", "words"),
    [
        ({}, 4, ("'cat'", "names 3 keypoints", "annotations have 4")),
        ({"keypoints": "nose,eye"}, None, ("'cat'", "no list of names")),
        ({"keypoints": [1, 2, 3]}, None, ("'cat'", "no list of names")),
        ({"keypoints": []}, None, ("'cat'", "names no 'keypoints'")),
        ({"skeleton": [[1, 2], [0, 2]]}, 3, ("'cat'", "edge [0, 2]", "from 1 to 3")),
        ({"skeleton": [[1, 4]]}, 3, ("edge [1, 4]",)),
        ({"skeleton": [[1, 2, 3]]}, 3, ("edge [1, 2, 3]",)),
        ({"skeleton": [[1, True]]}, 3, ("edge [1, True]",)),
        ({"skeleton": "1-2"}, 3, ("edge '1-2'",)),
    ],
)
def test_contradictions_are_named(changes, num_joints, words):
    with pytest.raises(DataError) as error:
        category_skeleton(entry(**changes), num_joints)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


def animal(samples, name):
    content = json.loads((samples / "animals" / name / f"test_{name}.json").read_text())
    joints = {len(annotation["keypoints"]) // 3 for annotation in content["annotations"]}
    return [category_skeleton(category, *joints) for category in content["categories"]]


@pytest.mark.parametrize(
    ("name", "joints", "limbs", "pairs"),
    [
        ("ap10k", 17, 17, AP10K_PAIRS),
        ("animalpose", 20, 20, ANIMALPOSE_PAIRS),
        ("horse10", 22, 0, HORSE10_PAIRS),
    ],
)
def test_animals(samples, name, joints, limbs, pairs):
    for found in animal(samples, name):
        assert (found.num_joints, len(found.limbs)) == (joints, limbs)
        assert {tuple(found.names[index] for index in pair) for pair in found.flip_pairs} == pairs
        assert len(found.flip_pairs) == len(pairs)
        assert doctor.check_skeleton(found, joints, needs_sigmas=False) == []


def test_macaques_have_coco_s_keypoints(samples):
    (found,) = animal(samples, "macaque")
    assert (found.names, found.flip_pairs) == (COCO.names, COCO.flip_pairs)
    # COCO's file joins the same keypoints, its edges in another order of their two ends
    assert {frozenset(limb) for limb in found.limbs} == {frozenset(limb) for limb in COCO.limbs}


def test_coco_s_own_entry_is_coco_s_skeleton(samples):
    path = samples / "coco_sample" / "annotations" / "person_keypoints_val2017.json"
    found = category_skeleton(json.loads(path.read_text())["categories"][0], 17)
    assert (found.names, found.flip_pairs, found.limbs) == (COCO.names, COCO.flip_pairs, COCO.limbs)
