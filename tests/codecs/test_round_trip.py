"""What must hold for every codec, without reference numbers: keypoints survive, flips align, nonsense is refused."""

import copy

import numpy as np
import pytest
import torch
from easydict import EasyDict
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.codecs import CODECS, JOINT_WEIGHTS, build_codec, channels_per_joint
from heatpose.codecs.ccssl import CcsslCodec
from heatpose.codecs.dark import DarkCodec
from heatpose.codecs.gaussian import GaussianCodec
from heatpose.codecs.grmi import GrmiCodec
from heatpose.codecs.megvii import MegviiCodec
from heatpose.codecs.soft_argmax import SoftArgmaxCodec
from heatpose.codecs.udp import UdpCodec, UdpOffsetCodec
from heatpose.config.defaults import DEFAULTS

SIZE, HEATMAP = (192, 256), (48, 64)
ALIGNED = [DarkCodec, UdpCodec, UdpOffsetCodec, GrmiCodec]
SUB_PIXEL = [GaussianCodec, SoftArgmaxCodec, MegviiCodec, *ALIGNED]  # image coordinates need not be whole
CODEC_CLASSES = [CcsslCodec, *SUB_PIXEL]


def build(name, **changes):
    """The codec `name` from the default configuration with some values changed: MODEL__SIGMA=3 and so on."""
    cfg = EasyDict(copy.deepcopy(DEFAULTS))
    cfg.MODEL.CODEC = name
    for key, value in changes.items():
        section, key = key.split("__")
        cfg[section][key] = value
    return build_codec(cfg)


def interior(count, margin, seed=0, dtype=torch.float32):
    """Random points (1,count,2), heatmap px, at least `margin` px inside."""
    generator = torch.Generator().manual_seed(seed)
    room = torch.tensor([HEATMAP[0] - 1 - 2 * margin, HEATMAP[1] - 1 - 2 * margin], dtype=dtype)
    return torch.rand(1, count, 2, generator=generator, dtype=dtype) * room + margin


def to_input(codec, keypoints_heatmap):
    """The inverse of input_to_heatmap, which is affine in x and in y."""
    zero, one = codec.input_to_heatmap(torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=keypoints_heatmap.dtype))
    return (keypoints_heatmap - zero) / (one - zero)


# --- the factory --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(CODECS))
def test_every_registered_codec_does_all_five_things(name, flip_pairs):
    codec = build(name)
    assert codec.name == name and (codec.input_size, codec.heatmap_size) == (SIZE, HEATMAP)
    assert codec.inclusive_boxes == (name == "dark")
    assert codec.channels_per_joint == channels_per_joint(name)
    matrix = codec.warp_matrix(np.array([80.0, 90.0]), np.array([96.0, 128.0]))
    assert matrix.shape == (2, 3) and matrix.dtype == np.float64
    target, weight = codec.encode(torch.rand(2, 17, 2) * 190, torch.ones(2, 17))
    assert target.shape == (2, 17 * codec.channels_per_joint, 64, 48) and weight.shape == (2, 17, 1)
    flipped = codec.flip_back(target, flip_pairs)
    keypoints, scores = codec.decode((target + flipped) / 2)
    assert flipped.shape == target.shape and keypoints.shape == (2, 17, 2) and scores.shape == (2, 17)
    assert codec.to_image(keypoints, torch.rand(2, 2), torch.rand(2, 2) + 1).shape == (2, 17, 2)


@pytest.mark.parametrize("function", [channels_per_joint, build])
def test_an_unknown_codec_is_an_error_that_names_the_nearest(function):
    with pytest.raises(ValueError, match="unknown codec 'drak' .did you mean 'dark'"):
        function("drak")


