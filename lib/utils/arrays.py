"""Lists from JSON files -> arrays, whatever stands in them."""

from typing import Any

import numpy as np


def numbers(rows: list[Any], width: int) -> np.ndarray:
    """(N, width) float64 of N lists; nan in the rows that are not `width` numbers.

    >>> numbers([[1, 2], [3], [None, 4]], 2).tolist()
    [[1.0, 2.0], [nan, nan], [nan, nan]]
    """
    try:
        array = np.array(rows)
    except ValueError:  # rows of different lengths
        array = np.array([])
    if array.dtype.kind in "iuf" and array.shape == (len(rows), width):
        return array.astype(np.float64)
    return np.array([_row(row, width) for row in rows], np.float64).reshape(len(rows), width)


def _row(row: Any, width: int) -> list[float]:
    sound = isinstance(row, list) and len(row) == width
    if sound and all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in row):
        return row
    return [float("nan")] * width
