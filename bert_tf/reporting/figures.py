"""Figures, drawn by matplotlib: one description gives the SVG in a page and the PNG beside it.

A description is a dict of
    `title`, `description`: str; the second says in words what there is to see.
    `x`, `y`: the axes, dicts of `label` and optionally `range` (two numbers), `log` (bool), `whole` (bool, only whole
        numbers), `names` (str, what 0, 1, ... stand for), `kind` (of `formatting.format_value`, for the table of numbers).
    `series`: dicts of `name`, `x`, `y` (numbers; None = unknown) and optionally `low`, `high` (an interval around each `y`),
        `labels` (str, the name of each point), `as_`: "line" (default), "points", or "band", a line in its shaded interval.
    `marks`: optional, dicts of `x` and `label`, vertical dotted lines.
    `diagonal`: optional bool, whether to draw x = y.
"""

import io
import math
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf.files import written_whole
from bert_tf.formatting import printable

Plot = Mapping[str, Any]
EPOCHS = {"label": "epoch", "whole": True}  # axes
ACCURACY = {"label": "accuracy (share of texts)", "kind": "score"}
LOSS = {"label": "cross-entropy loss (nats)", "kind": "score"}

# Colours on white and on dark: by Okabe and Ito (2008), made darker or lighter until series have a contrast of at least 3 with
# the page and text 4.5, as WCAG 2.2 asks. The same as in pages/report.css.
SERIES = ("#0072b2", "#c04f00", "#007a5a", "#a3487c", "#8a6a00", "#43484f")
TEXT, QUIET, RULE = "#1b1f24", "#545c66", "#d5d9df"
ON_DARK = ("#56b4e9", "#f08c3c", "#2fc49b", "#dd92bd", "#e0c341", "#b9c0c8", "#e8eaed", "#a9b1bb", "#3a424c")
DARK = dict(zip((*SERIES, TEXT, QUIET, RULE), ON_DARK, strict=True))
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)), (0, (9, 3)), (0, (3, 1.5)))
MARKERS = "osD^vPX"  # one more than colours: from the seventh series on, pairs differ
SIZE = (4.7, 3.4)  # inches of one plot
# Where a point's name may stand: offset to the right and upwards (typographic points), alignment.
PLACES = [
    (across, up, side)
    for up in (0, 9, -9, 17, -17, 26, -26)
    for across, side in ((7, "left"), (-7, "right"), (0, "center"))
    if up or across
]
LONGEST = 36  # characters of a name; longer ones are cut
MARKED = 30  # a line of more points has no markers

STYLE = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"], "font.size": 9, "text.color": TEXT, "text.parse_math": False, "axes.labelcolor": TEXT,
    "axes.edgecolor": QUIET, "axes.facecolor": "none", "axes.grid": True, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.color": QUIET, "ytick.color": QUIET, "xtick.labelcolor": TEXT, "ytick.labelcolor": TEXT, "grid.color": RULE,
    "grid.linewidth": 0.7, "lines.linewidth": 1.7, "lines.markersize": 4.5, "legend.frameon": False,
    "svg.fonttype": "none", "svg.hashsalt": "bert_tf",
}  # fmt: skip


def describe(
    title: str, description: str, x: Plot, y: Plot, series: Sequence[Mapping], **others: Any
) -> dict[str, Any]:
    """Returns a description; `others` are `marks` and `diagonal`."""
    return {"title": title, "description": description, "x": x, "y": y, "series": [*series], **others}


def by_epoch(name: str, values: Sequence[float]) -> dict[str, Any]:
    """Returns a series of one value per epoch."""
    return {"name": name, "x": [*range(1, len(values) + 1)], "y": [*values]}


def interval(estimates: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    """Returns estimates, dicts of `value`, `low` and `high`, as the `y`, `low` and `high` of a series."""
    return {name: [one[key] for one in estimates] for name, key in (("y", "value"), ("low", "low"), ("high", "high"))}


def draw_svg(plot: Plot) -> str:
    """Draws a plot as SVG that follows the reader's choice of light or dark; its title is left to the page.

    Raises: ValueError if no series has a finite point.
    """
    text = io.StringIO()
    unset = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    _draw([plot], "", text, format="svg", transparent=True, metadata=unset)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]  # without the XML declaration and the document type
    start = svg.index(">") + 1
    light = "".join(f"--c{colour[1:]}:{colour};" for colour in DARK)
    dark = "".join(f"--c{colour[1:]}:{other};" for colour, other in DARK.items())
    style = f"<style>:root{{{light}}}@media (prefers-color-scheme: dark){{:root{{{dark}}}}}</style>"
    drawn = re.sub(rf"(?<=: )#({'|'.join(colour[1:] for colour in DARK)})\b", r"var(--c\1)", svg[start:])
    return svg[:start] + style + drawn


def draw_png(file: Path, plots: Sequence[Plot], title: str) -> None:
    """Draws plots side by side into a .png, under a title; without plots no file is written."""
    if plots:
        with written_whole(file) as scratch:
            _draw(plots, title, scratch, format="png", dpi=120, facecolor="white")


