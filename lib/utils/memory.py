"""The memory of large arrays on Linux."""

import ctypes

# Parameters of glibc's mallopt
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Lets the process keep what it frees instead of giving it back to the system; whether that was possible.

    Every batch frees and asks for the same large arrays. From the system they come as pages that are cleared one by one
    at their first use, which takes longer than what is computed in many of them. The peak stays what it was.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _NEVER))