def test_the_configuration_reaches_the_codecs():
    assert build("gaussian", MODEL__SIGMA=3, TEST__SHIFT_HEATMAP=True, TEST__POST_PROCESS=True).shift_heatmap
    assert build("gaussian", MODEL__SIGMA=3).sigma == 3
    assert len(build("dark", TEST__BLUR_KERNEL=17).kernel) == 17
    assert build("udp", TEST__POST_PROCESS=True).post_process and not build("udp").post_process
    assert build("udp_offset", LOSS__KPD=3.5).kpd == 3.5
    megvii = build("megvii", TEST__BLUR_KERNEL=9, TEST__SHIFT_RATIOS=[0.25, 0.125], DATASET__BOX_EXTENSION=[0.1, 0.2])
    assert (len(megvii.kernel), megvii.shift_ratios, megvii.box_extension) == (9, (0.25, 0.125), (0.1, 0.2))
    ccssl = build("ccssl", MODEL__SIGMA=3.0, MODEL__TARGET_SHAPE="cauchy")
    assert (ccssl.sigma, ccssl.target_shape) == (3.0, "cauchy")
    grmi = build("grmi", LOSS__DISK_RADIUS=382.0, TEST__VOTE_UPSAMPLING=4)
    assert (grmi.disk_radius[0], grmi.vote_upsampling) == (94.0, 4)
    soft = build("soft_argmax", TEST__BETA=100.0, TEST__BIAS=0.25)
    assert (soft.beta, soft.bias) == (100.0, 0.25)


@pytest.mark.parametrize("joints", list(JOINT_WEIGHTS))
def test_different_joints_weight_multiplies_the_weight(joints):
    codec = build("gaussian", LOSS__USE_DIFFERENT_JOINTS_WEIGHT=True, MODEL__NUM_JOINTS=joints)
    visible = torch.tensor([[1.0, 0.0] * 9])[:, :joints]
    _, weight = codec.encode(torch.full((1, joints, 2), 90.0), visible)
    torch.testing.assert_close(weight[0, :, 0], visible[0] * torch.tensor(JOINT_WEIGHTS[joints]))


def test_joint_weights_of_an_unknown_skeleton_are_an_error():
    with pytest.raises(ValueError, match="NUM_JOINTS 5.*set it to False"):
        build("udp", LOSS__USE_DIFFERENT_JOINTS_WEIGHT=True, MODEL__NUM_JOINTS=5)


# --- encode, then decode ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "limit"),
    [
        (DarkCodec(SIZE, HEATMAP, 400), 1e-3),
        (UdpCodec(SIZE, HEATMAP, 400), 1e-3),  # 1.3e-4, all of it from the blur: exact without
        (UdpOffsetCodec(SIZE, HEATMAP, 400, kpd=8.0), 1e-4),
        (UdpOffsetCodec(SIZE, HEATMAP, 400), 0.04),  # at radius 4 the blur mixes offsets with the zeros around the disk
        (GrmiCodec(SIZE, HEATMAP, 400), 1e-5),
        (GrmiCodec(SIZE, HEATMAP, 400, vote_upsampling=4), 0.01),  # upsampling mixes offsets with the zeros around
        (GaussianCodec(SIZE, HEATMAP, 400), 0.5),
        (GaussianCodec(SIZE, HEATMAP, 400, post_process=False), 0.5),
        (SoftArgmaxCodec(SIZE, HEATMAP, 400), 0.5),
        (CcsslCodec(SIZE, HEATMAP, 400), 0.5),
        # Half a pixel of rounding; all neighbours are equally high, so that the shift always points up.
        (MegviiCodec(SIZE, HEATMAP, 400), 0.75),
        (MegviiCodec(SIZE, HEATMAP, 400, shift_ratios=()), 0.5),
    ],
)
def test_interior_keypoints_survive(codec, limit):
    keypoints = interior(400, margin=8)
    target, weight = codec.encode(to_input(codec, keypoints), torch.ones(1, 400))
    found, scores = codec.decode(codec.perfect_output(target))
    assert (found - keypoints).abs().max() < limit + 1e-5
    assert (weight == 1).all() and (scores > 0.5).all()


