"""Both encodings of UDP against its code, and the Gaussian one against a plain loop over joints."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.codecs.rendering import gaussian_maps
from heatpose.codecs.udp import UdpCodec, UdpOffsetCodec


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
