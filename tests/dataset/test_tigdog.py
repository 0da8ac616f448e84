"""TigDog in its own layout, made with scipy: positions, order of keypoints and of time, clips, splits, bad files."""

import json
from shutil import make_archive, rmtree

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from heatpose.config import load_config
from heatpose.dataset import build_dataset, doctor, tigdog
from heatpose.dataset.records import DataError
from heatpose.dataset.skeletons import QUADRUPED

EXPERIMENT = "experiments/animals/ccssl/tigdog.yaml"
NECK = 18
# Shots 7 and 3 come in this order, shot 5 has no landmarks, and frames 9 and 10 belong to no shot.
RANGES = {"horse": [[7, 1, 4], [5, 5, 8], [3, 11, 13]], "tiger": [[3, 1, 2], [8, 3, 5]]}
WITHOUT_LANDMARKS = [("horse", 5)]
UNSEEN = ("horse", 12)  # no landmark is present in this frame
SPLITS = {"horse": {"train": [6, 1, 0, 5, 3], "valid": [4]}, "tiger": {"train": [2, 3, 4], "valid": [1, 0]}}


def landmarks_of(animal, frame):
    """Present (19,) and position (19, 2) in a frame, MATLAB's px; landmark k tells its number by its position."""
    number = np.arange(19)
    position = np.stack([2 * number + 10 + frame, number + 20], axis=1).astype(float)
    present = number != frame % 5
    return (present & False if (animal, frame) == UNSEEN else present), position


def cell(present, position):
    """The struct of a frame as TigDog's README describes it."""
    return {"present": present[None], "position": position.T}


def save_landmarks(path, frames):
    """A K x 1 cell array of structs; `frames` are their fields."""
    cells = np.empty((len(frames), 1), object)
    cells[:, 0] = frames
    savemat(path, {"landmarks": cells})


def write_tigdog(root):
    """A small TigDog below `root`, with frames of 80 x 60 px."""
    release = root / tigdog.RELEASE
    for animal, ranges in RANGES.items():
        for folder in ("ranges", "landmarks", ""):
            (release / folder / animal).mkdir(parents=True)
        savemat(release / "ranges" / animal / "ranges.mat", {"ranges": np.array(ranges, float)})
        for shot, first, last in ranges:
            if (animal, shot) not in WITHOUT_LANDMARKS:
                frames = [cell(*landmarks_of(animal, frame)) for frame in range(first, last + 1)]
                save_landmarks(tigdog.landmark_path(root, animal, shot), frames)
        for frame in range(1, ranges[-1][2] + 1):
            image = np.full((60, 80, 3), 10 * frame, np.uint8)
            cv2.imwrite(str(release / animal / f"{frame:08d}.jpg"), image)
        (root / "splits" / animal).mkdir(parents=True)
        for name, indices in SPLITS[animal].items():
            np.save(split_path(root, animal, name), np.array(indices))
    return root


def split_path(root, animal="horse", image_set="train"):
    return root / "splits" / animal / f"{image_set}_idxs_by_video.npy"


@pytest.fixture
def root(tmp_path):
    return write_tigdog(tmp_path / "animals")


def frames_of(records):
    return records.image_names[records.image_index].tolist()


def test_frames_of_a_set_in_order_of_shots_and_time(root):
    train = tigdog.read_animals(root, ["horse", "tiger"], "train", 1.0)
    # Indices count the frames of shots with landmarks, as they come in ranges.mat; frame 12 shows nothing.
    horses = [f"horse/{frame:08d}.jpg" for frame in (1, 2, 4, 13)]
    assert frames_of(train) == [*horses, *(f"tiger/{frame:08d}.jpg" for frame in (3, 4, 5))]
    assert train.clip.tolist() == [7, 7, 7, 3, 10008, 10008, 10008]
    assert train.frame.tolist() == [0, 1, 3, 2, 0, 1, 2]
    assert train.left_out == {"without a visible keypoint": 1}
    valid = tigdog.read_animals(root, ["horse", "tiger"], "valid", 1.0)
    assert frames_of(valid) == ["horse/00000011.jpg", "tiger/00000001.jpg", "tiger/00000002.jpg"]
    assert valid.clip.tolist() == [3, 10003, 10003] and valid.left_out == {}


