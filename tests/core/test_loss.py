"""Losses: values and gradients of the forks' code, and properties."""

import copy
import math

import pytest
import torch
from easydict import EasyDict

from heatpose.config.defaults import DEFAULTS
from heatpose.core.loss import (
    LOSSES,
    JointsGRMI,
    JointsL1Offset,
    JointsL2,
    JointsMSE,
    JointsMSEOffset,
    JointsOHKMMSE,
    build_loss,
)


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


def test_grmi_by_hand():
    """One joint, two pixels, the first in the disk: the cross entropy of both, the Huber loss of one distance."""
    output = torch.tensor([0.0, math.log(3.0), 0.3, 9.0, 0.4, 9.0]).view(1, 3, 1, 2)
    target = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).view(1, 3, 1, 2)
    logistic = (math.log(2.0) + math.log(4.0)) / 2  # -log(1/2), -log(1 - 3/4), over two pixels
    one = torch.ones(1, 1, 1)
    loss = JointsGRMI(lambda_heatmap=4.0, lambda_offset=0.5, radius=1.0)  # the error is 0.5 px long
    assert loss(output, target, one).item() == pytest.approx(4 * logistic + 0.5 * 0.5**2 / 2 / 2)
    assert loss(output, target, one / 2).item() == pytest.approx(2 * logistic + 0.25 * 0.5**2 / 2 / 2)
    far = JointsGRMI(lambda_heatmap=0.0, lambda_offset=1.0, radius=25.0)  # 12.5 px, linear from 1 px on
    assert far(output, target, one).item() == pytest.approx((12.5 - 0.5) / 2)
    assert loss(output[:, :1], target, one).item() == pytest.approx(4 * logistic)
    unweighted = JointsGRMI(use_target_weight=False, lambda_offset=0.5, radius=1.0)
    assert unweighted(output, target, 0 * one).item() == pytest.approx(loss(output, target, one).item())


def test_grmi_offsets_count_inside_the_disk_of_known_joints_only():
    output, target, weight = offset_batch()
    output.requires_grad_()
    JointsGRMI()(output, target, weight).backward()
    inside = target[:, ::3] > 0
    inside[:, 1] = False  # its weight is 0
    assert (output.grad[:, 1::3][inside] != 0).all() and (output.grad[:, 2::3][inside] != 0).all()
    assert (output.grad[:, 1::3][~inside] == 0).all()
    assert (output.grad[:, 0] != 0).all() and (output.grad[:, 3] == 0).all()


def test_grmi_has_a_gradient_where_the_offsets_are_perfect():
    target = torch.ones(1, 3, 2, 2)
    output = target.clone().requires_grad_()
    JointsGRMI()(output, target, torch.ones(1, 1, 1)).backward()
    assert output.grad.isfinite().all() and (output.grad[:, 1:] == 0).all()


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
        (make_cfg("grmi"), JointsGRMI),
    ],
)
def test_the_config_chooses_the_loss(cfg, expected):
    assert type(build_loss(cfg).loss) is expected


@pytest.mark.parametrize("loss", [{}, {"USE_OHKM": True}, {"NAME": "JointsL2"}])
def test_the_codec_megvii_has_its_own_loss(loss):
    built = build_loss(make_cfg("megvii", TOPK=3, COARSE_TO_FINE=False, **loss))
    assert type(built) is JointsL2 and not built.coarse_to_fine
    assert (built.hardest is not None and built.hardest.topk == 3) == ("USE_OHKM" in loss)


