"""Stacked hourglasses: DarkPose's experiment files, odd sizes, intermediate supervision, training."""

import gzip
import json
import re
import subprocess
import sys

import pytest
import torch

from heatpose.codecs import build_codec
from heatpose.config import ConfigError, load_config
from heatpose.core.loss import build_loss
from heatpose.core.predict import heatmaps
from heatpose.core.weights import load_weights
from heatpose.models import build_model
from heatpose.models.hourglass import Hourglass, StackedHourglass
from heatpose.report.summary import summarise

FILES = [f"hg{stacks}_{size}" for stacks in (4, 8) for size in ("128x96", "256x192", "384x288")]
TINY = {"NUM_FEATURES": 8, "NUM_STACKS": 2}


@pytest.fixture
def tiny_cfg(experiment):
    """A function (**model) -> configuration of a tiny hourglass on the toy data, with keys of MODEL changed."""
    return lambda **model: load_config(experiment(MODEL={"NAME": "hourglass", "EXTRA": TINY, **model}))


def build_skeleton(cfg):
    with torch.device("meta"):
        return build_model(cfg)


@pytest.mark.parametrize("name", FILES)
def test_darkposes_files_give_heatmaps_of_their_size(repository, name):
    peers = repository.parent / "shared" / "peer_configs"
    if not peers.is_dir():
        pytest.skip(f"no experiment files of the forks: {peers} does not exist")
    cfg = load_config(peers / "dark" / "coco" / "hourglass" / f"{name}_d256x3_adam_lr2.5e-4.yaml")
    width, height = cfg.MODEL.IMAGE_SIZE
    outputs = build_skeleton(cfg)(torch.empty(2, 3, height, width, device="meta"))
    assert len(outputs) == int(name[2])
    assert {tuple(output.shape) for output in outputs} == {(2, 17, *cfg.MODEL.HEATMAP_SIZE[::-1])}


@pytest.mark.parametrize(
    ("name", "reference"),
    [("hg4_128x96", "dark_hg4_128x96"), ("hg4_256x192", "dark_hg4_256x192_PATCHED_last_upsample_scale2")],
)
def test_size_and_cost_as_darkpose_counts_them(repository, golden_index, name, reference):
    cfg = load_config(repository / "experiments" / "coco" / "dark" / f"{name}.yaml")
    summary = summarise(build_skeleton(cfg), cfg.MODEL.IMAGE_SIZE)
    counted = " ".join(golden_index["models_dark.npz"]["models"][reference]["get_model_summary"])
    assert f"Total Parameters: {summary.parameters:,} " in counted
    assert f": {summary.multiply_adds / 1024**3} GFLOPs" in counted
    assert summary.multiply_adds == summary.hrnet_count


def test_the_summary_counts_the_lists_of_layers():
    summary = summarise(StackedHourglass(17, features=64, stacks=2), (192, 256))
    stages = {stage.name: stage.multiply_adds for stage in summary.stages()}
    assert sum(stages.values()) == summary.multiply_adds
    assert stages["score"] == 2 * 17 * 64 * 48 * 64
    block = 64 * 32 + 9 * 32 * 32 + 32 * 64
    # Skip branches at 64x48 to 8x6 px, the ways down and up at 32x24 to 4x3, and the bottom.
    assert stages["hg"] == 2 * block * ((3072 + 768 + 192 + 48) + 2 * (768 + 192 + 48 + 12) + 12)


@pytest.fixture(scope="module")
def listings(golden_dir):
    """Network -> its state_dict's keys and shapes in the fork's code."""
    return json.loads(gzip.decompress((golden_dir / "models_keys.json.gz").read_bytes()))


def shapes(model):
    return {key: list(value.shape) for key, value in model.state_dict().items()}


@pytest.mark.parametrize(("stacks", "parameters"), [(4, 13_022_408), (1, 3_587_474)])
def test_ccssls_network(listings, golden_index, stacks, parameters):
    with torch.device("meta"):
        model = StackedHourglass(18, stacks=stacks, blocks=1)
    name = f"animals_hg_s{stacks}_b1_c18_256"
    assert golden_index["models_animals.npz"]["models"][name]["params"] == parameters
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert list(shapes(model).items()) == list(listings[name].items())


def test_both_forks_give_their_weights_the_same_names(listings):
    assert list(listings["animals_hg_s4_b1_c18_256"]) == list(listings["dark_hg4_128x96"])
    with torch.device("meta"):
        assert list(shapes(StackedHourglass(17, stacks=4)).items()) == list(listings["dark_hg4_128x96"].items())


