"""People kept for the next start are those of the file, and only of that content read that way."""

import dataclasses
import json
import os

import numpy as np
import pytest

from heatpose.config import load_config
from heatpose.dataset import DataError, build_dataset, coco, kept

JOINTS = 17


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HEATPOSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "WORTHWHILE", 0)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data/images/train2017").mkdir(parents=True)
    (tmp_path / "data/annotations").mkdir()
    write(tmp_path / "data", people())
    return tmp_path / "data"


def people(shift=0.0):
    rng = np.random.default_rng(0)
    annotations = []
    for number in range(1, 9):
        points = np.concatenate([rng.uniform(5, 60, (JOINTS, 2)), rng.integers(0, 3, (JOINTS, 1))], axis=1).round(1)
        points[0] = 10 + shift, 10, 1
        annotations.append({
            "id": number, "image_id": 1 + number % 2, "category_id": 1, "iscrowd": int(number == 3), "area": 900.0,
            "bbox": [5, 5, 50, 50], "num_keypoints": JOINTS, "keypoints": points.ravel().tolist(),
        })  # fmt: skip
    return annotations


def write(root, annotations):
    names = [f"{side}_eye" for side in ("left", "right")] + [f"point {number}" for number in range(JOINTS - 2)]
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 80, "height": 80} for i in (1, 2)],
        "annotations": annotations, "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }  # fmt: skip
    (root / "annotations/person_keypoints_train2017.json").write_text(json.dumps(content))


def build(repository, root, *pairs, split="train"):
    path = repository / "experiments/coco/hrnet/w32_256x192.yaml"
    return build_dataset(load_config(path, ["DATASET.ROOT", str(root), *pairs]), split)


def same(one, other):
    for field in dataclasses.fields(one.records):
        left, right = (getattr(each.records, field.name) for each in (one, other))
        assert type(left) is type(right)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    assert one.skeleton == other.skeleton and one.categories == other.categories


@pytest.mark.parametrize("pairs", [(), ("DATASET.SKELETON", "file", "DATASET.UPPER_BODY", "['left_eye']")])
def test_kept_people_are_those_that_were_read(repository, root, monkeypatch, pairs):
    first = build(repository, root, *pairs)
    monkeypatch.setattr(coco, "read_json", None)  # the file is not parsed again
    same(build(repository, root, *pairs), first)
    assert first.records.left_out


def test_the_content_counts_not_name_size_or_date(repository, root, monkeypatch):
    path = root / "annotations/person_keypoints_train2017.json"
    first = build(repository, root)
    before = path.stat()
    write(root, people(shift=1.0))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    changed = build(repository, root)
    assert changed.records.keypoints[0, 0, 0] == first.records.keypoints[0, 0, 0] + 1
    write(root, people())
    os.utime(path)
    monkeypatch.setattr(coco, "read_json", None)
    same(build(repository, root), first)


@pytest.mark.parametrize(
    "pairs",
    [
        ("MODEL.IMAGE_SIZE", "(256,256)", "MODEL.HEATMAP_SIZE", "(64,64)"), ("MODEL.CODEC", "dark"),
        ("DATASET.SELECT_DATA", "True"), ("DATASET.SKELETON", "file", "DATASET.PROB_HALF_BODY", "0"),
        ("DATASET.SIGMAS", str([0.1] * JOINTS)),
    ],
)  # fmt: skip
def test_whoever_reads_otherwise_reads_anew(repository, root, monkeypatch, pairs):
    build(repository, root)
    found = build(repository, root, *pairs)
    monkeypatch.setattr(kept, "WORTHWHILE", 1 << 40)
    same(found, build(repository, root, *pairs))


def test_errors_come_back_at_every_start(repository, root):
    write(root, [])
    for _ in range(2):
        with pytest.raises(DataError, match="nobody is left"):
            build(repository, root)


def test_small_files_are_not_kept(repository, root, tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "WORTHWHILE", 16 << 20)
    build(repository, root)
    assert not (tmp_path / "cache").exists()
