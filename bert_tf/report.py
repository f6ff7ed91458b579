"""Plain results to things to read: tables on the terminal, history.csv, metrics.json, curves.png; trials.csv, search.png; other plots.

Knows nothing of models or training: history, numbers and names come in, text and files go out.
"""

import contextlib
import csv
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf.wording import shown

History = Mapping[str, Sequence[float]]  # metric -> value of each epoch, as Keras' history


@contextlib.contextmanager
def whole(file: Path) -> Iterator[Path]:
    """Gives a file to write to, which takes the place of `file` when all is written, and is gone if that fails."""
    # of one's own: others may write the same file now
    scratch = file.with_name(f".{file.name}.{uuid.uuid4().hex}.part")
    try:
        yield scratch
        os.replace(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    with whole(file) as scratch:
        scratch.write_text(text, encoding="utf-8")


def copy_file(source: Path, file: Path) -> None:
    """Copies a file whole or not at all."""
    with whole(file) as scratch:
        shutil.copyfile(source, scratch)


def write_json(file: Path, values: Mapping) -> None:
    write_text(file, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def write_history(file: Path, history: History) -> None:
    """Writes one row an epoch: `epoch` from 1, then each metric in full precision."""
    rows = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
    write_csv(file, ["epoch", *history], [{"epoch": epoch, **row} for epoch, row in enumerate(rows, 1)])


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Mapping]) -> None:
    """Writes rows by the columns of `header`; numbers in full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, header, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())


def best_epoch(history: History, monitor: str = "val_loss") -> int:
    """Returns the epoch, from 1, where `monitor` is lowest (highest for an accuracy); the earlier of equals.

    Raises: ValueError if no epoch has a finite value: the training diverged.
    """
    values = [float(value) if "accuracy" not in monitor else -float(value) for value in history.get(monitor, ())]
    finite = [value for value in values if value - value == 0]
    if not finite:
        raise ValueError(
            f"No epoch has a finite {monitor}: the training diverged or has not run. Try a smaller learning rate."
        )
    return values.index(min(finite)) + 1


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
                  label=f"kept: epoch {best}, {shown(value, 'score')}")  # fmt: skip
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross-entropy loss (nats)" if metric == "loss" else "accuracy (share of texts)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    with whole(file) as scratch:
        figure.savefig(scratch, dpi=120, format="png")
    return True


# Searches


def trial_rows(records: Mapping[str, Mapping], objective: str) -> list[dict]:
    """Lays out the records of trials, one row each, in their order.

    Args:
        records: name of a trial -> its record: `values`, `history`, `seconds`, `continues`, and `failed` where it did.
        objective: what decides the best epoch.
    Returns: rows of plain values; a failed trial has no best epoch and none of its numbers.
    """
    rows = []
    for name, record in records.items():
        history, failed = record["history"], record.get("failed")
        best = None if failed else best_epoch(history, objective)
        rows.append(
            {
                "trial": name,
                "status": "failed" if failed else "finished",
                **record["values"],
                "best_epoch": best,
                "epochs": len(history.get("loss", ())),
                **{metric: values[best - 1] for metric, values in history.items() if best},
                "seconds": record["seconds"],
                "continues": record.get("continues"),
                "failed": failed,
            }
        )
    return rows


def ranked(rows: Sequence[Mapping], objective: str) -> list[Mapping]:
    """Returns the finished trials, the best first; of equals the earlier."""
    sign = -1 if "accuracy" in objective else 1
    return sorted((row for row in rows if row["status"] == "finished"), key=lambda row: sign * row[objective])


def trial_table(rows: Sequence[Mapping], names: Sequence[str]) -> str:
    """Lays out trials for the terminal: the values of `names` that differ between them, and what they gave."""
    varied = [name for name in names if len({str(row[name]) for row in rows}) > 1]
    header = ["trial", *varied, "best epoch", "val_loss", "val_accuracy", "seconds"]
    cells = [
        [row["trial"], *(f"{row[name]:.3g}" if isinstance(row[name], float) else str(row[name]) for name in varied),
         f"{row['best_epoch']} of {row['epochs']}", shown(row["val_loss"], "score"), shown(row["val_accuracy"], "score"),
         f"{row['seconds']:.1f}"]
        for row in rows
    ]  # fmt: skip
    return table(header, cells)


def write_hparams(folder: Path, name: str, record: Mapping) -> None:
    """Writes the curve of a trial and its values, for TensorBoard's scalars and HParams pages."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import summary_v2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder / name))
    values = {key: value if isinstance(value, (int, float)) else str(value) for key, value in record["values"].items()}
    writer.add_event(Event(summary=summary_v2.hparams_pb(values, trial_id=name)))
    for metric, curve in record["history"].items():
        for epoch, value in enumerate(curve, 1):
            writer.add_event(Event(step=epoch, summary=Summary(value=[Summary.Value(tag=metric, simple_value=value)])))
    writer.close()


