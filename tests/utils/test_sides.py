"""Left and right in keypoint names: every spelling that data sets use, and no side where there is none."""

import pytest

from heatpose.dataset.skeletons import COCO, MPII
from heatpose.utils.sides import left_right_pairs, mirror_partners, side_and_part, sides


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_eye", "right_eye"),
        ("left eye", "right eye"),
        ("Left-Eye", "Right-Eye"),
        ("LEFT_EYE", "RIGHT_EYE"),
        ("leftEye", "rightEye"),
        ("eye_left", "eye_right"),
        ("front_left_paw", "front_right_paw"),
        ("L_Eye", "R_Eye"),
        ("L_F_Elbow", "R_F_Elbow"),
        ("F_L_Elbow", "F_R_Elbow"),
        ("l_eye", "r_eye"),
        ("eye.l", "eye.r"),
        ("eyeL", "eyeR"),
        ("LEye", "REye"),
        ("LFElbow", "RFElbow"),
        ("Lsho", "Rsho"),
        ("lsho", "rsho"),
        ("LSHO", "RSHO"),
        ("hipl", "hipr"),
        ("FL", "FR"),
        ("Nearfrontfoot", "Offfrontfoot"),
    ],
)
def test_spellings(left, right):
    names = ["nose", right, left, "tail"]
    assert left_right_pairs(names) == [(2, 1)]
    assert mirror_partners(names) == {1: 2, 2: 1}
    assert sides(names) == ["", "right", "left", ""]


def test_letters_are_sides_only_where_the_partner_is_there():
    names = ["lip", "Rump", "nearest", "Offset", "throat", "L_ear", "left_tail"]
    assert left_right_pairs(names) == []
    assert sides(names) == ["", "", "", "", "", "", "left"]


def test_parts_are_not_mixed_up():
    names = ["L_F_Paw", "L_B_Paw", "R_B_Paw", "R_F_Paw"]
    assert left_right_pairs(names) == [(0, 3), (1, 2)]


def test_nobody_is_in_two_pairs():
    for names in (["left_eye", "left_eye", "right_eye"], ["ll", "lr", "rl", "rr"], ["L_eye", "left_eye", "right_eye"]):
        flat = [index for pair in left_right_pairs(names) for index in pair]
        assert len(flat) == len(set(flat)) > 0


@pytest.mark.parametrize("skeleton", [COCO, MPII])
def test_known_skeletons_have_the_pairs_of_their_names(skeleton):
    assert tuple(sorted(tuple(sorted(pair)) for pair in left_right_pairs(skeleton.names))) == skeleton.flip_pairs


def test_a_part_without_a_side_is_itself():
    assert side_and_part("Tail_Base") == ("", "tailbase")
