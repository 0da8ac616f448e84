"""The codec lab: closed forms to 1e-3, conventions that do not fit each other, codecs it has never heard of."""

import json
import math

import pytest
import torch

from heatpose.codecs.ccssl import CcsslCodec
from heatpose.codecs.dark import DarkCodec
from heatpose.codecs.gaussian import GaussianCodec
from heatpose.codecs.grmi import GrmiCodec
from heatpose.codecs.soft_argmax import SoftArgmaxCodec
from heatpose.codecs.udp import UdpCodec, UdpOffsetCodec
from heatpose.report.codec_lab import Geometry, Report, examine, report_json, report_text, save_plots
from heatpose.report.codec_lab.measure import Bench, grid_steps, subpixel_offsets
from heatpose.report.codec_lab.plots import bias_plot, noise_plot

SETTINGS = {
    GaussianCodec: ("shift_heatmap", "post_process"),
    SoftArgmaxCodec: ("shift_heatmap", "post_process"),
    UdpCodec: ("post_process",),
    DarkCodec: (),
    UdpOffsetCodec: (),
    CcsslCodec: (),
}
SIZE = (96, 128)


def build_from(*classes, **changes):
    """The lab's `build` for some codecs, and their names. A subclass reads the settings of the codec it is one of."""
    known = {each.name: each for each in classes}

    def build(name, geometry, **settings):
        read = next(keys for parent, keys in SETTINGS.items() if issubclass(known[name], parent))
        arguments = {key: settings[key] for key in read if key in settings}
        return known[name](geometry.input_size, geometry.heatmap_size, 1, **arguments, **changes)

    return build, list(known)


def look(codec_class, stride=4, size=SIZE, levels=(), **changes):
    """The report on one codec in one geometry."""
    build, names = build_from(codec_class, **changes)
    return examine(build, names, [Geometry(size, stride)], levels)


def number(report, quantity, **settings):
    """The one measured number of a quantity and settings."""
    (found,) = [
        each.measured
        for each in report.measurements
        if each.quantity == quantity and all(getattr(each.case, key) == value for key, value in settings.items())
    ]
    return found


# --- closed forms, written out here once more -----------------------------------------------------------------------


@pytest.mark.parametrize("stride", [2, 3, 4, 8])
@pytest.mark.parametrize("codec_class", [GaussianCodec, SoftArgmaxCodec])
def test_a_flip_of_the_standard_codecs_misses_by_the_closed_form(codec_class, stride):
    report = look(codec_class, stride, size=(16 * stride, 16 * stride))
    for shift, expected in ((False, -(stride - 1) / stride), (True, 1 / stride)):
        assert number(report, "flipped", shift_heatmap=shift) == pytest.approx(expected, abs=1e-3)
        assert number(report, "averaged", shift_heatmap=shift) == pytest.approx(expected / 2, abs=1e-3)


@pytest.mark.parametrize("stride", [2, 4, 8])
@pytest.mark.parametrize("codec_class", [UdpCodec, UdpOffsetCodec, DarkCodec, GrmiCodec])
def test_a_flip_between_outermost_pixels_misses_by_nothing(codec_class, stride):
    bench = Bench(codec_class((16 * stride, 16 * stride), (16, 16), 1), stride)
    assert bench.misalignment(bench.flipped) == pytest.approx(0, abs=1e-6)
    assert bench.misalignment(bench.averaged) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
def test_rounding_costs_a_quarter_and_the_quarter_shift_saves_half_of_it_where_the_map_tells(sigma):
    report = look(GaussianCodec, sigma=sigma)
    for post_process, ideal in ((False, 1 / 4), (True, 1 / 8)):
        assert number(report, "target", post_process=post_process) == pytest.approx(1 / 4, abs=1e-6)
        assert number(report, "ideal", post_process=post_process) == pytest.approx(ideal, abs=1e-6)
    measured = next(each for each in report.measurements if each.quantity == "target")
    assert measured.input_px == pytest.approx(1, abs=1e-5)  # a quarter of a heatmap px at stride 4
    assert measured.bias == pytest.approx((0, 0), abs=1e-6)


