"""Targets and mirrored heatmaps on a CPU: compiled loops over maps, each of which stays in the cache meanwhile.

rendering.py, aligned.py and base.py call them and have the same for GPUs. Every loop works on the maps `first` to `end`
of arrays (N,h,w) float32, contiguous.
"""

import numpy as np

from ..utils import vectors as vec
from ..utils.compiled import compiled

# Profiles are 2^50 times as high, their products 2^100 times; so high the smallest normal number, 2^-126, is 2^-26, and
# 2^49 makes of a product how many times it is the smallest number of all, 2^-149.
PEAK, LOWERED = np.float32(2.0**50), np.float32(2.0**-100)
NORMAL, UNITS = np.float32(2.0**-26), np.float32(2.0**49)
NOTHING, ZERO = np.float32(2.0**-51), np.float32(0)  # below the first, half the smallest number, all is rounded to 0


@compiled
def gaussians(first, end, mean, drawn, middle, reach, spread, maps):
    """Fills `maps` with Gaussians exp(-r^2 / spread) around means (N,2), where drawn (N,), and with zeros.

    They are cut off outside `rendering.window` of `reach` around `middle` (N,2). Far from the mean values are below
    float32's normal range, where a processor multiplies a hundred times slower: they are found as whole numbers, in
    units of the smallest.
    """
    height, width = maps.shape[1:]
    line, column, values = np.empty(width, np.float32), np.empty(height, np.float32), maps.reshape(-1)
    for i in range(first, end):
        maps[i] = 0
        if not drawn[i]:
            continue
        line[:] = 0
        first_x, end_x = raised_profile(mean[i, 0], middle[i, 0], reach, spread, line)
        first_y, end_y = raised_profile(mean[i, 1], middle[i, 1], reach, spread, column)
        if first_x == end_x or first_y == end_y:
            continue
        lowest = np.float64(min(line[first_x], line[end_x - 1])) * min(column[first_y], column[end_y - 1])
        for y in range(first_y, end_y):
            row = (i * height + y) * width
            if width < vec.LANES:
                draw_narrow(values, row, column[y], line, first_x, end_x)
            elif lowest >= NORMAL:
                for start in range(first_x, end_x, vec.LANES):
                    x = np.uintp(min(start, width - vec.LANES))
                    product = vec.times(vec.load(line, x), vec.filled(column[y]))
                    vec.store(values, np.uintp(row) + x, vec.times(product, vec.filled(LOWERED)))
            else:
                least = vec.filled(NOTHING / column[y])
                for start in range(first_x, end_x, vec.LANES):
                    x = np.uintp(min(start, width - vec.LANES))
                    # No product is below the normal range; those that lowering would take there are found in units.
                    product = vec.times(vec.at_least(vec.load(line, x), least), vec.filled(column[y]))
                    normal = vec.times(vec.at_least(product, vec.filled(NORMAL)), vec.filled(LOWERED))
                    units = vec.rounded(vec.times(vec.below(product, vec.filled(NORMAL)), vec.filled(UNITS)))
                    vec.store(values, np.uintp(row) + x, vec.floats_of(vec.either(vec.bits_of(normal), units)))


@compiled
def draw_narrow(values, row, value, line, first_x, end_x):
    """Writes a Gaussian's row of fewer pixels than a vector has."""
    least = NOTHING / value
    for x in range(first_x, end_x):
        product = value * line[x] if line[x] >= least else ZERO
        if product >= NORMAL:
            values[row + x] = product * LOWERED
        else:
            values[row + x] = vec.float_of(np.int32(np.rint(product * UNITS)))


@compiled
def raised_profile(mean, middle, reach, spread, line):
    """Fills `line` in the window, as far as it has pixels, with 2^50 times the profile exp(-(x - mean)^2 / spread).

    Returns the first of the pixels and the one after the last. From pixel to pixel the profile is multiplied by a
    factor that itself is multiplied by a constant: three exponentials instead of one a pixel, in double precision.
    """
    if not -reach - 1 <= middle <= len(line) + reach:  # nan, too
        return 0, 0
    first, end = max(0, int(middle - reach)), min(len(line), int(middle + reach + 1))
    if spread < 1:  # so steep that the first value may be 0, which no factor raises again
        for pixel in range(first, end):
            line[pixel] = np.exp(-((pixel - np.float64(mean)) ** 2) / spread) * PEAK
        return first, end
    apart = first - np.float64(mean)
    value = np.exp(-apart * apart / spread) * PEAK
    factor, change = np.exp(-(2 * apart + 1) / spread), np.exp(-2 / spread)
    for pixel in range(first, end):
        line[pixel] = value
        value *= factor
        factor *= change
    return first, end


@compiled
def disks(first, end, drawn, corner, offsets_x, offsets_y, maps):
    """Fills `maps` (N,3,h,w) with disks and offsets of drawn (N,) joints, and with zeros.

    Offsets (N,m) and (N,n) in radii belong to the pixels from `corner` (N,2), x and y, on.
    """
    height, width = maps.shape[2:]
    for i in range(first, end):
        maps[i] = 0
        if not drawn[i]:
            continue
        left, top = corner[i]
        for row in range(max(0, -top), min(offsets_y.shape[1], height - top)):
            y = offsets_y[i, row]
            for column in range(max(0, -left), min(offsets_x.shape[1], width - left)):
                x = offsets_x[i, column]
                if x * x + y * y <= 1:
                    maps[i, 0, top + row, left + column] = 1
                    maps[i, 1, top + row, left + column] = x
                    maps[i, 2, top + row, left + column] = y


@compiled
def mirror(first, end, maps, sources, shift, mirrored_maps):
    """Reverses the rows of the map `sources[i % C]` of the same person for every map i; C channels a person.

    With `shift` they move right by one pixel, and the first column keeps its value.
    """
    height, width = maps.shape[1:]
    channels = len(sources)
    for i in range(first, end):
        source = maps[i - i % channels + sources[i % channels]]
        for y in range(height):
            for x in range(width - shift):
                mirrored_maps[i, y, x + shift] = source[y, width - 1 - x]
            mirrored_maps[i, y, 0] = source[y, width - 1]
