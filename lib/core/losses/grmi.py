"""G-RMI's loss of disks and offsets (Papandreou et al. 2017, arXiv:1701.01779)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .offsets import by_joint
from .registry import LOSSES


@LOSSES.register("JointsGRMI")
class JointsGRMI(nn.Module):
    """The logistic loss of the disks plus the Huber loss of the offsets in them, each times its lambda (G-RMI).

    Papandreou et al. 2017, eq. 2 and 3; both are divided by samples, joints and pixels. The Huber loss is of the length
    of an offset's error in input px, as in eq. 2; the paper does not say from where on it is linear, here from 1 px. An
    output of K channels has heatmaps alone: the intermediate supervision. Whoever else is in the crop is background, as
    in the paper's final loss; its intermediate loss leaves their disks out, which the target does not know.

    Args:
        use_target_weight: multiply each joint's errors by its weight; otherwise `weight` is not read.
        lambda_heatmap, lambda_offset: weights of the two.
        radius: of the disk, input px: the unit of the offsets.
    """

    def __init__(
        self,
        use_target_weight: bool = True,
        lambda_heatmap: float = 4.0,
        lambda_offset: float = 1.0,
        radius: float = 25.0,
    ):
        super().__init__()
        self.use_target_weight = use_target_weight
        self.lambda_heatmap, self.lambda_offset, self.radius = lambda_heatmap, lambda_offset, radius

    @classmethod
    def from_keys(cls, keys: Any) -> "JointsGRMI":
        return cls(keys.USE_TARGET_WEIGHT, keys.LAMBDA_HEATMAP, keys.LAMBDA_OFFSET, keys.DISK_RADIUS)

    def forward(self, output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        weight = weight[..., None, None] if self.use_target_weight else torch.ones_like(weight)[..., None, None]
        disks, wanted = by_joint(target)
        heatmaps_only = output.shape[1] == weight.shape[1]
        logits, offsets = (output.unsqueeze(2), None) if heatmaps_only else by_joint(output)
        logistic = F.binary_cross_entropy_with_logits(logits, disks, reduction="none")
        loss = self.lambda_heatmap * (logistic * weight).mean()
        if offsets is None:
            return loss
        errors = self.radius * torch.linalg.vector_norm(offsets - wanted, dim=2, keepdim=True)  # (B,K,1,h,w), input px
        huber = F.huber_loss(errors, torch.zeros_like(errors), reduction="none")
        return loss + self.lambda_offset * (huber * disks * weight).mean()
