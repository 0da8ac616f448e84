"""CC-SSL's synthetic animals in their own layout: split, order, crops, files that are absent or shaped otherwise."""

import json

import cv2
import numpy as np
import pytest

from heatpose.config import load_config
from heatpose.dataset import build_dataset, doctor, synthetic_animals
from heatpose.dataset.records import DataError
from heatpose.dataset.skeletons import QUADRUPED

EXPERIMENT = "experiments/animals/ccssl/tigdog.yaml"
COUNTS = {"horse": 11, "tiger": 5}
UNSEEN = ("horse", 2)  # no keypoint of this image is visible


def keypoints_of(animal, number):
    """(18, 3): a slanted line, moved right by the image's number; one keypoint is not visible."""
    place = np.arange(18.0)
    visible = (place != number) * ((animal, number) != UNSEEN)
    return np.stack([2 * place + 10 + number, place + 20, visible], axis=1)


@pytest.fixture
def root(tmp_path):
    """A small data set with images of 80 x 60 px."""
    for animal, count in COUNTS.items():
        folder = tmp_path / "animals" / "synthetic_animal" / f"{animal}_combineds5r5_texture"
        folder.mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / f"{number}_img.png"), np.full((60, 80, 3), 20 * number, np.uint8))
            np.save(folder / f"{number}_kpts.npy", keypoints_of(animal, number))
    return tmp_path / "animals"


def numbers_of(records):
    return [name.split("_combineds5r5_texture/")[1] for name in records.image_names[records.image_index].tolist()]


def test_the_first_four_fifths_by_number_are_to_train_on(root):
    train, valid = (synthetic_animals.read_animals(root, list(COUNTS), name, 1.0) for name in ("train", "valid"))
    assert numbers_of(train) == [f"{n}_img.png" for n in (0, 1, 3, 4, 5, 6, 7, 0, 1, 2, 3)]
    assert numbers_of(valid) == [f"{n}_img.png" for n in (8, 9, 10, 4)]
    assert valid.image_names[-1].startswith("tiger_")
    assert train.left_out == {"without a visible keypoint": 1} and valid.left_out == {}
    assert train.clip is None


def test_keypoints_and_crops(root):
    records = synthetic_animals.read_animals(root, ["horse"], "train", 1.0)
    expected = keypoints_of("horse", 3)
    np.testing.assert_array_equal(records.visible[2], expected[:, 2])
    np.testing.assert_array_equal(records.keypoints[2], expected[:, :2] * expected[:, 2:])
    assert records.boxes[2].tolist() == [13, 20, 34, 17]
    np.testing.assert_allclose(records.scale[2], [51, 51], rtol=1e-6)


class TestBadFiles:
    @pytest.fixture
    def folder(self, root):
        return root / "synthetic_animal" / "horse_combineds5r5_texture"

    @pytest.fixture
    def refusal(self, root):
        """A function (set) -> what reading the horses complains of."""

        def read(image_set="train"):
            with pytest.raises(DataError) as caught:
                synthetic_animals.image_folder(root, ["horse"])
                synthetic_animals.read_animals(root, ["horse"], image_set, 1.0)
            return str(caught.value)

        return read

    def test_no_data(self, folder, refusal):
        for file in folder.glob("*_kpts.npy"):
            file.unlink()
        assert "0 files <number>_kpts.npy, too few for the set train; expected one beside each" in refusal()
        folder.rename(folder.parent / "elsewhere")
        assert refusal().startswith(f"{folder}: no such folder; put CC-SSL's synthetic horses there, <number>_img.png")

    def test_sets(self, refusal):
        assert "have no set 'val'; set DATASET.TRAIN_SET train and DATASET.TEST_SET valid" in refusal("val")

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (np.zeros((3, 18)), "float64 of the shape [3, 18], expected numbers of the shape [18, 3]; write x, y"),
            (np.zeros((18, 3), "U1"), "<U1 of the shape [18, 3]"),
            (np.full((18, 3), np.nan), "a visible keypoint is no finite number"),
        ],
    )
    def test_keypoints(self, folder, refusal, array, words):
        np.save(folder / "5_kpts.npy", array)
        assert refusal().startswith(f"{folder / '5_kpts.npy'}: ") and words in refusal()

    def test_python_objects_are_not_unpickled(self, folder, refusal):
        np.save(folder / "5_kpts.npy", np.array([{"x": 1}]), allow_pickle=True)
        assert f"{folder / '5_kpts.npy'}: not an array of numbers in NumPy's format" in refusal()

    def test_names(self, folder, refusal):
        np.save(folder / "first_kpts.npy", keypoints_of("horse", 1))
        assert "first_kpts.npy: expected a name like 17_kpts.npy" in refusal()

    def test_nothing_to_see(self, folder, refusal):
        for number in range(COUNTS["horse"]):
            np.save(folder / f"{number}_kpts.npy", np.zeros((18, 3)))
        assert "no keypoint of the set train is visible" in refusal()

    def test_an_image_that_is_missing(self, repository, root, folder):
        (folder / "9_img.png").unlink()
        cfg = load_config(repository / EXPERIMENT, ["DATASET.DATASET", "synthetic_animals", "DATASET.ROOT", str(root)])
        found = doctor.quick_check(build_dataset(cfg, "train"), [build_dataset(cfg, "test")])
        assert any("horse_combineds5r5_texture/9_img.png" in str(each) for each in found)


def test_training_for_an_epoch(animal_tool, root, tmp_path):
    trained = animal_tool("train", "synthetic_animals", root)
    assert trained.returncode == 0, trained.stderr
    assert "11 people to train on" in trained.stdout and "| PCK@0.05 |" in trained.stdout
    results = tmp_path / "output" / "synthetic_animals" / "pose_resnet" / "tiny" / "results"
    assert len(json.loads((results / "keypoints_valid_results.json").read_text())) == 4


def test_the_doctor_finds_nothing(repository, root):
    cfg = load_config(repository / EXPERIMENT, ["DATASET.DATASET", "synthetic_animals", "DATASET.ROOT", str(root)])
    training, scored = build_dataset(cfg, "train"), build_dataset(cfg, "test")
    assert doctor.quick_check(training, [scored]) == []
    assert training.skeleton is scored.skeleton is QUADRUPED
    assert training[0, 0]["crop"].shape == (256, 256, 3)