def test_sub_pixel_codecs_lose_nothing():
    assert number(look(DarkCodec), "target") < 1e-3
    report = look(UdpCodec)
    assert number(report, "target", post_process=True) < 1e-3
    assert number(report, "target", post_process=False) == pytest.approx(1 / 4, abs=1e-6)


@pytest.mark.parametrize(("stride", "target", "ideal"), [(2, 1 / 4, 1 / 4), (3, 5 / 18, 7 / 36), (4, 1 / 4, 1 / 8)])
@pytest.mark.parametrize("target_shape", ["gaussian", "cauchy"])
def test_cutting_off_to_whole_image_pixels_costs_what_the_stride_says(stride, target, ideal, target_shape):
    report = look(CcsslCodec, stride, (16 * stride, 16 * stride), target_shape=target_shape)
    assert number(report, "target") == pytest.approx(target, abs=1e-3)
    assert number(report, "ideal") == pytest.approx(ideal, abs=1e-3)
    assert number(report, "flipped") == pytest.approx(1 / stride, abs=1e-3)
    assert number(report, "averaged") == pytest.approx(1 / (2 * stride), abs=1e-3)
    assert all(each.closed_form is not None for each in report.measurements)
    assert not any(each.deviates for each in report.measurements)


def test_udp_s_offsets_lose_a_hundredth_to_the_blur_unless_the_disk_is_larger():
    report = look(UdpOffsetCodec)
    (odd,) = [each for each in report.measurements if each.deviates]
    assert (
        odd.quantity == "target" and 0.005 < odd.measured < 0.02 and odd.roomy == pytest.approx(odd.measured, abs=1e-4)
    )
    assert "the codec |" in report_text(report)
    assert number(look(UdpOffsetCodec, size=(64, 64), kpd=5.0), "target") < 1e-5


def test_a_small_map_spoils_dark_by_its_border_alone():
    report = look(DarkCodec, 8, (48, 64))
    (odd,) = [each for each in report.measurements if each.deviates]
    assert odd.quantity == "target" and odd.measured > 0.05 and odd.roomy < 1e-3
    assert "the border |" in report_text(report)
    assert number(look(DarkCodec, 8, (48, 64), blur_kernel=1), "target") < 1e-6


def test_the_committed_table_is_what_the_code_gives(repository):
    path = repository / "benchmarks" / "codec_lab" / "codec_lab.json"
    geometry = Geometry((48, 64), 4)
    build, names = build_from(GaussianCodec, SoftArgmaxCodec, DarkCodec, UdpCodec, UdpOffsetCodec)
    fresh = report_json(examine(build, names, [geometry], ()))["measurements"]
    keys = ("codec", "input_size", "stride", "post_process", "shift_heatmap", "quantity")
    committed = {str([each[key] for key in keys]): each for each in json.loads(path.read_text())["measurements"]}
    assert len(fresh) == 26
    for each in fresh:
        there = committed[str([each[key] for key in keys])]
        assert each["measured"] == pytest.approx(there["measured"], abs=1e-4)
        assert each["closed_form"] == there["closed_form"]


# --- what must be noticed -------------------------------------------------------------------------------------------


class ShiftedFlip(UdpCodec):
    """UDP, whose flip is already aligned, with the standard codec's shift on top."""

    def flip_back(self, output, flip_pairs):
        return super().flip_back(output, flip_pairs).roll(1, dims=-1)


class WrongWay(GaussianCodec):
    """The shift to the left instead of the right."""

    def flip_back(self, output, flip_pairs):
        flipped = super(GaussianCodec, self).flip_back(output, flip_pairs)
        return flipped.roll(-1, dims=-1) if self.shift_heatmap else flipped


class RoundsDown(GaussianCodec):
    def render(self, keypoints_heatmap, visible):
        return super().render(keypoints_heatmap.floor(), visible)


class StandardWayBack(UdpCodec):
    """UDP's encoding with the standard way back to the image: two conventions mixed."""

    to_image = GaussianCodec.to_image


