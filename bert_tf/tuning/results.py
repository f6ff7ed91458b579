"""The trials of a search as rows, tables and TensorBoard summaries."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bert_tf.evaluation.history import best_epoch
from bert_tf.formatting import shown
from bert_tf.reporting.tables import table


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
