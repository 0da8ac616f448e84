"""tools/inspect_coco.py as people call it."""

import json
import os
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

NAMES = ["nose", "left_eye", "right_eye"]
CATEGORY = {"id": 1, "name": "person", "keypoints": NAMES, "skeleton": [[1, 2], [1, 3]]}
MASK = np.zeros((60, 80), np.uint8)
MASK[10:40, 20:50] = 1
POLYGON = [[20, 10, 50, 10, 50, 40, 20, 40]]
COMPRESSED = {"size": [60, 80], "counts": coco_mask.encode(np.asfortranarray(MASK))["counts"].decode()}
UNCOMPRESSED = {"size": [60, 80], "counts": [20 * 60 + 10] + [30, 30] * 29 + [30, 30 * 60 + 20]}


@pytest.fixture
def call(repository):
    """A function (*words) -> the finished process."""

    def start(*words):
        return subprocess.run(
            [sys.executable, str(repository / "tools" / "inspect_coco.py"), *map(str, words)],
            capture_output=True, text=True, timeout=300,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    return start


@pytest.fixture
def file(tmp_path):
    """A file with the three encodings on three images, and its images in a folder."""
    path, folder = tmp_path / "person_keypoints_val.json", tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    annotations = [
        {"id": number, "image_id": number, "category_id": 1, "iscrowd": int(number == 2), "bbox": [20, 10, 30, 30],
         "area": 900, "keypoints": [30, 20, 2, 40, 20, 1, 0, 0, 0] if number != 2 else [0] * 9, "segmentation": each}
        for number, each in enumerate([POLYGON, UNCOMPRESSED, COMPRESSED], start=1)
    ]  # fmt: skip
    names = ["1.png", "sub/2.jpg", "3.jpg"]
    images = [{"id": i, "width": 80, "height": 60, "file_name": name} for i, name in enumerate(names, start=1)]
    for name in names:
        cv2.imwrite(str(folder / name), np.full((60, 80, 3), 90, np.uint8))
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [CATEGORY]}))
    return path


