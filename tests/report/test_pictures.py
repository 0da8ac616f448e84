"""Contact sheets: the right number of cells, and joints where they belong."""

import cv2
import numpy as np
import pytest

from heatpose.dataset.skeletons import COCO
from heatpose.report.pictures import draw_skeleton, heatmap_sheet, save_picture, skeleton_sheet, tile

CROP = np.full((256, 192, 3), 100, np.uint8)


def test_only_visible_joints_are_drawn_in_their_side_s_colour():
    points = np.zeros((17, 2))
    points[5], points[6] = (50, 60), (150, 60)
    visible = np.zeros(17)
    assert np.array_equal(draw_skeleton(CROP, points, visible, COCO.limbs, COCO.names), CROP)
    visible[5] = 1
    left = draw_skeleton(CROP, points, visible, COCO.limbs, COCO.names)
    assert tuple(left[60, 50]) == (80, 160, 255)
    assert (left[60, 150] == 100).all()
    visible[6] = 1
    both = draw_skeleton(CROP, points, visible, COCO.limbs, COCO.names)
    assert tuple(both[60, 150]) == (255, 170, 60)
    assert (both[60, 100] != 100).any()  # the limb between them
    assert (CROP == 100).all()


def test_a_point_that_is_not_a_number_is_left_out():
    points = np.full((17, 2), np.nan)
    assert np.array_equal(draw_skeleton(CROP, points, np.ones(17), COCO.limbs, COCO.names), CROP)


def test_tiles_stand_in_rows_with_gaps():
    cells = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    sheet = tile(cells, columns=2, gap=1)
    assert sheet.shape == (2 * 5 + 1, 2 * 7 + 1, 3)
    assert (sheet[1, 1, 0], sheet[1, 8, 0], sheet[6, 1, 0], sheet[6, 8, 0]) == (10, 20, 30, 255)


def test_small_crops_are_enlarged_with_their_keypoints():
    crops = np.zeros((3, 64, 48, 3), np.uint8)
    keypoints, visible = np.full((3, 17, 2), 20.0), np.ones((3, 17))
    sheet = skeleton_sheet(crops, keypoints, visible, COCO.limbs, COCO.names)
    assert sheet.shape[0] == 256 + 4
    ys, xs = np.nonzero(sheet[2:258, 2:194].max(axis=2) > 60)
    assert abs(xs.mean() - 81.5) < 1
    assert abs(ys.mean() - 81.5) < 1


def test_heatmap_sheet_has_a_row_for_each_person_and_a_column_for_each_joint():
    crops, maps = np.zeros((2, 256, 192, 3), np.uint8), np.zeros((2, 17, 64, 48), np.float32)
    sheet = heatmap_sheet(crops, maps, np.full((2, 17, 2), np.nan), COCO.names)
    assert sheet.shape == (2 * 258 + 2, 18 * 194 + 2, 3)


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path):
    save_picture(tmp_path / "a" / "b.png", CROP)
    assert np.array_equal(cv2.imread(str(tmp_path / "a" / "b.png")), CROP)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises((OSError, cv2.error)):
        save_picture(tmp_path / "folder.png", CROP)
