"""Blurred heatmaps on a CPU: compiled loops over maps, blurred only around given pixels.

blur.py and dark_loops.py call them. Every loop works on maps `first` to `end` of arrays (N,h,w) float32, contiguous;
`step` takes every so many-th map only. Kernels are tuples of their weights from the middle outwards: a compiler that
knows how many there are adds many pixels at once.
"""

import numpy as np

from ..utils.compiled import compiled, fused


@compiled
def mirrored(index, length):
    """The pixel that OpenCV's BORDER_REFLECT_101 reads for one less than the length outside; beyond that the first."""
    last = length - 1
    return max(0, last - abs(last - abs(index)))


@compiled
def cut(heatmap, top, left, tall, wide, zeros, window):
    """Writes `tall` rows of `wide` columns of the map, from `top` and `left` on, to the beginning of `window` (n,).

    Outside the map it is zero, or else mirrored.
    """
    height, width = heatmap.shape
    begin = min(max(0, -left), wide)
    stop = max(begin, min(wide, width - left))
    for row in range(tall):
        line, y = window[row * wide : (row + 1) * wide], top + row
        if zeros and (y < 0 or y >= height):
            line[:] = 0
            continue
        source = heatmap[mirrored(y, height)]
        part, inside = source[left + begin : left + stop], line[begin:stop]
        for x in range(len(inside)):
            inside[x] = part[x]
        for column in range(begin):
            line[column] = 0 if zeros else source[mirrored(left + column, width)]
        for column in range(stop, wide):
            line[column] = 0 if zeros else source[mirrored(left + column, width)]


@fused
def weighed(values, start, step, kernel):
    """The sum of products of numbers of `values` (m,) from `start`, all uintp, `step` apart, with the kernel.

    Numbers at equal distances from the middle are added first: equal surroundings give equal sums.
    """
    middle = start + np.uintp(len(kernel) - 1) * step
    total = values[middle] * kernel[0]
    for away in range(1, len(kernel)):
        far = np.uintp(away) * step
        total += (values[middle - far] + values[middle + far]) * kernel[away]
    return total


@fused
def weigh(values, apart, kernel, sums):
    """Sums (n,) of products of numbers that are `apart` in `values` (m,) with the kernel, from every start."""
    step = np.uintp(apart)  # a compiler adds many at once if no index can count from the end
    for start in range(len(sums)):
        sums[start] = weighed(values, np.uintp(start), step, kernel)


@compiled
def room_of(size):
    """Three arrays to work in, for up to `size` numbers with what is around them."""
    return np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)


@compiled
def blur_patch(heatmap, top, left, tall, wide, kernel, zeros, room):
    """The blurred map's `tall` rows of `wide` pixels, one after the other (n,); outside the map see `cut`."""
    height, width = heatmap.shape
    reach = len(kernel) - 1
    window, sums, blurred = room
    first_y, first_x, rows, columns = top - reach, left - reach, tall + 2 * reach, wide + 2 * reach
    if first_y >= 0 and first_x >= 0 and first_y + rows <= height and first_x + columns <= width:
        source, apart = heatmap.reshape(-1)[first_y * width + first_x :], width
    else:
        cut(heatmap, first_y, first_x, rows, columns, zeros, window)
        source, apart = window[:], columns
    # A long loop over all rows at once is quicker, though it adds up what stands between them, too.
    weigh(source, apart, kernel, sums[: (tall - 1) * apart + columns])
    for y in range(tall):
        weigh(sums[y * apart :], 1, kernel, blurred[y * wide : (y + 1) * wide])
    return blurred[: tall * wide]


@compiled
def blurred_windows(first, end, maps, step, pixels, kernel, zeros, blurred):
    """Windows (N,n,n) of the blurred maps around pixels (N,2), x and y; outside the maps see `cut`."""
    side, reach = blurred.shape[1], len(kernel) - 1
    wide = side + 2 * reach
    room = room_of(wide * max(wide, maps.shape[2]))
    for i in range(first, end):
        left, top = pixels[i, 0] - side // 2, pixels[i, 1] - side // 2
        patch = blur_patch(maps[i * step], top, left, side, side, kernel, zeros, room)
        for y in range(side):
            for x in range(side):
                blurred[i, y, x] = patch[y * side + x]
