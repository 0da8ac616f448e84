"""G-RMI's dilated ResNet: torchvision's weights and numbers, sizes, alignment, intermediate supervision, a training."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.core.loss import build_loss
from heatpose.models import build_model
from heatpose.models.grmi_resnet import GrmiResNet

TINY = {"NAME": "grmi_resnet", "CODEC": "grmi", "IMAGE_SIZE": [65, 97], "HEATMAP_SIZE": [9, 13]}
EXTRA = {"NUM_LAYERS": 18, "WIDTH": 8, "INTERMEDIATE_LAYER": 12}


def random_model(*arguments, **options):
    """A network in evaluation mode whose batch norms have statistics of their own."""
    torch.manual_seed(0)
    model = GrmiResNet(*arguments, **options).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.running_mean, std=0.1)
    return model


@pytest.mark.parametrize("layers", [18, 50])
@pytest.mark.parametrize("stride", [4, 8, 16])
def test_the_pixels_of_the_coarse_grid_keep_their_values(layers, stride):
    coarse, fine = (random_model(layers, 5, each, width=8) for each in (32, stride))
    images = torch.randn(1, 3, 97, 65)
    expected = coarse(images)
    found = fine(images)
    assert expected.shape == (1, 5, 4, 3) and found.shape == (1, 5, 96 // stride + 1, 64 // stride + 1)
    step = 32 // stride
    torch.testing.assert_close(found[:, :, ::step, ::step], expected, rtol=1e-4, atol=1e-5)


def test_torchvisions_weights_give_torchvisions_features():
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=[False, True, True]).eval()
    ours = random_model(50, 51)
    result = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert result.missing_keys == ["final_layer.weight", "final_layer.bias"]
    assert result.unexpected_keys == ["fc.weight", "fc.bias"]
    found = {}
    for name, model in (("theirs", theirs), ("ours", ours)):
        model.layer4.register_forward_hook(lambda module, inputs, output, name=name: found.update({name: output}))
        with torch.no_grad():
            model(torch.ones(1, 3, 65, 33).cumsum(dim=2) / 65)
    torch.testing.assert_close(found["ours"], found["theirs"], rtol=1e-4, atol=1e-5)


def test_outermost_pixels_lie_on_outermost_pixels():
    """Then a network of mirrored kernels sees a mirrored image as the mirror of what it saw."""
    model, mirrored = (random_model(18, 5, width=8) for _ in range(2))
    for module in mirrored.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.flip(3)
    images = torch.randn(1, 3, 97, 65)
    torch.testing.assert_close(mirrored(images.flip(3)).flip(3), model(images), rtol=1e-4, atol=1e-5)
    even = torch.randn(1, 3, 96, 64)
    assert not torch.allclose(mirrored(even.flip(3)).flip(3), model(even), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(("layers", "channels"), [(50, None), (101, 1024), (152, 1024)])
def test_the_experiments_have_the_papers_sizes(repository, layers, channels):
    cfg = load_config(repository / "experiments" / "coco" / "grmi" / f"res{layers}_353x257.yaml")
    with torch.device("meta"):
        model = build_model(cfg)
    outputs = model(torch.empty(2, 3, 353, 257, device="meta"))
    final = (2, 51, 45, 33)
    if channels is None:  # layer 50 is a ResNet-50's last but one
        assert outputs.shape == final
    else:
        assert [tuple(output.shape) for output in outputs] == [(2, 17, 45, 33), final]
        assert model.intermediate_layer.in_channels == channels
        assert model.head_layers == ("final_layer", "intermediate_layer")
        ends = [1 + 3 * number for number in range(1, 60)]  # layers after which a block ends
        assert ends[model.supervised - 1] == 49 and ends[model.supervised] > 50
    assert model.eval()(torch.empty(2, 3, 353, 257, device="meta")).shape == final
    assert build_codec(cfg).heatmap_size == (33, 45)


def test_the_intermediate_heatmaps_are_those_of_their_block():
    model = random_model(50, 6, 8, 24, width=4)
    assert model.supervised == 7  # ends at layer 22, the last of stride 8 without dilation
    images, seen = torch.randn(2, 3, 33, 33), []
    model.layer2[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    for module in model.modules():
        module.training = not isinstance(module, nn.BatchNorm2d)
    first, final = model(images)
    torch.testing.assert_close(first, model.intermediate_layer(seen[0]))
    torch.testing.assert_close(final, model.eval()(images))


def test_both_outputs_are_learnt(experiment):
    cfg = load_config(experiment(MODEL={**TINY, "EXTRA": EXTRA}), ["LOSS.DISK_RADIUS", "12"])
    torch.manual_seed(0)
    model, loss, codec = build_model(cfg), build_loss(cfg), build_codec(cfg)
    images, keypoints = torch.randn(4, 3, 97, 65), torch.rand(4, 17, 2) * torch.tensor([64.0, 96.0])
    target, weight = codec.encode(keypoints, torch.ones(4, 17))
    outputs = model(images)
    assert [output.shape[1] for output in outputs] == [17, 51]
    first = loss(outputs, target, weight)
    torch.testing.assert_close(first, loss(outputs[0], target, weight) + loss(outputs[1], target, weight))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(25):
        optimizer.zero_grad()
        loss(model(images), target, weight).backward()
        optimizer.step()
    for before, after in zip(outputs, model(images), strict=True):
        assert loss(after, target, weight) < 0.6 * loss(before, target, weight)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"NUM_LAYERS": 51}, r"NUM_LAYERS 51 of grmi_resnet is unknown; use one of \[18, 34, 50, 101, 152\]"),
        ({"WIDTH": 0}, "WIDTH 0 of grmi_resnet is no number of channels"),
        ({"NUM_LAYERS": 50, "INTERMEDIATE_LAYER": 50}, "INTERMEDIATE_LAYER 50 .* use 13 to 48, or 0"),
        ({"NUM_LAYERS": 50, "INTERMEDIATE_LAYER": 12}, "INTERMEDIATE_LAYER 12 .* use 13 to 48, or 0"),
        ({"NUM_LAYERS": 18, "OUTPUT_STRIDE": 32, "INTERMEDIATE_LAYER": 9}, "INTERMEDIATE_LAYER 9 .* use 15 to 16"),
    ],
)
def test_mistakes_are_named(experiment, extra, message):
    stride = extra.get("OUTPUT_STRIDE", 8)
    sizes = {"HEATMAP_SIZE": [64 // stride + 1, 96 // stride + 1]}
    cfg = load_config(experiment(MODEL={**TINY, **sizes, "EXTRA": extra}))
    with pytest.raises(ValueError, match=message):
        build_model(cfg)


def test_a_network_of_an_unknown_stride_is_named():
    with pytest.raises(ValueError, match="OUTPUT_STRIDE 12 of grmi_resnet is unknown; use one of 4, 8, 16, 32"):
        GrmiResNet(18, 51, 12)


def test_the_tools_train_and_score_it(repository, experiment, tmp_path):
    path = experiment(
        MODEL={**TINY, "EXTRA": EXTRA},
        TRAIN={"END_EPOCH": 1},
        TEST={"FLIP_TEST": True, "RESCORE": "keypoints", "BOTH_BOXES": True},
    )
    pictures = [
        word for key in ("DEBUG", "SAVE_HEATMAPS_GT", "SAVE_HEATMAPS_PRED") for word in (f"DEBUG.{key}", "True")
    ]
    for tool in ("train", "test"):
        words = [sys.executable, str(repository / "tools" / f"{tool}.py"), "--cfg", str(path), *pictures]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=300)
        assert done.returncode == 0, done.stderr
    folder = tmp_path / "output" / "toy" / "grmi_resnet" / "tiny"
    rows = json.loads((folder / "test.json").read_text())["rows"]
    assert [0 <= row["metrics"]["AP"] <= 1 for row in rows] == [True, True]
    assert {file.name.split("_")[-1] for file in (folder / "pictures").iterdir()} == {"gt.jpg", "pred.jpg"}
