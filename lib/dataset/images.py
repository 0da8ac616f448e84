"""Reading images from folders, zip files and tar shards, with an error that names the file."""

import os
from pathlib import Path

import cv2
import numpy as np

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
        if self.archive is not None:
            return decode_image(self.archive.read(name), f"{self.archive}@{name}")
        path = self.folder / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(
                f"{path}: cannot read the image ({error.strerror}); put it there or drop it from the annotations"
            ) from None
        return decode_image(data, str(path))


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
