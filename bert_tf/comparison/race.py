"""Which model: several on the same texts, beside the baselines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bert_tf.checkpoints import locate
from bert_tf.checkpoints.config import label_names, problem_type, read_config
from bert_tf.checkpoints.folder import has_head
from bert_tf.comparison.candidates import Candidate, baseline_candidate, label_columns
from bert_tf.comparison.comparison import Compared, Comparison, training_options
from bert_tf.data.examples import Examples
from bert_tf.evaluation.paired import NOTABLY, Row, frontier, is_significant, times
from bert_tf.formatting import capital, format_value
from bert_tf.inference.predict import check_kind
from bert_tf.options import with_options
from bert_tf.reporting.figures import describe, interval
from bert_tf.settings import RACE, Settings
from bert_tf.tasks.task import Task, task_name, task_of

BASELINES = ("tfidf", "lstm")  # names that a race takes in place of models
LSTM = "bidirectional LSTM"
POWER = 2.8 / 1.96  # of the half width of an interval: a true difference of so much is found in 4 of 5 tests
MEASURED = {
    "latency": "milliseconds",
    "texts_per_second": "count",
    "size": "bytes",
    "memory": "bytes",
    "parameters": "count",
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
    common: dict[str, Any] = {"seeds": [settings.training.seed], "latency": True}
    options = training_options(settings, head=settings.model.head, epochs=settings.training.epochs)
    every: list[dict[str, Any]] = []
    task = comparison.task
    words = baseline_candidate(task.baseline_name, common["seeds"], settings)
    for model, name in zip(models, locate.short_names(models), strict=True):
        folder, kind = locate.resolve(model), {"kind": "finetuned_and_kept", "work": 3.0}
        if has_head(folder):
            _check_classifier(read_config(folder), comparison.train, str(model))
            kind = {"kind": "existing_classifier", "work": 1.0}
        every.append({**common, "name": name, "options": {**options, "checkpoint": str(model)}, **kind})
    if "tfidf" in baselines:
        every.append({**words, **common, "work": 0.3})
    if "lstm" in baselines:
        every.append({**words, "name": LSTM, "kind": "lstm", "epochs": 10, **common, "work": 2.0})
    if len(every) < 2:
        received = ", ".join(candidate["name"] for candidate in every) or "none"
        raise ValueError(f"A race needs at least two candidates. Received: {received}")
    comparison.run(every)
    rows = _rows(comparison, every)
    of = f"points of {task.score_words} the best is ahead"
    ahead = f"how many {of}" if task.gain.kind == "points" else f"how much lower the {task.score_words} of the best is"
    p = "; p: McNemar's exact test" if "p_value" in rows[-1] else ""
    notes = (
        f"On {len(comparison.validation):,} validation texts; in brackets, 95 % intervals. Difference: {ahead}, by paired "
        f"bootstrap{p}. Latency: a single text, from text to label, median. Memory: the peak of the process, training included if it "
        f"trained. Candidates trained here chose stage, epoch and temperature by these same texts.{comparison.decided()}"
    )
    further = {"calibration_error": "score", "difference": task.gain.kind, "p_value": "p"}
    columns = {"name": "text", **{one.key: one.kind for one in task.measures}, **further, **MEASURED}
    columns = {name: kind for name, kind in columns.items() if name in rows[-1]}
    return comparison.finish(
        rows, columns, verdict(rows, task, len(comparison.validation)), notes, plots(rows, task), [*MEASURED]
    )


def _check_classifier(config: Any, train: Examples, name: str) -> None:
    """Raises ValueError for a model that cannot give the texts of a race what they are labelled with."""
    own, task = task_of(task_name(problem_type(config), config)), task_of(train.task)
    if own.problem_type != task.problem_type:
        raise ValueError(
            f"{name}: is a model for {own.name}, and {train.source} is read for {task.name}. Read the data with task={own.name!r} "
            f"(--task {own.name}), leave the model out, or give a checkpoint without a head."
        )
    if task.has_classes:
        label_columns(label_names(config), train.label_names, name)
    try:
        check_kind(config, train.pairs)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _rows(comparison: Comparison, every: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Returns the rows, the best first, each with its difference from the best."""
    task, rows, runs = comparison.task, [], {}
    for candidate in every:
        if (result := comparison.result(candidate)) is None:
            continue
        name, (run,) = candidate["name"], result.runs
        runs[name], evaluation = run, comparison.evaluated(run)
        row = {"name": name, **{one.key: evaluation["scores"][one.key] for one in task.measures}}
        if result.tested is not None:
            row[f"test_{task.score}"] = comparison.evaluated(run, "test")["scores"][task.score]
        if "calibration" in evaluation:
            row["calibration_error"] = evaluation["calibration"]["error"]
        rows.append(row | {key: result.record[key] for key in MEASURED})
    rows.sort(key=lambda row: -task.sign * row[task.score]["value"])
    best, names = runs[rows[0]["name"]], ("the first", "the second")
    for row in rows:
        run = runs[row["name"]]
        thresholds = (best.get("thresholds"), run.get("thresholds"))
        against = task.compare(comparison.validation.labels, best["validation"], run["validation"], names, thresholds)
        row |= {key: None if row is rows[0] else against[key] for key in ("difference", "p_value") if key in against}
    return rows


