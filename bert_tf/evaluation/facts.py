"""The facts that the report and the model card show of a run, computed from its plain results."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any

import numpy as np

from bert_tf.evaluation import diagnostics, scores, tfidf
from bert_tf.evaluation.tfidf import BASELINE
from bert_tf.formatting import Text

MOST_TEXTS = 20_000  # training texts for the baseline and the check of the labels: half a minute on a slow core


def run_facts(
    *,
    label_names: Sequence[str],
    train: tuple[Iterable[Text], Any],
    validation: tuple[Iterable[Text], Any],
    probabilities: Any,
    history: Mapping[str, Sequence[float]],
    best_epoch: int | None = None,
    lengths: Mapping[str, Any] | None = None,
    max_length: int | None = None,
    seed: int = 0,
    baseline: Callable[[], tfidf.TfidfBaseline] | None = None,
    weights: Any = None,
    weighted: bool = False,
    groups: Any = None,
    **others: Any,
) -> dict[str, Any]:
    """Computes the facts of a run.

    Args:  (N training texts, M validation texts, C classes)
        label_names: str, C of them.
        train, validation: `(texts, labels)`: texts that can be iterated repeatedly, labels int `(N,)` and `(M,)`.
        probabilities: float `(M, C)`, of the validation texts, by the model that was kept.
        history: metric -> value of each epoch; empty if nothing was trained by epochs.
        best_epoch: int, the epoch whose model was kept; None = the one with the lowest validation loss.
        lengths: "training" and "validation" -> int `(N,)`, `(M,)`, tokens before truncation to `max_length`.
        seed: int.
        baseline: gives the baseline, if it has been trained on the texts that `drawn` gives; None = it is trained here.
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
    texts, labels, classes = [*validation[0]], np.asarray(validation[1]), len(label_names)
    facts: dict[str, Any] = {
        **scores.evaluate(labels, probabilities, label_names, seed),
        **(_by_epoch(history, labels, best_epoch, weights) if history else {}),
        "mistakes": diagnostics.mistakes(texts, labels, probabilities, label_names),
        "data": {
            "splits": [
                {
                    "name": name,
                    "labels": dict(
                        zip(label_names, np.bincount(split_labels, minlength=classes).tolist(), strict=True)
                    ),
                    "lengths": diagnostics.lengths(lengths[name], max_length) if lengths and max_length else None,
                }
                for name, (_, split_labels) in splits.items()
            ],
            "duplicates": diagnostics.duplicates(splits, label_names),
        },
    }
    learnt, judged = (split["labels"] for split in facts["data"]["splits"])
    facts["imbalance"] = diagnostics.imbalance(learnt, judged, weighted)
    advised = weighted or facts["imbalance"] is not None
    facts["hints"] = diagnostics.unpredicted(facts["confusion"], label_names, advised)
    try:
        facts |= _by_logistic_regression(
            label_names, train, texts, labels, np.asarray(probabilities), seed, baseline, groups
        )
    except ValueError as error:
        facts["hints"].append(f"The baseline and the likely wrong labels are missing. {error}")
    return facts | others


def _by_epoch(
    history: Mapping[str, Sequence[float]], labels: np.ndarray, best_epoch: int | None, weights
) -> dict[str, Any]:
    overfitting = diagnostics.overfitting(history, diagnostics.chance_loss(labels, weights), best_epoch)
    values = {name: [float(value) for value in values] for name, values in history.items()}
    return {"best_epoch": overfitting["best_epoch"], "history": values, "overfitting": overfitting}


def drawn(texts: Iterable[Text], labels: Any, seed: int) -> tuple[np.ndarray, list[Text], np.ndarray]:
    """Draws at most `MOST_TEXTS` texts for the baseline; returns their places, int64, the texts and their labels, in order."""
    labels = np.asarray(labels)
    chosen = np.zeros(len(labels), bool)
    chosen[np.random.default_rng(seed).permutation(len(labels))[:MOST_TEXTS]] = True
    return np.flatnonzero(chosen), [*compress(texts, chosen)], labels[chosen]


def _by_logistic_regression(label_names, train, texts, labels, probabilities, seed, baseline, groups) -> dict[str, Any]:
    """Returns `baseline` and `mislabelled`.

    Wrong labels are searched for with TF-IDF. In 2,000 reviews with 5 % of the labels flipped it found 10 times as many as
    chance; MiniLM's [CLS] vectors found 7 times, the means of all its layers 12 times as many.
    """
    places, train_texts, train_labels = drawn(train[0], train[1], seed)
    classes = len(label_names)
    groups = diagnostics.groups(train_texts) if groups is None else groups[places]
    trained = baseline() if baseline else tfidf.train_baseline(train_texts, train_labels, classes, seed)
    by_words = trained(texts)
    held_out = tfidf.out_of_fold(trained.rows, train_labels, classes, groups=groups, seed=seed)
    suspects = diagnostics.suspect_labels(train_texts, train_labels, held_out, label_names)
    for suspect in suspects["listed"]:
        suspect["index"] = int(places[suspect["index"]])
    return {
        "baseline": {
            "texts": len(train_texts),
            "scores": scores.evaluate(labels, by_words, label_names, seed)["scores"],
            "comparison": scores.compare(labels, probabilities, by_words, ("this model", BASELINE), seed),
        },
        "mislabelled": suspects,
    }
