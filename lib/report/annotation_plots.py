"""Plots of what is in annotation files: keypoints by joint, sizes, people per image. One colour for each file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..utils.files import replacing

_VISIBILITY_COLOURS = {"visible": "#1f6f8b", "occluded": "#8ec6d7", "not labelled": "#e4e4e4", "other": "#d1495b"}
_FILE_COLOURS = ("#1f6f8b", "#e07a3f", "#6a994e", "#7b5ea7", "#b23a48", "#5c677d")
_MOST_PEOPLE = 20  # people per image; more share one bar
_EDGE, _BINS = 32, 5  # px; bins end at 32, and their number to a factor of three lets them end at 96 too


def joint_bars(names: Sequence[str], counts: Mapping[str, Sequence[int]], people: int, title: str) -> Figure:
    """For every joint a bar of the `people`, parted by visibility: `counts` has K numbers for each."""
    longest = max(map(len, names))
    figure = Figure(figsize=(6.4 + 0.07 * longest, 1.3 + 0.27 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    rows, left = range(len(names)), np.zeros(len(names))
    for visibility, values in counts.items():
        if any(values):
            axes.barh(rows, values, 0.8, left, label=visibility, color=_VISIBILITY_COLOURS[visibility])
            left = left + np.asarray(values)
    labelled = people - np.asarray(counts["not labelled"])
    for row, count in zip(rows, labelled, strict=True):
        axes.text(people * 1.01, row, f"{100 * count / max(people, 1):.0f}%", va="center", fontsize=8, color="#444444")
    axes.set(yticks=rows, yticklabels=names, xlabel="annotations with keypoints", xlim=(0, max(people, 1) * 1.08))
    axes.set_ylim(len(names) - 0.4, -0.6)
    _whole_numbers(axes, "x")
    axes.grid(axis="x", alpha=0.25)
    axes.set_title(f"{title}\nat the right the labelled share", fontsize=10)
    if people:
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def size_histograms(
    panels: Mapping[str, Mapping[str, np.ndarray]], marks: Mapping[str, tuple[float, float]] | None = None
) -> Figure:
    """Histograms of lengths in px on logarithmic axes, side by side.

    Args:
        panels: for every panel's label the lengths (n,) of every file.
        marks: ranges of length to name at the top.
    """
    figure = Figure(figsize=(max(7.5, 5.2 * len(panels)), 4), layout="constrained")
    for number, (label, columns) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), number + 1)
        known = {name: values[values > 0] for name, values in columns.items()}
        bins = _length_bins(np.concatenate(list(known.values())))
        _histogram(axes, known, bins)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set(xlabel=label, xlim=(bins[0], bins[-1]))
        _name_ranges(axes, marks or {}, bins)
    _legend(figure, next(iter(panels.values())))
    return figure


def people_bars(columns: Mapping[str, np.ndarray]) -> Figure:
    """Images by the number of their people, for every file the numbers (M,); images without people are left out."""
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.add_subplot()
    known = {name: np.minimum(values[values > 0], _MOST_PEOPLE) for name, values in columns.items()}
    most = int(max((values.max() for values in known.values() if len(values)), default=1))
    _histogram(axes, known, np.arange(0.5, most + 1), things="images")
    ticks = range(1, most + 1)
    labels = [f"{tick}+" if tick == _MOST_PEOPLE else str(tick) for tick in ticks]
    axes.set(xticks=ticks, xticklabels=labels, xlabel="people per image", xlim=(0.4, most + 0.6))
    empty = sum(int((values == 0).sum()) for values in columns.values())
    axes.set_title(f"{empty:,} images without people are not shown" * bool(empty), fontsize=10)
    _legend(figure, columns)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a PNG, whole or not at all."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _histogram(axes: Axes, columns: Mapping[str, np.ndarray], bins: np.ndarray, things: str = "annotations") -> None:
    """Bars of counts for one file, outlines of shares for several, whose numbers may differ by much."""
    for number, (name, values) in enumerate(columns.items()):
        colour = _FILE_COLOURS[number % len(_FILE_COLOURS)]
        if len(columns) == 1:
            axes.hist(values, bins.tolist(), color=colour, edgecolor="white", linewidth=0.6)
        else:
            weights = np.full(len(values), 100 / max(len(values), 1))
            axes.hist(values, bins.tolist(), weights=weights, color=colour, label=name, histtype="step", linewidth=1.8)
    axes.set_ylabel(things if len(columns) == 1 else f"% of the file's {things}")
    if len(columns) == 1:
        _whole_numbers(axes, "y")
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.margins(y=0.14)


def _length_bins(values: np.ndarray) -> np.ndarray:
    """Edges of bins of equal ratio around all values; a few around `_EDGE` where there is none."""
    places = np.log(np.append(values, _EDGE) / _EDGE) / np.log(3) * _BINS
    return _EDGE * 3.0 ** (np.arange(np.floor(places.min()), np.floor(places.max()) + 2) / _BINS)


def _name_ranges(axes: Axes, marks: Mapping[str, tuple[float, float]], bins: np.ndarray) -> None:
    """Dashed lines where ranges begin, and their names in the middle of what is shown of them."""
    for name, (low, high) in marks.items():
        first, last = max(low, bins[0]), min(high, bins[-1])
        if first >= last:
            continue
        if low > bins[0]:
            axes.axvline(low, color="#444444", linestyle="--", linewidth=1)
        height = 0.97, axes.get_xaxis_transform()
        axes.text(float(np.sqrt(first * last)), height[0], name, transform=height[1], ha="center", va="top", fontsize=9)


def _whole_numbers(axes: Axes, which: str) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _legend(figure: Figure, columns: Mapping[str, np.ndarray]) -> None:
    if len(columns) > 1:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(columns), 4), frameon=False)