def verdict(rows: Sequence[Row], task: Task | None = None, texts: int | None = None) -> list[str]:
    """Says which is best, which are not significantly worse, and which of these is fastest.

    Args:
        rows: the best first, with `name`, the task's score, `latency` (seconds), and except for the first `difference` (an
            estimate, above 0 where the best is better) and perhaps `p_value`.
        task: None = classification.
        texts: int, how many they were judged by; None = unknown.
    """
    task, (best, *others) = task or task_of("classification"), rows
    as_good = [row for row in others if row.get("p_value", 0) >= 0.05 or not is_significant(row["difference"])]
    score = f"{task.score_words} {format_value(best[task.score], task.measure.kind)}"
    sentences = [f'Best on these texts: "{best["name"]}", {score}.']
    if as_good:
        sentences.append("Not significantly worse: " + ", ".join(f'"{row["name"]}"' for row in as_good) + ".")
        fastest = min([best, *as_good], key=lambda row: row["latency"])
        if (ratio := best["latency"] / fastest["latency"]) >= NOTABLY:
            faster = f'"{fastest["name"]}" is the fastest with a single text: {times(ratio)} times as fast as "{best["name"]}"'
            sentences.append(f"Of these, {faster}.")
        decide = _to_decide(best, as_good[0], texts) if texts else ""
        sentences += [decide] if decide else []
    elif others:
        sentences.append("It is significantly better than every other candidate.")
    return sentences


def _to_decide(best: Row, other: Row, texts: int) -> str:
    """Says how many texts would tell two candidates apart, if their difference stayed as it is; nothing if there is none."""
    difference = other["difference"]
    half = (difference["high"] - difference["low"]) / 2
    if not (difference["value"] > 0 and half > 0):
        return ""
    needed = texts * (POWER * half / difference["value"]) ** 2
    if needed <= texts:  # one of the two tests is not sure
        return ""
    rounded = f"{float(f'{needed:.2g}'):,.0f}"
    return f'To tell "{best["name"]}" from "{other["name"]}" by this difference takes about {rounded} texts; there are {texts:,}.'


def plots(rows: Sequence[Row], task: Task) -> list[dict[str, Any]]:
    """Describes the score against latency and against size; the models worth their cost are on a line."""
    described, title = [], capital(task.score_words)
    short = {task.baseline_name: "TF-IDF", LSTM: "LSTM"}  # a long name beside a point lies on what is drawn
    for cost, label, unit in (("latency", "milliseconds for one text", 1e-3), ("size", "size on disk (MB)", 1e6)):
        worthwhile = frontier([row[cost] for row in rows], [task.sign * row[task.score]["value"] for row in rows])
        best, others = [rows[i] for i in worthwhile], [row for i, row in enumerate(rows) if i not in worthwhile]
        series = []
        for name, chosen, as_ in (
            ("worth its cost", best, "line" if len(best) > 1 else "points"),
            ("others", others, "points"),
        ):
            x, labels = [row[cost] / unit for row in chosen], [short.get(row["name"], row["name"]) for row in chosen]
            y = interval([row[task.score] for row in chosen])
            series += [{"name": name, **y, "x": x, "labels": labels, "as_": as_}] if chosen else []
        words = "No model costs less than one on the line and is as good. Bars are 95 % intervals."
        described.append(
            describe(f"{title} against {cost}", words, {"label": label, "log": True}, task.score_axis, series)
        )
    return described
