"""The three encodings of one mask are the same mask, and broken ones are named instead of being trusted."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from heatpose.dataset.masks import decompress, encoding, is_sound_size, measure_masks, read_mask
from heatpose.dataset.records import DataError

# pycocotools 2.0.11 speaks to NumPy 2 in the way of NumPy 1
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = (12, 10)  # width, height
RECTANGLE = np.zeros((10, 12), bool)
RECTANGLE[2:7, 3:9] = True


def runs(mask):
    """Run lengths of a mask, down its columns, worked out pixel by pixel."""
    lengths, value = [0], False
    for pixel in mask.T.ravel():
        if pixel != value:
            lengths.append(0)
            value = pixel
        lengths[-1] += 1
    return lengths


def compressed(mask):
    text = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    return {"size": list(mask.shape), "counts": text.decode()}


POLYGON = [[3, 2, 9, 2, 9, 7, 3, 7]]
UNCOMPRESSED = {"size": [10, 12], "counts": runs(RECTANGLE)}
COMPRESSED = compressed(RECTANGLE)


def test_three_encodings_are_one_mask():
    for segmentation in (POLYGON, UNCOMPRESSED, COMPRESSED):
        assert np.array_equal(read_mask(segmentation, SIZE), RECTANGLE)
    assert UNCOMPRESSED["counts"][:4] == [32, 5, 5, 5]
    assert list(map(encoding, (POLYGON, UNCOMPRESSED, COMPRESSED))) == [
        "polygons", "uncompressed RLE", "compressed RLE",
    ]  # fmt: skip
    found = measure_masks([POLYGON, UNCOMPRESSED, COMPRESSED, None, []], np.array([SIZE] * 5, float))
    assert found.areas[:3].tolist() == [30, 30, 30]
    assert np.isnan(found.areas[3:]).all()
    assert found.encodings.tolist()[3:] == ["none", "none"]
    assert found.faults == {}


def test_polygons_are_joined():
    two = [[0, 0, 4, 0, 4, 4, 0, 4], [2, 0, 6, 0, 6, 4, 2, 4]]
    assert read_mask(two, SIZE).sum() == 24


@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_every_mask_comes_back(mask):
    size = mask.shape[::-1]
    assert decompress(compressed(mask)["counts"]).tolist() == runs(mask)
    for segmentation in (compressed(mask), {"size": list(mask.shape), "counts": runs(mask)}):
        assert np.array_equal(read_mask(segmentation, size), mask)


def test_long_runs_come_back():
    mask = np.zeros((1500, 2000), bool)
    mask[:, 700:1300] = True
    mask[400:410, 900] = False
    expected = [700 * 1500, 200 * 1500 + 400, 10, 1090 + 399 * 1500, 700 * 1500]
    assert decompress(compressed(mask)["counts"]).tolist() == expected


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([3, 2, 9, 2, 9, 7], "a polygon is no list"),
        ([[3, 2, 9, 2]], "a polygon of 4 numbers"),
        ([[3, 2, 9, 2, 9, 7, 3]], "a polygon of 7 numbers"),
        ([[3, 2, 9, 2, 9, "7"]], "no numbers near the image"),
        ([[3, 2, 9, 2, 9, float("nan")]], "no numbers near the image"),
        ([[3, 2, 9, 2, 9, 1e9]], "no numbers near the image"),
        ({"size": [10, 12], "counts": [5, 3]}, "cover 8 of 120"),
        ({"size": [10, 12], "counts": [5, 1000]}, "cover 1005 of 120"),
        ({"size": [10, 12], "counts": [-5, 125]}, "no whole numbers"),
        ({"size": [10, 12], "counts": [60, 60.0]}, "no whole numbers"),
        ({"size": [10, 12], "counts": "5"}, "cover 5 of 120"),
        ({"size": [10, 12], "counts": ""}, "no text of compressed run lengths"),
        ({"size": [10, 12], "counts": "é"}, "no text of compressed run lengths"),
        ({"size": [10, 12], "counts": "o"}, "no text of compressed run lengths"),
        ({"size": [10, 12], "counts": "o" * 20 + "0"}, "too large"),
        ({"size": [12, 10], "counts": [120]}, "a mask of 10 x 12 px on an image of 12 x 10 px"),
        ({"size": [10**6, 10**6], "counts": "5"}, "'size' is not"),
        ({"size": "10x12", "counts": [120]}, "'size' is not"),
        ({"counts": [120]}, "'size' is not"),
        ({"size": [10, 12]}, "neither polygons"),
        ("mask.png", "neither polygons"),
    ],
)
def test_broken_masks_are_named(segmentation, words):
    with pytest.raises(DataError, match=words):
        read_mask(segmentation, SIZE)
    found = measure_masks([POLYGON, segmentation], np.array([SIZE, SIZE], float))
    assert found.encodings.tolist() == ["polygons", "faulty"]
    assert words in found.faults[1]
    assert np.isnan(found.areas[1])


def test_on_an_image_of_unknown_size():
    unknown = np.full((2, 2), np.nan)
    found = measure_masks([POLYGON, COMPRESSED], unknown)
    assert found.encodings.tolist() == ["polygons", "compressed RLE"]
    assert np.isnan(found.areas[0])
    assert found.areas[1] == 30
    with pytest.raises(DataError, match="on an image of nan x nan"):
        read_mask(POLYGON, unknown[0])
    assert not any(map(is_sound_size, ((0, 5), (5, -1), (5.5, 4), (1e6, 1e6), (np.nan, 4))))


def test_real_masks_have_their_area(samples):
    path = samples / "coco_val538" / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(path.read_text())
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    people = [a for a in content["annotations"] if not a["iscrowd"] and a["area"] > 1000]
    found = measure_masks([a["segmentation"] for a in people], np.array([sizes[a["image_id"]] for a in people], float))
    ratio = found.areas / [a["area"] for a in people]
    assert set(found.encodings) == {"polygons"}
    assert len(ratio) > 1000
    assert np.abs(ratio - 1).max() < 0.05
