"""How much to unfreeze: one checkpoint, trained with more and more of its layers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import files
from bert_tf.checkpoints import config, locate
from bert_tf.checkpoints.families.table import encoder_settings
from bert_tf.checkpoints.heads import HEADS
from bert_tf.comparison.candidates import Candidate
from bert_tf.comparison.comparison import (
    ACCURACY,
    EARLY_STOPPING,
    INTERVALS,
    Compared,
    Comparison,
    Result,
    training_options,
)
from bert_tf.evaluation import paired
from bert_tf.evaluation.paired import Row, gain, is_significant, points, times
from bert_tf.evaluation.tfidf import BASELINE
from bert_tf.formatting import format_value
from bert_tf.options import with_options
from bert_tf.reporting.sections import interval
from bert_tf.settings import LADDER, Settings

COLUMNS = {
    "rung": "text",
    "accuracy": "score",
    "lowest": "score",
    "highest": "score",
    "loss": "score",
    "gap": "score",
    "best_epoch": "plain",
    "epochs": "plain",
    "trainable_parameters": "count",
    "memory": "bytes",
    "seconds": "seconds",
    "texts_per_second": "count",
}


@with_options(LADDER)
def ladder(train: Any, validation: Any = None, *, settings: Settings) -> Compared:
    """Trains the same checkpoint with more and more of it unfrozen, and says what that gains and costs.

    Leaves ladder.csv (a row per rung), epochs.csv (a row per epoch), ladder.png, report.html, compare.json, entrants/.

    Args:
        train, validation: sources, as for `bert_tf.finetune`.
        {options}
    Returns: `Compared`. Memory is the peak of a rung's process, TensorFlow and the texts included. Seconds are of one run
        (median of the seeds), not counting the features of frozen layers, which are computed once and cached.
    Raises: as `bert_tf.finetune`.

    >>> from bert_tf.data.readers import demo_reviews
    >>> compared = ladder(*demo_reviews(), rungs=["baseline", "layer_means", 1], seeds=2)  # doctest: +SKIP
    """
    checkpoint, seeds, training = settings.model.checkpoint, settings.repeats.seeds, settings.training
    comparison = Comparison("ladder", train, validation, [checkpoint], settings)
    layers = encoder_settings(config.read_config(locate.resolve(checkpoint)))["num_hidden_layers"]
    options = training_options(settings)
    frozen = {
        "unfreeze": 0,
        "epochs": settings.ladder.frozen_epochs,
        "early_stopping": EARLY_STOPPING,
        "learning_rate": None,
    }
    unfrozen = {"head": "first_token", "epochs": training.epochs, "early_stopping": None}
    rungs = ["baseline", *HEADS, *range(1, layers), "all"] if settings.ladder.rungs is None else settings.ladder.rungs
    every = [_candidate(rung, layers, seeds, {**options, **frozen}, {**options, **unfrozen}) for rung in rungs]
    comparison.run(every)
    results = {one["name"]: (one, result) for one in every if (result := comparison.result(one)) is not None}
    rows = [_row(candidate, result) for candidate, result in results.values()]
    right = {name: result.right for name, (_, result) in results.items()}
    histories = {name: [run["history"] for run in result.runs] for name, (_, result) in results.items()}
    _write_epochs(comparison.output / "epochs.csv", histories)
    notes = (
        f"{INTERVALS} Lowest and highest: of the seeds ({seeds}). Gap: validation minus training loss at the best epoch; a larger "
        "gap means more overfitting. Seconds: of one run, not counting the features of frozen layers, which are computed once and "
        "cached. Memory: the peak of the rung's process, TensorFlow included. Texts per second: prediction, from text to label."
    )
    return comparison.finish(rows, COLUMNS, verdict(rows, right), notes, plots(rows, histories))


def _candidate(rung: int | str, layers: int, seeds: int, frozen: Candidate, unfrozen: Candidate) -> Candidate:
    if rung in ("baseline", "floor"):
        return {"name": BASELINE, "kind": "tfidf", "seeds": [0], "work": 0.2}
    trained = {"kind": "trained_per_seed", "seeds": [*range(seeds)]}
    if rung in HEADS:
        name = f"frozen, {str(rung).replace('_', ' ')}"
        return {"name": name, **trained, "options": {**frozen, "head": rung}, "work": 1.0}
    if rung == "all" or (type(rung) is int and 0 < rung <= layers):
        name = "all layers" if rung == "all" else f"top {rung} layer{'s' if rung != 1 else ''}"
        work = 1.0 + (layers if rung == "all" else int(rung))
        return {"name": name, **trained, "options": {**unfrozen, "unfreeze": rung}, "work": work}
    raise ValueError(f"A rung is baseline, {', '.join(HEADS)}, 1 to {layers}, or all. Received: {rung!r}")


def _row(candidate: Candidate, result: Result) -> dict[str, Any]:
    kind = (
        "baseline"
        if candidate["kind"] == "tfidf"
        else "frozen"
        if candidate["options"]["unfreeze"] == 0
        else "unfrozen"
    )
    accuracies = result.right.mean(axis=1)
    trained = [run for run in result.runs if run["history"]]
    histories = [run["history"] for run in trained]
    best_epochs = [run["best_epoch"] for run in trained]
    gaps = [
        history["val_loss"][epoch - 1] - history["loss"][epoch - 1]
        for history, epoch in zip(histories, best_epochs, strict=True)
    ]
    return {
        "rung": candidate["name"],
        "kind": kind,
        "accuracy": paired.accuracy(result.right),
        "lowest": float(accuracies.min()),
        "highest": float(accuracies.max()),
        "loss": result.log_loss,
        "gap": float(np.mean(gaps)) if trained else None,
        "best_epoch": float(np.median(best_epochs)) if trained else None,
        "epochs": float(np.median([len(history["loss"]) for history in histories])) if trained else None,
        "trainable_parameters": result.record["trainable_parameters"],
        "memory": result.record["memory"],
        "seconds": float(np.median([run["seconds"] for run in result.runs])),
        "texts_per_second": result.record["texts_per_second"],
    }


def _write_epochs(file: Path, histories: Mapping[str, Sequence[Mapping[str, Sequence[float]]]]) -> None:
    metrics = ("loss", "accuracy", "val_loss", "val_accuracy")
    rows = [
        {"rung": rung, "seed": seed, "epoch": epoch, **dict(zip(metrics, values, strict=True))}
        for rung, runs in histories.items()
        for seed, history in enumerate(runs)
        if history
        for epoch, values in enumerate(zip(*(history[metric] for metric in metrics), strict=True), 1)
    ]
    files.write_csv(file, ["rung", "seed", "epoch", *metrics], rows)


# What it means


def verdict(rows: Sequence[Row], right: Mapping[str, np.ndarray]) -> list[str]:
    """Says what unfreezing gains and costs, which head of a frozen base is better, and what the baseline is worth.

    Args:
        rows: with `rung`, `kind` ("baseline", "frozen" or "unfrozen"), `accuracy` (an estimate), `seconds`, `best_epoch` and
            `epochs`.
        right: rung -> bool `(S, M)`, whether a seed's model has a text right.
    """

    def best(kind: str) -> Row | None:
        return max((row for row in rows if row["kind"] == kind), key=lambda row: row["accuracy"]["value"], default=None)

    baseline, frozen, unfrozen = best("baseline"), best("frozen"), best("unfrozen")
    sentences: list[str] = []
    if frozen and unfrozen:
        sentences.append(_unfreezing(frozen, unfrozen, right))
    if unfrozen:
        sentences += _cheaper(rows, unfrozen, right)
    if frozen and unfrozen and unfrozen["best_epoch"] == unfrozen["epochs"]:
        sentences.append(
            f'The validation loss of "{unfrozen["rung"]}" was lowest at its last epoch ({unfrozen["epochs"]:g}): more epochs or '
            "a larger learning rate may change this."
        )
    if {"frozen, first token", "frozen, layer means"} <= set(right):
        difference = gain(right["frozen, layer means"], right["frozen, first token"])
        significant = "a significant difference" if is_significant(difference) else "not a significant difference"
        sentences.append(
            f"With a frozen base, the head over the means of all layers scores {format_value(difference, 'points')} points compared "
            f"with the head over the first token, {significant}."
        )
    others = [row for row in (frozen, unfrozen) if row]
    if baseline and others:
        top = max(others, key=lambda row: row["accuracy"]["value"])
        difference = gain(right[top["rung"]], right[baseline["rung"]])
        better = "significantly" if difference["low"] > 0 else "not significantly"  # type: ignore[operator]
        sentences.append(
            f'The best rung, "{top["rung"]}", is {better} better than TF-IDF: {format_value(difference, "points")} points.'
        )
    return sentences


def _unfreezing(frozen: Row, unfrozen: Row, right: Mapping[str, np.ndarray]) -> str:
    difference = gain(right[unfrozen["rung"]], right[frozen["rung"]])
    name, other = f'"{unfrozen["rung"]}"', f'"{frozen["rung"]}"'
    cost = f"for {times(unfrozen['seconds'] / frozen['seconds'])} times the training time"
    if not is_significant(difference):
        by = f"{format_value(difference, 'points')} points"
        return f"Unfreezing makes no significant difference: {name} scores {by} compared with {other}, {cost}."
    if difference["value"] > 0:  # type: ignore[operator]
        return f"Unfreezing pays: {name} is significantly better than {other}, by {points(difference)}, {cost}."
    by = f"{format_value(difference, 'points')} points"
    return f"Unfreezing does not pay here: {name}, the best unfrozen rung, is significantly worse than {other}: {by}."


def _cheaper(rows: Sequence[Row], unfrozen: Row, right: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Yields a sentence on the fastest rung that is as good as the best unfrozen one, if there is one."""
    name = unfrozen["rung"]
    cheaper = [
        row
        for row in rows
        if row["seconds"] < unfrozen["seconds"] and not is_significant(gain(right[name], right[row["rung"]]))
    ]
    if cheaper:
        fastest = min(cheaper, key=lambda row: row["seconds"])
        ratio = times(unfrozen["seconds"] / fastest["seconds"])
        yield f'"{fastest["rung"]}" trains {ratio} times faster and is not significantly worse than "{name}".'


