"""How far keypoints lie from the truth: the share that lies near enough (PCK), its area (AUC), the mean (EPE)."""

from typing import NamedTuple

import numpy as np


def pck(
    predicted: np.ndarray,
    truth: np.ndarray,
    normaliser: np.ndarray | float,
    threshold: np.ndarray | float,
    visible: np.ndarray,
) -> np.ndarray:
    """Share (K,) of the visible keypoints at most `threshold` times `normaliser` away from the truth.

    Args:
        predicted, truth: (N, K, 2), px of one image space. A prediction that is NaN is a miss.
        normaliser: the length that distances are measured in, px: one, or (N,) or (N, 1) for each person, or (N, K).
            Where it is NaN the truth counts as unknown. See normalisers.py.
        threshold: one number; for a curve (T,) numbers, which give (T, K) shares.
        visible: (N, K), above 0 where the truth is known. A joint that is never known has the share NaN.

    Raises:
        ValueError: shapes that do not fit, or a normaliser that is not positive.

    >>> truth = np.zeros((2, 1, 2))
    >>> pck(truth + [[[3.0, 4.0]], [[0.0, 5.1]]], truth, 10.0, np.array([0.4, 0.5]), np.ones((2, 1))).tolist()
    [[0.0], [0.5]]
    """
    distance, known = _distances(predicted, truth, visible)
    lengths = _lengths(normaliser, distance.shape)
    known &= ~np.isnan(lengths)
    thresholds = np.asarray(threshold, np.float64)
    near = (distance / lengths <= thresholds[..., None, None]) & known  # (T, N, K) or (N, K)
    return _mean_of_people(near, known)


def auc(
    predicted: np.ndarray,
    truth: np.ndarray,
    normaliser: np.ndarray | float,
    thresholds: np.ndarray,
    visible: np.ndarray,
) -> np.ndarray:
    """Area (K,) under the curve of `pck` over the thresholds, divided by their range: in 0..1.

    By the trapezoidal rule between `thresholds` (T,), two or more that rise. The other arguments, NaN and the errors
    are those of `pck`.

    >>> truth = np.zeros((2, 1, 2))
    >>> auc(truth + [[[0.0, 0.0]], [[4.0, 3.0]]], truth, 10.0, np.array([0.0, 0.4, 0.5, 1.0]), np.ones((2, 1))).tolist()
    [0.775]
    """
    thresholds = np.asarray(thresholds, np.float64)
    if thresholds.ndim != 1 or len(thresholds) < 2 or (np.diff(thresholds) <= 0).any():
        raise ValueError(f"the thresholds {thresholds.tolist()} span no range; give two or more that rise")
    curve = pck(predicted, truth, normaliser, thresholds, visible)  # (T, K)
    steps = np.diff(thresholds)[:, None]
    return ((curve[1:] + curve[:-1]) / 2 * steps).sum(axis=0) / (thresholds[-1] - thresholds[0])


class EndPointError(NamedTuple):
    """per_joint (K,), NaN for joints that are never known; mean over all known keypoints, NaN if there are none."""

    per_joint: np.ndarray
    mean: float


def epe(predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray) -> EndPointError:
    """Mean distance of the visible keypoints from the truth, in the unit of the coordinates.

    The arguments are those of `pck`; the mean weighs joints by how often they are known. A prediction that is NaN makes
    the error of its joint and the mean NaN.

    >>> truth = np.zeros((2, 2, 2))
    >>> epe(truth + [[[3.0, 4.0]], [[0.0, 1.0]]], truth, np.array([[1, 1], [1, 0]]))
    EndPointError(per_joint=array([3., 5.]), mean=3.6666666666666665)
    """
    distance, known = _distances(predicted, truth, visible)
    distance = np.where(known, distance, 0)
    mean = distance.sum() / known.sum() if known.any() else np.nan
    return EndPointError(_mean_of_people(distance, known), float(mean))


def _distances(predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances (N, K) from the truth, and the mask (N, K) of those that are known."""
    predicted, truth, known = np.asarray(predicted), np.asarray(truth), np.asarray(visible) > 0
    if predicted.shape != truth.shape or predicted.shape != (*known.shape, 2):
        raise ValueError(
            f"predicted {predicted.shape}, truth {truth.shape} and visible {known.shape} do not fit together; "
            "give (N, K, 2), (N, K, 2) and (N, K)"
        )
    return np.linalg.norm(predicted - truth, axis=2), known


def _lengths(normaliser: np.ndarray | float, shape: tuple[int, int]) -> np.ndarray:
    """The normaliser as one number, (N, 1) or (N, K); `shape` is (N, K)."""
    lengths = np.asarray(normaliser, np.float64)
    lengths = lengths[:, None] if lengths.shape == shape[:1] else lengths
    if lengths.shape not in ((), (shape[0], 1), shape):
        raise ValueError(
            f"a normaliser of shape {lengths.shape} for {shape[0]} people with {shape[1]} keypoints; give one number, "
            "(N,), (N, 1) or (N, K)"
        )
    if (lengths <= 0).any():
        raise ValueError(
            f"a normaliser of {lengths[lengths <= 0].flat[0]:g} px; give positive lengths, or NaN to leave people out"
        )
    return lengths


def _mean_of_people(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The mean (..., K) of values (..., N, K) that are 0 where they are not known (N, K); NaN where none is."""
    count = known.sum(axis=0)
    return np.where(count > 0, values.sum(axis=-2) / np.maximum(count, 1), np.nan)
