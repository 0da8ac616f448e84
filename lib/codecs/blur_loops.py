"""Blurred heatmaps on a CPU: compiled loops over maps, each of which stays in the cache meanwhile.

blur.py calls them and has the same for GPUs. Every loop works on the maps `first` to `end` of arrays (N,h,w) float32,
contiguous; `step` takes every so many-th map only. Kernels are pairs of tuples, the front and the back half: a compiler
that knows how many weights there are, and not too many, adds eight pixels at once.
"""

import numpy as np

from ..utils.compiled import compiled, fused

BLOCK = 4  # px; side of the squares whose maxima bound the blurred map
MARGIN = 1 + 1e-4  # roundings of bounds
VECTOR = 8  # numbers that a processor adds at once: columns are blurred in so many


@compiled
def mirrored(index, length):
    """The pixel that OpenCV's BORDER_REFLECT_101 reads for one less than the length outside; beyond that the first."""
    last = length - 1
    return max(0, last - abs(last - abs(index)))


@compiled
def cut(heatmap, top, left, tall, wide, zeros, window):
    """Writes `tall` rows and `wide` columns of the map, from `top` and `left` on, to the beginning of `window`.

    Outside the map it is zero, or else mirrored.
    """
    height, width = heatmap.shape
    begin = min(max(0, -left), wide)
    stop = max(begin, min(wide, width - left))
    for row in range(tall):
        line, y = window[row], top + row
        if zeros and (y < 0 or y >= height):
            line[:wide] = 0
            continue
        y = mirrored(y, height)
        for column in range(begin, stop):
            line[column] = heatmap[y, left + column]
        for column in range(begin):
            line[column] = 0 if zeros else heatmap[y, mirrored(left + column, width)]
        for column in range(stop, wide):
            line[column] = 0 if zeros else heatmap[y, mirrored(left + column, width)]


@fused
def blur_window(window, tall, wide, kernel, rows, blurred):
    """Blurs `tall` rows and `wide` columns: first along x from `window` into `rows`, then along y into `blurred`.

    A blurred pixel stands where the first of those stood that it was made of.
    """
    front, back = kernel
    half = len(front)
    for y in range(tall + half + len(back) - 1):
        line, sums = window[y], rows[y]
        for x in range(wide):
            total = line[x] * front[0]
            for tap in range(1, half):
                total += line[x + tap] * front[tap]
            sums[x] = total
        for x in range(wide):
            total = sums[x]
            for tap in range(len(back)):
                total += line[half + x + tap] * back[tap]
            sums[x] = total
    for y in range(tall):
        sums = blurred[y]
        for x in range(wide):
            total = rows[y, x] * front[0]
            for tap in range(1, half):
                total += rows[y + tap, x] * front[tap]
            sums[x] = total
        for x in range(wide):
            total = sums[x]
            for tap in range(len(back)):
                total += rows[y + half + tap, x] * back[tap]
            sums[x] = total


@compiled
def reach_of(kernel):
    """Pixels on each side of the middle."""
    return (len(kernel[0]) + len(kernel[1])) // 2


