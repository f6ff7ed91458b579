"""Plots as inline SVG: one plain description in, a figure out, with a text alternative and its numbers as a table.

Colours and fonts are the page's (classes in pages/report.css), so that a plot follows light, dark and print.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf.reporting.markup import Html, element

WIDTH, HEIGHT = 440, 290  # units of the picture: about as wide as a phone, so that its text is readable there


LEFT, RIGHT, TOP, BOTTOM = 52, 14, 34, 46


MARKED = 30  # points up to which each has a marker


STYLES = 6  # series that differ in colour, dash and marker


LETTER = 6.6  # about the width of a letter, for legends


def draw(plot: Mapping[str, Any], number: int) -> Html:
    """Draws a plot.

    Args:
        plot: dict of
            `title`, `description`: str, the second says in words what is to be seen;
            `x`, `y`: axes, dicts of `label` and, if need be, `range` (two numbers), `log` (bool), `names` (str, what the
            whole numbers 0, 1, ... stand for), `whole` (bool, whole numbers only), `kind` (of `formatting.format_value`);
            `series`: dicts of `name`, `x`, `y` (numbers; None = not known) and, if need be, `low`, `high` (numbers, an
            interval), `labels` (str, a name a point), `as_` ("line", the default, "points" or "bars");
            `marks`: dicts of `x` and `label`: dotted lines from top to bottom;
            `diagonal`: bool, whether to draw x = y.
        number: int, one of its own for each plot of a page.
    Returns: an `<svg>`.
    Raises: ValueError if no series has a finite point.
    """
    every = [(x, y) for series in plot["series"] for x, y in _points(series)]
    if not every:
        raise ValueError(f"The plot {plot['title']!r} has nothing to draw: no series has a finite point.")
    bars = [series for series in plot["series"] if series.get("as_") == "bars"]
    ends = [end for s in plot["series"] for name in ("low", "high") for end in s.get(name) or () if end is not None]
    marks = [mark["x"] for mark in plot.get("marks") or ()]
    x_axis = _Axis(plot["x"], [x for x, _ in every] + marks, LEFT, WIDTH - RIGHT, half=0.5 if bars else 0.0)
    y_axis = _Axis(plot["y"], [y for _, y in every] + ends + ([0.0] if bars else []), HEIGHT - BOTTOM, TOP)
    shapes = _grid(x_axis, y_axis, plot)
    if plot.get("diagonal"):
        low, high = max(x_axis.low, y_axis.low), min(x_axis.high, y_axis.high)
        shapes.append(_line(x_axis(low), y_axis(low), x_axis(high), y_axis(high), "mark"))
    for i, series in enumerate(plot["series"]):
        shapes.append(_bars(series, x_axis, y_axis, bars.index(series), len(bars), i) if series in bars
                      else _curve(series, x_axis, y_axis, i))  # fmt: skip
    for mark in plot.get("marks") or ():
        at = x_axis(mark["x"])
        left = at > WIDTH * 0.6
        shapes += [
            _line(at, TOP, at, HEIGHT - BOTTOM, "mark"),
            _text(at - 4 if left else at + 4, TOP + 10, mark["label"], "end" if left else "start"),
        ]
    shapes += _labels(plot["series"], x_axis, y_axis)
    legend, above = _legend(plot["series"])
    title, description = f"plot-{number}-title", f"plot-{number}-description"
    return element(
        "svg",
        element("title", plot["title"], id=title),
        element("desc", plot["description"], id=description),
        legend,
        shapes,
        viewBox=f"0 {-above} {WIDTH} {HEIGHT + above}", role="img", aria_labelledby=f"{title} {description}",
    )  # fmt: skip


def numbers(plot: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the numbers of a plot as a table: a row an x, a column a series; named points, and those that share an x in
    one series, have a row each."""
    x, y = plot["x"], plot["y"]
    x_kind, y_kind = x.get("kind", "plain"), y.get("kind", "plain")

    def name(at: float) -> Any:
        return x["names"][int(at)] if x.get("names") else at

    if named := [series for series in plot["series"] if series.get("labels")]:
        columns = [("", "plain"), (x["label"], x_kind), (y["label"], y_kind)]
        rows = [
            [label, name(at), _estimate(series, i)]
            for series in named  # lines between named points say nothing new
            for i, (label, at) in enumerate(zip(series["labels"], series["x"], strict=True))
        ]
    else:
        columns = [(x["label"], x_kind), *((series["name"], y_kind) for series in plot["series"])]
        several = any(len(set(series["x"])) < len(series["x"]) for series in plot["series"])  # points above each other
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


