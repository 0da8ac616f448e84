"""MPII's files -> records: the forks' boxes, and mistakes named."""

import copy
import json

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from heatpose.codecs.dark import DarkCodec
from heatpose.codecs.gaussian import GaussianCodec
from heatpose.codecs.udp import UdpCodec
from heatpose.config import load_config
from heatpose.dataset import DataError, build_dataset, mpii
from heatpose.dataset.skeletons import MPII
from heatpose.utils.geometry import transform_points


def person(**changes):
    base = {"image": "a.jpg", "center": [101.0, 201.0], "scale": 2.0, "joints": [[11.0, 21.0]] * 16,
            "joints_vis": [1] * 16}  # fmt: skip
    return {**base, **changes}


@pytest.fixture
def read(tmp_path):
    """A function (content) -> records of a file with that content."""

    def call(content, **kwargs):
        path = tmp_path / "valid.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return mpii.read_people(path, **kwargs)

    return call


def truth_file(root, count, image_set="valid", order=range(16), **changes):
    """Writes gt_<set>.mat of `count` people, joints in `order`; gives its arrays in MPII's order."""
    rng = np.random.default_rng(0)
    arrays = {
        "jnt_missing": rng.integers(0, 2, (16, count)).astype(np.uint8),
        "pos_gt_src": rng.uniform(1, 200, (16, 2, count)),
        "headboxes_src": rng.uniform(1, 200, (2, 2, count)),
    }
    order = list(order)
    names = np.empty((1, 16), object)
    names[0] = [mpii.MAT_NAMES[i] for i in order]
    content = {key: value[order] if len(value) == 16 else value for key, value in arrays.items()}
    (root / "annot").mkdir(exist_ok=True)
    savemat(root / "annot" / f"gt_{image_set}.mat", {"dataset_joints": names, **content, **changes})
    return arrays


def test_the_box_moves_down_and_grows_unless_it_has_no_centre(read):
    found = read([person(), person(center=[-1.0, 201.0]), person(image="b.jpg"), person()])
    assert found.center.tolist() == [[100, 230], [-2, 200], [100, 230], [100, 230]]
    assert found.scale.tolist() == [[500, 500], [400, 400], [500, 500], [500, 500]]
    assert found.boxes[0].tolist() == [-100, 0, 400, 400]
    assert found.keypoints[0, 0].tolist() == [10, 20]
    assert found.image_names[found.image_index].tolist() == ["a.jpg", "a.jpg", "b.jpg", "a.jpg"]
    assert found.image_ids.tolist() == [0, 1]


def test_mspn_s_box_grows_by_shares_of_its_own(read):
    found = read([person()], extension=(0.25, 0.25))
    assert (found.center.tolist(), found.scale.tolist()) == ([[100, 230]], [[500, 500]])
    found = read([person()], extension=(0.5, 0.25), aspect_ratio=0.75)
    np.testing.assert_allclose(found.scale, [[600, 800]])


def test_missing_joints_are_invisible_and_lie_at_minus_2(read):
    joints, visible = [[-1.0, -1.0]] + [[5.0, 6.0]] * 15, [0] + [1] * 15
    found = read([person(joints=joints, joints_vis=visible)])
    assert found.keypoints[0, 0].tolist() == [-2, -2]
    assert found.visible[0].tolist() == visible


def test_the_test_set_has_no_joints(read):
    bare = {key: value for key, value in person().items() if "joints" not in key}
    found = read([bare], has_joints=False)
    assert found.visible.sum() == 0
    assert mpii.is_test_set("test")
    assert not mpii.is_test_set("trainval")


def test_the_whole_validation_set(samples):
    found = mpii.read_people(samples / "mpii/annot/valid.json")
    assert len(found) == 2958
    assert len(found.image_names) == 2729
    truth = mpii.read_truth(samples / "mpii", "valid", len(found))
    both = truth["visible"] & (found.visible > 0)
    distance = np.linalg.norm(truth["truth"] - 1 - found.keypoints, axis=2)[both]
    assert np.quantile(distance, 0.999) < 2  # one order of people and of joints in both files


