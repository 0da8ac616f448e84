"""COCOeval with its matching done for many images at once: the same numbers to the last bit, much sooner.

COCOeval compares every detection with every annotation in Python. Here OKS is computed in the same operations and the
same order of summation for all pairs of many images, and detections take annotations in turn, the best ones of all
images first. COCOeval itself draws the curves and reads off its ten numbers.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

IMAGES_AT_ONCE = 256
NOTHING = -1  # in arrays of positions


class BatchedCOCOeval(COCOeval):
    """Keypoints' COCOeval on detections as arrays, in any order of the images.

    `image_ids` (N,), `category_ids` (N,), `keypoints` (N, K, 3) and `scores` (N,). evalImgs holds what `accumulate`
    reads and nothing else.
    """

    def __init__(
        self,
        truth: COCO,
        image_ids: np.ndarray,
        category_ids: np.ndarray,
        keypoints: np.ndarray,
        scores: np.ndarray,
        sigmas: Sequence[float],
    ):
        super().__init__(truth, None, "keypoints")
        self.params.kpt_oks_sigmas = np.asarray(sigmas)
        self.found = keypoints[..., :2].astype(np.float64), scores
        low, high = self.found[0].min(axis=1), self.found[0].max(axis=1)
        self.found_areas = np.prod(high - low, axis=1)
        self.found_of = _positions_by_key(image_ids.tolist(), category_ids.tolist())

    def evaluate(self) -> None:
        """Fills evalImgs, in COCOeval's order."""
        parameters = self.params
        parameters.imgIds = [int(each) for each in np.unique(parameters.imgIds)]
        parameters.catIds = [int(each) for each in np.unique(parameters.catIds)]
        self.evalImgs = []
        for category in parameters.catIds:
            truth_of = self._truth_of(category)
            images = [_Image(truth_of[i], self._best(i, category)) for i in parameters.imgIds]
            self.evalImgs += self._evaluate_images(images)
        self._paramsEval = copy.deepcopy(parameters)

    def _truth_of(self, category: int) -> dict[int, list[dict[str, Any]]]:
        by_image = self.cocoGt.imgToAnns
        return {
            image: [each for each in by_image.get(image, ()) if each["category_id"] == category]
            for image in self.params.imgIds
        }

    def _best(self, image: int, category: int) -> np.ndarray:
        """Positions of the image's best detections, the best first, of equal ones the first."""
        found = self.found_of.get((image, category))
        if found is None:
            return np.zeros(0, np.int64)
        return found[np.argsort(-self.found[1][found], kind="stable")[: self.params.maxDets[-1]]]

    def _evaluate_images(self, images: list["_Image"]) -> list[dict[str, Any] | None]:
        """COCOeval's dictionaries of one category, area range after area range; None for an image without anybody."""
        ranges = self.params.areaRng
        evaluated: list[list[Any]] = [[None] * len(images) for _ in ranges]
        busy = [number for number, image in enumerate(images) if image.truth or len(image.found)]
        busy.sort(key=lambda number: len(images[number].truth))  # little padding: alike numbers of annotations together
        for start in range(0, len(busy), IMAGES_AT_ONCE):
            numbers = busy[start : start + IMAGES_AT_ONCE]
            batch = _Batch([images[n] for n in numbers], *self.found, self.found_areas, self.params.kpt_oks_sigmas)
            for area_range, row in zip(ranges, evaluated, strict=True):
                for number, result in zip(numbers, batch.evaluate(area_range, self.params.iouThrs), strict=True):
                    row[number] = result
        return [result for row in evaluated for result in row]


class _Image:
    """Annotations of an image and the positions of its best detections."""

    def __init__(self, truth: list[dict[str, Any]], found: np.ndarray):
        self.truth, self.found = truth, found


