"""Crops -> keypoints in the image, with the flip test."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..metrics import heatmap_accuracy
from ..utils.batch import IMAGENET, PixelStatistics, final_output, full_batches, normalise
from ..utils.precision import FP32, Precision, untimed
from .distributed import ALONE, World

logger = logging.getLogger(__name__)

CPU_PIXELS = 16 * 256 * 192  # of the images that a CPU's network takes at once

# Called after every batch with the batch, its crops on the device, the heatmaps (B, C, h, w), the keypoints in heatmap
# px (B, K, 2) and their scores (B, K).
BatchObserver = Callable[[dict[str, Tensor], Tensor, Tensor, Tensor], None]


@untimed()
@torch.inference_mode()
def predict(
    model: nn.Module,
    loader: DataLoader,
    codec: Any,
    center: np.ndarray,
    scale: np.ndarray,
    device: torch.device,
    batch_size: int,
    flip_pairs: Sequence[tuple[int, int]] | None = None,
    observer: BatchObserver | None = None,
    pixels: PixelStatistics = IMAGENET,
    world: World = ALONE,
    precision: Precision = FP32,
) -> np.ndarray:
    """(N, K, 3) float32 keypoints x, y, score in image px, one row for each record; in every process of `world`.

    Args:
        center, scale: (N, 2) boxes of all records, image px; the loader's batches name theirs in "index".
        batch_size: crops the network is given at once, whatever batches the loader's images make; with their mirror
            images twice as many, of which a CPU takes a part at a time.
        flip_pairs: average with the prediction on the mirrored crop (flip test); None for no flip test.
        world: the processes whose loaders have a share of the records each.
        precision: of the network; the flip's mean and what follows are float32.
    """
    model.eval()
    boxes = torch.from_numpy(np.concatenate([center, scale], axis=1)).to(device)
    # One piece of memory: a small one kept from every batch would lie between the large ones that come and go, and
    # those then find no place where their predecessors were.
    found = torch.zeros(0, 0, 3)
    indices, filled = torch.zeros(len(center), dtype=torch.int64), 0
    for batch in full_batches(loader, batch_size, device):
        output = heatmaps(model, normalise(batch["crop"], device, pixels), codec, flip_pairs, precision)
        keypoints, scores = codec.decode(output)
        box = boxes[batch["index"].to(device, non_blocking=True)]
        keypoints_image = codec.to_image(keypoints, box[:, :2], box[:, 2:])
        if not filled:
            found = torch.zeros(len(center), scores.shape[1], 3, device=device)
        here = slice(filled, filled + len(scores))
        found[here, :, :2], found[here, :, 2], indices[here] = keypoints_image, scores, batch["index"]
        filled += len(scores)
        if observer is not None:
            observer(batch, output, keypoints, scores)
    # A process without batches, of which there may be fewer than processes, has no keypoints to give.
    result = world.assemble(found[:filled].cpu(), indices[:filled], len(center))
    return _without_undefined(result.numpy(), center)


def heatmaps(
    model: nn.Module,
    images: Tensor,
    codec: Any,
    flip_pairs: Sequence[tuple[int, int]] | None = None,
    precision: Precision = FP32,
) -> Tensor:
    """(B, C, h, w) float32 output for normalised images (B, 3, H, W); with `flip_pairs` the mean of both ways round."""
    if flip_pairs is None:
        return final_maps(model, images, precision)
    output, mirrored = final_maps(model, torch.cat([images, images.flip(3)]), precision).chunk(2)
    return (output + codec.flip_back(mirrored, flip_pairs)) * 0.5


def final_maps(model: nn.Module, images: Tensor, precision: Precision) -> Tensor:
    """The final heatmaps (B,C,h,w), each in one piece: networks give them channels-last, decoding goes map by map.

    A GPU takes all images at once, a CPU as many as keep their feature maps near its caches: ResNet-50 is a quarter
    faster with 16 than with 32 of 256x192, and a small network with 96 of 64x48 than with 32, which leaves it waiting
    for Python.
    """
    most = len(images) if images.is_cuda else max(1, CPU_PIXELS // (images.shape[2] * images.shape[3]))
    parts = [final_output(precision.run(model, part)).contiguous() for part in images.split(most)]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


class MeanAccuracy:
    """The forks' accuracy of heatmaps over the batches of a prediction, against labels: a BatchObserver.

    The sums stay on the device. `percent` is the mean over the batches, each with the number of its joints; in every
    process of `world` over the batches of all.
    """

    def __init__(self, codec: Any, world: World = ALONE):
        self.codec, self.world = codec, world
        self.right: Tensor | float = 0.0
        self.count: Tensor | float = 0.0

    def __call__(self, batch: dict[str, Tensor], output: Tensor, keypoints: Tensor, scores: Tensor) -> None:
        keypoints_input, visible = (
            batch[key].to(output.device, non_blocking=True) for key in ("keypoints_input", "visible")
        )
        target = self.codec.encode(keypoints_input, visible)[0]
        accuracy = heatmap_accuracy(self.codec.heatmaps(output), self.codec.peaks(target))
        self.right = self.right + accuracy.mean * accuracy.count
        self.count = self.count + accuracy.count

    @property
    def percent(self) -> float:
        right, count = self.world.total(torch.tensor([float(self.right), float(self.count)], dtype=torch.float64))
        return 100 * float(right) / max(float(count), 1.0)


def _without_undefined(keypoints: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Points that a codec leaves undefined (UDP on a flat map) at the box centre with score 0; JSON has no NaN."""
    undefined = ~np.isfinite(keypoints).all(axis=2)
    if undefined.any():
        logger.warning(
            "%d of %d keypoints are undefined (flat or infinite heatmaps); reported at the box centre with score 0",
            undefined.sum(),
            undefined.size,
        )
        middle = np.concatenate([center, np.zeros((len(center), 1))], axis=1)[:, None]
        keypoints = np.where(undefined[..., None], middle, keypoints).astype(np.float32)
    return keypoints
