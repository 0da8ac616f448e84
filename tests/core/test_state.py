"""Options of the optimizer are the present run's, whatever the checkpoint's were."""

import pytest
import torch
from torch import nn

from heatpose.core.state import TrainingState


def state(fused, **options):
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters(), fused=fused, **options)
    return TrainingState(model, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0), {}, 1)


def step(each):
    each.optimizer.zero_grad()
    each.model(torch.ones(3, 2)).square().mean().backward()
    each.optimizer.step()
    return each


@pytest.mark.parametrize(("saved", "present"), [(None, True), (True, None), (True, True)])
def test_a_fused_optimizer_goes_on_from_one_that_is_not_and_back(saved, present, tmp_path):
    first = step(state(saved, lr=0.1))
    first.save(tmp_path / "checkpoint.pth")
    second = state(present, lr=0.1, weight_decay=0.5)
    second.resume(tmp_path / "checkpoint.pth")
    group = second.optimizer.param_groups[0]
    assert (group["fused"], group["weight_decay"]) == (present, 0.5)
    assert {moments["step"].item() for moments in second.optimizer.state.values()} == {1}
    group["weight_decay"] = first.optimizer.param_groups[0]["weight_decay"]
    torch.testing.assert_close(step(second).model.weight, step(first).model.weight)


def test_a_checkpoint_without_an_option_is_continued(tmp_path):
    first = step(state(None))
    del first.optimizer.param_groups[0]["fused"]  # as older versions of PyTorch and the forks wrote them
    first.save(tmp_path / "checkpoint.pth")
    second = state(True)
    second.resume(tmp_path / "checkpoint.pth")
    assert second.optimizer.param_groups[0]["fused"]
    step(second)
