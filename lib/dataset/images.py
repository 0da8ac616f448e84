"""Reading images from folders and zip files, with an error that names the file."""

import os
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np

from .records import DataError

# As the forks read: three channels, and EXIF orientation left alone, since annotations refer to the stored pixels.
_FLAGS = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_JPEG_START, _JPEG_END, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA


class ImageFolder:
    """Images of `folder`, or of `folder`.zip (DATA_FORMAT zip), by name."""

    def __init__(self, folder: str | os.PathLike, data_format: str = "jpg"):
        self.folder = Path(folder)
        self.archive = self.folder.with_name(self.folder.name + ".zip") if data_format == "zip" else None
        self._zip: zipfile.ZipFile | None = None
        self._zip_owner = -1

    def check(self) -> None:
        """A DataError where the folder or the zip file does not exist."""
        if self.archive is not None and not self.archive.is_file():
            raise DataError(
                f"{self.archive}: no such file; put it there, or set DATASET.ROOT, DATASET.IMAGES or "
                "DATASET.DATA_FORMAT jpg"
            )
        if self.archive is None and not self.folder.is_dir():
            raise DataError(
                f"{self.folder}: no such folder; put the images there, or set DATASET.ROOT or DATASET.IMAGES"
            )

    def read(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 BGR; a DataError where the file is missing, broken or cut off."""
        where = f"{self.archive}@{name}" if self.archive else str(self.folder / name)
        return decode_image(self._bytes(name, where), where)

    def _bytes(self, name: str, where: str) -> bytes:
        if self.archive is None:
            try:
                return (self.folder / name).read_bytes()
            except OSError as error:
                raise DataError(
                    f"{where}: cannot read the image ({error.strerror}); put it there or drop it from the annotations"
                ) from None
        try:
            return self._member(self._open_archive(self.archive), name, where)
        except (zipfile.BadZipFile, zlib.error, OSError) as error:
            raise DataError(f"{where}: cannot read the zip file ({error}); fetch it again") from None

    def _member(self, archive: zipfile.ZipFile, name: str, where: str) -> bytes:
        # COCO's own zips hold a folder of the set's name; the forks' zips hold the files themselves.
        for member in (name, f"{self.folder.name}/{name}"):
            try:
                return archive.read(member)
            except KeyError:
                continue
        raise DataError(f"{where}: no such image in the zip file; put it there or drop it from the annotations")

    def _open_archive(self, path: Path) -> zipfile.ZipFile:
        # A file position shared with a parent process would be moved by both, so every process opens its own.
        if self._zip is None or self._zip_owner != os.getpid():
            self._zip, self._zip_owner = zipfile.ZipFile(path), os.getpid()
        return self._zip

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_zip": None, "_zip_owner": -1}


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
