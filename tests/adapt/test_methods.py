"""The methods as objectives: what they minimise, what they keep, how they go on."""

import copy

import numpy as np
import pytest
import torch

from heatpose.adapt.base import LabelRounds, TargetLabels, split
from heatpose.adapt.ccssl import CCSSL
from heatpose.adapt.mean_teacher import MeanTeacher
from heatpose.adapt.pplo import PPLO
from heatpose.adapt.pseudo_labels import Predictor, PseudoLabels
from heatpose.adapt.views import inverse, random_maps, resample
from heatpose.adapt.wscda import (
    WSCDA,
    Discriminator,
    DomainAdaptation,
    domain_loss,
    insert_adaptation,
    reverse_gradient,
)
from heatpose.core.loss import EveryOutput, JointsMSE
from heatpose.core.objective import Supervised
from heatpose.utils.batch import as_images, standardise
from heatpose.utils.precision import Precision

from .conftest import CPU, JOINTS, SIZE, batch_of


@pytest.fixture
def target(crops):
    """Unlabelled crops: the same pictures, whose "labels" are nonsense that no method but the bound may read."""
    images, _ = crops
    return batch_of(images.flip(0), torch.full((8, JOINTS, 2), 7.0), torch.arange(8))


@pytest.fixture
def rounds(codec, crops, labelled):
    images, places = crops
    middle, side = np.full((8, 2), SIZE / 2), np.full((8, 2), float(SIZE))
    loader = [{"crop": images.flip(0), "index": torch.arange(8)}]
    labels = PseudoLabels(places.flip(0).numpy(), np.ones((8, JOINTS)), np.array([[0, 0, 32, 32]] * 8), [], CPU)
    return LabelRounds(labels, Predictor(codec, loader, middle, side, CPU, labelled.pixels), begin=2, every=3)


def test_the_bound_reads_the_labels(labelled, network, batch, target, crops):
    method = TargetLabels(labelled, weight=2.0)
    step = method.step(network, {**batch, "target": target})
    right = method.step(network, {**batch, "target": batch_of(crops[0].flip(0), crops[1].flip(0))})
    assert torch.isclose(step.loss, step.figures["loss_labelled"] + 2 * step.figures["loss_target"])
    assert torch.isclose(right.figures["loss_target"], right.figures["loss_labelled"], rtol=1e-4)
    assert not torch.isclose(step.figures["loss_target"], right.figures["loss_target"])


def test_without_unlabelled_crops_the_loss_is_that_of_the_labelled_ones(labelled, network, batch, rounds):
    expected = labelled.step(network, batch).loss
    for method in (TargetLabels(labelled), MeanTeacher(labelled, network), CCSSL(labelled, rounds, lambda epoch: 0.5)):
        assert torch.equal(method.step(network, batch).loss, expected)


def test_outputs_of_several_stages_are_split_alike():
    first, second = split([torch.arange(5), torch.arange(5) + 10], [2, 3])
    assert [part.tolist() for part in first] == [[0, 1], [10, 11]]
    assert [part.tolist() for part in second] == [[2, 3, 4], [12, 13, 14]]


