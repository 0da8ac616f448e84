"""Annotations on images: everything where it belongs, rings for occluded keypoints, hatching for crowds."""

import cv2
import numpy as np
import pytest

from heatpose.dataset.skeletons import COCO
from heatpose.report.annotation_pictures import CELL, Shape, blank, cell_factor, draw_annotations, sheet
from heatpose.report.pictures import LEFT, WHITE, draw_joint

IMAGE = np.full((120, 160, 3), 100, np.uint8)
NOTHING = np.full(4, np.nan)


def shape(points=(), box=NOTHING, **others):
    keypoints = np.zeros((17, 3))
    for joint, x, y, v in points:
        keypoints[joint] = x, y, v
    return Shape(np.asarray(box, float), keypoints, COCO.limbs, COCO.names, **others)


def changed(picture, factor=1):
    rows, columns = np.nonzero((picture != cv2.resize(IMAGE, None, fx=factor, fy=factor)).any(axis=2))
    return rows, columns


def test_nothing_to_draw_leaves_the_image():
    assert np.array_equal(draw_annotations(IMAGE, [shape()]), IMAGE)


def test_keypoints_are_disks_or_rings():
    drawn = draw_annotations(IMAGE, [shape([(5, 40, 30, 2), (15, 90, 80, 1)], [20, 20, 80, 80])])
    assert tuple(drawn[30, 40]) == LEFT
    assert tuple(drawn[80, 90]) == WHITE


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_places_follow_the_enlargement(factor):
    drawn = draw_annotations(IMAGE, [shape([(0, 80, 60, 2)])], factor)
    assert drawn.shape == (120 * factor, 160 * factor, 3)
    rows, columns = changed(drawn, factor)
    assert abs(columns.mean() - (80.5 * factor - 0.5)) < 0.6
    assert abs(rows.mean() - (60.5 * factor - 0.5)) < 0.6


def test_a_box_is_drawn_around_what_it_holds():
    rows, columns = changed(draw_annotations(IMAGE, [shape(box=[20, 30, 60, 40])]))
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == pytest.approx((20, 80, 30, 70), abs=1)
    assert (draw_annotations(IMAGE, [shape(box=[20, 30, 60, 40])])[50, 50] == 100).all()


def test_a_mask_tints_its_pixels_alone():
    mask = np.zeros((120, 160), bool)
    mask[40:80, 50:100] = True
    rows, columns = changed(draw_annotations(IMAGE, [shape(mask=mask)]))
    assert len(rows) == mask.sum()
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (50, 99, 40, 79)


def test_a_crowd_is_hatched():
    mask = np.zeros((120, 160), bool)
    mask[20:100, 20:140] = True
    rows, _ = changed(draw_annotations(IMAGE, [shape(mask=mask, crowd=True)]))
    assert 0.25 < len(rows) / mask.sum() < 0.45  # 4 of 14 px, and the outline


def test_people_have_different_colours():
    masks = np.zeros((2, 120, 160), bool)
    masks[0, :, :50] = masks[1, :, 100:] = True
    drawn = draw_annotations(IMAGE, [shape(mask=each) for each in masks])
    assert tuple(drawn[60, 20]) != tuple(drawn[60, 120]) != (100, 100, 100)


def test_a_mask_of_another_size_stays_in_place():
    mask = np.zeros((400, 90), bool)
    mask[40:80, 50:] = True
    rows, columns = changed(draw_annotations(IMAGE, [shape(mask=mask)]))
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (50, 89, 40, 79)


def test_labels_do_not_cover_one_another():
    shapes = [shape(box=[10, 40, 60, 40], label="crowd"), shape(box=[12, 42, 60, 40], label="crowd")]
    without = draw_annotations(IMAGE, [shape(box=each.box) for each in shapes])
    areas = []
    for chosen in ((0,), (1,), (0, 1)):
        labelled = [each if number in chosen else shape(box=each.box) for number, each in enumerate(shapes)]
        areas.append((draw_annotations(IMAGE, labelled) != without).any(axis=2).sum())
    assert areas[2] > 1.8 * min(areas[:2])


def test_coordinates_without_sense_are_left_out():
    for box in ([1e9, 0, 5, 5], [-np.inf, 0, np.inf, 5], NOTHING):
        drawn = draw_annotations(IMAGE, [shape([(0, 1e12, 5, 2), (1, -np.inf, 5, 2)], box, label="dog")])
        assert np.array_equal(drawn, IMAGE)


def test_a_sheet_has_a_cell_for_each_picture():
    cells = [draw_annotations(blank(size), [shape()], cell_factor(size)) for size in ((640, 480), (300, 900), (50, 20))]
    for cell in cells:
        assert cell.shape[1] <= CELL[0]
        assert cell.shape[0] <= CELL[1]
    found = sheet([(cell, f"{number} x pérson {'long ' * 40}") for number, cell in enumerate(cells)], "title")
    assert found.shape[1] == 2 * (CELL[0] + 6) + 6
    assert found.shape[0] > 2 * CELL[1]
    assert (sheet([(cells[0], "one")], "title")[-100] == 232).all(axis=1).sum() == cells[0].shape[1]


def test_a_ring_is_white_inside_and_a_disk_is_not():
    for hollow, middle in ((True, WHITE), (False, LEFT)):
        canvas = IMAGE.copy()
        draw_joint(canvas, (50, 50), LEFT, 12, hollow)
        assert tuple(canvas[50, 50]) == middle
        assert tuple(canvas[50, 59]) == LEFT
