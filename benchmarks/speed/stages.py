"""The stages: crops, targets, loss, flip and decoding, each as heatpose and as the plain path do them."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heatpose.codecs import build_codec
from heatpose.codecs.base import Codec
from heatpose.config import load_config
from heatpose.core.losses.heatmaps import JointsMSE
from heatpose.dataset import TestCrops, TrainingCrops, build_dataset
from heatpose.dataset.augment import mirror_keypoints
from heatpose.utils.batch import normalise

from . import plain, scoring
from .measure import Pair

EXPERIMENT = Path(__file__).parents[2] / "experiments/coco/hrnet/w32_256x192.yaml"
CPU = torch.device("cpu")
PEOPLE = 32  # of a batch of targets or heatmaps, as of the experiment's training
# Crops are equal to one grey level in a few places where mirroring is one more factor of the map and not a copy.
GREY_LEVEL = 1 / 255 / 0.224


def sample_config(samples: Path, *pairs: str) -> Any:
    """HRNet-W32's experiment on the sample images, with the detector's boxes."""
    root = samples / "coco_sample"
    boxes = root / "person_detection_results/COCO_val2017_detections_AP_H_56_person.json"
    return load_config(
        EXPERIMENT,
        ["DATASET.ROOT", str(root), "DATASET.TRAIN_SET", "val2017", "TEST.COCO_BBOX_FILE", str(boxes),
         "TEST.USE_GT_BBOX", "False", *pairs],
    )  # fmt: skip


def test_crops(samples: Path) -> Iterator[Pair]:
    """Boxes of whole images -> normalised network inputs."""
    dataset: Any = build_dataset(sample_config(samples), "test")
    count = len(dataset.records)
    yield Pair(
        "image to crop (test)", f"{count} boxes of {len(dataset)} images to network inputs",
        lambda: [normalise(dataset[number]["crop"], CPU) for number in range(len(dataset))],
        lambda: plain_test_crops(dataset), 1e-5, 8,
        numbers=lambda found: [np.concatenate([np.asarray(each) for each in found])],
    )  # fmt: skip


def plain_test_crops(dataset: TestCrops) -> list[np.ndarray]:
    """Every box's image read anew."""
    people, found = dataset.records, []
    for number in range(len(dataset)):
        for index in dataset.people_of(number):
            image = plain.read_image(dataset.images.folder / str(people.image_names[people.image_index[index]]))
            image = image[:, :, ::-1] if dataset.color_rgb else image
            matrix = dataset.codec.warp_matrix(people.center[index], people.scale[index])
            found.append(plain.crop(np.ascontiguousarray(image), matrix, dataset.codec.input_size)[None])
    return found


def training_samples(samples: Path) -> Iterator[Pair]:
    """Augmented crops with their targets, the same draws on both sides."""
    dataset: Any = build_dataset(sample_config(samples), "train")

    def ours() -> tuple[Any, ...]:
        items = [dataset[0, index] for index in range(len(dataset))]
        crops, joints, visible = (
            torch.from_numpy(np.stack([item[key] for item in items])) for key in ("crop", "keypoints_input", "visible")
        )
        return normalise(crops, CPU), *dataset.codec.encode(joints, visible)

    yield Pair(
        "training sample", f"{len(dataset)} people to augmented inputs, targets and weights",
        ours, lambda: plain_training_samples(dataset), 1.5 * GREY_LEVEL, 2,
    )  # fmt: skip


def plain_training_samples(dataset: TrainingCrops) -> tuple[np.ndarray, ...]:
    """Each person's image read anew, mirrored as a copy, cut out and normalised; a target for each joint."""
    return tuple(
        np.stack(part) for part in zip(*(training_sample(dataset, i) for i in range(len(dataset))), strict=True)
    )


def training_sample(dataset: TrainingCrops, index: int) -> tuple[np.ndarray, ...]:
    people, codec, width_height = dataset.records, dataset.codec, dataset.codec.input_size
    rng = np.random.default_rng((dataset.seed, 0, index))
    joints, visible = people.keypoints[index], people.visible[index]
    image = plain.read_image(dataset.images.folder / str(people.image_names[people.image_index[index]]))
    image = np.ascontiguousarray(image[:, :, ::-1]) if dataset.color_rgb else image
    center, scale, rotation, flip = dataset.augmentation.vary(
        people.center[index],
        people.scale[index],
        joints,
        visible,
        dataset.skeleton,
        width_height[0] / width_height[1],
        rng,
    )
    if flip:
        image = image[:, ::-1, :].copy()
        joints, visible = mirror_keypoints(joints, visible, image.shape[1], dataset.skeleton.flip_pairs)
        center = np.array([image.shape[1] - center[0] - 1, center[1]], center.dtype)
    matrix = codec.warp_matrix(center, scale, rotation)
    cut = plain.crop(image, matrix, width_height)
    moved = np.zeros_like(joints)
    for joint in range(len(joints)):
        if visible[joint] > 0:
            moved[joint] = plain.transform(joints[joint], matrix)
    return cut, *plain.encode(codec, moved.astype(np.float32), visible)


CODECS = ("gaussian", "dark", "udp", "udp_offset")


