"""The lab's plots: errors by codec, flip displacement by stride, errors by sub-pixel position, errors by noise.

Drawn with matplotlib's Figure, which needs no display and no choice of a backend.
"""

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ...utils.files import replacing
from .closed_forms import QUARTER_SHIFT, ROUNDING, TOLERANCE
from .examine import Case, Geometry, Measurement, Report

# Okabe and Ito's colours without the yellow: told apart with any colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vPX"
SMALLEST = 1e-4, 1e-5  # heatmap px: what is less is drawn as this, as a colour and as a length
ARROWS = 4  # a row and a column of a map, at least
DPI = 100
_PIXEL = (-0.5, 0.5, 0.5, -0.5)  # left, right, bottom, top
Item = TypeVar("Item", bound=Hashable)


def save_plots(report: Report, folder: Path) -> None:
    """decoding.png, flip.png, bias.png and, where there are two noise levels or more, noise.png."""
    plots: dict[str, Callable[[Report], Figure]] = {"decoding": decoding_plot, "flip": flip_plot, "bias": bias_plot}
    if len(report.levels) > 1:
        plots["noise"] = noise_plot
    for name, draw in plots.items():
        with replacing(folder / f"{name}.png") as path:
            draw(report).savefig(path, format="png", dpi=DPI, pil_kwargs={"optimize": True})


