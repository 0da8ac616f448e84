"""MSPN: the order of its outputs, how stages feed each other, ImageNet weights, training by the tools."""

import re
import subprocess
import sys

import pytest
import torch
from torchvision.models.resnet import Bottleneck, ResNet

from heatpose.config import ConfigError, load_config
from heatpose.core.checkpoint import CheckpointError
from heatpose.core.weights import load_pretrained
from heatpose.models import build_model
from heatpose.models.mspn import MSPN
from heatpose.report.summary import summarise

THIN = {"channels": 16, "blocks": (1, 1, 1, 1), "level_channels": (8, 8, 16, 16)}
TINY = {"NUM_BLOCKS": [1, 1, 1, 1], "NUM_CHANNELS": [4, 4, 8, 8], "UPSAMPLE_CHANNELS": 8}


def thin(stages, joints=3):
    torch.manual_seed(0)
    return MSPN(joints, stages, **THIN).eval()


@pytest.mark.parametrize("stages", [1, 2, 4])
def test_every_stage_gives_four_outputs_of_the_final_size(stages):
    outputs = thin(stages)(torch.randn(2, 3, 96, 64))
    assert [tuple(output.shape) for output in outputs] == [(2, 3, 24, 16)] * 4 * stages


def test_outputs_come_stage_by_stage_from_coarse_to_fine():
    """Without its head's bias and scale a level gives an even map: each output is that of the head it should be."""
    model, images = thin(2), torch.randn(1, 3, 64, 64)
    for number in range(8):
        head = getattr(getattr(model, f"stage{number // 4}").upsample, f"up{number % 4 + 1}").res_conv2.bn
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.constant_(head.bias, float(number))
        outputs = model(images)
        torch.testing.assert_close(outputs[number], torch.full_like(outputs[number], number))
        assert all(output.std() > 0 for output in outputs[number + 1 :])


def test_the_second_stage_is_fed_by_the_first_s_features_on_every_level():
    model, images = thin(2), torch.randn(1, 3, 64, 64)
    before = model(images)
    for level in range(1, 5):
        unit = getattr(model.stage0.upsample, f"up{level}")
        for skip in (unit.skip1, unit.skip2):
            torch.nn.init.constant_(skip.bn.bias, 1.0)
            after = model(images)
            assert all(torch.equal(a, b) for a, b in zip(before[:4], after[:4], strict=True))
            assert not torch.equal(before[7], after[7])
            before = after
    torch.nn.init.constant_(model.stage0.upsample.up4.cross_conv.bn.bias, 1.0)
    assert not torch.equal(before[7], model(images)[7])


def test_only_stages_that_another_follows_carry_features():
    keys = thin(2).state_dict()
    assert any(key.startswith("stage0.") and "cross_conv" in key for key in keys)
    assert not any(key.startswith("stage1.") and re.search("skip[12]|cross_conv", key) for key in keys)


def test_the_way_down_begins_as_he_et_al_s():
    model = thin(1)
    model.init_weights()
    for name, weight in (("layer1", "conv_bn_relu2"), ("layer4", "conv_bn_relu2")):
        conv = getattr(getattr(model.stage0.downsample, name)[0], weight).conv
        fan_out = conv.out_channels * 9
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15)


def test_imagenet_weights_fill_the_stem_and_every_stage(tmp_path):
    torch.manual_seed(1)
    resnet = ResNet(Bottleneck, [1, 2, 1, 1]).eval()
    torch.save(resnet.state_dict(), tmp_path / "resnet.pth")
    model = MSPN(17, 2, 16, (1, 2, 1, 1)).eval()
    report = load_pretrained(model, tmp_path / "resnet.pth")
    assert set(report.unexpected) == {"fc.weight", "fc.bias"}
    backbone = [key for key in model.state_dict() if key.startswith("top.") or ".downsample." in key]
    biases = [key for key in backbone if key.endswith("conv.bias")]
    assert set(report.loaded) == set(backbone) - set(biases)
    for key, value in model.named_parameters():
        if key in biases:
            torch.nn.init.zeros_(value)
    images = torch.randn(1, 3, 64, 64)
    x = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(images))))
    expected = resnet.layer4(resnet.layer3(resnet.layer2(resnet.layer1(x))))
    for stage in (model.stage0, model.stage1):
        torch.testing.assert_close(stage.downsample(model.top(images), [])[-1], expected, rtol=1e-4, atol=1e-4)


