"""Measures of keypoints, boxes and heatmaps: pure functions of arrays.

- oks.py, boxes.py: how alike two people or two boxes are; nms.py: dropping those that are too much alike
- matching.py: which detections are right; ap.py: precision, recall and AP of them
- pck.py, pckh.py (MPII): how far keypoints lie from the truth, in the lengths of normalisers.py
- accuracy.py: how near the peaks of heatmaps lie, as a training logs it

docs/metrics.md shows how they fit together.
"""

from .accuracy import heatmap_accuracy
from .ap import average_precision, average_recall, precision_recall
from .boxes import box_iou, box_nms, soft_box_nms
from .matching import COCO_THRESHOLDS, Matches, match_coco, match_voc, pool
from .normalisers import head_size, joint_distance, longest_side
from .oks import COCO_SIGMAS, oks, oks_matrix, oks_nms, oks_nms_of_images, oks_to_truth, soft_oks_nms
from .pck import auc, epe, pck
from .pckh import pckh, pckh_at

__all__ = [
    "COCO_SIGMAS",
    "COCO_THRESHOLDS",
    "Matches",
    "auc",
    "average_precision",
    "average_recall",
    "box_iou",
    "box_nms",
    "epe",
    "head_size",
    "heatmap_accuracy",
    "joint_distance",
    "longest_side",
    "match_coco",
    "match_voc",
    "oks",
    "oks_matrix",
    "oks_nms",
    "oks_nms_of_images",
    "oks_to_truth",
    "pck",
    "pckh",
    "pckh_at",
    "pool",
    "precision_recall",
    "soft_box_nms",
    "soft_oks_nms",
]