def test_the_config_sets_the_arguments():
    loss = build_loss(make_cfg(USE_OHKM=True, TOPK=3, USE_TARGET_WEIGHT=False)).loss
    assert (loss.topk, loss.use_target_weight) == (3, False)
    assert build_loss(make_cfg("udp_offset", NAME="JointsL1Offset", REDUCTION="sum")).loss.reduction == "sum"
    grmi = build_loss(make_cfg("grmi", LAMBDA_HEATMAP=3.0, LAMBDA_OFFSET=0.25, DISK_RADIUS=9.0)).loss
    assert (grmi.lambda_heatmap, grmi.lambda_offset, grmi.radius) == (3.0, 0.25, 9.0)


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
        (make_cfg("megvii", NAME="JointsMSE"), "JointsMSE does not fit MODEL.CODEC megvii: set LOSS.NAME to JointsL2"),
        (make_cfg("dark", NAME="JointsL2"), "JointsL2 does not fit MODEL.CODEC dark: set LOSS.NAME to JointsMSE or"),
        (make_cfg("megvii", USE_OHKM=True, TOPK=0), "TOPK 0 is no number of joints"),
        (make_cfg("udp_offset", NAME="JointsL1Offset", REDUCTION="max"), "REDUCTION 'max' is unknown; use mean or sum"),
        (make_cfg("grmi", NAME="JointsMSEOffset"), "does not fit MODEL.CODEC grmi: set LOSS.NAME to JointsGRMI"),
        (make_cfg("udp_offset", NAME="JointsGRMI"), "JointsGRMI does not fit MODEL.CODEC udp_offset"),
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
    assert list(LOSSES) == [
        "JointsGRMI", "JointsL1Offset", "JointsL2", "JointsMSE", "JointsMSEOffset", "JointsOHKMMSE",
    ]  # fmt: skip


# --- MSPN's loss of several stages and levels -----------------------------------------------------------------------


@pytest.fixture
def levels():
    """Two stages' outputs, five targets, and visibilities 2, 1, 0 and 2 of four joints."""
    generator = torch.Generator().manual_seed(2)
    outputs = list(torch.rand(8, 3, 4, 6, 5, generator=generator).unbind())
    targets = list(torch.rand(5, 3, 4, 6, 5, generator=generator).unbind())
    return outputs, targets, torch.tensor([2.0, 1.0, 0.0, 2.0]).expand(3, 4).unsqueeze(-1)


def test_coarse_levels_count_a_quarter_and_the_last_stage_has_narrower_targets(levels):
    outputs, targets, weight = levels
    seen = (weight > 1).unsqueeze(-1)
    expected = 0.0
    for stage in (0, 1):
        for level, share in enumerate((0.25, 0.25, 0.25, 1.0)):
            target = targets[level + stage] * seen
            expected += share * float((outputs[4 * stage + level] - target).square().mean())
    assert JointsL2(use_ohkm=False)(outputs, targets, weight).item() == pytest.approx(expected, rel=1e-6)


def test_hidden_joints_have_a_target_on_the_finest_level_only(levels):
    outputs, targets, weight = levels
    for output in outputs:
        output.requires_grad_()
    JointsL2(topk=4)(outputs, targets, weight).backward()
    for number, output in enumerate(outputs):
        is_finest = number % 4 == 3
        error = output - targets[number % 4 + number // 4]
        for joint, target_counts in ((0, True), (1, is_finest)):
            wanted = error[:, joint] if target_counts else output[:, joint]
            assert torch.equal(output.grad[:, joint].sign(), wanted.sign()), (number, joint)
        assert (output.grad[:, 2] == 0).all() == is_finest, "an unlabelled joint is trained towards 0 elsewhere"


def test_ohkm_counts_the_hardest_labelled_joints_of_each_person(levels):
    outputs, targets, weight = levels
    errors = (outputs[3] - targets[4]).square().mean(dim=(2, 3)) * (weight[..., 0] > 0)
    expected = errors.topk(2, dim=1).values.mean()
    torch.testing.assert_close(JointsL2(topk=2)(outputs[3], targets, weight), expected)
    torch.testing.assert_close(JointsL2(topk=2)([outputs[3]], targets[4], weight), expected)


def test_without_coarse_to_fine_all_stages_have_the_same_targets(levels):
    outputs, targets, weight = levels
    alike = JointsL2(coarse_to_fine=False, topk=4)
    first, second = (alike(outputs[start : start + 4], targets, weight) for start in (0, 4))
    torch.testing.assert_close(alike(outputs, targets, weight), first + second)


def test_a_wrong_number_of_outputs_is_named(levels):
    outputs, targets, weight = levels
    with pytest.raises(ValueError, match="JointsL2 got 3 outputs, expected 4 a stage"):
        JointsL2()(outputs[:3], targets, weight)
    with pytest.raises(ValueError, match="TOPK 8 is more than the 4 joints"):
        JointsL2()(outputs, targets, weight)