def decoding_plot(report: Report) -> Figure:
    """E|error|: a row for each codec, setting and map, a dot for each geometry, coloured by the heatmap's width."""
    measured = report.of("target", "ideal")
    rows = _unique((each.case.codec, each.case.post_process, each.quantity) for each in measured)
    widths = sorted({each.case.geometry.heatmap_size[0] for each in measured})
    figure = Figure(figsize=(8, 1.6 + 0.34 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for rank, width in enumerate(widths):
        some = [each for each in measured if each.case.geometry.heatmap_size[0] == width]
        places = [rows.index((each.case.codec, each.case.post_process, each.quantity)) for each in some]
        axes.scatter(
            [_length(each.measured) for each in some], np.add(places, _dodge(rank, len(widths))), s=26, zorder=3,
            color=colormaps["viridis"](rank / max(len(widths) - 1, 1)), edgecolor="black", linewidth=0.4,
            label=str(width),
        )  # fmt: skip
    for value, text in ((ROUNDING, "1/4"), (QUARTER_SHIFT, "1/8"), (TOLERANCE, f"0 within {TOLERANCE:g}")):
        axes.axvline(value, color="0.55", linestyle="--", linewidth=0.9, zorder=1)
        axes.annotate(text, (value, 1.005), xycoords=axes.get_xaxis_transform(), ha="center", fontsize=8, color="0.3")
    axes.set(xscale="log", xlim=(SMALLEST[1], 1), xlabel="E|error| per axis, heatmap px")
    axes.set_yticks(range(len(rows)), [f"{_name(codec, setting)}: {quantity}" for codec, setting, quantity in rows])
    axes.invert_yaxis()
    axes.grid(axis="y", color="0.9")
    figure.legend(title="heatmap width, px", loc="outside right upper", frameon=False)
    return figure


def flip_plot(report: Report) -> Figure:
    """Displacement by stride, flipped back and averaged: markers on the lines of the closed forms."""
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    _draw_flips(panels[0], report, "flipped", "flipped back")
    _draw_flips(panels[1], report, "averaged", "averaged with the unflipped map")
    panels[0].set_ylabel("mean displacement in x, heatmap px")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def _draw_flips(axes: Axes, report: Report, quantity: str, title: str) -> None:
    measured = report.of(quantity)
    strides = sorted({each.case.geometry.stride for each in measured})
    series = _unique((each.case.codec, each.case.shift_heatmap) for each in measured)
    for number, (codec, shift) in enumerate(series):
        some = [each for each in measured if (each.case.codec, each.case.shift_heatmap) == (codec, shift)]
        places = [strides.index(each.case.geometry.stride) + _dodge(number, len(series)) for each in some]
        colour, marker = _look(report, codec)
        axes.scatter(
            places, [each.measured for each in some], s=34, marker=marker, edgecolor=colour, zorder=3,
            color="white" if shift is False else colour, label=_name(codec, shift, "shift"),
        )  # fmt: skip
    for number, (stride, theory) in enumerate(_unique(_theory(each) for each in measured)):
        middle, label = strides.index(stride), None if number else "closed form"
        axes.plot([middle - 0.42, middle + 0.42], [theory] * 2, color="0.55", linewidth=1, zorder=1, label=label)
    axes.set_xticks(range(len(strides)), [str(stride) for stride in strides])
    axes.set(xlabel="stride, input px per heatmap px", title=title)


def _theory(each: Measurement) -> tuple[int, float]:
    return each.case.geometry.stride, np.nan if each.closed_form is None else each.closed_form


def bias_plot(report: Report) -> Figure:
    """The error by the keypoint's place in its pixel: a row for each geometry, a column for each codec and map."""
    columns = _unique((case.codec, case.post_process, quantity) for case, quantity in report.maps)
    geometries = _distinct(report)
    figure = Figure(figsize=(1.7 + 1.15 * len(columns), 1.5 + 1.15 * len(geometries)), layout="constrained")
    panels = figure.subplots(len(geometries), len(columns), squeeze=False, sharex=True, sharey=True)
    norm = LogNorm(SMALLEST[0], 1)
    for row, geometry in zip(panels, geometries, strict=True):
        row[0].set_ylabel(_two_lines(geometry), fontsize=8)
        for axes, (codec, setting, quantity) in zip(row, columns, strict=True):
            _draw_bias(axes, report.maps.get((Case(codec, geometry, setting), quantity)), norm)
    for axes, (codec, setting, quantity) in zip(panels[0], columns, strict=True):
        axes.set_title(f"{codec}\n{_state(setting, 'post-process') or '-'}\n{quantity}", fontsize=8)
    figure.supxlabel("place in the pixel, heatmap px: x to the right, y down", fontsize=9)
    shown = next(image for axes in panels.flat for image in axes.get_images())
    figure.colorbar(
        shown, ax=panels, label="|error|, heatmap px; arrows from 1e-3: its direction", shrink=0.7, pad=0.01
    )
    return figure


def _draw_bias(axes: Axes, errors: torch.Tensor | None, norm: LogNorm) -> None:
    """|error| as colour, its direction as arrows of one length where it is above the tolerance."""
    axes.set(xticks=[-0.5, 0, 0.5], yticks=[-0.5, 0, 0.5], xlim=(-0.5, 0.5), ylim=(0.5, -0.5), aspect="equal")
    axes.tick_params(labelsize=7, length=2, pad=1)
    if errors is None:
        axes.set_facecolor("0.92")
        axes.text(0, 0, "left\nout", ha="center", va="center", fontsize=8, color="0.4")
        return
    length = errors.norm(dim=-1)
    axes.imshow(length.clamp(min=SMALLEST[0]).numpy(), norm=norm, interpolation="nearest", extent=_PIXEL)
    (rows, place_y), (columns, place_x) = (_arrow_places(steps) for steps in length.shape)
    direction = (errors / length.unsqueeze(-1)).where(length.unsqueeze(-1) > TOLERANCE, torch.nan)[rows, columns]
    x, y = direction.unbind(dim=-1)
    axes.quiver(place_x, place_y, x.numpy(), y.numpy(), angles="xy", pivot="mid", scale=6, width=0.02, color="white")


def _arrow_places(steps: int) -> tuple[slice, np.ndarray]:
    """Some of the rows or columns of a map, evenly spread, and where in the pixel they are."""
    some = slice(steps // ARROWS // 2, None, steps // ARROWS)
    return some, (np.arange(steps)[some] + 0.5) / steps - 0.5


def noise_plot(report: Report) -> Figure:
    """E|error| by noise: a panel for each geometry, a line for each codec and setting."""
    geometries = _distinct(report)
    columns = min(3, len(geometries))
    rows = -(-len(geometries) // columns)
    figure = Figure(figsize=(2.7 + 2.7 * columns, 1 + 2.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, geometry in zip(panels.flat, geometries, strict=False):
        _draw_noise(axes, report, geometry)
    for axes in panels.flat[len(geometries) :]:
        axes.set_visible(False)
    figure.supxlabel("noise: standard deviation over the target's maximum", fontsize=9)
    figure.supylabel("E|error| per axis, heatmap px", fontsize=9)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _draw_noise(axes: Axes, report: Report, geometry: Geometry) -> None:
    for case, errors in report.noise.items():
        if case.geometry == geometry:
            colour, marker = _look(report, case.codec)
            axes.plot(
                report.levels, [_length(error) for error in errors], color=colour, linewidth=1.3, marker=marker,
                markersize=4, linestyle="--" if case.post_process is False else "-",
                label=_name(case.codec, case.post_process),
            )  # fmt: skip
    axes.set(yscale="log")
    axes.tick_params(labelbottom=True)
    axes.set_title(_two_lines(geometry), fontsize=9)
    axes.grid(color="0.92")


def _distinct(report: Report) -> list[Geometry]:
    """The geometries, without those whose heatmap has the size and the errors of an earlier one."""
    kept: list[Geometry] = []
    for geometry in _unique(each.case.geometry for each in report.measurements):
        if not any(_same_maps(report, geometry, other) for other in kept):
            kept.append(geometry)
    return kept


def _same_maps(report: Report, one: Geometry, other: Geometry) -> bool:
    if one.heatmap_size != other.heatmap_size:
        return False
    found: list[dict[Any, torch.Tensor]] = [
        {(case.codec, case.post_process, quantity): errors for (case, quantity), errors in report.maps.items()
         if case.geometry == geometry}
        for geometry in (one, other)
    ]  # fmt: skip
    return found[0].keys() == found[1].keys() and all(
        errors.shape == found[1][key].shape and torch.allclose(errors, found[1][key], rtol=0, atol=SMALLEST[0])
        for key, errors in found[0].items()
    )


def _two_lines(geometry: Geometry) -> str:
    width, height = geometry.heatmap_size
    return f"heatmap {height}x{width}\n{geometry}"


def _state(setting: bool | None, of: str) -> str:
    return {None: "", False: f"no {of}", True: of}[setting]


def _name(codec: str, setting: bool | None, of: str = "post-process") -> str:
    return f"{codec}, {_state(setting, of)}" if setting is not None else codec


def _look(report: Report, codec: str) -> tuple[str, str]:
    """Colour and marker of a codec, the same in every plot."""
    number = _unique(each.case.codec for each in report.measurements).index(codec)
    return COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]


def _unique(items: Iterable[Item]) -> list[Item]:
    return list(dict.fromkeys(items))


def _dodge(number: int, count: int) -> float:
    """Distance from the middle of a place that `count` marks share."""
    return (number - (count - 1) / 2) * 0.6 / count


def _length(value: float) -> float:
    return max(value, SMALLEST[1])
