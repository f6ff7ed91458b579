"""Figures, drawn by matplotlib: one description gives the SVG in a page and the PNG beside it.

A description is a dict of
    `title`, `description`: str; the second says in words what there is to see.
    `x`, `y`: the axes, dicts of `label` and optionally `range` (two numbers), `log` (bool), `whole` (bool, only whole
        numbers), `at` (numbers to be marked on it), `from_zero` (bool), `most` (a
        number that values cannot pass), `names` (str, what 0, 1, ... of x stand for: these go down the side, where names have
        room), `kind` (of `formatting.format_value`, for the table of numbers).
    `series`: dicts of `name`, `x`, `y` (numbers; None = unknown) and optionally `low`, `high` (an interval around each `y`),
        `labels` (str, the name of each point), `as_`: "line" (default), "points", "steps", the outline of a histogram, or "band", a
        line in its shaded interval.
    `apart`: optional bool, whether each series has a small plot of its own.
    `marks`: optional, dicts of `x` and `label`, vertical dotted lines.
    `diagonal`: optional bool, whether to draw x = y.
"""

import io
import json
import math
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bert_tf.files import written_whole
from bert_tf.formatting import format_value, printable
from bert_tf.reporting import fonts

Plot = Mapping[str, Any]
EPOCHS = {"label": "epoch", "whole": True}  # axes
ACCURACY = {"label": "accuracy (share of texts)", "kind": "score", "most": 1.0}
LOSS = {"label": "cross-entropy loss (nats)", "kind": "score"}

# Colours on white and on dark: by Okabe and Ito (2008), made darker or lighter until series have a contrast of at least 3 with
# the page and text 4.5, as WCAG 2.2 asks. The same as in pages/report.css.
SERIES = ("#0072b2", "#c04f00", "#007a5a", "#a3487c", "#8a6a00", "#43484f")
TEXT, QUIET, RULE = "#1b1f24", "#545c66", "#d5d9df"
ON_DARK = ("#56b4e9", "#f08c3c", "#2fc49b", "#dd92bd", "#e0c341", "#b9c0c8", "#e8eaed", "#a9b1bb", "#3a424c")
DARK = dict(zip((*SERIES, TEXT, QUIET, RULE), ON_DARK, strict=True))
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (7, 2, 1.5, 2)), (0, (9, 3)), (0, (3, 1.5)))
MARKERS = "osD^vPX"  # one more than colours: from the seventh series on, pairs differ
WIDTH, HEIGHT = 4.1, 3.1  # inches of a plot: its text is as large as the page's beside it, and readable on a phone
PAGE_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"  # as in pages/report.css
# Where a point's name may stand: offset to the right and upwards (typographic points), alignment.
PLACES = [
    (across, up, side)
    for up in (0, 10, -10, 19, -19, 28, -28, 38, -38)
    for across, side in ((7, "left"), (-7, "right"), (0, "center"))
    if up or across
]
NEAR = 12  # points; from a name further away a line leads to its point
ROOM = 1.5  # points around a name
LONGEST = 36  # characters of a name; longer ones are cut
WRAPPED = 20  # characters of a line of a name
MARKED = 30  # a line of more points has no markers
DODGE = 0.02  # of an axis, between points of several series at one place

STYLE = {
    "font.size": 9, "text.color": TEXT, "text.parse_math": False, "axes.labelcolor": TEXT,
    "axes.labelsize": 9, "axes.titlesize": 9, "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.fontsize": 9, "figure.titlesize": 10,
    "axes.edgecolor": QUIET, "axes.facecolor": "none", "axes.grid": True, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.color": QUIET, "ytick.color": QUIET, "xtick.labelcolor": TEXT, "ytick.labelcolor": TEXT, "grid.color": RULE,
    "grid.linewidth": 0.7, "lines.linewidth": 1.7, "lines.markersize": 4.5, "legend.frameon": False,
    "svg.fonttype": "none", "svg.hashsalt": "bert_tf",
}  # fmt: skip


def describe(
    title: str, description: str, x: Plot, y: Plot, series: Sequence[Mapping], **others: Any
) -> dict[str, Any]:
    """Returns a description; `others` are `marks`, `diagonal` and `apart`."""
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
    return svg[:start] + style + re.sub(rf"'{fonts.OWN}'(, '[^']*')*", PAGE_FONTS, drawn)


def draw_png(file: Path, plots: Sequence[Plot], title: str) -> None:
    """Draws plots side by side into a .png, under a title; without plots no file is written."""
    if plots:
        with written_whole(file) as scratch:
            _draw(plots, title, scratch, format="png", dpi=150, facecolor="white")


