"""Folded networks give what the others give, up to rounding."""

import copy

import pytest
import torch
from torch import nn

from heatpose.config import load_config
from heatpose.core.folding import flattened, fold_batch_norm
from heatpose.models import build_model
from heatpose.utils.batch import final_output


def used(model):
    """The network with statistics as a training leaves them."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in ((module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 2.0)):
                values.uniform_(low, high)
    return model


@pytest.mark.parametrize("name", ["hrnet_64x48", "lpn_64x48", "hourglass", "grmi", "mspn_96x64"])
def test_the_output_stays_and_so_does_the_network(repository, name):
    cfg = load_config(repository / f"experiments/toy/{name}.yaml")
    model = used(build_model(cfg))
    before = copy.deepcopy(model.state_dict())
    width, height = cfg.MODEL.IMAGE_SIZE
    images = torch.randn(2, 3, height, width)
    folded = fold_batch_norm(model)
    with torch.inference_mode():
        expected, found = (final_output(each(images)) for each in (model.eval(), folded.eval()))
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
        assert torch.equal(final_output(flattened(folded)(images)), found)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_hrnet_has_no_batch_norm_left(repository):
    model = build_model(load_config(repository / "experiments/toy/hrnet_64x48.yaml"))
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    folded = fold_batch_norm(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.Identity) for module in folded.modules())
    flat = flattened(folded)
    assert not flat.training and not any(isinstance(flat.get_submodule(str(node.target)), nn.Identity)
                                         for node in flat.graph.nodes if node.op == "call_module")  # fmt: skip


def test_a_network_that_cannot_be_traced_is_itself(repository):
    model = build_model(load_config(repository / "experiments/toy/mspn_96x64.yaml"))
    assert fold_batch_norm(model) is model


class Unusual(nn.Module):
    """A layer that is used twice, or a shape that decides what is computed."""

    def __init__(self, twice):
        super().__init__()
        self.twice = twice
        self.layer, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images):
        images = self.norm(self.layer(images))
        return self.norm(self.layer(images)) if self.twice else images * int(images.shape[2])


@pytest.mark.parametrize("twice", [True, False])
def test_what_cannot_be_folded_is_left_alone(twice):
    model = used(Unusual(twice))
    images = torch.randn(2, 3, 4, 4)
    folded = fold_batch_norm(model)
    assert folded is model
    assert torch.equal(folded(images), model.eval()(images))


class Pair(nn.Module):
    """A convolution and its BatchNorm, and what keeps the two apart."""

    def __init__(self, apart):
        super().__init__()
        self.apart = apart
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3, affine=apart != "used twice", track_running_stats=apart != "no statistics")
        if apart == "a convolution's second name":
            self.other = self.conv
        if apart == "a BatchNorm's second name":
            self.other = self.norm
        if apart == "a convolution's hook":
            self.conv.register_forward_hook(lambda layer, given, output: 2 * output)
        if apart == "a BatchNorm's hook":
            self.norm.register_forward_hook(lambda layer, given, output: 2 * output)
        if apart == "a parametrised weight":
            nn.utils.parametrizations.weight_norm(self.conv)

    def forward(self, images):
        first = self.other if self.apart == "a convolution's second name" else self.conv
        second = self.other if self.apart == "a BatchNorm's second name" else self.norm
        output = second(input=first(images)) if self.apart == "a keyword" else second(first(images))
        if self.apart == "used twice":
            return second(output)
        if self.apart == "a weight that is read":
            return output + nn.functional.conv2d(images, self.conv.weight)
        return output


APART = [
    "a convolution's second name", "a BatchNorm's second name", "a convolution's hook", "a BatchNorm's hook",
    "a parametrised weight", "a keyword", "used twice", "a weight that is read", "no statistics",
]  # fmt: skip


@pytest.mark.parametrize("apart", APART)
def test_what_is_no_plain_pair_gives_the_same_output(apart):
    model = Pair(apart)
    if apart != "no statistics":
        used(model)
    images = torch.randn(2, 3, 4, 4)
    folded = fold_batch_norm(model)
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), model(images), rtol=1e-5, atol=1e-6)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())


def test_a_plain_pair_is_folded():
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in fold_batch_norm(Pair("")).modules())
