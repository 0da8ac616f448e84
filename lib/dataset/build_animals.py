"""The data sets of animals with CC-SSL's keypoints, built from the configuration; each a function for DATASETS."""

import hashlib
from types import ModuleType
from typing import Any

from ..codecs import build_codec
from ..config import data_path
from . import animals, coco, skeletons, synthetic_animals, tigdog, toy_animals
from .building import aspect_ratio_of, augmentation_of, named_boxes, root_of
from .images import ImageFolder
from .joints import TestCrops, TrainingCrops
from .records import Records

KEYPOINT_BOXES = "boxes around the visible keypoints"


def build_toy_animals(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """Drawn quadrupeds of one domain, written to DATASET.ROOT/DATASET.TOY_DOMAIN on first use."""
    data = cfg.DATASET
    root = data_path(cfg, data.ROOT) / data.TOY_DOMAIN
    toy_animals.ensure_toy_animals(
        root, data.TOY_DOMAIN, data.TRAIN_SET, data.TEST_SET, data.TOY_TRAIN_IMAGES, data.TOY_TEST_IMAGES
    )
    image_set = data.TEST_SET if split == "test" else data.TRAIN_SET
    path = animals.annotation_path(root, image_set)
    records = animals.read_animals(path, cfg.MODEL.NUM_JOINTS, aspect_ratio_of(cfg))
    images = ImageFolder(coco.image_folder(root, image_set), data.DATA_FORMAT)
    images.check()
    return _animal_crops(cfg, split, records, images, named_boxes(KEYPOINT_BOXES, records, path))


def build_tigdog(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """TigDog's horses and tigers in videos, with CC-SSL's split."""
    return _ccssl_animals(cfg, split, tigdog)


def build_synthetic_animals(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """CC-SSL's rendered animals."""
    return _ccssl_animals(cfg, split, synthetic_animals)


def _ccssl_animals(cfg: Any, split: str, reader: ModuleType) -> TrainingCrops | TestCrops:
    data, root = cfg.DATASET, root_of(cfg)
    image_set = data.TEST_SET if split == "test" else data.TRAIN_SET
    images = reader.image_folder(root, data.ANIMALS, data.DATA_FORMAT)
    records = reader.read_animals(root, data.ANIMALS, image_set, aspect_ratio_of(cfg))
    digest = hashlib.sha256(records.boxes.tobytes()).hexdigest()  # they come from many files
    where = f"{root}, {image_set} of {', '.join(data.ANIMALS)}"
    boxes = f"{KEYPOINT_BOXES}, {len(records)} boxes of {where} (SHA-256 of the boxes {digest})"
    return _animal_crops(cfg, split, records, images, boxes)


def _animal_crops(cfg: Any, split: str, records: Records, images: ImageFolder, boxes: str) -> TrainingCrops | TestCrops:
    data, codec = cfg.DATASET, build_codec(cfg)
    if split != "test":
        return TrainingCrops(
            records, images, codec, skeletons.QUADRUPED, augmentation_of(data), data.COLOR_RGB, cfg.SEED
        )
    return TestCrops(records, images, codec, skeletons.QUADRUPED, data.COLOR_RGB, boxes=boxes)
