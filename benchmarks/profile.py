"""Where the time of a training step and of an evaluation goes, by part of the work.

python -m benchmarks.profile                     one thread of the CPU and, where there is CUDA, the GPU
python -m benchmarks.profile --write             also benchmarks/profile.md and .json, and profile_cuda.md and .json
python -m benchmarks.profile --device cuda       one of them

A part is a function that is timed from call to return, less the parts within it; on CUDA the device is waited for at
both ends, so that a part has its own work and no other's. "the rest" is what no part has.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch and OpenCV are loaded

import argparse
import contextlib
import dataclasses
import functools
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import torch
from torch.utils.data import dataloader

from heatpose.codecs import build_codec
from heatpose.core import evaluate, predict, train
from heatpose.core.loss import build_loss
from heatpose.core.objective import Supervised
from heatpose.core.optim import build_optimizer, build_scheduler
from heatpose.dataset import build_dataset, joints, training_loader
from heatpose.dataset.images import Image
from heatpose.report.observers import Silent
from heatpose.report.tables import markdown_table
from heatpose.utils.batch import pixel_statistics, place
from heatpose.utils.precision import precision_of

from .speed import report
from .speed.copies import repeat_sample
from .speed.gpu import CARD
from .speed.networks import ON_CPU, SMALL, W32, Network, Setting, configure, taught
from .speed.whole import Validator, ready_to_score, scored_at_once

HERE = Path(__file__).resolve().parent
NETWORK = ("network forward", "network and loss backward", "optimizer")
WAITING = {"waiting for the loading processes": (dataloader._BaseDataLoaderIter, "__next__")}
WORKERS = 8
HEAD = """# Where the time goes

By part of the work, made by `python -m benchmarks.profile --write`; a part is timed without the parts within it.
Milliseconds are those of one person, or of one detected box with the flip test. On a CPU the main process loads
(WORKERS 0); on a GPU loading processes do, and a part has what the device does for it.

"""


@dataclass(frozen=True)
class Profile:
    """Seconds of each part of `samples` people or boxes, the largest first, and of all together."""

    work: str
    network: str
    device: str
    samples: int
    seconds: float
    parts: dict[str, float]

    def largest(self, left_out: Sequence[str] = ()) -> str:
        """The three largest parts with their shares, in words."""
        kept = [(name, spent) for name, spent in self.parts.items() if name not in left_out][:3]
        return ", ".join(f"{name} {spent / self.seconds:.1%}" for name, spent in kept)


class Parts:
    """Sums of the time of the functions that are `watched`, each without those that it calls."""

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: list[float] = []  # of each part under way: seconds of the parts within it

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    @contextlib.contextmanager
    def watched(self, functions: dict[str, tuple[Any, str]]) -> Iterator[None]:
        """Times `name: (owner, attribute)` while it lasts; an AttributeError where an owner has no such function."""
        with contextlib.ExitStack() as stack:
            for name, (owner, attribute) in functions.items():
                timed = self._timed(name, getattr(owner, attribute))
                stack.enter_context(mock.patch.object(owner, attribute, timed))
            yield

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            start = self.now()
            try:
                return function(*arguments, **named)
            finally:
                spent = self.now() - start
                self.seconds[name] += spent - self._inner.pop()
                if self._inner:
                    self._inner[-1] += spent

        return call


def profile(
    titles: tuple[str, str], device: torch.device, samples: int, run: Callable[[], Any], functions: dict
) -> Profile:
    """The parts of `run`, after a first call that is not timed; `titles` are the work's and the network's."""
    run()
    parts = Parts(device)
    start = parts.now()
    with parts.watched(functions):
        run()
    seconds = parts.now() - start
    parts.seconds["the rest"] = seconds - sum(parts.seconds.values())
    ordered = dict(sorted(parts.seconds.items(), key=lambda part: -part[1]))
    return Profile(*titles, report.device_name(device), samples, seconds, ordered)


def training(samples: Path, folder: Path, network: Network, setting: Setting) -> Profile:
    """An epoch of training, from reading the images to the optimizer."""
    device = setting.device
    root = repeat_sample(samples, folder, network.people_copies)
    cfg = configure(network, root, folder, *setting.own_keys)
    dataset: Any = build_dataset(cfg, "train")
    loader: Any = training_loader(dataset, network.batch, True, cfg.WORKERS, cfg.SEED, device.type == "cuda")
    codec, model = build_codec(cfg), setting.compiled(place(taught(cfg, 0), device))
    objective = Supervised(codec, build_loss(cfg), device, pixel_statistics(cfg), precision=precision_of(cfg))
    optimizer = build_optimizer(cfg, model.parameters())
    scheduler = build_scheduler(cfg, optimizer, len(loader))
    reading = {"reading JPEGs": (dataset.images, "open"), "decoding JPEGs": (Image, "part")}
    functions = {
        **(WAITING if cfg.WORKERS else {**reading, **_loading(loader, joints.TrainingCrops)}),
        "normalising": (objective, "images"),
        "targets": (codec, "training_targets"),
        "network forward": (model, "forward"),
        "loss": (objective, "loss_fn"),
        "network and loss backward": (torch.Tensor, "backward"),
        "optimizer": (optimizer, "step"),
        "accuracy": (train, "heatmap_accuracy"),
    }

    def run() -> None:
        train.train_one_epoch(
            model, loader, objective, optimizer, scheduler, device, 0, Silent(), len(loader)
        )  # fmt: skip

    return profile(("training step", network.title), device, len(dataset), run, functions)


def evaluation(samples: Path, folder: Path, network: Network, setting: Setting) -> Profile:
    """The test of tools/test.py, from reading the images to COCO's numbers."""
    device = setting.device
    root = repeat_sample(samples, folder, network.copies, network.images)
    cfg = configure(network, root, folder, *setting.own_keys)
    codec, model = build_codec(cfg), place(ready_to_score(cfg, taught(cfg, 0), device), device)
    setting.compiled(model, scored_at_once(cfg))
    validator = Validator(cfg, codec, device, folder / "output")
    reading = {"reading and decoding JPEGs": (validator.dataset.images, "read")}
    functions = {
        **(WAITING if cfg.WORKERS else {**reading, **_loading(validator.loader, joints.TestCrops)}),
        "normalising": (predict, "normalise"),
        "network forward": (model, "forward"),
        "flip": (codec, "flip_back"),
        "decode": (codec, "decode"),
        "way back to the image": (codec, "to_image"),
        "rescoring and OKS-NMS": (evaluate.PeopleOfImages, "results"),
        "results file": (evaluate, "write_json_rows"),
        "COCO scoring": (evaluate.CocoScorer, "score_results"),
    }
    boxes = len(validator.dataset.records)
    run = functools.partial(validator.score, model, "val")
    return profile(("evaluation", network.title), device, boxes, run, functions)


