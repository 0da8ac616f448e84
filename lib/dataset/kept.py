"""The people to train on, kept as arrays for the next start: a large annotation file is parsed and checked once.

What is kept belongs to the file's content, whatever its name or date, to all that the reader was told, and to the
source of the reader, so that nothing has to be said when one of them changes.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..utils import arrays, files, geometry, sides
from ..utils.cache import Arrays, cache_key, cached
from ..utils.files import file_sha256
from . import coco, own_keypoints, records, skeletons
from .records import Records
from .skeletons import Skeleton

READERS = (coco, own_keypoints, records, skeletons, arrays, files, geometry, sides)
WORTHWHILE = 16 << 20  # bytes; smaller files are read as soon as found


@dataclass(frozen=True)
class People:
    """The people of an annotation file, their skeleton, and the file's categories."""

    records: Records
    skeleton: Skeleton
    categories: list[dict[str, Any]]


def kept_people(path: Path, told: tuple[Any, ...], read: Callable[[], People]) -> People:
    """What `read` gives for the file at `path`, or gave when it was `told` the same of the same content."""
    if not path.is_file() or path.stat().st_size < WORTHWHILE:
        return read()
    here = Path(__file__)
    readers = [here, here.with_name("__init__.py"), *(Path(str(module.__file__)) for module in READERS)]
    key = cache_key("people", [file_sha256(source) for source in readers], file_sha256(path), told)
    return _unpacked(cached(key, lambda: _packed(read())))


def _packed(people: People) -> Arrays:
    found = {field.name: getattr(people.records, field.name) for field in fields(Records)}
    words = {
        "left_out": dict(found.pop("left_out")), "skeleton": asdict(people.skeleton), "categories": people.categories,
    }  # fmt: skip
    return {
        **{name: array for name, array in found.items() if array is not None},
        **{name: np.array(json.dumps(content)) for name, content in words.items()},
    }


def _unpacked(kept: Arrays) -> People:
    content = dict(kept)
    left_out, skeleton, categories = (
        json.loads(str(content.pop(name))) for name in ("left_out", "skeleton", "categories")
    )
    return People(
        Records(**content, left_out=left_out), Skeleton(**{k: _tuples(v) for k, v in skeleton.items()}), categories
    )


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
