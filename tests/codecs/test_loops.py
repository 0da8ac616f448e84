"""Compiled loops on a CPU and array functions, which GPUs use, give the same maps and the same keypoints."""

import numpy as np
import pytest
import torch

from heatpose.codecs import aligned, base, blur, gaussian, rendering, udp
from heatpose.codecs.blur import blur_around, gaussian_kernel
from heatpose.codecs.gaussian import GaussianCodec, quarter_shift
from heatpose.codecs.rendering import gaussian_maps
from heatpose.codecs.udp import UdpCodec, UdpOffsetCodec
from heatpose.utils import heatmaps as reading
from heatpose.utils.heatmaps import argmax_2d

PAIRS = [(1, 2), (3, 4)]


@pytest.fixture
def by_arrays(monkeypatch):
    """Calls a function as on a GPU, without loops."""

    def call(function, *arguments):
        with monkeypatch.context() as patch:
            for module in (aligned, base, rendering):
                patch.setattr(module, "on_cpu", lambda *tensors: False)
            for module in (blur, gaussian, reading, udp):
                patch.setattr(module, "loops_take", lambda maps: False)
            return function(*arguments)

    return call


def maps(kind, size, seed=0):
    """Maps (3,5,h,w) of a kind."""
    rng = torch.Generator().manual_seed(seed)
    noise = 0.05 * torch.randn(3, 5, *size, generator=rng)
    y, x = torch.meshgrid(*(torch.arange(side, dtype=torch.float32) for side in size), indexing="ij")
    middle = torch.rand(3, 5, 2, 1, 1, generator=rng) * torch.tensor([size[1], size[0]]).view(2, 1, 1)
    squares = (x - middle[:, :, 0]).square() + (y - middle[:, :, 1]).square()
    near = (squares <= 16).float()
    content = {
        "noise": noise, "below zero": -noise.abs() - 0.1, "flat": torch.full_like(noise, 0.25), "zero": 0 * noise,
        "peaks": torch.exp(-squares / 8) + 0.1 * noise, "disks": near, "noisy disks": near + noise,
        "two of each": torch.maximum(near, near.flip(-1)),
        "one pixel": (noise == noise.amax(dim=(2, 3), keepdim=True)).float(),
    }  # fmt: skip
    return content[kind]


def blurred_argmax(heatmaps, kernel):
    """Pixels and values of the maxima of blurred disks, from the codec that looks for them."""
    people, joints, height, width = heatmaps.shape
    codec = UdpOffsetCodec((4 * width, 4 * height), (width, height), joints)
    codec.disk_kernel = kernel
    no_offset = torch.zeros_like(heatmaps)
    return codec.decode(torch.stack([heatmaps, no_offset, no_offset], dim=2).flatten(1, 2))