@pytest.mark.parametrize("name", list(CODECS))
def test_the_last_training_target_is_the_encoded_one(name):
    codec = build(name)
    keypoints, visible = torch.rand(2, 17, 2) * 190, torch.ones(2, 17)
    targets, weight = codec.training_targets(keypoints, visible)
    target, expected_weight = codec.encode(keypoints, visible)
    assert torch.equal(targets[-1] if isinstance(targets, list) else targets, target)
    assert torch.equal(weight, expected_weight)


@pytest.mark.parametrize("name", list(CODECS))
def test_peak_is_the_height_of_a_joint_that_is_there(name):
    codec = build(name)
    target, _ = codec.encode(to_input(codec, torch.full((1, 17, 2), 20.0)), torch.ones(1, 17))
    torch.testing.assert_close(target[:, :: codec.channels_per_joint].amax(), torch.tensor(codec.peak))


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0])
def test_udp_is_exact_but_for_its_blur(sigma):
    codec = UdpCodec(SIZE, HEATMAP, 400, sigma=sigma)
    keypoints = interior(400, margin=12)
    blurred = (codec.decode(codec.render(keypoints, torch.ones(1, 400))[0])[0] - keypoints).abs().max()
    codec.kernel = [1.0]
    exact = (codec.decode(codec.render(keypoints, torch.ones(1, 400))[0])[0] - keypoints).abs().max()
    assert exact < 2e-5 and exact < blurred < 1e-3


@settings(max_examples=15, derandomize=True, deadline=None)
@given(
    x=st.floats(0, 600),
    y=st.floats(0, 400),
    width=st.floats(60, 500),
    codec=st.sampled_from([c(SIZE, HEATMAP, 17) for c in SUB_PIXEL]),
)
def test_keypoints_go_from_the_image_to_the_heatmap_and_back(x, y, width, codec):
    """Crop, stride and the way back belong to one convention: mixing two is off by up to a heatmap pixel."""
    center, scale = np.float32([x, y]), np.float32([width, width * 4 / 3])
    image = torch.from_numpy(np.random.default_rng(0).uniform(-0.35, 0.35, (1, 17, 2)) * scale + center)
    matrix = torch.from_numpy(codec.warp_matrix(center, scale))
    keypoints_heatmap = codec.input_to_heatmap(image @ matrix[:, :2].T + matrix[:, 2])
    found = codec.to_image(keypoints_heatmap, torch.from_numpy(center)[None], torch.from_numpy(scale)[None])
    torch.testing.assert_close(found, image, rtol=0, atol=5e-3)


@pytest.mark.parametrize("codec", [c(SIZE, HEATMAP, 6) for c in CODEC_CLASSES], ids=lambda c: c.name)
def test_hidden_joints_leave_an_empty_map_wherever_they_are(codec):
    places = [[90.0, 90], [float("nan")] * 2, [float("inf"), 9], [1e30, -1e30], [-2000, 80], [50, 9999]]
    target, weight = codec.encode(torch.tensor([places]), torch.tensor([[1.0, 0, 0, 0, 0, 0]]))
    target = target.unflatten(1, (6, -1))
    assert target.isfinite().all() and target[0, 0].any() and not target[0, 1:].any()
    assert weight[0, :, 0].tolist() == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("codec", [c(SIZE, HEATMAP, 17) for c in CODEC_CLASSES], ids=lambda c: c.name)
def test_no_people_and_broken_numbers_do_not_stop_decoding(codec):
    shape = (17 * codec.channels_per_joint, 64, 48)
    for output in (
        torch.zeros(0, *shape),
        torch.full((1, *shape), float("nan")),
        torch.full((2, *shape), float("inf")),
    ):
        keypoints, scores = codec.decode(output)
        assert keypoints.shape == (len(output), 17, 2) and not (scores.isfinite() & (scores > 0)).any()