def _points(series: Mapping[str, Any]) -> list[tuple[float, float]]:
    pairs = zip(series["x"], series["y"], strict=True)
    return [(float(x), float(y)) for x, y in pairs if y is not None and math.isfinite(y)]


class _Axis:
    """Where a number lies on the picture, and which numbers are written there."""

    def __init__(self, axis: Mapping[str, Any], values: Sequence[float], start: float, end: float, half: float = 0.0):
        self.axis, self.start, self.end = axis, start, end
        self.log = bool(axis.get("log")) and min(values) > 0
        low, high = axis.get("range") or (min(values), max(values))
        if axis.get("names"):
            low, high = 0.0, float(len(axis["names"]) - 1)
        if low == high:
            low, high = (low / 2, high * 2) if self.log else (low - 0.5, high + 0.5)
        if not axis.get("range"):
            margin = 0 if half else 0.04
            low, high = (
                (low * (low / high) ** 0.08, high * (high / low) ** 0.08)
                if self.log
                else (low - half - margin * (high - low) * (low != 0), high + half + margin * (high - low))
            )
        self.low, self.high = low, high

    def __call__(self, value: float) -> float:
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + (self.end - self.start) * share, 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Returns about five round numbers and how they are written."""
        if names := self.axis.get("names"):
            return [(float(i), str(names[i])) for i in range(0, len(names), -(-len(names) // 8))]
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [d * 10.0**k for k in decades for d in ((1, 2, 5) if self.high < 300 * self.low else (1,))]
        else:
            rough = (self.high - self.low) / 5
            power = 10.0 ** math.floor(math.log10(rough))
            step = next(power * d for d in (1.0, 2.0, 5.0, 10.0) if power * d >= rough * 0.8)
            if self.axis.get("whole"):
                step = max(1.0, round(step))
            first = math.ceil(self.low / step - 1e-9)
            found = [round(i * step, 10) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [(v, f"{v:,.0f}" if abs(v) >= 1000 else f"{v:g}") for v in found if self.low <= v <= self.high]


def _grid(x_axis: _Axis, y_axis: _Axis, plot: Mapping[str, Any]) -> list[Html]:
    shapes = []
    for value, words in y_axis.ticks():
        at = y_axis(value)
        shapes += [_line(LEFT, at, WIDTH - RIGHT, at, "grid"), _text(LEFT - 6, at + 4, words, "end")]
    for value, words in x_axis.ticks():
        at = x_axis(value)
        shapes += [_line(at, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 4, "axis")]
        shapes.append(_text(at, HEIGHT - BOTTOM + 17, words, "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    shapes.append(_line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis"))
    shapes.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, plot["x"]["label"], "middle"))
    shapes.append(_text(13, middle, plot["y"]["label"], "middle", transform=f"rotate(-90 13 {middle:g})"))
    return shapes


def _curve(series: Mapping[str, Any], x_axis: _Axis, y_axis: _Axis, i: int) -> Html:
    at = [(x_axis(x), y_axis(y)) for x, y in _points(series)]
    shapes = _whiskers(series, x_axis, y_axis)
    if series.get("as_", "line") == "line":
        shapes.append(element("polyline", points=" ".join(f"{x:g},{y:g}" for x, y in at), class_="line"))
    if len(at) <= MARKED or series.get("as_") == "points":
        shapes += [_marker(x, y, i) for x, y in at]
    return element("g", shapes, class_=f"series-{i % STYLES}")


def _bars(series: Mapping[str, Any], x_axis: _Axis, y_axis: _Axis, place: int, places: int, i: int) -> Html:
    width = 0.84 * (x_axis(1) - x_axis(0)) / places
    shift = (place - places / 2) * width  # from the middle of all bars of an x to this one's left
    shapes = []
    for x, y in _points(series):
        left, top = x_axis(x) + shift, y_axis(y)
        size = {"width": f"{width:.1f}", "height": f"{y_axis(0) - top:.1f}"}
        shapes.append(element("rect", x=f"{left:.1f}", y=f"{top:g}", **size))
    shapes += _whiskers(series, x_axis, y_axis, shift + width / 2)
    return element("g", shapes, class_=f"series-{i % STYLES} bars")


def _whiskers(series: Mapping[str, Any], x_axis: _Axis, y_axis: _Axis, shift: float = 0.0) -> list[Html]:
    ends = zip(series["x"], series.get("low") or (), series.get("high") or (), strict=False)
    return [
        _line(x_axis(x) + shift, y_axis(low), x_axis(x) + shift, y_axis(high), "whisker")
        for x, low, high in ends
        if low is not None and high is not None
    ]


def _labels(every: Sequence[Mapping[str, Any]], x_axis: _Axis, y_axis: _Axis) -> list[Html]:
    """Writes the names of points beside them, lower where they would lie on one written before."""
    named = [
        (y_axis(y), x_axis(x), str(label))
        for series in every
        for x, y, label in zip(series["x"], series["y"], series.get("labels") or (), strict=False)
        if y is not None and math.isfinite(y)
    ]
    shapes: list[Html] = []
    taken = [(x - 5, x + 5, y + 4) for y, x, _ in named]  # left, right, y of what is there
    for y, x, label in sorted(named):
        width = LETTER * len(label)
        backwards = x + 8 + width > WIDTH - RIGHT
        left = x - 8 - width if backwards else x + 8
        at = y + 4
        while any(left < end and start < left + width and abs(at - other) < 12 for start, end, other in taken):
            at += 4
        taken.append((left, left + width, at))
        shapes.append(_text(x - 8 if backwards else x + 8, round(at, 1), label, "end" if backwards else "start"))
    return shapes


def _legend(every: Sequence[Mapping[str, Any]]) -> tuple[list[Html], int]:
    """Returns the names of the series with a sample of each, and how far they reach above the picture."""
    shapes: list[Html] = []
    at, top = float(LEFT), 14
    for i, series in enumerate(every if len(every) > 1 else ()):
        as_ = series.get("as_", "line")
        width = 24 if as_ == "line" else 10
        room = width + 20 + LETTER * len(series["name"])
        if at > LEFT and at + room > WIDTH + 15:
            at, top = float(LEFT), top - 16
        if as_ == "bars":
            sample = [element("rect", x=f"{at:g}", y=top - 5, width=10, height=10)]
        else:
            line = element("polyline", points=f"{at:g},{top} {at + width:g},{top}", class_="line")
            sample = [line] if as_ == "line" else []
            sample += [_marker(at + width / 2, top, i)] if len(series["x"]) <= MARKED or as_ == "points" else []
        shapes.append(element("g", sample, class_=f"series-{i % STYLES}{' bars' if as_ == 'bars' else ''}"))
        shapes.append(_text(at + width + 5, top + 4, series["name"], "start"))
        at += room
    return shapes, 14 - top


def _marker(x: float, y: float, i: int) -> Html:
    """A circle, square, diamond or triangle: the series differ without their colours too."""
    if i % 4 == 0:
        return element("circle", cx=f"{x:g}", cy=f"{y:g}", r=3.2)
    if i % 4 == 1:
        return element("rect", x=f"{x - 3:g}", y=f"{y - 3:g}", width=6, height=6)
    corners = ((0, -4.4), (4.4, 0), (0, 4.4), (-4.4, 0)) if i % 4 == 2 else ((0, -4.2), (4, 3.2), (-4, 3.2))
    return element("polygon", points=" ".join(f"{x + dx:g},{y + dy:g}" for dx, dy in corners))


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    return element("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=class_)


def _text(x: float, y: float, words: str, anchor: str, **attributes: Any) -> Html:
    return element("text", words, x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, **attributes)