def test_a_checkpoint_of_ccssl_loads(tmp_path):
    """Their file: DataParallel's prefix, and what else a training keeps beside the weights."""
    torch.manual_seed(0)
    theirs, ours = (StackedHourglass(18, features=8, stacks=2) for _ in range(2))
    content = {"epoch": 3, "arch": "hg", "best_acc": 0.5, "optimizer": {"state": {}, "param_groups": []},
               "state_dict": {f"module.{key}": value for key, value in theirs.state_dict().items()}}  # fmt: skip
    torch.save(content, tmp_path / "model_best.pth.tar")
    load_weights(ours, tmp_path / "model_best.pth.tar")
    images = torch.randn(1, 3, 64, 64)
    for one, other in zip(theirs.eval()(images), ours.eval()(images), strict=True):
        assert torch.equal(one, other)


def test_a_thin_stem():
    wide, thin = (StackedHourglass(17, features=32, stacks=2, stem_channels=channels) for channels in (64, 16))
    assert [thin.conv1.out_channels, thin.layer3[0].conv1.in_channels] == [16, 64]
    stems = ("conv1", "bn1", "layer1", "layer2", "layer3")
    rest = [{key: shape for key, shape in shapes(model).items() if not key.startswith(stems)} for model in (wide, thin)]
    assert rest[0] == rest[1]


@pytest.mark.parametrize("size", [(16, 16), (24, 18), (31, 17), (96, 72)])
def test_an_hourglass_keeps_every_size(size):
    model = Hourglass(4, 1).eval()
    assert model(torch.randn(1, 4, *size)).shape == (1, 4, *size)


def test_an_hourglass_sees_the_whole_map():
    torch.manual_seed(0)
    model = Hourglass(4, 1).eval()
    x = torch.randn(1, 4, 32, 32, requires_grad=True)
    model(x)[0, :, 16, 16].sum().backward()
    seen = x.grad.abs().sum(dim=(0, 1)) > 0
    # Max pooling passes the gradient on to one pixel in each 2x2 block: every 16x16 block has one of its own.
    assert seen.unfold(0, 16, 16).unfold(1, 16, 16).flatten(2).any(dim=2).all()


def test_heatmaps_are_fed_to_the_next_hourglass_only():
    torch.manual_seed(0)
    model = StackedHourglass(3, features=8, stacks=2).eval()
    images = torch.randn(1, 3, 64, 64)
    first, second = model(images)
    torch.nn.init.zeros_(model.score_[0].weight)
    first_without, second_without = model(images)
    assert torch.equal(first, first_without)
    assert not torch.allclose(second, second_without)


def test_the_flip_test_reads_the_last_output(tiny_cfg):
    cfg = tiny_cfg(CODEC="dark")
    torch.manual_seed(0)
    model, codec = build_model(cfg).eval(), build_codec(cfg)
    images = torch.randn(2, 3, 96, 64)
    torch.testing.assert_close(heatmaps(model, images, codec), model(images)[-1])
    pairs = [(1, 2), (3, 4)]
    expected = (model(images)[-1] + codec.flip_back(model(images.flip(3))[-1], pairs)) / 2
    torch.testing.assert_close(heatmaps(model, images, codec, pairs), expected)


def test_the_loss_of_all_outputs_is_learnt(tiny_cfg):
    cfg = tiny_cfg(INIT_WEIGHTS=False)
    torch.manual_seed(0)
    model, loss = build_model(cfg), build_loss(cfg)
    images, target, weight = torch.randn(2, 3, 96, 64), torch.rand(2, 17, 24, 16), torch.ones(2, 17, 1)
    outputs = model(images)
    first = loss(outputs, target, weight)
    torch.testing.assert_close(first, sum(loss(output, target, weight) for output in outputs))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(10):
        optimizer.zero_grad()
        loss(model(images), target, weight).backward()
        optimizer.step()
    assert loss(model(images), target, weight) < 0.5 * first


@pytest.mark.parametrize("size", [(32, 96), (64, 80), (80, 96)])
def test_sides_that_do_not_fit_are_refused(tiny_cfg, size):
    with pytest.raises(ConfigError, match="hourglass .* multiples of 32, at least 64"):
        tiny_cfg(IMAGE_SIZE=list(size), HEATMAP_SIZE=[side // 4 for side in size])


def test_the_tools_train_and_score_it(repository, experiment, tmp_path):
    path = experiment(
        MODEL={"NAME": "hourglass", "EXTRA": TINY, "CODEC": "dark"}, TRAIN={"END_EPOCH": 1}, TEST={"FLIP_TEST": True}
    )
    words = [sys.executable, str(repository / "tools" / "train.py"), "--cfg", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=200)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\| hourglass .*\| 0\.\d+ ", done.stdout, re.MULTILINE)
    assert (tmp_path / "output" / "toy" / "hourglass" / "tiny" / "final_state.pth").is_file()
