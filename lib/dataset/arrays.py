"""Numbers in MATLAB's .mat and NumPy's .npy files, with errors that name the file. Nothing is unpickled."""

from pathlib import Path
from typing import Any

import numpy as np

from .records import DataError

MATLAB_ORIGIN = 1  # MATLAB's number of the first pixel; in records it is 0


def read_mat(path: Path, missing: str) -> dict[str, Any]:
    """The variables of a MATLAB file as `scipy.io.loadmat` gives them, by their names.

    Raises:
        DataError: no such file, and then `missing` says what to do; a file that is broken or of MATLAB's version 7.3.
    """
    from scipy.io import loadmat  # slow to import, and needed by few data sets

    if not path.is_file():
        raise DataError(f"{path}: no such file{missing}")
    try:
        return loadmat(str(path))
    except Exception as error:  # scipy raises errors of many kinds on a broken file
        raise DataError(f"{path}: not a MATLAB file ({' '.join(str(error).split())}); fetch it again") from None


def read_npy(path: Path, missing: str) -> np.ndarray:
    """The array of a NumPy file.

    Raises:
        DataError: no such file, and then `missing` says what to do; a file that is broken or holds Python objects.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file{missing}")
    try:
        with open(path, "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(
            f"{path}: not an array of numbers in NumPy's format ({' '.join(str(error).split())}); fetch it again"
        ) from None
