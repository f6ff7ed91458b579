"""What a run tells about the data and the training: overfitting, duplicates, cut texts, mistakes, likely wrong labels.

Plain functions over plain results; what they give is plain dicts and lists that JSON can hold.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.evaluation.history import History, best_epoch
from bert_tf.evaluation.scores import checked
from bert_tf.formatting import format_value

NOTABLE = 0.02  # a rise or fall of a loss by less than this share says nothing


SHOWN = 20  # texts in a list that people read


# Curves


def overfitting(history: History, chance: float | None = None, kept: int | None = None) -> dict[str, Any]:
    """Says in words what the curves show.

    Args:
        history: `loss` and `val_loss`, one value an epoch.
        chance: float, the validation loss of always guessing each class by its share (the entropy of the shares); None =
            unknown.
        kept: int, the epoch whose model was kept, from 1; None = that of the lowest validation loss.
    Returns: dict of `kind` ("diverged", "nothing learned", "one epoch", "improving", "settled", "overfitting", "unsteady"),
        `best_epoch` from 1, the one kept, `epochs`, `gap_at_best`, `gap_at_last` (validation less training loss, nats), `verdict`.
    Raises: ValueError if `loss` and `val_loss` are not of equal length, at least 1.

    >>> overfitting({"loss": [0.7, 0.4, 0.1], "val_loss": [0.6, 0.5, 0.9]})["kind"]
    'overfitting'
    """
    train, validation = ([float(value) for value in history.get(name, ())] for name in ("loss", "val_loss"))
    if len(train) != len(validation) or not train:
        raise ValueError(
            "The history must hold `loss` and `val_loss` of each epoch. "
            f"Received: {len(train)} and {len(validation)} values"
        )
    kind, best, verdict = _judged(train, validation, chance)
    if kept and best and kept != best:
        verdict += f" The model of epoch {kept} is kept, which did best by another measure."
    best = kept or best
    gaps = [there - here for here, there in zip(train, validation, strict=True)]
    return {
        "kind": kind,
        "best_epoch": best,
        "epochs": len(train),
        "gap_at_best": gaps[best - 1] if best and math.isfinite(gaps[best - 1]) else None,
        "gap_at_last": gaps[-1] if math.isfinite(gaps[-1]) else None,
        "verdict": verdict,
    }


def _judged(train: list[float], validation: list[float], chance: float | None) -> tuple[str, int | None, str]:
    """Returns kind, best epoch and verdict."""
    if not any(map(math.isfinite, validation)):
        verdict = "The training diverged: no epoch has a finite validation loss. Try a smaller learning rate."
        return "diverged", None, verdict
    best = best_epoch({"val_loss": validation})
    lowest = validation[best - 1]
    if not (math.isfinite(validation[-1]) and math.isfinite(train[-1])):
        verdict = f"The training diverged after epoch {best}: the loss is not finite. Try a smaller learning rate."
        return "diverged", best, verdict
    if chance is not None and lowest > chance * (1 - NOTABLE):
        return (
            "nothing learned",
            best,
            (
                f"Nothing was learned: the lowest validation loss, {format_value(lowest, 'score')}, is hardly below "
                f"{format_value(chance, 'score')}, that of guessing by the classes' shares. Try another learning rate, more epochs, "
                "or more layers unfrozen."
            ),
        )
    if len(train) == 1:
        return "one epoch", best, "One epoch alone does not show whether the model overfits; two or more do."
    at_best = f"validation loss was lowest at epoch {best} ({format_value(lowest, 'score')})"
    if best == len(train) and _change(min(validation[:-1]), lowest) < -NOTABLE:
        return (
            "improving",
            best,
            (f"No overfitting: {at_best}, the last one, and still falling. More epochs may give a better model."),
        )
    rise = _change(lowest, validation[-1])
    if rise <= NOTABLE:
        return "settled", best, f"No overfitting: {at_best} and stayed near it. More epochs would change little."
    rose = f"rose to {format_value(validation[-1], 'score')} ({rise:+.0%})"
    if _change(train[best - 1], train[-1]) < -NOTABLE:
        return (
            "overfitting",
            best,
            (
                f"Overfitting after epoch {best}: {at_best} and then {rose}, while training loss went on falling, from "
                f"{format_value(train[best - 1], 'score')} to {format_value(train[-1], 'score')}. The best epoch is kept, so that the later ones "
                "did no harm; they were not needed."
            ),
        )
    return (
        "unsteady",
        best,
        (
            f"Unsteady: {at_best} and then {rose}, but training loss did not fall either. The learning rate may be too large."
        ),
    )


def _change(before: float, after: float) -> float:
    return after / before - 1 if before > 0 else 0.0


def chance_loss(labels: Any) -> float:
    """Returns the log loss, in nats, of guessing each class by its share among `labels`, int `(N,)`."""
    shares = np.bincount(labels)[np.bincount(labels) > 0] / len(labels)
    return float(-(shares * np.log(shares)).sum())


# Data


def lengths(tokens: Any, max_length: int, cut_already: bool = False) -> dict[str, Any]:
    """Tells how long the texts are and how many `max_length` cuts.

    Args:
        tokens: int `(N,)`, the tokens of each text.
        max_length: int.
        cut_already: bool, whether `tokens` were counted after cutting: a text of `max_length` then counts as cut.
    Returns: dict of `max_length`, `texts`, `cut`, `median`, `longest`, and of a histogram `edges` (`(bins + 1,)`, the first
        value of each bin and the end) and `counts`.
    """
    tokens = np.asarray(tokens)
    longest = int(tokens.max(initial=0))
    step = max(1, next((s for s in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500) if s * 50 > longest), longest // 50))
    edges = np.arange(0, longest + step + 1, step)
    return {
        "max_length": max_length,
        "texts": len(tokens),
        "cut": int((tokens >= max_length if cut_already else tokens > max_length).sum()),
        "median": float(np.median(tokens)) if len(tokens) else 0.0,
        "longest": longest,
        "edges": edges.tolist(),
        "counts": np.histogram(tokens, edges)[0].tolist(),
    }


def duplicates(splits: Mapping[str, tuple[Iterable[str], Any]], label_names: Sequence[str]) -> dict[str, Any]:
    """Finds texts that occur more than once, case and spaces aside, within and across splits.

    Args:
        splits: name -> `(texts, labels)`: texts that can be iterated again and again, labels int `(N,)`. The first is what
            the model learns from.
        label_names: str, the classes.
    Returns: dict of
        `within`: split -> number of texts that stand earlier in the same split;
        `across`: later split -> number of its texts that stand in the first as well: the model has seen them;
        `conflicting`: number of texts that occur with different labels;
        `conflicts`: the first `SHOWN` of them: `text`, and `labels`, "split: label" of each place.
    """
    places: dict[bytes, list[tuple[str, int, int]]] = defaultdict(list)  # digest -> split, index, label
    for name, (texts, labels) in splits.items():
        for index, (text, label) in enumerate(zip(texts, labels, strict=True)):
            places[_digest(text)].append((name, index, int(label)))
    first, *later = splits
    within, across = dict.fromkeys(splits, 0), dict.fromkeys(later, 0)
    for found in places.values():
        here = [name for name, _, _ in found]
        for name in set(here):
            within[name] += here.count(name) - 1
            if name != first and first in here:
                across[name] += here.count(name)
    conflicts = [found for found in places.values() if len({label for _, _, label in found}) > 1]
    wanted = {found[0][:2] for found in conflicts[:SHOWN]}
    words = {
        (name, index): text
        for name, (texts, _) in splits.items()
        if any(name == split for split, _ in wanted)
        for index, text in enumerate(texts)
        if (name, index) in wanted
    }
    return {
        "within": within,
        "across": across,
        "conflicting": len(conflicts),
        "conflicts": [
            {"text": words[found[0][:2]], "labels": [f"{name}: {label_names[label]}" for name, _, label in found]}
            for found in conflicts[:SHOWN]
        ],
    }


def groups(texts: Iterable[str]) -> np.ndarray:
    """Returns int64 `(N,)`, the same number for texts that are the same, case and spaces aside."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(_digest(text), len(numbers)) for text in texts], "int64")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass"), digest_size=16).digest()