KINDS = ["peaks", "noise", "below zero", "flat", "zero", "disks", "noisy disks", "two of each", "one pixel"]
SIZES = [(64, 48), (9, 8), (23, 17), (12, 96), (8, 16), (15, 33), (16, 31)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_highest_of_blurred_maps_is_found_without_blurring_them(kind, size):
    for seed in range(5):
        heatmaps = maps(kind, size, seed)
        for kernel in (gaussian_kernel(15), gaussian_kernel(7)):
            pixels, scores = blurred_argmax(heatmaps, kernel)
            exact = blur.blur(heatmaps.double(), kernel, "reflect")
            torch.testing.assert_close(scores, exact.amax(dim=(2, 3)).float(), rtol=1e-6, atol=1e-7)
            x, y = pixels.long().unbind(dim=-1)
            there = exact.flatten(2).gather(2, (y * size[1] + x).unsqueeze(-1)).squeeze(-1)
            above = scores > 1e-7
            torch.testing.assert_close(there[above], exact.amax(dim=(2, 3))[above], rtol=1e-6, atol=0)
            assert not pixels[scores <= 0].any()


def test_of_equal_maxima_the_first_counts():
    two = torch.zeros(1, 1, 64, 48)
    two[0, 0, 40, 10] = two[0, 0, 20, 30] = 1
    pixels, scores = blurred_argmax(two, gaussian_kernel(15))
    assert pixels.tolist() == [[[30.0, 20.0]]]
    assert scores.item() == pytest.approx(gaussian_kernel(15)[7] ** 2)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_map_that_is_not_finite_does_no_harm_to_others(by_arrays, bad):
    clean = maps("noisy disks", (64, 48))
    heatmaps = clean.clone()
    heatmaps[1, 2, 30, 5] = bad
    others = torch.ones(3, 5, dtype=torch.bool)
    others[1, 2] = False
    codec = UdpCodec((192, 256), (48, 64), 5)
    for function in (lambda maps: blurred_argmax(maps, gaussian_kernel(7)), argmax_2d, codec.decode):
        for found, without in zip(function(heatmaps), function(clean), strict=True):
            assert torch.equal(found[others], without[others])
    pixels, scores = blurred_argmax(heatmaps, gaussian_kernel(7))
    expected_pixels, expected_scores = by_arrays(blurred_argmax, heatmaps, gaussian_kernel(7))
    torch.testing.assert_close(scores, expected_scores, equal_nan=True)
    torch.testing.assert_close(pixels, expected_pixels)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_taylor_steps_of_blurred_maps(by_arrays, kind, size):
    codec = UdpCodec((4 * size[1], 4 * size[0]), size[::-1], 5)
    for seed in range(5):
        heatmaps = maps(kind, size, seed)
        (found, scores), (expected, expected_scores) = codec.decode(heatmaps), by_arrays(codec.decode, heatmaps)
        assert torch.equal(scores, expected_scores)
        assert torch.equal(found.isnan(), expected.isnan())
        if kind == "peaks":  # elsewhere steps are quotients of differences that are nearly 0, with no digit that holds
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_maxima_and_quarter_shifts(by_arrays, kind, size):
    heatmaps = maps(kind, size)
    found, expected = argmax_2d(heatmaps), by_arrays(argmax_2d, heatmaps)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))
    for above in (0, 1):
        shifted = quarter_shift(heatmaps, found[0], above)
        assert torch.equal(shifted, by_arrays(quarter_shift, heatmaps, found[0], above))


@pytest.mark.parametrize("values", [
    [-1.0, -0.0, -2.0], [0.0, -0.0, 0.0], [-3.0, -1.0, -1.0], [float("-inf")] * 3, [1.0, float("inf"), 2.0],
    [1.0, float("nan"), 2.0], [-1.0, -float("nan"), 2.0], [float("-inf"), -5.0, float("-inf")],
])  # fmt: skip
def test_values_that_are_seldom_the_maximum(by_arrays, values):
    heatmap = torch.tensor(values).repeat(7, 1).view(1, 1, 7, 3)
    for ours, theirs in zip(argmax_2d(heatmap), by_arrays(argmax_2d, heatmap), strict=True):
        torch.testing.assert_close(ours, theirs, equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize("border", ["constant", "reflect"])
@pytest.mark.parametrize("taps", [1, 3, 7, 11, 15])
def test_windows_of_blurred_maps(by_arrays, taps, border):
    heatmaps = maps("noise", (23, 17))
    pixels = torch.stack(torch.meshgrid(torch.arange(3) * 8, torch.arange(5) * 5, indexing="ij"), dim=-1)
    for radius in (0, 1, 2):
        found = blur_around(heatmaps, pixels, radius, gaussian_kernel(taps), border)
        expected = by_arrays(blur_around, heatmaps, pixels, radius, gaussian_kernel(taps), border)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cut_off", [True, False])
def test_gaussians(by_arrays, dtype, cut_off):
    rng = torch.Generator().manual_seed(0)
    mean = torch.rand(40, 17, 2, generator=rng, dtype=dtype) * torch.tensor([80, 90]) - 15
    drawn = torch.rand(40, 17, generator=rng) < 0.8
    mean[~drawn] = float("nan")
    mean[0, 0], drawn[0, 0] = 1e30, True
    arguments = (mean, 2.0, (48, 64), drawn, mean.round() if cut_off else None)
    # The loops compute in double precision, whatever the means are in.
    expected = by_arrays(gaussian_maps, mean.double(), *arguments[1:])
    found = gaussian_maps(*arguments)
    assert found.dtype == torch.float32 and found.amax() > 0.9
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-44)


