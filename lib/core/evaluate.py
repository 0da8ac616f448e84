"""Keypoints -> rescored, suppressed results -> results file -> COCO's numbers; other data sets' scorers by name."""

import contextlib
import io
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pycocotools.coco import COCO

from ..config.check_data import ANIMAL_SETS
from ..metrics import box_nms, oks_nms_of_images, soft_box_nms, soft_oks_nms
from ..utils.files import replacing, write_json_rows
from ..utils.registry import Registry
from .coco_matching import BatchedCOCOeval
from .evaluate_mpii import mpii_scorer
from .evaluate_pck import pck_scorer

logger = logging.getLogger(__name__)

COCO_METRICS = ("AP", "Ap .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)")


def rescore(keypoint_scores: np.ndarray, box_scores: np.ndarray, threshold: float) -> np.ndarray:
    """(N,) person scores: the box's score times the mean of the keypoint scores above `threshold`, 0 if none is.

    `keypoint_scores` (N, K) float32, `box_scores` (N,). As HRNet's `evaluate`.
    """
    counted = keypoint_scores > threshold
    mean = (keypoint_scores * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return mean * box_scores


def mean_keypoint_score(keypoint_scores: np.ndarray) -> np.ndarray:
    """(N,) person scores: the mean of all keypoint scores (N, K), whatever the box's. G-RMI (2017), eq. 4.

    >>> mean_keypoint_score(np.array([[0.5, 0.25]]))
    array([0.375])
    """
    return keypoint_scores.mean(axis=1)


@dataclass(frozen=True)
class Suppression:
    """Which of the people found on one image show somebody who was found before.

    `by` "oks" compares keypoints, "box" the boxes (x, y, width, height) that the crops were made of; a person that
    overlaps a better one by more than `threshold` is dropped. `soft` lowers scores instead (Soft-NMS, at most 20 left).
    """

    by: str = "oks"
    threshold: float = 0.9
    soft: bool = False

    def kept(self, keypoints: np.ndarray, scores: np.ndarray, boxes: np.ndarray, areas: np.ndarray, sigmas: Any) -> Any:
        """Indices of the people of one image to keep, best first; not by OKS without `soft`, which takes all images."""
        if self.by == "box":
            corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - 1, scores[:, None]], axis=1)
            return (soft_box_nms if self.soft else box_nms)(corners, self.threshold)
        return soft_oks_nms(keypoints, scores, areas, self.threshold, sigmas)


def suppress(
    keypoints: np.ndarray, scores: np.ndarray, records: Any, sigmas: Sequence[float], how: Suppression
) -> np.ndarray:
    """Indices of the people to keep: images in the order of their first box, in each the best first.

    `keypoints` (N, K, 3) and `scores` (N,) of the people of `records` (see dataset.Records).
    """
    _, first, inverse = np.unique(records.image_index, return_index=True, return_inverse=True)
    order = np.argsort(first[inverse], kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(first[inverse][order])) + 1) if len(order) else []
    areas, boxes, constants = records.areas, records.boxes, np.asarray(sigmas)
    if how.by == "oks" and not how.soft:
        kept = oks_nms_of_images(keypoints, scores, areas, groups, how.threshold, constants)
    else:
        kept = [
            group[
                np.asarray(how.kept(keypoints[group], scores[group], boxes[group], areas[group], constants), dtype=int)
            ]
            for group in groups
        ]
    return np.concatenate(kept) if kept else np.zeros(0, dtype=int)


@dataclass(frozen=True)
class Results:
    """N results: `image_ids` (N,), `category_ids` (N,), `keypoints` (N, K, 3) and `scores` (N,) float64."""

    image_ids: np.ndarray
    category_ids: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray

    def rows(self) -> list[dict[str, Any]]:
        """COCO's results format, with arrays of numbers."""
        columns = self.image_ids.tolist(), self.category_ids.tolist(), self.scores.tolist()
        keypoints = self.keypoints.reshape(len(self.keypoints), 3 * self.keypoints.shape[1])
        return [
            {"image_id": image_id, "category_id": category, "keypoints": row, "score": score}
            for image_id, category, score, row in zip(*columns, keypoints, strict=True)
        ]

    @classmethod
    def of_rows(cls, rows: list[dict[str, Any]], num_joints: int) -> "Results":
        """COCO's results format as arrays."""
        image_ids, category_ids, scores = (
            np.array([entry[key] for entry in rows]) for key in ("image_id", "category_id", "score")
        )
        keypoints = np.array([entry["keypoints"] for entry in rows], np.float64)
        return cls(image_ids, category_ids, keypoints.reshape(len(rows), num_joints, 3), scores)


def rounded_results(
    keypoints: np.ndarray, scores: np.ndarray, image_ids: np.ndarray, category_ids: np.ndarray | int = 1
) -> Results:
    """Results with coordinates and keypoint scores to four decimals. `category_ids` (N,), or one for all.

    Raises:
        ValueError: a number is not finite, for which JSON has no word.
    """
    keypoints, scores = np.round(np.asarray(keypoints, np.float64), 4), np.asarray(scores, np.float64)
    if not (np.isfinite(keypoints).all() and np.isfinite(scores).all()):
        raise ValueError("results with keypoints or scores that are not finite numbers cannot be written")
    return Results(image_ids, np.broadcast_to(category_ids, len(keypoints)), keypoints, scores)


