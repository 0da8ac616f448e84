"""TigDog (behaviorDiscovery2.0; Del Pero et al. 2015) -> records: horses and tigers in videos, as CC-SSL reads them.

ROOT/behaviorDiscovery2.0/ranges/<animal>/ranges.mat        `ranges`, a row a shot: its number, first and last frame
ROOT/behaviorDiscovery2.0/landmarks/<animal>/<shot>.mat     `landmarks`, a cell a frame; not every shot has this file
ROOT/behaviorDiscovery2.0/<animal>/00000001.jpg ...         or all animals' in ROOT/behaviorDiscovery2.0.zip
ROOT/splits/<animal>/<set>_idxs_by_video.npy                which frames CC-SSL trains and scores on; see `read_split`
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .animals import visible_animals
from .arrays import MATLAB_ORIGIN, read_mat, read_npy
from .images import ImageFolder
from .records import DataError, Records

logger = logging.getLogger(__name__)

RELEASE = "behaviorDiscovery2.0"
LANDMARKS = 18  # the first of a file's; the last, the neck, is not used
# For each keypoint of skeletons.QUADRUPED its place among the landmarks: tigers have theirs in another order.
ORDER = {
    "horse": np.arange(LANDMARKS),
    "tiger": np.array([1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 17, 18, 13, 14, 9, 10, 11, 12]) - 1,
}
SHOTS_OF_AN_ANIMAL = 10_000  # Records.clip is a shot's number, plus this for tigers, so that it is unique
GET_RELEASE = f"; unpack the archive of TigDog's annotations so that ROOT/{RELEASE} has ranges and landmarks"


def image_folder(root: Path, animals: Sequence[str], data_format: str = "jpg") -> ImageFolder:
    """The frames, whose names begin with their animal's; a DataError that says which archive is not unpacked."""
    images = ImageFolder(root / RELEASE, data_format)
    if images.archive:
        images.check()
        return images
    for animal in animals:
        if not (images.folder / animal).is_dir():
            raise DataError(
                f"{images.folder / animal}: no such folder; unpack TigDog's {animal}.tar.gz in {images.folder}, or set "
                "DATASET.ROOT or DATASET.ANIMALS"
            )
    return images


def read_animals(root: Path, animals: Sequence[str], image_set: str, aspect_ratio: float) -> Records:
    """The frames of a set that show a keypoint; animal by animal, shots in the order of ranges.mat, frames by time.

    Raises:
        DataError: a file is missing, broken, or does not fit the others; no frame with a visible landmark.
    """
    parts = [_read_animal(root, animal, image_set) for animal in animals]
    names, keypoints, visible, clip, frame = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    records = visible_animals(names, keypoints, visible, aspect_ratio, clip, frame)
    if not len(records):
        raise DataError(f"{root}: no frame of the set {image_set} has a visible landmark; choose frames that have")
    return records


def _read_animal(root: Path, animal: str, image_set: str) -> tuple[np.ndarray, ...]:
    """Names (N,), keypoints (N, 18, 2), image px from 0, visible (N, 18), clip and frame (N,) of an animal's frames."""
    shots = read_shots(root, animal)
    counts = shots[:, 2] - shots[:, 1] + 1
    ends = np.cumsum(counts)
    chosen = read_split(root, animal, image_set, int(ends[-1]))
    shot = np.searchsorted(ends, chosen, side="right")
    frame = chosen - (ends - counts)[shot]  # in its shot, from 0
    keypoints, visible = np.zeros((len(chosen), LANDMARKS, 2)), np.zeros((len(chosen), LANDMARKS))
    for number in np.unique(shot):  # only the shots of this set are read
        path = landmark_path(root, animal, shots[number, 0])
        positions, present = read_landmarks(path, int(counts[number]))
        of_shot = shot == number
        keypoints[of_shot] = positions[frame[of_shot]][:, ORDER[animal]]
        visible[of_shot] = present[frame[of_shot]][:, ORDER[animal]]
    names = np.array([f"{animal}/{number:08d}.jpg" for number in shots[shot, 1] + frame])
    clip = shots[shot, 0] + SHOTS_OF_AN_ANIMAL * list(ORDER).index(animal)
    return names, keypoints, visible, clip, frame


def landmark_path(root: Path, animal: str, shot: int) -> Path:
    """ROOT/behaviorDiscovery2.0/landmarks/<animal>/<shot>.mat."""
    return root / RELEASE / "landmarks" / animal / f"{shot}.mat"


def read_shots(root: Path, animal: str) -> np.ndarray:
    """(S, 3) numbers, first and last frames, counted from 1, of the shots with a landmark file, as in ranges.mat."""
    path = root / RELEASE / "ranges" / animal / "ranges.mat"
    shots = _ranges(path)
    kept = shots[[landmark_path(root, animal, number).is_file() for number in shots[:, 0]]]
    if not len(kept):
        raise DataError(f"{landmark_path(root, animal, 1).parent}: no landmarks of any shot of {path}{GET_RELEASE}")
    return kept


