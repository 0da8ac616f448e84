"""Measures of keypoints, boxes and heatmaps: pure functions of arrays."""

from .oks import box_nms, oks, oks_matrix, oks_nms, soft_box_nms, soft_oks_nms
from .pck import heatmap_accuracy, pck, pckh, pckh_at

__all__ = [
    "box_nms",
    "heatmap_accuracy",
    "oks",
    "oks_matrix",
    "oks_nms",
    "pck",
    "pckh",
    "pckh_at",
    "soft_box_nms",
    "soft_oks_nms",
]
