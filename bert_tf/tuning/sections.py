"""What a search's report shows beside that of its best model: the trials, what decides between them, why some failed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bert_tf.evaluation.history import History
from bert_tf.formatting import format_value
from bert_tf.reporting.sections import Section
from bert_tf.tuning.results import ranked

MOST_ROWS = 50  # trials in the table; trials.csv has all


CURVES = 5


OBJECTIVES = {"val_loss": "validation loss (nats)", "val_accuracy": "validation accuracy (share of texts)"}


def search_sections(
    rows: Sequence[Mapping[str, Any]], histories: Mapping[str, History], objective: str, names: Sequence[str]
) -> list[Section]:
    """Puts the trials of a search into sections, of the form that `bert_tf.reporting.sections` describes.

    Args:
        rows: of `bert_tf.tuning.results.trial_rows`; at least one trial finished.
        histories: name of a trial -> its history.
        objective: "val_loss" or "val_accuracy", what decided.
        names: the values that were searched.
    """
    finished = ranked(rows, objective)
    failed = [row for row in rows if row["status"] != "finished"]
    return [_trials(finished, len(failed), histories, objective, names), *([_failed(failed, names)] if failed else [])]


def _trials(finished, failed: int, histories, objective: str, names: Sequence[str]) -> Section:
    best = finished[0]
    varied = [name for name in names if len({str(row[name]) for row in finished}) > 1]
    chosen = ", ".join(f"{name.replace('_', ' ')} {format_value(best[name])}" for name in varied)
    label = OBJECTIVES[objective]
    verdict = (
        f"Of {len(finished):,} trials that finished trial {best['trial']} is the best, {label.split(' (')[0]} "
        f"{format_value(best[objective], 'score')} at epoch {best['best_epoch']} of {best['epochs']}"
        + f": {chosen}."
        * bool(chosen)
    )
    text = (
        "Measured during the search, each at its best epoch on the same validation texts; the best of many looks better than "
        "it is, and differences in the third digit are chance."
    )
    measured = {
        "best epoch": "plain",
        "epochs": "plain",
        "val loss": "score",
        "val accuracy": "score",
        "seconds": "seconds",
    }
    shown_rows = finished[:MOST_ROWS]
    caption = f"The {len(shown_rows)} best trials" if len(finished) > MOST_ROWS else "Trials, the best first"
    table = {
        "caption": caption + (f"; {failed:,} failed" if failed else ""),
        "columns": [
            {"name": "trial", "kind": "text"},
            *({"name": name.replace("_", " "), "kind": "plain"} for name in varied),
            *({"name": name, "kind": kind} for name, kind in measured.items()),
        ],
        "rows": [
            [row["trial"], *(row[name] for name in [*varied, *(key.replace(" ", "_") for key in measured)])]
            for row in shown_rows
        ],
    }
    by_rate, by_epoch = (_by(finished, name, label, objective) for name in ("learning_rate", "best_epoch"))
    plots = [{"plot": plot} for plot in (by_rate, by_epoch, _curves(finished, histories, label, objective))]
    return {"title": "Trials", "blocks": [{"verdict": verdict}, {"text": text}, *plots, {"table": table}]}


def _by(finished, name: str, label: str, objective: str) -> dict[str, Any]:
    """A point a trial: the objective by one of its values, apart for each freeze depth."""
    best, words = finished[0], name.replace("_", " ")
    series = []
    for depth in dict.fromkeys(str(row["unfreeze"]) for row in finished):
        points = [row for row in finished if str(row["unfreeze"]) == depth]
        series.append(
            {
                "name": "base frozen" if depth == "0" else f"unfrozen: {depth}",
                "x": [row[name] for row in points],
                "y": [row[objective] for row in points],
                "as_": "points",
            }
        )
    return {
        "title": f"{label.split(' (')[0].capitalize()} by {words}",
        "description": f"A point a trial, at its best epoch. The best, trial {best['trial']}: {words} {format_value(best[name])}.",
        "x": {"label": words, "whole": name == "best_epoch", "log": name == "learning_rate"},
        "y": {"label": label, "kind": "score"},
        "series": series,
        "marks": [{"x": best[name], "label": f"best: trial {best['trial']}"}],
    }


def _curves(finished, histories, label: str, objective: str) -> dict[str, Any]:
    best = finished[:CURVES]
    curves = [(f"trial {row['trial']}", [*histories[row["trial"]][objective]]) for row in best]
    return {
        "title": f"{label.split(' (')[0].capitalize()} by epoch, the best {len(best)}",
        "description": "; ".join(f"{name}: epoch {row['best_epoch']} is best" for (name, _), row in zip(curves, best, strict=True)) + ".",
        "x": {"label": "epoch", "whole": True},
        "y": {"label": label, "kind": "score"},
        "series": [
            {"name": name, "x": [*range(1, len(values) + 1)], "y": [v if math.isfinite(v) else None for v in values]}
            for name, values in curves
        ],
    }  # fmt: skip


def _failed(failed, names: Sequence[str]) -> Section:
    rows = [
        [
            row["trial"],
            ", ".join(f"{n.replace('_', ' ')} {format_value(row[n])}" for n in names if row.get(n) is not None),
            row["failed"],
        ]
        for row in failed
    ]
    columns = [{"name": name, "kind": "text"} for name in ("trial", "values", "reason")]
    table = {"caption": "Why trials failed", "columns": columns, "rows": rows[:MOST_ROWS]}
    return {"title": "Failed trials", "blocks": [{"table": table}]}
