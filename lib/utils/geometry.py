"""Boxes and affine maps between an image, the network input and the heatmap: NumPy and OpenCV, no project imports.

Boxes are (x, y, width, height). `center` and `scale` describe a padded box: its middle, and its width and height, both
in image px. Sizes are (width, height). A (2,3) matrix maps the column (x, y, 1).
"""

from collections.abc import Sequence

import cv2
import numpy as np

# The forks store the scale in units of 200 px as float32; the same roundings keep crops identical to the last bit.
PIXEL_STD = 200
FOUR_CHANNELS_FROM = 1 if int(cv2.__version__.split(".")[0]) >= 5 else 4  # crops of an image
NO_CENTER = -1.0  # a centre with this x marks a person without a box; the forks do not pad it


def box_to_center_scale(
    boxes: np.ndarray,
    aspect_ratio: float,
    padding: float = 1.25,
    inclusive: bool = False,
    extension: Sequence[float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The middle and the padded size (both (N,2) float32, image px) of boxes (N,4), widened to the aspect ratio.

    The shorter side grows until width / height is `aspect_ratio`; then both sides are multiplied by `padding`, unless
    the middle's x is -1. `inclusive` is DarkPose's convention: a box of width w ends on pixel x + w - 1. `extension` is
    MSPN's: instead of the padding, width and height first grow by shares of themselves.

    >>> center, scale = box_to_center_scale(np.array([[10, 20, 30, 80]]), aspect_ratio=0.75)
    >>> center.tolist(), scale.tolist()
    ([[25.0, 60.0]], [[75.0, 100.0]])
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    corner, size = boxes[:, :2], boxes[:, 2:]
    center = (corner + (size - 1 if inclusive else size) * 0.5).astype(np.float32)
    if extension is not None:
        grown = (size / PIXEL_STD).astype(np.float32) * (1 + np.asarray(extension)).astype(np.float32)
        return center, widened(grown, aspect_ratio) * np.float32(PIXEL_STD)
    scale = (widened(size, aspect_ratio) / PIXEL_STD).astype(np.float32)
    padded = scale * np.float32(padding)
    scale = np.where(center[:, :1] == NO_CENTER, scale, padded)
    return center, scale * np.float32(PIXEL_STD)


def widened(size: np.ndarray, aspect_ratio: float) -> np.ndarray:
    """Sizes (...,2), width and height, whose smaller side has grown until width / height is `aspect_ratio`.

    >>> widened(np.array([[30.0, 80.0], [90.0, 80.0]]), 0.75).tolist()
    [[60.0, 80.0], [90.0, 120.0]]
    """
    width, height = size[..., 0], size[..., 1]
    return np.stack([np.maximum(width, height * aspect_ratio), np.maximum(height, width / aspect_ratio)], axis=-1)


def clip_boxes(boxes: np.ndarray, image_sizes: np.ndarray, inclusive: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N,4) cut to their images, and the mask (N,) of those that lie in theirs at least in part.

    `image_sizes` (N,2) or (2,) are (width, height). Annotated boxes pass through this, detections do not. A box loses
    one pixel of width and height on the way, as in the forks, unless `inclusive` (DarkPose).

    >>> clip_boxes(np.array([[-5, 10, 20, 20]]), np.array([100, 25]))
    (array([[ 0., 10., 19., 14.]]), array([ True]))
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    first = np.maximum(boxes[:, :2], 0)
    last = np.minimum(np.asarray(image_sizes, np.float64) - 1, first + np.maximum(boxes[:, 2:] - 1, 0))
    size = last - first
    return np.concatenate([first, size + 1 if inclusive else size], axis=1), (size >= 0).all(axis=1)


def similarity_matrix(
    center: np.ndarray, scale: np.ndarray, rotation: float, output_size: Sequence[int], inclusive: bool = False
) -> np.ndarray:
    """The (2,3) float64 matrix, image px -> output px, of SimpleBaselines' crop: turn, scale alike in x and y, move.

    `center` (2,) and `scale` (2,) in image px, `rotation` in degrees, `output_size` (width, height). Only the width of
    `scale` counts: the box has the output's aspect ratio. `inclusive` maps distances between outermost pixels (w - 1)
    onto one another, as DarkPose does, instead of widths.

    >>> (similarity_matrix(np.array([50, 50]), np.array([96, 128]), 0.0, (48, 64)).round(6) + 0.0).tolist()
    [[0.5, 0.0, -1.0], [0.0, 0.5, 7.0]]
    """
    outermost = 1.0 if inclusive else 0.0
    angle = np.deg2rad(rotation)
    up = (float(scale[0]) - outermost) * 0.5 * np.array([np.sin(angle), -np.cos(angle)])
    output_middle = (np.asarray(output_size, np.float64) - outermost) * 0.5
    source = _right_angle(np.asarray(center, np.float64), up)
    target = _right_angle(output_middle, np.array([0.0, -output_middle[0]]))
    return cv2.getAffineTransform(source, target)


def _right_angle(corner: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """Three points (3,2): a corner, the end of its arm, and the end of a second arm at that end, turned left."""
    # float32 as in the originals: cv2.getAffineTransform takes nothing else, and the third point inherits the rounding
    points = np.zeros((3, 2), np.float32)
    points[0], points[1] = corner, corner + arm
    back_x, back_y = points[0] - points[1]
    points[2] = points[1] + np.array([-back_y, back_x], np.float32)
    return points


def udp_matrix(center: np.ndarray, scale: np.ndarray, rotation: float, input_size: Sequence[int]) -> np.ndarray:
    """The (2,3) float64 matrix, image px -> input px, of UDP's crop (Huang et al. 2020): x and y scale apart.

    `center` (2,) and `scale` (2,) in image px, `rotation` in degrees, `input_size` (width, height). The box's width and
    height go to the distance between outermost pixels, input_size - 1.

    >>> (udp_matrix(np.array([50, 50]), np.array([94, 126]), 0.0, (48, 64)).round(6) + 0.0).tolist()
    [[0.5, 0.0, -1.5], [0.0, 0.5, 6.5]]
    """
    angle = np.deg2rad(rotation)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    back = np.empty((2, 3), np.float32)  # the original builds input px -> image px with float32 entries
    back[:, :2] = turn * (np.asarray(scale, np.float64) / (np.asarray(input_size, np.float64) - 1))
    # the move is float32 arithmetic in this order there; another one turns grey levels by one
    turn, (half_width, half_height) = turn.astype(np.float32), np.asarray(scale, np.float32) * np.float32(0.5)
    back[:, 2] = -half_width * turn[:, 0] - half_height * turn[:, 1] + np.asarray(center, np.float32)
    return invert(back)


def invert(matrix: np.ndarray) -> np.ndarray:
    """The inverse (2,3) float64 of an affine map (2,3).

    >>> (invert(np.array([[2.0, 0, 4], [0, 4, 8]])) + 0.0).tolist()
    [[0.5, 0.0, -2.0], [0.0, 0.25, -2.0]]
    """
    return cv2.invertAffineTransform(np.asarray(matrix, np.float64))


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The (2,3) affine map that applies `first`, then `second`.

    >>> compose(mirror_matrix(10), mirror_matrix(10)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    combined = second[:, :2] @ first
    combined[:, 2] += second[:, 2]
    return combined


def mirror_matrix(width: int) -> np.ndarray:
    """The (2,3) map that mirrors an image of that width: x -> width - 1 - x.

    `crop_image(image, compose(matrix, mirror_matrix(width)), size)` crops the mirrored image without making it.

    >>> transform_points(np.array([[0, 5]]), mirror_matrix(10)).tolist()
    [[9.0, 5.0]]
    """
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]])


def transform_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (...,2) under an affine map (2,3).

    >>> transform_points(np.array([[1, 1]]), np.array([[2, 0, 3], [0, 2, 4]])).tolist()
    [[5, 6]]
    """
    return points @ matrix[:, :2].T + matrix[:, 2]


def seen_box(matrix: np.ndarray, size: Sequence[int], image_size: Sequence[int]) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of an image, px, that a crop of `size` (w, h) under `matrix` reads.

    At least one pixel, also where the crop lies outside the image.

    >>> seen_box(mirror_matrix(10), (4, 2), (10, 10))
    (4, 0, 10, 4)
    """
    last_x, last_y = size[0] - 1, size[1] - 1
    corners = transform_points(np.array([[0, 0], [last_x, 0], [0, last_y], [last_x, last_y]]), invert(matrix))
    # Bilinear sampling reads the pixel beyond; one more for what rounds to it.
    limits = np.array([image_size[0] - 1, image_size[1] - 1])
    first = np.clip(np.floor(corners.min(axis=0)) - 2, 0, limits).astype(int)
    end = np.clip(np.ceil(corners.max(axis=0)) + 3, first + 1, limits + 1).astype(int)
    return int(first[0]), int(first[1]), int(end[0]), int(end[1])


def moved(matrix: np.ndarray, left: int, top: int) -> np.ndarray:
    """The (2,3) map of a part of an image that begins at pixel (left, top), from the map of the whole.

    >>> moved(mirror_matrix(10), 2, 0).tolist()
    [[-1.0, 0.0, 7.0], [0.0, 1.0, 0.0]]
    """
    part = np.array(matrix, np.float64)
    part[:, 2] += part[:, :2] @ (left, top)
    return part


def prepare_for_crops(image: np.ndarray, count: int = 1) -> np.ndarray:
    """An image (H,W,3) as `crop_image` cuts `count` crops from it soonest: with a fourth channel where that pays.

    OpenCV moves pixels of four bytes in one piece: version 5 takes two fifths of the time, version 4 four fifths. The
    three channels of the crops are the same to the last bit.

    >>> prepare_for_crops(np.zeros((2, 2, 3), np.uint8), count=9).shape
    (2, 2, 4)
    """
    return cv2.cvtColor(image, cv2.COLOR_BGR2BGRA) if count >= FOUR_CHANNELS_FROM else image


def crop_image(
    image: np.ndarray, matrix: np.ndarray, size: Sequence[int], into: np.ndarray | None = None, rgb: bool = False
) -> np.ndarray:
    """The uint8 crop (h,w,3) of an image under `matrix`, image px -> crop px: bilinear, black outside.

    `image` (H,W,3) is BGR, or what `prepare_for_crops` makes of it; the crop is BGR too, with `rgb` RGB. `size` is
    (w, h); the crop may be written `into` an array of its shape. OpenCV 4 rounds source coordinates to 1/32 px,
    OpenCV 5 does not: up to 5 grey levels apart.

    >>> crop_image(np.full((4, 4, 3), 7, np.uint8), mirror_matrix(4), (5, 2))[:, :, 0].tolist()
    [[7, 7, 7, 7, 0], [7, 7, 7, 7, 0]]
    """
    size = int(size[0]), int(size[1])
    if image.shape[2] == 4:
        crop = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR)
        return cv2.cvtColor(crop, cv2.COLOR_BGRA2RGB if rgb else cv2.COLOR_BGRA2BGR, into)
    crop = cv2.warpAffine(image, matrix, size, into, flags=cv2.INTER_LINEAR)
    return cv2.cvtColor(crop, cv2.COLOR_BGR2RGB, crop) if rgb else crop