def row(text, name):
    """The cells of a table's row."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    return next(cells[1:] for cells in lines if cells[0] == name)


def picture(path):
    image = cv2.imread(str(path))
    assert image is not None, path
    return image


def test_tables_alone(call, file):
    done = call(file)
    assert done.returncode == 0, done.stderr
    assert row(done.stdout, "people") == ["2"]
    assert row(done.stdout, "crowd regions") == ["1"]
    assert row(done.stdout, "left_eye") == ["0", "2", "0", "100.0%"]
    for encoding in ("polygons", "uncompressed RLE", "compressed RLE"):
        assert row(done.stdout, encoding)[0] == "1"
        assert row(done.stdout, encoding)[2] == "1"  # mean of mask / area


@pytest.mark.parametrize("images", ["zip", "none"])
def test_everything_is_written(call, file, tmp_path, images):
    folder = file.parent / "images"
    if images == "zip":
        with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
            for path in folder.rglob("*.*"):
                archive.write(path, path.relative_to(folder))
        folder = tmp_path / "archive.zip"
    out = tmp_path / "out"
    done = call(file, "--out", out, *(["--images", folder] if images != "none" else []))
    assert done.returncode == 0, done.stderr
    assert "remark" not in done.stdout
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*.*"))
    assert written == [
        "counts.json", "images/1.png.jpg", "images/3.jpg", "images/sub_2.jpg", "plots/areas.png", "plots/boxes.png",
        "plots/keypoints_val.png", "plots/people_per_image.png", "sheet.jpg",
    ]  # fmt: skip
    assert json.loads((out / "counts.json").read_text())["val"]["summary"]["labelled keypoints"] == 4
    drawn = picture(out / "images" / "3.jpg")
    assert drawn.shape == (960, 1280, 3)
    paper = 90 if images != "none" else 232
    assert abs(drawn[900, 100].astype(int) - paper).max() < 12
    assert abs(drawn[560, 640].astype(int) - paper).max() > 20  # in the mask
    assert (picture(out / "images" / "1.png.jpg") == drawn).mean() > 0.9  # the same shape in another encoding


def test_count_and_seed_choose_the_images(call, file, tmp_path):
    chosen = []
    for number, seed in enumerate((1, 1, 2)):
        assert call(file, "--out", tmp_path / str(number), "--count", 1, "--seed", seed).returncode == 0
        chosen.append([path.name for path in (tmp_path / str(number) / "images").iterdir()])
    assert [len(each) for each in chosen] == [1, 1, 1]
    assert chosen[0] == chosen[1] != chosen[2]


def test_splits_side_by_side(call, file, tmp_path):
    other = tmp_path / "person_keypoints_train.json"
    content = json.loads(file.read_text())
    content["images"].append({"id": 9, "width": 80, "height": 60, "file_name": "9.jpg"})
    other.write_text(json.dumps({**content, "annotations": content["annotations"][:1]}))
    done = call(other, file, "--out", tmp_path / "out", "--images", file.parent / "images")
    assert done.returncode == 0, done.stderr
    assert row(done.stdout, "counts") == ["train", "val"]
    assert row(done.stdout, "images") == ["4", "3"]
    assert row(done.stdout, "share of all images") == ["57.1%", "42.9%"]
    assert row(done.stdout, "images that another file has too") == ["3", "3"]
    assert (tmp_path / "out" / "train" / "sheet.jpg").is_file()
    assert len(list((tmp_path / "out" / "val" / "images").iterdir())) == 3
    assert set(json.loads((tmp_path / "out" / "counts.json").read_text())) == {"train", "val"}


def test_files_of_one_name_are_numbered(call, file):
    done = call(file, file)
    assert row(done.stdout, "counts") == ["1_val", "2_val"], done.stderr


def test_what_cannot_be_used_is_a_remark(call, file, tmp_path):
    content = json.loads(file.read_text())
    content["annotations"][0]["segmentation"] = [[1, 2, 3, 4]]
    content["categories"][0]["skeleton"] = [[0, 1]]
    content["images"][2]["width"] = None
    content["images"][1]["height"] = 61
    content["annotations"][2]["area"] = -5
    file.write_text(json.dumps(content))
    done = call(file, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for words in ("edge [0, 1]", "2 masks cannot be used", "a polygon of 4 numbers", "1 images of unknown size"):
        assert words in done.stdout
    done = call(file, "--out", tmp_path / "out", "--images", file.parent / "images")
    assert done.returncode == 0, done.stderr
    assert "2 of 3 drawn images have another size than annotated" in done.stdout


def test_real_files(call, samples, tmp_path):
    mini = samples / "coco_mini"
    files = [(mini / "annotations" / "person_keypoints_train2017.json", mini / "images" / "train2017")]
    for name in ("ap10k", "animalpose", "macaque", "horse10"):
        files.append((samples / "animals" / name / f"test_{name}.json", samples / "animals" / name))
    images = [word for _, folder in files for word in ("--images", folder)]
    done = call(*(path for path, _ in files), *images, "--out", tmp_path, "--count", 2)
    assert done.returncode == 0, done.stderr
    assert "remark" not in done.stdout
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert [[len(each["keypoints"]) for each in file["joints"]] for file in counts.values()] == [
        [17], [17], [20], [17], [22],
    ]  # fmt: skip
    for name in counts:
        assert picture(tmp_path / name / "sheet.jpg").shape[1] > 960
        assert len(list((tmp_path / name / "images").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("nothing.json",), ("nothing.json", "no such file")),
        (("README.md",), ("README.md", "not valid JSON")),
        (("{results}",), ("results.json", "a list is a results file")),
        (("{file}", "--images", "nowhere"), ("nowhere", "no such folder")),
        (("{file}", "--images", "{empty}"), ("1.png", "3 of 3")),
        (("{file}", "--images", "a", "--images", "b"), ("2 folders", "1 annotation files")),
        (("{file}", "--count", "0"), ("--count 0",)),
        (("{file}", "--out", "{file}"), ("--out", "that is a file")),
    ],
)
def test_mistakes_are_one_line(call, repository, file, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(repository)
    (tmp_path / "empty").mkdir()
    results = tmp_path / "results.json"
    results.write_text(json.dumps([{"image_id": 1, "category_id": 1, "keypoints": [0] * 9, "score": 1}]))
    places = {"results": results, "file": file, "empty": tmp_path / "empty"}
    done = call(*(word.format(**places) for word in words))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(part in done.stderr for part in parts), done.stderr