class Scorer(Protocol):
    """Keypoints of a test split -> a results file and the numbers of its metric."""

    headline: str  # the number that tells which weights are the best

    def results_name(self, image_set: str, experiment: str, ending: str) -> str:
        """Name of the results file; `ending` tells several of one experiment apart."""

    def score_people(self, keypoints: np.ndarray, records: Any, results_file: Path) -> dict[str, float]:
        """The metric's numbers; writes what was scored to `results_file`.

        `keypoints` (N, K, 3) x, y, score in image px, a row for each of `records` (see dataset.Records).
        """


SCORERS = Registry("scorer")
SCORERS.register("mpii")(mpii_scorer)
for _animals in ANIMAL_SETS:
    SCORERS.register(_animals)(pck_scorer)
SCORERS.register("pck")(pck_scorer)


def build_scorer(cfg: Any, dataset: Any) -> Scorer:
    """The scorer that TEST.METRIC names, or the data set's own; `dataset` is its test split."""
    return SCORERS.get(cfg.TEST.METRIC or cfg.DATASET.DATASET)(cfg, dataset)


@SCORERS.register("oks")
@SCORERS.register("toy")
@SCORERS.register("coco")
def _coco_scorer(cfg: Any, dataset: Any) -> Scorer:
    test = cfg.TEST
    threshold = test.NMS_THRE if test.NMS == "box" else test.OKS_THRE
    suppression = Suppression(test.NMS, threshold, test.SOFT_NMS)
    people = PeopleOfImages(dataset.skeleton.sigmas, test.IN_VIS_THRE, suppression, test.RESCORE)
    if "annotations" not in dataset.ground_truth:
        return ServerResults(people)
    return CocoScorer(dataset.ground_truth, people)


@dataclass(frozen=True)
class PeopleOfImages:
    """Rescoring and suppression: what stands between keypoints and COCO's results."""

    sigmas: Sequence[float]
    in_vis_threshold: float = 0.2
    suppression: Suppression = Suppression()
    rescoring: str = "box_times_keypoints"  # or "keypoints"

    def results(self, keypoints: np.ndarray, records: Any) -> Results:
        """Results of keypoints (N, K, 3), a row for each of `records`."""
        if self.rescoring == "keypoints":
            scores = mean_keypoint_score(keypoints[..., 2])
        else:
            scores = rescore(keypoints[..., 2], records.box_scores, self.in_vis_threshold)
        kept = suppress(keypoints, scores, records, self.sigmas, self.suppression)
        categories = 1 if records.category is None else records.category[kept]
        return rounded_results(keypoints[kept], scores[kept], records.image_ids[records.image_index[kept]], categories)


class CocoScorer:
    """COCOeval on one annotation file; the index is built once and serves every epoch.

    A file with several categories has one AP, the mean of theirs, as COCOeval gives it.
    """

    headline = "AP"

    def __init__(self, ground_truth: dict[str, Any], people: PeopleOfImages):
        self.people = people
        self.truth = COCO()
        self.truth.dataset = ground_truth
        with contextlib.redirect_stdout(io.StringIO()):
            self.truth.createIndex()

    def results_name(self, image_set: str, experiment: str, ending: str) -> str:
        return f"keypoints_{image_set}_results{ending}.json"

    def score(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """COCO_METRICS of results in COCO's format; see `score_results`."""
        return self.score_results(Results.of_rows(results, len(self.people.sigmas)))

    def score_results(self, results: Results) -> dict[str, float]:
        """COCO_METRICS of the results; all 0 where there are none, a ValueError where one is on an unknown image."""
        if not len(results.image_ids):
            logger.warning("no results to score: nobody was detected on the images of the annotations")
            return dict.fromkeys(COCO_METRICS, 0.0)
        if unknown := set(np.unique(results.image_ids).tolist()).difference(self.truth.imgs):
            raise ValueError(
                f"results on image {min(unknown)}, which is not in the annotations; score them with theirs"
            )
        with contextlib.redirect_stdout(io.StringIO()):
            found = results.image_ids, results.category_ids, results.keypoints, results.scores
            evaluation = BatchedCOCOeval(self.truth, *found, self.people.sigmas)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return {name: float(value) for name, value in zip(COCO_METRICS, evaluation.stats, strict=True)}

    def score_people(self, keypoints: np.ndarray, records: Any, results_file: Path) -> dict[str, float]:
        """COCO_METRICS of predictions; see Scorer."""
        results = self.people.results(keypoints, records)
        write_json_rows(results.rows(), results_file)
        return self.score_results(results)


class ServerResults:
    """Results for COCO's evaluation server, for sets whose annotations are not public (test-dev)."""

    headline = ""

    def __init__(self, people: PeopleOfImages):
        self.people = people

    def results_name(self, image_set: str, experiment: str, ending: str) -> str:
        """The server wants person_keypoints_<set>_<algorithm>_results.json; underscores part the words."""
        return f"person_keypoints_{image_set}_{experiment.replace('_', '-')}_results.json"

    def score_people(self, keypoints: np.ndarray, records: Any, results_file: Path) -> dict[str, float]:
        """No numbers; writes `results_file` and, beside it, the zip with it that the server takes."""
        write_json_rows(self.people.results(keypoints, records).rows(), results_file)
        archive = results_file.with_suffix(".zip")
        with replacing(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as file:
            file.write(results_file, results_file.name)
        logger.info("%s: submit this file to COCO's evaluation server", archive)
        return {}
