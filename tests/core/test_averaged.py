"""TRAIN.EMA: the average is scored and kept, and a resumed run ends with the same bits."""

import numpy as np
import pytest
import torch
from torch import nn

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.core.averaged import Averaged
from heatpose.core.checkpoint import read_checkpoint
from heatpose.core.loss import build_loss
from heatpose.core.objective import Supervised
from heatpose.core.optim import build_optimizer, build_scheduler
from heatpose.core.state import TrainingState
from heatpose.core.train import fit
from heatpose.dataset import build_dataset, training_loader
from heatpose.report.observers import Silent

CPU = torch.device("cpu")


class Run:
    """A training of a few convolutions with BatchNorm; `keep` 0 averages nothing."""

    def __init__(self, path, folder, keep=0.8, accumulate=1):
        cfg, self.folder, self.accumulate = load_config(path), folder, accumulate
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 17, 3, 2, 1)
        )
        self.loader = training_loader(build_dataset(cfg, "train"), 2, True, 0, 0)
        labelled = Supervised(build_codec(cfg), build_loss(cfg), CPU)
        self.objective = Averaged(labelled, model, keep) if keep else labelled
        optimizer, self.steps = build_optimizer(cfg, model.parameters()), -(-len(self.loader) // accumulate)
        scheduler = build_scheduler(cfg, optimizer, self.steps)
        self.state = TrainingState(model, optimizer, scheduler, {}, self.steps, objective=self.objective)
        self.scored = []

    def fit(self, end_epoch):
        fit(
            self.state, self.loader, self.objective, self.validate, self.folder, end_epoch, CPU, Silent(),
            accumulate=self.accumulate,
        )  # fmt: skip
        return self

    def validate(self, epoch):
        self.scored.append({key: value.clone() for key, value in self.state.scored.state_dict().items()})
        return float(epoch)


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.fixture
def path(experiment):
    return experiment(TRAIN={"OPTIMIZER": "sgd", "LR": 0.5})


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_run_ends_with_the_same_bits(path, tmp_path, accumulate):
    whole = Run(path, tmp_path / "whole", accumulate=accumulate).fit(4)
    Run(path, tmp_path / "parts", accumulate=accumulate).fit(2)
    second = Run(path, tmp_path / "parts", accumulate=accumulate)
    second.state.resume(tmp_path / "parts" / "checkpoint.pth")
    assert second.objective.average.steps == 2 * second.steps
    second.fit(4)
    assert same(whole.state.model.state_dict(), second.state.model.state_dict())
    assert same(whole.state.scored.state_dict(), second.state.scored.state_dict())


def test_the_average_is_scored_and_kept_and_a_checkpoint_has_both(path, tmp_path):
    run = Run(path, tmp_path).fit(2)
    model, average = run.state.model.state_dict(), run.state.scored.state_dict()
    assert not same(model, average)
    assert same(run.scored[-1], average)
    for name in ("model_best", "final_state"):
        assert same(read_checkpoint(tmp_path / f"{name}.pth")["state_dict"], average), name
    checkpoint = read_checkpoint(tmp_path / "checkpoint.pth")
    assert same(checkpoint["state_dict"], model)
    assert same(checkpoint["objective"]["average"]["state_dict"], average)


def test_the_training_itself_does_not_know_of_it(path, tmp_path):
    with_it, without = Run(path, tmp_path / "a").fit(2), Run(path, tmp_path / "b", keep=0.0).fit(2)
    assert same(with_it.state.model.state_dict(), without.state.model.state_dict())


def test_it_begins_with_the_weights_of_a_checkpoint_that_has_none(path, tmp_path):
    without = Run(path, tmp_path, keep=0.0).fit(1)
    run = Run(path, tmp_path / "new")
    run.state.resume(tmp_path / "checkpoint.pth")
    assert same(run.state.scored.state_dict(), without.state.model.state_dict())
    run.fit(2)
    assert np.isfinite(run.state.scored[3].bias.numpy()).all()


def test_a_run_without_it_goes_on_from_a_checkpoint_that_has_one(path, tmp_path):
    with_it = Run(path, tmp_path).fit(1)
    run = Run(path, tmp_path / "new", keep=0.0)
    run.state.resume(tmp_path / "checkpoint.pth")
    assert same(run.state.scored.state_dict(), with_it.state.model.state_dict())
