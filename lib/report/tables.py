"""Plain-text tables for logs and papers."""

from collections.abc import Mapping, Sequence


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A markdown table with aligned columns.

    >>> print(markdown_table(["Arch", "AP"], [["pose_hrnet", "0.744"]]))
    | Arch       | AP    |
    |------------|-------|
    | pose_hrnet | 0.744 |
    """
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def score_table(rows: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """The forks' table of scores, | Arch | AP | Ap .5 | ... |, one row for each (name, scores)."""
    header = ["Arch", *rows[0][1]]
    return markdown_table(header, [[name, *(f"{value:.3f}" for value in scores.values())] for name, scores in rows])
