"""Arrays that took long to make, kept on the disk for the next start.

The folder is $HEATPOSE_CACHE, or heatpose in $XDG_CACHE_HOME, in ~/.cache, or, for users without a home, among the
temporary files; it may be deleted at any time.
"""

import hashlib
import logging
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .files import replacing

logger = logging.getLogger(__name__)

Arrays = Mapping[str, np.ndarray]


def cache_folder() -> Path:
    """Where cached arrays lie."""
    if own := os.environ.get("HEATPOSE_CACHE"):
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "heatpose"
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / "heatpose"


def cache_key(*parts: object) -> str:
    """A file name for what depends on the parts, which are told apart by how they are written."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def cached(key: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays that `make` gave for `key` the first time; made anew where they cannot be read.

    An error of `make` is passed on, and nothing is kept. A folder that cannot be written costs a line in the log.
    """
    path = cache_folder() / f"{key}.npz"
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as content:
                return {name: content[name] for name in content.files}
        except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            logger.warning("%s: cannot be read (%s), made anew", path, error)
    arrays = make()
    try:
        with replacing(path) as temporary, open(temporary, "wb") as file:  # savez would add an ending to a name
            np.savez(file, **dict[str, Any](arrays))
    except OSError as error:
        logger.warning("%s: cannot be written (%s), so the next start takes as long; set HEATPOSE_CACHE", path, error)
    return arrays