class TestCCSSL:
    def test_labels_come_in_rounds_and_more_of_them_every_epoch(self, labelled, network, rounds):
        method = CCSSL(labelled, rounds, lambda epoch: 0.8 - 0.1 * epoch)
        assert method.begin_epoch(network, 1) is None
        kept, predictions = [], []
        for epoch in range(2, 7):
            kept.append(method.begin_epoch(network, epoch).kept)
            predictions.append(rounds.labels.keypoints.data_ptr())
        assert kept == sorted(kept) and kept[0] < kept[-1]
        assert len(set(predictions[:3])) == 1  # epochs 2, 3, 4 are one round
        assert predictions[2] != predictions[3]

    def test_a_run_that_begins_after_a_round_predicts_at_once(self, labelled, network, rounds):
        method = CCSSL(labelled, rounds, lambda epoch: 0.5)
        assert not rounds.is_due(1) and rounds.is_due(2) and rounds.is_due(3)
        assert method.begin_epoch(network, 3).kept > 0
        assert not rounds.is_due(4) and rounds.is_due(5)

    def test_the_loss_is_that_of_the_kept_labels(self, labelled, network, rounds, batch, target):
        method = CCSSL(labelled, rounds, lambda epoch: 0.5, weight=10.0)
        method.begin_epoch(network, 2)
        step = method.step(network, {**batch, "target": target})
        labels = rounds.labels
        known = {**target, "keypoints_input": labels.keypoints, "visible": labels.kept.float()}
        expected = labelled.step(network, known).loss
        assert torch.isclose(step.figures["loss_target"], expected, rtol=1e-4)
        assert torch.isclose(step.loss, step.figures["loss_labelled"] + 10 * expected, rtol=1e-4)
        assert 0 < labels.kept.sum() < labels.kept.numel()

    def test_the_truth_of_the_target_changes_nothing(self, labelled, network, rounds, batch, target):
        method = CCSSL(labelled, rounds, lambda epoch: 0.2)
        method.begin_epoch(network, 2)
        other = {**target, "keypoints_input": torch.rand(8, JOINTS, 2), "visible": torch.zeros(8, JOINTS)}
        losses = [method.step(network, {**batch, "target": one}).loss for one in (target, other)]
        assert torch.equal(*losses)

    def test_flow_brings_labels_from_frame_to_frame(self, labelled, network, rounds):
        asked = []

        def read_frame(index):
            asked.append(index)
            return np.zeros((SIZE, SIZE, 3), np.uint8)

        time = np.array([0, 0, 0, 1, 1, 1, -1, -1]), np.array([0, 1, 2, 0, 1, 2, -1, -1])
        method = CCSSL(labelled, rounds, lambda epoch: 0.2, time=time, read_frame=read_frame)
        method.begin_epoch(network, 2)
        assert sorted(asked) == [0, 1, 2, 3, 4, 5]

    def test_a_checkpoint_of_other_crops_or_of_another_method_is_refused(self, labelled, network, rounds):
        method, other = (CCSSL(labelled, rounds, lambda epoch: 0.5) for _ in range(2))
        method.fits, other.fits = "ADAPT.METHOD ccssl on 8 crops", "ADAPT.METHOD ccssl on 9 crops"
        for state in (method.state_dict(), {}):
            with pytest.raises(ValueError, match="this run is of ADAPT.METHOD ccssl on 9 crops; set AUTO_RESUME False"):
                other.load_state_dict(state)

    def test_it_is_resumed(self, labelled, network, rounds):
        method = CCSSL(labelled, rounds, lambda epoch: 0.5)
        method.begin_epoch(network, 2)
        state = copy.deepcopy(method.state_dict())
        kept = rounds.labels.kept.clone()
        rounds.labels.keep(2.0)
        method.load_state_dict(state)
        assert torch.equal(rounds.labels.kept, kept)