def _loading(loader: Any, crops: type) -> dict[str, tuple[Any, str]]:
    return {
        "warp": (joints, "crop_image"),
        "augmentation and matrices": (crops, "__getitem__"),
        "joining a batch": (loader, "collate_fn"),
    }


def text(profiles: Sequence[Profile], about: str) -> str:
    """The page benchmarks/profile.md, or profile_cuda.md."""
    return HEAD + "\n".join(section(each) for each in profiles) + f"\n{about}\n"


def section(found: Profile) -> str:
    """One profile: its largest parts in words, and a table."""
    rows = [
        [name, f"{spent / found.samples * 1e3:.3f}", f"{spent / found.seconds:.1%}"]
        for name, spent in found.parts.items()
    ]
    return (
        f"## {found.work}, {found.network}, {found.device}\n\n"
        f"{found.samples} {'boxes' if found.work == 'evaluation' else 'people'}, {found.seconds:.2f} s. The three "
        f"largest: {found.largest()}. Outside the network: {found.largest(NETWORK)}.\n\n"
        f"{markdown_table(['part', 'ms', 'share'], rows)}\n"
    )


def profiles(samples: Path, chosen: Sequence[Network], setting: Setting) -> Iterator[Profile]:
    """Both works with every network."""
    for network in chosen:
        for work in (training, evaluation):
            with tempfile.TemporaryDirectory() as folder:
                yield work(samples, Path(folder), network, setting)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=Path("../shared/data"), help="folder with coco_sample")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="one of them; otherwise all that there are")
    parser.add_argument("--write", action="store_true", help="write profile.md or profile_cuda.md here, and .json")
    options = parser.parse_args()
    if not (options.samples / "coco_sample").is_dir():
        raise ValueError(f"{options.samples / 'coco_sample'}: no such folder; --samples wants one with coco_sample")
    names = [options.device] if options.device else ["cpu", *["cuda"] * torch.cuda.is_available()]
    if "cuda" in names:
        report.require_cuda()
    load = os.getloadavg()[0]
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    on_card = Setting(torch.device("cuda"), WORKERS, "bf16", "cudagraphs")  # as docs/speed.md advises
    for name in names:
        torch.backends.cudnn.benchmark = name == "cuda"
        chosen, setting = ((CARD,), on_card) if name == "cuda" else ((SMALL, W32), ON_CPU)
        found = []
        for each in profiles(options.samples, chosen, setting):
            found.append(each)
            print(section(each), flush=True)
        if options.write:
            about = report.surroundings(load, setting.device)
            content = {**about, "profiles": [dataclasses.asdict(each) for each in found]}
            page = HERE / ("profile_cuda.md" if name == "cuda" else "profile.md")
            page.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
            page.write_text(text(found, report.about(content)))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        sys.exit(report.refuse(str(error)))
