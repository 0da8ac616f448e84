"""Reading images from folders, zip files and tar shards, with an error that names the file."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..utils.jpeg_parts import open_jpeg
from .archives import TarShards, ZipArchive
from .records import DataError

# As the forks read: three channels, and EXIF orientation left alone, since annotations refer to the stored pixels.
_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_JPEG_START, _JPEG_END, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA


class ImageFolder:
    """Images of `folder`, of `folder`.zip (DATA_FORMAT zip) or of tar shards (DATA_FORMAT tar), by name."""

    def __init__(self, folder: str | os.PathLike, data_format: str = "jpg"):
        self.folder = Path(folder)
        kinds: dict[str, type[ZipArchive] | type[TarShards]] = {"zip": ZipArchive, "tar": TarShards}
        self.archive = kinds[data_format](self.folder) if data_format in kinds else None

    def check(self) -> None:
        """A DataError where the folder, the zip file or the shards do not exist."""
        if self.archive is not None:
            self.archive.check()
        elif not self.folder.is_dir():
            raise DataError(
                f"{self.folder}: no such folder; put the images there, or set DATASET.ROOT or DATASET.IMAGES"
            )

    def read(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 BGR; a DataError where the file is missing, broken or cut off."""
        return decode_image(*self._content(name))

    def open(self, name: str) -> "Image":
        """As `read`, but decoded later, as far as it is needed."""
        return Image(*self._content(name))

    def _content(self, name: str) -> tuple[bytes, str]:
        """A file's content and where it stands, for messages."""
        if self.archive is not None:
            return self.archive.read(name), f"{self.archive}@{name}"
        path = self.folder / name
        try:
            return path.read_bytes(), str(path)
        except OSError as error:
            raise DataError(
                f"{path}: cannot read the image ({error.strerror}); put it there or drop it from the annotations"
            ) from None


class Image:
    """An image that is decoded as far as it is needed; see jpeg_parts.py."""

    def __init__(self, data: bytes, where: str):
        self._data, self._where = data, where
        self._jpeg = open_jpeg(data) if data.startswith(_JPEG_START) and _is_whole_jpeg(data) else None
        self._whole = None
        if self._jpeg:
            self.size = self._jpeg.size  # width and height in px
        else:
            self._whole = decode_image(data, where)
            self.size = self._whole.shape[1], self._whole.shape[0]

    def part(self, box: Sequence[int]) -> tuple[np.ndarray, int, int]:
        """Pixels (h, w, 3) uint8 BGR, and x and y of the first: those of a box (left, top, right, bottom), or all.

        Raises:
            DataError: the image is broken.
        """
        pixels = self._jpeg.decode(*box) if self._jpeg else None
        if pixels is not None:
            return pixels, box[0], box[1]
        if self._whole is None:
            self._whole = decode_image(self._data, self._where)
        return self._whole, 0, 0


def decode_image(data: bytes, where: str) -> np.ndarray:
    """(H, W, 3) uint8 BGR of an encoded image; a DataError that names `where` if it is broken or cut off."""
    if data.startswith(_JPEG_START) and not _is_whole_jpeg(data):
        # OpenCV fills what is missing with grey and says nothing.
        raise DataError(f"{where}: the JPEG is cut off after {len(data)} bytes; fetch the image again")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS) if data else None
    if image is None:
        raise DataError(f"{where}: not an image that OpenCV can read ({len(data)} bytes); fetch it again")
    return image


def _is_whole_jpeg(data: bytes) -> bool:
    """Whether the end marker follows the first scan; markers before it may belong to an embedded thumbnail."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:  # a fill byte, allowed before any marker
            at += 1
            continue
        if data[at + 1] == _SCAN:
            return data.rfind(_JPEG_END, at) > 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False