class TestMeanTeacher:
    def test_the_teacher_is_a_running_average_and_is_scored(self, labelled, network):
        method = MeanTeacher(labelled, network, keep=0.75)
        method.begin_epoch(network, 0)
        before = network.final_layer.weight.clone()
        with torch.no_grad():
            network.final_layer.weight.add_(1.0)
        method.end_step(network)  # the first step keeps 1 - 1/2
        teacher = method.scored(network)
        assert torch.allclose(teacher.final_layer.weight, before + 0.5)
        for _ in range(5):
            method.end_step(network)
        # 2/3, then three quarters from the third step on
        assert torch.allclose(teacher.final_layer.weight, before + 1 - 0.5 * (2 / 3) * 0.75**4)
        assert not any(parameter.requires_grad for parameter in teacher.parameters())

    def test_it_begins_from_the_network_as_it_is_then(self, labelled, network):
        method = MeanTeacher(labelled, network, begin=3)
        with torch.no_grad():
            network.final_layer.weight.add_(1.0)
        method.begin_epoch(network, 2)
        assert not torch.equal(method.teacher.final_layer.weight, network.final_layer.weight)
        method.begin_epoch(network, 3)
        assert torch.equal(method.teacher.final_layer.weight, network.final_layer.weight)

    def test_agreement_costs_nothing_and_weight_rises(self, labelled, network, batch, target):
        method = MeanTeacher(labelled, network, weight=4.0, rampup=2.0, scale=0.0, rotation=0.0)
        shares = []
        for epoch in range(3):
            method.begin_epoch(network, epoch)
            torch.manual_seed(0)
            step = method.step(network, {**batch, "target": target})
            shares.append(((step.loss - step.figures["loss_labelled"]) / step.figures["loss_target"]).item())
        assert shares == pytest.approx([4 * np.exp(-5 / 4), 4, 4], rel=1e-3)

    def test_the_student_learns_from_the_teacher_s_heatmaps_in_its_own_view(self, labelled, network, target):
        """Without recolouring a right student agrees with its teacher in every view, up to interpolation."""
        torch.manual_seed(0)
        method = MeanTeacher(labelled, network, scale=0.2, rotation=30.0)
        crops = as_images(target["crop"], CPU)
        maps = random_maps(crops, 0.2, 30.0)
        view = resample(standardise(crops.clone(), labelled.pixels), inverse(maps))
        right = method._disagreement(network(view), crops, maps)
        wrong = method._disagreement(network(view.flip(3)), crops, maps)
        assert right < wrong / 2

    def test_it_is_resumed(self, labelled, network):
        method = MeanTeacher(labelled, network, keep=0.5)
        method.begin_epoch(network, 0)
        with torch.no_grad():
            network.final_layer.weight.add_(1.0)
        method.end_step(network)
        other = MeanTeacher(labelled, network)
        other.load_state_dict(copy.deepcopy(method.state_dict()))
        assert torch.equal(other.teacher.final_layer.weight, method.teacher.final_layer.weight)
        assert other.average.steps == 1


@pytest.fixture
def adapted(network):
    torch.manual_seed(1)
    insert_adaptation(network)
    return network.train()


class TestWSCDA:
    def test_the_adaptation_changes_nothing_at_first_and_keeps_the_names(self, network):
        plain = copy.deepcopy(network)
        insert_adaptation(network)
        images = torch.rand(2, 3, SIZE, SIZE)
        assert torch.allclose(network.eval()(images), plain.eval()(images))
        assert {key for key in network.state_dict() if not key.startswith("adaptation.")} == set(plain.state_dict())

    def test_a_copy_has_an_adaptation_of_its_own(self, adapted):
        other = copy.deepcopy(adapted).eval()
        with torch.no_grad():
            adapted.adaptation.layers[-1].bias.add_(1.0)
        images = torch.rand(1, 3, SIZE, SIZE)
        assert not torch.allclose(adapted.eval()(images), other(images))

    def test_the_domain_loss_is_the_paper_s(self):
        """Computed term by term: y for animals, z for unlabelled ones, z counts for animals alone."""
        torch.manual_seed(0)
        logits, y, z = torch.randn(5, 2), torch.tensor([1.0, 1, 0, 0, 1]), torch.tensor([0.0, 1, 0, 0, 1])
        first, second = torch.sigmoid(logits).unbind(1)
        kind = -(y * first.log() + (1 - y) * (1 - first).log()).mean()
        each = -(z * second.log() + (1 - z) * (1 - second).log())
        expected = 0.7 * kind + each[y == 1].mean()
        assert torch.isclose(domain_loss(logits, y, z, 0.7), expected)

    def test_the_discriminator_lowers_the_loss_and_the_features_raise_it(self):
        torch.manual_seed(0)
        features = torch.randn(6, 4, 8, 8, requires_grad=True)
        discriminator = Discriminator(4)
        y, z = torch.tensor([1.0] * 4 + [0.0] * 2), torch.tensor([0.0, 0, 1, 1, 0, 0])

        def loss():
            return domain_loss(discriminator(reverse_gradient(features, 1.0)), y, z, 1.0)

        before = loss()
        before.backward()
        with torch.no_grad():
            features -= 0.5 * features.grad
        assert loss() > before
        with torch.no_grad():
            features += 0.5 * features.grad
            for parameter in discriminator.parameters():
                parameter -= 0.05 * parameter.grad
        assert loss() < before

    def test_the_total(self, labelled, adapted, batch, target):
        discriminator = Discriminator(3)
        method = WSCDA(labelled, discriminator, alpha=-1.0, beta=50.0, w1=0.5, w2=3.0)
        step = method.step(adapted, {**batch, "target": target, "humans": batch})
        figures = step.figures
        pose = 3 * figures["loss_labelled"] + figures["loss_humans"]
        assert torch.isclose(step.loss, 50 * pose + figures["loss_domain"], rtol=1e-5)
        assert figures["loss_target"] == 0
        assert set(method.parameters()) == set(discriminator.parameters())

    def test_alpha_is_the_strength_against_the_features(self, labelled, adapted):
        gradients = []
        for alpha in (-1.0, -3.0):
            torch.manual_seed(0)
            features = torch.randn(4, 3, 8, 8, requires_grad=True)
            adapted.adaptation.seen = features
            WSCDA(labelled, Discriminator(3), alpha=alpha)._domain_loss(adapted, [2, 2]).backward()
            gradients.append(features.grad)
        assert torch.allclose(gradients[1], 3 * gradients[0]) and gradients[0].abs().max() > 0

    def test_without_people_there_is_nothing_to_tell_from_animals(self, labelled, adapted, batch, target):
        torch.manual_seed(0)
        discriminator = Discriminator(3)
        losses = [
            WSCDA(labelled, discriminator, w1=w1).step(adapted, {**batch, "target": target}).figures["loss_domain"]
            for w1 in (0.0, 5.0)
        ]
        assert torch.equal(*losses)

    def test_the_features_are_let_go_when_scoring(self, adapted):
        adapted.eval()(torch.rand(1, 3, SIZE, SIZE))
        assert isinstance(adapted.adaptation, DomainAdaptation) and adapted.adaptation.seen is None


