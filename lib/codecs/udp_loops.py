"""UDP's decoding on a CPU: compiled loops over maps, each of which stays in the cache meanwhile.

udp.py calls them and has the same for GPUs. Every loop works on the maps `first` to `end` of arrays (N,h,w) float32,
contiguous, of LANES or more pixels in a row and more rows than the kernel reaches, which is less than LANES. Kernels
are tuples of their weights from the middle outwards.
"""

import math
from collections import namedtuple

import numpy as np

from ..utils import vectors as vec
from ..utils.compiled import compiled
from ..utils.heatmap_loops import first_maximum
from .blur_loops import mirrored
from .dark_loops import newton_step
from .line_loops import (
    aligned,
    blur_along_x,
    blur_along_y,
    extremes_along_x,
    fetch_lines,
    first_product,
    lines_apart,
    mirror_ends,
    weighed_vector,
    whole_vectors,
)

TALL = 8  # rows that are blurred where the maximum should be
ONE, THREE = (0,), (0, 1, 2)  # lines of the cache that are asked for at once; see `fetch_lines`
MARGIN = 1 + 1e-4  # roundings of bounds


@compiled
def taylor_keypoints(first, end, maps, step, kernel, floor, ceiling, keypoints, scores):
    """Keypoints (N,2) and scores (N,) of heatmaps, as UdpCodec.decode says, by logarithms from `floor` to `ceiling`."""
    shape, values = maps.shape[1:], maps.reshape(-1)
    (height, width), reach, apart = shape, len(kernel) - 1, lines_apart(maps.shape[2])
    size, lines = height * width, 2 * vec.LANES  # before them room for a part of one
    room = aligned(lines + height * apart + vec.LANES)
    window, places = np.zeros((3, 3)), np.empty(2 * reach + 1, np.uintp)
    for i in range(first, end):
        begin = i * step * size
        blur_along_y(values, begin, shape, 0, height, kernel, room, lines, apart, places, begin + step * size, ONE)
        # After that, not before: sums that the processor has to do anyway, while the map comes from the memory.
        index, score = first_maximum(values, begin, begin + size)
        y, x = divmod(index, width) if score > 0 else (0, 0)
        lowest, most = extremes_along_x(room, lines, apart, shape, kernel)
        start = max(0, min(x - 1, width - vec.LANES))
        for row in range(3):
            line = lines + min(max(y + row - 1, 0), height - 1) * apart
            vec.store(room, np.uintp(0), weighed_vector(room, np.uintp(line + start - reach), np.uintp(1), kernel))
            for column in range(max(0, row - 1), min(3, row + 2)):  # all but two corners, which nothing reads
                blurred = room[min(max(x + column - 1, 0), width - 1) - start]
                value = (blurred - lowest) / (most - lowest) * score
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
def disk_keypoints(first, end, maps, disk_kernel, offset_kernel, radius, keypoints, scores):
    """Keypoints (N,2) and scores (N,) of disks and offsets (3N,h,w), as UdpOffsetCodec.decode says."""
    shape, values = maps.shape[1:], maps.reshape(-1)
    width, size, plan = shape[1], shape[0] * shape[1], plan_of(shape)
    room, places = aligned(plan.end), np.empty(2 * len(disk_kernel) - 1, np.uintp)
    for i in range(first, end):
        index, scores[i] = highest_of_blurred(values, 3 * i * size, shape, disk_kernel, room, plan, places)
        y, x = divmod(index, width) if scores[i] > 0 else (0, 0)
        begin = (3 * i + 1) * size
        keypoints[i, 0] = x + blurred_pixel(values, begin, shape, y, x, offset_kernel, room) * radius
        keypoints[i, 1] = y + blurred_pixel(values, begin + size, shape, y, x, offset_kernel, room) * radius


@compiled
def leftmost(x, width, reach):
    """The first of LANES columns that hold those within `reach` of `x`, mirrored where there are none."""
    first = max(x - reach, 0)
    begin = first - first % vec.LANES  # so that they are in one line of the cache, if they can be
    return min(begin if x + reach < begin + vec.LANES else first, width - vec.LANES)


@compiled
def blurred_pixel(values, begin, shape, y, x, kernel, room):
    """The blurred map at one pixel, by a kernel that reaches less than LANES / 2."""
    (height, width), start = shape, leftmost(x, shape[1], len(kernel) - 1)
    column = begin + start
    total = first_product(vec.load(values, np.uintp(column + y * width)), kernel)
    for away in range(1, len(kernel)):
        above, below = mirrored(y - away, height) * width, mirrored(y + away, height) * width
        pair = vec.plus(vec.load(values, np.uintp(column + above)), vec.load(values, np.uintp(column + below)))
        total = vec.product_plus(pair, vec.filled(kernel[away]), total)
    vec.store(room, np.uintp(0), total)
    blurred = room[x - start] * kernel[0]
    for away in range(1, len(kernel)):
        left, right = mirrored(x - away, width) - start, mirrored(x + away, width) - start
        blurred += (room[left] + room[right]) * kernel[away]
    return blurred


