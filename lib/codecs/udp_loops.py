"""UDP's decoding on a CPU: compiled loops over maps, each of which stays in the cache meanwhile.

udp.py calls them and has the same for GPUs. Every loop works on the maps `first` to `end` of arrays (N,h,w) float32,
contiguous, with sides of at least as many pixels as the kernel has weights; `disk_keypoints` takes smaller ones, too.
Kernels are tuples of their weights from the middle outwards.
"""

import math

import numpy as np

from ..utils.compiled import compiled, fused
from ..utils.heatmap_loops import bit_extremes, first_maximum, is_finite
from .blur_loops import blur_patch, mirrored, room_of, weigh, weighed, weighed_extremes
from .dark_loops import newton_step

BLOCK = 4  # rows whose common maximum bounds the blurred map
TALL, WIDE = 4 * BLOCK, 8  # px; what is blurred where the maximum should be
MARGIN = 1 + 1e-4  # roundings of bounds


@compiled
def taylor_keypoints(first, end, maps, step, kernel, floor, ceiling, keypoints, scores):
    """Keypoints (N,2) and scores (N,) of heatmaps, as UdpCodec.decode says, by logarithms from `floor` to `ceiling`."""
    height, width = maps.shape[1:]
    reach, size, apart = len(kernel) - 1, height * width, np.uintp(width)
    rows, extremes = np.empty((height + 2 * reach) * width, np.float32), np.empty(2, np.float32)
    window = np.empty((3, 3))
    for i in range(first, end):
        flat = maps[i * step].reshape(-1)
        blur_along_x(flat, width, kernel, rows[reach * width : reach * width + size])
        # After that, not before: sums that the processor has to do anyway, while the map comes from the memory.
        index, score = first_maximum(flat)
        y, x = divmod(index, width) if score > 0 else (0, 0)
        mirror_rows(rows, width, reach)
        find_extremes(rows, width, kernel, size, extremes)
        lowest, span = extremes[0], extremes[1] - extremes[0]
        for row in range(3):
            line = min(max(y + row - 1, 0), height - 1) * width
            for column in range(3):
                here = np.uintp(line + min(max(x + column - 1, 0), width - 1))
                value = (weighed(rows, here, apart, kernel) - lowest) / span * score
                if not value >= floor:
                    value = value if np.isnan(value) else floor
                window[row, column] = math.log(min(value, ceiling))
        step_x, step_y = taylor_step(window)
        keypoints[i, 0], keypoints[i, 1], scores[i] = x + step_x, y + step_y, score


@compiled
def taylor_step(f):
    """udp.taylor_step of one window (3,3)."""
    dx, dy = (f[1, 2] - f[1, 0]) / 2, (f[2, 1] - f[0, 1]) / 2
    dxx, dyy = f[1, 2] - 2 * f[1, 1] + f[1, 0], f[2, 1] - 2 * f[1, 1] + f[0, 1]
    dxy = (f[2, 2] + f[0, 0] + 2 * f[1, 1] - (f[1, 2] + f[2, 1] + f[1, 0] + f[0, 1])) / 2
    return newton_step(dx, dy, dxx, dxy, dyy)


@compiled
def find_extremes(rows, width, kernel, size, extremes):
    """Writes minimum and maximum of a map (size,) whose `rows` are to be blurred along y; NaN is below or above all."""
    highest, most = weighed_extremes(rows, width, kernel, size)
    lowest = np.int32(0)
    if highest < 0 or most < 1 << 31:  # all numbers have one sign, as they seldom do
        blurred = np.empty(size, np.float32)
        weigh(rows, width, kernel, blurred)
        lowest = bit_extremes(blurred.view(np.int32), blurred.view(np.uint32))[1]
    extremes.view(np.uint32)[0] = most if most >= 1 << 31 else np.uint32(lowest)
    extremes.view(np.int32)[1] = highest if highest >= 0 else lowest


@compiled
def blur_along_x(values, width, kernel, blurred):
    """Blurs a map's rows, in `values` (h*w,), mirrored outside, into `blurred` (h*w,): a long loop over all at once.

    Only the outermost pixels are a matter of their own.
    """
    reach = len(kernel) - 1
    weigh(values, 1, kernel, blurred[reach : len(values) - reach])
    weigh_ends(values, width, kernel, blurred)


