"""Figures, drawn by matplotlib."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf.evaluation.history import History, best_epoch
from bert_tf.files import written_whole
from bert_tf.formatting import format_value


def plot_curves(file: Path, history: History, title: str) -> bool:
    """Draws loss and accuracy, training and validation, the best epoch marked.

    Args:
        file: a .png.
        history: `loss`, `accuracy`, `val_loss`, `val_accuracy`.
        title: what run this is.
    Returns: whether it was drawn; without matplotlib it is not.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        return False
    epochs = range(1, len(history["loss"]) + 1)
    best = best_epoch(history)
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title.replace("$", r"\$"))
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for name, label, color in ((metric, "training", "tab:blue"), (f"val_{metric}", "validation", "tab:orange")):
            axes.plot(epochs, history[name], marker="o", markersize=3, color=color, label=label)
        value = history[f"val_{metric}"][best - 1]
        axes.axvline(best, color="gray", linewidth=1, linestyle=":")
        axes.plot([best], [value], marker="*", markersize=13, color="tab:orange", markeredgecolor="black", linestyle="none",
                  label=f"kept: epoch {best}, {format_value(value, 'score')}")  # fmt: skip
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross-entropy loss (nats)" if metric == "loss" else "accuracy (share of texts)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    with written_whole(file) as scratch:
        figure.savefig(scratch, dpi=120, format="png")
    return True


# Plots by their description


def draw_png(file: Path, plots: Sequence[Mapping[str, Any]], title: str) -> bool:
    """Draws plots side by side, two a row, from the descriptions that `bert_tf.reporting.plots.draw` takes: a page shows the same.

    Args:
        file: a .png.
        plots: descriptions; `title`, `x`, `y`, `series` and `marks` are drawn.
        title: of all of them.
    Returns: whether it was drawn; without matplotlib it is not.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
    except ImportError:
        return False
    columns = min(2, len(plots))
    rows = -(-len(plots) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_plain(title))
    for plot, axes in zip(plots, figure.subplots(rows, columns, squeeze=False).flat, strict=False):
        for i, series in enumerate(plot["series"]):
            known = [j for j, y in enumerate(series["y"]) if y is not None]
            x, y = [series["x"][j] for j in known], [series["y"][j] for j in known]
            style = {"label": _plain(series["name"]), "color": f"C{i}", "marker": "osD^vP"[i % 6], "markersize": 4}
            line = "none" if series.get("as_") == "points" else "-"
            axes.plot(x, y, linestyle=line, linewidth=1.3, **style)
            if series.get("low"):
                ends = [(series["low"][j], series["high"][j]) for j in known]
                axes.vlines(x, [low for low, _ in ends], [high for _, high in ends], color=f"C{i}", linewidth=1)
        for mark in plot.get("marks") or ():
            axes.axvline(mark["x"], color="gray", linewidth=1, linestyle=":")
        if plot["x"].get("names"):
            names = [_plain(name) for name in plot["x"]["names"]]
            axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize="small")
        elif plot["x"].get("log"):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
            axes.xaxis.set_minor_locator(NullLocator())
        elif plot["x"].get("whole"):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(_plain(plot["title"]), fontsize="medium")
        axes.set_xlabel(plot["x"]["label"])
        axes.set_ylabel(plot["y"]["label"])
        axes.margins(x=0.12, y=0.12)
        _name_points(axes, plot["series"])
        axes.grid(alpha=0.3)
        if len(plot["series"]) > 1:
            axes.legend(fontsize="x-small")
    with written_whole(file) as scratch:
        figure.savefig(scratch, dpi=90, format="png")
    return True


def _name_points(axes: Any, every: Sequence[Mapping[str, Any]]) -> None:
    """Writes the names of points beside them, lower where they would lie on one written before."""
    axes.autoscale_view()  # else it happens with the drawing, and places are not known yet
    to_axes = axes.transData + axes.transAxes.inverted()
    named = [
        (*to_axes.transform((x, y)), _plain(label))
        for series in every
        for x, y, label in zip(series["x"], series["y"], series.get("labels") or (), strict=False)
    ]
    taken = [(x - 0.01, x + 0.01, y) for x, y, _ in named]  # left, right, height: in shares of the axes
    for x, y, label in sorted(named, key=lambda point: -point[1]):
        width = 0.017 * len(label)
        left = x - 0.02 - width if x > 0.5 else x + 0.02
        at = y - 0.01
        while any(left < end and start < left + width and abs(at - height) < 0.055 for start, end, height in taken):
            at -= 0.01
        taken.append((left, left + width, at))
        place = {"xycoords": axes.transAxes, "ha": "right" if x > 0.5 else "left", "fontsize": "small"}
        axes.annotate(label, (x - 0.02 if x > 0.5 else x + 0.02, at), **place)


def _plain(text: str) -> str:
    return str(text).replace("$", r"\$")  # matplotlib reads mathematics between dollars
