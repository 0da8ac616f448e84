"""CC-SSL's synthetic animals (Mu et al. 2020) -> records: rendered CAD models, one animal an image.

ROOT/synthetic_animal/<animal>_combineds5r5_texture/<number>_img.png        or all in ROOT/synthetic_animal.zip
ROOT/synthetic_animal/<animal>_combineds5r5_texture/<number>_kpts.npy       (18, 3): x, y in image px from 0, visible

The first four fifths by number are the set train, the others valid: 8000 and 2000 of CC-SSL's 10,000.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .animals import visible_animals
from .arrays import read_npy
from .images import ImageFolder
from .records import DataError, Records
from .skeletons import QUADRUPED

FOLDER = "synthetic_animal"
SETS = ("train", "valid")
IMAGE, KEYPOINTS = "_img.png", "_kpts.npy"
CONVERT = "write x, y (image px from 0) and visible (0 or 1) of the 18 keypoints as in docs/animals.md"


def folder_name(animal: str) -> str:
    """<animal>_combineds5r5_texture."""
    return f"{animal}_combineds5r5_texture"


def image_folder(root: Path, animals: Sequence[str], data_format: str = "jpg") -> ImageFolder:
    """The images, whose names begin with their animal's folder; a DataError that says which folder is not there."""
    images = ImageFolder(root / FOLDER, data_format)
    if images.archive:
        images.check()
    for animal in animals:
        if not (folder := images.folder / folder_name(animal)).is_dir():
            raise DataError(
                f"{folder}: no such folder; put CC-SSL's synthetic {animal}s there, <number>{IMAGE} and "
                f"<number>{KEYPOINTS}, or set DATASET.ROOT or DATASET.ANIMALS"
            )
    return images


def read_animals(root: Path, animals: Sequence[str], image_set: str, aspect_ratio: float) -> Records:
    """The images of a set that show a keypoint, animal by animal and by number.

    Raises:
        DataError: another set than train and valid; no keypoint files, or one that is not as expected.
    """
    if image_set not in SETS:
        raise DataError(
            f"the synthetic animals have no set {image_set!r}; set DATASET.TRAIN_SET train and DATASET.TEST_SET valid"
        )
    paths = [path for animal in animals for path in _files(root / FOLDER / folder_name(animal), image_set)]
    points = np.stack([_keypoints(path) for path in paths])
    names = np.array([f"{path.parent.name}/{path.name.removesuffix(KEYPOINTS)}{IMAGE}" for path in paths])
    records = visible_animals(names, points[..., :2], points[..., 2], aspect_ratio)
    if not len(records):
        raise DataError(f"{root / FOLDER}: no keypoint of the set {image_set} is visible; {CONVERT}")
    return records


def _files(folder: Path, image_set: str) -> list[Path]:
    """The keypoint files of a set in an animal's folder, by their numbers."""
    paths = list(folder.glob(f"*{KEYPOINTS}"))
    for path in paths:
        if not path.name.removesuffix(KEYPOINTS).isdecimal():
            raise DataError(f"{path}: expected a name like 17{KEYPOINTS}, beside 17{IMAGE}; rename or remove it")
    paths.sort(key=lambda path: int(path.name.removesuffix(KEYPOINTS)))
    trained = len(paths) * 4 // 5
    chosen = paths[:trained] if image_set == "train" else paths[trained:]
    if not chosen:
        raise DataError(
            f"{folder}: {len(paths)} files <number>{KEYPOINTS}, too few for the set {image_set}; expected one beside "
            f"each <number>{IMAGE}: {CONVERT}"
        )
    return chosen


def _keypoints(path: Path) -> np.ndarray:
    """(18, 3) float64: x, y, visible."""
    points = read_npy(path, "")
    expected = (QUADRUPED.num_joints, 3)
    if points.shape != expected or points.dtype.kind not in "iufb":
        found = f"{points.dtype} of the shape {list(points.shape)}"
        raise DataError(f"{path}: {found}, expected numbers of the shape {list(expected)}; {CONVERT}")
    if not np.isfinite(points[points[:, 2] != 0]).all():
        raise DataError(f"{path}: a visible keypoint is no finite number; {CONVERT}")
    return points.astype(np.float64)
