"""Reference arrays, their tolerances, and the record of what was compared.

A folder of references holds .npz files and index.json: for each file its fork and for each array its role ("input" or
"output") and its tolerance in words, such as "abs 1e-6", "rel 1e-5" or "exact".
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent / "reference"
NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"


@dataclass(frozen=True)
class Comparison:
    """One reference array beside ours: its largest deviation, and that as a share of what is allowed there."""

    fork: str
    link: str
    file: str
    array: str
    values: int  # how many numbers were compared
    skipped: int  # how many the reference itself excludes, e.g. where its own result hangs on rounding
    deviation: float
    share: float
    tolerance: str

    @property
    def passed(self) -> bool:
        return self.share <= 1


def allowed(tolerance: str, expected: np.ndarray) -> np.ndarray:
    """How far from each value of `expected` a result may be, from a tolerance in words.

    >>> allowed("abs 1e-3 px", np.array([5.0]))
    array([0.001])
    >>> allowed("abs 1e-7 + rel 1e-4", np.array([10.0])).round(9)
    array([0.0010001])
    """
    size = np.abs(expected.astype(np.float64))
    if tolerance.startswith(("exact", "bit")):
        return np.zeros(expected.shape)
    limits = np.zeros(expected.shape)
    if found := re.search(rf"abs (?:<= )?{NUMBER}", tolerance):
        limits = limits + float(found[1])
    if found := re.search(rf"rel {NUMBER}", tolerance):
        # What is 0 up to the rounding of its neighbours is measured by them.
        finite = size[np.isfinite(size)]
        limits = limits + float(found[1]) * np.maximum(size, 1e-6 * (finite.max() if finite.size else 0))
    if not limits.any() and "0" not in tolerance:
        raise ValueError(f"tolerance {tolerance!r} is not understood; expected 'exact', 'abs N' or 'rel N'")
    return limits


class References:
    """The .npz files of a folder, and what was compared of them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.index: dict[str, Any] = json.loads((folder / "index.json").read_text())
        self.comparisons: list[Comparison] = []
        self.left_out: dict[str, str] = {}  # "file:array" -> why

    def names(self) -> list[str]:
        """Names of the files that are there, without the ending."""
        return [name.removesuffix(".npz") for name in self.index["files"] if (self.folder / name).is_file()]

    def open(self, name: str) -> "ReferenceFile":
        return ReferenceFile(self, name)


class ReferenceFile:
    """One .npz file: arrays by name, and `compare`."""

    def __init__(self, references: References, name: str):
        self.references, self.name = references, name
        self.about: dict[str, Any] = references.index["files"][f"{name}.npz"]
        self.fork: str = self.about["repo_short"]
        self._arrays = np.load(references.folder / f"{name}.npz")
        self.link = name.split("_")[0] + ("_cv4" if name.endswith("_cv4") else "")

    def __getitem__(self, array: str) -> np.ndarray:
        return self._arrays[array]

    def __contains__(self, array: str) -> bool:
        return array in self._arrays

    def outputs(self) -> list[str]:
        """Arrays that the fork's code gave, as against those it was given."""
        return [name for name in self._arrays.files if self.about["arrays"][name]["role"] == "output"]

    def cases(self, level: int = 1) -> list[str]:
        """The first `level` parts of the names of the outputs, in order.

        "std_post0/64x48/gauss/maxvals" is of case "std_post0" at level 1 and "std_post0/64x48/gauss" at level 3.
        """
        return list(dict.fromkeys("/".join(name.split("/")[:level]) for name in self.outputs()))

    def compare(
        self,
        array: str,
        found: Any,
        where: np.ndarray | None = None,
        tolerance: str | None = None,
        expected: np.ndarray | None = None,
        unit: Any = None,
    ) -> None:
        """Records how far `found` is from the array; nothing where the file does not hold it.

        Args:
            found: our result, in the array's shape.
            where: mask of the values to compare, for references that exclude some in their tolerance's words.
            tolerance: words in place of the index's, for an array whose parts have several.
            expected: a part of the array, in place of the whole.
            unit: the standard deviation, where deviation and tolerance are in units of it.
        """
        if array not in self:
            return
        expected = self[array] if expected is None else expected
        words = tolerance or self.about["arrays"][array]["tolerance"]
        found = np.asarray(found)
        if found.shape != expected.shape:
            self.record(array, expected.size, 0, np.inf, np.inf, f"shape {expected.shape}, got {found.shape}")
            return
        mask = np.ones(expected.shape, bool) if where is None else np.broadcast_to(where, expected.shape)
        if unit is not None:
            found, expected, words = found / unit, expected / unit, f"{words} std"
        limits = allowed(words, expected)
        deviation, share = _deviation(found[mask], expected[mask], np.broadcast_to(limits, expected.shape)[mask])
        self.record(array, int(mask.sum()), int((~mask).sum()), deviation, share, words)

    def leave_out(self, array: str, reason: str) -> None:
        """Says why an array is not compared."""
        if array in self:
            self.references.left_out[f"{self.name}:{array}"] = reason

    def record(self, array: str, values: int, skipped: int, deviation: float, share: float, words: str) -> None:
        """Adds one comparison; `share` above 1 is a failure."""
        self.references.comparisons.append(
            Comparison(self.fork, self.link, self.name, array, values, skipped, deviation, share, words)
        )


def _deviation(found: np.ndarray, expected: np.ndarray, limits: np.ndarray) -> tuple[float, float]:
    """The largest deviation, and the largest one as a share of its limit. NaN equals NaN and nothing else."""
    if found.size == 0:
        return 0.0, 0.0
    if expected.dtype.kind not in "fiub":
        return (0.0, 0.0) if np.array_equal(found, expected) else (np.inf, np.inf)
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    both_undefined = np.isnan(found) & np.isnan(expected)
    apart = np.where(both_undefined, 0.0, np.abs(found - expected))
    apart = np.where(np.isnan(apart), np.inf, apart)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(apart == 0, 0.0, apart / limits)
    return float(apart.max()), float(shares.max())


def record_values(
    references: References, link: str, array: str, found: np.ndarray, expected: np.ndarray, tolerance: str
) -> None:
    """Adds one comparison with numbers that stand in no file of references; `link` names its fork, too."""
    deviation, share = _deviation(found, expected, allowed(tolerance, expected))
    references.comparisons.append(Comparison(link, link, link, array, expected.size, 0, deviation, share, tolerance))
