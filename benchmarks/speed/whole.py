"""Whole runs as heatpose and as the plain path do them: a test, an epoch of training, and the network's share of both.

The networks: the smallest of the experiments, with the papers' input size the smallest there, and HRNet-W32.
"""

import copy
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.core.loss import build_loss
from heatpose.core.objective import Supervised
from heatpose.core.optim import build_optimizer, build_scheduler
from heatpose.core.train import train_one_epoch
from heatpose.dataset import build_dataset, test_loader, training_loader
from heatpose.models import build_model
from heatpose.report.observers import Silent
from heatpose.utils.batch import final_output, normalise, pixel_statistics, place

from . import plain_run
from .copies import BOXES, SET, repeat_sample
from .measure import Pair
from .stages import _sample as plain_training_sample

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from common import Validator  # noqa: E402

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Network:
    """A network, and how much work is enough to time it on one core."""

    title: str
    experiment: str
    keys: tuple[str, ...] = ()
    copies: int = 1  # of the sample's images, for the test
    images: int = 0  # of the sample, 0 for all; for the test
    people_copies: int = 1  # of the sample's people, for the training
    batch: int = 32  # of the training
    lessons: int = 0  # training steps before the test, so that there is an AP to compare
    target: float = 0  # ratio of the whole test
    runs_share: float = 0.3  # see Pair


GAUSSIAN = ("MODEL.CODEC", "gaussian", "TEST.FLIP_TEST", "True")
SMALL = Network(
    "HRNet 64x48", "toy/hrnet_64x48.yaml", copies=11, people_copies=16, lessons=250, target=4, runs_share=0.75
)
NARROW = Network("HRNet, 1.2 M parameters, 256x192", "toy/overfit.yaml", GAUSSIAN, people_copies=4, batch=24)
W32 = Network("HRNet-W32 256x192", "coco/hrnet/w32_256x192.yaml", ("MODEL.PRETRAINED", ""), images=1, batch=6)
NETWORKS = (SMALL, NARROW, W32)


def configure(network: Network, root: Path, folder: Path, *keys: str) -> Any:
    """The network's experiment on a folder of `repeat_sample`, with the detector's boxes; results below `folder`."""
    return load_config(EXPERIMENTS / network.experiment, [*network.keys, *overrides(root, folder), *keys])


def overrides(root: Path, folder: Path) -> list[str]:
    """KEY VALUE pairs of `configure`, as a command line takes them."""
    pairs = {
        "DATASET.DATASET": "coco", "DATASET.ROOT": root, "DATASET.TRAIN_SET": SET, "DATASET.TEST_SET": SET,
        "TEST.COCO_BBOX_FILE": root / BOXES, "TEST.USE_GT_BBOX": False, "TEST.BOTH_BOXES": False, "WORKERS": 0,
        "OUTPUT_DIR": folder / "output", "LOG_DIR": folder / "log",
    }  # fmt: skip
    return [str(word) for pair in pairs.items() for word in pair]


def taught(cfg: Any, steps: int) -> nn.Module:
    """The experiment's network after `steps` training steps on all its people, in crops as they are for testing."""
    torch.manual_seed(0)
    model = build_model(cfg)
    if steps:
        dataset: Any = build_dataset(cfg, "train")
        (batch,) = test_loader(dataset.unvaried(), len(dataset), 0)
        objective = Supervised(build_codec(cfg), build_loss(cfg), CPU, pixel_statistics(cfg))
        optimizer = build_optimizer(cfg, model.parameters())
        for _ in range(steps):
            optimizer.zero_grad()
            objective.step(model.train(), batch).loss.backward()
            optimizer.step()
    return model


def tests(samples: Path, networks: Sequence[Network] = NETWORKS) -> Iterator[Pair]:
    """The test of tools/test.py from reading the images to COCO's ten numbers; what stands before is done."""
    for network in networks:
        with tempfile.TemporaryDirectory() as place_:
            yield _test(samples, Path(place_), network)


def _test(samples: Path, folder: Path, network: Network) -> Pair:
    root = repeat_sample(samples, folder / "data", network.copies, network.images)
    cfg = configure(network, root, folder)
    lessons = configure(network, repeat_sample(samples, folder / "once", 1), folder)
    model = taught(lessons, network.lessons)
    own, as_built = place(copy.deepcopy(model), CPU), model.to(memory_format=torch.contiguous_format)
    codec, boxes = build_codec(cfg), plain_run.Boxes(cfg, build_codec(cfg))
    validator = Validator(cfg, codec, CPU, folder / "output")
    results = folder / "plain.json"
    inputs = normalise(torch.cat([item["crop"] for item in validator.loader])[: len(boxes)], CPU, pixel_statistics(cfg))
    return Pair(
        f"test, {network.title}", f"{len(boxes)} detected boxes of {len(validator.dataset)} images",
        lambda: (list(validator.score(own, "val").values()), validator.results),
        lambda: (plain_run.test(cfg, codec, as_built, boxes, results, CPU), results),
        1e-3, network.target, numbers,
        lambda: forwards(own, inputs, cfg), lambda: forwards(as_built, inputs.contiguous(), cfg), network.runs_share,
    )  # fmt: skip


