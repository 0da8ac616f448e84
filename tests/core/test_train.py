"""The training loop: it learns, it resumes to the bit, it stops on a loss that is not finite."""

import contextlib
import shutil

import numpy as np
import pytest
import torch
import yaml

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.core.checkpoint import CheckpointError, read_checkpoint, save_atomically
from heatpose.core.loss import build_loss
from heatpose.core.objective import Supervised
from heatpose.core.optim import build_optimizer, build_scheduler
from heatpose.core.state import TrainingState
from heatpose.core.train import TrainingError, fit
from heatpose.dataset import build_dataset, training_loader
from heatpose.models import build_model


class Watcher:
    def __init__(self):
        self.reports, self.steps, self.epochs, self.stages, self.paces = [], 0, [], [], []

    def on_stage(self, stage, stages, first_epoch, end_epoch):
        self.stages.append((stage, stages, first_epoch, end_epoch))

    def on_pseudo_labels(self, epoch, labels):
        raise AssertionError("labelled samples only")

    def on_step(self):
        self.steps += 1

    def on_report(self, report):
        self.reports.append(report)

    def on_pace(self, pace):
        self.paces.append(pace)

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
        self.objective = Supervised(self.codec, build_loss(self.cfg), torch.device("cpu"))
        optimizer = build_optimizer(self.cfg, model.parameters())
        scheduler = build_scheduler(self.cfg, optimizer, len(self.loader))
        self.state = TrainingState(
            model, optimizer, scheduler, {"model": self.cfg.MODEL.NAME, "codec": self.codec.name}, len(self.loader)
        )

    def fit(self, end_epoch, scores=(0.1, 0.3, 0.2, 0.4), validate_every=1, stages=1):
        fit(
            self.state, self.loader, self.objective, lambda epoch: scores[epoch], self.folder, end_epoch,
            torch.device("cpu"), self.watcher, self.cfg.PRINT_FREQ, validate_every, stages,
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
    # SimpleBaselines' "model" is its name and its whole configuration's
    name = ("pose_resnet_50", "256x192_pose_resnet_50_d256x3")
    forks = {"epoch": 1, "model": name, "state_dict": weights, "perf": np.float64(0.5), "optimizer": ours["optimizer"]}
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


TINY = {"NAME": "hourglass", "EXTRA": {"NUM_FEATURES": 8, "NUM_STACKS": 1}}


def test_the_rate_is_where_the_first_epoch_is(experiment, tmp_path):
    run = Run(experiment(MODEL=TINY), tmp_path / "out", LR_STEP="(1,3)")
    later = TrainingState(run.state.model, run.state.optimizer, run.state.scheduler, {}, len(run.loader), epoch=3)
    assert later.scheduler.get_last_lr() == [pytest.approx(1e-5)]


class Killed(Exception):
    pass


class Clock:
    """Ends a training after some moments: a moment is a step, and just before and just after a file is written."""

    def __init__(self, monkeypatch):
        self.left = 0
        monkeypatch.setattr("heatpose.core.state.save_atomically", self.save)

    def tick(self):
        self.left -= 1
        if self.left == 0:
            raise Killed

    def save(self, content, path):
        self.tick()
        save_atomically(content, path)
        self.tick()


def same_weights(first, second):
    one, other = (read_checkpoint(file)["state_dict"] for file in (first, second))
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert torch.equal(other[key], value), key


@pytest.fixture(scope="module")
def start(tiny_content, tmp_path_factory):
    """A function (folder, resume) -> Run whose rate falls after a stage's first epoch."""
    folder = tmp_path_factory.mktemp("stages")
    content = tiny_content(folder)
    content["MODEL"].update(TINY)
    content["TRAIN"].update({"LR_STEP": [1], "WARMUP_ITERS": 2, "BATCH_SIZE_PER_GPU": 6})
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content))

    def start(out, resume=False):
        run = Run(folder / "tiny.yaml", out)
        if resume:
            run.state.resume(out / "checkpoint.pth")
        return run

    return start


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """Two stages of two epochs."""
    return start(tmp_path_factory.mktemp("whole")).fit(2, stages=2)


