"""What the report of a search adds to that of its best model: trials and failures, as tables and plots."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf.evaluation.history import History
from bert_tf.formatting import format_value
from bert_tf.reporting.figures import draw_png
from bert_tf.reporting.sections import Section
from bert_tf.tuning.results import metrics_of, ranked

MOST_ROWS = 50  # trials in the table; trials.csv has all
CURVES = 5  # trials whose validation curves are drawn

OBJECTIVES = {"val_loss": "validation loss (nats)", "val_accuracy": "validation accuracy (share of texts)"}

Rows = Sequence[Mapping[str, Any]]


def search_sections(
    rows: Rows, histories: Mapping[str, History], objective: str, names: Sequence[str]
) -> list[Section]:
    """Puts the trials of a search into sections, in the form that `bert_tf.reporting.sections` describes.

    Args:
        rows: of `bert_tf.tuning.results.trial_rows`; at least one trial finished.
        histories: name of a trial -> its history.
        objective, names: "val_loss" or "val_accuracy", and the hyperparameters that were searched.
    """
    failed = [row for row in rows if row["status"] != "finished"]
    trials = _trials(ranked(rows, objective), len(failed), objective, names)
    trials["blocks"][2:2] = [{"plot": plot} for plot in search_plots(rows, histories, objective)]
    return [trials, _failed(failed, names)] if failed else [trials]


def plot_search(file: Path, rows: Rows, histories: Mapping[str, History], objective: str) -> None:
    """Draws the plots of a search into a .png; arguments as of `search_sections`."""
    finished = len(ranked(rows, objective))
    failed = len(rows) - finished
    title = f"{finished:,} trials" + (f", {failed:,} more failed" if failed else "")
    draw_png(file, search_plots(rows, histories, objective), title)


def search_plots(rows: Rows, histories: Mapping[str, History], objective: str) -> list[dict[str, Any]]:
    """Describes the objective by learning rate and by best epoch, and the validation curves of the best trials."""
    finished = ranked(rows, objective)
    by_value = [_by_value(finished, name, objective) for name in ("learning_rate", "best_epoch")]
    return [*by_value, _curves(finished[:CURVES], histories, objective)]


def _trials(finished: Rows, failed: int, objective: str, names: Sequence[str]) -> Section:
    best = finished[0]
    varied = [name for name in names if len({str(row[name]) for row in finished}) > 1]
    chosen = ", ".join(f"{_words(name)} {format_value(best[name])}" for name in varied)
    verdict = (
        f"The best of {len(finished):,} finished trials is trial {best['trial']}{f' with {chosen}' if chosen else ''}: "
        f"{_short(objective)} {format_value(best[objective], 'score')} at epoch {best['best_epoch']} of {best['epochs']}."
    )
    text = (
        "Every trial is measured at its best epoch, on the same validation texts. The best of many trials looks better than it "
        "is, and differences in the third digit are noise."
    )
    # Beside the values that were searched.
    measured = {"best_epoch": "plain", "epochs": "plain", **metrics_of(finished), "seconds": "seconds"}
    caption = f"The {MOST_ROWS} best trials" if len(finished) > MOST_ROWS else "Trials, best first"
    columns = [
        {"name": "trial", "kind": "text"},
        *({"name": _words(name), "kind": "plain"} for name in varied),
        *({"name": _words(name), "kind": kind} for name, kind in measured.items()),
    ]
    table = {
        "caption": caption + (f"; {failed:,} more failed" if failed else ""),
        "columns": columns,
        "rows": [[row[name] for name in ("trial", *varied, *measured)] for row in finished[:MOST_ROWS]],
    }
    more = [{"text": remark} for remark in (*_by_score(finished, objective), *_at_the_edge(finished)) if remark]
    return {"title": "Trials", "first": True, "blocks": [{"verdict": verdict}, {"text": text}, *more, {"table": table}]}


def _by_score(finished: Rows, objective: str) -> list[str]:
    """Says which trial is best by another measure of the validation texts, where that is not the best one."""
    said = []
    for name, kind in metrics_of(finished).items():
        if name == objective or "accuracy" not in name:
            continue
        best = ranked(finished, name)[0]
        shown, own = (format_value(row[name], kind) for row in (best, finished[0]))
        if shown != own:
            said.append(
                f"By {_words(name)} trial {best['trial']} is best: {shown}, where trial {finished[0]['trial']} has {own}."
            )
    return said


def _at_the_edge(finished: Rows) -> list[str]:
    """Says that the best learning rate is the lowest or the highest of those that were tried."""
    tried, best = sorted({row["learning_rate"] for row in finished}), finished[0]["learning_rate"]
    if len(tried) < 3 or best not in (tried[0], tried[-1]):
        return []
    which = ("lowest", "lower") if best == tried[0] else ("highest", "higher")
    return [f"Its learning rate is the {which[0]} that was tried: a {which[1]} one may be better (--learning-rate)."]


def _by_value(finished: Rows, name: str, objective: str) -> dict[str, Any]:
    """Describes a plot with one point per trial and one series per freeze depth."""
    best, words = finished[0], _words(name)
    series = []
    for depth in dict.fromkeys(str(row["unfreeze"]) for row in finished):
        points = [row for row in finished if str(row["unfreeze"]) == depth]
        label = {"0": "base frozen", "all": "all layers trained"}.get(depth, f"top {depth} trained")
        x, y = [row[name] for row in points], [row[objective] for row in points]
        series.append({"name": label, "x": x, "y": y, "as_": "points"})
    return {
        "title": f"{_short(objective).capitalize()} by {words}",
        "description": f"One point per trial, at its best epoch. Best: trial {best['trial']}, {words} {format_value(best[name])}.",
        "x": {"label": words, "whole": name == "best_epoch", "log": name == "learning_rate"},
        "y": {"label": OBJECTIVES[objective], "kind": "score"},
        "series": series,
        "marks": [{"x": best[name], "label": f"best: trial {best['trial']}"}],
    }


def _curves(best: Rows, histories: Mapping[str, History], objective: str) -> dict[str, Any]:
    series = []
    for row in best:
        values = [value if math.isfinite(value) else None for value in histories[row["trial"]][objective]]
        series.append({"name": f"trial {row['trial']}", "x": [*range(1, len(values) + 1)], "y": values})
    return {
        "title": f"{_short(objective).capitalize()} by epoch, the best {len(best)} trials",
        "description": "Best epochs: " + ", ".join(f"{row['best_epoch']} (trial {row['trial']})" for row in best) + ".",
        "x": {"label": "epoch", "whole": True},
        "y": {"label": OBJECTIVES[objective], "kind": "score"},
        "series": series,
        "apart": True,
    }


def _failed(failed: Rows, names: Sequence[str]) -> Section:
    rows = []
    for row in failed[:MOST_ROWS]:
        values = (f"{_words(name)} {format_value(row[name])}" for name in names if row.get(name) is not None)
        rows.append([row["trial"], ", ".join(values), row["failed"]])
    columns = [{"name": name, "kind": "text"} for name in ("trial", "values", "reason")]
    table = {"caption": "Why trials failed", "columns": columns, "rows": rows}
    return {"title": "Failed trials", "blocks": [{"table": table}]}


def _words(name: str) -> str:
    return name.replace("_", " ").replace("val ", "validation ")


def _short(objective: str) -> str:
    """The objective without its unit."""
    return OBJECTIVES[objective].split(" (")[0]
