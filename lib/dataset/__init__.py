"""Data sets: file format -> records -> crops.

Adding a data set: write a reader that gives `Records` (see coco.py), name its skeleton in skeletons.py, register a
function (cfg, split) -> TrainingCrops or TestCrops below.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..codecs import build_codec
from ..codecs.base import Codec
from ..config import data_path, domain_config, replaced
from ..config.check_data import JOINTS
from ..utils.registry import Registry
from . import analogues, build_animals, coco, mpii, own_keypoints, skeletons, toy
from .building import aspect_ratio_of, augmentation_of, named_boxes, root_of
from .images import ImageFolder
from .joints import TestCrops, TrainingCrops
from .kept import People, kept_people
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
DATASETS.register("toy_animals")(build_animals.build_toy_animals)
DATASETS.register("tigdog")(build_animals.build_tigdog)
DATASETS.register("synthetic_animals")(build_animals.build_synthetic_animals)


def build_dataset(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """A split of an experiment's data set: "train", "test", or "unlabelled".

    The last is the training split whatever its labels: nobody is left out for want of them, or by DATASET.SELECT_DATA.
    Readers that crop by labelled keypoints need those all the same.

    Raises:
        DataError: files are not as expected.
    """
    if split not in ("train", "unlabelled", "test"):
        raise ValueError(f"split is {split!r}; expected 'train', 'unlabelled' or 'test'")
    return DATASETS.get(cfg.DATASET.DATASET)(cfg, split)


def build_people(cfg: Any, skeleton: skeletons.Skeleton) -> TrainingCrops:
    """HUMANS' training split of people, with the keypoints of `skeleton`."""
    keypoints = JOINTS.get(cfg.HUMANS.DATASET, skeletons.COCO.num_joints)
    crops: Any = build_dataset(replaced(domain_config(cfg, "HUMANS"), {"MODEL.NUM_JOINTS": keypoints}), "train")
    return analogues.people_as(crops, skeleton)


@DATASETS.register("coco")
def build_coco(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """Any data set in COCO's format: persons with COCO's keypoints or, with DATASET.SKELETON file, the file's own."""
    root = root_of(cfg)
    return _test(cfg, root) if split == "test" else _train(cfg, root, split == "train")


@DATASETS.register("toy")
def build_toy(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """Drawn people, written to DATASET.ROOT in COCO's layout on first use."""
    data = cfg.DATASET
    toy.ensure_toy_dataset(
        data_path(cfg, data.ROOT), data.TRAIN_SET, data.TEST_SET, data.TOY_TRAIN_IMAGES, data.TOY_TEST_IMAGES
    )
    return build_coco(cfg, split)


@DATASETS.register("mpii")
def build_mpii(cfg: Any, split: str) -> TrainingCrops | TestCrops:
    """MPII Human Pose in HRNet's folder layout; tested, like trained, on the annotated centers and scales."""
    data, codec, root = cfg.DATASET, build_codec(cfg), root_of(cfg)
    images = ImageFolder(root / "images", data.DATA_FORMAT)
    images.check()
    if split == "test":
        return _mpii_test(cfg, root, images)
    if mpii.is_test_set(data.TRAIN_SET):
        raise DataError(f"DATASET.TRAIN_SET is {data.TRAIN_SET}, which has no public annotations; train on another set")
    path = mpii.annotation_path(root, data.TRAIN_SET)
    records = mpii.read_people(path, extension=codec.box_extension, aspect_ratio=aspect_ratio_of(cfg))
    if data.SELECT_DATA and split == "train":
        records = select_consistent(records)
        if not len(records):
            raise DataError(f"{path}: nobody is left after the filter of DATASET.SELECT_DATA; set it to False")
    return TrainingCrops(records, images, codec, skeletons.MPII, augmentation_of(data), data.COLOR_RGB, cfg.SEED)


def _mpii_test(cfg: Any, root: Path, images: ImageFolder) -> TestCrops:
    """With the ground truth that `metrics.pckh` takes, or None for a set that cannot be scored."""
    data, codec = cfg.DATASET, build_codec(cfg)
    path = mpii.annotation_path(root, data.TEST_SET)
    records = mpii.read_people(path, not mpii.is_test_set(data.TEST_SET), codec.box_extension, aspect_ratio_of(cfg))
    truth = mpii.read_truth(root, data.TEST_SET, len(records))
    boxes = named_boxes("annotated centers and scales", records, path)
    return TestCrops(records, images, codec, skeletons.MPII, data.COLOR_RGB, ground_truth=truth, boxes=boxes)


def _train(cfg: Any, root: Path, labelled: bool) -> TrainingCrops:
    data, codec = cfg.DATASET, build_codec(cfg)
    if coco.is_test_set(data.TRAIN_SET):
        raise DataError(f"DATASET.TRAIN_SET is {data.TRAIN_SET}, which has no public annotations; train on another set")
    images = _images(cfg, root, data.TRAIN_SET)
    path = coco.annotation_path(root, data.TRAIN_SET, data.ANNOTATIONS)
    told = (
        cfg.MODEL.NUM_JOINTS, data.TRAIN_SET, data.SKELETON, data.CATEGORIES, data.UPPER_BODY, data.SIGMAS,
        data.SELECT_DATA and labelled, aspect_ratio_of(cfg), codec.inclusive_boxes, codec.box_extension, labelled,
    )  # fmt: skip
    people = kept_people(path, told, lambda: _people(cfg, root, codec, labelled))
    return TrainingCrops(
        people.records, images, codec, people.skeleton, augmentation_of(data), data.COLOR_RGB, cfg.SEED,
        people.categories,
    )  # fmt: skip


def _people(cfg: Any, root: Path, codec: Codec, labelled: bool) -> People:
    """The training split's people and what the file says of their keypoints."""
    source = _read(cfg, root, cfg.DATASET.TRAIN_SET)
    records = _annotated(cfg, source, codec, labelled)
    if cfg.DATASET.SELECT_DATA and labelled:
        records = _require_people(select_consistent(records), source)
    return People(records, source.skeleton, source.content["categories"])


def _test(cfg: Any, root: Path) -> TestCrops:
    data, codec = cfg.DATASET, build_codec(cfg)
    images = _images(cfg, root, data.TEST_SET)
    source = _read(cfg, root, data.TEST_SET)
    path, content = source.path, source.content
    if cfg.TEST.USE_GT_BBOX and coco.is_test_set(data.TEST_SET):
        raise DataError(f"{path}: no annotated boxes in {data.TEST_SET}; set TEST.USE_GT_BBOX False, BOTH_BOXES False")
    if cfg.TEST.USE_GT_BBOX:
        records = _annotated(cfg, source, codec)
        boxes = named_boxes("ground truth", records, path)
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


def _annotated(cfg: Any, source: _Source, codec: Codec, labelled: bool = True) -> Records:
    people = coco.annotated_people(
        source.content, cfg.MODEL.NUM_JOINTS, aspect_ratio_of(cfg), codec.inclusive_boxes, codec.box_extension,
        source.category_ids, labelled,
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
        source.content, detections, path, cfg.MODEL.NUM_JOINTS, aspect_ratio_of(cfg), cfg.TEST.IMAGE_THRE,
        codec.inclusive_boxes, codec.box_extension, source.category_ids,
    )  # fmt: skip
    return records, named_boxes("detections", records, path)