# Where in an array is what: maxima of rows, what these are blurred to, lines, and the blurred map.
Plan = namedtuple("Plan", "rows bounds lines apart blurred end")


@compiled
def plan_of(shape):
    """The plan of `highest_of_blurred`. Maxima have room for what is mirrored at both ends, bounds end with zeros."""
    (height, width), apart = shape, lines_apart(shape[1])
    bounds = whole_vectors(height) + 2 * vec.LANES
    lines = bounds + whole_vectors(height) + vec.LANES
    blurred = lines + height * apart + vec.LANES
    return Plan(vec.LANES, bounds, lines, apart, blurred, blurred + height * width)


@compiled
def highest_of_blurred(values, begin, shape, kernel, room, plan, places):
    """Place and value of the first maximum of the blurred map, mirrored outside.

    A blurred value is at most what the maxima of its rows would be blurred to. Only rows that reach the value in the
    most promising ones are blurred.
    """
    height = shape[0]
    ahead = begin + 3 * height * shape[1]
    if not take_maxima(values, begin, shape, room, plan.rows, ahead):
        return highest_in(values, begin, shape, 0, height, kernel, room, plan, places, begin, ONE)
    top = max(0, min(take_bounds(room, plan, height, kernel) - TALL // 2, height - TALL))
    bottom, ahead = min(top + TALL, height), ahead + height * vec.LANES
    index, value = highest_in(values, begin, shape, top, bottom, kernel, room, plan, places, ahead, THREE)
    if not value > 0:
        return highest_in(values, begin, shape, 0, height, kernel, room, plan, places, begin, ONE)
    first, end = reaching(room, plan.bounds, height, value)
    if top <= first and end <= bottom:
        return index, value
    return highest_in(values, begin, shape, first, end, kernel, room, plan, places, begin, ONE)


@compiled
def take_maxima(values, begin, shape, room, rows, ahead):
    """Writes the maxima, at least 0, of rows from `rows` on; False where a number is NaN or infinite.

    With each row a line of the cache is asked for, from `ahead` on.
    """
    (height, width), nothing = shape, vec.filled(np.float32(0))
    unless_finite = nothing  # NaN, as 0 times what is infinite or NaN is
    for y in range(height):
        high, total = vec.bits_of(nothing), nothing
        for start in range(0, width, vec.LANES):
            here = vec.load(values, np.uintp(begin + y * width + min(start, width - vec.LANES)))
            high, total = vec.higher(high, vec.bits_of(here)), vec.plus(total, here)
        unless_finite = vec.product_plus(total, nothing, unless_finite)
        room[rows + y] = vec.float_of(vec.highest(high))
        ahead = fetch_lines(values, ahead, ONE)
    return vec.highest_bare(vec.bits_of(unless_finite)) == 0  # the bits of 0


@compiled
def take_bounds(room, plan, height, kernel):
    """Blurs maxima of rows to bounds, and tells the place of the highest."""
    reach = len(kernel) - 1
    mirror_ends(room, np.uintp(plan.rows), height)
    for start in range(0, height, vec.LANES):
        blurred = weighed_vector(room, np.uintp(plan.rows - reach + start), np.uintp(1), kernel)
        vec.store(room, np.uintp(plan.bounds + start), blurred)
    for beyond in range(height, whole_vectors(height)):
        room[plan.bounds + beyond] = 0
    return first_maximum(room, plan.bounds, plan.bounds + height)[0]


@compiled
def reaching(room, bounds, count, value):
    """The first of bounds that reaches a value and the one after the last that does."""
    first, end, wanted = count, 0, vec.bits_of(vec.filled(np.float32(value / MARGIN)))
    for start in range(0, count, vec.LANES):
        here = vec.bits_of(vec.load(room, np.uintp(bounds + start)))
        place = vec.end_of_reaching(here, wanted)
        if place > 0:
            first, end = min(first, start + vec.first_reaching(here, wanted)), start + place
    return first, end


@compiled
def highest_in(values, begin, shape, top, bottom, kernel, room, plan, places, ahead, asked):
    """Place and value of the first maximum of some rows of the blurred map; NaN is above all.

    For the last two see `blur_along_y`.
    """
    width, rows = shape[1], bottom - top
    blur_along_y(values, begin, shape, top, bottom, kernel, room, plan.lines, plan.apart, places, ahead, asked)
    ahead += rows * whole_vectors(width) * len(asked)
    blur_along_x(room, plan.lines, plan.apart, rows, width, kernel, plan.blurred, values, ahead, asked)
    index, value = first_maximum(room, plan.blurred, plan.blurred + rows * width)
    return top * width + index, value
