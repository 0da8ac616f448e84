"""Strong augmentation."""

import pytest
import torch

from heatpose.adapt.perturb import MILD, STRONG, Perturbation, blurred


@pytest.mark.parametrize("how", [MILD, STRONG])
def test_images_stay_images_and_the_given_ones_are_left_alone(how):
    torch.manual_seed(0)
    images = torch.rand(5, 3, 24, 32)
    before = images.clone()
    changed = how(images)
    assert changed.shape == images.shape
    assert 0 <= changed.min() and changed.max() <= 1
    assert torch.equal(images, before)
    assert (changed - images).abs().mean() > 0.02


def test_each_image_is_changed_in_its_own_way_and_the_seed_decides():
    images = torch.full((4, 3, 16, 16), 0.5)
    torch.manual_seed(1)
    first = STRONG(images)
    torch.manual_seed(1)
    assert torch.equal(STRONG(images), first)
    assert len({tuple(one.mean(dim=(1, 2)).tolist()) for one in first}) == 4


def test_nothing_is_changed_with_no_strength():
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(Perturbation()(images), images)


def test_the_blur_is_a_gaussian_of_each_image_s_own_width():
    images = torch.zeros(2, 3, 31, 31)
    images[:, :, 15, 15] = 1.0
    result = blurred(images, torch.tensor([0.0, 1.2]).view(2, 1, 1, 1))
    assert torch.allclose(result[0], images[0], atol=1e-6)
    offsets = torch.arange(31.0) - 15
    deviation = (result[1, 0].sum(dim=0) * offsets.square()).sum().sqrt()
    assert result[1].sum().item() == pytest.approx(3.0, abs=1e-4)
    assert deviation.item() == pytest.approx(1.2, abs=0.02)


def test_patches_hide_part_of_the_image():
    torch.manual_seed(0)
    changed = (Perturbation(patches=1)(torch.zeros(50, 3, 40, 40)) > 0).any(dim=1).float().mean(dim=(1, 2))
    assert 0 < changed.mean() < 0.09 and changed.max() <= 0.1
