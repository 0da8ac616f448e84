"""NumPy numbers inside PyTorch's weight files, read as plain Python numbers.

The forks store COCO's AP, a numpy.float64, beside the weights of their checkpoint.pth; torch.load(weights_only=True)
refuses the whole file because of it. Allowing NumPy's own functions would bind the reading to NumPy's version (they
moved from numpy.core to numpy._core) and let a file build arrays of objects. The stand-ins below are all that a pickled
number calls for, and can make nothing but an int, a float or a bool.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals


class NotANumberError(ValueError):
    """A pickle that asks NumPy for something else than a plain number."""


class NumberType:
    """Stands in for numpy.dtype: the type code of a bool, int or float, e.g. "f8", and its byte order."""

    def __init__(self, code: str, align: bool = False, copy: bool = False):
        if not re.fullmatch("[biuf][1248]", code):
            raise NotANumberError(f"numpy.dtype('{code}')")
        self.code = code
        self.order = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise NotANumberError(f"numpy.dtype('{self.code}') with byte order {state[1]!r}")
        self.order = state[1]


def number(kind: NumberType, data: bytes) -> int | float | bool:
    """Stands in for numpy's `scalar`: the number of that type whose bytes are `data`."""
    return np.frombuffer(data, np.dtype(kind.order + kind.code), count=1)[0].item()


def latin1_bytes(text: str, encoding: str) -> bytes:
    """Stands in for _codecs.encode, by which Python 3 writes bytes into pickles of protocol 2; torch 2.4 lacks it."""
    if encoding != "latin1":
        raise NotANumberError(f"_codecs.encode with {encoding!r}")
    return text.encode("latin1")


def _called(path: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` under the dotted name `path`: torch finds what is allowed by the name that it bears itself."""

    def stand_in(*arguments: Any) -> Any:
        return function(*arguments)

    stand_in.__module__, _, stand_in.__name__ = path.rpartition(".")
    stand_in.__qualname__ = stand_in.__name__
    return stand_in


STAND_INS: list[Any] = [
    type("dtype", (NumberType,), {"__module__": "numpy"}),
    _called("numpy.core.multiarray.scalar", number),
    _called("numpy._core.multiarray.scalar", number),
    _called("_codecs.encode", latin1_bytes),
]


@contextmanager
def numbers_allowed() -> Iterator[None]:
    """While it is open, torch.load(weights_only=True) reads NumPy's numbers too."""
    before = list(get_safe_globals())  # a copy: torch 2.4 gives the list that it adds to
    add_safe_globals(STAND_INS)
    try:
        yield
    finally:  # torch 2.4 has no context manager of its own for this
        clear_safe_globals()
        add_safe_globals(before)
