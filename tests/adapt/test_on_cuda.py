"""The methods on a GPU: the same losses as on the CPU, without waiting for the device in a step."""

import copy

import pytest
import torch

from heatpose.adapt.base import TargetLabels
from heatpose.adapt.mean_teacher import MeanTeacher
from heatpose.adapt.perturb import STRONG
from heatpose.adapt.views import inverse, on_heatmaps, random_maps, resample
from heatpose.adapt.wscda import WSCDA, Discriminator, insert_adaptation
from heatpose.core.loss import EveryOutput, JointsMSE
from heatpose.core.objective import Supervised

from .conftest import SIZE

pytestmark = pytest.mark.cuda


def on(device, batch):
    return {key: value.to(device) for key, value in batch.items()}


@pytest.fixture
def on_device(codec, network):
    """A function (device) -> the objective of labelled crops and a copy of the network there."""

    def build(device):
        labelled = Supervised(codec, EveryOutput(JointsMSE()), torch.device(device))
        return labelled, copy.deepcopy(network).to(device).train()

    return build


def test_the_bound_s_loss_is_the_cpu_s(on_device, batch):
    losses = []
    for device in ("cpu", "cuda"):
        labelled, model = on_device(device)
        step = TargetLabels(labelled).step(model, {**on(device, batch), "target": on(device, batch)})
        losses.append(step.loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize("method", ["mean_teacher", "wscda"])
def test_a_step_does_not_wait_for_the_device(on_device, batch, method):
    labelled, model = on_device("cuda")
    labelled.perturb = STRONG
    if method == "wscda":
        insert_adaptation(model)
        model.to("cuda")
        objective = WSCDA(labelled, Discriminator(3).to("cuda"))
    else:
        objective = MeanTeacher(labelled, model)
    joint = {**on("cuda", batch), "target": on("cuda", batch)}
    objective.step(model, joint).loss.backward()  # constants and algorithms are made once
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        objective.step(model, joint).loss.backward()
        objective.end_step(model)
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def test_views_are_the_cpu_s(codec):
    torch.manual_seed(0)
    images = torch.rand(3, 3, SIZE, SIZE)
    maps = random_maps(images, 0.2, 30.0)
    there = maps.cuda()
    assert torch.allclose(inverse(maps), inverse(there).cpu(), atol=1e-5)
    assert torch.allclose(on_heatmaps(maps, codec), on_heatmaps(there, codec).cpu(), atol=1e-5)
    assert torch.allclose(resample(images, maps), resample(images.cuda(), there).cpu(), atol=1e-4)