def plot_search(file: Path, rows: Sequence[Mapping], histories: Mapping[str, History], objective: str) -> bool:
    """Draws what a search found: the learning rate and the best epoch of each trial, and the curves of the best five.

    Args:
        file: a .png.
        rows: as of `trial_rows`.
        histories: name of a trial -> its history.
    Returns: whether it was drawn; without matplotlib it is not.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        return False
    finished = ranked(rows, objective)
    label = "validation loss (nats)" if objective == "val_loss" else "validation accuracy (share of texts)"
    figure = Figure(figsize=(13, 4), layout="constrained")
    FigureCanvasAgg(figure)
    by_rate, by_epoch, curves = figure.subplots(1, 3)
    for axes, name in ((by_rate, "learning_rate"), (by_epoch, "best_epoch")):
        for depth in dict.fromkeys(str(row["unfreeze"]) for row in finished):
            points = [row for row in finished if str(row["unfreeze"]) == depth]
            axes.scatter([row[name] for row in points], [row[objective] for row in points], s=18, alpha=0.7,
                         label="base frozen" if depth == "0" else f"unfrozen: {depth}")  # fmt: skip
        axes.plot([finished[0][name]], [finished[0][objective]], marker="*", markersize=14, color="tab:orange",
                  markeredgecolor="black", linestyle="none", label=f"best: trial {finished[0]['trial']}")  # fmt: skip
        axes.set_ylabel(label)
        axes.legend(fontsize="small")
    by_rate.set_xscale("log")
    by_rate.set_xlabel("learning rate")
    by_epoch.set_xlabel("best epoch")
    by_epoch.xaxis.set_major_locator(MaxNLocator(integer=True))
    for row in finished[:5]:
        values = histories[row["trial"]][objective]
        (line,) = curves.plot(range(1, len(values) + 1), values, linewidth=1.4,
                              label=f"trial {row['trial']}, learning rate {row['learning_rate']:.2g}")  # fmt: skip
        curves.plot([row["best_epoch"]], [row[objective]], marker="o", markersize=5, color=line.get_color())
    curves.set_xlabel("epoch")
    curves.set_ylabel(label)
    curves.xaxis.set_major_locator(MaxNLocator(integer=True))
    curves.legend(fontsize="small", title="the best five")
    failed = sum(row["status"] == "failed" for row in rows)
    figure.suptitle(f"{len(finished)} trials" + (f", {failed} failed" if failed else ""))
    for axes in (by_rate, by_epoch, curves):
        axes.grid(alpha=0.3)
    with whole(file) as scratch:
        figure.savefig(scratch, dpi=120, format="png")
    return True


# Plots by their description


def draw_png(file: Path, plots: Sequence[Mapping[str, Any]], title: str) -> bool:
    """Draws plots side by side, two a row, from the descriptions that `bert_tf.plots.draw` takes: a page shows the same.

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
    with whole(file) as scratch:
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
