"""Comparisons with the reference numbers that the tests of all codecs share."""

import numpy as np
import pytest
import torch

FLIP_PAIRS = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))


@pytest.fixture(scope="session")
def flip_pairs():
    return FLIP_PAIRS


@pytest.fixture(scope="session")
def sizes():
    """Sizes of the references by the name of their entry, as arguments of a codec."""
    return {
        "192x256_s2": {"input_size": (192, 256), "heatmap_size": (48, 64), "num_joints": 17},
        "256x256_s2": {"input_size": (256, 256), "heatmap_size": (64, 64), "num_joints": 17},
    }


@pytest.fixture
def check_decode(golden):
    """A function that compares a codec's decode and to_image with one entry of decode_<fork>."""
    inputs = golden("decode_inputs")

    def check(codec, fork, entry):
        output = torch.from_numpy(inputs[entry.split("/", 1)[1]])
        before = output.clone()
        keypoints, scores = codec.decode(output)
        center, scale = (torch.from_numpy(inputs[name][: len(output)]) for name in ("center", "scale"))
        keypoints_image = codec.to_image(keypoints, center, scale * 200)
        assert torch.equal(output, before), "decode changed its input"
        assert keypoints.dtype == scores.dtype == torch.float32
        expected = golden(f"decode_{fork}")
        np.testing.assert_allclose(keypoints, expected[f"{entry}/hm_coords"], rtol=0, atol=2e-3)
        np.testing.assert_allclose(keypoints_image, expected[f"{entry}/img_coords"], rtol=0, atol=1e-2)
        np.testing.assert_allclose(scores, expected[f"{entry}/maxvals"][..., 0], rtol=0, atol=1e-6)
        return keypoints

    return check


@pytest.fixture
def check_targets(golden):
    """A function that compares encode (or render) with every array of one entry of targets_<fork>.

    The references were made from float64 joints; float32 joints are off by 1e-5 px and are compared by the caller.
    """

    def check(encode, fork, entry, kind="gaussian", dense=False):
        arrays = golden(f"targets_{fork}")
        expected = {
            name.rsplit("/", 1)[1]: arrays[name] for name in arrays.files if name.startswith(f"{entry}/{kind}/")
        }
        joints, visible = (torch.from_numpy(arrays[f"{entry}/{name}"]) for name in ("joints", "vis"))
        target, weight = encode(joints[..., :2], visible[..., 0])
        assert target.dtype == weight.dtype == torch.float32
        np.testing.assert_array_equal(weight, expected.pop("target_weight"))
        maps = target.double().numpy()
        (whole,) = (name for name in expected if name.startswith("target_first"))
        whole_maps = expected.pop(whole)
        np.testing.assert_allclose(maps[: len(whole_maps)], whole_maps, rtol=0, atol=1e-6)
        for name, (value, rtol, atol) in _statistics(maps, dense).items():
            np.testing.assert_allclose(value, expected.pop(name), rtol=rtol, atol=atol, err_msg=name)
        argmax = maps.reshape(*maps.shape[:2], -1).argmax(axis=2)
        drawn = maps.max(axis=(2, 3)) > 0
        np.testing.assert_array_equal(argmax[drawn], expected.pop("argmax")[drawn])
        assert not expected, f"not compared: {list(expected)}"

    return check


def _statistics(maps, dense):
    """name -> (value, relative, absolute tolerance) of maps (B,C,h,w); signed offsets cancel in sums."""
    y, x = np.mgrid[: maps.shape[2], : maps.shape[3]]
    both = (2, 3)
    return {
        "sum": (maps.sum(both), 1e-5, 1e-5),
        "sumsq": ((maps**2).sum(both), 1e-5, 1e-5),
        "nonzero": ((maps != 0).sum(both), 0.02 if dense else 0, 0),
        "max": (maps.max(both), 0, 1e-6),
        "moment": (np.stack([(maps * x).sum(both), (maps * y).sum(both)], axis=-1), 1e-5, 1e-4),
    }


@pytest.fixture
def check_transform_preds(golden):
    """A function that compares to_image, for the heatmap sizes the references have, with transform_preds of a fork."""

    def check(make_codec, fork):
        arrays = golden(f"geometry_{fork}")
        points, center, scale = (torch.from_numpy(arrays[name]) for name in ("hm_points", "cs/center", "cs/scale"))
        for width, height in ((48, 64), (72, 96), (24, 32)):
            codec = make_codec((4 * width, 4 * height), (width, height))
            keypoints_image = codec.to_image(points, center, scale * 200)
            expected = arrays[f"transform_preds/{width}x{height}"]
            np.testing.assert_allclose(keypoints_image, expected, rtol=0, atol=2e-3)

    return check
