"""Reading heatmaps."""

import torch
from torch import Tensor


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
    indices = _first_maxima(heatmaps.flatten(2))
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


def _first_maxima(maps: Tensor) -> Tensor:
    """Index (B,K) of the first maximum of maps (B,K,n)."""
    if maps.device.type == "cpu" and maps.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(maps.detach().numpy().argmax(axis=2))  # a fifth of the time of torch's on one core
    return maps.max(dim=2).indices
