"""Plain results to things to read: tables on the terminal, history.csv, metrics.json, curves.png.

Knows nothing of models or training: history, numbers and names come in, text and files go out.
"""

import csv
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

History = Mapping[str, Sequence[float]]  # metric -> value of each epoch, as Keras' history


def write_text(file: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    scratch = file.with_name(
        f".{file.name}.{uuid.uuid4().hex}.part"
    )  # of one's own: others may write the same file now
    try:
        scratch.write_text(text, encoding="utf-8")
        os.replace(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)


def copy_file(source: Path, file: Path) -> None:
    """Copies a file whole or not at all."""
    scratch = file.with_name(f".{file.name}.{uuid.uuid4().hex}.part")
    try:
        shutil.copyfile(source, scratch)
        os.replace(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)


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
                  label=f"kept: epoch {best}, {value:.3f}")  # fmt: skip
        axes.set_xlabel("epoch")
        axes.set_ylabel("cross-entropy loss (nats)" if metric == "loss" else "accuracy (share of texts)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    scratch = file.with_name(f".{file.stem}.part.png")
    figure.savefig(scratch, dpi=120)
    os.replace(scratch, file)
    return True
