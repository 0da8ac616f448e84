"""Losses: values and gradients of the forks' code, and properties."""

import copy

import pytest
import torch
from easydict import EasyDict

from heatpose.config.defaults import DEFAULTS
from heatpose.core.loss import LOSSES, JointsL1Offset, JointsMSE, JointsMSEOffset, JointsOHKMMSE, build_loss


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    output, target = torch.rand(2, 3, 5, 6, 4, generator=generator).unbind()
    weight = torch.tensor([1.0, 0.0, 1.0, 1.0, 1.0]).expand(3, 5).unsqueeze(-1)
    return output, target, weight


def offset_batch():
    generator = torch.Generator().manual_seed(1)
    output, target = torch.rand(2, 3, 6, 6, 4, generator=generator).unbind()
    target[:, 0::3] = (target[:, 0::3] > 0.5).float()
    return output, target, torch.tensor([1.0, 0.0]).expand(3, 2).unsqueeze(-1)


def test_mse_by_hand():
    output, target = torch.full((1, 2, 2, 2), 3.0), torch.ones(1, 2, 2, 2)
    # (weight * 2)^2 / 2 is 0.5 for the first joint and 8 for the second
    weight = torch.tensor([[[0.5], [2.0]]])
    assert JointsMSE()(output, target, weight).item() == pytest.approx((0.5 + 8) / 2)
    assert JointsMSE(use_target_weight=False)(output, target, weight).item() == pytest.approx(2.0)
    assert JointsOHKMMSE(topk=1)(output, target, weight).item() == pytest.approx(8.0)


def test_ohkm_over_all_joints_is_mse(batch):
    assert JointsOHKMMSE(topk=5)(*batch).item() == pytest.approx(JointsMSE()(*batch).item(), rel=1e-6)


def test_ohkm_without_weights_takes_a_single_person(batch):
    output, target, weight = (part[:1] for part in batch)
    losses = [0.5 * float((o - t).square().mean()) for o, t in zip(output[0], target[0], strict=True)]
    expected = sum(sorted(losses)[-2:]) / 2
    assert JointsOHKMMSE(False, topk=2)(output, target, weight).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss", [JointsMSE(), JointsOHKMMSE(topk=4)])
def test_joints_of_weight_zero_train_nothing(loss, batch):
    output, target, weight = batch
    output.requires_grad_()
    loss(output, target, weight).backward()
    assert (output.grad[:, 1] == 0).all()
    assert (output.grad[:, 0] != 0).any()


@pytest.mark.parametrize("loss_class", [JointsMSEOffset, JointsL1Offset])
def test_offset_loss_without_weights_equals_weights_of_one(loss_class):
    output, target, weight = offset_batch()
    ones = torch.ones_like(weight)
    unweighted = loss_class(use_target_weight=False).terms(output, target, weight)
    for term, expected in zip(unweighted, loss_class().terms(output, target, ones), strict=True):
        assert term.item() == pytest.approx(expected.item(), rel=1e-6)
        assert term > 0


def test_offsets_count_inside_the_disk_only():
    output, target, weight = offset_batch()
    output.requires_grad_()
    JointsMSEOffset()(output, target, weight).backward()
    outside = target[:, 0::3] == 0
    assert (output.grad[:, 1::3][outside] == 0).all()
    assert (output.grad[:, 2::3][outside] == 0).all()
    assert (output.grad[:, 1::3][~outside] != 0).all()


def make_cfg(codec="gaussian", **loss):
    cfg = EasyDict(copy.deepcopy(DEFAULTS))
    cfg.MODEL.CODEC = codec
    cfg.LOSS.update(loss)
    return cfg


@pytest.mark.parametrize(
    ("cfg", "expected"),
    [
        (make_cfg(), JointsMSE),
        (make_cfg("dark"), JointsMSE),
        (make_cfg(USE_OHKM=True), JointsOHKMMSE),
        (make_cfg(NAME="JointsMSE", USE_OHKM=True), JointsMSE),
        (make_cfg("udp_offset"), JointsMSEOffset),
        (make_cfg("udp_offset", NAME="JointsL1Offset"), JointsL1Offset),
    ],
)
def test_the_config_chooses_the_loss(cfg, expected):
    assert type(build_loss(cfg).loss) is expected


def test_the_config_sets_the_arguments():
    loss = build_loss(make_cfg(USE_OHKM=True, TOPK=3, USE_TARGET_WEIGHT=False)).loss
    assert (loss.topk, loss.use_target_weight) == (3, False)
    assert build_loss(make_cfg("udp_offset", NAME="JointsL1Offset", REDUCTION="sum")).loss.reduction == "sum"


def test_losses_of_several_outputs_are_summed(batch):
    output, target, weight = batch
    loss = build_loss(make_cfg())
    single = loss(output, target, weight).item()
    other = loss(2 * output, target, weight).item()
    assert loss([output, 2 * output], target, weight).item() == pytest.approx(single + other, rel=1e-6)
    assert loss((output,), target, weight).item() == single


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (make_cfg(NAME="JointMSE"), "unknown loss 'JointMSE' .*did you mean 'JointsMSE'"),
        (
            make_cfg(NAME="JointsMSEOffset"),
            "JointsMSEOffset does not fit MODEL.CODEC gaussian: set LOSS.NAME to JointsMSE",
        ),
        (make_cfg("udp_offset", USE_OHKM=True), "JointsOHKMMSE does not fit MODEL.CODEC udp_offset: set LOSS.NAME to"),
        (make_cfg("udp_offset", NAME="JointsL1Offset", REDUCTION="max"), "REDUCTION 'max' is unknown; use mean or sum"),
        (make_cfg(USE_OHKM=True, TOPK=0), "TOPK 0 is no number of joints"),
    ],
)
def test_mistakes_are_named(cfg, message):
    with pytest.raises(ValueError, match=message):
        build_loss(cfg)


def test_more_hard_joints_than_joints_is_named(batch):
    with pytest.raises(ValueError, match="TOPK 8 is more than the 5 joints"):
        JointsOHKMMSE(topk=8)(*batch)


def test_registered_names():
    assert list(LOSSES) == ["JointsL1Offset", "JointsMSE", "JointsMSEOffset", "JointsOHKMMSE"]
