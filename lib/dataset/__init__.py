"""Data sets: file format -> records -> crops.

Adding a data set: write a reader that gives `Records` (see coco.py), name its skeleton in skeletons.py, register a
function (cfg, split, codec) -> TrainingCrops or TestCrops below.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..codecs import build_codec
from ..codecs.base import Codec
from ..config import data_path, domain_config, replaced
from ..config.check import JOINTS
from ..utils.files import file_sha256
from ..utils.registry import Registry
from . import (
    analogues,
    animals,
    coco,
    mpii,
    own_keypoints,
    skeletons,
    synthetic_animals,
    tigdog,
    toy,
    toy_animals,
)  # fmt: skip
from .augment import Augmentation, MSPNAugmentation
from .images import ImageFolder
from .joints import TestCrops, TrainingCrops
from .loading import JointLoader, test_loader, training_loader
from .records import DataError, Records, select_consistent
from .skeletons import Skeleton

__all__ = [
    "DATASETS",
    "DataError",
    "JointLoader",
    "Records",
    "TestCrops",
    "TrainingCrops",
    "build_dataset",
    "build_people",
    "test_loader",
    "training_loader",
]

DATASETS = Registry("data set")
KEYPOINT_BOXES = "boxes around the visible keypoints"


def build_dataset(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """The "train" or the "test" split of an experiment's data set; a DataError where its files are not as expected."""
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; expected 'train' or 'test'")
    return DATASETS.get(cfg.DATASET.DATASET)(cfg, split)


def build_people(cfg: Any, skeleton: skeletons.Skeleton) -> TrainingCrops:
    """HUMANS' training split of people, with the keypoints of `skeleton`."""
    keypoints = JOINTS.get(cfg.HUMANS.DATASET, skeletons.COCO.num_joints)
    crops: Any = build_dataset(replaced(domain_config(cfg, "HUMANS"), {"MODEL.NUM_JOINTS": keypoints}), "train")
    return analogues.people_as(crops, skeleton)


