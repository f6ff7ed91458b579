"""The trials of a search as rows, tables and TensorBoard summaries."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf.evaluation.history import best_epoch, higher_is_better
from bert_tf.formatting import format_value
from bert_tf.tasks.task import TASKS, task_of


def trial_rows(records: Mapping[str, Mapping], objective: str) -> list[dict]:
    """Turns the records of trials into rows of plain values, in the same order; a failed trial has no best epoch and no metrics.

    Args:
        records: name of a trial -> its record: `values`, `history`, `seconds`, `continues`, and the reason `failed` if it did.
        objective: the metric that decides the best epoch.
    """
    rows = []
    for name, record in records.items():
        history, failed = record["history"], record.get("failed")
        best = None if failed else best_epoch(history, objective)
        row = {"trial": name, "status": "failed" if failed else "finished", **record["values"]}
        row |= {"best_epoch": best, "epochs": len(history.get("loss", ()))}
        row |= {metric: values[best - 1] for metric, values in history.items() if best}
        rows.append(row | {"seconds": record["seconds"], "continues": record.get("continues"), "failed": failed})
    return rows


def ranked(rows: Sequence[Mapping], objective: str) -> list[Mapping]:
    """Returns the finished trials, best first; of equals the earlier one."""
    sign = -1 if higher_is_better(objective) else 1
    return sorted((row for row in rows if row["status"] == "finished"), key=lambda row: sign * row[objective])


def trial_table(rows: Sequence[Mapping], names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Returns trials as the header and the cells of a table: the values of `names` that differ between them, and the results."""
    varied = [name for name in names if len({str(row[name]) for row in rows}) > 1]
    measured = metrics_of(rows)
    header = ["trial", *varied, "best epoch", *measured, "seconds"]
    cells = []
    for row in rows:
        values = [short(row[name]) for name in varied]
        scores = [format_value(row[metric], kind) for metric, kind in measured.items()]
        cells.append(
            [row["trial"], *values, f"{row['best_epoch']} of {row['epochs']}", *scores, f"{row['seconds']:.1f}"]
        )
    return header, cells


def metrics_of(rows: Sequence[Mapping]) -> dict[str, str]:
    """Returns the metrics of the validation texts: "val_loss", and the task's score such as "val_accuracy"; and their kinds for
    `format_value`."""
    names = sorted(
        (name for name in (rows[0] if rows else ()) if name.startswith("val_")), key=lambda name: name != "val_loss"
    )
    kinds = {f"val_{one.key}": one.kind for task in map(task_of, TASKS) for one in task.measures}
    return {name: kinds.get(name, "score") for name in names}


def short(value: Any) -> str:
    """Formats a hyperparameter for the terminal."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write_hparams(folder: Path, name: str, record: Mapping) -> None:
    """Writes the curve and the values of a trial for the Scalars and HParams pages of TensorBoard."""
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
