"""The people of a data set as arrays: what every reader gives and every loader takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np


class DataError(ValueError):
    """A data file that cannot be used; the message names the file, what was expected and how to mend it."""


@dataclass(frozen=True)
class Records:
    """N people in M images. Arrays, not lists of dicts, so that loading processes share the memory.

    Attributes:
        image_names: (M,) text; file names below the folder (or inside the zip) of the images.
        image_ids: (M,) the data set's ids.
        image_index: (N,) position of each person's image in the two arrays above.
        center: (N, 2) float32 (MPII: float64, as its forks' reader), middle of the padded box, image px.
        scale: (N, 2) of the same type, width and height of the padded box, image px.
        keypoints: (N, K, 2) float64, image px; 0 where not labelled and for detections.
        visible: (N, K) float32, 1 where labelled. Detections have 1 everywhere, as the forks give them.
        box_scores: (N,) float64, detector's score; 1 for annotated boxes.
        boxes: (N, 4) float64, x, y, width, height of the boxes before padding, image px.
        hidden: (N, K) float32, 1 for joints that are labelled but covered by something; None where nothing is known.
        left_out: why annotations or detections of the file are not among the people, in words -> how many.
        clip: (N,) int, the shot that each record's image is a frame of, -1 for none; records of one clip stand in time
            order. None for data sets of single images.
        frame: (N,) int, the number of the image in its clip; None where there are no clips.
        category: (N,) int, the file's category id of each; None where a data set has only one kind.
    """

    image_names: np.ndarray
    image_ids: np.ndarray
    image_index: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    box_scores: np.ndarray
    boxes: np.ndarray
    hidden: np.ndarray | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    clip: np.ndarray | None = None
    frame: np.ndarray | None = None
    category: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.center)

    @property
    def areas(self) -> np.ndarray:
        """(N,) areas of the padded boxes, px^2."""
        return np.prod(self.scale.astype(np.float64), axis=1)

    def select(self, kept: np.ndarray) -> "Records":
        """The people at the indices (or under the mask) `kept`; images stay."""
        names = (
            "image_index", "center", "scale", "keypoints", "visible", "box_scores", "boxes", "hidden", "clip", "frame",
            "category",
        )  # fmt: skip
        found = {name: getattr(self, name) for name in names}
        return replace(self, **{name: array[kept] for name, array in found.items() if array is not None})


def select_consistent(records: Records) -> Records:
    """People whose keypoints' mean lies near the box centre, the more so the fewer keypoints are labelled.

    SimpleBaselines' SELECT_DATA filter: exp(-d^2 / (2 * 0.2^2 * area)) must exceed 0.0125 (n - 1) + 0.45, with d the
    distance in image px and n the number of labelled keypoints.
    """
    labelled = records.visible > 0
    count = labelled.sum(axis=1)
    mean = (records.keypoints * labelled[..., None]).sum(axis=1) / np.maximum(count, 1)[:, None]
    distance = np.linalg.norm(mean - records.center, axis=1)
    similarity = np.exp(-(distance**2) / (2 * 0.2**2 * np.maximum(records.areas, 1e-9)))
    return records.select((count > 0) & (similarity > 0.2 / 16 * (count - 1) + 0.45))
