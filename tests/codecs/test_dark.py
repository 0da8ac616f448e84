"""DARK against DarkPose's code, and against a plain loop over joints."""

import cv2
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.codecs.dark import DarkCodec
from heatpose.codecs.rendering import gaussian_maps


def test_input_and_heatmap_pixels_belong_to_the_two_crops_of_a_box(sizes):
    """Encoding goes through input px; the fork maps the image to the heatmap directly, with the heatmap's own crop."""
    codec = DarkCodec(**sizes["192x256_s2"])
    as_heatmap = DarkCodec((48, 64), (48, 64), 17)
    center, scale = np.array([150.0, 90.0]), np.array([120.0, 160.0])
    image = np.random.default_rng(0).uniform(0, 300, (40, 2))
    to_input, to_heatmap = (c.warp_matrix(center, scale, 25.0) for c in (codec, as_heatmap))
    found = codec.input_to_heatmap(torch.from_numpy(image @ to_input[:, :2].T + to_input[:, 2]))
    np.testing.assert_allclose(found, image @ to_heatmap[:, :2].T + to_heatmap[:, 2], rtol=0, atol=1e-4)


def loop_decode(heatmaps, kernel):
    """DARK one joint at a time with OpenCV: (K,2) of heatmaps (K,h,w)."""
    found = []
    for heatmap in heatmaps:
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        place = np.array([x, y], float) * (heatmap.max() > 0)
        if 1 < place[0] < heatmap.shape[1] - 2 and 1 < place[1] < heatmap.shape[0] - 2:
            smooth = cv2.GaussianBlur(heatmap.astype(float), (kernel, kernel), 0, borderType=cv2.BORDER_CONSTANT)
            smooth = (smooth * heatmap.max() / smooth.max()).astype(np.float32)
            logs = np.log(np.maximum(smooth, 1e-10))
            slope = np.array([logs[y, x + 1] - logs[y, x - 1], logs[y + 1, x] - logs[y - 1, x]]) / 2
            xx, yy = logs[y, x + 2] + logs[y, x - 2], logs[y + 2, x] + logs[y - 2, x]
            xy = logs[y + 1, x + 1] + logs[y - 1, x - 1] - logs[y + 1, x - 1] - logs[y - 1, x + 1]
            hessian = np.array([[xx - 2 * logs[y, x], xy], [xy, yy - 2 * logs[y, x]]]) / 4
            if np.linalg.det(hessian) != 0:
                place -= np.linalg.solve(hessian, slope)
        found.append(place)
    return np.array(found)


@settings(max_examples=15, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**31), kernel=st.sampled_from([1, 3, 5, 7, 9, 11, 17]), noise=st.sampled_from([0.0, 0.02]))
def test_decode_equals_a_loop_over_joints(seed, kernel, noise):
    generator = torch.Generator().manual_seed(seed)
    centers = torch.rand(2, 17, 2, generator=generator) * torch.tensor([39.0, 49.0])
    heatmaps = gaussian_maps(centers, 2.0, (40, 50), torch.ones(2, 17, dtype=torch.bool))
    heatmaps += noise * torch.randn(heatmaps.shape, generator=generator)
    keypoints, _ = DarkCodec((160, 200), (40, 50), 17, blur_kernel=kernel).decode(heatmaps)
    expected = np.stack([loop_decode(person.numpy(), kernel) for person in heatmaps])
    np.testing.assert_allclose(keypoints, expected, rtol=0, atol=2e-3)


def test_single_pixels_that_the_blur_leaves_with_zeros_around_them():
    """Zeros within reach of the second differences are where restoring the maximum matters."""
    heatmaps = torch.zeros(1, 17, 50, 40)
    heatmaps[0, torch.arange(17), torch.arange(10, 27), torch.arange(8, 25)] = torch.linspace(0.1, 2, 17)
    heatmaps[0, torch.arange(17), torch.arange(10, 27), torch.arange(9, 26)] = torch.linspace(0.05, 1, 17)
    keypoints, _ = DarkCodec((160, 200), (40, 50), 17, blur_kernel=3).decode(heatmaps)
    np.testing.assert_allclose(keypoints[0], loop_decode(heatmaps[0].numpy(), 3), rtol=0, atol=2e-3)
    moved = keypoints[0, :, 0] - torch.arange(8, 25)
    assert (moved > 0.01).all() and (moved < 0.5).all()
