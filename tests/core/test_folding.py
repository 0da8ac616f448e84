"""Folded networks give what the others give, up to rounding."""

import copy

import pytest
import torch
from torch import nn

from heatpose.config import load_config
from heatpose.core.folding import fold_batch_norm
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
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_hrnet_has_no_batch_norm_left(repository):
    model = build_model(load_config(repository / "experiments/toy/hrnet_64x48.yaml"))
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fold_batch_norm(model).modules())


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
