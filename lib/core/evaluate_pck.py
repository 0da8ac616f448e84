"""Keypoints of animals -> a results file and PCK of the box's longest side, at 0.05 as CC-SSL scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics import longest_side, pck
from ..utils.files import write_json
from .evaluate_mpii import crop_results

THRESHOLD = 0.05
_PLACES = ("left_", "right_", "front_", "back_")


class PckScorer:
    """PCK of the visible keypoints, and beside it the forks' accuracy of heatmaps; see evaluate.Scorer."""

    with_accuracy = True

    def __init__(self, names: Sequence[str], threshold: float = THRESHOLD):
        self.names, self.threshold = tuple(names), threshold
        self.headline = f"PCK@{threshold:g}"

    def results_name(self, image_set: str, experiment: str, ending: str) -> str:
        return f"keypoints_{image_set}_results{ending}.json"

    def score_people(self, keypoints: np.ndarray, records: Any, results_file: Path) -> dict[str, float]:
        """In percent: the share of all visible keypoints that are right (the headline), and those of each part.

        A part is the keypoints of all legs or of both sides. Writes `results_file` and, beside it, pck.json with every
        keypoint by its name; None where it is never visible.
        """
        write_json(crop_results(keypoints, records), results_file)
        lengths = longest_side(records.boxes)
        shares = 100 * pck(keypoints[..., :2], records.keypoints, lengths, self.threshold, records.visible)
        count = (records.visible > 0).sum(axis=0)
        named = {name: None if np.isnan(share) else share for name, share in zip(self.names, shares, strict=True)}
        write_json({self.headline: named}, results_file.with_name("pck.json"), indent=2)
        right = np.nan_to_num(shares) * count
        scores = {self.headline: float(right.sum() / count.sum())}
        for part, joints in parts(self.names).items():
            if count[joints].any():
                scores[part] = float(right[joints].sum() / count[joints].sum())
        return scores


def parts(names: Sequence[str]) -> dict[str, list[int]]:
    """Indices of the keypoints that differ in side and leg only, by what is left of their names.

    >>> parts(["left_eye", "right_eye", "chin", "left_front_hoof", "right_back_hoof"])
    {'eye': [0, 1], 'chin': [2], 'hoof': [3, 4]}
    """
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        for place in _PLACES:
            name = name.removeprefix(place)
        found.setdefault(name, []).append(index)
    return found


def pck_scorer(cfg: Any, dataset: Any) -> PckScorer:
    """The scorer of a test split whose records have keypoints and boxes."""
    return PckScorer(dataset.skeleton.names, cfg.TEST.PCK_THRE)
