"""Views and the way back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.adapt.views import inverse, on_heatmaps, random_maps, resample, transform
from heatpose.codecs.ccssl import CcsslCodec
from heatpose.codecs.dark import DarkCodec
from heatpose.codecs.gaussian import GaussianCodec
from heatpose.codecs.udp import UdpCodec

settings.register_profile("views", deadline=None, max_examples=25)
settings.load_profile("views")


@given(st.integers(0, 10_000), st.floats(0, 0.4), st.floats(0, 90))
def test_a_map_and_its_inverse_are_the_identity(seed, scale, rotation):
    torch.manual_seed(seed)
    maps = random_maps(torch.zeros(4, 3, 20, 30), scale, rotation)
    points = torch.rand(4, 7, 2) * 30
    assert torch.allclose(transform(transform(points, maps), inverse(maps)), points, atol=1e-3)


def test_a_map_keeps_the_middle_and_scales_and_turns_within_its_range():
    torch.manual_seed(0)
    maps = random_maps(torch.zeros(200, 3, 21, 31), 0.25, 30.0)
    middle = torch.tensor([15.0, 10.0]).expand(200, 1, 2)
    assert torch.allclose(transform(middle, maps), middle, atol=1e-4)
    factor = torch.linalg.det(maps[:, :, :2]).sqrt()
    angle = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert 0.75 <= factor.min() < 0.8 and 1.2 < factor.max() <= 1.25
    assert -30 <= angle.min() < -25 and 25 < angle.max() <= 30


def test_maps_of_heatmaps_commute_with_the_codec_s_stride():
    torch.manual_seed(0)
    for codec in (DarkCodec((64, 64), (16, 16), 2), UdpCodec((64, 64), (16, 16), 2)):
        maps = random_maps(torch.zeros(5, 3, 64, 64), 0.3, 60.0)
        points = torch.rand(5, 6, 2) * 64
        one = codec.input_to_heatmap(transform(points, maps))
        other = transform(codec.input_to_heatmap(points), on_heatmaps(maps, codec))
        assert torch.allclose(one, other, atol=1e-4), codec.name


def test_a_spot_moves_as_its_map_says():
    torch.manual_seed(3)
    images = torch.zeros(6, 1, 40, 40)
    images[:, :, 14, 23] = 1.0
    maps = random_maps(images, 0.0, 40.0)
    view = resample(images, inverse(maps))
    columns, rows = (torch.arange(40.0) for _ in range(2))
    weight = view[:, 0] / view[:, 0].sum(dim=(1, 2), keepdim=True)
    found = torch.stack([(weight.sum(1) * columns).sum(1), (weight.sum(2) * rows).sum(1)], dim=1)
    expected = transform(torch.tensor([[[23.0, 14.0]]]).expand(6, 1, 2), maps)[:, 0]
    assert torch.allclose(found, expected, atol=0.15)  # the sampling of one pixel


def test_outside_is_0():
    images = torch.ones(1, 1, 8, 8)
    shift = torch.tensor([[[1.0, 0.0, 4.0], [0.0, 1.0, 0.0]]])
    assert resample(images, shift)[0, 0, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("codec_class", [CcsslCodec, DarkCodec, GaussianCodec, UdpCodec])
@pytest.mark.parametrize("sign", [1, -1])
def test_heatmaps_of_views_come_back_without_a_shift(codec_class, sign):
    """The means over many places: single ones are rounded by some codecs."""
    codec = codec_class((256, 256), (64, 64), 1)
    torch.manual_seed(0)
    places = 100 + 56 * torch.rand(400, 1, 2)
    angle = torch.deg2rad(torch.tensor(sign * 25.0))
    linear = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)
    middle = torch.tensor([127.5, 127.5])
    maps = torch.cat([linear, (middle - linear @ middle)[:, None]], dim=1).expand(400, 2, 3)
    visible = torch.ones(400, 1)
    of_view = codec.encode(transform(places, maps), visible)[0]
    back = resample(of_view, on_heatmaps(maps, codec))
    shift = mass(back) - mass(codec.encode(places, visible)[0])
    assert shift.mean(dim=0).abs().max() < 0.06


def mass(heatmaps):
    """Centres of gravity (B, 2) of heatmaps (B, 1, h, w)."""
    columns, rows = torch.arange(64.0), torch.arange(64.0)
    weight = heatmaps[:, 0] / heatmaps[:, 0].sum(dim=(1, 2), keepdim=True)
    return torch.stack([(weight.sum(1) * columns).sum(1), (weight.sum(2) * rows).sum(1)], dim=1)