def _ranges(path: Path) -> np.ndarray:
    table = np.asarray(read_mat(path, GET_RELEASE).get("ranges", ()))
    if table.ndim == 2 and len(table) == 3 != table.shape[1]:
        table = table.T  # as TigDog's README describes it; CC-SSL reads rows
    if table.ndim != 2 or table.shape[1] != 3 or table.dtype.kind not in "iuf" or not len(table):
        raise DataError(
            f"{path}: 'ranges' is {table.dtype} of the shape {list(table.shape)}, expected three whole numbers a shot: "
            "its number, its first and its last frame; fetch it again"
        )
    number, first, last = table.T
    _, place, often = np.unique(number, return_inverse=True, return_counts=True)
    sound = (number > 0) & (number < SHOTS_OF_AN_ANIMAL) & (first > 0) & (first <= last) & (often[place.ravel()] == 1)
    sound &= (table == np.floor(table)).all(axis=1) & np.isfinite(table).all(axis=1)
    if not sound.all():
        raise DataError(
            f"{path}: the shot {table[sound.argmin()].tolist()} is not [number, first frame, last frame] with a number "
            f"of its own below {SHOTS_OF_AN_ANIMAL} and frames from 1; fetch it again"
        )
    return table.astype(np.int64)


def read_split(root: Path, animal: str, image_set: str, count: int) -> np.ndarray:
    """The frames of a set, ascending, as indices from 0 into all `count` frames of the shots of `read_shots`.

    The file is CC-SSL's: an integer array of such indices.
    """
    path = root / "splits" / animal / f"{image_set}_idxs_by_video.npy"
    chosen = read_npy(path, "; put CC-SSL's split files there, or set DATASET.TRAIN_SET train, TEST_SET valid")
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {chosen.dtype} of the shape {list(chosen.shape)}, expected one row of whole numbers, the indices "
            "of frames from 0; fetch it again"
        )
    chosen = np.sort(chosen.astype(np.int64))
    if len(chosen) and (chosen[0] < 0 or chosen[-1] >= count):
        wrong = chosen[0] if chosen[0] < 0 else chosen[-1]
        raise DataError(
            f"{path}: has the index {wrong}, but the shots of {animal} with landmarks have {count} frames, 0 to "
            f"{count - 1}; is {landmark_path(root, animal, 1).parent} complete?"
        )
    if (np.diff(chosen) == 0).any():
        raise DataError(f"{path}: names the index {chosen[np.diff(chosen).argmin()]} twice; fetch it again")
    return chosen


def read_landmarks(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions (count, 18, 2), image px from 0, and presence (count, 18) in a shot's frames, in the file's order.

    1 is subtracted from the positions: MATLAB's count from 1 (CC-SSL leaves them). A cell holds a struct with
    `present` and `position`, L values and L points of 18 or more landmarks, either way round. Cells behind the last
    frame are not read, as by CC-SSL, and the log says so.
    """
    cells = np.ravel(read_mat(path, GET_RELEASE).get("landmarks", np.zeros(0)))
    if len(cells) < count:
        raise DataError(
            f"{path}: 'landmarks' has {len(cells)} cells, but the shot has {count} frames in ranges.mat; fetch it again"
        )
    if len(cells) > count:
        logger.warning("%s: %d cells for %d frames; the last ones are not read", path, len(cells), count)
    frames = [_landmarks_of_frame(cell, f"{path}: cell {i}") for i, cell in enumerate(cells[:count], 1)]
    positions, present = (np.stack(arrays) for arrays in zip(*frames, strict=True))
    return positions - MATLAB_ORIGIN, present


def _landmarks_of_frame(cell: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Position (18, 2) as in the file and presence (18,), 0 or 1."""
    try:
        struct = _unwrapped(cell)
        position, present = (np.asarray(_unwrapped(struct[key]), np.float64) for key in ("position", "present"))
    except (IndexError, TypeError, ValueError):  # NumPy's for a field that is not there, and for no numbers
        raise DataError(f"{where} is no struct of numbers 'present' and 'position'; fetch the file again") from None
    points = position.T if position.ndim == 2 and len(position) == 2 else position
    present = present.ravel()
    if len(present) < LANDMARKS or points.shape != (len(present), 2):
        raise DataError(
            f"{where}: 'present' has {len(present)} values and 'position' the shape {list(position.shape)}, expected "
            f"as many as [2, points], of {LANDMARKS} landmarks or more; fetch the file again"
        )
    points, present = points[:LANDMARKS], (present[:LANDMARKS] > 0).astype(np.float64)
    if not np.isfinite(points[present > 0]).all():
        raise DataError(f"{where}: a landmark that is present has no position; fetch the file again")
    return points, present


def _unwrapped(value: Any) -> Any:
    """What a 1x1 array of structs or cells holds: MATLAB knows nothing smaller, and loadmat keeps them."""
    while isinstance(value, np.ndarray) and value.size == 1 and (value.dtype.names or value.dtype == object):
        value = value.flat[0]
    return value
