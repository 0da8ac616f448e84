"""Networks with fused convolutions give what the others give, up to rounding."""

import copy
import operator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from heatpose.config import load_config
from heatpose.core.folding import fold_batch_norm
from heatpose.core.fusing import FusedConvolution, fuse_activations
from heatpose.models import build_model
from heatpose.models.pose_hrnet import ExchangeModule
from heatpose.utils.batch import final_output, place
from heatpose.utils.precision import FP32, Precision

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
TOY = ["hrnet_64x48", "lpn_64x48", "hourglass", "grmi", "mspn_96x64"]


def used(model):
    """The network with weights and statistics of a size that matters everywhere."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2.0)
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return model.eval()


def toy(repository, name):
    cfg = load_config(repository / f"experiments/toy/{name}.yaml")
    width, height = cfg.MODEL.IMAGE_SIZE
    return used(build_model(cfg)), torch.randn(2, 3, height, width)


def fused_convolutions(model):
    return [module for module in model.modules() if isinstance(module, FusedConvolution)]


@pytest.mark.parametrize("name", TOY)
def test_the_output_stays_and_so_does_the_network(repository, name):
    model, images = toy(repository, name)
    before = copy.deepcopy(model.state_dict())
    fused = fuse_activations(model, torch.float32)
    with torch.inference_mode():
        expected, found = (final_output(each(images)) for each in (model, fused))
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert len(fused_convolutions(fused)) > 10
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_other_batch_norms_are_folded_in_float32_alone(repository):
    """But those of HRNet's stem, which stands beside parts that run side by side."""
    model, _ = toy(repository, "hrnet_64x48")
    left = {
        dtype: [name for name, part in fuse_activations(model, dtype).named_modules() if type(part) is nn.BatchNorm2d]
        for dtype in DTYPES.values()
    }
    assert left[torch.float32] == ["bn1", "bn2"]
    assert len(left[torch.bfloat16]) > 2


def test_branches_stay_apart(repository):
    """They are recorded side by side, which a network in one piece could not be."""
    model, _ = toy(repository, "hrnet_64x48")
    parts = [
        [type(part) for part in each.modules()].count(ExchangeModule)
        for each in (model, fuse_activations(model, torch.bfloat16))
    ]
    assert parts[0] == parts[1] > 0


class Block(nn.Module):
    """A convolution, BatchNorm, sum and ReLU, in several ways."""

    def __init__(self, way="", **options):
        super().__init__()
        self.way = way
        self.conv = nn.Conv2d(8, 8, 3, **{"padding": 1, **options})
        self.norm, self.relu = nn.BatchNorm2d(8), nn.ReLU()
        hooked = {"hook": self.conv, "norm's hook": self.norm, "relu's hook": self.relu, "hook outside": self}.get(way)
        if hooked is not None:
            hooked.register_forward_hook(lambda layer, given, output: 2 * output)

    def forward(self, x):
        output = self.norm(self.conv(input=x) if self.way == "keyword" else self.conv(x))
        if self.way == "called twice":
            output = self.norm(self.conv(self.relu(output)))
        if self.way == "shortcut changed":
            x.relu_()
            return F.relu(output + x)
        if self.way == "input changed":
            return F.relu(x, inplace=True) + self.relu(output)
        if self.way == "broadcast shortcut":
            return self.relu(output + x.mean(dim=(2, 3), keepdim=True))
        if self.way == "shortcut first":
            return F.relu(x + output)
        if self.way == "shortcut":
            return torch.relu(operator.add(output, x))
        if self.way == "a number":
            return self.relu(output + 1)
        if self.way == "both":
            return self.relu(output) + output
        if self.way == "twice":
            return self.relu(output + output)
        return self.relu(output)


@pytest.mark.parametrize(("way", "options", "count"), [
    ("", {}, 1), ("shortcut", {}, 1), ("shortcut first", {}, 1), ("a number", {}, 0), ("both", {}, 0), ("twice", {}, 0),
    ("hook", {}, 0), ("", {"groups": 2}, 0), ("", {"padding": "same"}, 0), ("", {"padding_mode": "reflect"}, 0),
    ("relu's hook", {}, 0), ("norm's hook", {}, 0), ("hook outside", {}, 0), ("keyword", {}, 0),
    ("called twice", {}, 2), ("shortcut changed", {}, 0), ("input changed", {}, 0), ("broadcast shortcut", {}, 1),
    ("", {"bias": False}, 1), ("", {"dilation": 2, "padding": 2}, 1), ("", {"stride": 2}, 1),
])  # fmt: skip
def test_what_is_fused(way, options, count):
    model, images = used(Block(way, **options)), torch.randn(2, 8, 6, 5)
    fused = fuse_activations(model, torch.float32)
    assert len(fused_convolutions(fused)) == count
    with torch.inference_mode():
        torch.testing.assert_close(fused(images.clone()), model(images.clone()), rtol=1e-4, atol=1e-5)


def test_parts_of_what_cannot_be_traced_are_fused():
    class Unusual(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([Block(), nn.Sequential(Block("shortcut"))])

        def forward(self, x):
            for block in self.blocks if x.shape[0] > 1 else []:
                x = block(x)
            return x

    model, images = used(Unusual()), torch.randn(2, 8, 6, 5)
    fused = fuse_activations(model, torch.float32)
    assert len(fused_convolutions(fused)) == 2
    with torch.inference_mode():
        torch.testing.assert_close(fused(images), model(images), rtol=1e-4, atol=1e-5)


def on_card(repository, name):
    """The network, images, and its output in float32 on a card."""
    model, images = toy(repository, name)
    images = images.to("cuda").contiguous(memory_format=torch.channels_last)
    with torch.backends.cudnn.flags(allow_tf32=False):
        return model, images, output_on_card(model, images, FP32)


@torch.inference_mode()
def output_on_card(model, images, precision):
    return final_output(precision.run(place(copy.deepcopy(model), torch.device("cuda")), images))


def error(found, exact):
    return float((found - exact).norm() / exact.norm())


@pytest.mark.cuda
@pytest.mark.parametrize("way", ["shortcut", "broadcast shortcut"])
def test_shortcuts_on_a_card(way):
    model, images = used(Block(way)).cuda(), torch.randn(2, 8, 6, 5).cuda()
    fused = fuse_activations(model, torch.float32)
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        torch.testing.assert_close(fused(images), model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.cuda
@pytest.mark.parametrize(("tf32", "tolerance"), [(False, 1e-5), (True, 2e-3)])  # 24 bits and 11
@pytest.mark.parametrize("name", TOY)
def test_float32_on_a_card(repository, name, tf32, tolerance):
    model, images, exact = on_card(repository, name)
    fused = fuse_activations(model, torch.float32)
    assert len(fused_convolutions(fused)) > 10
    with torch.backends.cudnn.flags(allow_tf32=tf32):
        assert error(output_on_card(fused, images, FP32), exact) < tolerance


@pytest.mark.cuda
@pytest.mark.parametrize("name", TOY)
def test_in_bf16_on_a_card_it_is_as_near_to_float32_as_folded_networks_are(repository, name):
    model, images, exact = on_card(repository, name)
    networks = fuse_activations(model, torch.bfloat16), fold_batch_norm(model)
    fused, folded = (error(output_on_card(each, images, Precision("bf16")), exact) for each in networks)
    assert fused < 0.03 and fused < 1.5 * folded
