"""Trainings in bf16 end where those in float32 do: the same AP, within what another seed changes."""

from itertools import repeat

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.core.evaluate import build_scorer
from heatpose.core.loss import build_loss
from heatpose.core.objective import Supervised
from heatpose.core.predict import predict
from heatpose.core.train import train_one_epoch
from heatpose.dataset import build_dataset, test_loader, training_loader
from heatpose.report.observers import Silent
from heatpose.utils.batch import place
from heatpose.utils.precision import Precision

CPU = torch.device("cpu")
SEEDS, STEPS = range(6), 25
STILL = {"FLIP": False, "ROT_FACTOR": 0, "SCALE_FACTOR": 0}


class Repeated:
    """The same batch again and again, as a loader."""

    def __init__(self, batch, times):
        self.batch, self.times = batch, times

    def __len__(self):
        return self.times

    def __iter__(self):
        return repeat(self.batch, self.times)


def network(joints, width, height):
    """A small one that learns the people by heart in a few steps: convolutions with BatchNorm, then maps of all joints.

    The input is four times as wide and as high as the maps, `width` and `height` multiples of 4.
    """

    def layer(channels, features):
        return [nn.Conv2d(channels, features, 3, 2, 1, bias=False), nn.BatchNorm2d(features), nn.ReLU()]

    return nn.Sequential(
        *layer(3, 16), *layer(16, 32), *layer(32, 32), *layer(32, 16), nn.Flatten(),
        nn.Linear(width * height, joints * height * width), nn.Unflatten(1, (joints, height, width)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tiny_content, tmp_path_factory):
    """A function (precision, seed) -> AP, on the people it was trained with, of a small network."""
    folder = tmp_path_factory.mktemp("precision")
    content = tiny_content(folder)
    content["DATASET"] = {**content["DATASET"], "DATASET": "coco", "TEST_SET": "train", **STILL}
    content["MODEL"].update(CODEC="dark")
    content["TEST"].update(BLUR_KERNEL=3)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content))
    cfg = load_config(folder / "tiny.yaml")
    codec, crops, people = build_codec(cfg), build_dataset(cfg, "train"), build_dataset(cfg, "test")
    batch = next(iter(training_loader(crops, len(crops), True, 0, 0)))
    records, scorer = people.records, build_scorer(cfg, people)

    def train(name, seed):
        torch.manual_seed(seed)
        model, precision = place(network(cfg.MODEL.NUM_JOINTS, *cfg.MODEL.HEATMAP_SIZE), CPU), Precision(name)
        objective = Supervised(codec, build_loss(cfg), CPU, precision=precision)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / STEPS)
        train_one_epoch(model, Repeated(batch, STEPS), objective, optimizer, scheduler, CPU, 0, Silent(), STEPS)
        loader = test_loader(people, 32, 0)
        keypoints = predict(model, loader, codec, records.center, records.scale, CPU, 32, precision=precision)
        return scorer.score_people(keypoints, records, folder / "results.json")["AP"]

    return train


def test_bf16_trains_to_the_ap_of_float32(trained):
    found = {name: np.array([trained(name, seed) for seed in SEEDS]) for name in ("fp32", "bf16")}
    means = {name: scores.mean() for name, scores in found.items()}
    spread = np.sqrt(sum(scores.var(ddof=1) for scores in found.values()) / 2)  # of one training, by its seed
    print(found, spread)
    assert means["fp32"] > 0.8, "networks that have learnt nothing prove nothing"
    assert spread > 0
    assert abs(means["bf16"] - means["fp32"]) <= spread
    assert (found["bf16"] != found["fp32"]).any(), "bf16 was not taken"
