"""Weights into models: the report of every load, what is refused, backbones and new heads."""

import copy
import dataclasses
import gzip
import json
import logging

import pytest
import torch
from easydict import EasyDict
from torch import nn
from torchvision.models import resnet18

from heatpose.config.defaults import DEFAULTS, MODEL_EXTRA
from heatpose.core.checkpoint import CheckpointError, save_atomically
from heatpose.core.weights import LoadReport, compare, load_pretrained, load_weights
from heatpose.models import MODELS, PoseResNet, build_model

HRNET_LAYERS = (
    "conv1", "bn1", "conv2", "bn2", "layer1", "transition1", "stage2", "transition2", "stage3", "transition3", "stage4",
)  # fmt: skip


def net(width=4, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width))


def build(name, joints=17, **extra):
    cfg = EasyDict(copy.deepcopy(DEFAULTS))
    cfg.MODEL.update(NAME=name, NUM_JOINTS=joints, EXTRA=EasyDict({**copy.deepcopy(MODEL_EXTRA[name]), **extra}))
    return build_model(cfg)


def tiny_hrnet(joints=17, **extra):
    def stage(branches):
        return {"NUM_MODULES": 2, "NUM_BRANCHES": branches, "BLOCK": "BASIC", "NUM_BLOCKS": [1] * branches,
                "NUM_CHANNELS": [8 * 2**i for i in range(branches)], "FUSE_METHOD": "SUM"}  # fmt: skip

    stages = {f"STAGE{branches}": stage(branches) for branches in (2, 3, 4)}
    return build("pose_hrnet", joints, STAGE1={"NUM_BLOCKS": [1], "NUM_CHANNELS": [8]}, **stages, **extra)


SMALL = {
    "pose_resnet": lambda joints: PoseResNet(18, joints, deconv_filters=(8,), deconv_kernels=(4,)),
    "pose_hrnet": tiny_hrnet,
    "lpn": lambda joints: build("lpn", joints, NUM_LAYERS=50),
    "hourglass": lambda joints: build("hourglass", joints, NUM_FEATURES=16, NUM_STACKS=2),
    "mspn": lambda joints: build("mspn", joints, NUM_BLOCKS=[1] * 4, NUM_CHANNELS=[8] * 4, UPSAMPLE_CHANNELS=8),
}


def small(name, joints):
    return SMALL[name](joints) if name in SMALL else build(name, joints)


