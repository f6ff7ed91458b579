"""The facts that the report and the model card show of a run, computed from its plain results."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any

import numpy as np

from bert_tf.evaluation import diagnostics
from bert_tf.formatting import Text

MOST_TEXTS = 20_000  # training texts for the baseline and the check of the labels: half a minute on a slow core


def run_facts(
    *,
    task: Any,
    label_names: Sequence[str],
    train: tuple[Iterable[Text], Any],
    validation: tuple[Iterable[Text], Any],
    probabilities: Any,
    history: Mapping[str, Sequence[float]],
    best_epoch: int | None = None,
    last_kept: bool = False,
    lengths: Mapping[str, Any] | None = None,
    max_length: int | None = None,
    seed: int = 0,
    baseline: Callable[[], Any] | None = None,
    thresholds: Any = None,
    weights: Any = None,
    weighted: bool = False,
    groups: Any = None,
    **others: Any,
) -> dict[str, Any]:
    """Computes the facts of a run.

    Args:  (N training texts, M validation texts, C classes)
        task: `bert_tf.tasks.task.Task`.
        label_names: str, C of them.
        train, validation: `(texts, labels)`: texts that can be iterated repeatedly, labels as the task has them.
        probabilities: the task's predictions for the validation texts by the model that was kept, such as float `(M, C)`.
        history: metric -> value of each epoch; empty if nothing was trained by epochs.
        best_epoch: int, the epoch whose model was kept, from 1; None = none of them.
        last_kept: bool, whether it was kept because it is the last, not because it did best.
        lengths: "training" and "validation" -> int `(N,)`, `(M,)`, tokens before truncation to `max_length`.
        seed: int.
        baseline: gives the baseline, if it has been trained on the texts that `drawn` gives; None = it is trained here.
        thresholds: float `(C,)`, of the model, for a task that decides by them.
        weights: float `(M,)`, how much each validation text counts in the losses of `history`; None = all the same.
        weighted: bool, whether the training texts counted differently.
        groups: int `(N,)`, which training texts stay together; None = those that are equal but for case and whitespace.
        **others: facts that are known already: `title`, `subtitle`, `parameters`, `cost`, `settings`, `versions`, `command`,
            `sections`; see `bert_tf.reporting.sections.sections`.
    Returns: facts. Where logistic regression cannot be trained, for example because no two texts share a word, `baseline` and
        `mislabelled` are missing and `hints` says why; it also says which classes are never predicted.
    Raises: ValueError for values that do not fit together.
    """
    splits = {"training": train, "validation": validation}
    texts, labels, probabilities = [*validation[0]], np.asarray(validation[1]), np.asarray(probabilities)
    facts: dict[str, Any] = {
        "task": task.name,
        **task.evaluate(labels, probabilities, label_names, thresholds, seed),
        **(_by_epoch(history, task, labels, best_epoch, weights, last_kept) if history else {}),
        "last_kept": last_kept,
        **task.examples(texts, labels, probabilities, label_names, thresholds),
        "data": {
            "splits": [
                {
                    "name": name,
                    **split_facts(task, split_labels, label_names),
                    "lengths": diagnostics.lengths(lengths[name], max_length) if lengths and max_length else None,
                }
                for name, (_, split_labels) in splits.items()
            ],
            "duplicates": duplicates(task, splits, label_names),
        },
    }
    learnt, judged = (split["labels"] for split in facts["data"]["splits"])
    facts["imbalance"] = diagnostics.imbalance(learnt, judged, weighted) if task.one_class else None
    advised = weighted or facts["imbalance"] is not None
    facts["hints"] = task.hints(labels, probabilities, label_names, thresholds, advised)
    try:
        facts |= _beside_words(
            task, label_names, train, texts, labels, probabilities, seed, baseline, thresholds, groups
        )
    except ValueError as error:
        facts["hints"].append(f"The baseline and the likely wrong labels are missing. {error}")
    return facts | others


def split_facts(task: Any, labels: Any, label_names: Sequence[str]) -> dict[str, Any]:
    """Returns what a report says of a split's labels: `texts`, `labels`, label -> texts, and `described`, words for numbers."""
    counts = task.counts(labels, label_names)
    return {"texts": len(labels), "labels": counts} | (
        {} if counts else {"described": task.described(labels, label_names)}
    )


def duplicates(
    task: Any, splits: Mapping[str, tuple[Iterable[Text], Any]], label_names: Sequence[str]
) -> dict[str, Any]:
    """Finds texts that occur more than once; see `diagnostics.duplicates`."""
    codes, names = task.codes(*(np.asarray(labels) for _, labels in splits.values()), label_names=label_names)
    coded = {name: (texts, own) for (name, (texts, _)), own in zip(splits.items(), codes, strict=True)}
    return diagnostics.duplicates(coded, names)


def _by_epoch(
    history: Mapping[str, Sequence[float]], task: Any, labels: np.ndarray, best_epoch: int | None, weights, last: bool
) -> dict[str, Any]:
    score = (task.score if task.sign > 0 else "", task.score_words)
    chance, words = task.chance(labels, weights), task.chance_words
    overfitting = diagnostics.overfitting(history, chance, best_epoch, words, score, last)
    values = {name: [float(value) for value in values] for name, values in history.items()}
    return {"best_epoch": best_epoch, "history": values, "overfitting": overfitting}


def drawn(texts: Iterable[Text], labels: Any, seed: int) -> tuple[np.ndarray, list[Text], np.ndarray]:
    """Draws at most `MOST_TEXTS` texts for the baseline; returns their places, int64, the texts and their labels, in order."""
    labels = np.asarray(labels)
    chosen = np.zeros(len(labels), bool)
    chosen[np.random.default_rng(seed).permutation(len(labels))[:MOST_TEXTS]] = True
    return np.flatnonzero(chosen), [*compress(texts, chosen)], labels[chosen]


def _beside_words(
    task: Any, label_names, train, texts, labels, predictions, seed, baseline, thresholds, groups
) -> dict[str, Any]:
    """Returns `baseline`, and `mislabelled` if the task searches for wrong labels."""
    places, train_texts, train_labels = drawn(train[0], train[1], seed)
    groups = diagnostics.groups(train_texts) if groups is None else groups[places]
    trained = baseline() if baseline else task.train_baseline(train_texts, train_labels, label_names, seed)
    by_words = trained(texts)
    chosen = task.thresholds(labels, by_words)
    suspects = task.suspects(train_texts, train_labels, trained, label_names, seed, groups)
    for suspect in suspects.get("listed", ()):
        suspect["index"] = int(places[suspect["index"]])
    names = ("this model", task.baseline_name)
    return {
        "baseline": {
            "texts": len(train_texts),
            "characters": trained.characters,
            "scores": task.evaluate(labels, by_words, label_names, chosen, seed)["scores"],
            "comparison": task.compare(labels, predictions, by_words, names, (thresholds, chosen), seed),
        },
        **({"mislabelled": suspects} if suspects else {}),
    }
