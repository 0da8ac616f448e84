"""Whole rows of blurred heatmaps on a CPU: compiled loops that blur a map along y, then along x.

udp_loops.py calls them. A map of `shape` (height, width), of LANES or more pixels in a row, is a part of `values` (n,)
float32 from `begin` on. Blurred along y its rows are lines in `room` (m,), the first from `first_line` on and `apart`
numbers from one to the next, with what is mirrored at both ends. Kernels are tuples of their weights from the middle
outwards, LANES at most.
"""

import numpy as np

from ..utils import vectors as vec
from ..utils.compiled import compiled
from ..utils.heatmap_loops import LEAST, MOST
from .blur_loops import mirrored

CACHE_LINE = 64  # bytes; vectors that cross the border between two take twice as long to load


@compiled
def lines_apart(width):
    return whole_vectors(width) + 2 * vec.LANES


@compiled
def whole_vectors(count):
    """How many numbers the vectors have that it takes to hold `count`."""
    return -(-count // vec.LANES) * vec.LANES


@compiled
def aligned(size):
    """Zeros (size,) that begin with a line of the cache."""
    room = np.zeros(size + CACHE_LINE // 4, np.float32)
    skipped = (CACHE_LINE - room.ctypes.data % CACHE_LINE) // 4
    return room[skipped : skipped + size]


@compiled
def blur_along_y(values, begin, shape, top, bottom, kernel, room, first_line, apart, places, ahead, asked):
    """Blurs the map's rows from `top` to `bottom` along y.

    With each vector as many lines of the cache as `asked` has numbers are asked for, of `values` from `ahead` on, to be
    there when their turn comes; `places` (2 * len(kernel) - 1,) uintp is room.
    """
    (height, width), reach = shape, len(kernel) - 1
    for y in range(top, bottom):
        line, inside = np.uintp(first_line + (y - top) * apart), reach <= y < height - reach
        above = np.uintp(begin + (y - reach) * width)
        if not inside:
            for tap in range(2 * reach + 1):
                places[tap] = begin + mirrored(y + tap - reach, height) * width
        for start in range(0, width, vec.LANES):
            x = np.uintp(min(start, width - vec.LANES))
            if inside:
                vec.store(room, line + x, weighed_vector(values, above + x, np.uintp(width), kernel))
            else:
                vec.store(room, line + x, weighed_rows(values, places, x, kernel))
            ahead = fetch_lines(values, ahead, asked)
        mirror_ends(room, line, width)


@compiled
def fetch_lines(values, start, asked):
    """Asks for the lines of the cache, counted from `start` on, whose numbers are 0, 1 and so on; where they end."""
    for line in asked:  # a tuple, whose length a compiler knows
        vec.fetch(values, np.uintp(start + line * vec.LANES))
    return start + len(asked) * vec.LANES


@compiled
def mirror_ends(values, first, width):
    """Writes what a mirror shows at each end of the `width` numbers from `first`, uintp, on: LANES numbers."""
    last, many = first + np.uintp(width - 1), np.uintp(vec.LANES)
    vec.store(values, first - many, vec.turned(vec.load(values, first + np.uintp(1))))
    vec.store(values, last + np.uintp(1), vec.turned(vec.load(values, last - many)))


@compiled
def weighed_vector(values, start, step, kernel):
    """`blur_loops.weighed` from `start` and from the LANES - 1 places after it; all uintp."""
    middle = start + np.uintp(len(kernel) - 1) * step
    total = first_product(vec.load(values, middle), kernel)
    for away in range(1, len(kernel)):
        far = np.uintp(away) * step
        pair = vec.plus(vec.load(values, middle - far), vec.load(values, middle + far))
        total = vec.product_plus(pair, vec.filled(kernel[away]), total)
    return total


@compiled
def weighed_rows(values, places, x, kernel):
    """`weighed_vector` of rows that begin at `places` (m,), from their pixel `x` on."""
    reach = len(kernel) - 1
    total = first_product(vec.load(values, places[reach] + x), kernel)
    for away in range(1, len(kernel)):
        pair = vec.plus(vec.load(values, places[reach - away] + x), vec.load(values, places[reach + away] + x))
        total = vec.product_plus(pair, vec.filled(kernel[away]), total)
    return total


@compiled
def first_product(middle, kernel):
    return vec.product_plus(middle, vec.filled(kernel[0]), vec.filled(np.float32(0)))


@compiled
def extremes_along_x(room, first_line, apart, shape, kernel):
    """The lowest and the highest number that lines are blurred to along x; NaN is below or above all."""
    (height, width), reach = shape, len(kernel) - 1
    high, low, bare = vec.filled(LEAST), vec.filled(MOST), vec.filled(np.int32(0))
    for y in range(height):
        line = np.uintp(first_line + y * apart - reach)
        for start in range(0, width, vec.LANES):
            x = np.uintp(min(start, width - vec.LANES))
            here = vec.bits_of(weighed_vector(room, line + x, np.uintp(1), kernel))
            high, low, bare = vec.higher(high, here), vec.lower(low, here), vec.higher_bare(bare, here)
    # Bits above zero have the numbers' order, those below the reverse; see heatmap_loops.highest_bits.
    most, least = vec.highest(high), vec.lowest(low)
    lowest_number = vec.highest_bare(bare) if least < 0 else np.uint32(least)
    return vec.float_of(lowest_number), vec.float_of(most if most >= 0 else least)


@compiled
def blur_along_x(room, first_line, apart, rows, width, kernel, to, values, ahead, asked):
    """Blurs lines along x; they are `rows * width` numbers from `to` on. For the last three see `blur_along_y`."""
    for y in range(rows):
        line, blurred = np.uintp(first_line + y * apart - len(kernel) + 1), np.uintp(to + y * width)
        for start in range(0, width, vec.LANES):
            x = np.uintp(min(start, width - vec.LANES))
            vec.store(room, blurred + x, weighed_vector(room, line + x, np.uintp(1), kernel))
            ahead = fetch_lines(values, ahead, asked)
