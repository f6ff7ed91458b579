"""Plain results to things to read: tables on the terminal, history.csv, metrics.json, curves.png; trials.csv, search.png; other plots.

Knows nothing of models or training: history, numbers and names come in, text and files go out.
"""

from collections.abc import Sequence


def parameter_table(rows: Sequence[tuple[str, int, int]]) -> str:
    """Lays out what freezing does to the parameters.

    Args:
        rows: `(part, parameters, trainable parameters)` of each part.
    Returns: a table with a total: part, total, trainable, share trainable.
    """
    total = ("total", sum(row[1] for row in rows), sum(row[2] for row in rows))
    cells = [
        (name, f"{count:,}", f"{trainable:,}", f"{trainable / count:.1%}" if count else "")
        for name, count, trainable in [*rows, total]
    ]
    return table(("part", "parameters", "trainable", "share"), cells)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lays out text in columns: the first to the left, all others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join([first, *others]).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])
