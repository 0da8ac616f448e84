"""Keypoints -> rescored, suppressed results -> results file -> COCO's numbers."""

import contextlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..metrics.oks import oks_nms, soft_oks_nms
from ..utils.files import write_json

logger = logging.getLogger(__name__)

COCO_METRICS = ("AP", "Ap .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)")


def rescore(keypoint_scores: np.ndarray, box_scores: np.ndarray, threshold: float) -> np.ndarray:
    """(N,) person scores: the box's score times the mean of the keypoint scores above `threshold`, 0 if none is.

    `keypoint_scores` (N, K) float32, `box_scores` (N,). As HRNet's `evaluate`.
    """
    counted = keypoint_scores > threshold
    mean = (keypoint_scores * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return mean * box_scores


def suppress(
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    image_ids: np.ndarray,
    sigmas: Sequence[float],
    threshold: float,
    soft: bool = False,
) -> np.ndarray:
    """Indices of the people that OKS-NMS keeps: images in the order of their first box, in each the best first.

    `keypoints` (N, K, 3), `scores`, `areas` (px^2) and `image_ids` (N,). `soft` keeps the forks' at most 20 an image.
    """
    nms = soft_oks_nms if soft else oks_nms
    _, first, inverse = np.unique(image_ids, return_index=True, return_inverse=True)
    order = np.argsort(first[inverse], kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(first[inverse][order])) + 1) if len(order) else []
    kept = [
        group[np.asarray(nms(keypoints[group], scores[group], areas[group], threshold, np.asarray(sigmas)), dtype=int)]
        for group in groups
    ]
    return np.concatenate(kept) if kept else np.zeros(0, dtype=int)


def coco_results(
    keypoints: np.ndarray, scores: np.ndarray, image_ids: np.ndarray, category_id: int = 1
) -> list[dict[str, Any]]:
    """COCO's results format; coordinates and keypoint scores to four decimals."""
    rounded = np.round(keypoints.astype(np.float64), 4).reshape(len(keypoints), -1)
    return [
        {"image_id": int(image_id), "category_id": category_id, "keypoints": row.tolist(), "score": float(score)}
        for row, score, image_id in zip(rounded, scores, image_ids, strict=True)
    ]


class CocoScorer:
    """COCOeval on one annotation file; the index is built once and serves every epoch."""

    def __init__(self, ground_truth: dict[str, Any], sigmas: Sequence[float]):
        self.sigmas = np.asarray(sigmas)
        self.truth = COCO()
        self.truth.dataset = ground_truth
        with contextlib.redirect_stdout(io.StringIO()):
            self.truth.createIndex()

    def score(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """COCO_METRICS of the results; all 0 where there are none."""
        if not results:
            logger.warning("no results to score: nobody was detected on the images of the annotations")
            return dict.fromkeys(COCO_METRICS, 0.0)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self.truth, self.truth.loadRes(results), "keypoints")
            evaluation.params.kpt_oks_sigmas = self.sigmas
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return {name: float(value) for name, value in zip(COCO_METRICS, evaluation.stats, strict=True)}


def score_people(
    keypoints: np.ndarray,
    records: Any,
    scorer: CocoScorer,
    in_vis_threshold: float,
    oks_threshold: float,
    soft_nms: bool,
    results_file: Path,
) -> dict[str, float]:
    """COCO_METRICS of predictions; writes what was scored to `results_file`.

    `keypoints` (N, K, 3) x, y, score in image px, a row for each of `records` (see dataset.Records).
    """
    scores = rescore(keypoints[..., 2], records.box_scores, in_vis_threshold)
    image_ids = records.image_ids[records.image_index]
    kept = suppress(keypoints, scores, records.areas, image_ids, scorer.sigmas.tolist(), oks_threshold, soft_nms)
    results = coco_results(keypoints[kept], scores[kept], image_ids[kept])
    write_json(results, results_file)
    return scorer.score(results)