def numbers(found: tuple[list[float], Path]) -> list[np.ndarray]:
    """COCO's ten numbers, and image, score and keypoints of each result in the file."""
    entries = json.loads(found[1].read_text())
    return [
        np.array(found[0]),
        np.array([[entry["image_id"], entry["score"], *entry["keypoints"]] for entry in entries]),
    ]


@torch.inference_mode()
def forwards(model: nn.Module, inputs: Tensor, cfg: Any) -> None:
    """The network on all inputs, as often as the test asks for: twice with the flip test."""
    model.eval()
    for batch in inputs.split(cfg.TEST.BATCH_SIZE_PER_GPU):
        for _ in range(1 + cfg.TEST.FLIP_TEST):
            model(batch)


def trainings(samples: Path, networks: Sequence[Network] = NETWORKS) -> Iterator[Pair]:
    """An epoch of training from reading the images to the last optimizer step."""
    for network in networks:
        with tempfile.TemporaryDirectory() as folder:
            yield _training(samples, Path(folder), network)


class Augmented(Dataset):
    """The plain path's training samples, the draws of heatpose's first epoch."""

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return plain_training_sample(self.dataset, index)


def _training(samples: Path, folder: Path, network: Network) -> Pair:
    root = repeat_sample(samples, folder / "data", network.people_copies)
    batch = ["TRAIN.BATCH_SIZE_PER_GPU", str(network.batch), "TRAIN.SHUFFLE", "False", "TRAIN.LR", "1e-5"]
    cfg = configure(network, root, folder, *batch)
    dataset: Any = build_dataset(cfg, "train")
    model = taught(cfg, 0)
    own, as_built = place(copy.deepcopy(model), CPU), model
    loader = training_loader(dataset, network.batch, False, 0, cfg.SEED)
    inputs = normalise(torch.from_numpy(np.stack([dataset[0, i]["crop"] for i in range(len(dataset))])), CPU)
    return Pair(
        f"training, {network.title}", f"{len(dataset)} people in batches of {network.batch}",
        lambda: train(cfg, copy.deepcopy(own), loader),
        lambda: plain_train(cfg, copy.deepcopy(as_built), DataLoader(Augmented(dataset), network.batch)),
        1e-2, 0, lambda found: [np.array([np.log(found[0]), found[1]])],
        lambda: steps(cfg, copy.deepcopy(own), inputs),
        lambda: steps(cfg, copy.deepcopy(as_built), inputs.contiguous()), network.runs_share,
    )  # fmt: skip


def train(cfg: Any, model: nn.Module, loader: DataLoader) -> tuple[float, float]:
    """Loss and accuracy of one epoch, as heatpose's observers are told."""
    told = []

    class Listener(Silent):
        def on_report(self, report: Any) -> None:
            told.append((report.loss, report.accuracy))

    optimizer = build_optimizer(cfg, model.parameters())
    scheduler = build_scheduler(cfg, optimizer, len(loader))
    objective = Supervised(build_codec(cfg), build_loss(cfg), CPU, pixel_statistics(cfg))
    train_one_epoch(model, loader, objective, optimizer, scheduler, CPU, 0, Listener(), len(loader))
    return told[-1]


def plain_train(cfg: Any, model: nn.Module, loader: DataLoader) -> tuple[float, float]:
    """Loss and accuracy of one epoch of the plain path."""
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.TRAIN.LR * cfg.TRAIN.WARMUP_FACTOR)
    losses, hits = plain_run.train(model, loader, optimizer, CPU)
    return losses.value, hits.value


def steps(cfg: Any, model: nn.Module, inputs: Tensor) -> None:
    """Forward, backward and optimizer on all inputs, with the cheapest of losses."""
    optimizer = build_optimizer(cfg, model.parameters())
    model.train()
    for batch in inputs.split(cfg.TRAIN.BATCH_SIZE_PER_GPU):
        optimizer.zero_grad(set_to_none=True)
        final_output(model(batch)).mean().backward()
        optimizer.step()
