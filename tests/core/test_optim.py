"""Optimizers and the learning-rate schedule."""

import pytest
import torch

from heatpose.config import load_config
from heatpose.core.optim import build_optimizer, build_scheduler


def built(experiment, **train):
    cfg = load_config(experiment(TRAIN={"LR": 1.0, "WD": 0.1, **train}))
    layer = torch.nn.Linear(2, 1)
    layer.bias.requires_grad_(False)
    optimizer = build_optimizer(cfg, layer.parameters())
    return optimizer, build_scheduler(cfg, optimizer, steps_per_epoch=10)


@pytest.mark.parametrize(
    ("name", "kind", "decay"),
    [
        ("adam", torch.optim.Adam, 0),
        ("adamw", torch.optim.AdamW, 0.1),
        ("sgd", torch.optim.SGD, 0.1),
        ("rmsprop", torch.optim.RMSprop, 0.1),
        ("adam_l2", torch.optim.Adam, 0.1),
    ],
)
def test_optimizers_and_the_weight_decay_that_adam_ignores(experiment, name, kind, decay):
    optimizer, _ = built(experiment, OPTIMIZER=name, NESTEROV=True, MOMENTUM=0.8)
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["weight_decay"] == decay
    assert len(optimizer.param_groups[0]["params"]) == 1
    if "momentum" in optimizer.param_groups[0]:
        assert optimizer.param_groups[0]["momentum"] == (0.8 if name == "sgd" else 0)


def rates(optimizer, scheduler, steps):
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return found


def test_the_rate_falls_after_the_steps_and_rises_in_the_warm_up(experiment):
    found = rates(*built(experiment, LR_STEP=[2, 4], LR_FACTOR=0.1, WARMUP_ITERS=4, WARMUP_FACTOR=0.2), 50)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert found[19] == 1.0
    assert found[20:22] == pytest.approx([0.1, 0.1])
    assert found[40] == pytest.approx(0.01)


def test_the_linear_rate_rises_in_the_warm_up_and_falls_to_0_at_the_end(experiment):
    how = {"LR_SCHEDULE": "linear", "END_EPOCH": 2, "WARMUP_FACTOR": 0.2}
    found = rates(*built(experiment, WARMUP_ITERS=4, **how), 21)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert found[4:] == pytest.approx([1 - step / 16 for step in range(17)])
    assert rates(*built(experiment, WARMUP_ITERS=40, **how), 20)[-1] == pytest.approx(0.2 + 0.8 * 19 / 40)


def test_the_rate_is_multisteplr_without_warm_up(experiment):
    optimizer, scheduler = built(experiment, OPTIMIZER="sgd", LR_STEP=[1, 3], LR_FACTOR=0.5)
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.MultiStepLR(other, [1, 3], 0.5)
    for epoch_rates in torch.tensor(rates(optimizer, scheduler, 50)).view(5, 10):
        assert (epoch_rates == reference.get_last_lr()[0]).all()
        other.step()
        reference.step()
