"""Compiled networks: the same outputs, gradients and names of weights, and one clear line where there are none."""

import copy

import pytest
import torch
from torch import nn

from heatpose.core.compiling import compile_networks
from heatpose.utils.averaging import WeightAverage

CPU = torch.device("cpu")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))


@pytest.fixture
def compiled():
    torch._dynamo.reset()
    model = network()
    try:
        compile_networks("default", CPU, model)
    except ValueError as error:
        pytest.skip(str(error))
    return model


def test_names_of_weights_and_outputs_stay(compiled):
    plain, images = network(), torch.randn(2, 3, 8, 8)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    plain(images).square().mean().backward()
    compiled(images).square().mean().backward()
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1, "nothing was compiled"
    for one, other in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    plain.eval(), compiled.eval()
    with torch.inference_mode():
        torch.testing.assert_close(compiled(images), plain(images))
        torch.testing.assert_close(compiled(images[:1]), plain(images[:1]))


def test_a_copy_is_a_network_of_its_own(compiled):
    images = torch.randn(2, 3, 8, 8)
    average = WeightAverage(compiled, 0.5)
    with torch.no_grad():
        average.network[0].weight.zero_()
        assert not torch.allclose(average.network(images), copy.deepcopy(compiled)(images))


def test_none_leaves_a_network(monkeypatch):
    monkeypatch.setattr(torch, "compile", None)
    compile_networks("none", CPU, network())


def test_without_a_compiler_it_is_one_line(monkeypatch):
    def fails(*arguments, **options):
        raise RuntimeError("Cannot find a working triton installation.\nMore of it.")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(ValueError, match=r"^COMPUTE.COMPILE is default, .* triton installation.\); set it to none$"):
        compile_networks("default", CPU, network())


@pytest.mark.parametrize("mode", ["cudagraphs", "reduce-overhead"])
def test_graphs_need_cuda(mode):
    with pytest.raises(ValueError, match=f"^COMPUTE.COMPILE is {mode}, .* no CUDA device; take default$"):
        compile_networks(mode, CPU, network())