def _draw(plots: Sequence[Plot], title: str, target: Any, **options: Any) -> None:
    """Draws plots side by side and saves them; below a common title, each has its own as well."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = 3 if len(plots) == 3 else min(len(plots), 2)
    rows = -(-len(plots) // columns)
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A class name in Chinese, say: the browser has a font for it.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(SIZE[0] * columns, SIZE[1] * rows), layout="constrained")
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(textwrap.fill(printable(title), 52 * columns), fontsize="large")
        panels = figure.subfigures(rows, columns, squeeze=False).flat
        drawn = [(_panel(panel, plot, bool(title)), plot) for panel, plot in zip(panels, plots, strict=False)]
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # from here on places are known and stay
        for axes, plot in drawn:
            _name_points(axes, plot["series"])
        figure.savefig(target, **options)


def _panel(panel: Any, plot: Plot, titled: bool) -> Any:
    axes = panel.subplots()
    if not any(map(_points, plot["series"])):
        raise ValueError(f"The plot {plot['title']!r} has nothing to draw: no series has a finite point.")
    for i, series in enumerate(plot["series"]):
        _draw_series(axes, series, i)
    for mark in plot.get("marks") or ():
        axes.axvline(mark["x"], color=QUIET, linewidth=1.2, linestyle=":")
        place = {"xytext": (0, 2), "textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": "small"}
        axes.annotate(_short(mark["label"]), (mark["x"], 1), xycoords=axes.get_xaxis_transform(), **place)
    axes.margins(0.06, 0.08)
    _set_x_axis(axes, plot["x"])
    if plot.get("diagonal"):
        low, high = max(axes.get_xlim()[0], axes.get_ylim()[0]), min(axes.get_xlim()[1], axes.get_ylim()[1])
        axes.plot([low, high], [low, high], color=QUIET, linewidth=1.2, linestyle=":")
    axes.set_xlabel(printable(plot["x"]["label"]))
    axes.set_ylabel(printable(plot["y"]["label"]))
    if titled:
        panel.suptitle(textwrap.fill(printable(plot["title"]), 56), fontsize="medium")
    if len(plot["series"]) > 1:
        longest = max(len(_short(series["name"])) for series in plot["series"])
        columns = min(len(plot["series"]), max(2, 88 // (longest + 8)))
        panel.legend(loc="outside lower center", fontsize="small", ncols=columns)
    return axes


def _draw_series(axes: Any, series: Mapping[str, Any], i: int) -> None:
    points, as_ = _points(series), series.get("as_", "line")
    x, y = [point[0] for point in points], [point[1] for point in points]
    color, marker = SERIES[i % len(SERIES)], MARKERS[i % len(MARKERS)]
    style = {"color": color, "label": _short(series["name"]), "linestyle": DASHES[i % len(DASHES)]}
    if as_ == "points":
        style |= {"linestyle": "none"}
    if as_ == "points" or (as_ == "line" and len(points) <= MARKED):
        style |= {"marker": marker}
    axes.plot(x, y, **style)
    if as_ == "band":
        axes.fill_between(series["x"], series["low"], series["high"], color=color, alpha=0.18, linewidth=0)
    else:
        for at, *ends in zip(series["x"], series.get("low") or (), series.get("high") or (), strict=False):
            if None not in ends:
                axes.plot([at, at], ends, color=color, linewidth=1.2)


def _points(series: Mapping[str, Any]) -> list[tuple[float, float]]:
    pairs = zip(series["x"], series["y"], strict=True)
    return [(float(x), float(y)) for x, y in pairs if y is not None and math.isfinite(y)]


def _set_x_axis(axes: Any, axis: Mapping[str, Any]) -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    if names := [textwrap.fill(_short(name), 20) for name in axis.get("names") or ()]:
        turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, names)) > 40 else {}
        axes.set_xticks(range(len(names)), names, fontsize="small", linespacing=0.9, **turned)
        axes.set_xlim(-0.5, len(names) - 0.5)
    elif axis.get("log"):
        low, high = axes.dataLim.intervalx
        if math.isclose(low, high):  # matplotlib warns about an axis without an extent
            axes.set_xlim(low / 2, 2 * low)
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        decades = math.log10(high / low)  # so many digits a decade that their labels have room
        digits = (1, 2, 5) if decades < 2 else (1, 3) if decades < 3.5 else (1,)
        axes.xaxis.set_major_locator(LogLocator(subs=digits) if decades > 0.7 else MaxNLocator(5))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axes.xaxis.set_minor_locator(NullLocator())
    elif axis.get("whole"):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if axis.get("range"):
        axes.set_xlim(*axis["range"])


def _name_points(axes: Any, every: Sequence[Mapping[str, Any]]) -> None:
    """Writes each point's name beside it, where it covers least of what is drawn."""
    points = []
    for line in axes.lines:
        path = line.get_path() if line.get_linestyle() == "None" else line.get_path().interpolated(30)
        points += [*axes.transData.transform_path(path).vertices]
    written: list[Any] = []
    for series in every:
        for x, y, name in zip(series["x"], series["y"], series.get("labels") or (), strict=False):
            style = {"textcoords": "offset points", "va": "center", "fontsize": "small", "in_layout": False}
            text = axes.annotate(_short(name), (x, y), (0, 0), **style)

            def covered(place: tuple[float, float, str], text: Any = text) -> float:
                text.set(position=place[:2], ha=place[2])
                box = text.get_window_extent()
                cut = not (axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and axes.bbox.containsy(box.y0))
                return 30 * cut + 10 * box.count_overlaps(written) + box.count_contains(points) + abs(place[1]) / 15

            best = min(PLACES, key=covered)
            text.set(position=best[:2], ha=best[2])
            written.append(text.get_window_extent())


def _short(name: Any) -> str:
    text = " ".join(printable(str(name)).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "\u2026"
