"""The memory of large arrays on Linux."""

import ctypes
import os

# Parameters of glibc's mallopt
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
KEPT = 256 << 20  # bytes that are not given back
LARGEST = 32 << 20  # bytes, glibc's limit: what is larger always comes from the system


def keep_freed_memory() -> bool:
    """Lets the process keep some of what it frees instead of giving it back to the system; whether that was possible.

    Every batch frees and asks for the same large arrays. From the system they come as pages that are cleared one by one
    at their first use, which takes longer than what is computed in many of them.

    Where the system has them for those who ask, PyTorch's large tensors then lie in huge pages, as NumPy's arrays do:
    writing a batch of targets can take half the time when a processor need not look up 1600 pages for it. PyTorch
    decides on that at its first tensor on the CPU, before which this is to be called.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, KEPT))
