"""Reading heatmaps on a CPU: compiled loops over maps, each of which is in the cache after its first reading.

heatmaps.py calls them and has the same for GPUs. Every loop works on the maps `first` to `end`; `maps` are (N,h,w)
float32, contiguous, and `step` takes every so many-th of them only.
"""

import numpy as np

from . import vectors as vec
from .compiled import compiled

AHEAD = 2048  # numbers, 8 KiB: what is asked for in time to be there when it is read
LEAST, MOST = np.int32(-(2**31)), np.int32(2**31 - 1)
INFINITY, MINUS_INFINITY = np.int32(0x7F800000), np.uint32(0xFF800000)


@compiled
def highest_bits(values, begin, end, ahead):
    """The highest bits of float32 numbers, from `begin` to `end` of (n,), as int32 and as uint32.

    A processor compares whole numbers with no regard to NaN, sixteen at once. Bits of numbers above zero have the
    numbers' order, bits of those below, as int32 and as uint32, the reverse; NaN is beyond infinity of its sign.
    """
    high, bare, rest = vec.filled(LEAST), vec.filled(np.int32(0)), end - (end - begin) % vec.LANES
    for start in range(begin, rest, vec.LANES):
        here = vec.bits_of(vec.load(values, np.uintp(start)))
        if ahead > 0:
            vec.fetch(values, np.uintp(start + ahead))
        high, bare = vec.higher(high, here), vec.higher_bare(bare, here)
    most_high, most_bare = vec.highest(high), vec.highest_bare(bare)
    for index in range(rest, end):
        last = vec.bits_of(values[index])
        most_high, most_bare = max(most_high, last), max(most_bare, np.uint32(last))
    return most_high, most_bare


@compiled
def lowest_bits(values, begin, end):
    """The lowest bits of numbers, from `begin` to `end` of (n,), as int32; see `highest_bits`."""
    low, rest = vec.filled(MOST), end - (end - begin) % vec.LANES
    for start in range(begin, rest, vec.LANES):
        low = vec.lower(low, vec.bits_of(vec.load(values, np.uintp(start))))
    least = vec.lowest(low)
    for index in range(rest, end):
        least = min(least, vec.bits_of(values[index]))
    return least


@compiled
def first_maximum(values, begin, end, ahead=0):
    """Place after `begin` and value of the first maximum of the numbers from `begin` to `end`; NaN is above all.

    With `ahead` what is so many numbers further on is asked for, to be in the cache when its turn comes.
    """
    high, bare = highest_bits(values, begin, end, ahead)
    if high > INFINITY or bare > MINUS_INFINITY:
        index = begin
        while not np.isnan(values[index]):
            index += 1
        return index - begin, values[index]
    if high < 0:  # all are below zero, where the lowest bits are the highest number's
        high = lowest_bits(values, begin, end)
    wanted, start = vec.filled(high), begin
    while start + vec.LANES <= end:
        place = vec.first_equal(vec.bits_of(vec.load(values, np.uintp(start))), wanted)
        if place < vec.LANES:
            return start + place - begin, vec.float_of(high)
        start += vec.LANES
    while vec.bits_of(values[start]) != high:
        start += 1
    return start - begin, vec.float_of(high)


@compiled
def maxima(first, end, maps, step, above, keypoints, scores):
    """Keypoints (N,2), x and y, and values (N,) of the first maxima; (0, 0) where the value is not above 0.

    With `above` of 0 and more moved 0.25 px toward the higher neighbours; see gaussian.quarter_shift.
    """
    height, width = maps.shape[1:]
    values, size = maps.reshape(-1), height * width
    for i in range(first, end):
        begin = i * step * size
        index, scores[i] = first_maximum(values, begin, begin + size, AHEAD)
        y, x = divmod(index, width) if scores[i] > 0 else (0, 0)
        keypoints[i, 0], keypoints[i, 1] = x, y
        if 0 <= above < x < width - 1 and above < y < height - 1:
            here = begin + index
            keypoints[i, 0] += 0.25 * np.sign(values[here + 1] - values[here - 1])
            keypoints[i, 1] += 0.25 * np.sign(values[here + width] - values[here - width])