def test_its_own_checkpoints_load_with_another_number_of_joints(tmp_path):
    torch.save(thin(2).state_dict(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="MODEL.REINIT_HEAD True begins it anew"):
        load_pretrained(thin(2, joints=5), tmp_path / "w.pth")
    report = load_pretrained(thin(2, joints=5), tmp_path / "w.pth", reinit_head=True)
    assert not report.missing and not report.unexpected
    assert all("res_conv2" in key for key in report.reinitialised)


def test_the_summary_has_all_stages():
    summary = summarise(thin(2), (64, 96))
    stages = {row.name: row.outputs for row in summary.stages()}
    assert {"top", "stage0", "stage1"} <= set(stages)
    assert (3, 24, 16) in stages["stage1"]
    assert summary.parameters == sum(parameter.numel() for parameter in thin(2).parameters())


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_experiments_have_their_stages(repository, stages):
    cfg = load_config(repository / "experiments" / "coco" / "mspn" / f"{stages}xstg_256x192.yaml")
    with torch.device("meta"):
        model = build_model(cfg)
    outputs = model(torch.empty(1, 3, 256, 192, device="meta"))
    assert len(outputs) == 4 * stages and outputs[-1].shape == (1, 17, 64, 48)


@pytest.mark.parametrize(
    ("model", "loss", "message"),
    [
        ({"NAME": "hourglass"}, {}, "megvii has four levels of targets for each stage, which hourglass does not give"),
        ({}, {"USE_TARGET_WEIGHT": False}, "LOSS.USE_TARGET_WEIGHT is False.* set it to True"),
        ({}, {"USE_DIFFERENT_JOINTS_WEIGHT": True}, "LOSS.USE_DIFFERENT_JOINTS_WEIGHT is True.* set it to False"),
        ({}, {"NAME": "JointsMSE"}, "LOSS.NAME is JointsMSE with MODEL.CODEC megvii; .*JointsL2 with codec megvii"),
    ],
)
def test_what_does_not_go_with_the_codec_is_refused(tmp_path, model, loss, message):
    path = tmp_path / "x.yaml"
    content = {"MODEL": {"NAME": "mspn", "CODEC": "megvii", **model}, "LOSS": loss}
    path.write_text(str(content))  # a Python dict of these is YAML
    with pytest.raises(ConfigError, match=message):
        load_config(path)


KINDS = ("SAVE_BATCH_IMAGES_GT", "SAVE_BATCH_IMAGES_PRED", "SAVE_HEATMAPS_GT", "SAVE_HEATMAPS_PRED")


@pytest.mark.parametrize("network", ["mspn", "pose_resnet"])
def test_the_tools_train_and_score_it_with_pictures(repository, experiment, tmp_path, network):
    extra = TINY if network == "mspn" else {"NUM_LAYERS": 18, "NUM_DECONV_FILTERS": [8, 8, 8]}
    path = experiment(
        DATASET={"AUGMENTATION": "mspn", "PROB_HALF_BODY": 0.3, "NUM_JOINTS_HALF_BODY": 3},
        MODEL={"NAME": network, "CODEC": "megvii", "EXTRA": extra, "IMAGE_SIZE": [64, 96]},
        TRAIN={"END_EPOCH": 1, "LR_SCHEDULE": "linear"},
        TEST={"FLIP_TEST": True, "BLUR_KERNEL": 5},
    )
    pairs = [word for kind in ("DEBUG", *KINDS) for word in (f"DEBUG.{kind}", "True")]
    pairs += ["LOSS.USE_OHKM", str(network == "mspn")]
    for tool in ("train", "test") if network == "mspn" else ("train",):
        words = [sys.executable, str(repository / "tools" / f"{tool}.py"), "--cfg", str(path), *pairs]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=300)
        assert done.returncode == 0, done.stderr
        assert re.search(rf"^\| {network} .*\| 0\.\d+ ", done.stdout, re.MULTILINE)
    pictures = {file.name for file in (tmp_path / "output" / "toy" / network / "tiny" / "pictures").iterdir()}
    for ending in ("gt", "pred", "hm_gt", "hm_pred"):
        assert any(name.startswith("train_0_") and name.endswith(f"_{ending}.jpg") for name in pictures), ending
