"""CC-SSL's convention against its own code, whose coordinates are ours plus 1, and plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heatpose.codecs.ccssl import CcsslCodec
from heatpose.codecs.gaussian import GaussianCodec
from heatpose.dataset.augment import mirror_keypoints
from heatpose.dataset.skeletons import QUADRUPED
from heatpose.utils.geometry import transform_points

SIDE = 64


def codec(joints=18, sigma=1, **arguments):
    return CcsslCodec((256, 256), (SIDE, SIDE), joints, sigma=sigma, **arguments)


def matrices(file, group, make):
    boxes = zip(file[f"{group}/center"], file[f"{group}/scale"] * 200, file[f"{group}/rot"], strict=True)
    return [make.warp_matrix(center, np.array([side, side]), rotation) for center, side, rotation in boxes]


# --- reference numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [64, 256])
def test_crop_matrices(golden, side):
    file = golden("geometry_animals")
    found = np.stack(matrices(file, "cs", CcsslCodec((side, side), (8, 8), 18)))
    np.testing.assert_allclose(found, file[f"get_transform/{side}"][:, :2], rtol=1e-6, atol=1e-9)


def test_points_on_the_heatmap_are_cut_off(golden):
    file = golden("geometry_animals")
    for points, matrix, expected in zip(
        file["points"], matrices(file, "cs", codec()), file["transform/fwd_64"], strict=True
    ):
        places = codec().input_to_heatmap(torch.from_numpy(transform_points(points - 1, matrix)))
        np.testing.assert_array_equal(torch.trunc(places) + 1, expected)


@pytest.mark.parametrize("name", ["transform/inv_64", "transform_preds"])
def test_points_in_the_image_are_whole(golden, name):
    file = golden("geometry_animals")
    scale = torch.from_numpy(file["cs/scale"] * 200)[:, None].expand(-1, 2)
    points = torch.from_numpy(file["hm_points"]) - 1
    found = codec().to_image(points.double(), torch.from_numpy(file["cs/center"]), scale)
    np.testing.assert_array_equal(found + 1, file[name])


def test_targets_of_training_samples(golden):
    file = golden("targets_animals")
    points, visible = file["ds/pts"][..., :2], file["ds/pts"][..., 2]
    drawn = points[..., 1] > 0  # the original leaves the others out, and their weight as it is
    keypoints = np.stack(
        [transform_points(each, m) for each, m in zip(points, matrices(file, "ds", codec()), strict=True)]
    )
    target, weight = codec().encode(torch.from_numpy(keypoints), torch.from_numpy(visible * drawn))
    np.testing.assert_allclose(target, file["ds/target_first64"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(weight[..., 0].numpy()[drawn], file["ds/target_weight"][..., 0][drawn])
    assert drawn.sum() > 500 and (weight[..., 0].numpy() < visible)[drawn].any()


@pytest.mark.parametrize("maps", ["gauss", "mixed"])
def test_decoded_points(golden, maps):
    file, inputs = golden("decode_animals"), golden("decode_inputs")
    output = torch.from_numpy(inputs[f"animals/{maps}"])
    keypoints, scores = codec().decode(output)
    center = torch.from_numpy(inputs["center"][: len(output)])
    scale = torch.from_numpy(inputs["animals/scale"][: len(output)] * 200)[:, None].expand(-1, 2)
    np.testing.assert_array_equal(codec().to_image(keypoints, center, scale) + 1, file[f"animals/{maps}/final_preds"])
    assert torch.equal(scores, output.amax(dim=(2, 3)))


def test_flipping_back(golden):
    file = golden("geometry_animals")
    found = CcsslCodec((32, 32), (8, 8), 18).flip_back(torch.from_numpy(file["flip_back/in"]), QUADRUPED.flip_pairs)
    np.testing.assert_array_equal(found, file["flip_back/out"])


def test_the_original_mirrors_keypoints_one_pixel_too_far_to_the_right(golden):
    """It takes x to width - x, and the image's pixel x to width - 1 - x. Here both go to width - 1 - x."""
    file = golden("geometry_animals")
    for points, expected in zip(file["shufflelr/in"].astype(np.float64), file["shufflelr/out"], strict=True):
        mirrored, visible = mirror_keypoints(points[:, :2], points[:, 2], 300, QUADRUPED.flip_pairs)
        np.testing.assert_allclose(mirrored + [1, 0], expected[:, :2], rtol=1e-6)
        np.testing.assert_array_equal(visible, expected[:, 2])


# --- plain loops ----------------------------------------------------------------------------------------------------


def loop_target(x, y, sigma, shape):
    """One joint's map, pixel by pixel, of whole x and y."""
    heatmap = np.zeros((SIDE, SIDE))
    for row in range(max(y - 3 * sigma, 0), min(y + 3 * sigma + 1, SIDE)):
        for column in range(max(x - 3 * sigma, 0), min(x + 3 * sigma + 1, SIDE)):
            square = (column - x) ** 2 + (row - y) ** 2
            bell = np.exp(-square / (2 * sigma**2)), sigma / (square + sigma**2) ** 1.5
            heatmap[row, column] = bell[shape == "cauchy"]
    return heatmap


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    x=st.floats(-60, 310),
    y=st.floats(-60, 310),
    sigma=st.sampled_from([1, 2, 3]),
    shape=st.sampled_from(["gaussian", "cauchy"]),
)
def test_targets_equal_a_loop_over_pixels(x, y, sigma, shape):
    make = codec(1, sigma, target_shape=shape)
    target, weight = make.encode(torch.tensor([[[x, y]]], dtype=torch.float64), torch.ones(1, 1))
    expected = loop_target(int(x / 4), int(y / 4), sigma, shape)
    np.testing.assert_allclose(target[0, 0], expected, rtol=0, atol=1e-6)
    assert weight.item() == 1 or not expected.any()
    if expected.max() > 0.99 * make.peak:
        assert make.heatmaps(target).amax().item() == pytest.approx(1)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(x=st.floats(0, 255.99), y=st.floats(0, 255.99), shape=st.sampled_from(["gaussian", "cauchy"]))
