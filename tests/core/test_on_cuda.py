"""Training steps and predictions on a GPU: nothing waits for the device between reports, whatever the options."""

import copy
from itertools import repeat

import numpy as np
import pytest
import torch
from torch import nn

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.core.averaged import Averaged
from heatpose.core.compiling import compile_networks
from heatpose.core.loss import build_loss
from heatpose.core.objective import Supervised
from heatpose.core.optim import build_optimizer, build_scheduler
from heatpose.core.predict import MeanAccuracy, predict
from heatpose.core.state import TrainingState
from heatpose.core.train import fit, train_one_epoch
from heatpose.dataset.loading import EpochSampler
from heatpose.dataset.skeletons import COCO
from heatpose.report.observers import Silent
from heatpose.utils.batch import place
from heatpose.utils.precision import Precision

pytestmark = pytest.mark.cuda

PEOPLE, CODECS = 4, ("gaussian", "dark", "udp", "udp_offset", "soft_argmax", "megvii", "grmi", "ccssl")
LOSSES = {"udp_offset": ("JointsMSEOffset", "JointsL1Offset")}


class Network(nn.Module):
    """Convolutions with BatchNorm whose maps lie on the input's every fourth px, as many outputs as a loss takes."""

    def __init__(self, channels, outputs=1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, channels, 3, 2, 1)
        )
        self.outputs = outputs

    def forward(self, images):
        output = self.layers(images)
        return output if self.outputs == 1 else [output] * self.outputs


class Strict(Silent):
    """Lets nothing wait from the end of the first step, when constants are made and algorithms chosen, to a report."""

    def __init__(self):
        self.steps = 0

    def on_step(self):
        self.steps += 1
        torch.cuda.set_sync_debug_mode("error" if self.steps in (1, 2) else "default")


@pytest.fixture(autouse=True)
def usual_mode():
    yield
    torch.cuda.set_sync_debug_mode("default")


def pinned(number=PEOPLE):
    """A batch as loaders give it on a machine with CUDA."""
    rng = np.random.default_rng(0)
    batch = {
        "crop": torch.from_numpy(rng.integers(0, 256, (number, 128, 96, 3), np.uint8)),
        "keypoints_input": torch.from_numpy(rng.uniform(5, 90, (number, 17, 2)).astype(np.float32)),
        "visible": torch.ones(number, 17), "index": torch.arange(number),
    }  # fmt: skip
    return {key: value.pin_memory() for key, value in batch.items()}


class Loader:
    """The same batch so many times, at once there."""

    num_workers = 2

    def __init__(self, batch, times):
        self.batch, self.times, self.sampler = batch, times, EpochSampler(times * PEOPLE, False, 0, PEOPLE)

    def __len__(self):
        return self.times

    def __iter__(self):
        return repeat(self.batch, self.times)


@pytest.fixture
def build(experiment):
    """A function (codec, device="cuda", loss="", **TRAIN) -> configuration, codec, network, objective."""

    def build(name, device="cuda", loss="", precision="fp32", outputs=1, **train):
        size = {"IMAGE_SIZE": [96, 128], "HEATMAP_SIZE": [24, 32], "CODEC": name}
        if name == "grmi":
            size |= {"NAME": "grmi_resnet", "EXTRA": {"OUTPUT_STRIDE": 4}, "IMAGE_SIZE": [93, 125]}
        chosen = ["LOSS.NAME", loss] if loss else ["LOSS.USE_OHKM", str(name in ("gaussian", "megvii"))]
        cfg = load_config(experiment(MODEL=size, TRAIN=train), chosen)
        codec, device = build_codec(cfg), torch.device(device)
        torch.manual_seed(0)
        model = place(Network(codec.num_joints * codec.channels_per_joint, outputs), device)
        return cfg, codec, model, Supervised(codec, build_loss(cfg), device, precision=Precision(precision))

    return build


