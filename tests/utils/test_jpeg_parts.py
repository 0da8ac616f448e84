"""Parts of JPEGs are the pixels that OpenCV reads from the whole."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from heatpose.utils import jpeg_parts
from heatpose.utils.jpeg_parts import is_installed, open_jpeg

needs_decoder = pytest.mark.skipif(not is_installed(), reason='nvImageCodec is missing: pip install -e ".[jpeg]"')


def picture(height=90, width=130, channels=3):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (height // 8 + 1, width // 8 + 1, channels), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(image, *flags):
    return cv2.imencode(".jpg", image, flags)[1].tobytes()


KINDS = [
    (), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 3), (cv2.IMWRITE_JPEG_QUALITY, 30),
    (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
]  # fmt: skip


@needs_decoder
@pytest.mark.parametrize("flags", KINDS)
def test_parts_are_the_whole_s_pixels(flags):
    data = encoded(picture(), *flags)
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    jpeg = open_jpeg(data)
    assert jpeg.size == (130, 90)
    boxes = [(0, 0, 130, 90), (0, 0, 1, 1), (129, 89, 130, 90), (17, 33, 18, 90), (40, 15, 99, 16), (5, 7, 64, 80)]
    for left, top, right, bottom in boxes:
        assert np.array_equal(jpeg.decode(left, top, right, bottom), whole[top:bottom, left:right])


@needs_decoder
def test_what_is_left_to_opencv():
    grey, png = encoded(picture(channels=1)), cv2.imencode(".png", picture())[1].tobytes()
    assert [open_jpeg(data) for data in (grey, png, b"", b"no image", b"\xff\xd8\xff\xd9")] == [None] * 5


def test_without_the_package_nothing_is_opened(monkeypatch):
    monkeypatch.setattr(jpeg_parts, "MODULE", "nothing.of_that_name")
    jpeg_parts._codec.cache_clear()
    try:
        assert open_jpeg(encoded(picture())) is None and not is_installed()
    finally:
        jpeg_parts._codec.cache_clear()


@needs_decoder
def test_a_package_that_cannot_be_loaded_is_told(monkeypatch, caplog):
    def refuse(name):
        raise ImportError("libtoo_old.so")

    monkeypatch.setattr(jpeg_parts.importlib, "import_module", refuse)
    jpeg_parts._codec.cache_clear()
    try:
        assert open_jpeg(encoded(picture())) is None
        assert "cannot be loaded (libtoo_old.so): JPEGs are decoded whole" in caplog.text
    finally:
        jpeg_parts._codec.cache_clear()


@needs_decoder
def test_it_says_nothing_of_libraries_for_gpus(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(picture()))
    code = (
        "import pathlib, os; from heatpose.utils.jpeg_parts import open_jpeg;"
        f"print(open_jpeg(pathlib.Path({str(tmp_path / 'a.jpg')!r}).read_bytes()).decode(0, 0, 4, 3).shape);"
        "print('NVIMGCODEC_EXTENSIONS_PATH' in os.environ)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.split("\n"), done.stderr) == (["(3, 4, 3)", "False", ""], "")
