"""Tar shards and zip files give the samples that a folder gives; broken ones are refused by name."""

import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile

import cv2
import numpy as np
import pytest
import torch

from heatpose.config import load_config
from heatpose.dataset import DataError, build_dataset, doctor, test_loader, training_loader
from heatpose.dataset import archives as module
from heatpose.dataset.images import ImageFolder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HEATPOSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    """Seven pictures with two people each, in COCO's layout."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data/images/val2017"
    folder.mkdir(parents=True)
    images, annotations = [], []
    for number in range(1, 8):
        name = f"{number:012d}.jpg"
        cv2.imwrite(str(folder / name), rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
        images.append({"id": number, "file_name": name, "width": 80, "height": 60})
        for x in (5, 40):
            points = np.concatenate([rng.uniform(x, x + 30, (17, 2)), np.full((17, 1), 2.0)], axis=1)
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0, "area": 900.0,
                "bbox": [x, 5, 30, 50], "num_keypoints": 17, "keypoints": points.ravel().tolist(),
            })  # fmt: skip
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "data/annotations").mkdir()
    (tmp_path / "data/annotations/person_keypoints_val2017.json").write_text(json.dumps(content))
    return tmp_path / "data"


def make_shards(repository, *arguments):
    command = [sys.executable, str(repository / "tools/make_shards.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def batches(repository, root, data_format, split, workers=0):
    pairs = ["DATASET.ROOT", str(root), "DATASET.TRAIN_SET", "val2017", "DATASET.DATA_FORMAT", data_format]
    cfg = load_config(repository / "experiments/coco/hrnet/w32_256x192.yaml", [*pairs, "TEST.USE_GT_BBOX", "True"])
    dataset = build_dataset(cfg, split)
    if split == "test":
        return list(test_loader(dataset, 4, workers))
    return list(training_loader(dataset, 4, True, workers, seed=3))


@pytest.mark.parametrize("split", ["train", "test"])
def test_folder_zip_and_shards_give_the_same_batches(repository, root, split):
    folder = root / "images/val2017"
    expected = batches(repository, root, "jpg", split)
    with zipfile.ZipFile(root / "images/val2017.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    done = make_shards(repository, folder, "--megabytes", "0.02")
    assert done.returncode == 0, done.stderr
    shards = sorted((root / "images").glob("val2017-*.tar"))
    assert len(shards) > 2 and f"7 images in {len(shards)} shards" in done.stdout
    for path in folder.iterdir():
        path.unlink()
    for data_format in ("zip", "tar"):
        for workers in (0, 2):
            found = batches(repository, root, data_format, split, workers)
            assert len(found) == len(expected)
            for ours, theirs in zip(found, expected, strict=True):
                assert ours.keys() == theirs.keys()
                assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def write_tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


PICTURE = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8))[1].tobytes()


@pytest.mark.parametrize("place", ["val-{}.tar", "val/{}.tar"])
def test_webdatasets_layout_in_any_folder_with_other_members(tmp_path, place):
    write_tar(tmp_path / place.format("000000"), {"./b.jpg": PICTURE, "./b.json": b"{}", "./b.cls": b"3"})
    write_tar(tmp_path / place.format("000001"), {"val/a.jpg": PICTURE, "deeper/c.png": PICTURE})
    images = ImageFolder(tmp_path / "val", "tar")
    images.check()
    for name in ("a.jpg", "b.jpg", "deeper/c.png"):
        assert images.read(name).shape == (40, 30, 3)
    assert doctor.check_images(images, ["a.jpg", "b.jpg"]) == []
    (missing,) = doctor.check_images(images, ["a.jpg", "x.jpg"])
    assert missing.count == 1


def test_a_set_whose_name_begins_alike_is_another(tmp_path):
    write_tar(tmp_path / "val-000000.tar", {"a.jpg": PICTURE})
    write_tar(tmp_path / "val-small-000000.tar", {"a.jpg": PICTURE, "b.jpg": PICTURE})
    images = ImageFolder(tmp_path / "val", "tar")
    images.check()
    assert not images.archive.holds()("b.jpg")


def test_shards_are_looked_through_once(tmp_path, monkeypatch):
    write_tar(tmp_path / "val-0.tar", {"a.jpg": PICTURE})
    expected = ImageFolder(tmp_path / "val", "tar").read("a.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(module.tarfile, "open", None)
        assert np.array_equal(ImageFolder(tmp_path / "val", "tar").read("a.jpg"), expected)
    write_tar(tmp_path / "val-0.tar", {"b.jpg": PICTURE, "a.jpg": PICTURE})
    assert np.array_equal(ImageFolder(tmp_path / "val", "tar").read("b.jpg"), expected)


def test_what_cannot_be_read_is_named(tmp_path):
    images = ImageFolder(tmp_path / "val", "tar")
    with pytest.raises(DataError, match=r"val-000000\.tar: no such shards.*DATA_FORMAT"):
        images.check()
    (tmp_path / "val-000000.tar.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(DataError, match=r"unpack val-000000\.tar\.gz"):
        ImageFolder(tmp_path / "val", "tar").check()
    write_tar(tmp_path / "val-0.tar", {"a.jpg": PICTURE})
    with pytest.raises(DataError, match=r"val@x\.jpg: no such image.*drop it"):
        ImageFolder(tmp_path / "val", "tar").read("x.jpg")
    with pytest.raises(DataError, match="no such image"):
        ImageFolder(tmp_path / "val", "tar").read("a name that is longer than all others.jpg")
    write_tar(tmp_path / "val-1.tar", {"c.jpg": PICTURE, "a.jpg": PICTURE})
    with pytest.raises(DataError, match=r"val-1\.tar@a\.jpg: the same image is in val-0\.tar"):
        ImageFolder(tmp_path / "val", "tar").check()
    write_tar(tmp_path / "val-1.tar", {"c.txt": b""})
    write_tar(tmp_path / "val-0.tar", {"c.txt": b""})
    with pytest.raises(DataError, match="no images in it"):
        ImageFolder(tmp_path / "val", "tar").check()


@pytest.mark.parametrize("kept", [100, 700, 0.9])
def test_a_shard_that_is_cut_off_is_refused(tmp_path, kept):
    path = tmp_path / "val-0.tar"
    write_tar(path, {"a.jpg": PICTURE, "b.jpg": PICTURE})
    data = path.read_bytes()
    length = 1024 + 512 + 2 * len(PICTURE)
    path.write_bytes(data[: int(length * kept) if isinstance(kept, float) else kept])
    with pytest.raises(DataError, match=r"val-0\.tar.*again"):
        images = ImageFolder(tmp_path / "val", "tar")
        images.check()
        images.read("b.jpg")


def test_a_shard_that_stops_behind_a_whole_image_is_refused(tmp_path):
    path = tmp_path / "val-0.tar"
    write_tar(path, {"a.jpg": PICTURE, "b.jpg": PICTURE})
    with tarfile.open(path) as archive:
        second = archive.getmembers()[1].offset
    path.write_bytes(path.read_bytes()[:second])
    with pytest.raises(DataError, match=rf"val-0\.tar: not a whole tar file \(cut off after {second} bytes\)"):
        ImageFolder(tmp_path / "val", "tar").check()


def test_shards_are_the_same_bytes_each_time_and_are_not_overwritten(repository, root, tmp_path):
    folder = root / "images/val2017"
    for name in ("one", "two"):
        assert make_shards(repository, folder, "--out", tmp_path / name).returncode == 0
    assert (tmp_path / "one-000000.tar").read_bytes() == (tmp_path / "two-000000.tar").read_bytes()
    for arguments, message in (
        ((folder, "--out", tmp_path / "one"), "one-000000.tar: is there already"),
        ((root / "nowhere",), "no such folder"),
        ((root / "annotations",), "no images in it"),
        ((folder, "--megabytes", "0"), "more than 0"),
    ):
        done = make_shards(repository, *arguments)
        assert done.returncode == 2 and message in done.stderr and len(done.stderr.strip().splitlines()) == 1