def cut(batch, name):
    return {**batch, "crop": batch["crop"][:, :125, :93].contiguous().pin_memory()} if name == "grmi" else batch


CASES = [(name, loss) for name in CODECS for loss in LOSSES.get(name, ("",))] + [("gaussian", "JointsMSE")]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("name", "loss"), CASES)
def test_a_training_step_does_not_wait_for_the_device(build, name, loss, precision):
    outputs = 4 if name == "megvii" else 1
    cfg, _, model, labelled = build(name, loss=loss, precision=precision, outputs=outputs)
    objective = Averaged(labelled, model, 0.9)
    optimizer = build_optimizer(cfg, model.parameters())
    scheduler, batch = build_scheduler(cfg, optimizer, 3), cut(pinned(), name)
    assert optimizer.param_groups[0]["fused"]
    observer = Strict()
    pace = train_one_epoch(
        model, Loader(batch, 6), objective, optimizer, scheduler, torch.device("cuda"), 0, observer, 100,
        accumulate=2,
    )  # fmt: skip
    assert observer.steps == 3
    assert 0 <= pace.waiting <= 1


@pytest.mark.parametrize("name", CODECS)
def test_a_prediction_does_not_wait_for_the_device(build, name):
    _, codec, model, _ = build(name, precision="bf16")
    batch, places = cut(pinned(), name), np.full((PEOPLE, 2), 60.0)
    accuracy = MeanAccuracy(codec)

    def strict(*seen):
        accuracy(*seen)
        torch.cuda.set_sync_debug_mode("error")

    def batches():
        yield batch
        yield batch
        torch.cuda.set_sync_debug_mode("default")  # what follows is the one copy back

    found = predict(
        model, batches(), codec, places, places, torch.device("cuda"), PEOPLE, COCO.flip_pairs, strict,
        precision=Precision("bf16"),
    )  # fmt: skip
    assert found.shape == (PEOPLE, 17, 3)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_run_goes_on_from_a_checkpoint_of_a_cpu(build, optimizer, tmp_path):
    for device, epochs in (("cpu", 1), ("cuda", 2), ("cpu", 3)):
        cfg, _, model, objective = build("gaussian", device, OPTIMIZER=optimizer)
        loader = Loader(pinned(), 2)
        made = build_optimizer(cfg, model.parameters())
        state = TrainingState(model, made, build_scheduler(cfg, made, 2), {}, 2, objective=objective)
        if epochs > 1:
            state.resume(tmp_path / "checkpoint.pth")
        fit(state, loader, objective, lambda epoch: 0.0, tmp_path, epochs, torch.device(device), Silent())
        assert state.epoch == epochs
        assert made.param_groups[0]["fused"] is (True if device == "cuda" else None)


@pytest.mark.parametrize("mode", ["cudagraphs", "default", "reduce-overhead"])
def test_a_compiled_network_trains_and_predicts_as_before(build, mode):
    _, codec, plain, labelled = build("gaussian")
    model, precision = copy.deepcopy(plain), Precision(graphs=mode == "reduce-overhead")
    compile_networks(mode, torch.device("cuda"), model)
    graphed = Supervised(codec, labelled.loss_fn, torch.device("cuda"), precision=precision)
    for _ in range(4):
        losses = [objective.step(net, pinned()).loss for objective, net in ((labelled, plain), (graphed, model))]
        for loss, net in zip(losses, (plain, model), strict=True):
            net.zero_grad()
            loss.backward()
        torch.testing.assert_close(losses[0], losses[1], rtol=1e-3, atol=1e-6)
    places = np.full((PEOPLE, 2), 60.0)
    found = [
        predict(
            net, [pinned()] * 3, codec, places, places, torch.device("cuda"), PEOPLE, COCO.flip_pairs, precision=how
        )
        for net, how in ((plain, Precision()), (model, precision))
    ]
    np.testing.assert_allclose(found[0][..., 2], found[1][..., 2], rtol=0.02, atol=1e-3)
