"""Temporal consistency: pseudo-labels carried from frame to frame by optical flow (CC-SSL, Mu et al. 2020).

The flow is Lucas and Kanade's (1981), in OpenCV's pyramids, at the keypoints alone.
"""

from collections.abc import Callable

import cv2
import numpy as np

WINDOW = 15  # px, side of the patches that are followed
LEVELS = 2  # of the pyramid, above the frame itself
AGREEMENT = 2.0  # px; a point that does not come back this near when it is followed backwards is lost


def carry_over(
    keypoints: np.ndarray,
    confidence: np.ndarray,
    clip: np.ndarray,
    frame: np.ndarray,
    read_frame: Callable[[int], np.ndarray],
    limit: float = 15.0,
    decay: float = 0.9,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,K,2), image px, and confidences (N,K), each the most confident of three: its own, and those that come
    from the frame before and the frame after.

    A label that is carried over to the neighbouring frame has `decay` times its confidence there and may be carried on.
    It is lost where it cannot be followed, moves more than `limit` px, or does not come back.

    Args:
        clip, frame: (N,) clip of each record, -1 for none, and its place there; records of one clip stand in the order
            of time. Labels are carried over between frames that follow one another, not over a gap.
        read_frame: record -> its image (H,W,3) uint8. Each record's is read once.
    """
    forward, backward = ((keypoints.copy(), confidence.copy()) for _ in range(2))
    for run in _runs(clip, frame):
        frames = [cv2.cvtColor(read_frame(int(index)), cv2.COLOR_BGR2GRAY) for index in run]
        _sweep(forward, run, frames, limit, decay)
        _sweep(backward, run[::-1], frames[::-1], limit, decay)
    better = backward[1] > forward[1]
    return np.where(better[..., None], backward[0], forward[0]), np.where(better, backward[1], forward[1])


def _runs(clip: np.ndarray, frame: np.ndarray) -> list[np.ndarray]:
    """Two or more records of one clip whose frames follow one another, in order."""
    runs = np.split(np.arange(len(clip)), np.flatnonzero((np.diff(clip) != 0) | (np.diff(frame) != 1)) + 1)
    return [run for run in runs if len(run) > 1 and clip[run[0]] >= 0]


def _sweep(
    labels: tuple[np.ndarray, np.ndarray], run: np.ndarray, frames: list[np.ndarray], limit: float, decay: float
) -> None:
    """Carries labels along a run of records, changing them in place."""
    keypoints, confidence = labels
    for place in range(1, len(run)):
        before, here = run[place - 1], run[place]
        worth = decay * confidence[before]
        wanted = worth > confidence[here]
        if not wanted.any():
            continue
        moved, followed = follow(frames[place - 1], frames[place], keypoints[before], limit)
        taken = wanted & followed
        keypoints[here][taken] = moved[taken]
        confidence[here][taken] = worth[taken]


def follow(
    before: np.ndarray, after: np.ndarray, points: np.ndarray, limit: float = 15.0
) -> tuple[np.ndarray, np.ndarray]:
    """Where points (K,2) of a grey frame lie in the next one of the same size, and whether they could be followed (K,).

    Frames of different sizes (a film that was cut) are not followed at all.
    """
    lost = points.astype(np.float64), np.zeros(len(points), dtype=bool)
    if before.shape != after.shape:
        return lost
    height, width = before.shape
    inside = ((points >= 0) & (points <= (width - 1, height - 1))).all(axis=1)
    if not inside.any():
        return lost
    start = points[inside].astype(np.float32).reshape(-1, 1, 2)
    moved, found = _lucas_kanade(before, after, start)
    returned, also = _lucas_kanade(after, before, moved)
    near = np.linalg.norm((returned - start)[:, 0], axis=1) <= AGREEMENT
    short = np.linalg.norm((moved - start)[:, 0], axis=1) <= limit
    lost[0][inside] = moved[:, 0]
    lost[1][inside] = found & also & near & short
    return lost


def _lucas_kanade(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    start = np.empty_like(points)  # OpenCV's types want an array; without the flag for it, it is no first guess
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, start, winSize=(WINDOW,) * 2, maxLevel=LEVELS)
    return np.asarray(moved), np.asarray(found)[:, 0] > 0
