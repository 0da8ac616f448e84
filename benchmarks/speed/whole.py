"""Whole runs, heatpose's and the plain path's: a test and an epoch of training, and the network's work alone."""

import copy
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from heatpose.codecs import build_codec
from heatpose.core.optim import build_optimizer, build_scheduler
from heatpose.core.predict import final_maps
from heatpose.core.train import train_one_epoch
from heatpose.dataset import build_dataset, training_loader
from heatpose.report.observers import Silent
from heatpose.utils.batch import final_output, normalise, pixel_statistics, place
from heatpose.utils.precision import precision_of

from . import plain_run
from .copies import repeat_sample
from .measure import Pair
from .networks import NETWORKS, ON_CPU, Network, Setting, configure, taught
from .stages import training_sample as plain_training_sample

DIFFERENT = 192  # crops of the network's work alone

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from common import Validator, ready_to_score, scored_at_once  # noqa: E402
from train import build_objective  # noqa: E402


def tests(samples: Path, networks: Sequence[Network] = NETWORKS, setting: Setting = ON_CPU) -> Iterator[Pair]:
    """The test of tools/test.py from reading the images to COCO's ten numbers; what stands before is done."""
    for network in networks:
        with tempfile.TemporaryDirectory() as folder:
            yield _test(samples, Path(folder), network, setting)


def _test(samples: Path, folder: Path, network: Network, setting: Setting) -> Pair:
    device, results = setting.device, folder / "plain.json"
    root = repeat_sample(samples, folder / "data", network.copies, network.images)
    cfg, own_cfg = (configure(network, root, folder, *keys) for keys in (setting.keys, setting.own_keys))
    lessons = configure(network, repeat_sample(samples, folder / "once", 1), folder)
    as_built = taught(lessons, network.lessons, device)
    own = place(ready_to_score(own_cfg, copy.deepcopy(as_built), device), device).eval()
    setting.compiled(own, scored_at_once(own_cfg))
    boxes = plain_run.Boxes(cfg, build_codec(cfg))
    validator = Validator(own_cfg, build_codec(cfg), device, folder / "output")
    inputs = _inputs([validator.dataset[number]["crop"] for number in range(len(validator.dataset))], cfg, device)
    most, passes = cfg.TEST.BATCH_SIZE_PER_GPU, 1 + cfg.TEST.FLIP_TEST
    exact = setting.precision == "fp32" and device.type == "cpu"
    own_inputs = torch.cat([inputs] * passes).split(most * passes)
    return Pair(
        f"test, {network.title}", f"{len(boxes)} detected boxes of {len(validator.dataset)} images",
        lambda: (list(validator.score(own, "val").values()), validator.results),
        lambda: (plain_run.test(cfg, boxes.codec, as_built, boxes, results, device), results),
        1e-3 if exact else 0.05, network.target, numbers if exact else precision_and_recall,
        lambda: forwards(partial(final_maps, own, precision=precision_of(own_cfg)), own_inputs, 1, setting),
        lambda: forwards(as_built.eval(), inputs.contiguous().split(most), passes, setting.plain),
        network.runs_share, len(boxes),
    )  # fmt: skip


def _inputs(crops: Sequence[Any], cfg: Any, device: torch.device) -> Tensor:
    return normalise(torch.cat([torch.as_tensor(each) for each in crops]), device, pixel_statistics(cfg))


def numbers(found: tuple[list[float], Path]) -> list[np.ndarray]:
    """COCO's ten numbers, and image, score and keypoints of each result in the file."""
    entries = json.loads(found[1].read_text())
    rows = [[entry["image_id"], entry["score"], *entry["keypoints"]] for entry in entries]
    return [np.array(found[0]), np.array(rows)]


def precision_and_recall(found: tuple[list[float], Path]) -> list[np.ndarray]:
    """COCO's AP and AR: the other eight count few people each, so that one of them decides, by a hair, a tenth."""
    return [np.array(found[0])[[0, 5]]]


@torch.inference_mode()
def forwards(network: Callable[[Tensor], Any], batches: Sequence[Tensor], passes: int, setting: Setting) -> None:
    """The network on all inputs, as often as the test asks for: two passes with the flip test, unless joined in one."""
    for batch in batches:
        for _ in range(passes):
            network(batch)
    setting.wait()