# Figures


def plots(rows: Sequence[Row], histories: Mapping[str, Sequence[Mapping]]) -> list[dict[str, Any]]:
    """Describes accuracy by rung and against time and, of the rungs with a history, validation loss and overfitting."""
    trained = [row for row in rows if row["gap"] is not None]
    by_time = {
        "name": "rungs",
        "x": [row["seconds"] for row in rows],
        "y": [row["accuracy"]["value"] for row in rows],
        "labels": [row["rung"] for row in rows],
        "as_": "points",
    }
    described = [
        {
            "title": "Accuracy by rung",
            "description": "Mean over the seeds; bars are 95 % intervals.",
            "x": {"label": "", "names": [row["rung"] for row in rows]},
            "y": ACCURACY,
            "series": [
                {
                    "name": "validation",
                    **interval([row["accuracy"] for row in rows]),
                    "x": [*range(len(rows))],
                    "as_": "points",
                }
            ],
        },
        {
            "title": "Accuracy against time",
            "description": "Seconds per run, not counting the computation of cached features. Up and to the left is better.",
            "x": {"label": "seconds per run", "log": True, "kind": "seconds"},
            "y": ACCURACY,
            "series": [by_time],
        },
    ]
    if not trained:
        return described
    gaps = {"name": "gap", "x": [*range(len(trained))], "y": [row["gap"] for row in trained], "as_": "points"}
    return [
        *described,
        {
            "title": "Validation loss by epoch",
            "description": "Mean over the seeds.",
            "x": {"label": "epoch", "whole": True},
            "y": {"label": "cross-entropy loss (nats)", "kind": "score"},
            "series": [_mean_loss(row["rung"], histories[row["rung"]]) for row in trained],
        },
        {
            "title": "Overfitting by rung",
            "description": "Validation loss minus training loss at the best epoch; a larger gap means more overfitting.",
            "x": {"label": "", "names": [row["rung"] for row in trained]},
            "y": {"label": "gap (nats)", "kind": "score"},
            "series": [gaps],
        },
    ]


def _mean_loss(name: str, histories: Sequence[Mapping]) -> dict[str, Any]:
    losses = [history["val_loss"] for history in histories]
    epochs = min(map(len, losses))  # seeds may stop at different epochs
    mean = np.mean([loss[:epochs] for loss in losses], axis=0).tolist()
    return {"name": name, "x": [*range(1, epochs + 1)], "y": mean}
