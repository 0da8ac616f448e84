"""The standard heatmap against HRNet's, SimpleBaselines' and LPN's code."""

import numpy as np
import pytest
import torch

from heatpose.codecs import JOINT_WEIGHTS
from heatpose.codecs.gaussian import GaussianCodec, quarter_shift


@pytest.mark.parametrize("entry", ["192x256_s2", "256x256_s2"])
def test_targets_are_those_of_the_fork(check_targets, sizes, entry):
    check_targets(GaussianCodec(**sizes[entry]).encode, "hrnet", entry)


def test_joint_weights_are_those_of_the_fork(golden, sizes):
    arrays = golden("targets_hrnet")
    codec = GaussianCodec(**sizes["192x256_s2"], joint_weights=JOINT_WEIGHTS[17])
    joints, visible = (torch.from_numpy(arrays[f"192x256_s2/{name}"]) for name in ("joints", "vis"))
    _, weight = codec.encode(joints[..., :2], visible[..., 0])
    np.testing.assert_allclose(weight, arrays["192x256_s2/gaussian_diffweight/target_weight"], rtol=0, atol=1e-7)


@pytest.mark.parametrize("maps", ["gauss", "mixed"])
@pytest.mark.parametrize("post_process", [False, True])
@pytest.mark.parametrize("fork", ["sb", "hrnet", "lpn"])
def test_decode_is_that_of_the_forks(check_decode, sizes, fork, post_process, maps):
    codec = GaussianCodec(**sizes["192x256_s2"], post_process=post_process)
    check_decode(codec, fork, f"std_post{int(post_process)}/64x48/{maps}")


@pytest.mark.parametrize("maps", ["gauss", "mixed"])
def test_maxima_are_those_of_the_fork(golden, sizes, maps):
    expected = golden("decode_hrnet")
    codec = GaussianCodec(**sizes["192x256_s2"], post_process=False)
    keypoints, scores = codec.decode(torch.from_numpy(golden("decode_inputs")[f"64x48/{maps}"]))
    np.testing.assert_array_equal(keypoints, expected[f"argmax/64x48/{maps}/preds"])
    np.testing.assert_array_equal(scores, expected[f"argmax/64x48/{maps}/maxvals"][..., 0])


def test_to_image_is_that_of_the_fork(check_transform_preds):
    check_transform_preds(lambda input_size, heatmap_size: GaussianCodec(input_size, heatmap_size, 17), "hrnet")


@pytest.mark.parametrize(("shift", "entry"), [(False, "flip_back"), (True, "shifted")])
def test_flip_is_that_of_the_fork(golden, sizes, flip_pairs, shift, entry):
    inputs, expected = golden("decode_inputs"), golden("decode_hrnet")
    output, mirrored = (torch.from_numpy(inputs[f"64x48/{name}"]) for name in ("gauss", "gauss_flipped_raw"))
    flipped = GaussianCodec(**sizes["192x256_s2"], shift_heatmap=shift).flip_back(mirrored, flip_pairs)
    index = expected["flip/idx"]
    np.testing.assert_array_equal(flipped.flatten()[index], expected[f"flip/{entry}"])
    average = ((output[:4] + flipped) * 0.5).flatten()[index]
    entry = "average_shift" if shift else "average_noshift"
    np.testing.assert_allclose(average, expected[f"flip/{entry}"], rtol=0, atol=1e-7)


def test_column_0_keeps_its_value_when_the_flipped_map_moves(sizes):
    output = torch.arange(48.0).expand(1, 17, 64, 48)
    flipped = GaussianCodec(**sizes["192x256_s2"], shift_heatmap=True).flip_back(output, ())
    assert flipped[0, 0, 0].tolist() == [47, *range(47, 0, -1)]


def test_quarter_shift_leaves_out_row_and_column_1():
    heatmaps = torch.zeros(1, 3, 8, 8)
    for joint, x in enumerate((1, 2, 6)):
        heatmaps[0, joint, 4, x], heatmaps[0, joint, 4, x + 1] = 1.0, 0.5
    keypoints = torch.tensor([[[1.0, 4.0], [2.0, 4.0], [6.0, 4.0]]])
    assert quarter_shift(heatmaps, keypoints)[0, :, 0].tolist() == [1.0, 2.25, 6.25]


def test_a_joint_just_outside_keeps_its_weight_with_an_empty_map(sizes):
    """The originals' border test is strict: a window that ends one pixel before the map counts as inside."""
    codec = GaussianCodec(**sizes["192x256_s2"])
    target, weight = codec.render(
        torch.tensor([[[-7.6, 20.0], [-8.5, 20.0], [53.0, 20.0], [54.0, 20.0]]]), torch.ones(1, 4)
    )
    assert weight[0, :, 0].tolist() == [1, 0, 1, 0]
    assert [bool(heatmap.any()) for heatmap in target[0]] == [False, False, True, False]