class TestPPLO:
    def test_it_is_wscda_until_the_first_round_and_both_after_it(self, labelled, adapted, rounds, batch, target):
        method = PPLO(labelled, Discriminator(3), rounds, lambda number: 0.3, weight=2.0, beta=10.0)
        assert method.begin_epoch(adapted, 1) is None
        step = method.step(adapted.train(), {**batch, "target": target})
        assert step.figures["loss_target"] == 0
        assert method.begin_epoch(adapted, 2).kept > 0
        step = method.step(adapted.train(), {**batch, "target": target})
        figures = step.figures
        assert figures["loss_target"] > 0
        expected = 10 * (figures["loss_labelled"] + 2 * figures["loss_target"]) + figures["loss_domain"]
        assert torch.isclose(step.loss, expected, rtol=1e-5)

    def test_rounds_lower_the_threshold(self, labelled, adapted, rounds):
        asked = []
        method = PPLO(labelled, Discriminator(3), rounds, lambda number: (asked.append(number), 0.5)[1])
        reports = [method.begin_epoch(adapted, epoch) for epoch in range(9)]
        assert asked == [0, 1, 2]
        assert [epoch for epoch, report in enumerate(reports) if report is not None] == [2, 5, 8]

    def test_it_is_resumed(self, labelled, adapted, rounds):
        method = PPLO(labelled, Discriminator(3), rounds, lambda number: 0.3)
        method.begin_epoch(adapted, 2)
        state = copy.deepcopy(method.state_dict())
        assert set(state) == {"fits", "discriminator", "labels"}
        kept = rounds.labels.kept.clone()
        rounds.labels.keep(2.0)
        method.load_state_dict(state)
        assert torch.equal(rounds.labels.kept, kept)


@pytest.mark.parametrize("method", ["supervised", "mean_teacher", "wscda"])
def test_a_step_in_bf16_is_nearly_that_in_float32(codec, network, batch, method):
    """Every network of a method takes the precision of the labelled crops' objective, and losses are float32."""
    losses = {}
    for name in ("fp32", "bf16"):
        torch.manual_seed(0)
        labelled = Supervised(codec, EveryOutput(JointsMSE()), CPU, precision=Precision(name))
        model = copy.deepcopy(network).train()
        if method == "wscda":
            insert_adaptation(model)
            objective = WSCDA(labelled, Discriminator(3))
        else:
            objective = MeanTeacher(labelled, model) if method == "mean_teacher" else TargetLabels(labelled)
        step = objective.step(model, {**batch, "target": batch})
        step.loss.backward()
        assert {step.loss.dtype, *(figure.dtype for figure in step.figures.values())} == {torch.float32}
        losses[name] = step.loss.item()
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)