def test_positions_count_from_0_and_only_present_ones_are_kept(root):
    records = tigdog.read_animals(root, ["horse"], "train", 1.0)
    for row, frame in enumerate((1, 2, 4, 13)):
        present, position = landmarks_of("horse", frame)
        np.testing.assert_array_equal(records.visible[row], present[:NECK])
        np.testing.assert_array_equal(records.keypoints[row], (position - 1)[:NECK] * present[:NECK, None])


def test_tigers_keypoints_are_put_in_the_order_of_horses(root):
    records = tigdog.read_animals(root, ["tiger"], "valid", 1.0)
    present, position = landmarks_of("tiger", 1)
    # Tigers' landmarks 9 to 18: four elbows, two shoulders, four knees.
    places = {"left_eye": 1, "tail_start": 8, "left_front_knee": 15, "right_back_knee": 18, "left_shoulder": 13,
              "right_shoulder": 14, "left_front_elbow": 9, "right_back_elbow": 12}  # fmt: skip
    for name, landmark in places.items():
        keypoint = QUADRUPED.names.index(name)
        assert present[landmark - 1] == records.visible[0, keypoint]
        if present[landmark - 1]:
            np.testing.assert_array_equal(records.keypoints[0, keypoint], position[landmark - 1] - 1)


def test_crops_are_around_what_is_visible(root):
    records = tigdog.read_animals(root, ["horse"], "valid", 1.0)
    assert records.boxes.tolist() == [[20, 19, 34, 17]]  # frame 11; its second landmark is not present
    np.testing.assert_allclose(records.scale, [[51, 51]], rtol=1e-6)
    np.testing.assert_allclose(records.center, [[37, 27.5]], rtol=1e-6)


def test_a_set_of_one_animal_alone_has_the_same_clips(root):
    both, tiger = (tigdog.read_animals(root, animals, "train", 1.0) for animals in (["horse", "tiger"], ["tiger"]))
    np.testing.assert_array_equal(both.clip[-3:], tiger.clip)
    np.testing.assert_array_equal(both.keypoints[-3:], tiger.keypoints)


def as_struct_array(frames):
    table = np.zeros((1, len(frames)), [("present", object), ("position", object)])
    for place, frame in enumerate(frames):
        table[0, place] = frame["present"], frame["position"]
    return table


def as_cells(frames, shape):
    cells = np.empty(len(frames), object)
    cells[:] = frames
    return cells.reshape(shape)


def in_cells_of_their_own(frames):
    return as_cells([as_cells([frame], (1, 1)) for frame in frames], (-1, 1))


