"""The lab's report as markdown and as JSON."""

import math
from typing import Any

from ..tables import markdown_table
from .closed_forms import TOLERANCE
from .examine import ROOM, Case, Measurement, Report

DECODING = """## Encoding and decoding

E|error| per axis, heatmap px, over a uniform sub-pixel position in the middle of the map. The map is the codec's own
`target` or, for codecs that draw targets around the nearest pixel, also the `ideal` one: the same Gaussian around the
keypoint itself. Post-process is TEST.POST_PROCESS, where the codec reads it. Also in input px, the largest |error| on
the grid, and the mean error, all other columns in heatmap px."""
FLIP = """## Flip

Mean displacement in x, heatmap px, negative to the left. The map is the ideal one of the mirrored crop, `flipped` back,
or `averaged` with that of the crop itself. Shift is TEST.SHIFT_HEATMAP, where the codec reads it."""
NOISE = """## Noise

E|error| per axis, heatmap px, of ideal maps with normal noise, a new draw for each of the sub-pixel positions, seed
{seed}. Its standard deviation, in units of the target's maximum, is the column's title."""


def report_text(report: Report) -> str:
    """The whole report as markdown: three tables, what deviates from its closed form, what was left out."""
    parts = [DECODING, _decoding_table(report), FLIP, _flip_table(report)]
    if report.levels:
        parts += [NOISE.format(seed=report.seed), _noise_table(report)]
    parts += ["## Closed forms", _verdict(report)]
    if report.skipped:
        parts += ["Left out:", "\n".join(f"- {reason}" for reason in report.skipped)]
    return "\n\n".join(parts)


def report_json(report: Report) -> dict[str, Any]:
    """The report's numbers as plain lists and dicts; None for what is not finite."""
    return {
        "tolerance": TOLERANCE,
        "measurements": [
            {
                **_case_json(each.case),
                "quantity": each.quantity,
                "measured": _finite(each.measured),
                "closed_form": each.closed_form,
                "difference": _finite(each.difference),
                "input_px": _finite(each.input_px),
                "largest": _finite(each.largest),
                "bias": None if each.bias is None else [_finite(value) for value in each.bias],
                "roomy": _finite(each.roomy),
            }
            for each in report.measurements
        ],
        "noise": {
            "levels": list(report.levels),
            "seed": report.seed,
            "errors": [
                {**_case_json(case), "errors": [_finite(error) for error in errors]}
                for case, errors in report.noise.items()
            ],
        },
        "skipped": report.skipped,
    }


def _decoding_table(report: Report) -> str:
    header = ["codec", "post-process", *_GEOMETRY, "map", *_COMPARED, "input px", "largest", "mean x, y"]
    rows = [
        [*_setting(each.case.codec, each.case.post_process), *_geometry(each.case), each.quantity, *_compared(each),
         f"{each.input_px:.4f}", f"{each.largest:.4f}", _pair(each.bias)]
        for each in report.of("target", "ideal")
    ]  # fmt: skip
    return markdown_table(header, rows)


def _flip_table(report: Report) -> str:
    header = ["codec", "shift", *_GEOMETRY, "map", *_COMPARED, "input px"]
    rows = [
        [*_setting(each.case.codec, each.case.shift_heatmap), *_geometry(each.case), each.quantity, *_compared(each),
         f"{each.input_px:+.4f}"]
        for each in report.of("flipped", "averaged")
    ]  # fmt: skip
    return markdown_table(header, rows)


def _noise_table(report: Report) -> str:
    header = ["codec", "post-process", *_GEOMETRY, *(f"{level:g}" for level in report.levels)]
    rows = [
        [*_setting(case.codec, case.post_process), *_geometry(case), *(f"{error:.4f}" for error in errors)]
        for case, errors in sorted(report.noise.items(), key=lambda item: item[0].order)
    ]
    return markdown_table(header, rows)


def _verdict(report: Report) -> str:
    """How many numbers have a closed form and match it, and a table of those that do not."""
    known = [each for each in report.measurements if each.closed_form is not None]
    deviating = [each for each in known if each.deviates]
    text = f"{len(known) - len(deviating)} of {len(known)} numbers are within {TOLERANCE:g} px of their closed form."
    if without := len(report.measurements) - len(known):
        text += f" {without} more have none."
    if not deviating:
        return text
    rows = [
        [each.case.codec, _either(each.case), *_geometry(each.case), each.quantity, *_compared(each),
         f"{each.roomy:.4f}", _reason(each)]
        for each in deviating
    ]  # fmt: skip
    header = ["codec", "setting", *_GEOMETRY, "map", *_COMPARED, "roomy map", "reason"]
    explained = f"Those that are not, beside the same on a map of {ROOM} px or more, far from every border:"
    return f"{text} {explained}\n\n{markdown_table(header, rows)}"


def _reason(each: Measurement) -> str:
    """What a deviation comes from: the border where a roomy map has none, else the codec itself."""
    assert each.roomy is not None and each.closed_form is not None
    return "the border" if abs(each.roomy - each.closed_form) <= TOLERANCE else "the codec"


_GEOMETRY = ("input", "stride", "heatmap")
_COMPARED = ("measured", "closed form", "difference")


def _geometry(case: Case) -> tuple[str, int, str]:
    """Sizes with the height first, as in the names of experiments."""
    (width, height), (heatmap_width, heatmap_height) = case.geometry.input_size, case.geometry.heatmap_size
    return f"{height}x{width}", case.geometry.stride, f"{heatmap_height}x{heatmap_width}"


def _setting(codec: str, value: bool | None) -> tuple[str, str]:
    return codec, {None: "-", False: "off", True: "on"}[value]


def _either(case: Case) -> str:
    """The setting that a case has, with its name."""
    for name, value in (("post-process", case.post_process), ("shift", case.shift_heatmap)):
        if value is not None:
            return f"{name} {'on' if value else 'off'}"
    return "-"


def _compared(each: Measurement) -> tuple[str, str, str]:
    if each.difference is None:
        return f"{each.measured:.4f}", "-", "-"
    return f"{each.measured:.4f}", f"{each.closed_form:.4f}", f"{each.difference:+.4f}"


def _pair(values: tuple[float, float] | None) -> str:
    return "-" if values is None else " ".join(f"{value + 0.0:+.4f}" for value in values)


def _case_json(case: Case) -> dict[str, Any]:
    return {
        "codec": case.codec,
        "input_size": list(case.geometry.input_size),
        "heatmap_size": list(case.geometry.heatmap_size),
        "stride": case.geometry.stride,
        "post_process": case.post_process,
        "shift_heatmap": case.shift_heatmap,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
