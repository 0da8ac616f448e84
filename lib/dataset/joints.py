"""Records -> crops: the torch data sets.

Training gives one augmented crop a sample; testing gives all crops of an image at once, so that each image is read
and decoded once. Crops are uint8; normalisation and heatmap targets are made on the training device.
"""

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from ..utils.geometry import compose, crop_image, mirror_matrix, moved, prepare_for_crops, seen_box, transform_points
from .augment import Augmentation, mirror_keypoints
from .coco import PERSONS
from .images import ImageFolder
from .records import Records
from .skeletons import Skeleton


class CropCodec(Protocol):
    """What the data sets need of a codec."""

    input_size: tuple[int, int]
    inclusive_boxes: bool
    graded_visibility: bool

    def warp_matrix(self, center: np.ndarray, scale: np.ndarray, rotation: float = 0.0) -> np.ndarray: ...


class TrainingCrops(Dataset):
    """One augmented crop for each person.

    An item is asked for as (epoch, index): its augmentation is drawn from (seed, epoch, index) alone, so that it
    depends neither on the number of loading processes nor on where a run was interrupted.
    """

    def __init__(
        self,
        records: Records,
        images: ImageFolder,
        codec: CropCodec,
        skeleton: Skeleton,
        augmentation: Augmentation,
        color_rgb: bool = False,
        seed: int = 0,
        categories: Sequence[dict[str, Any]] = (),
    ):
        """`categories` are the annotation file's own, whose keypoint names the doctor compares with the skeleton's."""
        self.categories = categories
        self.records, self.images, self.codec, self.skeleton = records, images, codec, skeleton
        self.augmentation, self.color_rgb, self.seed = augmentation, color_rgb, seed

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """crop (H, W, 3) uint8, keypoints_input (K, 2) float32 in input px, visible (K,) float32, index, map, mirrored.

        `map` (2, 3) float32 takes image px to input px; in the crop of a `mirrored` image left and right change places.
        `visible` is 1 for labelled joints; a codec with `graded_visibility` gets 2 for those that are not hidden.
        """
        epoch, index = key
        people = self.records
        rng = np.random.default_rng((self.seed, epoch, index))
        keypoints, visible = people.keypoints[index], self._visible(index)
        width, height = self.codec.input_size
        scale = people.boxes[index, 2:] if self.augmentation.from_bare_box else people.scale[index]
        center, scale, rotation, flip = self.augmentation.vary(
            people.center[index], scale, keypoints, visible, self.skeleton, width / height, rng,
            self.codec.inclusive_boxes,
        )  # fmt: skip
        image = self.images.open(str(people.image_names[people.image_index[index]]))
        mirror = None
        if flip:
            # The mirror image is never made: mirroring is one more factor of the crop's affine map.
            image_width = image.size[0]
            keypoints, visible = mirror_keypoints(keypoints, visible, image_width, self.skeleton.flip_pairs)
            center = np.array([image_width - center[0] - 1, center[1]], center.dtype)
            mirror = mirror_matrix(image_width)
        matrix = self.codec.warp_matrix(center, scale, rotation)
        whole = matrix if mirror is None else compose(matrix, mirror)
        pixels, left, top = image.part(seen_box(whole, self.codec.input_size, image.size))
        crop = crop_image(prepare_for_crops(pixels), moved(whole, left, top), self.codec.input_size, rgb=self.color_rgb)
        keypoints_input = transform_points(keypoints, matrix) * (visible > 0)[:, None]
        return {
            "crop": crop,
            "keypoints_input": keypoints_input.astype(np.float32),
            "visible": visible.astype(np.float32),
            "index": index,
            "map": whole.astype(np.float32),
            "mirrored": flip,
        }

    def unvaried(self) -> "TestCrops":
        """The same people in crops as they are for testing."""
        return TestCrops(self.records, self.images, self.codec, self.skeleton, self.color_rgb)

    def _visible(self, index: int) -> np.ndarray:
        visible, hidden = self.records.visible[index], self.records.hidden
        if not self.codec.graded_visibility:
            return visible
        return 2 * visible - (0 if hidden is None else hidden[index])


class TestCrops(Dataset):
    """All crops of one image an item; only images with at least one box.

    `ground_truth` is the content of the annotation file that predictions are scored against; `boxes` says in words
    where the boxes come from, for the report, and `detected` whether a detector made them.
    """

    __test__ = False  # no test, whatever pytest thinks of the name

    def __init__(
        self,
        records: Records,
        images: ImageFolder,
        codec: CropCodec,
        skeleton: Skeleton,
        color_rgb: bool = False,
        ground_truth: dict[str, Any] | None = None,
        boxes: str = "",
        detected: bool = False,
        category_ids: Sequence[int] = PERSONS,
    ):
        """`category_ids` are those of the annotation file that are read."""
        self.detected, self.category_ids = detected, category_ids
        self.records, self.images, self.codec, self.skeleton = records, images, codec, skeleton
        self.color_rgb, self.ground_truth, self.boxes = color_rgb, ground_truth, boxes
        # Arrays again: a list of them would be copied to every loading process, page by page as it is counted.
        self.by_image = np.argsort(records.image_index, kind="stable")
        self.image_positions, starts = np.unique(records.image_index[self.by_image], return_index=True)
        self.bounds = np.append(starts, len(self.by_image))

    def __len__(self) -> int:
        return len(self.image_positions)

    @property
    def sizes(self) -> list[int]:
        """Crops of each item."""
        return np.diff(self.bounds).tolist()

    def without_truth(self) -> "TestCrops":
        """The same crops without `ground_truth`, which loading processes do not need and spawned ones would copy."""
        crops = copy.copy(self)
        crops.ground_truth = None
        return crops

    def people_of(self, number: int) -> np.ndarray:
        """Positions in `records` of the people of an item."""
        return self.by_image[self.bounds[number] : self.bounds[number + 1]]

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        """crop (n, H, W, 3) uint8, keypoints_input (n, K, 2), visible (n, K), index (n,) of the records."""
        people, indices = self.records, self.people_of(number)
        image = self.images.read(str(people.image_names[self.image_positions[number]]))
        image = prepare_for_crops(image, len(indices))
        width, height = self.codec.input_size
        crops = np.empty((len(indices), height, width, 3), np.uint8)
        keypoints_input = np.empty((len(indices), *people.keypoints.shape[1:]), np.float32)
        for place, index in enumerate(indices):
            matrix = self.codec.warp_matrix(people.center[index], people.scale[index])
            crop_image(image, matrix, self.codec.input_size, crops[place], self.color_rgb)
            keypoints_input[place] = transform_points(people.keypoints[index], matrix)
        return {
            "crop": torch.from_numpy(crops),
            "keypoints_input": torch.from_numpy(keypoints_input),
            "visible": torch.from_numpy(people.visible[indices]),
            "index": torch.from_numpy(indices),
        }


def join_images(items: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """One batch of the items of several images: every entry joined along its first axis."""
    return {key: torch.cat([item[key] for item in items]) for key in items[0]}
