"""A name -> builder table, for architectures, codecs, losses and data sets."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint " (did you mean 'x'?)" for the known name closest to `name`, or "" where none is close.

    >>> nearest("pose_hrnt", ["pose_hrnet", "lpn"])
    " (did you mean 'pose_hrnet'?)"
    >>> nearest("zzz", ["pose_hrnet", "lpn"])
    ''
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


class Registry:
    """Functions or classes under the names that experiment files use.

    >>> shapes = Registry("shape")
    >>> @shapes.register("disk")
    ... def disk(radius): return radius
    >>> shapes.get("disk")(3)
    3
    >>> shapes.get("disc")
    Traceback (most recent call last):
    ...
    ValueError: unknown shape 'disc' (did you mean 'disk'?); known: disk
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, Callable[..., Any]] = {}

    def register(self, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A decorator that files what it decorates under `name`; a second entry of one name is a KeyError."""

        def add(entry: Callable[..., Any]) -> Callable[..., Any]:
            if name in self._entries:
                raise KeyError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return add

    def get(self, name: str) -> Callable[..., Any]:
        """The entry of that name; a ValueError that lists the known names where there is none."""
        if name not in self._entries:
            raise ValueError(f"unknown {self.kind} '{name}'{nearest(name, self._entries)}; known: {', '.join(self)}")
        return self._entries[name]

    def __iter__(self):
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries
