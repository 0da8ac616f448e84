"""A training and a prediction in one or many processes; started by test_distributed.py, alone or by torchrun.

share_of_a_run.py <experiment> <folder> <batch size of a process>: trains a network without BatchNorm, whose statistics
would differ between batches, from <folder>/checkpoint.pth where there is one. Rank 0 leaves the weights and their
average (TRAIN.EMA), reported losses and, predicted with small and with large test batches, keypoints and scores.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.core.averaged import Averaged
from heatpose.core.distributed import end, join
from heatpose.core.evaluate import build_scorer
from heatpose.core.loss import build_loss
from heatpose.core.objective import Supervised
from heatpose.core.optim import build_optimizer, build_scheduler
from heatpose.core.predict import predict
from heatpose.core.state import TrainingState
from heatpose.core.train import fit
from heatpose.dataset import build_dataset, test_loader, training_loader
from heatpose.report.observers import Silent

CPU = torch.device("cpu")


class Losses(Silent):
    def __init__(self):
        self.seen = []

    def on_report(self, report):
        self.seen.append(report.loss)


def main(path, folder, batch_size):
    world, cfg = join(), load_config(path)
    torch.manual_seed(world.rank)  # every process begins with other weights; rank 0's count
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, cfg.MODEL.NUM_JOINTS, 1)
    )
    codec, losses = build_codec(cfg), Losses()
    loader = training_loader(build_dataset(cfg, "train"), batch_size, True, 0, cfg.SEED, shard=world.shard)
    optimizer = build_optimizer(cfg, model.parameters())
    objective = Averaged(Supervised(codec, build_loss(cfg), CPU), model, cfg.TRAIN.EMA)
    steps = -(-len(loader) // cfg.TRAIN.ACCUMULATE)
    state = TrainingState(model, optimizer, build_scheduler(cfg, optimizer, steps), {}, steps, objective=objective)
    if (folder / "checkpoint.pth").exists():
        state.resume(folder / "checkpoint.pth")
    fit(
        state, loader, objective, lambda epoch: 0.0, folder, cfg.TRAIN.END_EPOCH, CPU, losses, 1, world=world,
        accumulate=cfg.TRAIN.ACCUMULATE,
    )  # fmt: skip
    found = {"losses": losses.seen}
    for size in (2, 100):
        found[f"scores of {size}"], found[f"keypoints of {size}"] = score(cfg, codec, model, folder, size, world)
    if world.is_first:
        (folder / "found.json").write_text(json.dumps(found))
    if world.size > 1:
        world.wait()
        end(0)


def score(cfg, codec, model, folder, batch_size, world):
    with torch.no_grad():
        model[-1].bias += 1e-3 * torch.arange(cfg.MODEL.NUM_JOINTS)
    dataset = build_dataset(cfg, "test")
    records, loader = dataset.records, test_loader(dataset, batch_size, 0, shard=world.shard)
    keypoints = predict(model, loader, codec, records.center, records.scale, CPU, batch_size, world=world)
    scores = build_scorer(cfg, dataset).score_people(keypoints, records, folder / f"results_{world.rank}.json")
    # Half true: the network has learnt nothing yet, and an AP of 0 would be equal too easily.
    truth = np.concatenate([records.keypoints, np.ones_like(records.keypoints[..., :1])], axis=2)
    mixed = np.where(keypoints[..., 2:] > np.median(keypoints[..., 2]), truth, keypoints)
    mixed_scores = build_scorer(cfg, dataset).score_people(mixed, records, folder / f"results_{world.rank}.json")
    return [world.from_first(each) for each in (scores, mixed_scores)], keypoints.tolist()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
