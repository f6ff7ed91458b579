"""Which model: several on the same texts, beside the baselines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bert_tf.checkpoints import locate
from bert_tf.checkpoints.config import label_names, read_config
from bert_tf.checkpoints.folder import has_head
from bert_tf.comparison.candidates import Candidate, label_columns
from bert_tf.comparison.comparison import Compared, Comparison, training_options
from bert_tf.data.examples import Examples
from bert_tf.evaluation import scores
from bert_tf.evaluation.paired import Row, frontier, is_significant, times
from bert_tf.evaluation.tfidf import BASELINE
from bert_tf.formatting import format_value
from bert_tf.inference.predict import check_kind
from bert_tf.options import with_options
from bert_tf.reporting.figures import ACCURACY, describe, interval
from bert_tf.settings import RACE, Settings
from bert_tf.tasks.task import task_name

BASELINES = ("tfidf", "lstm")  # names that a race takes in place of models
SCORES, MEASURED = ("accuracy", "macro_f1", "log_loss"), ("latency", "texts_per_second", "size", "memory", "parameters")
COLUMNS = {
    "name": "text",
    **dict.fromkeys((*SCORES, "calibration_error"), "score"),
    "difference": "points",
    "p_value": "p",
    **dict(zip(MEASURED, ("milliseconds", "count", "bytes", "bytes", "count"), strict=True)),
}


@with_options(RACE)
def race(
    models: Sequence[str | Path], train: Any, validation: Any = None, *, test: Any = None, settings: Settings
) -> Compared:
    """Compares models and baselines on the same texts, and says which is best and which are worth their cost.

    Leaves race.csv, race.png, report.html, compare.json, entrants/ (with the models that were
    fine-tuned).

    Args:
        models: folders or hub names. A classifier takes part as it is; a checkpoint without a
            head is fine-tuned first, its base frozen, by `bert_tf.finetune` with `head`,
            `epochs` (with early stopping), `learning_rate` and `seed`.
        train, validation: sources, as for `bert_tf.finetune`. All are judged on the validation
            texts.
        test: a source of texts that nothing is chosen by: each model classifies them once.
        {options}
    Returns: `Compared`. Latency is the median for a single text, from text to label. Memory is
        the peak of the process, training included if it trained.
    Raises: as `bert_tf.finetune`; ValueError for a classifier of other labels.
    """
    baselines = [name for name in settings.race.baselines if name != "none"]
    comparison = Comparison("race", train, validation, test, models, settings)
    if unknown := [name for name in baselines if name not in BASELINES]:
        raise ValueError(f"`baselines` are {', '.join(BASELINES)}. Received: {', '.join(unknown)}")
    common = {"seeds": [settings.training.seed], "latency": True}
    options = training_options(settings, head=settings.model.head, epochs=settings.training.epochs)
    every: list[dict[str, Any]] = []
    for model, name in zip(models, locate.short_names(models), strict=True):
        folder, kind = locate.resolve(model), {"kind": "finetuned_and_kept", "work": 3.0}
        if has_head(folder):
            _check_classifier(read_config(folder), comparison.train, str(model))
            kind = {"kind": "existing_classifier", "work": 1.0}
        every.append({**common, "name": name, "options": {**options, "checkpoint": str(model)}, **kind})
    if "tfidf" in baselines:
        every.append({"name": BASELINE, "kind": "tfidf", **common, "work": 0.3})
    if "lstm" in baselines:
        every.append({"name": "bidirectional LSTM", "kind": "lstm", "epochs": 10, **common, "work": 2.0})
    if len(every) < 2:
        received = ", ".join(candidate["name"] for candidate in every) or "none"
        raise ValueError(f"A race needs at least two candidates. Received: {received}")
    comparison.run(every)
    rows = _rows(comparison, every)
    notes = (
        f"On {len(comparison.validation):,} validation texts; in brackets, 95 % intervals. Difference: how many points of accuracy "
        "the best is ahead, by paired bootstrap; p: McNemar's exact test. Latency: a single text, from text to label, median. Memory: "
        "the peak of the process, training included if it trained. Candidates trained here chose their best epoch by these same texts."
    )
    return comparison.finish(rows, COLUMNS, verdict(rows), notes, plots(rows))


def _check_classifier(config: Any, train: Examples, name: str) -> None:
    """Raises ValueError for a classifier that cannot classify the texts of a race as they are labelled."""
    if config.problem_type not in (None, "single_label_classification"):
        task = task_name(config.problem_type, config)
        raise ValueError(
            f"{name}: is a model for {task}; a race is of models that give a text one class. Leave it out, or give a checkpoint "
            "without a head."
        )
    label_columns(label_names(config), train.label_names, name)
    try:
        check_kind(config, train.pairs)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _rows(comparison: Comparison, every: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Returns the rows, best accuracy first, each with its difference from the best."""
    labels, names = comparison.validation.labels, comparison.validation.label_names
    rows: list[dict[str, Any]] = []
    probabilities = {}
    for candidate in every:
        if (result := comparison.result(candidate)) is None:
            continue
        name, (run,) = candidate["name"], result.runs
        probabilities[name] = run["validation"]
        evaluation = scores.evaluate(labels, run["validation"], names)
        row = {"name": name, **{key: evaluation["scores"][key] for key in SCORES}}
        if result.tested is not None:
            row["test_accuracy"] = scores.wilson(result.tested.sum(), result.tested.size)
        row["calibration_error"] = evaluation["calibration"]["error"]
        rows.append(row | {key: result.record[key] for key in MEASURED})
    rows.sort(key=lambda row: -row["accuracy"]["value"])
    best = rows[0]["name"]
    rows[0] |= {"difference": None, "p_value": None}
    for row in rows[1:]:
        against = scores.compare(labels, probabilities[best], probabilities[row["name"]])
        row |= {key: against[key] for key in ("difference", "p_value")}
    return rows


