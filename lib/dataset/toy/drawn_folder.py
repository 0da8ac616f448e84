"""Writes a drawn data set: a folder that appears whole, is drawn anew when its parameters change, and never replaces
someone else's files.

    root/images/<set>/*.jpg
    root/annotations/*.json
    root/toy.json               the parameters, what makes a folder ours
"""

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2

from ..skeletons import Skeleton
from .bones import Array

logger = logging.getLogger(__name__)

MARKER = "toy.json"
JPEG_QUALITY = 90


def check_splits(train_set: str, test_set: str, train_images: int, test_images: int) -> dict[str, int]:
    """Images of each split by its name; a ValueError where there are none, or both have one name."""
    if min(train_images, test_images) < 1:
        raise ValueError(f"the toy data set needs at least 1 image a split, got {train_images} and {test_images}")
    if train_set == test_set:
        raise ValueError(f"the toy data set needs two different names for its splits, got {train_set!r} twice")
    return {train_set: train_images, test_set: test_images}


def ensure_drawn(root: Path, parameters: dict[str, Any], files: Sequence[str], draw: Callable[[Path], str]) -> None:
    """Let `draw` fill `root`, unless it is there already with these parameters.

    The folder is drawn beside `root` under a temporary name and renamed at the end.

    Args:
        root: the folder. Others than this function must have written nothing into it.
        parameters: all that the data set depends on, as JSON keeps it; "images" has the number of each set by its name.
        files: what the folder has besides its images, relative to it.
        draw: fills the folder it is given and says in words what it drew.

    Raises:
        ValueError: `root` holds files that this function did not write.
    """
    root = Path(root).resolve()
    if _is_current(root, parameters, files):
        return
    _refuse_foreign(root, {"images", MARKER, *(Path(file).parts[0] for file in files)})
    started = time.perf_counter()
    root.parent.mkdir(parents=True, exist_ok=True)
    drawn = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    try:
        what = draw(drawn)
        (drawn / MARKER).write_text(json.dumps(parameters, indent=1))
        drawn.chmod(0o755)  # mkdtemp's folders are private
        _put_in_place(drawn, root, lambda: _is_current(root, parameters, files))
    finally:
        shutil.rmtree(drawn, ignore_errors=True)
    logger.info("drew %s, in %.1f s: %s", what, time.perf_counter() - started, root)


def _is_current(root: Path, parameters: dict[str, Any], files: Sequence[str]) -> bool:
    """Whether `root` holds the data set of these parameters, with all its files."""
    try:
        found = json.loads((root / MARKER).read_text())
    except (OSError, ValueError):
        return False
    if found != parameters:
        return False
    return all((root / file).is_file() for file in files) and all(
        len(list((root / "images" / image_set).glob("*.jpg"))) == count
        for image_set, count in parameters["images"].items()
    )


def _refuse_foreign(root: Path, ours: set[str]) -> None:
    """Raise unless `root` can be replaced: it does not exist, is empty, or holds a toy data set and nothing else."""
    if root.exists() and not root.is_dir():
        raise ValueError(f"the toy data set needs a folder, but {root} is a file")
    entries = {path.name for path in root.iterdir()} if root.exists() else set()
    strange = entries if MARKER not in entries else entries - ours
    if strange:
        raise ValueError(
            f"{root} holds files that are not the toy data set's ({', '.join(sorted(strange)[:3])}) and would be "
            "overwritten; set DATASET.ROOT to a new folder or move them away"
        )


def _put_in_place(drawn: Path, root: Path, is_current: Callable[[], bool]) -> None:
    """Rename the drawn folder to `root`; another process that did so first with the same parameters wins."""
    with tempfile.TemporaryDirectory(prefix=f".{root.name}-old-", dir=root.parent) as aside:
        if is_current():
            return
        if root.exists():
            root.rename(Path(aside) / "old")
        try:
            drawn.rename(root)
        except OSError:
            if not is_current():
                raise


def write_picture(picture: Array, path: Path, quality: int = JPEG_QUALITY) -> None:
    """A picture (H,W,3) BGR as a JPEG file."""
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, quality]):
        raise OSError(f"cannot write {path}")


def write_json(path: Path, content: Any) -> None:
    """A JSON file and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def image_entry(number: int, picture: Array) -> dict[str, Any]:
    """COCO's entry of the image with that id."""
    image = {"id": number, "file_name": f"{number:012d}.jpg", "license": 1}
    return image | {"width": picture.shape[1], "height": picture.shape[0]}


def coco_content(
    name: str, skeleton: Skeleton, images: list[dict[str, Any]], annotations: list[dict[str, Any]], info: dict[str, Any]
) -> dict[str, Any]:
    """What COCO's annotation files hold, with one category, `name`."""
    category = {"supercategory": name, "id": 1, "name": name, "keypoints": list(skeleton.names)}
    category["skeleton"] = [[a + 1, b + 1] for a, b in skeleton.limbs]
    return {
        "info": info,
        "licenses": [{"id": 1, "name": "drawn, no rights reserved", "url": ""}],
        "images": images,
        "annotations": annotations,
        "categories": [category],
    }
