"""Tables of plain values: for the terminal, and the numbers of a plot for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf import terminal
from bert_tf.formatting import format_value


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
    return terminal.table(("part", "parameters", "trainable", "share"), cells)


def for_terminal(described: Mapping[str, Any]) -> str:
    """Lays out a table, in the form that `bert_tf.reporting.sections` describes, for the terminal: numbers to the right."""
    columns = described["columns"]
    left = [i for i, column in enumerate(columns) if i == 0 or column["kind"] == "text"]
    return terminal.table([column["name"] for column in columns], cells(described), left)


def cells(table: Mapping[str, Any]) -> list[list[str]]:
    """Returns the rows of a table, in the form that `bert_tf.reporting.sections` describes, as text."""
    kinds = ["plain" if column["kind"] == "text" else column["kind"] for column in table["columns"]]
    return [[format_value(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in table["rows"]]


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
        places: dict[tuple, dict[int, int]] = {}  # of each row: series -> which of its points
        for place in sorted((at, i, j) for i, series in enumerate(plot["series"]) for j, at in enumerate(series["x"])):
            places.setdefault(place if several else place[:1], {})[place[1]] = place[2]
        rows = [
            [name(at), *(_estimate(one, held[i]) if i in held else None for i, one in enumerate(plot["series"]))]
            for (at, *_), held in places.items()
        ]
    return {"columns": [{"name": column, "kind": kind} for column, kind in columns], "rows": rows}


def _estimate(series: Mapping[str, Any], i: int) -> Any:
    if series.get("low"):
        return {"value": series["y"][i], "low": series["low"][i], "high": series["high"][i]}
    return series["y"][i]