def _draw(plots: Sequence[Plot], title: str, target: Any, **options: Any) -> None:
    """Draws plots side by side and saves them; below a common title, each has its own as well."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(len(plots), 2)
    heights = [_height(plot) + 0.25 * bool(title) for plot in plots]
    by_row = [max(heights[i : i + columns]) for i in range(0, len(heights), columns)]
    families, lacking = fonts.families(json.dumps([title, *plots], ensure_ascii=False, default=str))
    if options["format"] == "png":  # of an SVG the browser has a font
        fonts.say_lacking(lacking)
    with matplotlib.rc_context({**STYLE, "font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(WIDTH * columns, sum(by_row) + 0.3 * bool(title)), layout="constrained")
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(textwrap.fill(printable(title), 46 * columns), fontsize=11)
        panels = figure.subfigures(len(by_row), columns, squeeze=False, height_ratios=by_row).flat
        drawn = [_panel(panel, plot, bool(title)) for panel, plot in zip(panels, plots, strict=False)]
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # from here on places are known and stay
        for axes, series in drawn:
            _name_points(axes, series)
            _spread([text for text in axes.texts if text.get_gid() == LINE_NAME])
        figure.savefig(target, **options)


def _height(plot: Plot) -> float:
    """Returns the inches of a plot."""
    if names := plot["x"].get("names"):
        return 0.8 + sum(0.16 + 0.16 * (_wrapped(name).count("\n") + 1) for name in names)
    if plot.get("apart"):
        return 0.6 + 1.3 * -(-len(plot["series"]) // 2)
    return HEIGHT


def _panel(panel: Any, plot: Plot, titled: bool) -> tuple[Any, Sequence[Plot]]:
    """Draws a plot; returns its axes and the series whose points are to be named."""
    if not any(map(_points, plot["series"])):
        raise ValueError(f"The plot {plot['title']!r} has nothing to draw: no series has a finite point.")
    if titled:
        panel.suptitle(textwrap.fill(printable(plot["title"]), 48))
    if plot.get("apart") and len(plot["series"]) > 1:
        return _draw_apart(panel, plot)
    axes, turned = panel.subplots(), "names" in plot["x"]
    drawn = _dodged(plot)
    for i, series in enumerate(drawn):
        _draw_series(axes, series, i, turned)
    for mark in plot.get("marks") or ():
        axes.axvline(mark["x"], color=QUIET, linewidth=1.2, linestyle=":")
        place = {"xytext": (0, 2), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        axes.annotate(_short(mark["label"]), (mark["x"], 1), xycoords=axes.get_xaxis_transform(), **place)
    axes.margins(0.06, 0.08)
    if turned:
        _name_rows(axes, plot)
    else:
        _set_x_axis(axes, plot["x"])
        _set_y_axis(axes, plot["y"])
    if plot.get("diagonal"):
        low, high = max(axes.get_xlim()[0], axes.get_ylim()[0]), min(axes.get_xlim()[1], axes.get_ylim()[1])
        axes.plot([low, high], [low, high], color=QUIET, linewidth=1.2, linestyle=":")
    sides = ("y", "x") if turned else ("x", "y")
    axes.set_xlabel(textwrap.fill(printable(plot[sides[0]]["label"]), 48))
    axes.set_ylabel(textwrap.fill(printable(plot[sides[1]]["label"]), 40))
    if len(plot["series"]) > 1:
        _name_series(panel, axes, plot, turned)
    return axes, drawn


def _draw_apart(panel: Any, plot: Plot) -> tuple[Any, Sequence[Plot]]:
    """Draws each series in a small plot of its own, all of the same height."""
    series = plot["series"]
    every = [*panel.subplots(-(-len(series) // 2), 2, sharey=True, squeeze=False).flat]
    for axes, one in zip(every, series, strict=False):
        _draw_series(axes, one, 0)
        axes.set_title(textwrap.fill(_short(one["name"]), 22), loc="left", linespacing=0.9)
        axes.margins(0.08, 0.12)
        _set_x_axis(axes, plot["x"])
        axes.xaxis.get_major_locator().set_params(nbins=4)
    for axes in every[len(series) :]:
        axes.remove()
    panel.supxlabel(printable(plot["x"]["label"]), fontsize=9)
    panel.supylabel(textwrap.fill(printable(plot["y"]["label"]), 40), fontsize=9)
    return every[0], ()


def _draw_series(axes: Any, series: Mapping[str, Any], i: int, turned: bool = False) -> None:
    """Draws a series, the i-th of its plot; `turned`: with x down the side."""
    points, as_ = _points(series), series.get("as_", "line")
    x, y = [point[0] for point in points], [point[1] for point in points]
    color, marker = SERIES[i % len(SERIES)], MARKERS[i % len(MARKERS)]
    style = {"color": color, "label": _wrapped(series["name"]), "linestyle": DASHES[i % len(DASHES)]}
    if as_ == "points":
        style |= {"linestyle": "none"}
    if as_ == "points" or (as_ == "line" and len(points) <= MARKED):
        style |= {"marker": marker}
    if as_ == "steps":
        step = (x[1] - x[0]) / 2 if len(x) > 1 else 0.5
        x, y = [x[0] - step, *x, x[-1] + step], [y[0], *y, y[-1]]
        style |= {"drawstyle": "steps-mid"}
        axes.fill_between(x, y, step="mid", color=color, alpha=0.12, linewidth=0)
    axes.plot(*((y, x) if turned else (x, y)), **style)
    if as_ == "band":
        axes.fill_between(series["x"], series["low"], series["high"], color=color, alpha=0.18, linewidth=0)
    else:
        for at, *ends in zip(series["x"], series.get("low") or (), series.get("high") or (), strict=False):
            if None not in ends:
                axes.plot(*((ends, [at, at]) if turned else ([at, at], ends)), color=color, linewidth=1.2)


def _points(series: Mapping[str, Any]) -> list[tuple[float, float]]:
    pairs = zip(series["x"], series["y"], strict=True)
    return [(float(x), float(y)) for x, y in pairs if y is not None and math.isfinite(y)]


def _dodged(plot: Plot) -> list[dict[str, Any]]:
    """Returns the series with points moved aside where the interval of one would hide that of another."""
    every, log = plot["series"], plot["x"].get("log")
    moved = [{**series, "x": [*series["x"]]} for series in every]
    points = [
        (i, j)
        for i, one in enumerate(every)
        if one.get("low") and one.get("as_") != "band"
        for j in range(len(one["x"]))
    ]
    places = {(i, j): math.log(every[i]["x"][j]) if log else float(every[i]["x"][j]) for i, j in points}
    ranked = sorted(points, key=lambda point: (places[point], point))
    extent = max(places.values(), default=0) - min(places.values(), default=0)
    gap = 0.2 if "names" in plot["x"] else DODGE * (extent or 1.0)
    apart = _separated([places[point] for point in ranked], [gap] * (len(ranked) - 1))
    for (i, j), place in zip(ranked, apart, strict=True):
        if place != places[i, j]:
            moved[i]["x"][j] = math.exp(place) if log else place
    return moved


def _separated(places: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Moves rising places apart until each is its gap, or nearly, before the next; those that touch move alike."""
    apart = [*places]
    for _ in range(100):
        for i, gap in enumerate(gaps):
            if (lack := gap - (apart[i + 1] - apart[i])) > 1e-9:
                apart[i] -= lack / 2
                apart[i + 1] += lack / 2
    return apart