FORMS = {
    "a row": lambda frames: as_cells(frames, (1, -1)),
    "a column": lambda frames: as_cells(frames, (-1, 1)),
    "a struct array": as_struct_array,
    "cells in cells": in_cells_of_their_own,
    "the other way round": lambda frames: as_cells(
        [{"position": each["position"].T, "present": each["present"].T.astype(float)} for each in frames], (-1, 1)
    ),
    "18 landmarks": lambda frames: as_cells(
        [{"position": each["position"][:, :18], "present": each["present"][:, :18]} for each in frames], (-1, 1)
    ),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_whatever_way_matlab_writes_the_structs(tmp_path, form, count):
    fields = [landmarks_of("horse", frame) for frame in range(1, count + 1)]
    savemat(tmp_path / "1.mat", {"landmarks": FORMS[form]([cell(*each) for each in fields])})
    positions, present = tigdog.read_landmarks(tmp_path / "1.mat", count)
    np.testing.assert_array_equal(present, [each[:18] for each, _ in fields])
    np.testing.assert_array_equal(positions, [each[:18] - 1 for _, each in fields])


def test_ranges_in_columns_are_read_too(root):
    before = tigdog.read_shots(root, "tiger")
    savemat(root / tigdog.RELEASE / "ranges/tiger/ranges.mat", {"ranges": np.array(RANGES["tiger"], np.uint16).T})
    np.testing.assert_array_equal(tigdog.read_shots(root, "tiger"), before)


def test_cells_behind_the_last_frame_are_not_read(root, caplog):
    path = tigdog.landmark_path(root, "horse", 3)
    save_landmarks(path, [cell(*landmarks_of("horse", frame)) for frame in (11, 12, 13, 14)])
    assert len(tigdog.read_landmarks(path, 3)[0]) == 3
    assert "4 cells for 3 frames" in caplog.text


@pytest.fixture(scope="module")
def shared_root(tmp_path_factory):
    return write_tigdog(tmp_path_factory.mktemp("tigdog") / "animals")


@settings(max_examples=30, deadline=None)
@given(chosen=st.lists(st.sampled_from([0, 1, 2, 3, 4, 6]), unique=True, min_size=1))  # index 5 shows nothing
def test_any_order_of_the_indices_gives_clips_in_order_of_time(shared_root, chosen):
    np.save(split_path(shared_root, "horse", "any"), np.array(chosen))
    records = tigdog.read_animals(shared_root, ["horse"], "any", 1.0)
    frames = [1, 2, 3, 4, 11, 12, 13]
    assert frames_of(records) == [f"horse/{frames[index]:08d}.jpg" for index in sorted(chosen)]
    assert records.clip.tolist() == [7 if index < 4 else 3 for index in sorted(chosen)]


class TestBadFiles:
    @pytest.fixture
    def refusal(self, root):
        """A function () -> what reading the training set complains of."""

        def read():
            with pytest.raises(DataError) as caught:
                tigdog.read_animals(root, ["horse", "tiger"], "train", 1.0)
            return str(caught.value)

        return read

    @pytest.mark.parametrize(
        ("ranges", "words"),
        [
            ([[7, 1, 4], [3, 13, 11]], "[3, 13, 11] is not [number, first frame, last frame]"),
            ([[7, 1, 4], [7, 11, 13]], "number of its own"),
            ([[7, 0, 4]], "frames from 1"),
            ([[7, 1, 4.5]], "[7.0, 1.0, 4.5]"),
            ([[7, 1, np.inf]], "is not [number"),
            ([[7, 1]], "of the shape [1, 2], expected three whole numbers a shot"),
            (np.zeros((0, 3)), "of the shape [0, 3]"),
            ("text", "expected three whole numbers a shot"),
        ],
    )
    def test_ranges(self, root, refusal, ranges, words):
        path = root / tigdog.RELEASE / "ranges/horse/ranges.mat"
        savemat(path, {"ranges": np.array(ranges)})
        assert refusal().startswith(f"{path}: ") and words in refusal()

    def test_files_that_are_not_there(self, root, refusal):
        path = split_path(root)
        path.unlink()
        assert refusal().startswith(f"{path}: no such file; put CC-SSL's split files there")
        for file in (root / tigdog.RELEASE / "landmarks/horse").iterdir():
            file.unlink()
        assert "landmarks/horse: no landmarks of any shot" in refusal() and "unpack" in refusal()
        path = root / tigdog.RELEASE / "ranges/horse/ranges.mat"
        path.unlink()
        assert refusal().startswith(f"{path}: no such file; unpack the archive of TigDog's annotations")

    def test_files_that_are_something_else(self, root, refusal):
        split_path(root).write_bytes(b"not NumPy" * 9)
        assert "train_idxs_by_video.npy: not an array of numbers in NumPy's format" in refusal()
        np.save(split_path(root), np.array([{"a": 1}]), allow_pickle=True)
        assert "train_idxs_by_video.npy: not an array of numbers" in refusal()
        (root / tigdog.RELEASE / "ranges/horse/ranges.mat").write_bytes(b"not MATLAB" * 40)
        assert "ranges.mat: not a MATLAB file" in refusal()

    @pytest.mark.parametrize(
        ("indices", "words"),
        [
            ([0, 7], "has the index 7, but the shots of horse with landmarks have 7 frames, 0 to 6; is "),
            ([-1, 2], "has the index -1"),
            ([0, 2, 2], "names the index 2 twice"),
            ([0.0, 1.0], "float64 of the shape [2], expected one row of whole numbers"),
            ([[0, 1]], "of the shape [1, 2]"),
        ],
    )
    def test_splits(self, root, refusal, indices, words):
        np.save(split_path(root), np.array(indices))
        assert refusal().startswith(f"{split_path(root)}: ") and words in refusal()

    @pytest.mark.parametrize(
        ("frame", "words"),
        [
            ({"present": np.ones((1, 19))}, "cell 2 is no struct of numbers 'present' and 'position'"),
            ({"present": "yes", "position": "here"}, "cell 2 is no struct of numbers"),
            (np.zeros((0, 0)), "cell 2 is no struct of numbers"),
            (cell(np.ones(19), np.ones((17, 2))), "'present' has 19 values and 'position' the shape [2, 17]"),
            (cell(np.ones(4), np.ones((4, 2))), "of 18 landmarks or more"),
            (cell(np.ones(19), np.full((19, 2), np.nan)), "a landmark that is present has no position"),
        ],
    )
    def test_landmarks(self, root, refusal, frame, words):
        path = tigdog.landmark_path(root, "horse", 7)
        good = cell(*landmarks_of("horse", 1))
        save_landmarks(path, [good, frame, good, good])
        assert refusal().startswith(f"{path}: cell 2") and words in refusal()

    def test_too_few_landmarks(self, root, refusal):
        save_landmarks(tigdog.landmark_path(root, "horse", 7), [cell(*landmarks_of("horse", 1))] * 3)
        assert "7.mat: 'landmarks' has 3 cells, but the shot has 4 frames in ranges.mat" in refusal()
        savemat(tigdog.landmark_path(root, "horse", 7), {"other": np.ones(3)})
        assert "'landmarks' has 0 cells" in refusal()

    def test_nothing_to_see(self, root):
        np.save(split_path(root), np.array([5]))
        with pytest.raises(DataError, match="no frame of the set train has a visible landmark"):
            tigdog.read_animals(root, ["horse"], "train", 1.0)

    def test_frames_that_are_not_unpacked(self, root):
        (root / tigdog.RELEASE / "tiger").rename(root / "elsewhere")
        tigdog.image_folder(root, ["horse"])
        with pytest.raises(DataError, match=r"tiger: no such folder; unpack TigDog's tiger\.tar\.gz in .*2\.0, or"):
            tigdog.image_folder(root, ["horse", "tiger"])
        with pytest.raises(DataError, match=r"behaviorDiscovery2\.0\.zip: no such file"):
            tigdog.image_folder(root, ["horse"], "zip")

    @pytest.mark.parametrize("animals", ["[dog]", "[]", "[horse, horse]"])
    def test_animals(self, repository, animals):
        with pytest.raises(ValueError, match=r"DATASET\.ANIMALS is .*; give one or more of horse, tiger"):
            load_config(repository / EXPERIMENT, ["DATASET.ANIMALS", animals])


def test_configuration_and_reader_know_the_same_animals():
    from heatpose.config.check_data import TIGDOG_ANIMALS

    assert tuple(tigdog.ORDER) == TIGDOG_ANIMALS


def test_the_experiment_reads_it_and_the_doctor_finds_nothing(repository, root):
    cfg = load_config(repository / EXPERIMENT, ["DATASET.ROOT", str(root)])
    training, scored = build_dataset(cfg, "train"), build_dataset(cfg, "test")
    assert doctor.quick_check(training, [scored]) == []
    assert training.skeleton is scored.skeleton is QUADRUPED
    assert scored.boxes.startswith(f"boxes around the visible keypoints, 3 boxes of {root}, valid of horse, tiger (SHA")
    item = scored[0]
    assert item["crop"].shape == (1, 256, 256, 3)
    keypoints, visible = item["keypoints_input"][0].numpy(), item["visible"][0].numpy() > 0
    np.testing.assert_allclose(keypoints[visible].min(axis=0), [256 / 6, 256 / 3], atol=0.01)  # 34 x 17 px in 51 x 51
    assert abs(int(item["crop"][0, 128, 128, 0]) - 110) <= 2  # frame 11


def test_frames_in_a_zip_file(repository, root):
    make_archive(str(root / tigdog.RELEASE), "zip", root, tigdog.RELEASE)
    for animal in RANGES:
        rmtree(root / tigdog.RELEASE / animal)
    cfg = load_config(repository / EXPERIMENT, ["DATASET.ROOT", str(root), "DATASET.DATA_FORMAT", "zip"])
    assert abs(int(build_dataset(cfg, "test")[0]["crop"][0, 128, 128, 0]) - 110) <= 2


class TestCcsslsFiles:
    @pytest.fixture
    def folder(self, samples):
        if not (samples / "tigdog").is_dir():
            pytest.skip(f"no TigDog splits: {samples / 'tigdog'} does not exist")
        return samples / "tigdog"

    @pytest.mark.parametrize(("animal", "counts"), [("horse", (8380, 1772)), ("tiger", (6523, 1765))])
    def test_the_splits_are_read_and_share_no_frame(self, folder, tmp_path, animal, counts):
        (tmp_path / "splits").symlink_to(folder)
        train, valid = (tigdog.read_split(tmp_path, animal, image_set, 20_000) for image_set in ("train", "valid"))
        assert (len(train), len(valid)) == counts
        assert not np.intersect1d(train, valid).size

    def test_the_reader_takes_them(self, folder, tmp_path):
        """One long shot in place of the real ones: every index finds its frame."""
        valid = np.load(folder / "horse" / "valid_idxs_by_video.npy")
        (tmp_path / "splits").symlink_to(folder)
        for name in ("ranges", "landmarks"):
            (tmp_path / tigdog.RELEASE / name / "horse").mkdir(parents=True)
        ranges = {"ranges": np.array([[1, 1, valid[-1] + 1]])}
        savemat(tmp_path / tigdog.RELEASE / "ranges/horse/ranges.mat", ranges)
        frame = cell(np.ones(19), np.arange(38.0).reshape(19, 2))
        save_landmarks(tigdog.landmark_path(tmp_path, "horse", 1), [frame] * (valid[-1] + 1))
        records = tigdog.read_animals(tmp_path, ["horse"], "valid", 1.0)
        assert frames_of(records) == [f"horse/{index + 1:08d}.jpg" for index in valid]

    def test_the_experiments_statistics_are_theirs(self, folder, repository):
        counts = [len(np.load(folder / animal / "train_idxs_by_video.npy")) for animal in tigdog.ORDER]
        files = [json.loads((folder / animal / "mean_std_by_video.json").read_text()) for animal in tigdog.ORDER]
        model = load_config(repository / EXPERIMENT).MODEL
        for key, ours in (("mean", model.PIXEL_MEAN), ("std", model.PIXEL_STD)):
            weighted = np.average([each[key] for each in files], axis=0, weights=counts)
            np.testing.assert_allclose(ours, weighted, atol=5e-5)


def test_training_for_an_epoch(animal_tool, root, tmp_path):
    trained, checked = (animal_tool(tool, "tigdog", root) for tool in ("train", "doctor"))
    assert trained.returncode == 0, trained.stderr
    assert "7 people to train on" in trained.stdout and "| PCK@0.05 |" in trained.stdout
    results = tmp_path / "output" / "tigdog" / "pose_resnet" / "tiny" / "results"
    assert len(json.loads((results / "keypoints_valid_results.json").read_text())) == 3
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "nothing that will spoil the score" in checked.stdout
