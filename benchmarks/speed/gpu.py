"""The stages and whole runs on a GPU: heatpose's path beside the plain one in float32, on the same card.

What the plain path does on the CPU it does there here too, and its arrays travel: targets to the device, heatmaps from
it. Each call is timed until the device has done its work.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from heatpose.core.losses.heatmaps import JointsMSE
from heatpose.dataset.skeletons import COCO as SKELETON

from . import plain, plain_run, stages, whole
from .measure import Pair
from .networks import W32, Network, Setting

TRAINING_TARGET, TEST_TARGET = 3, 5
CARD = replace(
    W32, images=0, copies=11, people_copies=128, batch=32, lessons=400, target=TEST_TARGET,
    training_target=TRAINING_TARGET, runs_share=0.5,
)  # fmt: skip


def pairs(samples: Path, setting: Setting, network: Network = CARD) -> Iterator[Pair]:
    """All that is timed on a card."""
    for stage in (encodings, decodings, flips, losses):
        yield from stage(samples, setting)
    yield from whole.trainings(samples, [network], setting)
    yield from whole.tests(samples, [network], setting)


def encodings(samples: Path, setting: Setting) -> Iterator[Pair]:
    """Targets of a batch, by codec, from keypoints as a loader gives them to targets on the device."""
    joints, visible = stages.people(np.random.default_rng(0), stages.PEOPLE)
    given = torch.from_numpy(joints), torch.from_numpy(visible)
    for name in stages.CODECS:
        codec = stages.codec_named(samples, name)
        yield _pair(
            setting, f"encode ({name})", f"targets of {stages.PEOPLE} people",
            partial(_encode, codec, given, setting.device),
            partial(_plain_encode, codec, joints, visible, setting.device), 1e-5,
        )  # fmt: skip


def _encode(codec: Any, given: Sequence[Tensor], device: torch.device) -> Sequence[Tensor]:
    return codec.encode(*(each.to(device, non_blocking=True) for each in given))


def _plain_encode(codec: Any, joints: np.ndarray, visible: np.ndarray, device: torch.device) -> Sequence[Tensor]:
    return [torch.from_numpy(each).to(device) for each in stages.plain_encode(codec, joints, visible)]


def decodings(samples: Path, setting: Setting) -> Iterator[Pair]:
    """Keypoints in the image and scores on the CPU, of a batch of heatmaps on the device, by codec."""
    boxes = stages.boxes(np.random.default_rng(4), stages.PEOPLE)
    for name in stages.CODECS:
        codec = stages.codec_named(samples, name)
        output = stages.heatmaps(codec, np.random.default_rng(1), stages.PEOPLE).to(setting.device)
        placed = [torch.from_numpy(each).to(setting.device) for each in boxes]
        yield _pair(
            setting, f"decode ({name})", f"heatmaps of {stages.PEOPLE} people to keypoints in the image",
            partial(_decode, codec, output, placed), partial(_plain_decode, codec, output, boxes), 1e-2,
        )  # fmt: skip


@torch.inference_mode()
def _decode(codec: Any, output: Tensor, boxes: Sequence[Tensor]) -> Sequence[Tensor]:
    return [each.cpu() for each in stages.decode(codec, output, *boxes)]


def _plain_decode(codec: Any, output: Tensor, boxes: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    return plain.decode(codec, output.cpu().numpy(), *boxes)


def flips(samples: Path, setting: Setting) -> Iterator[Pair]:
    """The mirrored output, from the device and back to it."""
    codec: Any = stages.codec_named(samples, "gaussian")
    output = stages.heatmaps(codec, np.random.default_rng(2), stages.PEOPLE).to(setting.device)
    yield _pair(
        setting, "flip", f"heatmaps of {stages.PEOPLE} people", lambda: [codec.flip_back(output, SKELETON.flip_pairs)],
        lambda: [plain_run.flipped_back(output, codec)], 0,
    )  # fmt: skip


def losses(samples: Path, setting: Setting) -> Iterator[Pair]:
    """JointsMSE and its gradient; the plain one a joint at a time in PyTorch, on the device too."""
    codec = stages.codec_named(samples, "gaussian")
    output = stages.heatmaps(codec, np.random.default_rng(3), stages.PEOPLE).to(setting.device).requires_grad_()
    joints, visible = (torch.from_numpy(each) for each in stages.people(np.random.default_rng(0), stages.PEOPLE))
    target, weight = (each.to(setting.device) for each in codec.encode(joints, visible))
    yield _pair(
        setting, "loss", f"JointsMSE of {stages.PEOPLE} people, with its gradient",
        partial(_gradient, JointsMSE(), output, target, weight),
        partial(_gradient, plain_run.joints_mse, output, target, weight), 1e-6,
    )  # fmt: skip


def _gradient(loss: Callable[..., Tensor], output: Tensor, target: Tensor, weight: Tensor) -> Sequence[Tensor]:
    value = loss(output, target, weight)
    return [value.detach(), *torch.autograd.grad(value, output)]


def _pair(setting: Setting, stage: str, work: str, ours: Callable, plain_way: Callable, tolerance: float) -> Pair:
    """A pair whose ways end when the device has done its work."""

    def waited(way: Callable[[], Any]) -> Any:
        found = way()
        setting.wait()
        return found

    return Pair(
        stage, work, partial(waited, ours), partial(waited, plain_way), tolerance,
        numbers=lambda found: [torch.as_tensor(each).cpu().numpy() for each in found],
    )  # fmt: skip
