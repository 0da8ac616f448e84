"""What the functions that build data sets share: the configuration's keys in the readers' terms."""

from pathlib import Path
from typing import Any

from ..config import data_path
from ..utils.files import file_sha256
from .augment import Augmentation, MSPNAugmentation
from .records import DataError, Records


def root_of(cfg: Any) -> Path:
    """The folder that DATASET.ROOT names; a DataError where there is none."""
    root = data_path(cfg, cfg.DATASET.ROOT)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; put the data there, or set DATASET.ROOT or --dataDir")
    return root


def augmentation_of(data: Any) -> Augmentation:
    """The augmentation that the section DATASET describes."""
    common = data.FLIP, data.SCALE_FACTOR, data.ROT_FACTOR, data.PROB_HALF_BODY, data.NUM_JOINTS_HALF_BODY
    return MSPNAugmentation(*common, data.RANDOM_EXTENSION) if data.AUGMENTATION == "mspn" else Augmentation(*common)


def aspect_ratio_of(cfg: Any) -> float:
    """Width over height of the network's input."""
    width, height = cfg.MODEL.IMAGE_SIZE
    return width / height


def named_boxes(kind: str, records: Records, path: Path) -> str:
    """Where the boxes of a test split come from, in words."""
    return f"{kind}, {len(records)} boxes of {path} (SHA-256 {file_sha256(path)})"