@fused
def blurred_windows(first, end, maps, step, pixels, kernel, zeros, blurred):
    """Windows (N,n,n) of the blurred maps around pixels (N,2), x and y; outside the maps see `cut`."""
    side, reach = blurred.shape[1], reach_of(kernel)
    wide, begin = -(-side // VECTOR) * VECTOR, side // 2 + reach
    tall = side + 2 * reach
    window = np.empty((tall, wide + 2 * reach), np.float32)
    rows, whole = np.empty((tall, wide), np.float32), np.empty((side, wide), np.float32)
    for i in range(first, end):
        left, top = pixels[i, 0] - begin, pixels[i, 1] - begin
        cut(maps[i * step], top, left, tall, wide + 2 * reach, zeros, window)
        blur_window(window, side, wide, kernel, rows, whole)
        blurred[i] = whole[:, :side]


@fused
def blurred_extremes(first, end, maps, step, kernel, lowest, highest):
    """Minimum and maximum (N,) of every blurred map, mirrored outside; quick with up to eight weights."""
    height, width = maps.shape[1:]
    taps, reach = kernel[0] + kernel[1], reach_of(kernel)
    padded = np.empty((height + 2 * reach, width), np.float32)
    columns = np.empty((height, width + 2 * reach), np.float32)  # blurred along y
    low, high = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(first, end):
        cut(maps[i * step], -reach, 0, height + 2 * reach, width, False, padded)
        for y in range(height):  # all of them first: a processor waits where it reads across what it has just written
            line = columns[y]
            for x in range(width):
                total = padded[y, x] * taps[0]
                for tap in range(1, len(taps)):
                    total += padded[y + tap, x] * taps[tap]
                line[reach + x] = total
            for x in range(reach):
                line[reach - 1 - x] = line[reach + 1 + x]
                line[reach + width + x] = line[reach + width - 2 - x]
        low[:], high[:] = np.inf, -np.inf
        for y in range(height):
            line = columns[y]
            for x in range(width):
                total = line[x] * taps[0]
                for tap in range(1, len(taps)):
                    total += line[x + tap] * taps[tap]
                low[x] = total if total < low[x] else low[x]
                high[x] = total if total > high[x] else high[x]
        lowest[i], highest[i] = low.min(), high.max()


@fused
def highest_of_blurred(first, end, maps, step, kernel, positions, values):
    """Position (N,) and value (N,) of the first maximum of every blurred map, mirrored outside.

    A blurred value is at most the sum of the maxima of the squares around it, each times the most that the kernel can
    weigh it. Only where that reaches the value at the most promising place is the map blurred.
    """
    height, width = maps.shape[1:]
    weights = most_weights(kernel)
    rim, reach = len(weights) // 2, reach_of(kernel)
    down, across = -(-height // BLOCK), -(-width // BLOCK)
    maxima, bounds = np.empty((down + 2 * rim, across + 2 * rim), np.float32), np.empty((down, across), np.float32)
    size = (height + 2 * reach, width + 2 * reach + VECTOR)
    room = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    line = np.empty(width, np.float32)
    for i in range(first, end):
        top, left, bottom, right = 0, 0, down, across
        if block_maxima(maps[i * step], rim, line, maxima):
            bound_squares(maxima, weights, bounds)
            row, column = divmod(bounds.argmax(), across)
            value = highest_in(maps[i * step], kernel, row, column, row + 1, column + 1, room)[1]
            if value > 0:
                top, left, bottom, right = reaching(bounds, value)
        positions[i], values[i] = highest_in(maps[i * step], kernel, top, left, bottom, right, room)


@compiled
def most_weights(kernel):
    """The most that each square around a pixel, its own in the middle, can weigh along one axis."""
    front, back = kernel
    reach = reach_of(kernel)
    rim = -(-reach // BLOCK)
    weights = np.zeros(2 * rim + 1, np.float32)
    for pixel in range(BLOCK):
        sums = np.zeros(2 * rim + 1, np.float32)
        begin = pixel - reach + rim * BLOCK
        for tap in range(len(front)):
            sums[(begin + tap) // BLOCK] += front[tap]
        for tap in range(len(back)):
            sums[(begin + len(front) + tap) // BLOCK] += back[tap]
        weights = np.maximum(weights, sums)
    return weights


@compiled
def bound_squares(maxima, weights, bounds):
    """What blurred values in a square can reach, from the maxima of it and those around it."""
    down, across = bounds.shape
    line = np.empty(maxima.shape[1], np.float32)
    for row in range(down):
        line[:] = 0
        for step in range(len(weights)):
            for column in range(len(line)):
                line[column] += maxima[row + step, column] * weights[step]
        bounds[row] = 0
        for step in range(len(weights)):
            for column in range(across):
                bounds[row, column] += line[column + step] * weights[step]


@compiled
def block_maxima(heatmap, rim, line, maxima):
    """Fills `maxima` with those of the map's squares, at least 0, with `rim` more on each side of what is mirrored.

    False where the map has numbers that are not finite. `line` is room for a row of the map.
    """
    height, width = heatmap.shape
    down, across = maxima.shape
    line[:] = 0
    for y in range(height):
        for x in range(width):
            line[x] += heatmap[y, x] * 0
    if line.sum() != 0:
        return False
    for row in range(down):
        line[:] = 0
        for y in range(BLOCK * (row - rim), BLOCK * (row - rim + 1)):
            y = mirrored(y, height)
            for x in range(width):
                line[x] = max(line[x], heatmap[y, x])
        for column in range(across):
            most, start = np.float32(0), BLOCK * (column - rim)
            if 0 <= start <= width - BLOCK:
                most = max(max(line[start], line[start + 1]), max(line[start + 2], line[start + 3]))
            else:
                for x in range(start, start + BLOCK):
                    most = max(most, line[mirrored(x, width)])
            maxima[row, column] = most
    return True


@compiled
def reaching(bounds, value):
    """The rectangle, first and end, of the squares whose bound reaches `value`."""
    top, left, bottom, right = len(bounds), bounds.shape[1], 0, 0
    for row in range(len(bounds)):
        for column in range(bounds.shape[1]):
            if bounds[row, column] * MARGIN >= value:
                top, bottom = min(top, row), max(bottom, row + 1)
                left, right = min(left, column), max(right, column + 1)
    return top, left, bottom, right


@fused
def highest_in(heatmap, kernel, top, left, bottom, right, room):
    """Position and value of the first maximum of the blurred map in a rectangle of squares; NaN is above all.

    `room` is three arrays to work in.
    """
    height, width = heatmap.shape
    first_y, first_x = BLOCK * top, BLOCK * left
    tall, wide = min(BLOCK * bottom, height) - first_y, min(BLOCK * right, width) - first_x
    reach, full = reach_of(kernel), -(-wide // VECTOR) * VECTOR
    window, rows, blurred = room
    cut(heatmap, first_y - reach, first_x - reach, tall + 2 * reach, full + 2 * reach, False, window)
    blur_window(window, tall, full, kernel, rows, blurred)
    position, value = 0, -np.float32(np.inf)
    for y in range(tall):
        for x in range(wide):
            here = blurred[y, x]
            if here > value or np.isnan(here) and not np.isnan(value):
                position, value = (first_y + y) * width + first_x + x, here
    return position, value
