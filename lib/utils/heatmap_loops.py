"""Reading heatmaps on a CPU: compiled loops over maps, each of which is in the cache after its first reading.

heatmaps.py calls them and has the same for GPUs. Every loop works on the maps `first` to `end`; `maps` are (N,h,w)
float32, contiguous, and `step` takes every so many-th of them only.
"""

import numpy as np

from .compiled import compiled

PIECE = 256  # numbers whose extremes are found at once, to know where to look for the one
LEAST, MOST = np.int32(-(2**31)), np.int32(2**31 - 1)
INFINITY, MINUS_INFINITY = np.int32(0x7F800000), np.uint32(0xFF800000)


@compiled
def bit_extremes(bits, unsigned):
    """The highest and the lowest of float32 numbers' bits as int32, and the highest as uint32.

    A processor compares whole numbers with no regard to NaN, sixteen at once. Bits of numbers above zero have the
    numbers' order, bits of those below, as int32 and as uint32, the reverse; NaN is beyond infinity of its sign.
    """
    highest, lowest, most = LEAST, MOST, np.uint32(0)
    for x in range(len(bits)):
        here, bare = bits[x], unsigned[x]
        highest = here if here > highest else highest
        lowest = here if here < lowest else lowest
        most = bare if bare > most else most
    return highest, lowest, most


@compiled
def is_finite(highest, most):
    """Whether numbers with these `bit_extremes` are neither infinite nor NaN."""
    return highest < INFINITY and most < MINUS_INFINITY


@compiled
def first_maximum(values):
    """Index and value of the first maximum of (n,) numbers; NaN is above all."""
    bits, unsigned = values.view(np.int32), values.view(np.uint32)
    highest, most, index = LEAST, np.uint32(0), 0
    for start in range(0, len(bits), PIECE):
        high, bare = highest_bits(bits[start : start + PIECE], unsigned[start : start + PIECE])
        if high > highest:
            highest, index = high, start
        most = max(most, bare)
    if highest > INFINITY or most > MINUS_INFINITY:
        index = 0
        while not np.isnan(values[index]):
            index += 1
        return index, values[index]
    if highest < 0:  # all are below zero, where the lowest bits are the highest number's
        highest, index = bit_extremes(bits, unsigned)[1], 0
    while bits[index] != highest:
        index += 1
    return index, values[index]


@compiled
def highest_bits(bits, unsigned):
    """The highest of float32 numbers' bits as int32 and as uint32; see `bit_extremes`."""
    highest, most = LEAST, np.uint32(0)
    for x in range(len(bits)):
        here, bare = bits[x], unsigned[x]
        highest = here if here > highest else highest
        most = bare if bare > most else most
    return highest, most


@compiled
def maxima(first, end, maps, step, above, keypoints, scores):
    """Keypoints (N,2), x and y, and values (N,) of the first maxima; (0, 0) where the value is not above 0.

    With `above` of 0 and more moved 0.25 px toward the higher neighbours; see gaussian.quarter_shift.
    """
    height, width = maps.shape[1:]
    for i in range(first, end):
        heatmap = maps[i * step]
        index, scores[i] = first_maximum(heatmap.reshape(-1))
        y, x = divmod(index, width) if scores[i] > 0 else (0, 0)
        keypoints[i, 0], keypoints[i, 1] = x, y
        if 0 <= above < x < width - 1 and above < y < height - 1:
            keypoints[i, 0] += 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
            keypoints[i, 1] += 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