@pytest.mark.parametrize("width", [3, 7, 12])
def test_narrow_maps_have_the_bits_of_wide_ones(width):
    mean = torch.rand(40, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([40, 64])
    arguments = (mean, 1.3), torch.ones(40, dtype=torch.bool)
    wide, narrow = (gaussian_maps(*arguments[0], (side, 64), arguments[1]) for side in (48, width))
    assert (0 < wide[..., :width]).logical_and(wide[..., :width] < 2**-126).any()  # subnormal
    assert torch.equal(narrow, wide[..., :width])


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.6, 0.8])
def test_steep_gaussians(by_arrays, sigma):
    mean = torch.tensor([[[10.0, 7.0], [20.4, 11.3]]], dtype=torch.float64)
    arguments = (mean, sigma, (24, 16), torch.ones(1, 2, dtype=torch.bool), None)
    torch.testing.assert_close(gaussian_maps(*arguments), by_arrays(gaussian_maps, *arguments), rtol=1e-6, atol=1e-44)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_mirrored_by_arrays(dtype):
    codec = GaussianCodec((96, 128), (24, 32), 5)
    output = maps("noise", (32, 24)).to(dtype)
    assert torch.equal(codec.flip_back(output, PAIRS), codec.flip_back(output.float(), PAIRS).to(dtype))


def test_one_gaussian_without_a_batch(by_arrays):
    arguments = (torch.tensor([10.2, 3.7]), 1.5, (24, 16), torch.tensor(True))
    torch.testing.assert_close(gaussian_maps(*arguments), by_arrays(gaussian_maps, *arguments))


def test_disks(by_arrays):
    codec = UdpOffsetCodec((192, 256), (48, 64), 17)
    rng = torch.Generator().manual_seed(0)
    joints = torch.rand(40, 17, 2, generator=rng) * torch.tensor([260.0, 320.0]) - 30
    joints[0, :3] = torch.tensor([[float("nan")] * 2, [1e30, 5.0], [-float("inf"), 5.0]])
    visible = (torch.rand(40, 17, generator=rng) < 0.8).float()
    for ours, theirs in zip(codec.encode(joints, visible), by_arrays(codec.encode, joints, visible), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("shift", [True, False])
def test_mirrored_maps(by_arrays, shift):
    codec = GaussianCodec((96, 128), (24, 32), 5, shift_heatmap=shift)
    output = maps("noise", (32, 24))
    found = codec.flip_back(output, PAIRS)
    assert torch.equal(found, by_arrays(codec.flip_back, output, PAIRS))
    assert torch.equal(found, codec.flip_back(output.to(memory_format=torch.channels_last), PAIRS))


def test_any_layout_in_memory_is_read(by_arrays):
    codec = UdpOffsetCodec((192, 256), (48, 64), 5)
    output = torch.stack([maps(kind, (64, 48)) for kind in ("noisy disks", "noise", "noise")], dim=2).flatten(1, 2)
    expected = by_arrays(codec.decode, output)
    layouts = (output, output.to(memory_format=torch.channels_last), output.flip(0).flip(0), output.double().float())
    for each in (*layouts, torch.cat([output, output], dim=3)[..., :48]):
        for ours, theirs in zip(codec.decode(each), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_no_people_are_no_error():
    assert [len(each) for each in UdpCodec((192, 256), (48, 64), 5).decode(torch.zeros(0, 5, 64, 48))] == [0, 0]
    codec = UdpOffsetCodec((192, 256), (48, 64), 5)
    target, weight = codec.encode(torch.zeros(0, 5, 2), torch.zeros(0, 5))
    keypoints, scores = codec.decode(target)
    assert target.shape == (0, 15, 64, 48) and weight.shape == (0, 5, 1)
    assert keypoints.shape == (0, 5, 2) and scores.shape == (0, 5)
    assert codec.flip_back(target, PAIRS).shape == target.shape


def test_threads_share_the_maps_and_change_nothing():
    many = maps("noisy disks", (64, 48)).repeat(64, 1, 1, 1)  # 960 maps
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 48, (192, 5, 2)))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append([
                *blurred_argmax(many, gaussian_kernel(15)), *UdpCodec((192, 256), (48, 64), 5).decode(many),
                blur_around(many, pixels, 1, gaussian_kernel(7), "reflect"),
            ])  # fmt: skip
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_gradients_go_through_arrays():
    output = maps("noise", (32, 24)).requires_grad_()
    codec = GaussianCodec((96, 128), (24, 32), 5)
    codec.flip_back(output, PAIRS).square().sum().backward()
    torch.testing.assert_close(output.grad, 2 * output.detach())