# Single texts


def mistakes(
    texts: Sequence[str], labels: Any, probabilities: Any, label_names: Sequence[str], most: int = SHOWN
) -> list[dict[str, Any]]:
    """Lists the texts that the model is wrong about, those first of which it is most sure.

    Args:
        texts, labels, probabilities: str N, int `(N,)`, float `(N, C)`.
        most: int, how many to list.
    Returns: dicts of `index`, `text`, `given` and `predicted` label, `probability` of the predicted one.
    """
    labels, probabilities = checked(labels, probabilities)
    predicted, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    return [
        {
            "index": int(i),
            "text": texts[i],
            "given": label_names[labels[i]],
            "predicted": label_names[predicted[i]],
            "probability": float(sure[i]),
        }
        for i in wrong[np.argsort(-sure[wrong], kind="stable")][:most]
    ]


def mislabelled(labels: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    """Ranks the texts whose label is likely wrong, by confident learning.

    Northcutt et al. 2021 (https://arxiv.org/abs/1911.00068): a text counts as one of class j if its probability for j is
    at least the mean probability for j of the texts labelled j (the class's threshold, so that classes the model is seldom
    sure of are judged by their own measure), of several such classes the most probable. Where that is not the label given,
    the label is suspect.

    Args:
        labels: int `(N,)`, as given.
        probabilities: float `(N, C)`, from models that have not seen the text (`bert_tf.evaluation.tfidf.out_of_fold`).
    Returns: `(suspects, suggested)`, int64 `(K,)`: indices of the suspect texts, the least probable given label first, and
        the class that each seems to be.

    >>> labels, left = np.array([0, 0, 0, 1, 1, 1]), np.array([0.9, 0.8, 0.1, 0.1, 0.2, 0.1])
    >>> mislabelled(labels, np.stack([left, 1 - left], axis=1))
    (array([2]), array([1]))
    """
    labels, probabilities = checked(labels, probabilities)
    rows, classes = np.arange(len(labels)), probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[rows, labels]
    thresholds = np.bincount(labels, weights=own, minlength=classes) / np.maximum(counts, 1)
    thresholds[counts == 0] = np.inf  # a class that nobody gave cannot be confirmed
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    suspects = np.flatnonzero((confident[rows, suggested] >= 0) & (suggested != labels))
    order = suspects[np.argsort(own[suspects], kind="stable")]
    return order, suggested[order]


def suspect_labels(
    texts: Sequence[str], labels: Any, probabilities: Any, label_names: Sequence[str], most: int = SHOWN
) -> dict[str, Any]:
    """Lists the texts that `mislabelled` finds.

    Args:
        texts, labels, probabilities: str N, int `(N,)`, float `(N, C)`, the last from models that have not seen the text.
        most: int, how many to list.
    Returns: dict of `texts` (N), `suspects` (how many there are) and `listed`: dicts of `index`, `text`, `given` and
        `suggested` label, `probability` of the given one.
    """
    found, suggested = mislabelled(labels, probabilities)
    return {
        "texts": len(labels),
        "suspects": len(found),
        "listed": [
            {
                "index": int(i),
                "text": texts[i],
                "given": label_names[labels[i]],
                "suggested": label_names[j],
                "probability": float(probabilities[i][labels[i]]),
            }
            for i, j in zip(found[:most], suggested[:most], strict=True)
        ],
    }
