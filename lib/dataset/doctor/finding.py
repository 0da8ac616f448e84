"""What the doctor says: one fault of the data, how frequent it is, an example, and what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

SYSTEMATIC = 0.01  # share from which a fault of single annotations counts as one of the whole file
ALWAYS = 0.0
NEVER = 2.0


@dataclass(frozen=True)
class Finding:
    """A fault that `count` of `total` things have.

    Attributes:
        what: the fault and what follows from it.
        count, total: how many have it, of how many.
        example: one of them, with its values.
        fix: what to do.
        spoils: whether the score suffers; otherwise it is a remark.
    """

    what: str
    count: int
    total: int
    example: str
    fix: str
    spoils: bool = True

    def __str__(self) -> str:
        kind = "SPOILS THE SCORE" if self.spoils else "remark"
        lines = [f"{kind}: {self.what}", f"  how many: {self.count} of {self.total}"]
        lines += [f"  example:  {self.example}"] * bool(self.example)
        return "\n".join([*lines, f"  to do:    {self.fix}"])


def find(
    what: str,
    bad: ArrayLike,
    example: Callable[[int], str],
    fix: str,
    spoils_from: float = ALWAYS,
    report_from: float = ALWAYS,
    total: int | None = None,
) -> list[Finding]:
    """A finding about the things marked in `bad` (N,), in a list; an empty list where none is.

    `example` describes the thing at a position. It spoils the score from a share of `spoils_from` of `total` (N where
    None), and is kept to itself below `report_from`.
    """
    marked = np.asarray(bad, dtype=bool)
    count, total = int(marked.sum()), len(marked) if total is None else total
    share = count / max(total, 1)
    if not count or share < report_from:
        return []
    return [Finding(what, count, total, example(int(marked.argmax())), fix, share >= spoils_from)]


def shown(value: Any) -> str:
    """A value from a JSON file, short enough for a message.

    >>> shown([1.0, 2.25, 30.123456])
    '[1, 2.25, 30.1235]'
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple, np.ndarray)):
        return "[" + ", ".join(shown(each) for each in list(value)[:6]) + ", ..." * (len(value) > 6) + "]"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
