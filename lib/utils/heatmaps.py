"""Reading heatmaps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from . import heatmap_loops
from .compiled import loops_take, over_maps

NO_SHIFT = -1  # for heatmap_loops.maxima


def keypoints_in_loops(loop: Callable, heatmaps: Tensor, *arguments: Any) -> tuple[Tensor, Tensor]:
    """Keypoints (B,K,2) and scores (B,K) that a compiled loop over heatmaps (B,K,h,w) writes; see `over_maps`."""
    keypoints, scores = heatmaps.new_empty(*heatmaps.shape[:2], 2), heatmaps.new_empty(heatmaps.shape[:2])
    over_maps(loop, heatmaps, *arguments, keypoints.view(-1, 2).numpy(), scores.view(-1).numpy())
    return keypoints, scores


def argmax_2d(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Position and value of the maximum of every heatmap.

    Args:
        heatmaps: (B,K,h,w), any device and float type.

    Returns:
        keypoints (B,K,2), x and y in heatmap px, at least float32; (0, 0) where the maximum is <= 0. Among equal maxima
        the first in row-major order counts, on every device (`torch.max` over a dimension promises it).
        scores (B,K), the maxima as they are, also where they are <= 0.

    >>> heatmaps = torch.zeros(1, 1, 4, 5)
    >>> heatmaps[0, 0, 2, 3] = 0.5
    >>> argmax_2d(heatmaps)
    (tensor([[[3., 2.]]]), tensor([[0.5000]]))
    """
    if loops_take(heatmaps):
        return keypoints_in_loops(heatmap_loops.maxima, heatmaps, NO_SHIFT)
    indices = heatmaps.flatten(2).max(dim=2).indices
    scores = heatmaps.flatten(2).gather(2, indices.unsqueeze(-1)).squeeze(-1)
    return at_pixels(indices, scores, heatmaps.shape[3]), scores


def at_pixels(indices: Tensor, scores: Tensor, width: int) -> Tensor:
    """Pixels (B,K,2), x and y, of row-major indices (B,K) into maps of that width; (0, 0) where the score is <= 0.

    >>> at_pixels(torch.tensor([[7, 8]]), torch.tensor([[0.5, 0.0]]), width=5)
    tensor([[[2., 1.],
             [0., 0.]]])
    """
    keypoints = torch.stack((indices % width, indices // width), dim=-1)
    # float16 and bfloat16 do not hold every pixel index.
    keypoints = keypoints.to(torch.promote_types(scores.dtype, torch.float32))
    return keypoints * (scores > 0).unsqueeze(-1)
