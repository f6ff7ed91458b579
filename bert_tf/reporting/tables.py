"""Tables of plain values: for the terminal, and the numbers of a plot for a page."""

from collections.abc import Mapping, Sequence
from typing import Any


def parameter_table(rows: Sequence[tuple[str, int, int]]) -> str:
    """Lays out which parameters are trained.

    Args:
        rows: `(part, parameters, trainable parameters)` of each part.
    Returns: a table of part, parameters, trainable parameters and their share, with a total.
    """
    total = ("total", sum(row[1] for row in rows), sum(row[2] for row in rows))
    cells = [
        (name, f"{count:,}", f"{trainable:,}", f"{trainable / count:.1%}" if count else "")
        for name, count, trainable in [*rows, total]
    ]
    return table(("part", "parameters", "trainable", "share"), cells)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lays out text in columns, the first aligned left, the others right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join([first, *others]).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def numbers(plot: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the numbers of a plot as a table, in the form that `bert_tf.reporting.sections` describes.

    A row is an x and a column a series; named points, and points of one series that share an x, have a row each.
    """
    x, y = plot["x"], plot["y"]
    x_kind, y_kind = x.get("kind", "plain"), y.get("kind", "plain")

    def name(at: float) -> Any:
        return x["names"][int(at)] if x.get("names") else at

    if named := [series for series in plot["series"] if series.get("labels")]:
        columns = [("", "plain"), (x["label"], x_kind), (y["label"], y_kind)]
        rows = [
            [label, name(at), _estimate(series, i)]
            for series in named  # a line without names only connects points
            for i, (label, at) in enumerate(zip(series["labels"], series["x"], strict=True))
        ]
    else:
        columns = [(x["label"], x_kind), *((series["name"], y_kind) for series in plot["series"])]
        several = any(len(set(series["x"])) < len(series["x"]) for series in plot["series"])  # points that share an x
        rows = (
            [
                [name(at), *(_estimate(s, j) if k == i else None for k, s in enumerate(plot["series"]))]
                for at, i, j in sorted((at, i, j) for i, s in enumerate(plot["series"]) for j, at in enumerate(s["x"]))
            ]
            if several
            else [
                [name(at), *(_estimate(s, s["x"].index(at)) if at in s["x"] else None for s in plot["series"])]
                for at in sorted({at for series in plot["series"] for at in series["x"]})
            ]
        )
    return {"columns": [{"name": column, "kind": kind} for column, kind in columns], "rows": rows}


def _estimate(series: Mapping[str, Any], i: int) -> Any:
    if series.get("low"):
        return {"value": series["y"][i], "low": series["low"][i], "high": series["high"][i]}
    return series["y"][i]
