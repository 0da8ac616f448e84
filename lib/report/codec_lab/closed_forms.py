"""The systematic errors that theory gives, per axis and in heatmap px, m being a keypoint's true position.

Rounding. m - R(m) is uniform between -1/2 and 1/2, so E|m - R(m)| = 1/4 (UDP, Huang et al. 2020). A quarter px toward
the higher neighbour leaves ||m - R(m)| - 1/4|, of mean 1/8, where the neighbours tell the side. In a target drawn
around the nearest pixel they do not: they are equal, nothing moves, and 1/4 stays. A decoder that fits the Gaussian
(DARK, Zhang et al. 2020; UDP) or adds an offset (UDP, G-RMI) leaves 0. MSPN's goes a quarter px towards the highest
neighbour, along one axis only: of the distances a >= b in the two axes, a becomes |a - 1/4|, of mean 1/8, and b stays,
of mean 1/6, which is 7/48 per axis. In its own target the first of four equal neighbours is the upper one: x keeps 1/4,
y gets E|m - R(m) + 1/4| = 5/16, which is 9/32 per axis.

Cutting off. CC-SSL's target stands at floor(m) and half a pixel is added, which leaves 1/4 as rounding does; a quarter
px to either side of it, where the neighbours tell, 1/8. The image coordinate is cut off once more: at stride s, an
input px being an image px here, a place p in the pixel, from 0 to 1, becomes floor(s p) / s. That costs nothing at
strides 4 and 8; at stride 2 the places 1/4 and 3/4 become 0 and 1/2, which leaves 1/4 once more.

Flip. Mirroring the crop takes x to W - 1 - x, mirroring the map takes u to w - 1 - u. With u = x / s, s = W / w, both
together take u to w - 1 - (W - 1 - x) / s = u - (s - 1) / s, which is too far left; one px to the right makes it
u + 1 / s. Between outermost pixels, u = x (w - 1) / (W - 1), they take u to itself; also in DarkPose's code, which
keeps middles, u = (x - (W - 1) / 2) r + (w - 1) / 2, whatever r is. The mean of two equal Gaussians is symmetric about
the middle between them: averaging halves the displacement. MSPN's pixel i stands for the cell from i to i + 1, so that
u = x / s - 1/2 and the same sum gives u + 1 / s without any shift; so does CC-SSL's.

A new codec gets its closed forms here; without, its numbers are shown alone.
"""

import math

TOLERANCE = 1e-3  # heatmap px

ROUNDING, QUARTER_SHIFT, UNBIASED = 1 / 4, 1 / 8, 0.0

# codec -> E|error| without and with TEST.POST_PROCESS, of the codec's own target and of the ideal map
TARGET = {
    "gaussian": (ROUNDING, ROUNDING),
    "soft_argmax": (ROUNDING, ROUNDING),
    "dark": (UNBIASED, UNBIASED),
    "udp": (ROUNDING, UNBIASED),
    "udp_offset": (UNBIASED, UNBIASED),
    "grmi": (UNBIASED, UNBIASED),
    "megvii": (9 / 32, 9 / 32),
}
IDEAL = {**TARGET, "gaussian": (ROUNDING, QUARTER_SHIFT), "megvii": (7 / 48, 7 / 48)}
del IDEAL["soft_argmax"]  # the expectation under a softmax of a Gaussian has no closed form

WIDTH_RATIO = ("gaussian", "soft_argmax")  # u = x / s
CELLS = ("megvii", "ccssl")  # u = x / s - 1/2
OUTERMOST_PIXELS = ("dark", "udp", "udp_offset", "grmi")  # u = x (w - 1) / (W - 1)


# Where CC-SSL's decoder places a keypoint in its pixel, from 0 to 1, over equal parts of it in order
CUT_OFF = {True: (1 / 4, 3 / 4), False: (1 / 2,)}  # by whether the map is ideal


def decoding_error(codec: str, stride: int, ideal: bool, post_process: bool) -> float | None:
    """E|error| of a codec's decoder on its own targets or on ideal maps; None where no closed form is known.

    >>> decoding_error("gaussian", 4, ideal=True, post_process=True)
    0.125
    >>> [decoding_error("ccssl", stride, ideal=True, post_process=True) for stride in (2, 4)]
    [0.25, 0.125]
    """
    if codec == "ccssl":
        places = CUT_OFF[ideal]
        parts = [(math.floor(stride * place) / stride, number / len(places)) for number, place in enumerate(places)]
        return sum(_distance(place, start, start + 1 / len(places)) for place, start in parts)
    errors = (IDEAL if ideal else TARGET).get(codec)
    return errors[post_process] if errors else None


def _distance(place: float, start: float, end: float) -> float:
    """The integral of |m - place| from start to end."""
    return ((end - place) * abs(end - place) - (start - place) * abs(start - place)) / 2


def flip_misalignment(codec: str, stride: float, shift_heatmap: bool, averaged: bool) -> float | None:
    """Displacement in x after flipping back, or after averaging with the unflipped map; None where it is not known.

    >>> flip_misalignment("gaussian", 4, shift_heatmap=False, averaged=False)
    -0.75
    >>> flip_misalignment("gaussian", 4, shift_heatmap=True, averaged=True)
    0.125
    """
    if codec in OUTERMOST_PIXELS:
        displacement = 0.0
    elif codec in CELLS:
        displacement = 1 / stride
    elif codec in WIDTH_RATIO:
        displacement = 1 / stride if shift_heatmap else -(stride - 1) / stride
    else:
        return None
    return displacement / 2 if averaged else displacement
