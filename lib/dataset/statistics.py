"""What is in a COCO annotation file: counts, histograms, keypoints by joint and visibility, masks against `area`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .doctor.areas import SIZE_RANGES
from .doctor.table import numbers
from .groups import Group
from .masks import ENCODINGS, FAULTY, NONE

VISIBILITIES = ("not labelled", "occluded", "visible", "other")  # v of 0, 1, 2 and what is neither
# px; the ends of COCO's small, medium and large people are among them
LENGTHS = (0, 16, 32, 64, 96, 128, 192, 256, 384, 512)
MEDIUM, LARGE = (SIZE_RANGES[name][0] for name in ("medium", "large"))  # px^2 from which people are so
PEOPLE = (1, 2, 3, 4, 5, 8, 12, 20)
RATIO_OUTSIDE = (0.8, 1.25)  # mask / area; of 2164 real people in COCO two are outside, with masks of 2 and 5 px


@dataclass(frozen=True)
class JointCounts:
    """Keypoints of the categories that share a skeleton.

    Attributes:
        categories: their names.
        names: K names.
        people: how many have a labelled keypoint and are no crowd; they alone are counted.
        visibility: (K, 4) how many of them have the joint with each of VISIBILITIES.
    """

    categories: tuple[str, ...]
    names: tuple[str, ...]
    people: int
    visibility: np.ndarray

    @property
    def what(self) -> str:
        """The category, or how many there are."""
        return self.categories[0] if len(self.categories) == 1 else f"{len(self.categories)} categories"

    @property
    def labelled(self) -> np.ndarray:
        """(K,) shares of the people whose joint is labelled."""
        return 1 - self.visibility[:, 0] / max(self.people, 1)

    def rows(self) -> dict[str, dict[str, Any]]:
        """Counts by visibility and the labelled share of every joint; v of another value only where it occurs."""
        kinds = VISIBILITIES if self.visibility[:, -1].any() else VISIBILITIES[:-1]
        return {
            name: {**dict(zip(kinds, counts, strict=False)), "labelled": f"{100 * share:.1f}%"}
            for name, counts, share in zip(self.names, self.visibility.tolist(), self.labelled, strict=True)
        }


@dataclass(frozen=True)
class Histogram:
    """Counts of values in bins.

    Attributes:
        edges: where the bins begin; each ends before the next begins, the last is open.
        counts: as many.
        unknown: how many have no value.
        whole: whether the values are whole numbers.
    """

    edges: tuple[int, ...]
    counts: tuple[int, ...]
    unknown: int
    whole: bool = False

    def rows(self) -> dict[str, int]:
        """The counts by the bins in words, and how many are unknown where there are any.

        >>> Histogram((0, 16, 32), (5, 2, 0), 0).rows(), Histogram((0, 1, 3), (5, 2, 0), 0, whole=True).rows()
        ({'0 to 16': 5, '16 to 32': 2, 'from 32': 0}, {'0': 5, '1 to 2': 2, 'from 3': 0})
        """
        ends = [(low, high - self.whole) for low, high in zip(self.edges[:-1], self.edges[1:], strict=True)]
        labels = [f"{low:,} to {high:,}" if high > low else str(low) for low, high in ends]
        rows = dict(zip([*labels, f"from {self.edges[-1]:,}"], self.counts, strict=True))
        return {**rows, "unknown": self.unknown} if self.unknown else rows


@dataclass(frozen=True)
class Statistics:
    """N annotations on M images.

    Attributes:
        image_sizes: (M, 2) width and height, px; nan where they are no numbers.
        image_index: (N,) positions of the annotations' images, -1 for none.
        categories: (N,) names.
        crowd: (N,) whether it is a crowd; who is not is one of the people, or animals.
        posed: (N,) how many keypoints are labelled.
        readable: (N,) whether there are x, y, v of every keypoint.
        boxes: (N, 2) width and height, px; nan where there is none.
        areas: (N,) `area`, px^2; nan where there is none.
        encodings: (N,) of the masks.
        mask_areas: (N,) px; nan without a mask.
        ids: (N,) texts, for messages.
        joints: keypoints by joint, an entry for each skeleton with keypoints.
    """

    image_sizes: np.ndarray
    image_index: np.ndarray
    categories: np.ndarray
    crowd: np.ndarray
    posed: np.ndarray
    readable: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    encodings: np.ndarray
    mask_areas: np.ndarray
    ids: np.ndarray
    joints: tuple[JointCounts, ...]

    @property
    def people_per_image(self) -> np.ndarray:
        """(M,) annotations that are no crowd."""
        counted = self.image_index[~self.crowd & (self.image_index >= 0)]
        return np.bincount(counted, minlength=len(self.image_sizes))


def measure(content: dict[str, Any], groups: Sequence[Group]) -> Statistics:
    """The statistics of a COCO content and its groups (`read_groups`)."""

    def joined(part: Any) -> np.ndarray:
        return np.concatenate([part(group) for group in groups])

    return Statistics(
        image_sizes=numbers([[image["width"], image["height"]] for image in content["images"]], 2),
        image_index=joined(lambda group: group.table.image_index),
        categories=joined(lambda group: group.categories),
        crowd=joined(lambda group: group.table.crowd),
        posed=joined(lambda group: group.table.labelled.sum(axis=1)),
        readable=joined(_readable),
        boxes=joined(lambda group: group.table.boxes[:, 2:]),
        areas=joined(lambda group: group.table.areas),
        encodings=joined(lambda group: group.masks.encodings),
        mask_areas=joined(lambda group: group.masks.areas),
        ids=joined(lambda group: np.array([str(each.get("id", "?")) for each in group.table.annotations])),
        joints=tuple(count_joints(group) for group in groups if group.skeleton.num_joints),
    )  # fmt: skip


def _readable(group: Group) -> np.ndarray:
    return np.isfinite(group.table.keypoints).all(axis=(1, 2)) & (group.skeleton.num_joints > 0)


def count_joints(group: Group) -> JointCounts:
    """Keypoints of a group by joint and visibility."""
    table = group.table
    people = ~table.crowd & table.labelled.any(axis=1)
    seen = table.keypoints[people, :, 2]
    visibility = np.stack([(seen == value).sum(axis=0) for value in (0, 1, 2)], axis=1)
    other = people.sum() - visibility.sum(axis=1)
    names = tuple(dict.fromkeys(group.categories.tolist()))
    return JointCounts(names, group.skeleton.names, int(people.sum()), np.column_stack([visibility, other]))


def count_bins(values: np.ndarray, edges: Sequence[int], whole: bool = False) -> Histogram:
    """The histogram of values (n,); nan and what lies below the first edge is unknown.

    >>> count_bins(np.array([1, 5, 40, np.nan]), (0, 16, 32)).counts
    (2, 0, 1)
    """
    known = values[values >= edges[0]]
    counts = np.bincount(np.searchsorted(edges, known, side="right") - 1, minlength=len(edges))
    return Histogram(tuple(edges), tuple(counts.tolist()), len(values) - len(known), whole)


def histograms(found: Statistics) -> dict[str, Histogram]:
    """People by the size of their box and their area, and images by the number of their people."""
    people = ~found.crowd
    return {
        "box width, px": count_bins(found.boxes[people, 0], LENGTHS),
        "box height, px": count_bins(found.boxes[people, 1], LENGTHS),
        "area, px^2": count_bins(found.areas[people], [length**2 for length in LENGTHS]),
        "people per image": count_bins(found.people_per_image, (0, *PEOPLE), whole=True),
    }


def summary(found: Statistics) -> dict[str, int | float]:
    """The main counts by their names."""
    people = ~found.crowd
    areas, labelled = found.areas[people], found.posed[people]
    per_image = found.people_per_image
    doubtful = {
        "annotations on no image": int((found.image_index < 0).sum()),
        "annotations without readable keypoints": int((~found.readable).sum()),
        "annotations without a box": int(np.isnan(found.boxes).any(axis=1).sum()),
        "annotations without area": int(np.isnan(found.areas).sum()),
    }
    return {
        "images": len(found.image_sizes),
        "images with people": int((per_image > 0).sum()),
        "annotations": len(people),
        "people": int(people.sum()),
        "crowd regions": int(found.crowd.sum()),
        "people with keypoints": int((labelled > 0).sum()),
        "labelled keypoints": int(labelled.sum()),
        "labelled keypoints per person that has any": _mean(labelled[labelled > 0]),
        "people per image that has any": _mean(per_image[per_image > 0]),
        "small people (area below 32^2)": int((areas < MEDIUM).sum()),
        "medium people": int(((areas >= MEDIUM) & (areas < LARGE)).sum()),
        "large people (area from 96^2)": int((areas >= LARGE).sum()),
        **{name: count for name, count in doubtful.items() if count},
    }


def count_categories(found: Statistics) -> dict[str, dict[str, int]]:
    """Counts for every category that has annotations, in the order of the alphabet."""
    rows = {}
    for name in sorted(set(found.categories.tolist())):
        own = found.categories == name
        people = own & ~found.crowd
        rows[name] = {
            "images": len(np.unique(found.image_index[own & (found.image_index >= 0)])),
            "people": int(people.sum()),
            "crowd regions": int((own & found.crowd).sum()),
            "people with keypoints": int((people & (found.posed > 0)).sum()),
            "labelled keypoints": int(found.posed[people].sum()),
        }
    return rows


def count_masks(found: Statistics) -> dict[str, dict[str, Any]]:
    """For every encoding that occurs: how many, and the area of the masks over the annotations' `area`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(found.areas > 0, found.mask_areas / found.areas, np.nan)
    low, high = RATIO_OUTSIDE
    rows: dict[str, dict[str, Any]] = {}
    for name in ENCODINGS:
        own = found.encodings == name
        if not own.any():
            continue
        rows[name] = {"annotations": int(own.sum()), "crowd regions": int((own & found.crowd).sum())}
        known = np.flatnonzero(own & np.isfinite(ratio))
        if name in (NONE, FAULTY) or not len(known):
            continue
        ratios = ratio[known]
        farthest = known[np.abs(np.log(np.maximum(ratios, 1e-9))).argmax()]
        rows[name] |= {
            "mask / area, mean": float(ratios.mean()),
            f"outside {low} to {high}": int(((ratios < low) | (ratios > high)).sum()),
            "farthest": float(ratio[farthest]),
            "of annotation": str(found.ids[farthest]),
        }
    return rows


def as_json(found: Statistics) -> dict[str, Any]:
    """All counts, for a JSON file."""
    return {
        "summary": summary(found),
        "categories": count_categories(found),
        "joints": [
            {
                "categories": list(joints.categories),
                "people": joints.people,
                "keypoints": {
                    name: dict(zip(VISIBILITIES, row, strict=True))
                    for name, row in zip(joints.names, joints.visibility.tolist(), strict=True)
                },
            }
            for joints in found.joints
        ],
        "histograms": {
            name: {"from": list(each.edges), "counts": list(each.counts), "unknown": each.unknown}
            for name, each in histograms(found).items()
        },
        "masks": count_masks(found),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