@compiled
def mirror_rows(rows, width, reach):
    """Fills the first and the last `reach` rows, in `rows` (n,), with those that are mirrored there."""
    last = len(rows) // width - 1
    for row in range(reach):
        for to, source in ((row, 2 * reach - row), (last - row, last - 2 * reach + row)):
            outside, inside = rows[to * width : (to + 1) * width], rows[source * width : (source + 1) * width]
            for x in range(width):
                outside[x] = inside[x]


@fused
def weigh_ends(values, width, kernel, sums):
    """What `weigh` gives for the outermost pixels of rows, in `values` (n,), that are mirrored outside."""
    reach = len(kernel) - 1
    for start in range(0, len(values), width):
        first, last = np.uintp(start), np.uintp(start + width - 1)  # see `weigh`
        for x in range(reach):
            here = np.uintp(x)
            left, right = values[first + here] * kernel[0], values[last - here] * kernel[0]
            for away in range(1, reach + 1):
                inner, outer = np.uintp(abs(x - away)), np.uintp(x + away)
                left += (values[first + inner] + values[first + outer]) * kernel[away]
                right += (values[last - inner] + values[last - outer]) * kernel[away]
            sums[first + here], sums[last - here] = left, right


@compiled
def disk_keypoints(first, end, maps, disk_kernel, offset_kernel, radius, keypoints, scores):
    """Keypoints (N,2) and scores (N,) of disks and offsets (3N,h,w), as UdpOffsetCodec.decode says."""
    height, width = maps.shape[1:]
    reach = len(disk_kernel) - 1
    search, room = room_to_search(height, width, disk_kernel), room_of((height + 2 * reach) * (width + 2 * reach))
    for i in range(first, end):
        index, score = highest_of_blurred(maps[3 * i], disk_kernel, search, room)
        y, x = divmod(index, width) if score > 0 else (0, 0)
        for axis in range(2):
            offset = blur_patch(maps[3 * i + 1 + axis], y, x, 1, 1, offset_kernel, False, room)[0]
            keypoints[i, axis] = (y if axis else x) + offset * radius
        scores[i] = score