def _name_rows(axes: Any, plot: Plot) -> None:
    """Writes names down the side, the first at the top, and the values at the other."""
    names, kind = [_wrapped(name) for name in plot["x"]["names"]], plot["y"].get("kind", "plain")
    axes.set_yticks(range(len(names)), names, linespacing=0.95)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    _zero_line(axes.get_xlim(), axes.axvline)
    if len(plot["series"]) == 1:
        for at, value in _points(plot["series"][0]):
            place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(format_value(value, kind), (1, at), xycoords=axes.get_yaxis_transform(), **place)


def _set_x_axis(axes: Any, axis: Mapping[str, Any]) -> None:
    from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

    def plain(value: float, _: Any) -> str:
        return f"{value:,.10g}"

    if axis.get("log"):
        low, high = axes.dataLim.intervalx
        if high < 1.1 * low:  # matplotlib warns about an axis without an extent
            axes.set_xlim(low / 2, 2 * high)
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        decades = math.log10(high / low)  # so many digits a decade that their labels have room
        digits = (1, 2, 5) if decades < 2 else (1, 3) if decades < 3.5 else (1,)
        axes.xaxis.set_major_locator(LogLocator(subs=digits) if decades > 0.7 else MaxNLocator(4))
        axes.xaxis.set_major_formatter(plain)
        axes.xaxis.set_minor_locator(NullLocator())
    elif axis.get("whole"):
        first, last = axes.dataLim.intervalx
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, first - 0.6), min(high, last + 0.6))  # no epoch 0
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6))
    if axis.get("at"):
        axes.xaxis.set_major_locator(FixedLocator(_with_room(axis["at"], bool(axis.get("log")))))
        axes.xaxis.set_major_formatter(plain)
    if axis.get("range"):
        axes.set_xlim(*axis["range"])


