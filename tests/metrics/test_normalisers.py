"""The lengths that PCK measures in."""

import numpy as np
import pytest

from heatpose.metrics import head_size, joint_distance, longest_side, pck


def test_longest_side_takes_either():
    assert longest_side(np.array([[5, 5, 30, 40], [5, 5, 60, 40]])).tolist() == [40, 60]


def test_pck_at_a_twentieth_of_the_box():
    truth = np.zeros((2, 1, 2))
    bboxes = np.array([[0, 0, 100, 40], [0, 0, 100, 200]])
    for away, share in ((5, 1.0), (5.01, 0.5), (10.01, 0.0)):
        assert pck(truth + (away, 0), truth, longest_side(bboxes), 0.05, np.ones((2, 1))).tolist() == [share]


def test_head_size_is_six_tenths_of_the_diagonal_whatever_the_corners():
    corners = np.array([[[10, 10], [40, 50]], [[40, 50], [10, 10]]])
    assert head_size(corners) == pytest.approx([30, 30])


def test_the_torso_is_unknown_where_an_end_is_or_where_it_has_no_length():
    truth = np.zeros((4, 13, 3))
    truth[:3, 12, :2] = 30, 40
    truth[0, :, 2] = 7  # a third column is not a coordinate
    visible = np.ones((4, 13))
    visible[1, 5] = visible[2, 12] = 0
    torso = joint_distance(truth, 5, 12, visible)
    np.testing.assert_array_equal(torso, [50, np.nan, np.nan, np.nan])
    off = truth[..., :2] + (10, 0)
    assert pck(off, truth[..., :2], torso, 0.2, visible)[0] == 1  # the first person alone
