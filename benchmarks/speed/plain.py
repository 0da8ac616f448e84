"""The plain path: one sample, one joint, one pair of people at a time, in NumPy and OpenCV.

Written for the benchmark, the way the papers' code works: an image is read anew for each of its boxes and normalised in
float on the CPU, targets and decoding are loops over joints. Not part of the toolkit. See plain_scores.py for scoring.
"""

from pathlib import Path

import cv2
import numpy as np

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def read_image(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError(f"{path}: cannot be read; give a folder with COCO's images")
    return image


def crop(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(3, H, W) float32, normalised."""
    cut = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR)
    scaled = np.ascontiguousarray(cut.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
    return (scaled - MEAN[:, None, None]) / STD[:, None, None]


def transform(point: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return matrix @ np.array([point[0], point[1], 1.0])


def encode(codec, joints: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Target (C, h, w) and weight (K, 1) of one person, `joints` (K, 2) in input px."""
    width, height = codec.heatmap_size
    target = np.zeros((len(joints) * codec.channels_per_joint, height, width), np.float32)
    weight = visible.astype(np.float32).reshape(-1, 1).copy()
    draw = {"gaussian": _draw_gaussian, "dark": _draw_dark, "udp": _draw_udp, "udp_offset": _draw_offset}[codec.name]
    for joint in range(len(joints)):
        draw(codec, target, weight, joint, _to_heatmap(codec, joints[joint]))
    return target, weight


def _to_heatmap(codec, point: np.ndarray) -> np.ndarray:
    size, heatmap = np.array(codec.input_size, np.float64), np.array(codec.heatmap_size, np.float64)
    if codec.name == "gaussian":
        return point / (size / heatmap)
    if codec.name == "dark":
        return (point - (size - 1) / 2) * ((heatmap[0] - 1) / (size[0] - 1)) + (heatmap - 1) / 2
    return point / ((size - 1) / (heatmap - 1))


def _window(middle: np.ndarray, sigma: float) -> tuple[list[int], list[int]]:
    return [int(value - 3 * sigma) for value in middle], [int(value + 3 * sigma + 1) for value in middle]


def _misses(codec, first: list[int], end: list[int]) -> bool:
    width, height = codec.heatmap_size
    return first[0] >= width or first[1] >= height or end[0] < 0 or end[1] < 0


def _draw_gaussian(codec, target: np.ndarray, weight: np.ndarray, joint: int, mean: np.ndarray) -> None:
    pixel = np.array([int(mean[0] + 0.5), int(mean[1] + 0.5)], np.float64)
    _draw_in_window(codec, target, weight, joint, pixel, pixel)


def _draw_udp(codec, target: np.ndarray, weight: np.ndarray, joint: int, mean: np.ndarray) -> None:
    pixel = np.array([int(mean[0] + 0.5), int(mean[1] + 0.5)], np.float64)
    _draw_in_window(codec, target, weight, joint, mean, pixel)


def _draw_in_window(codec, target, weight, joint: int, mean: np.ndarray, pixel: np.ndarray) -> None:
    first, end = _window(pixel, codec.sigma)
    if _misses(codec, first, end):
        weight[joint] = 0
    if weight[joint] <= 0.5:
        return
    side = np.arange(0, end[0] - first[0], 1, np.float32)
    middle = mean - np.array(first)
    patch = np.exp(-((side - middle[0]) ** 2 + (side[:, None] - middle[1]) ** 2) / (2 * codec.sigma**2))
    width, height = codec.heatmap_size
    left, right, top, bottom = max(0, first[0]), min(end[0], width), max(0, first[1]), min(end[1], height)
    target[joint][top:bottom, left:right] = patch[
        top - first[1] : bottom - first[1], left - first[0] : right - first[0]
    ]


def _draw_dark(codec, target: np.ndarray, weight: np.ndarray, joint: int, mean: np.ndarray) -> None:
    if _misses(codec, *_window(mean, codec.sigma)):
        weight[joint] = 0
    if weight[joint] > 0.5:
        x, y = np.arange(codec.heatmap_size[0], dtype=np.float32), np.arange(codec.heatmap_size[1], dtype=np.float32)
        target[joint] = np.exp(-((x - mean[0]) ** 2 + (y[:, None] - mean[1]) ** 2) / (2 * codec.sigma**2))


def _draw_offset(codec, target: np.ndarray, weight: np.ndarray, joint: int, mean: np.ndarray) -> None:
    if weight[joint] <= 0.5:
        return
    x, y = np.meshgrid(np.arange(codec.heatmap_size[0]), np.arange(codec.heatmap_size[1]))
    offset_x, offset_y = (mean[0] - x) / codec.kpd, (mean[1] - y) / codec.kpd
    near = offset_x**2 + offset_y**2 <= 1
    target[3 * joint][near] = 1
    target[3 * joint + 1][near] = offset_x[near]
    target[3 * joint + 2][near] = offset_y[near]


def loss(output: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    """JointsMSE, joint by joint."""
    total = 0.0
    for joint in range(output.shape[1]):
        error = (output[:, joint].reshape(len(output), -1) - target[:, joint].reshape(len(output), -1)) * weight[
            :, joint
        ]
        total += 0.5 * float(np.mean(error**2))
    return total / output.shape[1]


def flip_back(output: np.ndarray, flip_pairs, codec) -> np.ndarray:
    flipped = output[:, :, :, ::-1].copy()
    each = codec.channels_per_joint
    for left, right in flip_pairs:
        for part in range(each):
            kept = flipped[:, each * left + part].copy()
            flipped[:, each * left + part] = flipped[:, each * right + part]
            flipped[:, each * right + part] = kept
    return flipped


def decode(codec, output: np.ndarray, center: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (B, K, 2) in image px of boxes with center and scale (B, 2), and scores (B, K)."""
    prepare = {"udp": _udp_logarithms, "udp_offset": _offset_maps}.get(codec.name, lambda codec, output: output)
    one = {"gaussian": _decode_gaussian, "dark": _decode_dark, "udp": _decode_udp, "udp_offset": _decode_offset}
    count, joints = len(output), codec.num_joints
    maps = prepare(codec, output.copy())
    keypoints, scores = np.zeros((count, joints, 2), np.float32), np.zeros((count, joints), np.float32)
    for person in range(count):
        for joint in range(joints):
            channels = slice(joint * codec.channels_per_joint, (joint + 1) * codec.channels_per_joint)
            found = one[codec.name](codec, output[person, channels], maps[person, channels])
            keypoints[person, joint], scores[person, joint] = found
    return np.stack([_in_image(codec, *each) for each in zip(keypoints, center, scale, strict=True)]), scores


def _in_image(codec, points: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """One person's keypoints (K, 2): the crop's map inverted, and every keypoint moved by it."""
    size = np.array(codec.heatmap_size, np.float64)
    if codec.name.startswith("udp"):
        return points * (scale / (size - 1)) + center - scale / 2
    outermost = 1.0 if codec.inclusive_boxes else 0.0
    middle = (size - outermost) / 2
    source, target = np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)
    source[0], source[1], source[2] = middle, middle - (0, middle[0]), middle - (middle[0], middle[0])
    half = (scale[0] - outermost) / 2
    target[0], target[1], target[2] = center, center - (0, half), center - (half, half)
    matrix = cv2.getAffineTransform(source, target)
    moved = np.zeros(points.shape)
    for joint in range(len(points)):
        moved[joint] = transform(points[joint], matrix)
    return moved


def _highest(heatmap: np.ndarray) -> tuple[int, int, float]:
    y, x = divmod(int(np.argmax(heatmap)), heatmap.shape[1])
    score = float(heatmap[y, x])
    return (x, y, score) if score > 0 else (0, 0, score)


def _decode_gaussian(codec, channels: np.ndarray, maps: np.ndarray) -> tuple[list[float], float]:
    heatmap = channels[0]
    x, y, score = _highest(heatmap)
    point = [float(x), float(y)]
    if 1 < x < heatmap.shape[1] - 1 and 1 < y < heatmap.shape[0] - 1:
        point[0] += 0.25 * np.sign(heatmap[y, x + 1] - heatmap[y, x - 1])
        point[1] += 0.25 * np.sign(heatmap[y + 1, x] - heatmap[y - 1, x])
    return point, score


def _newton(gradient: list[float], hessian: list[list[float]]) -> np.ndarray:
    matrix = np.array(hessian)
    if matrix[0, 0] * matrix[1, 1] - matrix[0, 1] ** 2 == 0:
        return np.zeros(2)
    return -np.linalg.inv(matrix) @ np.array(gradient)


def _decode_dark(codec, channels: np.ndarray, maps: np.ndarray) -> tuple[np.ndarray, float]:
    heatmap = channels[0]
    x, y, score = _highest(heatmap)
    size = len(codec.kernel)
    border = size // 2
    padded = np.zeros((heatmap.shape[0] + 2 * border, heatmap.shape[1] + 2 * border), np.float32)
    padded[border:-border, border:-border] = heatmap
    smooth = cv2.GaussianBlur(padded, (size, size), 0)[border:-border, border:-border].copy()
    smooth *= np.max(heatmap) / np.max(smooth)
    f = np.log(np.maximum(smooth, 1e-10)).astype(np.float64)
    point = np.array([x, y], np.float64)
    if 1 < x < heatmap.shape[1] - 2 and 1 < y < heatmap.shape[0] - 2:
        gradient = [0.5 * (f[y, x + 1] - f[y, x - 1]), 0.5 * (f[y + 1, x] - f[y - 1, x])]
        dxx = 0.25 * (f[y, x + 2] - 2 * f[y, x] + f[y, x - 2])
        dyy = 0.25 * (f[y + 2, x] - 2 * f[y, x] + f[y - 2, x])
        dxy = 0.25 * (f[y + 1, x + 1] - f[y - 1, x + 1] - f[y + 1, x - 1] + f[y - 1, x - 1])
        point += _newton(gradient, [[dxx, dxy], [dxy, dyy]])
    return point, score


def _udp_logarithms(codec, maps: np.ndarray) -> np.ndarray:
    """Logarithms (B, K, h + 2, w + 2) float64 of all blurred maps, the outermost pixels once more around them."""
    for person in range(len(maps)):
        for joint in range(maps.shape[1]):
            heatmap = maps[person, joint]
            highest = np.max(heatmap)
            smooth = cv2.GaussianBlur(heatmap, (7, 7), 0)
            low, high = np.min(smooth), np.max(smooth)
            maps[person, joint] = (smooth - low) / (high - low) * highest
    return np.pad(np.log(np.clip(maps, 0.001, 50)), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge").astype(np.float64)


def _decode_udp(codec, channels: np.ndarray, maps: np.ndarray) -> tuple[np.ndarray, float]:
    x, y, score = _highest(channels[0])
    f, row, column = maps[0], y + 1, x + 1
    dx, dy = (f[row, column + 1] - f[row, column - 1]) / 2, (f[row + 1, column] - f[row - 1, column]) / 2
    dxx = f[row, column + 1] - 2 * f[row, column] + f[row, column - 1]
    dyy = f[row + 1, column] - 2 * f[row, column] + f[row - 1, column]
    sides = f[row, column + 1] + f[row + 1, column] + f[row, column - 1] + f[row - 1, column]
    dxy = (f[row + 1, column + 1] + f[row - 1, column - 1] + 2 * f[row, column] - sides) / 2
    return np.array([x, y]) + _newton([dx, dy], [[dxx, dxy], [dxy, dyy]]), score


def _offset_maps(codec, maps: np.ndarray) -> np.ndarray:
    """Blurred disks, and blurred offsets in px."""
    maps[:, 1::3] *= codec.kpd
    maps[:, 2::3] *= codec.kpd
    for person in range(len(maps)):
        for channel in range(maps.shape[1]):
            size = (7, 7) if channel % 3 else (15, 15)
            maps[person, channel] = cv2.GaussianBlur(maps[person, channel], size, 0)
    return maps


def _decode_offset(codec, channels: np.ndarray, maps: np.ndarray) -> tuple[list[float], float]:
    x, y, score = _highest(maps[0])
    return [x + maps[1][y, x], y + maps[2][y, x]], score