def _with_room(values: Sequence[float], log: bool) -> list[float]:
    """Returns those of the values, the largest first, whose labels would not touch."""
    ranked = sorted({*values}, reverse=True)
    places = [math.log(value) if log else value for value in ranked]
    room, kept = (places[0] - places[-1]) / 7, [0]
    for i in range(1, len(ranked)):
        if places[kept[-1]] - places[i] >= room:
            kept.append(i)
    return [ranked[i] for i in kept]


def _set_y_axis(axes: Any, axis: Mapping[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    if axis.get("most"):
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.02 * axis["most"]))
    if axis.get("from_zero"):
        axes.set_ylim(bottom=0)
    _zero_line(axes.get_ylim(), axes.axhline)


def _zero_line(limits: tuple[float, float], draw: Any) -> None:
    if min(limits) < 0 < max(limits):
        draw(0, color=QUIET, linewidth=0.8)


LINE_NAME = "name"  # marks the name of a line at its end


def _name_series(panel: Any, axes: Any, plot: Plot, turned: bool) -> None:
    """Names lines that end together at their ends, and other series in a legend below the plot."""
    every = plot["series"]
    ends = [_points(series)[-1:] for series in every]
    lines = all(series.get("as_", "line") in ("line", "band") for series in every)
    if lines and not turned and all(ends) and len({end[0][0] for end in ends}) == 1:
        for i, (series, [(_, y)]) in enumerate(zip(every, ends, strict=True)):
            name = textwrap.fill(_short(series["name"]), 14)
            place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "linespacing": 0.95}
            axes.annotate(
                name, (1, y), xycoords=axes.get_yaxis_transform(), color=SERIES[i % len(SERIES)], gid=LINE_NAME, **place
            )
        return
    longest = max(len(_short(series["name"])) for series in every)
    columns = min(len(every), max(1, 64 // (min(longest, WRAPPED) + 8)))
    panel.legend(loc="outside lower center", ncols=columns)


def _spread(names: Sequence[Any]) -> None:
    """Moves the names of lines up and down until none touches another, each as little as may be."""
    boxes = {text: text.get_window_extent() for text in names}
    ranked = sorted(names, key=lambda text: boxes[text].y0)
    middles = [(boxes[text].y0 + boxes[text].y1) / 2 for text in ranked]
    heights = [boxes[text].height for text in ranked]
    gaps = [(low + high) / 2 + 1 for low, high in pairwise(heights)]
    for text, middle, moved in zip(ranked, middles, _separated(middles, gaps), strict=True):
        text.set(position=(5, (moved - middle) * 72 / text.figure.dpi))


def _name_points(axes: Any, every: Sequence[Mapping[str, Any]]) -> None:
    """Writes each point's name beside it, where it covers least of what is drawn; a line leads to a point further away."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    points: list[Any] = []  # in pixels; a marker, which a name must not hide, counts for several
    for line in axes.lines:
        path = axes.transData.transform_path(line.get_path())
        drawn = [] if line.get_linestyle() == "None" else [*path.interpolated(30).vertices]
        points += drawn + 8 * [*path.vertices] * (line.get_marker() != "None")
    written: list[Any] = []
    for series in every:
        for x, y, name in zip(series["x"], series["y"], series.get("labels") or (), strict=False):
            style = {"textcoords": "offset points", "va": "center", "in_layout": False, "linespacing": 0.9}
            text = axes.annotate(_wrapped(name), (x, y), (0, 0), **style)

            def covered(place: tuple[float, float, str], text: Any = text) -> float:
                text.set(position=place[:2], ha=place[2])
                box = text.get_window_extent().padded(ROOM * text.figure.dpi / 72)
                cut = not all(axes.bbox.contains(*corner) for corner in (box.min, box.max))
                return 30 * cut + 10 * box.count_overlaps(written) + box.count_contains(points) + abs(place[1]) / 15

            best = across, up, side = min(PLACES, key=covered)
            text.set(position=best[:2], ha=side)
            written.append(text.get_window_extent())
            if abs(up) > NEAR:
                start, end = 4 / abs(up), 1 - 5 / abs(up) * (side == "center")
                both = [[offset / 72 * share for share in (start, end)] for offset in (across, up)]
                transform = axes.figure.dpi_scale_trans + ScaledTranslation(x, y, axes.transData)
                axes.add_artist(Line2D(*both, transform=transform, color=QUIET, linewidth=0.7, in_layout=False))


def _short(name: Any) -> str:
    text = " ".join(printable(str(name)).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "\u2026"


def _wrapped(name: Any) -> str:
    """Returns a name in lines."""
    return textwrap.fill(_short(name), WRAPPED) or " "