class _Batch:
    """Images side by side, padded to I images of D detections and G annotations."""

    def __init__(
        self, images: list[_Image], keypoints: np.ndarray, scores: np.ndarray, areas: np.ndarray, sigmas: np.ndarray
    ):
        self.images, self.scores = images, scores
        people = [each for image in images for each in image.truth]
        self.truth_at = _padded([len(image.truth) for image in images])  # (I, G) rows of the arrays of `people`
        counts = [len(image.found) for image in images]
        flat = np.concatenate([image.found for image in images])
        self.found_at = _take(flat, _padded(counts))  # (I, D)
        self.ids = np.array([each["id"] for each in people], np.float64)
        self.truth_areas = np.array([each["area"] for each in people], np.float64)
        self.crowd = np.array([bool(int(each["iscrowd"])) for each in people], bool)
        self.ignored = self.crowd | np.array([each["num_keypoints"] == 0 for each in people], bool)
        self.found_areas = areas
        self.similarity = self._oks(people, keypoints, sigmas)

    def _oks(self, people: list[dict[str, Any]], keypoints: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
        """(I, D, G), -inf for padding."""
        similarity = np.full((*self.found_at.shape, self.truth_at.shape[1]), -np.inf)
        there = (self.found_at[:, :, None] != NOTHING) & (self.truth_at[:, None] != NOTHING)
        image, detection, annotation = np.nonzero(there)
        if len(image):
            pairs = self.found_at[image, detection], self.truth_at[image, annotation]
            similarity[image, detection, annotation] = _oks_of_pairs(*pairs, keypoints, people, sigmas)
        return similarity

    def evaluate(self, area_range: Sequence[float], thresholds: np.ndarray) -> list[dict[str, Any]]:
        """What COCOeval's evaluateImg says of each image."""
        low, high = area_range
        ignored = self.ignored | (self.truth_areas < low) | (self.truth_areas > high)
        taken = self._take_in_turn(ignored, np.minimum(thresholds, 1 - 1e-10))  # (T, I, D)
        matched = np.where(taken == NOTHING, 0.0, np.append(self.ids, 0.0)[taken])
        areas = np.append(self.found_areas, 0.0)[self.found_at]
        outside = (areas < low) | (areas > high)
        unwanted = np.append(ignored, False)[taken] | ((matched == 0) & outside)
        results, first = [], 0
        for number, image in enumerate(self.images):
            count, last = len(image.found), first + len(image.truth)
            results.append({
                "dtScores": self.scores[image.found],
                "dtMatches": matched[:, number, :count],
                "dtIgnore": unwanted[:, number, :count],
                "gtIgnore": ignored[first:last],
            })  # fmt: skip
            first = last
        return results

    def _take_in_turn(self, ignored: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """(T, I, D) the annotation that each detection takes at each threshold, NOTHING for none.

        As in COCOeval the most similar free one, of equal ones the last; ignored ones come after all others.
        """
        order = np.argsort(_take_flags(ignored, self.truth_at), axis=1, kind="stable")  # (I, G)
        truth_at = np.take_along_axis(self.truth_at, order, axis=1)
        late, crowd = _take_flags(ignored, truth_at), _take_flags(self.crowd, truth_at)
        num_images, num_found = self.found_at.shape
        shape = len(thresholds), num_images
        free = np.ones((*shape, truth_at.shape[1]), bool)
        taken = np.full((*shape, num_found), NOTHING)
        for detection in range(num_found):
            row = np.take_along_axis(self.similarity[:, detection], order, axis=1)  # (I, G)
            best = np.broadcast_to(thresholds[:, None], shape).copy()
            chosen = np.full(shape, NOTHING)
            on_time = np.zeros(shape, bool)  # what is chosen is not ignored, and nothing ignored may take its place
            for place in range(truth_at.shape[1]):
                better = (free[:, :, place] | crowd[:, place]) & ~(on_time & late[:, place]) & ~(row[:, place] < best)
                best = np.where(better, row[:, place], best)
                chosen[better] = place
                on_time |= better & ~late[:, place]
            level, image = np.nonzero(chosen != NOTHING)
            places = chosen[level, image]
            taken[level, image, detection] = truth_at[image, places]
            free[level, image, places] = False
        return taken


def _oks_of_pairs(
    found: np.ndarray, truth: np.ndarray, keypoints: np.ndarray, people: list[dict[str, Any]], sigmas: np.ndarray
) -> np.ndarray:
    """OKS (P,) of detections `found` (P,) with annotations `truth` (P,), both positions; see metrics.oks_to_truth.

    Pairs with equally many labelled keypoints are summed together, since the order of a sum depends on its length.
    """
    joints = len(sigmas)
    wanted = np.array([each["keypoints"] for each in people], np.float64).reshape(-1, joints, 3)
    areas = np.array([each["area"] for each in people], np.float64) + np.spacing(1)
    labelled = wanted[:, :, 2] > 0
    order = np.argsort(~labelled, axis=1, kind="stable")  # the labelled ones first
    counts, variances = labelled.sum(axis=1), (sigmas * 2) ** 2
    similarity = np.empty(len(found))
    for count in np.unique(counts[truth]):
        chosen = np.flatnonzero(counts[truth] == count)
        detection, person = found[chosen], truth[chosen]
        if count:
            joint = order[person, :count]  # (p, n)
            apart = keypoints[detection[:, None], joint] - wanted[person[:, None], joint, :2]
            spread = variances[joint]
        else:
            apart, spread = (
                _outside_region(keypoints[detection], np.array([people[p]["bbox"][:4] for p in person])),
                variances,
            )
        e = (apart[..., 0] ** 2 + apart[..., 1] ** 2) / spread / areas[person, None] / 2
        similarity[chosen] = np.sum(np.exp(-e), axis=1) / e.shape[1]
    return similarity


def _outside_region(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """How far points (P, K, 2) lie outside boxes (P, 4) widened to three times their sides."""
    corner, size = boxes[:, None, :2].astype(np.float64), boxes[:, None, 2:].astype(np.float64)
    return np.maximum(0, (corner - size) - points) + np.maximum(0, points - (corner + size * 2))


def _positions_by_key(*keys: list[int]) -> dict[tuple[int, ...], np.ndarray]:
    positions: dict[tuple[int, ...], list[int]] = {}
    for position, key in enumerate(zip(*keys, strict=True)):
        positions.setdefault(key, []).append(position)
    return {key: np.array(each) for key, each in positions.items()}


def _padded(counts: list[int]) -> np.ndarray:
    """Consecutive positions in rows of `counts`, filled with NOTHING.

    >>> _padded([2, 0, 1])
    array([[ 0,  1],
           [-1, -1],
           [ 2, -1]])
    """
    there = np.arange(max(counts, default=0)) < np.array(counts)[:, None]
    rows = np.full(there.shape, NOTHING)
    rows[there] = np.arange(there.sum())
    return rows


def _take_flags(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return np.append(values, False)[positions]


def _take(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return np.append(values, NOTHING)[positions]
