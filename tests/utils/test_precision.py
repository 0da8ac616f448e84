"""Mixed precision around a network: what it computes in, and what comes out."""

import pytest
import torch
from torch import nn

from heatpose.utils.precision import Precision


class Seen(nn.Module):
    """Two heatmaps, as of a network with intermediate supervision, and the type they were computed in."""

    def __init__(self):
        super().__init__()
        self.layer, self.dtype = nn.Conv2d(3, 2, 3, padding=1), None

    def forward(self, images):
        output = self.layer(images)
        self.dtype = output.dtype
        return [output, 2 * output]


@pytest.mark.parametrize(("name", "inside"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_outputs_are_float32_whatever_the_network_computes_in(name, inside):
    torch.manual_seed(0)
    model, images = Seen(), torch.randn(2, 3, 8, 8)
    outputs = Precision(name).run(model, images)
    assert model.dtype is inside
    assert [output.dtype for output in outputs] == [torch.float32] * 2
    assert not torch.is_autocast_enabled("cpu")
    exact = model.layer(images)
    assert torch.equal(outputs[0], exact) == (name == "fp32")
    torch.testing.assert_close(outputs[0], exact, rtol=0.03, atol=0.03)


def test_weights_and_gradients_stay_float32():
    model = Seen()
    Precision("bf16").run(model, torch.randn(2, 3, 8, 8))[1].square().mean().backward()
    assert {each.dtype for each in model.parameters()} == {torch.float32}
    assert {each.grad.dtype for each in model.parameters()} == {torch.float32}
    assert model.layer.weight.grad.abs().sum() > 0


def test_an_output_of_cuda_graphs_outlives_the_next_one():
    """Graphs write where they wrote before; a layer that does the same stands for them."""
    kept = torch.zeros(1, 1)

    class Reusing(nn.Module):
        def forward(self, images):
            return kept.copy_(images)

    run = Precision(graphs=True).run
    with torch.no_grad():
        first = run(Reusing(), torch.tensor([[1.0]]))
        second = run(Reusing(), torch.tensor([[2.0]]))
    assert (first.item(), second.item()) == (1.0, 2.0)