def test_keypoints_on_the_map_come_back_as_the_middle_of_their_cell(x, y, shape):
    make = codec(1, 2, target_shape=shape)
    target, _ = make.encode(torch.tensor([[[x, y]]], dtype=torch.float64), torch.ones(1, 1))
    keypoints, _ = make.decode(target)
    assert keypoints[0, 0].tolist() == [int(x / 4) + 0.5, int(y / 4) + 0.5]


@settings(max_examples=40, derandomize=True, deadline=None)
@given(x=st.floats(-500, 900), y=st.floats(-500, 900), width=st.floats(40, 700))
def test_image_coordinates_are_those_of_the_standard_heatmap_cut_off(x, y, width):
    center, scale = torch.tensor([[x, y]], dtype=torch.float64), torch.full((1, 2), width, dtype=torch.float64)
    keypoints = torch.rand(1, 18, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * SIDE
    standard = GaussianCodec((256, 256), (SIDE, SIDE), 18).to_image(keypoints, center, scale)
    found = codec().to_image(keypoints, center, scale)
    assert torch.equal(found, found.round()) and found.dtype == keypoints.dtype
    cut = (standard - found) * standard.sign()  # toward zero
    assert cut.min() > -1e-9 and cut.max() < 1 + 1e-9


@settings(max_examples=40, derandomize=True, deadline=None)
@given(x=st.floats(-500, 900), y=st.floats(-500, 900), width=st.floats(40, 700), rotation=st.floats(-80, 80))
def test_the_crop_is_the_standard_one(x, y, width, rotation):
    center, scale = np.array([x, y]), np.array([width, width])
    standard = GaussianCodec((256, 256), (SIDE, SIDE), 18).warp_matrix(center, scale, rotation)
    np.testing.assert_allclose(codec().warp_matrix(center, scale, rotation), standard, rtol=1e-3, atol=2e-2)


# --- quirks ---------------------------------------------------------------------------------------------------------


def test_only_the_border_pixels_are_not_shifted():
    heatmaps = torch.zeros(1, 4, SIDE, SIDE)
    for joint, x in enumerate((0, 1, 62, 63)):
        heatmaps[0, joint, 30, x] = 1.0
        heatmaps[0, joint, 30, x + 1 if x < 32 else x - 1] = 0.5
    assert codec(4).decode(heatmaps)[0][0, :, 0].tolist() == [0.5, 1.75, 62.25, 63.5]


def test_what_is_not_found_lies_above_and_left_of_the_map():
    keypoints, scores = codec(2).decode(torch.full((1, 2, SIDE, SIDE), -0.5))
    assert keypoints.tolist() == [[[-0.5, -0.5]] * 2] and scores.tolist() == [[-0.5, -0.5]]


def test_cutting_off_goes_toward_zero_on_both_sides_of_it():
    target, _ = codec(2).render(torch.tensor([[[-0.9, 5.9], [0.9, 5.1]]]), torch.ones(1, 2))
    assert target.flatten(2).argmax(dim=2).tolist() == [[5 * SIDE, 5 * SIDE]]


def test_a_joint_just_outside_keeps_its_weight_with_an_empty_map():
    places = torch.tensor([[[-4.0, 20.0], [-5.0, 20.0], [66.9, 20.0], [67.0, 20.0]]])
    target, weight = codec(4).render(places, torch.ones(1, 4))
    assert weight[0, :, 0].tolist() == [1, 0, 1, 0]
    assert [bool(heatmap.any()) for heatmap in target[0]] == [False, False, True, False]


@pytest.mark.parametrize("of_labels", [False, True])
def test_flipped_keypoints_fall_into_the_mirrored_cell(of_labels):
    """By the original's rule for labels but where a cell begins; by that for images but in its last quarter."""
    x = torch.arange(32, 224, 0.5)
    keypoints = torch.stack((x, torch.full_like(x, 60.0)), dim=-1)[:, None]
    mirrored = torch.stack((256 - int(not of_labels) - x, keypoints[:, 0, 1]), dim=-1)[:, None]
    target, mirrored_target = (codec(1).encode(each, torch.ones(len(x), 1))[0] for each in (keypoints, mirrored))
    same = (codec(1).flip_back(mirrored_target, ()) == target).all(dim=(1, 2, 3))
    assert torch.equal(same, x % 4 > 0 if of_labels else x % 4 <= 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma": 0}, "sigma is 0, expected more than 0"),
        ({"target_shape": "box"}, "target_shape is 'box', expected gaussian or cauchy"),
        ({"joint_weights": [1.0]}, "1 joint weights for 18 joints"),
    ],
)
def test_nonsense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        codec(**arguments)
