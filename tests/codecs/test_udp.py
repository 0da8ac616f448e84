"""Both encodings of UDP against its code, and the Gaussian one against a plain loop over joints."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.codecs import JOINT_WEIGHTS
from heatpose.codecs.rendering import gaussian_maps
from heatpose.codecs.udp import UdpCodec, UdpOffsetCodec


@pytest.mark.parametrize("entry", ["192x256_s2", "256x256_s2"])
@pytest.mark.parametrize(("kind", "codec"), [("gaussian", UdpCodec), ("offset", UdpOffsetCodec)])
def test_targets_are_those_of_the_fork(check_targets, sizes, kind, codec, entry):
    check_targets(codec(**sizes[entry]).encode, "udp", entry, kind=kind)


def test_joint_weights_are_those_of_the_fork(golden, sizes):
    arrays = golden("targets_udp")
    codec = UdpCodec(**sizes["192x256_s2"], joint_weights=JOINT_WEIGHTS[17])
    joints, visible = (torch.from_numpy(arrays[f"192x256_s2/{name}"]) for name in ("joints", "vis"))
    _, weight = codec.encode(joints[..., :2], visible[..., 0])
    np.testing.assert_allclose(weight, arrays["192x256_s2/gaussian_diffweight/target_weight"], rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "entry",
    [
        *(f"udp_gauss_post{post}/64x48/{maps}" for post in (0, 1) for maps in ("gauss", "mixed")),
        "udp_offset/64x48/offset",
    ],
)
def test_decode_is_that_of_the_fork(check_decode, golden, sizes, entry):
    if entry.startswith("udp_offset"):
        codec = UdpOffsetCodec(**sizes["192x256_s2"])
    else:
        codec = UdpCodec(**sizes["192x256_s2"], post_process="post1" in entry)
    keypoints = check_decode(codec, "udp", entry)
    input_space = torch.from_numpy(golden("decode_udp")[f"{entry}/input_space"])
    np.testing.assert_allclose(codec.input_to_heatmap(input_space), keypoints, rtol=0, atol=5e-3)  # 0.02 input px


def test_to_image_is_that_of_the_fork(check_transform_preds):
    check_transform_preds(lambda input_size, heatmap_size: UdpCodec(input_size, heatmap_size, 17), "udp")


def test_flip_is_that_of_the_fork(golden, sizes, flip_pairs):
    inputs, expected = golden("decode_inputs"), golden("decode_udp")
    for codec, mirrored, output, entry in (
        (UdpCodec, "gauss_flipped_raw", "gauss", "flip"),
        (UdpOffsetCodec, "offset", "offset", "flip_offset"),
    ):
        mirrored, output = (torch.from_numpy(inputs[f"64x48/{name}"]) for name in (mirrored, output))
        flipped = codec(**sizes["192x256_s2"]).flip_back(mirrored, flip_pairs)
        average = (output[: len(flipped)] + flipped) * 0.5
        names = ("flip_back", "average_noshift") if entry == "flip" else ("out", "average")
        index = expected[f"{entry}/idx"]
        np.testing.assert_array_equal(flipped.flatten()[index], expected[f"{entry}/{names[0]}"])
        np.testing.assert_allclose(average.flatten()[index], expected[f"{entry}/{names[1]}"], rtol=0, atol=1e-7)


@pytest.mark.parametrize("value", [0.0, 0.3, 1e-6, 1.0, -0.7])
def test_a_flat_map_has_no_place(value):
    """The stretched range is 0 / 0 there, as in the original; also where the value has no exact binary form."""
    heatmaps = torch.full((1, 2, 61, 45), value)
    keypoints, scores = UdpCodec((180, 244), (45, 61), 2).decode(heatmaps)
    assert keypoints.isnan().all()
    assert scores.tolist() == [[pytest.approx(value)] * 2]


def test_a_map_without_a_positive_value_stays_at_0():
    heatmaps = -torch.rand(1, 2, 64, 48, generator=torch.Generator().manual_seed(0)) - 0.1
    keypoints, scores = UdpCodec((192, 256), (48, 64), 2).decode(heatmaps)
    assert not keypoints.any() and (scores < 0).all()


def loop_decode(heatmaps):
    """UDP's Gaussian decoding one joint at a time with OpenCV: (K,2) of heatmaps (K,h,w)."""
    found = []
    for heatmap in heatmaps:
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        smooth = cv2.GaussianBlur(heatmap, (7, 7), 0)
        smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min()) * heatmap.max()
        logs = np.pad(np.log(np.clip(smooth, 0.001, 50)), 1, mode="edge")[y : y + 3, x : x + 3].astype(float)
        slope = np.array([logs[1, 2] - logs[1, 0], logs[2, 1] - logs[0, 1]]) / 2
        xx, yy = np.array([logs[1, 2] + logs[1, 0], logs[2, 1] + logs[0, 1]]) - 2 * logs[1, 1]
        xy = (logs[2, 2] - logs[1, 2] - logs[2, 1] + 2 * logs[1, 1] - logs[1, 0] - logs[0, 1] + logs[0, 0]) / 2
        found.append(np.array([x, y]) - np.linalg.solve(np.array([[xx, xy], [xy, yy]]), slope))
    return np.array(found)


@settings(max_examples=15, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**31), noise=st.sampled_from([0.0, 0.02]), sigma=st.sampled_from([1.5, 2.0, 3.0]))
def test_decode_equals_a_loop_over_joints(seed, noise, sigma):
    generator = torch.Generator().manual_seed(seed)
    centers = torch.rand(2, 17, 2, generator=generator) * torch.tensor([39.0, 49.0])
    heatmaps = gaussian_maps(centers, sigma, (40, 50), torch.ones(2, 17, dtype=torch.bool))
    heatmaps += noise * torch.randn(heatmaps.shape, generator=generator)
    keypoints, _ = UdpCodec((160, 200), (40, 50), 17).decode(heatmaps)
    expected = np.stack([loop_decode(person.numpy()) for person in heatmaps])
    np.testing.assert_allclose(keypoints, expected, rtol=0, atol=2e-3)


def test_offsets_point_from_the_pixels_of_the_disk_to_the_keypoint(sizes):
    codec = UdpOffsetCodec(**sizes["192x256_s2"], kpd=3.0)
    target, weight = codec.render(
        torch.tensor([[[20.25, 30.5], [-30.0, 5.0]]]).repeat(1, 9, 1)[:, :17], torch.ones(1, 17)
    )
    disk, offset_x, offset_y = target[0, :3]
    y, x = torch.nonzero(disk, as_tuple=True)
    assert ((x - 20.25) ** 2 + (y - 30.5) ** 2 <= 9).all() and len(x) == 28
    torch.testing.assert_close(x + 3 * offset_x[y, x], torch.full((28,), 20.25))
    torch.testing.assert_close(y + 3 * offset_y[y, x], torch.full((28,), 30.5))
    assert not target[0, 3:6].any() and weight[0, 1] == 1, (
        "a joint outside has no disk and, as in the original, its weight"
    )
