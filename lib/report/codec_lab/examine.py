"""Every codec at every stride and input size: the numbers, each with its closed form, and the maps behind them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from ...codecs.base import Codec
from .closed_forms import TOLERANCE, decoding_error, flip_misalignment
from .measure import Bench

# (name, geometry, post_process=, shift_heatmap=) -> codec of one joint; a ValueError where there is none
Build = Callable[..., Codec]
ROOM = 48  # px of a heatmap's shorter side, in the middle of which no decoder reaches a border


@dataclass(frozen=True)
class Geometry:
    """An input of (width, height) px and its heatmap, `stride` times smaller; ValueError where that is not whole."""

    input_size: tuple[int, int]
    stride: int

    def __post_init__(self):
        if any(side % self.stride or side < 2 * self.stride for side in self.input_size):
            width, height = self.input_size
            raise ValueError(
                f"an input of {height}x{width} px has no heatmap at stride {self.stride}: both sides must be multiples"
                f" of the stride, at least {2 * self.stride}"
            )

    def __str__(self) -> str:
        """Height first, as in the names of experiments."""
        return f"{self.input_size[1]}x{self.input_size[0]}, stride {self.stride}"

    @property
    def heatmap_size(self) -> tuple[int, int]:
        return self.input_size[0] // self.stride, self.input_size[1] // self.stride

    @property
    def roomy(self) -> "Geometry":
        """The same stride and aspect ratio with a map of at least `ROOM` px."""
        factor = -(-ROOM // min(self.heatmap_size))
        return Geometry((self.input_size[0] * factor, self.input_size[1] * factor), self.stride)


@dataclass(frozen=True)
class Case:
    """A codec in one geometry. A setting that it does not read is None."""

    codec: str
    geometry: Geometry
    post_process: bool | None = None
    shift_heatmap: bool | None = None

    @property
    def order(self) -> tuple[str, bool, bool]:
        """What tables are sorted by: codec and settings."""
        return self.codec, bool(self.post_process), bool(self.shift_heatmap)


@dataclass(frozen=True)
class Measurement:
    """One number, heatmap px, its closed form or None, and, where they differ, the same number on a roomy map."""

    case: Case
    quantity: str  # "target", "ideal": E|error| per axis; "flipped", "averaged": displacement in x
    measured: float
    closed_form: float | None
    input_px: float  # `measured` in input px
    largest: float | None = None  # the largest |error| on the grid
    bias: tuple[float, float] | None = None  # mean error in x and y
    roomy: float | None = None

    @property
    def difference(self) -> float | None:
        return None if self.closed_form is None else self.measured - self.closed_form

    @property
    def deviates(self) -> bool:
        return self.difference is not None and not abs(self.difference) <= TOLERANCE


@dataclass
class Report:
    """`maps`: errors (m,n,2) by case and quantity; `noise`: E|error| per axis at each of `levels`, by case."""

    levels: Sequence[float]
    seed: int
    measurements: list[Measurement] = field(default_factory=list)
    maps: dict[tuple[Case, str], Tensor] = field(default_factory=dict)
    noise: dict[Case, list[float]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def of(self, *quantities: str) -> list[Measurement]:
        """The measurements of some quantities, in order of codec, setting and quantity, then geometry."""
        some = [each for each in self.measurements if each.quantity in quantities]
        return sorted(some, key=lambda each: (each.case.order, each.quantity != quantities[0]))


def examine(
    build: Build, names: Iterable[str], geometries: Sequence[Geometry], levels: Sequence[float], seed: int = 0
) -> Report:
    """The report on the codecs `names`, which `build` makes, in every geometry.

    `levels` are standard deviations of the noise over the target's maximum. A codec that cannot exist in a geometry is
    left out, with the reason.
    """
    report = Report(levels, seed)
    for name in names:
        for geometry in geometries:
            try:
                measurements, maps = _measure(build, name, geometry)
            except ValueError as error:
                report.skipped.append(f"{name} at {geometry}: {error}")
                continue
            report.measurements += _compared_with_room(build, measurements)
            report.maps.update(maps)
            if levels:
                report.noise.update(_noise(build, name, geometry, levels, seed))
    return report


def _measure(build: Build, name: str, geometry: Geometry) -> tuple[list[Measurement], dict[tuple[Case, str], Tensor]]:
    """The numbers of a codec in one geometry, and the maps of its decoder's errors."""
    measurements, maps = [], {}
    for post_process, bench in _benches(build, name, geometry, "post_process"):
        case = Case(name, geometry, post_process)
        for quantity in ("target", "ideal") if bench.quantises else ("target",):
            errors = bench.errors(bench.target) if quantity == "target" else bench.ideal_errors
            maps[case, quantity] = errors
            theory = decoding_error(name, geometry.stride, quantity == "ideal", post_process is not False)
            input_px, largest = _mean(errors * bench.unit[:, 0]), errors.abs().max().item()
            bias_x, bias_y = errors.mean(dim=(0, 1)).tolist()
            measurements.append(Measurement(case, quantity, _mean(errors), theory, input_px, largest, (bias_x, bias_y)))
    for shift, bench in _benches(build, name, geometry, "shift_heatmap"):
        case = Case(name, geometry, shift_heatmap=shift)
        for quantity in ("flipped", "averaged"):
            measured = bench.misalignment(getattr(bench, quantity))
            theory = flip_misalignment(name, geometry.stride, bool(shift), quantity == "averaged")
            measurements.append(Measurement(case, quantity, measured, theory, measured * bench.unit[0, 0, 0].item()))
    return measurements, maps


def _noise(build: Build, name: str, geometry: Geometry, levels: Sequence[float], seed: int) -> dict[Case, list[float]]:
    """E|error| per axis at each of `levels`; the decoders of one geometry get the same noise."""
    return {
        Case(name, geometry, post_process): [_mean(bench.errors(bench.noisy(level, seed))) for level in levels]
        for post_process, bench in _benches(build, name, geometry, "post_process")
    }


def _compared_with_room(build: Build, measurements: list[Measurement]) -> list[Measurement]:
    """The measurements of one codec in one geometry; those that deviate also say what the same is on a roomy map."""
    if not any(each.deviates for each in measurements):
        return measurements
    case = measurements[0].case
    roomy, _ = _measure(build, case.codec, case.geometry.roomy)
    return [
        replace(here, roomy=there.measured) if here.deviates else here
        for here, there in zip(measurements, roomy, strict=True)
    ]


def _benches(build: Build, name: str, geometry: Geometry, setting: str) -> Iterator[tuple[bool | None, Bench]]:
    """The codec with a setting off and on, or once, with None, where that makes no difference."""
    off, on = (build(name, geometry, **{"post_process": True, setting: value}) for value in (False, True))
    if repr(vars(off)) == repr(vars(on)):
        yield None, Bench(on, geometry.stride)
    else:
        yield False, Bench(off, geometry.stride)
        yield True, Bench(on, geometry.stride)


def _mean(errors: Tensor) -> float:
    return errors.abs().mean().item()
