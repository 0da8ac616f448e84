"""The networks of the whole runs, their experiments on the sample images, and where they are run."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.core.compiling import compile_networks
from heatpose.core.loss import build_loss
from heatpose.core.objective import Supervised
from heatpose.core.optim import build_optimizer
from heatpose.dataset import build_dataset, test_loader
from heatpose.models import build_model
from heatpose.utils.batch import pixel_statistics

from .copies import BOXES, SET

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Setting:
    """Where a run computes, and how heatpose does there; the plain path computes in PyTorch's float32."""

    device: torch.device = CPU
    workers: int = 0
    precision: str = "fp32"  # COMPUTE.PRECISION
    compilation: str = "none"  # COMPUTE.COMPILE

    @property
    def keys(self) -> list[str]:
        """KEY VALUE pairs for both ways."""
        return ["WORKERS", str(self.workers)]

    @property
    def own_keys(self) -> list[str]:
        """KEY VALUE pairs for heatpose."""
        return [*self.keys, "COMPUTE.PRECISION", self.precision, "COMPUTE.COMPILE", self.compilation]

    @property
    def plain(self) -> "Setting":
        """The same place for the plain path."""
        return Setting(self.device, self.workers)

    def compiled(self, model: nn.Module, scored_at_once: int = 0) -> nn.Module:
        """The network, to be compiled or recorded at its next call where that is asked for; see `compile_networks`."""
        compile_networks(self.compilation, self.device, model, scored_at_once=scored_at_once)
        return model

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


ON_CPU = Setting()


@dataclass(frozen=True)
class Network:
    """A network, and how much work is enough to time it on one core."""

    title: str
    experiment: str
    keys: tuple[str, ...] = ()
    copies: int = 1  # of the sample's images, for the test
    many_copies: int = 0  # for the command, so many that its start no longer counts; 0 for no such run
    images: int = 0  # of the sample, 0 for all; for the test
    people_copies: int = 1  # of the sample's people, for the training
    batch: int = 32  # of the training
    lessons: int = 0  # training steps before the test, so that there is an AP to compare
    target: float = 0  # ratio of the whole test
    training_target: float = 0
    runs_share: float = 0.3  # see Pair


GAUSSIAN = ("MODEL.CODEC", "gaussian", "TEST.FLIP_TEST", "True")
SMALL = Network(
    "HRNet 64x48",
    "toy/hrnet_64x48.yaml",
    copies=11,
    many_copies=150,
    people_copies=16,
    lessons=250,
    target=4,
    runs_share=0.75,
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


def taught(cfg: Any, steps: int, device: torch.device = CPU) -> nn.Module:
    """The experiment's network after `steps` training steps on all its people, in crops as they are for testing."""
    torch.manual_seed(0)
    model = build_model(cfg).to(device)
    if steps:
        dataset: Any = build_dataset(cfg, "train")
        (batch,) = test_loader(dataset.unvaried(), len(dataset), 0)
        objective = Supervised(build_codec(cfg), build_loss(cfg), device, pixel_statistics(cfg))
        learner = copy.deepcopy(model).train()
        compile_networks("cudagraphs" if device.type == "cuda" else "none", device, learner)  # in a third of the time
        optimizer = build_optimizer(cfg, learner.parameters())
        for _ in range(steps):
            optimizer.zero_grad()
            objective.step(learner, batch).loss.backward()
            optimizer.step()
        model.load_state_dict(learner.state_dict())
        vars(learner).pop("forward", None)  # the graphs' memory
    return model
