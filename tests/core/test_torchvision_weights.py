"""ImageNet weights by torchvision's names: fetched, kept, and what a failed download says; the network is not used."""

import hashlib

import pytest
import torch
from torch import nn
from torchvision.models import ResNet18_Weights, ResNet50_Weights, resnet18

from heatpose.core.checkpoint import CheckpointError, save_atomically
from heatpose.core.weights import load_pretrained
from heatpose.models import PoseResNet


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def one_line(caught, *parts):
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache for downloads."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    return tmp_path / "hub" / "hub" / "checkpoints"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A function (entry, content, digest=None) that publishes `content` as torchvision's weights `entry`."""

    def publish(entry, content, digest=None):
        draft = tmp_path / "draft.pth"
        save_atomically(content, draft)
        digest = digest or hashlib.sha256(draft.read_bytes()).hexdigest()[:8]
        path = draft.rename(tmp_path / f"{entry.name}-{digest}.pth")
        monkeypatch.setattr(entry.value, "url", path.as_uri())
        return path

    return publish


def test_a_name_is_fetched_once_and_fills_the_network(hub, published):
    torch.manual_seed(0)
    source = resnet18().state_dict()
    path = published(ResNet18_Weights.IMAGENET1K_V1, source)
    model = PoseResNet(18, 17, deconv_filters=(8,), deconv_kernels=(4,))
    for _ in range(2):
        report = load_pretrained(model, "torchvision://resnet18")
        path.unlink(missing_ok=True)  # the second time it comes from the cache
    assert [file.name for file in hub.iterdir()] == [path.name]
    assert report.path == "torchvision://resnet18"
    assert len(report.loaded) == len(source) - 2
    assert torch.equal(model.layer4[1].conv2.weight, source["layer4.1.conv2.weight"])


def test_another_set_of_weights_has_its_name_after_a_dot(hub, published):
    published(ResNet50_Weights.IMAGENET1K_V1, {"conv1.weight": torch.zeros(64, 3, 7, 7)})
    published(ResNet50_Weights.IMAGENET1K_V2, {"conv1.weight": torch.ones(64, 3, 7, 7)})
    model = PoseResNet(18, 17, deconv_filters=(8,), deconv_kernels=(4,))
    for source, value in (("torchvision://resnet50", 0), ("torchvision://resnet50.IMAGENET1K_V2", 1)):
        load_pretrained(model, source)
        assert (model.conv1.weight == value).all()


def test_a_failed_download_is_one_line_with_the_way_out(hub, published):
    path = published(ResNet18_Weights.IMAGENET1K_V1, {})
    path.unlink()
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(net(), "torchvision://resnet18")
    one_line(caught, "torchvision://resnet18", path.as_uri(), str(hub), "No such file", "by hand", "PRETRAINED")


def test_a_damaged_download_is_not_kept(hub, published):
    published(ResNet18_Weights.IMAGENET1K_V1, {"conv1.weight": torch.zeros(1)}, digest="0" * 8)
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(net(), "torchvision://resnet18")
    one_line(caught, "came damaged", 'invalid hash value (expected "00000000"', "by hand")
    assert list(hub.iterdir()) == []


def test_a_damaged_copy_is_named(hub, published):
    path = published(ResNet18_Weights.IMAGENET1K_V1, {"conv1.weight": torch.zeros(1)})
    hub.mkdir(parents=True)
    (hub / path.name).write_bytes(b"half a file")
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(net(), "torchvision://resnet18")
    one_line(caught, str(hub / path.name), "delete the copy")


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("torchvision://resnet51", ["no model 'resnet51' (did you mean 'resnet50'?)", "torchvision://resnet50"]),
        ("torchvision://resnet50.V3", ["no weights 'V3' of resnet50", "torchvision://resnet50.IMAGENET1K_V2"]),
    ],
)
def test_unknown_names_are_refused(source, parts):
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(net(), source)
    one_line(caught, source, *parts)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet50-19c8e357.pth", "torchvision://resnet50)"),
        ("resnet50-0676ba61.pth", "torchvision://resnet50)"),
        ("resnet50-11ad3fa6.pth", "torchvision://resnet50.IMAGENET1K_V2)"),
        ("resnet152-b121ed2d.pth", "torchvision://resnet152)"),
        ("hrnet_w32-36af842e.pth", ""),
        ("backbone.pth", ""),
    ],
)
def test_a_missing_file_with_one_of_its_names_can_be_fetched(tmp_path, name, hint):
    with pytest.raises(CheckpointError) as caught:
        load_pretrained(net(), tmp_path / "imagenet" / name)
    one_line(caught, f"{name}: no such file", "MODEL.PRETRAINED ''", "docs/weights.md", hint)
    assert ("torchvision" in str(caught.value)) == bool(hint)