@compiled
def room_to_search(height, width, kernel):
    """Weights of blocks of rows and arrays for `highest_of_blurred`."""
    reach, blocks, most = len(kernel) - 1, -(-height // BLOCK), most_weights(kernel)
    rows = np.empty(blocks, np.int32), np.empty(blocks + len(most) - 1, np.float32), np.empty(blocks, np.float32)
    columns = np.empty(width, np.int32), np.empty(width + 2 * reach, np.float32), np.empty(width, np.float32)
    return most, rows, columns, np.empty(height * width // 8, np.int32)


@compiled
def highest_of_blurred(heatmap, kernel, search, room):
    """Index and value of the first maximum of the blurred map, mirrored outside.

    A blurred value is at most what the maxima of its rows, or of its columns, would be blurred to. Only where both
    reach the value in the most promising place is the map blurred.
    """
    height, width = heatmap.shape
    most, (rows, padded_rows, row_bounds), (columns, padded_columns, column_bounds), eighth = search
    if not block_maxima(heatmap.reshape(-1), width, rows):
        return highest_in(heatmap, kernel, 0, 0, height, width, room)
    column_maxima(heatmap.reshape(-1).view(np.int32), width, eighth, columns)
    mirror_ends(rows.view(np.float32), height, BLOCK, padded_rows)
    mirror_ends(columns.view(np.float32), width, 1, padded_columns)
    weigh_blocks(padded_rows, most, row_bounds)
    weigh(padded_columns, 1, kernel, column_bounds)
    top, left = max(0, BLOCK * (row_bounds.argmax() - 1)), max(0, column_bounds.argmax() - WIDE // 2)
    bottom, right = min(top + TALL, height), min(left + WIDE, width)
    index, value = highest_in(heatmap, kernel, top, left, bottom, right, room)
    if not value > 0:
        return highest_in(heatmap, kernel, 0, 0, height, width, room)
    first_block, end_block = reaching(row_bounds, value)
    first_y, end_y = BLOCK * first_block, min(BLOCK * end_block, height)
    first_x, end_x = reaching(column_bounds, value)
    if top <= first_y and end_y <= bottom and left <= first_x and end_x <= right:
        return index, value
    return highest_in(heatmap, kernel, first_y, first_x, end_y, end_x, room)


@compiled
def most_weights(kernel):
    """The most that each block of rows around a row, its own in the middle, can weigh."""
    reach = len(kernel) - 1
    rim = -(-reach // BLOCK)
    most = np.zeros(2 * rim + 1, np.float32)
    for row in range(BLOCK):
        sums = np.zeros(2 * rim + 1, np.float32)
        for away in range(-reach, reach + 1):
            sums[(row + away + rim * BLOCK) // BLOCK] += kernel[abs(away)]
        most = np.maximum(most, sums)
    return most


@compiled
def block_maxima(values, width, maxima):
    """Bits of the maxima, at least 0, of blocks of rows of a map (h*w,); False where it has NaN or infinite numbers."""
    bits, unsigned, size = values.view(np.int32), values.view(np.uint32), BLOCK * width
    finite = True
    for block in range(len(maxima)):
        here = slice(block * size, (block + 1) * size)
        highest, _, most = bit_extremes(bits[here], unsigned[here])
        finite &= is_finite(highest, most)
        maxima[block] = max(highest, 0)
    return finite


@compiled
def column_maxima(bits, width, eighth, maxima):
    """Bits of the maxima, at least 0, of columns of a map (h*w,), from its bits; `eighth` is room for h*w//8."""
    rows, size = bits, len(bits) // 8
    if size % width == 0:
        a, b, c, d = bits[:size], bits[size:], bits[2 * size :], bits[3 * size :]
        e, f, g, h = bits[4 * size :], bits[5 * size :], bits[6 * size :], bits[7 * size :]
        for x in range(size):
            one, two = a[x] if a[x] > b[x] else b[x], c[x] if c[x] > d[x] else d[x]
            three, four = e[x] if e[x] > f[x] else f[x], g[x] if g[x] > h[x] else h[x]
            one, three = one if one > two else two, three if three > four else four
            eighth[x] = one if one > three else three
        rows = eighth[:size]
    maxima[:] = 0
    for start in range(0, len(rows), width):
        row = rows[start : start + width]
        for x in range(len(maxima)):
            maxima[x] = row[x] if row[x] > maxima[x] else maxima[x]


@compiled
def mirror_ends(maxima, length, size, padded):
    """Copies maxima (n,) of `size` px each, of `length` px, and on both sides those of what is mirrored there."""
    reach, whole = (len(padded) - len(maxima)) // 2, length // size
    for number in range(whole):
        padded[reach + number] = maxima[number]
    for outside in range(len(maxima) - whole + 2 * reach):
        number = outside - reach if outside < reach else whole + outside - reach
        most = maxima[0] * 0
        for pixel in range(size * number, size * (number + 1)):
            most = max(most, maxima[mirrored(pixel, length) // size])
        padded[reach + number] = most


@fused
def weigh_blocks(padded, weights, bounds):
    """Sums (n,) of products of maxima and weights, from every start."""
    bounds[:] = 0
    for tap in range(len(weights)):
        part, weight = padded[tap:], weights[tap]
        for number in range(len(bounds)):
            bounds[number] += part[number] * weight


@compiled
def reaching(bounds, value):
    """The first that reaches a value and the one after the last that does."""
    first, end = len(bounds), 0
    for number in range(len(bounds)):
        if bounds[number] * MARGIN >= value:
            first, end = min(first, number), number + 1
    return first, end


@compiled
def highest_in(heatmap, kernel, top, left, bottom, right, room):
    """Index and value of the first maximum of the blurred map in a rectangle; NaN is above all."""
    wide = right - left
    index, value = first_maximum(blur_patch(heatmap, top, left, bottom - top, wide, kernel, False, room))
    return (top + index // wide) * heatmap.shape[1] + left + index % wide, value
