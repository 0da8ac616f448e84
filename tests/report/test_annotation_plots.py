"""Plots of annotation files hold the numbers they are given."""

import cv2
import numpy as np
import pytest

from heatpose.report.annotation_plots import joint_bars, people_bars, save_figure, size_histograms

COUNTS = {"visible": [3, 1], "occluded": [1, 0], "other": [0, 0], "not labelled": [0, 3]}


def heights(axes):
    return np.array([bar.get_height() for bar in axes.patches])


def test_joint_bars_add_up_to_the_people():
    axes = joint_bars(["nose", "left_eye"], COUNTS, 4, "val").axes[0]
    widths = np.array([bar.get_width() for bar in axes.patches]).reshape(-1, 2)
    assert widths.tolist() == [[3, 1], [1, 0], [0, 3]]
    assert widths.sum(axis=0).tolist() == [4, 4]
    assert [text.get_text() for text in axes.texts] == ["100%", "25%"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["nose", "left_eye"]


def test_one_file_is_counted():
    lengths = np.array([5.0, 31, 33, 95, 97, 400, np.nan, 0])
    figure = size_histograms({"root of area, px": {"val": lengths}}, {"small": (0, 32), "medium": (32, 96)})
    axes = figure.axes[0]
    assert heights(axes).sum() == 6
    edges = np.array([bar.get_x() for bar in axes.patches])
    assert np.isclose(edges, 32).any()
    assert np.isclose(edges, 96).any()
    assert [text.get_text() for text in axes.texts] == ["small", "medium"]


def test_several_files_are_compared_by_shares():
    columns = {"train": np.full(900, 50.0), "val": np.array([50.0, 50, 200, 200])}
    figure = size_histograms({"box width, px": columns, "box height, px": columns})
    assert len(figure.axes) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "val"]
    tops = [outline.get_xy()[:, 1].max() for outline in figure.axes[0].patches]
    assert tops == pytest.approx([100, 50])


def test_people_per_image():
    axes = people_bars({"val": np.array([0, 1, 1, 3, 25, 40])}).axes[0]
    assert heights(axes).tolist() == [2, 0, 1] + [0] * 16 + [2]
    assert axes.get_xticklabels()[-1].get_text() == "20+"
    assert axes.get_title() == "1 images without people are not shown"


def test_nothing_to_show_is_still_a_plot(tmp_path):
    save_figure(size_histograms({"box width, px": {"a": np.array([np.nan])}}), tmp_path / "plots" / "boxes.png")
    save_figure(people_bars({"a": np.zeros(3, int)}), tmp_path / "plots" / "people.png")
    save_figure(joint_bars(["nose"], {**COUNTS, "not labelled": [0], "visible": [0], "occluded": [0]}, 0, "a"),
                tmp_path / "plots" / "joints.png")  # fmt: skip
    for name in ("boxes", "people", "joints"):
        assert cv2.imread(str(tmp_path / "plots" / f"{name}.png")).shape[1] > 500
    assert len(list((tmp_path / "plots").iterdir())) == 3
