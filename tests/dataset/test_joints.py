"""Training samples: what a codec is told of visibility, and which box the augmentation begins with."""

import numpy as np
import pytest

from heatpose.codecs import build_codec
from heatpose.config import load_config
from heatpose.dataset import build_dataset
from heatpose.utils.geometry import invert, transform_points


@pytest.fixture
def crops(experiment):
    """A function (codec, **dataset) -> training crops of the drawn people, unvaried unless DATASET says otherwise."""

    def build(codec, **dataset):
        plain = {"FLIP": False, "SCALE_FACTOR": 0.0, "ROT_FACTOR": 0.0}
        return build_dataset(load_config(experiment(MODEL={"CODEC": codec}, DATASET={**plain, **dataset})), "train")

    return build


def test_only_graded_codecs_tell_hidden_joints_from_seen_ones(crops):
    graded, plain = crops("megvii"), crops("gaussian")
    hidden = plain.records.hidden
    assert 0 < hidden.sum() < plain.records.visible.sum()
    for index in range(4):
        labelled = plain[0, index]["visible"]
        assert set(np.unique(labelled)) <= {0, 1}
        np.testing.assert_array_equal(graded[0, index]["visible"], 2 * labelled - hidden[index])


def test_without_knowledge_of_hidden_joints_all_count_as_seen(crops):
    data = crops("megvii")
    object.__setattr__(data.records, "hidden", None)
    np.testing.assert_array_equal(data[0, 0]["visible"], 2 * data.records.visible[0])


@pytest.mark.parametrize(("augmentation", "share"), [("mspn", 1.05 * 0.8), ("hrnet", 1.5)])
def test_mspn_s_augmentation_begins_with_the_annotated_box(crops, experiment, augmentation, share):
    """Without random shares its crop is 1.05 * 0.8 of the box; the other one starts from the box as it is tested."""
    data = crops("megvii", AUGMENTATION=augmentation, RANDOM_EXTENSION=[0.0, 0.0], BOX_EXTENSION=[0.5, 0.5])
    codec = build_codec(load_config(experiment(MODEL={"CODEC": "megvii"})))
    for index in range(3):
        center, (width, height) = data.records.center[index], data.records.boxes[index, 2:]
        size = share * np.array([max(width, height * 2 / 3), max(height, width * 1.5)])
        matrix = codec.warp_matrix(center, size)
        expected = transform_points(data.records.keypoints[index], matrix) * (data.records.visible[index] > 0)[:, None]
        np.testing.assert_allclose(data[0, index]["keypoints_input"], expected, atol=2e-3)
        np.testing.assert_allclose(transform_points(np.array([32, 48]), invert(matrix)), center, atol=1e-3)
