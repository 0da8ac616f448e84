"""Images in a zip file or in tar shards: members by name, from any number of processes.

ROOT/images/<set>.zip                       DATASET.DATA_FORMAT zip: COCO's own, or the forks'
ROOT/images/<set>-000000.tar, -000001 ...   DATASET.DATA_FORMAT tar: WebDataset's layout, <key>.jpg and other files
ROOT/images/<set>/*.tar                     the same in a folder
"""

import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..utils.cache import Arrays, cache_key, cached
from .records import DataError

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_INDEX_VERSION = 2
_MENDED = "put it there or drop it from the annotations"


class ZipArchive:
    """The images of `folder`.zip."""

    def __init__(self, folder: Path):
        self.path, self.folder = folder.with_name(folder.name + ".zip"), folder.name
        self._zip: zipfile.ZipFile | None = None
        self._owner = -1

    def __str__(self) -> str:
        return str(self.path)

    def check(self) -> None:
        """A DataError where there is no such file."""
        if not self.path.is_file():
            raise DataError(
                f"{self.path}: no such file; put it there, or set DATASET.ROOT, DATASET.IMAGES or "
                "DATASET.DATA_FORMAT jpg"
            )

    def read(self, name: str) -> bytes:
        """A member's content; a DataError where there is none."""
        try:
            archive = self._open()
            # COCO's own zips hold a folder of the set's name; the forks' zips hold the files themselves.
            for member in (name, f"{self.folder}/{name}"):
                try:
                    return archive.read(member)
                except KeyError:
                    continue
        except (zipfile.BadZipFile, zlib.error, OSError) as error:
            raise DataError(f"{self}@{name}: cannot read the zip file ({error}); fetch it again") from None
        raise DataError(f"{self}@{name}: no such image in the zip file; {_MENDED}")

    def holds(self) -> Callable[[str], bool]:
        """Whether there is an image of a name."""
        with zipfile.ZipFile(self.path) as archive:
            members = set(archive.namelist())
        return lambda name: name in members or f"{self.folder}/{name}" in members

    def _open(self) -> zipfile.ZipFile:
        # A file position shared with a parent process would be moved by both, so every process opens its own.
        if self._zip is None or self._owner != os.getpid():
            self._zip, self._owner = zipfile.ZipFile(self.path), os.getpid()
        return self._zip

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_zip": None, "_owner": -1}


class TarShards:
    """The images of tar files in WebDataset's layout, read in any order: where each lies is found once.

    The index is arrays, so that processes share it, and is kept for the next start as long as the shards have the same
    sizes and times.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.shards = shards_named(folder) or sorted(folder.glob("*.tar"))
        self._index: Arrays | None = None

    def __str__(self) -> str:
        return f"{self.folder}-*.tar" if not self.shards else f"{len(self.shards)} shards such as {self.shards[0]}"

    def check(self) -> None:
        """A DataError where there are no shards, or they cannot be read."""
        if not self.shards:
            packed = [*self.folder.parent.glob("*.tar.*"), *self.folder.glob("*.tar.*")]
            packed = [path for path in packed if path.parent == self.folder or path.name.startswith(self.folder.name)]
            hint = f"unpack {packed[0].name} and the others with gunzip" if packed else "write them (docs/big_data.md)"
            raise DataError(
                f"{self.folder}-000000.tar: no such shards, nor any in {self.folder}; {hint}, or set DATASET.ROOT, "
                "DATASET.IMAGES or DATASET.DATA_FORMAT jpg"
            )
        self._locate()

    def read(self, name: str) -> bytes:
        """A member's content; a DataError where there is none."""
        index = self._locate()
        for member in (name, f"{self.folder.name}/{name}"):
            names = index["names"]
            if len(member) * 4 > names.itemsize:  # a longer one than all would be searched for in a copy of the names
                continue
            place = int(np.searchsorted(names, member))
            if place < len(names) and names[place] == member:
                path = self.shards[index["shards"][place]]
                return _span(path, int(index["offsets"][place]), int(index["sizes"][place]), f"{path}@{name}")
        raise DataError(f"{self.folder}@{name}: no such image in {self}; {_MENDED}")

    def holds(self) -> Callable[[str], bool]:
        """Whether there is an image of a name."""
        members = set(self._locate()["names"].tolist())
        return lambda name: name in members or f"{self.folder.name}/{name}" in members

    def _locate(self) -> Arrays:
        """Names (M,) in order, and of each the shard, and where its content begins and how long it is."""
        if self._index is None:
            files = [(str(path), *_stamp(path)) for path in self.shards]
            self._index = cached(cache_key("tar shards", _INDEX_VERSION, files), lambda: _index(self.shards))
        return self._index


def shards_named(folder: Path) -> list[Path]:
    """The files <folder>-<number>.tar beside `folder`, in order; another set's name may begin alike."""
    pattern = re.compile(re.escape(folder.name) + r"-\d+\.tar")
    return sorted(path for path in folder.parent.glob("*.tar") if pattern.fullmatch(path.name))


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _index(shards: list[Path]) -> Arrays:
    found: list[tuple[str, int, int, int]] = []
    for number, path in enumerate(shards):
        try:
            with tarfile.open(path, "r:") as archive:
                members = archive.getmembers()
            _require_end(path, members)
            found += [
                (member.name.removeprefix("./"), number, member.offset_data, member.size)
                for member in members
                if member.isfile() and member.name.lower().endswith(IMAGES)
            ]
        except (tarfile.TarError, OSError) as error:
            raise DataError(f"{path}: not a whole tar file ({error}); write or fetch it again, uncompressed") from None
    found.sort()
    for one, other in zip(found, found[1:], strict=False):
        if one[0] == other[0]:
            raise DataError(
                f"{shards[other[1]]}@{one[0]}: the same image is in {shards[one[1]].name}; remove one of them"
            )
    if not found:
        raise DataError(f"{shards[0]}: no images in it and the other shards; members end with {', '.join(IMAGES)}")
    names, numbers, offsets, sizes = zip(*found, strict=True)
    return {
        "names": np.array(names), "shards": np.array(numbers, np.int32), "offsets": np.array(offsets, np.int64),
        "sizes": np.array(sizes, np.int64),
    }  # fmt: skip


def _require_end(path: Path, members: list[tarfile.TarInfo]) -> None:
    """A tarfile.TarError where a file stops behind a whole member, which tarfile takes for its end."""
    size = members[-1].size if members and members[-1].isreg() else 0
    end = (members[-1].offset_data if members else 0) + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    with open(path, "rb") as file:
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError(f"cut off after {path.stat().st_size} bytes")


def _span(path: Path, offset: int, size: int, where: str) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(size)
    except OSError as error:
        raise DataError(f"{where}: cannot read the shard ({error.strerror}); fetch it again") from None
    if len(data) < size:
        raise DataError(f"{where}: the shard is cut off; fetch it again")
    return data