def _output(model: nn.Module, batch: Tensor, setting: Setting) -> Tensor:
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=setting.precision == "bf16"):
        return final_output(model(batch))


def trainings(samples: Path, networks: Sequence[Network] = NETWORKS, setting: Setting = ON_CPU) -> Iterator[Pair]:
    """An epoch of training from reading the images to the last optimizer step."""
    for network in networks:
        with tempfile.TemporaryDirectory() as folder:
            yield _training(samples, Path(folder), network, setting)


class Augmented(Dataset):
    """The plain path's training samples, the draws of heatpose's first epoch."""

    def __init__(self, dataset: Any):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return plain_training_sample(self.dataset, index)


def _training(samples: Path, folder: Path, network: Network, setting: Setting) -> Pair:
    device, batch = setting.device, network.batch
    root = repeat_sample(samples, folder / "data", network.people_copies)
    keys = ["TRAIN.BATCH_SIZE_PER_GPU", str(batch), "TRAIN.LR", "1e-5", "TRAIN.WARMUP_ITERS", "0"]
    cfg, own_cfg = (configure(network, root, folder, *keys, *more) for more in (setting.keys, setting.own_keys))
    dataset: Any = build_dataset(cfg, "train")
    as_built = taught(cfg, 0, device)
    first, own = copy.deepcopy(as_built.state_dict()), place(copy.deepcopy(as_built), device)
    setting.compiled(own)
    pinned, workers = device.type == "cuda", setting.workers
    loader = training_loader(dataset, batch, False, workers, cfg.SEED, pinned)
    plain_loader = DataLoader(
        Augmented(dataset), batch, num_workers=workers, pin_memory=pinned, persistent_workers=workers > 0
    )
    crops = [dataset[0, index]["crop"][None] for index in range(min(len(dataset), DIFFERENT))]
    inputs = _inputs([crops[index % len(crops)] for index in range(len(dataset))], cfg, device)

    def anew(model: nn.Module) -> nn.Module:
        model.load_state_dict(first)
        return model

    return Pair(
        f"training, {network.title}", f"{len(dataset)} people in batches of {batch}",
        lambda: train(own_cfg, anew(own), loader, device),
        lambda: plain_train(cfg, anew(as_built), plain_loader, device),
        1e-2 if setting.precision == "fp32" else 5e-2, network.training_target,
        lambda found: [np.array([np.log(found[0]), found[1]])],
        lambda: steps(anew(own), build_optimizer(own_cfg, own.parameters()), inputs.split(batch), setting),
        lambda: steps(anew(as_built), plain_optimizer(cfg, as_built), inputs.contiguous().split(batch), setting.plain),
        network.runs_share, len(dataset),
    )  # fmt: skip


def train(cfg: Any, model: nn.Module, loader: DataLoader, device: torch.device) -> tuple[float, float]:
    """Loss and accuracy of one epoch, as heatpose's observers are told."""
    told = []

    class Listener(Silent):
        def on_report(self, report: Any) -> None:
            told.append((report.loss, report.accuracy))

    optimizer = build_optimizer(cfg, model.parameters())
    scheduler = build_scheduler(cfg, optimizer, len(loader))
    objective = build_objective(cfg, build_codec(cfg), model, {}, device)
    train_one_epoch(model, loader, objective, optimizer, scheduler, device, 0, Listener(), len(loader))
    return told[-1]


def plain_train(cfg: Any, model: nn.Module, loader: DataLoader, device: torch.device) -> tuple[float, float]:
    """Loss and accuracy of one epoch of the plain path."""
    losses, hits = plain_run.train(model, loader, plain_optimizer(cfg, model), device)
    return losses.value, hits.value


def plain_optimizer(cfg: Any, model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=cfg.TRAIN.LR)


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, batches: Sequence[Tensor], setting: Setting) -> None:
    """Forward, backward and optimizer on all inputs, with the cheapest of losses."""
    model.train()
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        _output(model, batch, setting).float().mean().backward()
        optimizer.step()
    setting.wait()
