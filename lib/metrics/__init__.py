"""Measures of keypoints, boxes and heatmaps: pure functions of arrays."""

from .ap import average_precision, average_recall, precision_recall
from .boxes import box_iou, box_nms, soft_box_nms
from .matching import COCO_THRESHOLDS, Matches, match_coco, match_voc, pool
from .oks import COCO_SIGMAS, oks, oks_matrix, oks_nms, oks_to_truth, soft_oks_nms
from .pck import heatmap_accuracy, pck, pckh, pckh_at

__all__ = [
    "COCO_SIGMAS",
    "COCO_THRESHOLDS",
    "Matches",
    "average_precision",
    "average_recall",
    "box_iou",
    "box_nms",
    "heatmap_accuracy",
    "match_coco",
    "match_voc",
    "oks",
    "oks_matrix",
    "oks_nms",
    "oks_to_truth",
    "pck",
    "pckh",
    "pckh_at",
    "pool",
    "precision_recall",
    "soft_box_nms",
    "soft_oks_nms",
]