def codec_named(samples: Path, name: str) -> Codec:
    offsets = ("LOSS.KPD", "4.0") if name == "udp_offset" else ()
    return build_codec(sample_config(samples, "MODEL.CODEC", name, *offsets))


def encodings(samples: Path) -> Iterator[Pair]:
    """Targets of a batch, by codec."""
    joints, visible = people(np.random.default_rng(0))
    for name in CODECS:
        codec = codec_named(samples, name)
        yield Pair(
            f"encode ({name})", f"targets of {PEOPLE} people",
            partial(codec.encode, torch.from_numpy(joints), torch.from_numpy(visible)),
            partial(plain_encode, codec, joints, visible), 1e-5, 10,
        )  # fmt: skip


def people(rng: np.random.Generator, count: int = PEOPLE) -> tuple[np.ndarray, np.ndarray]:
    """Joints (B, 17, 2) in input px, a few of them outside, and visible (B, 17)."""
    joints = rng.random((count, 17, 2)) * (212, 276) - 10
    return joints.astype(np.float32), (rng.random((count, 17)) < 0.9).astype(np.float32)


def plain_encode(codec: Codec, joints: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    targets, weights = zip(*(plain.encode(codec, j, v) for j, v in zip(joints, visible, strict=True)), strict=True)
    return np.stack(targets), np.stack(weights)


def heatmaps(codec: Codec, rng: np.random.Generator, count: int = PEOPLE) -> torch.Tensor:
    """Outputs (B, C, h, w) as a network gives them: targets of people inside the crop, and noise."""
    joints = rng.random((count, 17, 2)) * (176, 240) + 8
    target, _ = codec.encode(torch.from_numpy(joints.astype(np.float32)), torch.ones(count, 17))
    noise = rng.standard_normal(tuple(target.shape)).astype(np.float32)
    return target * torch.from_numpy(
        rng.uniform(0.3, 0.9, (count, 1, 1, 1)).astype(np.float32)
    ) + 0.01 * torch.from_numpy(noise)


def decodings(samples: Path) -> Iterator[Pair]:
    """Keypoints in the image of a batch of heatmaps, by codec."""
    for name in CODECS:
        codec = codec_named(samples, name)
        output = heatmaps(codec, np.random.default_rng(1))
        center, scale = boxes(np.random.default_rng(4))
        yield Pair(
            f"decode ({name})", f"heatmaps of {PEOPLE} people to keypoints in the image",
            partial(decode, codec, output, torch.from_numpy(center), torch.from_numpy(scale)),
            partial(plain.decode, codec, output.numpy(), center, scale), 1e-2, 8 if name == "gaussian" else 20,
        )  # fmt: skip


@torch.inference_mode()
def decode(codec: Codec, output: torch.Tensor, center: torch.Tensor, scale: torch.Tensor) -> tuple[torch.Tensor, ...]:
    keypoints, found = codec.decode(output)
    return codec.to_image(keypoints, center, scale), found


def boxes(rng: np.random.Generator, count: int = PEOPLE) -> tuple[np.ndarray, np.ndarray]:
    """Center and scale (B, 2), image px, of boxes as wide as the input's aspect ratio says."""
    center, height = rng.random((count, 2)) * 400, rng.uniform(100, 400, count)
    return center.astype(np.float32), np.stack([height * 192 / 256, height], axis=1).astype(np.float32)


def flips(samples: Path) -> Iterator[Pair]:
    """The flip test's mirroring of a batch of heatmaps."""
    codec = codec_named(samples, "gaussian")
    pairs = build_dataset(sample_config(samples), "test").skeleton.flip_pairs
    output = heatmaps(codec, np.random.default_rng(2))
    yield Pair(
        "flip", f"heatmaps of {PEOPLE} people",
        lambda: [codec.flip_back(output, pairs)],
        lambda: [_shifted(plain.flip_back(output.numpy(), pairs, codec), codec)], 0,
    )  # fmt: skip


def _shifted(flipped: np.ndarray, codec: Any) -> np.ndarray:
    if codec.shift_heatmap:
        flipped[:, :, :, 1:] = flipped.copy()[:, :, :, :-1]
    return flipped


def losses(samples: Path) -> Iterator[Pair]:
    """JointsMSE of a batch, without its gradient."""
    codec = codec_named(samples, "gaussian")
    output = heatmaps(codec, np.random.default_rng(3))
    joints, visible = people(np.random.default_rng(0))
    target, weight = codec.encode(torch.from_numpy(joints), torch.from_numpy(visible))
    yield Pair(
        "loss", f"JointsMSE of {PEOPLE} people", lambda: [JointsMSE()(output, target, weight)],
        lambda: [plain.loss(output.numpy(), target.numpy(), weight.numpy())], 1e-6,
    )  # fmt: skip


STAGES: dict[str, Callable[[Path], Iterator[Pair]]] = {
    "crop": test_crops, "sample": training_samples, "encode": encodings, "loss": losses, "flip": flips,
    "decode": decodings, "score": scoring.scores,
}  # fmt: skip
test_crops.__test__ = False  # type: ignore[attr-defined]