@DATASETS.register("coco")
def build_coco(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """Any data set in COCO's format: persons with COCO's keypoints or, with DATASET.SKELETON file, the file's own."""
    root = _root(cfg)
    return _train(cfg, root) if split == "train" else _test(cfg, root)


@DATASETS.register("toy")
def build_toy(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """Drawn people, written to DATASET.ROOT in COCO's layout on first use."""
    data = cfg.DATASET
    toy.ensure_toy_dataset(
        data_path(cfg, data.ROOT), data.TRAIN_SET, data.TEST_SET, data.TOY_TRAIN_IMAGES, data.TOY_TEST_IMAGES
    )
    return build_coco(cfg, split)


@DATASETS.register("toy_animals")
def build_toy_animals(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """Drawn quadrupeds of one domain, written to DATASET.ROOT/DATASET.TOY_DOMAIN on first use."""
    data = cfg.DATASET
    root = data_path(cfg, data.ROOT) / data.TOY_DOMAIN
    toy_animals.ensure_toy_animals(
        root, data.TOY_DOMAIN, data.TRAIN_SET, data.TEST_SET, data.TOY_TRAIN_IMAGES, data.TOY_TEST_IMAGES
    )
    image_set = data.TRAIN_SET if split == "train" else data.TEST_SET
    path = animals.annotation_path(root, image_set)
    records = animals.read_animals(path, cfg.MODEL.NUM_JOINTS, _aspect_ratio(cfg))
    images = ImageFolder(coco.image_folder(root, image_set), data.DATA_FORMAT)
    images.check()
    return _animal_crops(cfg, split, records, images, _named(KEYPOINT_BOXES, records, path))


@DATASETS.register("tigdog")
def build_tigdog(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """TigDog's horses and tigers in videos, with CC-SSL's split."""
    return _ccssl_animals(cfg, split, tigdog)


@DATASETS.register("synthetic_animals")
def build_synthetic_animals(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """CC-SSL's rendered animals."""
    return _ccssl_animals(cfg, split, synthetic_animals)


def _ccssl_animals(cfg: Any, split: str, reader: ModuleType) -> TrainingCrops | TestCrops:
    data, root = cfg.DATASET, _root(cfg)
    image_set = data.TRAIN_SET if split == "train" else data.TEST_SET
    images = reader.image_folder(root, data.ANIMALS, data.DATA_FORMAT)
    records = reader.read_animals(root, data.ANIMALS, image_set, _aspect_ratio(cfg))
    digest = hashlib.sha256(records.boxes.tobytes()).hexdigest()  # they come from many files
    where = f"{root}, {image_set} of {', '.join(data.ANIMALS)}"
    boxes = f"{KEYPOINT_BOXES}, {len(records)} boxes of {where} (SHA-256 of the boxes {digest})"
    return _animal_crops(cfg, split, records, images, boxes)


def _animal_crops(cfg: Any, split: str, records: Records, images: ImageFolder, boxes: str) -> TrainingCrops | TestCrops:
    data, codec = cfg.DATASET, build_codec(cfg)
    if split == "train":
        return TrainingCrops(records, images, codec, skeletons.QUADRUPED, _augmentation(data), data.COLOR_RGB, cfg.SEED)
    return TestCrops(records, images, codec, skeletons.QUADRUPED, data.COLOR_RGB, boxes=boxes)


@DATASETS.register("mpii")
def build_mpii(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """MPII Human Pose in HRNet's folder layout; tested, like trained, on the annotated centers and scales."""
    data, codec, root = cfg.DATASET, build_codec(cfg), _root(cfg)
    images = ImageFolder(root / "images", data.DATA_FORMAT)
    images.check()
    if split == "test":
        return _mpii_test(cfg, root, images)
    if mpii.is_test_set(data.TRAIN_SET):
        raise DataError(f"DATASET.TRAIN_SET is {data.TRAIN_SET}, which has no public annotations; train on another set")
    path = mpii.annotation_path(root, data.TRAIN_SET)
    records = mpii.read_people(path, extension=codec.box_extension, aspect_ratio=_aspect_ratio(cfg))
    if data.SELECT_DATA:
        records = select_consistent(records)
        if not len(records):
            raise DataError(f"{path}: nobody is left after the filter of DATASET.SELECT_DATA; set it to False")
    return TrainingCrops(records, images, codec, skeletons.MPII, _augmentation(data), data.COLOR_RGB, cfg.SEED)


def _mpii_test(cfg: Any, root: Path, images: ImageFolder) -> TestCrops:
    """With the ground truth that `metrics.pckh` takes, or None for a set that cannot be scored."""
    data, codec = cfg.DATASET, build_codec(cfg)
    path = mpii.annotation_path(root, data.TEST_SET)
    records = mpii.read_people(path, not mpii.is_test_set(data.TEST_SET), codec.box_extension, _aspect_ratio(cfg))
    truth = mpii.read_truth(root, data.TEST_SET, len(records))
    boxes = _named("annotated centers and scales", records, path)
    return TestCrops(records, images, codec, skeletons.MPII, data.COLOR_RGB, ground_truth=truth, boxes=boxes)


def _root(cfg: Any) -> Path:
    root = data_path(cfg, cfg.DATASET.ROOT)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; put the data there, or set DATASET.ROOT or --dataDir")
    return root


def _augmentation(data: Any) -> Augmentation:
    common = data.FLIP, data.SCALE_FACTOR, data.ROT_FACTOR, data.PROB_HALF_BODY, data.NUM_JOINTS_HALF_BODY
    return MSPNAugmentation(*common, data.RANDOM_EXTENSION) if data.AUGMENTATION == "mspn" else Augmentation(*common)


def _train(cfg: Any, root: Path) -> TrainingCrops:
    data, codec = cfg.DATASET, build_codec(cfg)
    if coco.is_test_set(data.TRAIN_SET):
        raise DataError(f"DATASET.TRAIN_SET is {data.TRAIN_SET}, which has no public annotations; train on another set")
    images = _images(cfg, root, data.TRAIN_SET)
    source = _read(cfg, root, data.TRAIN_SET)
    records = _annotated(cfg, source, codec)
    if data.SELECT_DATA:
        records = _require_people(select_consistent(records), source)
    return TrainingCrops(
        records, images, codec, source.skeleton, _augmentation(data), data.COLOR_RGB, cfg.SEED,
        source.content["categories"],
    )  # fmt: skip


def _test(cfg: Any, root: Path) -> TestCrops:
    data, codec = cfg.DATASET, build_codec(cfg)
    images = _images(cfg, root, data.TEST_SET)
    source = _read(cfg, root, data.TEST_SET)
    path, content = source.path, source.content
    if cfg.TEST.USE_GT_BBOX and coco.is_test_set(data.TEST_SET):
        raise DataError(f"{path}: no annotated boxes in {data.TEST_SET}; set TEST.USE_GT_BBOX False, BOTH_BOXES False")
    if cfg.TEST.USE_GT_BBOX:
        records = _annotated(cfg, source, codec)
        boxes = _named("ground truth", records, path)
    else:
        records, boxes = _detected(cfg, source, codec)
    if data.SKELETON == "file":
        own_keypoints.describe(source.skeleton, bool(data.SIGMAS))
    return TestCrops(
        records, images, codec, source.skeleton, data.COLOR_RGB, content, boxes, not cfg.TEST.USE_GT_BBOX,
        source.category_ids,
    )  # fmt: skip


@dataclass(frozen=True)
class _Source:
    """An annotation file as it was read: its content, the skeleton, and the ids of the categories that are read."""

    path: Path
    content: dict[str, Any]
    skeleton: Skeleton
    category_ids: tuple[int, ...] = coco.PERSONS


def _read(cfg: Any, root: Path, image_set: str) -> _Source:
    data, num_joints = cfg.DATASET, cfg.MODEL.NUM_JOINTS
    path = coco.annotation_path(root, image_set, data.ANNOTATIONS)
    if data.SKELETON == "file":
        content, skeleton = own_keypoints.read_annotations(path, num_joints, image_set, data.CATEGORIES)
        skeleton = own_keypoints.with_upper_body(skeleton, data.UPPER_BODY)
        ids = tuple(entry["id"] for entry in content["categories"])
        return _Source(path, content, own_keypoints.with_sigmas(skeleton, data.SIGMAS), ids)
    if num_joints != skeletons.COCO.num_joints:
        raise DataError(
            f"MODEL.NUM_JOINTS is {num_joints}, but {path} is read with COCO's 17 keypoints; set it to 17, or take the "
            "file's own keypoints with DATASET.SKELETON file"
        )
    content = coco.read_annotations(path, num_joints, image_set)
    return _Source(path, content, own_keypoints.with_sigmas(skeletons.COCO, data.SIGMAS))


def _images(cfg: Any, root: Path, image_set: str) -> ImageFolder:
    images = ImageFolder(coco.image_folder(root, image_set, cfg.DATASET.IMAGES), cfg.DATASET.DATA_FORMAT)
    images.check()
    return images


def _annotated(cfg: Any, source: _Source, codec: Codec) -> Records:
    people = coco.annotated_people(
        source.content, cfg.MODEL.NUM_JOINTS, _aspect_ratio(cfg), codec.inclusive_boxes, codec.box_extension,
        source.category_ids,
    )  # fmt: skip
    return _require_people(people, source)


def _require_people(records: Records, source: _Source) -> Records:
    if not len(records):
        category = "category_id 1, " if source.category_ids == coco.PERSONS else ""
        raise DataError(
            f"{source.path}: nobody is left after the filters; people need {category}a box inside the image, an area "
            "above 0 and labelled keypoints"
        )
    return records


def _detected(cfg: Any, source: _Source, codec: Codec) -> tuple[Records, str]:
    if not cfg.TEST.COCO_BBOX_FILE:
        raise DataError("TEST.COCO_BBOX_FILE is empty; give a file with detections, or TEST.USE_GT_BBOX True")
    path = data_path(cfg, cfg.TEST.COCO_BBOX_FILE)
    detections = coco.read_json(path, "set TEST.COCO_BBOX_FILE to your detections, or TEST.USE_GT_BBOX True")
    records = coco.detected_people(
        source.content, detections, path, cfg.MODEL.NUM_JOINTS, _aspect_ratio(cfg), cfg.TEST.IMAGE_THRE,
        codec.inclusive_boxes, codec.box_extension, source.category_ids,
    )  # fmt: skip
    return records, _named("detections", records, path)


def _named(kind: str, records: Records, path: Path) -> str:
    return f"{kind}, {len(records)} boxes of {path} (SHA-256 {file_sha256(path)})"


def _aspect_ratio(cfg: Any) -> float:
    width, height = cfg.MODEL.IMAGE_SIZE
    return width / height
