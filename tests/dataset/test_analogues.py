"""People labelled as animals."""

import numpy as np
import pytest

from heatpose.dataset import analogues
from heatpose.dataset.records import DataError, Records
from heatpose.dataset.skeletons import COCO, MPII, QUADRUPED, category_skeleton


def named(people, animals):
    found = analogues.counterparts(people, animals)
    return {name: people.names[index] for name, index in zip(animals.names, found, strict=True) if index >= 0}


def test_the_quadruped_s_keypoints_stand_for_those_of_people():
    found = named(COCO, QUADRUPED)
    assert found["left_eye"] == "left_eye" and found["chin"] == "nose"
    assert found["left_front_hoof"] == "left_wrist" and found["right_back_hoof"] == "right_ankle"
    assert found["right_front_knee"] == "right_elbow" and found["left_back_elbow"] == "left_hip"
    assert not {"tail_start", "left_front_elbow", "right_front_elbow"} & found.keys()


def test_every_other_spelling_is_understood():
    animal_pose = category_skeleton(
        {"keypoints": ["L_Eye", "R_EarBase", "L_F_Paw", "R_B_Knee", "L_F_Elbow", "Withers"]}
    )
    assert named(COCO, animal_pose) == {
        "L_Eye": "left_eye", "R_EarBase": "right_ear", "L_F_Paw": "left_wrist", "R_B_Knee": "right_knee",
        "L_F_Elbow": "left_shoulder",
    }  # fmt: skip
    assert named(MPII, QUADRUPED)["left_back_hoof"] == "left_ankle"


@pytest.mark.parametrize("people", [COCO, MPII])
def test_left_stays_left(people):
    order = analogues.counterparts(people, QUADRUPED)
    pairs = {frozenset(pair) for pair in people.flip_pairs}
    for left, right in QUADRUPED.flip_pairs:
        if order[left] >= 0:
            assert frozenset((int(order[left]), int(order[right]))) in pairs


def test_keypoints_are_reordered_and_people_without_any_go():
    keypoints = np.arange(12.0).reshape(2, 3, 2) + 1
    visible = np.array([[1, 1, 0], [0, 0, 1]], np.float32)
    box = np.ones((2, 2), np.float32)
    records = Records(
        np.array(["a.jpg"]), np.array([1]), np.zeros(2, int), box, box, keypoints, visible, np.ones(2), np.ones((2, 4))
    )
    found = analogues.reordered(records, np.array([1, -1, 0, 0]))
    assert len(found) == 1
    assert found.visible.tolist() == [[1, 0, 1, 1]]
    assert found.keypoints[0].tolist() == [[3, 4], [0, 0], [1, 2], [1, 2]]


def test_keypoints_without_any_counterpart_are_an_error():
    class Crops:
        skeleton, records = COCO, None

    with pytest.raises(DataError, match="HUMANS: none of the keypoints .* stands for one of wing, beak"):
        analogues.people_as(Crops(), category_skeleton({"keypoints": ["wing", "beak"]}))