class TestStages:
    def test_epochs_run_on_and_no_stage_repeats_the_samples_of_another(self, whole):
        assert whole.watcher.stages == [(1, 2, 0, 2), (2, 2, 2, 4)]
        assert whole.watcher.epochs == [(0, 0.1, True), (1, 0.3, True), (2, 0.2, False), (3, 0.4, True)]
        last = [report.batch for report in whole.watcher.reports if report.step == report.steps]
        assert len({batch["crop"].numpy().tobytes() for batch in last}) == 4

    def test_the_schedule_begins_anew(self, whole):
        rates = [report.learning_rate for report in whole.watcher.reports]
        assert rates[: len(rates) // 2] == rates[len(rates) // 2 :]
        assert rates[0] > rates[len(rates) // 2 - 1]

    def test_files_left_behind(self, whole):
        kept = {file.stem: read_checkpoint(file) for file in whole.folder.iterdir()}
        assert {name: (content["stage"], content["epoch"]) for name, content in kept.items()} == {
            "stage_1": (1, 2), "model_best": (2, 4), "final_state": (2, 4), "checkpoint": (2, 4)
        }  # fmt: skip

    def test_a_stage_is_a_new_training_from_the_weights_before(self, start, whole, tmp_path):
        alone = start(tmp_path)
        alone.state.model.load_state_dict(read_checkpoint(whole.folder / "stage_1.pth")["state_dict"])
        alone.state.epoch = alone.state.stage_start = 2  # for the samples
        alone.fit(2)
        same_weights(whole.folder / "final_state.pth", tmp_path / "final_state.pth")

    @pytest.mark.parametrize("life", [8, 10])
    def test_killed_again_and_again_it_ends_with_the_same_bits(self, start, whole, tmp_path, monkeypatch, life):
        clock, starts = Clock(monkeypatch), 0
        while not (tmp_path / "final_state.pth").exists():
            starts += 1
            assert starts < 10, "no start gets further than the one before"
            torch.manual_seed(starts)
            run = start(tmp_path, resume=(tmp_path / "checkpoint.pth").exists())
            run.watcher.on_step, clock.left = clock.tick, life
            with contextlib.suppress(Killed):
                run.fit(2, stages=2)
        assert starts > 2
        for name in ("stage_1", "model_best", "final_state", "checkpoint"):
            same_weights(whole.folder / f"{name}.pth", tmp_path / f"{name}.pth")

    def test_stages_can_be_added_to_a_finished_training(self, start, whole, tmp_path):
        start(tmp_path).fit(2)
        assert start(tmp_path, resume=True).fit(2, stages=2).watcher.stages == [(2, 2, 2, 4)]
        for name in ("stage_1", "final_state"):
            same_weights(whole.folder / f"{name}.pth", tmp_path / f"{name}.pth")

    def test_another_end_epoch_counts_from_the_present_stage_on(self, start, tmp_path):
        def after_the_third_epoch(epoch, score, is_best):
            if epoch == 2:
                raise Killed

        run = start(tmp_path)
        run.watcher.on_epoch = after_the_third_epoch
        with pytest.raises(Killed):
            run.fit(2, stages=3)
        shutil.copytree(tmp_path, tmp_path / "copy")
        fewer, more = start(tmp_path, resume=True), start(tmp_path / "copy", resume=True)
        assert (more.state.stage, more.state.stage_start, more.state.epoch) == (2, 2, 3)
        scores = [0.1] * 8
        assert fewer.fit(1, scores, stages=3).watcher.stages == [(3, 3, 3, 4)]
        more.fit(3, scores, validate_every=2, stages=3)
        assert more.watcher.stages == [(2, 3, 3, 5), (3, 3, 5, 8)]
        assert [score for _, score, _ in more.watcher.epochs] == [0.1, 0.1, None, 0.1, 0.1]
