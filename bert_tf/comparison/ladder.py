"""How much to unfreeze: one checkpoint, trained with more and more of its layers."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.checkpoints import config, locate
from bert_tf.checkpoints.families.table import depths
from bert_tf.checkpoints.heads import HEADS
from bert_tf.comparison.candidates import Candidate, baseline_candidate
from bert_tf.comparison.comparison import INTERVALS, Compared, Comparison, Result, score_on_test, training_options
from bert_tf.evaluation import paired
from bert_tf.evaluation.paired import NOTABLY, Row, change_of, is_gain, is_significant, size_of, times
from bert_tf.evaluation.scores import Estimate
from bert_tf.formatting import capital
from bert_tf.options import with_options
from bert_tf.reporting.figures import EPOCHS, by_epoch, describe, interval
from bert_tf.settings import LADDER, Settings
from bert_tf.tasks.task import Task, task_of

COLUMNS = {
    **dict.fromkeys(("loss", "gap"), "score"),
    **dict.fromkeys(("best_epoch", "epochs"), "plain"),
    "trainable_parameters": "count",
    "memory": "bytes",
    "seconds": "seconds",
    "texts_per_second": "count",
}
COSTS = [*COLUMNS][2:]  # all but loss and gap

# Rungs that are the stages of `finetune`, and what they are called.
STAGED = {"solved": "frozen, solved head", "auto": "all layers from the solved head"}


@with_options(LADDER)
def ladder(train: Any, validation: Any = None, *, test: Any = None, settings: Settings) -> Compared:
    """Trains the same checkpoint with more and more of it unfrozen, and says what that gains and costs.

    Leaves ladder.csv (a row per rung), epochs.csv (a row per epoch), ladder.png, report.html,
    compare.json, entrants/.

    Args:
        train, validation: sources, as for `bert_tf.finetune`.
        test: a source of texts that nothing is chosen by: each model classifies them once. The
            verdict is of the validation texts.
        {options}
    Returns: `Compared`. Memory is the peak of a rung's process, TensorFlow and the texts
        included. Seconds are of one run (median of the seeds), not counting the features of
        frozen layers, which are computed once and cached.
    Raises: as `bert_tf.finetune`.

    >>> from bert_tf.data.readers import demo_reviews
    >>> compared = ladder(*demo_reviews(), rungs=["baseline", "layer_means", 1], seeds=2)  # doctest: +SKIP
    """
    checkpoint, rungs = settings.model.checkpoint, settings.ladder.rungs
    comparison = Comparison("ladder", train, validation, test, [checkpoint], settings)
    possible = depths(config.read_config(locate.resolve(checkpoint)))
    layers = possible[-1]
    rungs = ["baseline", *HEADS, "solved", *possible[1:-1], "all", "auto"] if rungs is None else rungs
    every = [_candidate(rung, layers, settings, comparison.task.baseline_name) for rung in rungs]
    comparison.run(every)
    task = comparison.task
    results = {one["name"]: (one, result) for one in every if (result := comparison.result(one)) is not None}
    rows = [_row(candidate, result, comparison) for candidate, result in results.values()]
    shares = {name: result.shares for name, (_, result) in results.items()}
    histories = {name: [run["history"] for run in result.runs] for name, (_, result) in results.items()}
    _write_epochs(comparison.output / "epochs.csv", histories, task)
    notes = (
        f"{INTERVALS} Lowest and highest: of the seeds ({settings.repeats.seeds}). Gap: validation minus training loss at the "
        "epoch that is kept; a larger gap means more overfitting. Seconds: of one run, not counting the features of frozen layers, "
        "which are computed once and cached. Memory: the peak of the rung's process, TensorFlow included. Texts per second: "
        f"prediction, from text to label.{comparison.decided()}"
    )
    more = {one.key: one.kind for one in task.measures if one.key not in (task.score, "log_loss")}
    columns = {"rung": "text", **dict.fromkeys((task.score, "lowest", "highest"), task.measure.kind), **more, **COLUMNS}
    return comparison.finish(rows, columns, verdict(rows, shares, task), notes, plots(rows, histories, task), COSTS)


def _candidate(rung: int | str, layers: int, settings: Settings, baseline: str) -> Candidate:
    if rung in ("baseline", "floor"):
        return baseline_candidate(baseline, [0], settings)
    kind = "trained_per_seed"
    if rung in HEADS:
        name, work, epochs = f"frozen, {str(rung).replace('_', ' ')}", 1.0, settings.ladder.frozen_epochs
        options = training_options(settings, head=rung, epochs=epochs, learning_rate=None)
    elif rung in STAGED:
        unfreeze = 0 if rung == "solved" else layers
        work = 0.5 if rung == "solved" else 1.0 + layers
        more = {"epochs": settings.training.epochs if unfreeze else None, "early_stopping": None}
        options = training_options(settings, unfreeze, recipe="auto", **more)
        name, kind = STAGED[rung], "finetuned_per_seed"
    elif rung == "all" or (type(rung) is int and 0 < rung <= layers):
        name = "all layers" if rung == "all" else f"top {rung} layer{'s' if rung != 1 else ''}"
        work = 1.0 + (layers if rung == "all" else int(rung))
        options = training_options(settings, rung, head="first_token", epochs=settings.training.epochs)
    else:
        raise ValueError(
            f"A rung is baseline, {', '.join([*HEADS, *STAGED])}, 1 to {layers}, or all. Received: {rung!r}"
        )
    seeds = [*range(settings.repeats.seeds)]
    return {"name": name, "kind": kind, "seeds": seeds, "options": options, "work": work}


def _row(candidate: Candidate, result: Result, comparison: Comparison) -> dict[str, Any]:
    unfreeze = candidate["options"]["unfreeze"] if "options" in candidate else None
    kind = "baseline" if unfreeze is None else "unfrozen" if unfreeze else "frozen"
    task, by_seed = comparison.task, paired.by_seed(result.shares)
    scores = [comparison.evaluated(run)["scores"] for run in result.runs]
    trained = [(run["history"], run["best_epoch"]) for run in result.runs if run["best_epoch"]]
    gaps = [history["val_loss"][epoch - 1] - history["loss"][epoch - 1] for history, epoch in trained]
    return {
        "rung": candidate["name"],
        "kind": kind,
        task.score: paired.score(result.shares),
        **score_on_test(result, task.score),
        "lowest": float(by_seed.min()),
        "highest": float(by_seed.max()),
        **{
            one.key: _mean([found[one.key]["value"] for found in scores])
            for one in task.measures
            if one.key != task.score
        },
        "loss": result.loss,
        "gap": float(np.mean(gaps)) if trained else None,
        "best_epoch": float(np.median([epoch for _, epoch in trained])) if trained else None,
        "epochs": float(np.median([len(history["loss"]) for history, _ in trained])) if trained else None,
        **{key: result.record[key] for key in ("trainable_parameters", "memory")},
        "seconds": float(np.median([run["seconds"] for run in result.runs])),
        "texts_per_second": result.record["texts_per_second"],
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _write_epochs(file: Path, histories: Mapping[str, Sequence[Mapping[str, Sequence[float]]]], task: Task) -> None:
    metrics = ("loss", task.score, "val_loss", f"val_{task.score}")
    rows = [
        {"rung": rung, "seed": seed, "epoch": epoch, **dict(zip(metrics, values, strict=True))}
        for rung, runs in histories.items()
        for seed, history in enumerate(runs)
        if history
        for epoch, values in enumerate(zip(*(history[metric] for metric in metrics), strict=True), 1)
    ]
    files.write_csv(file, ["rung", "seed", "epoch", *metrics], rows)


def verdict(rows: Sequence[Row], shares: Mapping[str, np.ndarray], task: Task | None = None) -> list[str]:
    """Says what unfreezing gains and costs, which head of a frozen base is better, and what the baseline is worth.

    Args:
        rows: with `rung`, `kind` ("baseline", "frozen" or "unfrozen"), the task's score (an estimate), `seconds`, `best_epoch`
            and `epochs`.
        shares: rung -> shares of `bert_tf.evaluation.paired`.
        task: None = classification.
    """
    task = task or task_of("classification")
    gain = partial(paired.gain, sign=task.sign)

    def best(chosen: Iterable[Row | None]) -> Row | None:
        return max(filter(None, chosen), key=lambda row: task.sign * row[task.score]["value"], default=None)

    kinds = ("baseline", "frozen", "unfrozen")
    baseline, frozen, unfrozen = (best(row for row in rows if row["kind"] == kind) for kind in kinds)
    sentences: list[str] = []
    if frozen and unfrozen:
        sentences.append(_unfreezing(frozen, unfrozen, gain(shares[unfrozen["rung"]], shares[frozen["rung"]]), task))
    if unfrozen:
        name = unfrozen["rung"]
        cheaper = [row for row in rows if row["seconds"] < unfrozen["seconds"]]
        as_good = [row for row in cheaper if not is_gain(gain(shares[name], shares[row["rung"]]))]
        fastest = min(as_good, key=lambda row: row["seconds"], default=unfrozen)
        if (ratio := unfrozen["seconds"] / fastest["seconds"]) >= NOTABLY:
            faster = f'"{fastest["rung"]}" trains {times(ratio)} times faster'
            sentences.append(f'{faster} and is not significantly worse than "{name}".')
    # of the epochs of "auto" the last is kept, lowest or not
    if frozen and unfrozen and unfrozen["rung"] != STAGED["auto"] and unfrozen["best_epoch"] == unfrozen["epochs"]:
        sentences.append(
            f'The validation loss of "{unfrozen["rung"]}" was lowest at its last epoch ({unfrozen["epochs"]:g}): more epochs or '
            "a larger learning rate may change this."
        )
    if {"frozen, first token", "frozen, layer means"} <= set(shares):
        difference = gain(shares["frozen, layer means"], shares["frozen, first token"])
        significant = f"{'' if is_significant(difference) else 'not '}a significant difference"
        sentences.append(
            f"With a frozen base, the head over the means of all layers scores {change_of(difference, task)} compared "
            f"with the head over the first token, {significant}."
        )
    if baseline and (top := best([frozen, unfrozen])):
        difference = gain(shares[top["rung"]], shares[baseline["rung"]])
        how = "not significantly better" if not is_significant(difference) else "significantly better"
        how = "significantly worse" if difference["high"] < 0 else how  # type: ignore[operator]
        sentences.append(f'The best rung, "{top["rung"]}", is {how} than TF-IDF: {change_of(difference, task)}.')
    return sentences


def _unfreezing(frozen: Row, unfrozen: Row, difference: Estimate, task: Task) -> str:
    name, other = f'"{unfrozen["rung"]}"', f'"{frozen["rung"]}"'
    cost = f"for {times(unfrozen['seconds'] / frozen['seconds'])} times the training time"
    by = change_of(difference, task)
    if not is_significant(difference):
        return f"Unfreezing makes no significant difference: {name} scores {by} compared with {other}, {cost}."
    if is_gain(difference):
        return f"Unfreezing pays: {name} is significantly better than {other}, by {size_of(difference, task)}, {cost}."
    return f"Unfreezing does not pay here: {name}, the best unfrozen rung, is significantly worse than {other}: {by}."


def plots(rows: Sequence[Row], histories: Mapping[str, Sequence[Mapping]], task: Task) -> list[dict[str, Any]]:
    """Describes the score by rung and against time and, of the rungs with a history, validation loss and overfitting."""
    scored, title = interval([row[task.score] for row in rows]), capital(task.score_words)
    words = "Mean over the seeds; bars are 95 % intervals."
    described = [describe(f"{title} by rung", words, _rungs(rows), task.score_axis, [_by_rung("validation", **scored)])]
    better = "Up" if task.sign > 0 else "Down"
    words = f"Seconds per run, not counting the computation of cached features. {better} and to the left is better."
    axis = {"label": "seconds per run", "log": True, "kind": "seconds"}
    named = {"x": [row["seconds"] for row in rows], "y": scored["y"], "labels": [row["rung"] for row in rows]}
    series = [{"name": "rungs", **named, "as_": "points"}]
    described.append(describe(f"{title} against time", words, axis, task.score_axis, series))
    trained = [row for row in rows if row["gap"] is not None]
    if trained:
        series = [_mean_loss(row["rung"], histories[row["rung"]]) for row in trained]
        words = "Mean over the seeds, each rung by itself."
        described.append(describe("Validation loss by epoch", words, EPOCHS, task.loss_axis, series, apart=True))
        words = "Validation loss minus training loss at the epoch that is kept; a larger gap means more overfitting."
        axis, gaps = (
            {"label": f"gap in {task.loss_axis['label']}", "kind": "score"},
            _by_rung("gap", [row["gap"] for row in trained]),
        )
        described.append(describe("Overfitting by rung", words, _rungs(trained), axis, [gaps]))
    return described


def _rungs(rows: Sequence[Row]) -> dict[str, Any]:
    return {"label": "", "names": [row["rung"] for row in rows]}


def _by_rung(name: str, y: Sequence[float], **ends: Sequence[float]) -> dict[str, Any]:
    return {"name": name, "x": [*range(len(y))], "y": y, **ends, "as_": "points"}


def _mean_loss(name: str, histories: Sequence[Mapping]) -> dict[str, Any]:
    losses = [history["val_loss"] for history in histories]
    epochs = min(map(len, losses))  # seeds may stop at different epochs
    return by_epoch(name, np.mean([loss[:epochs] for loss in losses], axis=0).tolist())