@pytest.mark.parametrize("codec", [c(SIZE, HEATMAP, 17) for c in CODEC_CLASSES], ids=lambda c: c.name)
def test_half_precision_outputs_are_decoded_in_float32(codec):
    output = codec.perfect_output(codec.encode(to_input(codec, interior(17, margin=8)), torch.ones(1, 17))[0])
    keypoints, scores = codec.decode(output.half())
    assert keypoints.dtype == scores.dtype == torch.float32
    torch.testing.assert_close(keypoints, codec.decode(output)[0], rtol=0, atol=0.02)


# --- flips --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [c(SIZE, HEATMAP, 17) for c in CODEC_CLASSES], ids=lambda c: c.name)
def test_flipping_back_twice_changes_nothing(codec, flip_pairs):
    output = torch.randn(2, 17 * codec.channels_per_joint, 64, 48, generator=torch.Generator().manual_seed(0))
    before = output.clone()
    assert not torch.equal(codec.flip_back(output, flip_pairs), output)
    assert torch.equal(codec.flip_back(codec.flip_back(output, flip_pairs), flip_pairs), output)
    assert torch.equal(output, before), "flip_back changed its input"


@pytest.mark.parametrize("codec", [c(SIZE, HEATMAP, 17) for c in ALIGNED], ids=lambda c: c.name)
@settings(max_examples=10, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_flipped_keypoints_give_the_flipped_target(codec, flip_pairs, seed):
    keypoints = to_input(codec, interior(17, margin=2, seed=seed, dtype=torch.float64))
    swap = codec._swapped_channels(flip_pairs)[:: codec.channels_per_joint] // codec.channels_per_joint
    mirrored = torch.stack((SIZE[0] - 1 - keypoints[..., 0], keypoints[..., 1]), dim=-1)[:, swap]
    target, mirrored_target = (codec.encode(k, torch.ones(1, 17))[0] for k in (keypoints, mirrored))
    torch.testing.assert_close(codec.flip_back(mirrored_target, flip_pairs), target, rtol=0, atol=1e-6)


def test_the_standard_flip_is_off_by_three_quarters_of_a_pixel_and_the_shift_makes_up_for_it(flip_pairs):
    plain, shifted = (GaussianCodec(SIZE, HEATMAP, 400, shift_heatmap=shift, sigma=3) for shift in (False, True))
    keypoints = to_input(plain, interior(400, margin=8))
    mirrored = torch.stack((SIZE[0] - 1 - keypoints[..., 0], keypoints[..., 1]), dim=-1)
    target, _ = plain.encode(mirrored, torch.ones(1, 400))
    for codec, bias in ((plain, -0.75), (shifted, 0.25)):
        found, _ = codec.decode(codec.flip_back(target, ()))
        offset = (found - interior(400, margin=8))[..., 0].mean().item()
        assert offset == pytest.approx(bias, abs=0.05)


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianCodec((192,), HEATMAP, 17), r"input_size is \[192\], expected two whole numbers"),
        (lambda: UdpCodec((192, 256), (48, 0), 17), r"heatmap_size is \[48, 0\]"),
        (lambda: UdpCodec((192, 256), (48.5, 64), 17), r"heatmap_size is \[48.5, 64\]"),
        (lambda: DarkCodec((48, 64), (192, 256), 17), "heatmap_size .* is larger than input_size"),
        (lambda: GaussianCodec((192, 256), (64, 64), 17), "differ in aspect ratio"),
        (lambda: DarkCodec((192, 256), (64, 64), 17), "differ in aspect ratio"),
        (lambda: GaussianCodec(SIZE, HEATMAP, 0), "num_joints is 0, expected at least 1"),
        (lambda: GaussianCodec(SIZE, HEATMAP, 17, sigma=0), "sigma is 0, expected more than 0"),
        (lambda: UdpCodec(SIZE, HEATMAP, 17, sigma=-1), "sigma is -1"),
        (lambda: UdpCodec(SIZE, HEATMAP, 17, joint_weights=[1, 2]), "2 joint weights for 17 joints"),
        (lambda: DarkCodec(SIZE, HEATMAP, 17, blur_kernel=10), "blur_kernel is 10, expected an odd number"),
        (lambda: DarkCodec(SIZE, HEATMAP, 17, blur_kernel=-1), "blur_kernel is -1"),
        (lambda: MegviiCodec(SIZE, HEATMAP, 17, blur_kernel=4), "blur_kernel is 4, expected an odd number"),
        (lambda: MegviiCodec((24, 32), (6, 8), 17), "heatmap_size is .6, 8., expected sides of more than 7 px"),
        (lambda: MegviiCodec(SIZE, HEATMAP, 17, box_extension=[0.1]), r"box_extension is \[0.1\], expected two shares"),
        (lambda: MegviiCodec(SIZE, HEATMAP, 1, joint_weights=[1.5]), "joint_weights is .1.5., expected None"),
        (lambda: UdpOffsetCodec(SIZE, HEATMAP, 17, kpd=0), "kpd is 0, expected more than 0"),
        (lambda: UdpOffsetCodec((24, 32), (6, 8), 17), "more than 7 px for the blur"),
        (lambda: GrmiCodec((257, 353), (33, 45), 17, radius=5), "radius is 5, expected 5.7 input px or more"),
        (lambda: GrmiCodec(SIZE, HEATMAP, 17, vote_upsampling=0), "vote_upsampling is 0, expected 1 or more"),
        (lambda: SoftArgmaxCodec(SIZE, HEATMAP, 17, beta=0), "beta is 0, expected more than 0"),
    ],
)
def test_nonsense_is_refused_with_the_value_and_what_was_expected(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shape", [(1, 17, 48, 64), (1, 51, 64, 48), (17, 64, 48)])
def test_an_output_of_another_shape_is_refused(shape, flip_pairs):
    codec = UdpCodec(SIZE, HEATMAP, 17)
    for act in (codec.decode, lambda output: codec.flip_back(output, flip_pairs)):
        with pytest.raises(ValueError, match=r"expected \[batch, C, h, w\] with \[17, 64, 48\].*MODEL.NUM_JOINTS"):
            act(torch.zeros(shape))


# --- devices ------------------------------------------------------------------------------------------------------


@pytest.mark.cuda
@pytest.mark.parametrize("codec", [c(SIZE, HEATMAP, 17) for c in CODEC_CLASSES], ids=lambda c: c.name)
def test_cuda_agrees_with_the_cpu(codec, flip_pairs):
    keypoints = to_input(codec, interior(17, margin=4))
    target, weight = codec.encode(keypoints, torch.ones(1, 17))
    noise = 0.02 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    output = codec.flip_back(codec.perfect_output(target) + noise, flip_pairs)
    found, scores = codec.decode(output)
    image = codec.to_image(found, torch.tensor([[300.0, 200.0]]), torch.tensor([[96.0, 128.0]]))

    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")  # a training run may allow TF32; codecs do not depend on it
    cuda_target, cuda_weight = codec.encode(keypoints.cuda(), torch.ones(1, 17).cuda())
    cuda_output = codec.flip_back((codec.perfect_output(target) + noise).cuda(), flip_pairs)
    cuda_found, cuda_scores = codec.decode(cuda_output)
    boxes = torch.tensor([[300.0, 200.0]]).cuda(), torch.tensor([[96.0, 128.0]]).cuda()
    cuda_image = codec.to_image(cuda_found, *boxes)
    torch.set_float32_matmul_precision(precision)

    assert all(t.is_cuda for t in (cuda_target, cuda_weight, cuda_output, cuda_found, cuda_scores, cuda_image))
    assert torch.equal(cuda_weight.cpu(), weight) and torch.equal(cuda_output.cpu(), output)
    torch.testing.assert_close(cuda_target.cpu(), target, rtol=0, atol=2e-6)
    torch.testing.assert_close(cuda_found.cpu(), found, rtol=0, atol=1e-3)
    torch.testing.assert_close(cuda_scores.cpu(), scores, rtol=0, atol=1e-6)
    torch.testing.assert_close(cuda_image.cpu(), image, rtol=0, atol=4e-3)