def test_the_skeleton_is_whole():
    assert len(MPII.names) == len(set(MPII.names)) == 16
    for first, second in MPII.flip_pairs:
        assert MPII.names[first].replace("right", "left") == MPII.names[second]
    paired = {joint for pair in MPII.flip_pairs for joint in pair}
    assert {MPII.names[i] for i in set(range(16)) - paired} == {"pelvis", "thorax", "upper_neck", "head_top"}
    assert {joint for limb in MPII.limbs for joint in limb} == set(range(16))


class TestCropsOfSquareBoxes:
    """MPII's boxes are square whatever the input is."""

    CORNERS = np.array([[25.0, 75.0], [175.0, 225.0]])  # center 100, 150, side 150

    def corners(self, codec):
        return transform_points(self.CORNERS, codec.warp_matrix(np.array([100.0, 150.0]), np.array([150.0, 150.0])))

    def test_fill_a_square_input(self):
        np.testing.assert_allclose(self.corners(GaussianCodec((256, 256), (64, 64), 16)), [[0, 0], [256, 256]])
        np.testing.assert_allclose(self.corners(UdpCodec((256, 256), (64, 64), 16)), [[0, 0], [255, 255]], atol=1e-3)

    def test_keep_their_shape_in_another_input_except_with_udp(self):
        for codec in (GaussianCodec((192, 256), (48, 64), 16), DarkCodec((192, 256), (48, 64), 16)):
            first, last = self.corners(codec)
            width, height = last - first
            assert width == pytest.approx(height)
        first, last = self.corners(UdpCodec((192, 256), (48, 64), 16))
        np.testing.assert_allclose(last - first, [191, 255], atol=1e-3)


class TestTruth:
    def test_joints_come_in_mpiis_order_whatever_the_files(self, tmp_path):
        arrays = truth_file(tmp_path, 3, order=np.random.default_rng(1).permutation(16))
        truth = mpii.read_truth(tmp_path, "valid", 3)
        assert np.array_equal(truth["truth"], arrays["pos_gt_src"].transpose(2, 0, 1))
        assert np.array_equal(truth["visible"], arrays["jnt_missing"].T == 0)
        assert np.array_equal(truth["head_boxes"][2], arrays["headboxes_src"][..., 2])

    def test_hrnets_file_is_what_the_reader_takes_it_for(self, golden_dir, golden):
        arrays = golden("eval_mpii_hrnet")
        content = loadmat(str(golden_dir / "mpii_case0_gt_valid.mat"))
        assert np.array_equal(content["pos_gt_src"], arrays["case0/pos_gt_src"])
        assert tuple(str(name[0]) for name in content["dataset_joints"][0]) == mpii.MAT_NAMES

    def refusal(self, root, count=3):
        with pytest.raises(DataError) as caught:
            mpii.read_truth(root, "valid", count)
        assert "\n" not in str(caught.value)
        assert str(root / "annot" / "gt_valid.mat") in str(caught.value)
        return str(caught.value)

    def test_missing(self, tmp_path, caplog):
        assert "no such file, so PCKh cannot be measured" in self.refusal(tmp_path)
        assert mpii.read_truth(tmp_path, "trainval", 3) is None
        assert "gt_trainval.mat" in caplog.text
        assert mpii.read_truth(tmp_path, "test", 3) is None

    def test_broken(self, tmp_path):
        (tmp_path / "annot").mkdir()
        (tmp_path / "annot" / "gt_valid.mat").write_bytes(b"not MATLAB" * 40)
        assert "not a MATLAB file" in self.refusal(tmp_path)

    def test_of_other_people_or_joints(self, tmp_path):
        truth_file(tmp_path, 3)
        found = self.refusal(tmp_path, count=5)
        assert "jnt_missing has the shape [16, 3], expected [16, 5]" in found
        truth_file(tmp_path, 3, headboxes_src=np.zeros((2, 3)))
        assert "headboxes_src" in self.refusal(tmp_path)
        names = np.empty((1, 15), object)
        names[0] = list(mpii.MAT_NAMES[:15])
        truth_file(tmp_path, 3, dataset_joints=names)
        assert "dataset_joints" in self.refusal(tmp_path)


