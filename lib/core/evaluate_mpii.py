"""Keypoints of MPII -> a results file, pred.mat and PCKh."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics import pckh, pckh_at
from ..utils.files import replacing, write_json

logger = logging.getLogger(__name__)


class MpiiScorer:
    """PCKh against gt_<set>.mat; see evaluate.Scorer."""

    def __init__(self, truth: Mapping[str, np.ndarray] | None):
        """`truth` holds the arguments of metrics.pckh but the predictions; None for a set that cannot be scored."""
        self.truth = truth
        self.headline = "Mean" if truth is not None else ""

    def results_name(self, image_set: str, experiment: str, ending: str) -> str:
        return f"keypoints_{image_set}_results{ending}.json"

    def score_people(self, keypoints: np.ndarray, records: Any, results_file: Path) -> dict[str, float]:
        """Head, Shoulder, ..., Mean, Mean@0.1 in percent; no numbers without a truth.

        Writes `results_file` and, beside it, HRNet's pred.mat and, with a truth, pckh.json with every joint at 0.5 and
        at 0.1. Mean@0.1 is HRNet's, at 0.11; the log has the other.
        """
        write_json(crop_results(keypoints, records), results_file)
        write_predictions(keypoints, results_file.with_name("pred.mat"))
        if self.truth is None:
            logger.info("%s: not scored; the keypoints are there and in pred.mat", results_file)
            return {}
        points = keypoints[..., :2]
        curves = {f"PCKh@{threshold}": pckh_at(threshold, points, **self.truth) for threshold in (0.5, 0.1)}
        write_json(curves, results_file.with_name("pckh.json"), indent=2)
        tenth = ", ".join(f"{name} {value:.3f}" for name, value in curves["PCKh@0.1"].items())
        logger.info("PCKh at 0.1: %s (Mean@0.1 of HRNet's table is at 0.11)", tenth)
        return pckh(points, **self.truth)


def mpii_scorer(cfg: Any, dataset: Any) -> MpiiScorer:
    """The scorer of MPII's test split."""
    return MpiiScorer(dataset.ground_truth)


def crop_results(keypoints: np.ndarray, records: Any) -> list[dict[str, Any]]:
    """An entry for each person, in the order of the annotations; four decimals.

    image: file name; center [x, y] and scale [width, height] of the padded box that was cropped, image px; keypoints:
    x, y, score of each of the joints, image px from 0.
    """
    return [
        {
            "image": str(records.image_names[image]),
            "center": np.round(center, 4).tolist(),
            "scale": np.round(scale, 4).tolist(),
            "keypoints": row.ravel().tolist(),
        }
        for image, center, scale, row in zip(
            records.image_index, records.center, records.scale, np.round(keypoints.astype(np.float64), 4), strict=True
        )
    ]


def write_predictions(keypoints: np.ndarray, path: Path) -> None:
    """HRNet's pred.mat: `preds` (N, 16, 2), image px counted from 1, in the order of the annotations."""
    from scipy.io import savemat  # slow to import, and needed by no other data set

    with replacing(path) as temporary:
        savemat(str(temporary), {"preds": keypoints[..., :2] + 1}, appendmat=False)