@pytest.mark.parametrize(
    ("codec_class", "quantity", "settings", "expected"),
    [
        (ShiftedFlip, "flipped", {}, 1),
        (ShiftedFlip, "averaged", {}, 1 / 2),
        (WrongWay, "flipped", {"shift_heatmap": True}, -7 / 4),
        (RoundsDown, "target", {"post_process": False}, 1 / 2),
        # the way back divides by w = 24 what was multiplied by w - 1: u = 12 comes back as u - u / 24
        (StandardWayBack, "target", {"post_process": True}, 1 / 2),
    ],
)
def test_a_planted_misalignment_is_noticed(codec_class, quantity, settings, expected):
    report = look(codec_class)
    assert any(each.deviates and each.quantity == quantity for each in report.measurements)
    assert number(report, quantity, **settings) == pytest.approx(expected, abs=1e-3)


# --- codecs it does not know ----------------------------------------------------------------------------------------


class Cells(GaussianCodec):
    """A pixel is the cell from i to i + 1, as in MSPN's code: targets round down, decoding adds a half."""

    name = "cells"

    def render(self, keypoints_heatmap, visible):
        target, weight = super().render(keypoints_heatmap.floor(), visible)
        return 255 * target, weight

    def decode(self, output):
        keypoints, scores = super().decode(output)
        return keypoints + 0.5, scores


class Logits(UdpOffsetCodec):
    """Disks whose network gives logits."""

    name = "logits"

    def perfect_output(self, target):
        output = target.clone()
        output[:, ::3] = 20 * (2 * target[:, ::3] - 1)
        return output

    def decode(self, output):
        output = output.clone()
        assert output[:, ::3].amin() < -10, "a target was taken for an output"
        output[:, ::3] = output[:, ::3].sigmoid()
        return super().decode(output)


def test_a_new_codec_is_measured_without_closed_forms():
    report = look(Cells)
    assert number(report, "target", post_process=False) == pytest.approx(1 / 4, abs=1e-6)
    assert number(report, "ideal", post_process=True) == pytest.approx(1 / 8, abs=1e-6)
    # mirroring takes u to w - 1/4 - u, and the cell i to w - 1 - i: a quarter px to the right
    assert number(report, "flipped", shift_heatmap=False) == pytest.approx(1 / 4, abs=1e-3)
    assert not any(each.deviates or each.closed_form is not None for each in report.measurements)
    assert "0 of 0 numbers" in report_text(report)


def test_a_codec_that_reads_logits_is_given_logits():
    assert number(look(Logits), "target") == pytest.approx(number(look(UdpOffsetCodec), "target"), abs=1e-6)


def test_a_codec_that_cannot_exist_is_left_out_with_the_reason():
    report = look(UdpOffsetCodec, 8, (48, 64))
    assert not report.measurements
    (reason,) = report.skipped
    assert reason.startswith("udp_offset at 64x48, stride 8: heatmap_size is (6, 8), expected sides of more than 7 px")


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        (GaussianCodec((16, 16), (2, 2), 1), "sides of at least 3 px"),
        (GaussianCodec(SIZE, (24, 32), 1, sigma=0.1), "draws no Gaussian around the nearest pixel: raise MODEL.SIGMA"),
    ],
)
def test_a_target_that_cannot_be_measured_is_refused(codec, message):
    with pytest.raises(ValueError, match=message):
        Bench(codec, 4)


# --- the pieces -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5, 8, 16])
def test_the_grid_integrates_rounding_exactly_wherever_an_average_moves_it(stride):
    x, y = (subpixel_offsets(steps) for steps in grid_steps(stride))
    for offsets in (x, y):
        assert offsets.abs().mean().item() == pytest.approx(1 / 4, abs=1e-12)
        assert (offsets.abs() - 1 / 4).abs().mean().item() == pytest.approx(1 / 8, abs=1e-12)
    for move in (1 / stride, 1 / (2 * stride)):
        assert (torch.round(x + move) - x).mean().item() == pytest.approx(move, abs=1e-12)
    assert (x.abs()[:, None] - y.abs()).abs().min() > 1e-3  # no ties between neighbours in x and in y


