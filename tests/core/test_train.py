"""The training loop: it learns, it resumes to the bit, it stops on a loss that is not finite."""

import numpy as np
import pytest
import torch

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.core.checkpoint import CheckpointError, read_checkpoint, save_atomically
from heatpose.core.loss import build_loss
from heatpose.core.optim import build_optimizer, build_scheduler
from heatpose.core.train import TrainingError, TrainingState, fit
from heatpose.dataset import build_dataset, training_loader
from heatpose.models import build_model


class Watcher:
    def __init__(self):
        self.reports, self.steps, self.epochs = [], 0, []

    def on_step(self):
        self.steps += 1

    def on_report(self, report):
        self.reports.append(report)

    def on_epoch(self, epoch, score, is_best):
        self.epochs.append((epoch, score, is_best))


class Run:
    """A training of a very small network on the drawn people."""

    def __init__(self, path, folder, **train):
        self.cfg = load_config(path, [word for key, value in train.items() for word in (f"TRAIN.{key}", str(value))])
        torch.manual_seed(self.cfg.SEED)
        self.folder, self.watcher = folder, Watcher()
        self.codec, model = build_codec(self.cfg), build_model(self.cfg)
        dataset = build_dataset(self.cfg, "train")
        self.loader = training_loader(dataset, self.cfg.TRAIN.BATCH_SIZE_PER_GPU, True, 0, self.cfg.SEED)
        optimizer = build_optimizer(self.cfg, model.parameters())
        scheduler = build_scheduler(self.cfg, optimizer, len(self.loader))
        self.state = TrainingState(model, optimizer, scheduler, {"codec": self.codec.name}, len(self.loader))

    def fit(self, end_epoch, scores=(0.1, 0.3, 0.2, 0.4), validate_every=1):
        fit(
            self.state, self.loader, self.codec, build_loss(self.cfg), lambda epoch: scores[epoch], self.folder,
            end_epoch, torch.device("cpu"), self.watcher, self.cfg.PRINT_FREQ, validate_every,
        )  # fmt: skip
        return self


def test_the_loss_falls_and_everything_is_reported(experiment, tmp_path):
    run = Run(experiment(), tmp_path / "out").fit(4)
    steps = len(run.loader)
    assert run.watcher.steps == 4 * steps
    assert [report.step for report in run.watcher.reports if report.epoch == 0][-1] == steps
    assert run.watcher.reports[-1].loss < run.watcher.reports[0].loss
    assert run.watcher.epochs == [(0, 0.1, True), (1, 0.3, True), (2, 0.2, False), (3, 0.4, True)]
    assert all(0 <= report.loading_share <= 1 for report in run.watcher.reports)


def test_scores_at_the_interval_and_at_the_end(experiment, tmp_path):
    run = Run(experiment(), tmp_path / "out").fit(3, validate_every=2)
    assert run.watcher.epochs == [(0, None, False), (1, 0.3, True), (2, 0.2, False)]
    assert run.state.best_score == 0.3


def test_files_left_behind(experiment, tmp_path):
    run = Run(experiment(), tmp_path / "out").fit(3)
    best, last = (read_checkpoint(tmp_path / "out" / f"{name}.pth") for name in ("model_best", "final_state"))
    assert (best["epoch"], last["epoch"]) == (2, 3)
    assert best["codec"] == "gaussian"
    for key, value in run.state.model.state_dict().items():
        assert torch.equal(last["state_dict"][key], value)


def test_a_resumed_run_ends_with_the_same_bits(experiment, tmp_path):
    whole = Run(experiment(), tmp_path / "whole").fit(4)
    Run(experiment(), tmp_path / "parts").fit(2)
    second = Run(experiment(), tmp_path / "parts")
    torch.manual_seed(99)
    second.state.resume(tmp_path / "parts" / "checkpoint.pth")
    assert (second.state.epoch, second.state.best_score) == (2, 0.3)
    second.fit(4)
    assert second.watcher.epochs == [(2, 0.2, False), (3, 0.4, True)]
    for key, value in whole.state.model.state_dict().items():
        assert torch.equal(second.state.model.state_dict()[key], value), key


def test_a_loss_that_is_not_finite_stops_before_anything_is_saved(experiment, tmp_path):
    run = Run(experiment(), tmp_path / "out").fit(1)
    before = (tmp_path / "out" / "checkpoint.pth").read_bytes()
    with torch.no_grad():
        run.state.model.final_layer.bias.fill_(float("nan"))
    with pytest.raises(TrainingError, match="not finite since step 1 of epoch 1"):
        run.fit(2)
    assert (tmp_path / "out" / "checkpoint.pth").read_bytes() == before


def test_a_changed_learning_rate_holds_after_resuming(experiment, tmp_path):
    Run(experiment(), tmp_path / "out", LR_STEP="(1,3)").fit(2)
    second = Run(experiment(), tmp_path / "out", LR=0.5, LR_STEP="(1,3)", BATCH_SIZE_PER_GPU=2)
    second.state.resume(tmp_path / "out" / "checkpoint.pth")
    assert second.state.scheduler.get_last_lr() == [pytest.approx(0.05)]
    assert second.state.optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    assert second.state.scheduler.last_epoch == 2 * len(second.loader)


def test_a_checkpoint_of_another_codec_is_not_continued(experiment, tmp_path):
    Run(experiment(), tmp_path / "out").fit(1)
    other = Run(experiment(MODEL={"CODEC": "dark"}), tmp_path / "out")
    with pytest.raises(CheckpointError, match="trained with codec gaussian, this run has dark"):
        other.state.resume(tmp_path / "out" / "checkpoint.pth")


def test_a_checkpoint_of_the_forks_is_continued(experiment, tmp_path):
    Run(experiment(), tmp_path / "out").fit(1)
    ours = read_checkpoint(tmp_path / "out" / "checkpoint.pth")
    weights = {f"module.{key}": value for key, value in ours["state_dict"].items()}
    forks = {"epoch": 1, "model": "x", "state_dict": weights, "perf": np.float64(0.5), "optimizer": ours["optimizer"]}
    torch.save(forks, tmp_path / "fork.pth")
    run = Run(experiment(), tmp_path / "new")
    run.state.resume(tmp_path / "fork.pth")
    assert (run.state.epoch, run.state.best_score) == (1, -1.0)
    for key, value in ours["state_dict"].items():
        assert torch.equal(run.state.model.state_dict()[key], value)
    assert run.fit(2).watcher.epochs == [(1, 0.3, True)]


def test_weights_alone_cannot_be_resumed_from(experiment, tmp_path):
    run = Run(experiment(), tmp_path / "out")
    save_atomically({"state_dict": run.state.model.state_dict()}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="no optimizer"):
        run.state.resume(tmp_path / "weights.pth")