def verdict(rows: Sequence[Row]) -> list[str]:
    """Says which is best, which are not significantly worse, and which of these is fastest.

    Args:
        rows: the best first, with `name`, `accuracy`, `latency` (seconds), and except for the first `difference` (an estimate,
            the best minus this one) and `p_value`.
    """
    best, *others = rows
    as_good = [row for row in others if row["p_value"] >= 0.05 or not is_significant(row["difference"])]
    sentences = [f'Best on these texts: "{best["name"]}", accuracy {format_value(best["accuracy"], "score")}.']
    if as_good:
        sentences.append("Not significantly worse: " + ", ".join(f'"{row["name"]}"' for row in as_good) + ".")
        fastest = min([best, *as_good], key=lambda row: row["latency"])
        if fastest is not best:
            ratio = times(best["latency"] / fastest["latency"])
            faster = f'"{fastest["name"]}" is the fastest with a single text: {ratio} times as fast as "{best["name"]}"'
            sentences.append(f"Of these, {faster}.")
    elif others:
        sentences.append("It is significantly better than every other candidate.")
    return sentences


def plots(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Describes accuracy against latency and against size; the models worth their cost are on a line."""
    described = []
    for cost, label, unit in (("latency", "milliseconds for one text", 1e-3), ("size", "size on disk (MB)", 1e6)):
        worthwhile = frontier([row[cost] / unit for row in rows], [row["accuracy"]["value"] for row in rows])
        best, others = [rows[i] for i in worthwhile], [row for i, row in enumerate(rows) if i not in worthwhile]
        series = []
        for name, chosen, as_ in (("worth its cost", best, "line"), ("others", others, "points")):
            x, labels = [row[cost] / unit for row in chosen], [row["name"] for row in chosen]
            y = interval([row["accuracy"] for row in chosen])
            series += [{"name": name, **y, "x": x, "labels": labels, "as_": as_}] if chosen else []
        words = "No model costs less than one on the line and is as accurate. Bars are 95 % intervals."
        described.append(describe(f"Accuracy against {cost}", words, {"label": label, "log": True}, ACCURACY, series))
    return described