def test_the_ideal_map_is_the_target_at_its_true_place():
    bench = Bench(GaussianCodec(SIZE, (24, 32), 1, sigma=2.5), 4)
    assert bench.quantises and bench.shape.sigma == pytest.approx(2.5, abs=1e-3)
    assert bench.shape.maximum == 1 and bench.shape.offset.abs().max() < 1e-12
    whole = bench.codec.heatmap_to_input(torch.tensor([[[12.0, 16.0]]], dtype=torch.float64))
    near = (slice(None), slice(None), slice(10, 23), slice(6, 19))  # the target ends at three sigma
    torch.testing.assert_close(bench.ideal(whole)[near], bench.target(whole)[near], rtol=0, atol=1e-3)


def test_noise_is_seeded_and_costs_more_the_more_there_is():
    levels = (0.0, 0.02, 0.1)
    once, again = (look(DarkCodec, levels=levels).noise for _ in range(2))
    assert once == again
    (errors,) = once.values()
    assert errors[0] < 1e-3 < errors[1] < errors[2]
    build, names = build_from(DarkCodec)
    (other,) = examine(build, names, [Geometry(SIZE, 4)], levels, seed=1).noise.values()
    assert other[0] == errors[0] and other[2] != errors[2]


@pytest.mark.parametrize(("size", "stride"), [((96, 130), 4), ((96, 128), 7), ((8, 8), 8)])
def test_an_input_that_the_stride_does_not_divide_is_refused(size, stride):
    with pytest.raises(ValueError, match="no heatmap at stride"):
        Geometry(size, stride)


# --- report and plots -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report():
    build, names = build_from(GaussianCodec, UdpOffsetCodec)
    geometries = [Geometry((48, 64), 2), Geometry((96, 128), 4), Geometry((48, 64), 8)]
    return examine(build, names, geometries, (0.0, 0.1))


def test_the_text_says_every_number_and_what_was_left_out(report):
    text = report_text(report)
    rows = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    deviating = sum(each.deviates for each in report.measurements)
    assert len(rows) == 4 + len(report.measurements) + len(report.noise) + deviating
    assert "| gaussian   | off   | 128x96 | 4      | 32x24   | flipped  | -0.7500  | -0.7500     | +0.0000    |" in text
    assert "- udp_offset at 64x48, stride 8: heatmap_size is (6, 8)" in text


def test_the_json_holds_only_finite_numbers(report):
    content = json.loads(json.dumps(report_json(report), allow_nan=False))
    assert len(content["measurements"]) == len(report.measurements)
    first = content["measurements"][0]
    assert first["difference"] == pytest.approx(first["measured"] - first["closed_form"])
    broken = Report((0.1,), 0, noise={next(iter(report.noise)): [math.nan]})
    assert report_json(broken)["noise"]["errors"][0]["errors"] == [None]


def test_every_plot_is_written(report, tmp_path):
    save_plots(report, tmp_path / "plots")
    names = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert names == ["bias.png", "decoding.png", "flip.png", "noise.png"]
    for name in names:
        assert (tmp_path / "plots" / name).read_bytes().startswith(b"\x89PNG")


def test_geometries_with_equal_maps_are_drawn_once(report):
    assert len(noise_plot(report).axes) == 2  # heatmaps of 24x32 at stride 2 and 4 have the same errors, 6x8 its own
    titles = [axes.get_title() for axes in noise_plot(report).axes]
    assert titles == ["heatmap 32x24\n64x48, stride 2", "heatmap 8x6\n64x48, stride 8"]
    left_out = [axes for axes in bias_plot(report).axes if "left\nout" in [text.get_text() for text in axes.texts]]
    assert len(left_out) == 1


@pytest.mark.parametrize("codec_class", list(SETTINGS))
def test_a_target_is_the_perfect_output_of_a_codec_without_logits(codec_class):
    target = torch.rand(1, 1, 4, 4)
    assert codec_class(SIZE, (24, 32), 1).perfect_output(target) is target
