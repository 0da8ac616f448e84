"""Files that are either whole or not there."""

import gc
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

AT_ONCE = 2048  # rows that become text together


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed to `path` at the end, removed if an exception comes first.

    Whoever opens `path` meanwhile finds the old file, and after a crash it is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # a process id may be another machine's, too
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """A text file, written whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(content: Any, path: Path, indent: int | None = None) -> None:
    """A JSON file, written whole or not at all; a ValueError where a number is none, which JSON has no word for."""
    write_text(json.dumps(content, indent=indent, allow_nan=False), path)


def write_json_rows(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """A JSON file of many rows, whose values may be NumPy arrays, all of them finite: orjson has null for nan.

    They become text some at a time, so that the memory never holds the whole text.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(b"[")
        for start in range(0, len(rows), AT_ONCE):
            text = orjson.dumps(rows[start : start + AT_ONCE], option=orjson.OPT_SERIALIZE_NUMPY)
            file.write((b"," if start else b"") + text[1:-1])
        file.write(b"]")


def parse_json(data: bytes) -> Any:
    """The content of a JSON file; a ValueError that says where it is broken.

    Files that orjson refuses are read by Python's reader, slower and more lenient: it takes nan. The garbage collector
    pauses: it would walk through the growing content again and again.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)
    finally:
        if collects:
            gc.enable()


def file_sha256(path: Path) -> str:
    """Hex digest of a file's content: what tells two detection files apart."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: Any) -> str:
    """hashlib.file_digest for Python 3.10."""
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()
