"""DARK's decoding on a CPU: a compiled loop over maps, each of which stays in the cache meanwhile.

dark.py calls it and has the same for GPUs.
"""

import math

import numpy as np

from ..utils.compiled import compiled
from ..utils.heatmap_loops import AHEAD, first_maximum
from .blur_loops import blur_patch, room_of


@compiled
def taylor_keypoints(first, end, maps, step, kernel, floor, keypoints, scores):
    """Keypoints (N,2) and scores (N,) of heatmaps, as DarkCodec.decode says; no value below `floor` has a logarithm.

    Works on the maps `first` to `end`, every `step`-th, of (N,h,w) float32. `kernel` is a tuple of its weights from the
    middle outwards.
    """
    height, width = maps.shape[1:]
    values, size = maps.reshape(-1), height * width
    reach = len(kernel) - 1
    room, logarithms = room_of((height + 2 * reach) * (width + 2 * reach)), np.empty((5, 5))
    window = np.empty(25, np.float32)
    for i in range(first, end):
        heatmap = maps[i * step]
        index, score = first_maximum(values, i * step * size, (i * step + 1) * size, AHEAD)
        y, x = divmod(index, width) if score > 0 else (0, 0)
        keypoints[i, 0], keypoints[i, 1], scores[i] = x, y, score
        if not (1 < x < width - 2 and 1 < y < height - 2):
            continue
        window[:] = blur_patch(heatmap, y - 2, x - 2, 5, 5, kernel, True, room)
        if window.min() < floor:  # see DarkCodec._log_windows
            window *= score / first_maximum(blur_patch(heatmap, 0, 0, height, width, kernel, True, room), 0, size)[1]
        for pixel in range(25):
            value = window[pixel]
            logarithms[pixel // 5, pixel % 5] = math.log(floor if value < floor else value)
        step_x, step_y = taylor_step(logarithms)
        keypoints[i, 0] += step_x
        keypoints[i, 1] += step_y


@compiled
def taylor_step(f):
    """dark.taylor_step of one window (5,5)."""
    dx, dy = (f[2, 3] - f[2, 1]) / 2, (f[3, 2] - f[1, 2]) / 2
    dxx, dyy = (f[2, 4] - 2 * f[2, 2] + f[2, 0]) / 4, (f[4, 2] - 2 * f[2, 2] + f[0, 2]) / 4
    dxy = (f[3, 3] - f[1, 3] - f[3, 1] + f[1, 1]) / 4
    return newton_step(dx, dy, dxx, dxy, dyy)


@compiled
def newton_step(dx, dy, dxx, dxy, dyy):
    """dark.newton_step of one keypoint, along x and along y."""
    determinant = dxx * dyy - dxy * dxy
    if determinant == 0:
        return 0.0, 0.0
    return (dxy * dy - dyy * dx) / determinant, (dxy * dx - dxx * dy) / determinant
