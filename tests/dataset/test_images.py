"""Reading images: whole ones as OpenCV reads them, broken ones refused by name."""

import pickle
import zipfile

import cv2
import numpy as np
import pytest

from heatpose.dataset.images import Image, ImageFolder, decode_image
from heatpose.dataset.records import DataError

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)


def encoded(ending=".jpg"):
    return cv2.imencode(ending, PICTURE)[1].tobytes()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "a.jpg").write_bytes(encoded())
    return tmp_path / "val"


def test_a_folder_and_both_kinds_of_zip_give_the_same_image(folder):
    expected = cv2.imread(str(folder / "a.jpg"))
    assert np.array_equal(ImageFolder(folder).read("a.jpg"), expected)
    for member in ("a.jpg", "val/a.jpg"):
        with zipfile.ZipFile(folder.with_name("val.zip"), "w") as archive:
            archive.write(folder / "a.jpg", member)
        images = ImageFolder(folder, "zip")
        images.check()
        assert np.array_equal(images.read("a.jpg"), expected)
        assert np.array_equal(pickle.loads(pickle.dumps(images)).read("a.jpg"), expected)


@pytest.mark.parametrize("kept", [0, 1, 3, 50, 0.5, 0.95])
def test_a_jpeg_cut_off_anywhere_is_refused(kept):
    data = encoded()
    length = int(len(data) * kept) if isinstance(kept, float) else kept
    with pytest.raises(DataError, match=r"photo\.jpg: .*fetch"):
        decode_image(data[:length], "photo.jpg")


def test_an_end_marker_in_an_embedded_thumbnail_does_not_hide_the_cut():
    data = encoded()
    thumbnail = b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
    whole = data[:2] + thumbnail + data[2:]
    assert np.array_equal(decode_image(whole, "photo.jpg"), decode_image(data, "photo.jpg"))
    with pytest.raises(DataError, match="cut off"):
        decode_image(whole[:-20], "photo.jpg")


def test_fill_bytes_before_a_marker_are_legal():
    data = encoded()
    assert np.array_equal(decode_image(data[:2] + b"\xff\xff" + data[2:], "x.jpg"), decode_image(data, "x.jpg"))


def test_bytes_after_the_end_are_harmless():
    assert decode_image(encoded() + b"\0" * 100, "photo.jpg").shape == PICTURE.shape


def test_png_is_read_exactly_and_text_is_refused():
    assert np.array_equal(decode_image(encoded(".png"), "x.png"), PICTURE)
    with pytest.raises(DataError, match="not an image"):
        decode_image(b"hello", "x.png")


def test_missing_files_folders_and_members_are_named(folder):
    with pytest.raises(DataError, match=r"b\.jpg: cannot read"):
        ImageFolder(folder).read("b.jpg")
    with pytest.raises(DataError, match=r"other: no such folder"):
        ImageFolder(folder.with_name("other")).check()
    with pytest.raises(DataError, match=r"val\.zip: no such file"):
        ImageFolder(folder, "zip").check()
    folder.with_name("val.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=r"val\.zip@a\.jpg: cannot read the zip"):
        ImageFolder(folder, "zip").read("a.jpg")
    with zipfile.ZipFile(folder.with_name("val.zip"), "w") as archive:
        archive.write(folder / "a.jpg", "a.jpg")
    with pytest.raises(DataError, match=r"val\.zip@b\.jpg: no such image"):
        ImageFolder(folder, "zip").read("b.jpg")


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_part_is_of_the_whole(ending):
    whole, image = decode_image(encoded(ending), "a"), Image(encoded(ending), "a")
    assert image.size == (30, 40)
    for left, top, right, bottom in ((0, 0, 30, 40), (7, 21, 19, 40), (29, 0, 30, 1)):
        pixels, x, y = image.part((left, top, right, bottom))
        assert np.array_equal(pixels[top - y : bottom - y, left - x : right - x], whole[top:bottom, left:right])


@pytest.mark.parametrize(("marker", "skip", "bad"), [(b"\xff\xc0", 5, bytes(4)), (b"\xff\xc4", 4, b"\xff" * 26)])
def test_a_broken_jpeg_has_no_parts(marker, skip, bad):
    data = bytearray(encoded())
    start = data.find(marker) + skip
    data[start : start + len(bad)] = bad
    with pytest.raises(DataError, match="a.jpg: not an image that OpenCV can read"):
        Image(bytes(data), "a.jpg").part((0, 0, 9, 9))