def state_of(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def unchanged(model, before):
    return all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def one_line(caught, *parts):
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


class TestReport:
    def test_is_one_line_with_counts_and_first_names(self):
        report = LoadReport(
            "w.pth", ("a", "b"), ("c", "d", "e", "f"), ("x",), ("g (1,) for (2,)",), ("h (3,) for (4,)",), ("y",)
        )
        assert str(report) == (
            "w.pth: 2 of the model's 8 tensors loaded; 4 missing (c, d, e, ...); 1 unexpected (x); 1 of another shape "
            "(g (1,) for (2,)); 1 of another shape, re-initialised (h (3,) for (4,)); 1 left out by "
            "PRETRAINED_LAYERS (y)"
        )

    def test_of_a_whole_load_says_no_more(self):
        assert str(LoadReport("w.pth", ("a",))) == "w.pth: 1 of the model's 1 tensors loaded"

    @pytest.mark.parametrize("field", ["missing", "unexpected", "wrong_shape", "reinitialised", "skipped"])
    def test_is_complete_only_without_any_difference(self, field):
        report = LoadReport("w.pth", ("a",))
        assert report.is_complete
        assert not dataclasses.replace(report, **{field: ("b",)}).is_complete

    def test_shares_out_every_tensor_of_model_and_file(self):
        wanted = {key: torch.zeros(2) for key in ("a.w", "a.b", "b.w", "b.b", "c.w", "d.w")}
        found = {"a.w": torch.zeros(2), "a.b": torch.zeros(3), "b.w": torch.zeros(3), "b.b": torch.zeros(2),
                 "d.w": torch.zeros(2), "e.w": torch.zeros(1)}  # fmt: skip
        report = compare(wanted, found, "w.pth", layers=("a", "b", "e"), fresh=("b",))
        assert report == LoadReport(
            "w.pth", loaded=("a.w",), missing=("c.w", "d.w"), unexpected=("e.w",), wrong_shape=("a.b (3,) for (2,)",),
            reinitialised=("b.w (3,) for (2,)", "b.b"), skipped=("d.w",),
        )  # fmt: skip

    def test_is_logged_on_every_load(self, tmp_path, caplog):
        path = tmp_path / "w.pth"
        save_atomically(net().state_dict(), path)
        for load in (load_weights, load_pretrained):
            caplog.clear()
            with caplog.at_level(logging.INFO):
                load(net(), path)
            assert [record.getMessage() for record in caplog.records] == [f"{path}: 7 of the model's 7 tensors loaded"]


class TestWholeNetworks:
    @pytest.mark.parametrize("name", ["hrnet_w32_256x192", "sb_res50_caffe_256x192_17j", "lpn50_gc_256x192"])
    def test_weight_files_of_the_forks_fill_the_network(self, golden_dir, tmp_path, name):
        listings = json.loads(gzip.decompress((golden_dir / "models_keys.json.gz").read_bytes()))
        shapes = listings[name]
        shapes = listings[shapes.removeprefix("same as ")] if isinstance(shapes, str) else shapes
        weights = {
            "module." + key: torch.full(shape, index, dtype=torch.float32) if shape else torch.tensor(index)
            for index, (key, shape) in enumerate(shapes.items())
        }
        path = tmp_path / "checkpoint.pth.tar"
        save_atomically({"epoch": 210, "model": "x", "state_dict": weights, "optimizer": {}}, path)
        model = build({"hr": "pose_hrnet", "sb": "pose_resnet", "lp": "lpn"}[name[:2]])
        content = load_weights(model, path)
        assert content["epoch"] == 210
        for key, value in model.state_dict().items():
            assert torch.equal(value, weights["module." + key]), key

    @pytest.mark.parametrize(
        ("change", "parts"),
        [
            ({"1.weight": None}, ["6 of the model's 7 tensors", "1 missing (1.weight)", "MODEL.EXTRA"]),
            ({"extra": torch.zeros(1)}, ["1 unexpected (extra)", "MODEL.NAME"]),
            ({"0.weight": torch.zeros(5, 3, 1, 1)}, ["0.weight (5, 3, 1, 1) for (4, 3, 1, 1)", "MODEL.EXTRA"]),
        ],
    )
    def test_any_difference_is_an_error_and_leaves_the_model_alone(self, tmp_path, change, parts):
        path = tmp_path / "w.pth"
        weights = {**net(seed=1).state_dict(), **change}
        save_atomically({key: value for key, value in weights.items() if value is not None}, path)
        model = net()
        before = state_of(model)
        with pytest.raises(CheckpointError) as caught:
            load_weights(model, path)
        one_line(caught, str(path), *parts)
        assert unchanged(model, before)

    def test_a_head_for_other_keypoints_is_never_scored(self, tmp_path):
        path = tmp_path / "w.pth"
        save_atomically(small("pose_resnet", 16).state_dict(), path)
        with pytest.raises(CheckpointError) as caught:
            load_weights(small("pose_resnet", 17), path)
        one_line(caught, "final_layer.weight (16, 8, 1, 1) for (17, 8, 1, 1)", "NUM_JOINTS", "train a new head first")

    def test_batch_counters_may_be_missing_and_are_said(self, tmp_path, caplog):
        source, target = net(seed=1), net()
        path = tmp_path / "w.pth"
        save_atomically({k: v for k, v in source.state_dict().items() if "num_batches" not in k}, path)
        with caplog.at_level(logging.INFO):
            load_weights(target, path)
        assert "6 of the model's 7 tensors loaded; 1 batch counters (num_batches_tracked) missing" in caplog.text
        assert unchanged(target, state_of(source))

    def test_a_counter_is_missed_with_its_layer(self):
        wanted = {"bn.running_mean": torch.zeros(1), "bn.num_batches_tracked": torch.tensor(0), "a": torch.zeros(1)}
        report = compare(wanted, {"a": torch.zeros(1)}, "w.pth")
        assert report.counters == ()
        assert "2 missing (bn.running_mean, bn.num_batches_tracked)" in str(report)

    def test_a_file_without_weights_is_named(self, tmp_path):
        path = tmp_path / "w.pth"
        save_atomically({"epoch": 3, "model": "pose_hrnet"}, path)
        for load in (load_weights, load_pretrained):
            with pytest.raises(CheckpointError, match=r"w\.pth: holds no weights, only 2 keys \(epoch, model\)"):
                load(net(), path)


class TestBackbones:
    def test_torchvision_resnet_fills_pose_resnet(self, tmp_path):
        torch.manual_seed(0)
        source, model = resnet18(), small("pose_resnet", 17)
        path = tmp_path / "resnet18-f37072fd.pth"
        save_atomically(source.state_dict(), path)
        report = load_pretrained(model, path)
        assert report.unexpected == ("fc.weight", "fc.bias")
        assert {key.split(".")[0] for key in report.missing} == {"deconv_layers", "final_layer"}
        assert report.wrong_shape == report.reinitialised == report.skipped == ()
        assert len(report.loaded) == len(source.state_dict()) - 2
        for key in report.loaded:
            assert torch.equal(model.state_dict()[key], source.state_dict()[key]), key

    def test_caffe_style_resnet_fills_pose_resnet_of_that_style(self, tmp_path):
        torch.manual_seed(0)
        source = PoseResNet(50, 17, "caffe", (8,), (4,)).eval()
        weights = {f"module.{key}": value for key, value in source.state_dict().items()}
        path = tmp_path / "resnet50-caffe.pth.tar"
        save_atomically({"state_dict": {**weights, "module.fc.weight": torch.zeros(1000, 2048)}}, path)
        images = torch.randn(1, 3, 64, 64)
        outputs = {}
        for style in ("caffe", "pytorch"):
            model = PoseResNet(50, 17, style, (8,), (4,)).eval()
            assert load_pretrained(model, path).unexpected == ("fc.weight",)
            with torch.no_grad():
                outputs[style] = model(images)
        with torch.no_grad():
            assert torch.equal(outputs["caffe"], source(images))
        assert not torch.allclose(outputs["caffe"], outputs["pytorch"])  # the shapes alone cannot tell

    def test_imagenet_hrnet_fills_all_but_the_head(self, tmp_path):
        path, weights = tmp_path / "hrnet_w32-36af842e.pth", imagenet_hrnet()
        save_atomically(weights, path)
        model = tiny_hrnet()
        report = load_pretrained(model, path, HRNET_LAYERS)
        assert report.missing == ("final_layer.weight", "final_layer.bias")
        assert report.wrong_shape == report.reinitialised == ()
        assert {key.split(".")[0] for key in report.skipped} == {"incre_modules", "classifier", "final_layer"}
        # An ImageNet network fuses all branches in its last stage, a pose network needs the first alone.
        assert set(report.unexpected) == {"stage4.1.fuse_layers.1.0.0.0.weight"}
        for key in report.loaded:
            assert torch.equal(model.state_dict()[key], weights[key]), key

    def test_the_wider_fusion_of_udp_begins_anew_and_is_reported(self, tmp_path, caplog):
        path = tmp_path / "hrnet_w32-36af842e.pth"
        save_atomically(imagenet_hrnet(), path)
        model = tiny_hrnet(LAST_FUSION_EXPANSION=4)
        before = state_of(model)
        with caplog.at_level(logging.INFO):
            report = load_pretrained(model, path, HRNET_LAYERS)
        fusion = "stage4.1.fuse_layers.0"
        assert report.wrong_shape == ()
        assert len(report.reinitialised) == 3 * 6
        assert f"{fusion}.1.0.weight (8, 16, 1, 1) for (32, 16, 1, 1)" in report.reinitialised
        assert "18 of another shape, re-initialised" in caplog.text
        assert report.missing == (f"{fusion}.0.0.weight", "final_layer.weight", "final_layer.bias")
        assert all(not key.startswith(fusion) for key in report.loaded)
        for key, value in model.state_dict().items():
            assert not key.startswith(fusion) or torch.equal(value, before[key]), key

    def test_weights_of_another_network_are_refused(self, tmp_path):
        path = tmp_path / "resnet18.pth"
        save_atomically(resnet18().state_dict(), path)
        model = PoseResNet(50, 17, deconv_filters=(8,), deconv_kernels=(4,))
        before = state_of(model)
        for reinit_head in (False, True):
            with pytest.raises(CheckpointError) as caught:
                load_pretrained(model, path, reinit_head=reinit_head)
            one_line(caught, str(path), "layer1.0.conv1.weight (64, 64, 3, 3) for (64, 64, 1, 1)", "MODEL.EXTRA")
        assert unchanged(model, before)
        with pytest.raises(CheckpointError, match="0 of the model's .* refused, .* give MODEL.PRETRAINED"):
            load_pretrained(model, path, layers=("stage2",))


def imagenet_hrnet():
    """Weights named and shaped as those of HRNet trained on ImageNet, of the tiny network's widths."""
    torch.manual_seed(7)
    pose = {key: value for key, value in tiny_hrnet().state_dict().items() if not key.startswith("final_layer")}
    others = {
        "stage4.1.fuse_layers.1.0.0.0.weight": (16, 8, 3, 3),
        "incre_modules.0.0.conv1.weight": (32, 8, 1, 1),
        "final_layer.0.weight": (2048, 1024, 1, 1),
        "classifier.weight": (1000, 2048),
    }
    return {**pose, **{key: torch.zeros(shape) for key, shape in others.items()}}


def head_of(model, key):
    """The layer of `model.head_layers` that the tensor `key` belongs to; None where it belongs to none."""
    return next((layer for layer in model.head_layers if key.startswith(f"{layer}.")), None)


class TestNewHeads:
    @pytest.mark.parametrize("name", sorted(MODELS))
    def test_every_architecture_names_what_depends_on_the_number_of_keypoints(self, name):
        model = small(name, 5)
        few, many = model.state_dict(), small(name, 6).state_dict()
        differing = [head_of(model, key) for key in few if few[key].shape != many[key].shape]
        assert set(differing) == set(model.head_layers)

    @pytest.mark.parametrize("name", sorted(MODELS))
    def test_other_keypoints_need_reinit_head(self, name, tmp_path, caplog):
        path = tmp_path / "w.pth"
        source, model = small(name, 16), small(name, 17)
        save_atomically(source.state_dict(), path)
        before = state_of(model)
        with pytest.raises(CheckpointError) as caught:
            load_pretrained(model, path)
        one_line(caught, str(path), "of another shape (", "(16,", "MODEL.REINIT_HEAD True")
        assert unchanged(model, before)

        with caplog.at_level(logging.INFO):
            report = load_pretrained(model, path, reinit_head=True)
        assert "of another shape, re-initialised" in caplog.text
        assert report.missing == report.unexpected == report.wrong_shape == ()
        for key, value in model.state_dict().items():
            assert torch.equal(value, before[key] if head_of(model, key) else source.state_dict()[key]), key

    def test_a_head_that_fits_is_loaded_all_the_same(self, tmp_path):
        path = tmp_path / "w.pth"
        source, model = tiny_hrnet(), tiny_hrnet()
        save_atomically(source.state_dict(), path)
        assert load_pretrained(model, path, reinit_head=True).is_complete
        assert torch.equal(model.final_layer.weight, source.final_layer.weight)
