"""The trials of a search as rows, tables and TensorBoard summaries."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bert_tf.evaluation.history import History, best_epoch
from bert_tf.files import written_whole
from bert_tf.formatting import format_value
from bert_tf.reporting.tables import table

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
         f"{row['best_epoch']} of {row['epochs']}", format_value(row["val_loss"], "score"), format_value(row["val_accuracy"], "score"),
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
    with written_whole(file) as scratch:
        figure.savefig(scratch, dpi=120, format="png")
    return True
