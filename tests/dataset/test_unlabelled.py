"""The training split of what has boxes and no labels."""

import json
import shutil

import pytest

from heatpose.config import load_config
from heatpose.dataset import DataError, build_dataset


@pytest.fixture
def unlabelled(toy_root, tmp_path, experiment):
    """A copy of the toy people whose training annotations have lost their keypoints, as an experiment."""
    root = tmp_path / "people"
    shutil.copytree(toy_root, root)
    path = root / "annotations" / "person_keypoints_train.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"]:
        annotation |= {"keypoints": [0] * 51, "num_keypoints": 0}
    path.write_text(json.dumps(content))
    return load_config(experiment(DATASET={"DATASET": "coco", "ROOT": str(root), "SELECT_DATA": True}))


def test_everybody_with_a_box_is_there_and_nobody_is_selected(unlabelled, experiment):
    labelled = build_dataset(load_config(experiment()), "train")
    crops = build_dataset(unlabelled, "unlabelled")
    assert len(crops) == len(labelled)
    item = crops[0, 0]
    assert item["crop"].any() and not item["visible"].any()
    assert len(crops.unvaried()) > 0


def test_training_with_labels_still_needs_them(unlabelled):
    with pytest.raises(DataError, match="labelled keypoints"):
        build_dataset(unlabelled, "train")


def test_other_splits_are_refused(unlabelled):
    with pytest.raises(ValueError, match="split is 'valid'"):
        build_dataset(unlabelled, "valid")
