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


def columns_table(corner: str, columns: Mapping[str, Mapping[str, object]]) -> str:
    """A table with a column for each mapping of `columns` and a row for every name that any of them has.

    >>> print(columns_table("counts", {"train": {"images": 56599, "mean": 2.6511}, "val": {"images": 2346}}))
    | counts | train  | val   |
    |--------|--------|-------|
    | images | 56,599 | 2,346 |
    | mean   | 2.651  |       |
    """
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    rows = [[name, *(_cell(column.get(name, "")) for column in columns.values())] for name in names]
    return markdown_table([corner, *columns], rows)


def rows_table(corner: str, rows: Mapping[str, Mapping[str, object]]) -> str:
    """The same turned: a row for each mapping of `rows`."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    return markdown_table(
        [corner, *names], [[title, *(_cell(row.get(name, "")) for name in names)] for title, row in rows.items()]
    )


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