class TestMistakes:
    def refusal(self, read, tmp_path, content):
        with pytest.raises(DataError) as caught:
            read(content)
        assert "\n" not in str(caught.value)
        assert str(tmp_path / "valid.json") in str(caught.value)
        return str(caught.value)

    @pytest.mark.parametrize("key", ["image", "center", "scale", "joints", "joints_vis"])
    def test_missing_fields(self, read, tmp_path, key):
        broken = person(image="b.jpg")
        del broken[key]
        found = self.refusal(read, tmp_path, [person(), broken])
        assert f"person number 1 (image {'unknown' if key == 'image' else 'b.jpg'}) has no '{key}'" in found

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("joints", [[1.0, 2.0]] * 17),
            ("joints", [[1.0, None]] * 16),
            ("joints", [[1.0, 2.0]] * 15 + [[3.0]]),
            ("joints_vis", [1] * 15),
            ("center", [1.0]),
            ("center", [float("nan"), 1.0]),
            ("scale", "large"),
            ("scale", 0),
            ("image", 7),
        ],
    )
    def test_wrong_fields(self, read, tmp_path, key, value):
        found = self.refusal(read, tmp_path, [person(), person(), person(**{key: value})])
        assert "person number 2" in found
        assert f"has the wrong '{key}', expected" in found

    def test_other_files(self, read, tmp_path):
        assert "not valid JSON" in self.refusal(read, tmp_path, "[")
        assert "expected a list of people" in self.refusal(read, tmp_path, {"images": []})
        assert "expected a list of people" in self.refusal(read, tmp_path, [])
        assert "person number 0 is int" in self.refusal(read, tmp_path, [5])
        with pytest.raises(DataError, match="no such file"):
            mpii.read_people(tmp_path / "nothing.json")


class TestBuilding:
    @pytest.fixture
    def build(self, repository, tmp_path):
        """A function (split, *pairs) -> data set on a root with one person in each set."""
        (tmp_path / "images").mkdir()
        (tmp_path / "annot").mkdir()
        for name in ("train", "valid", "trainval"):
            (tmp_path / "annot" / f"{name}.json").write_text(json.dumps([person()]))
        bare = copy.deepcopy(person())
        del bare["joints"], bare["joints_vis"]
        (tmp_path / "annot" / "test.json").write_text(json.dumps([bare]))
        truth_file(tmp_path, 1)

        def call(split, *pairs):
            path = repository / "experiments/mpii/resnet/res50_256x256.yaml"
            return build_dataset(load_config(path, ["DATASET.ROOT", str(tmp_path), *pairs]), split)

        return call

    def test_boxes_are_named(self, build, tmp_path):
        found = build("test")
        assert found.boxes.startswith(f"annotated centers and scales, 1 boxes of {tmp_path}/annot/valid.json (SHA-256 ")
        assert found.skeleton is MPII
        assert set(found.ground_truth) == {"truth", "visible", "head_boxes"}

    def test_sets_without_a_truth_are_read_but_not_scored(self, build):
        assert build("test", "DATASET.TEST_SET", "test").ground_truth is None
        assert build("test", "DATASET.TEST_SET", "trainval").ground_truth is None

    def test_training_on_the_test_set_is_refused(self, build):
        with pytest.raises(DataError, match="no public annotations"):
            build("train", "DATASET.TRAIN_SET", "test")

    def test_selected_people(self, build):
        assert len(build("train")) == 1
        with pytest.raises(DataError, match="SELECT_DATA"):
            build("train", "DATASET.SELECT_DATA", "True")  # all joints lie in one corner
