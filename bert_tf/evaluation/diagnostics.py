"""What a run shows about its training and data: overfitting, duplicates, truncated texts, mistakes, likely wrong labels.

Functions of plain results that return plain dicts and lists, ready for JSON.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.evaluation.history import History, best_epoch
from bert_tf.evaluation.scores import checked
from bert_tf.formatting import Text, format_value, shown_text

NOTABLE = 0.02  # a loss that changes by a smaller share than this is called unchanged
SHOWN = 20  # texts in a list that people read
GAP = 0.05  # by so much the training score is above the validation score before it is remarked on
GAP_OF_LOSS = 0.25  # the same of the loss, as a share of it, where there is no such score
RARE = 0.2  # of an even share of the texts: of two classes the one with under 10 %
LAST = ", the last, where the learning rate had fallen to 0"
BALANCE = "To make rare classes count as much as frequent ones: class_weight='balanced' (--class-weight balanced)."


def overfitting(
    history: History,
    chance: float | None = None,
    kept: int | None = None,
    chance_words: str = "the class frequencies",
    score: tuple[str, str] = ("accuracy", "accuracy"),
    last_kept: bool = False,
) -> dict[str, Any]:
    """Describes in words what the learning curves show.

    Args:
        history: `loss` and `val_loss`, one value per epoch, and the score, if there is one.
        chance: float, the validation loss of predicting the shares of the classes for every text (their entropy); None =
            unknown.
        kept: int, the epoch whose model was kept, from 1; None = none of them.
        chance_words: str, what is predicted for every text to get that loss.
        score: of the training and validation texts: its name in the history, a share of 1 where higher is better, and in words.
            The gap between the two counts as well; if the history has no such score, that of the loss.
        last_kept: bool, whether `kept` is the last epoch because the learning rate fell to 0 there.
    Returns: dict of `kind` ("diverged", "nothing learned", "one epoch", "improving", "settled", "overfitting", "unsteady"),
        `best_epoch` from 1, the one kept or else the lowest, `epochs`, `gap_at_best`, `gap_at_last` (validation minus training loss, nats), `verdict`.
    Raises: ValueError if `loss` and `val_loss` differ in length or are empty.

    >>> overfitting({"loss": [0.7, 0.4, 0.1], "val_loss": [0.6, 0.5, 0.9]})["kind"]
    'overfitting'
    """
    train, validation = ([float(value) for value in history.get(name, ())] for name in ("loss", "val_loss"))
    if len(train) != len(validation) or not train:
        raise ValueError(
            "The history must hold `loss` and `val_loss` of each epoch. "
            f"Received: {len(train)} and {len(validation)} values"
        )
    best = best_epoch({"val_loss": validation}) if any(map(math.isfinite, validation)) else None
    kind, verdict = _judged(train, validation, best, chance, chance_words, _gap(history, *score))
    if kept and best and kept != best:
        # "after epoch 2" would contradict that the third is kept
        verdict = verdict.replace(f"Overfitting after epoch {best}:", "Overfitting:", 1)
        verdict += f" Epoch {kept} was kept{LAST if last_kept else ''}{_why(history, kept, last_kept, *score)}."
    elif kind == "overfitting" and kept:
        verdict += " The best epoch is kept: the later ones did no harm, but were not needed."
    best = kept or best
    gaps = np.subtract(validation, train)
    gap_at_best, gap_at_last = (
        float(gaps[epoch - 1]) if epoch and math.isfinite(gaps[epoch - 1]) else None for epoch in (best, len(train))
    )
    return {
        "kind": kind,
        "best_epoch": best,
        "epochs": len(train),
        "gap_at_best": gap_at_best,
        "gap_at_last": gap_at_last,
        "verdict": verdict,
    }


def _why(history: History, kept: int, last_kept: bool, score: str, words: str) -> str:
    """Says by which metric an epoch was the best or, of the last one, why it need not be."""
    known = {
        "val_calibrated_loss": ": after calibration its validation loss was the lowest",
        f"val_{score}": f": its validation {words} was the highest",
    }
    for name, reason in known.items():
        if any(map(math.isfinite, history.get(name, ()))) and best_epoch(history, name) == kept:
            return reason
    if not last_kept:
        return ", the best by another metric"
    calibrated = history.get("val_calibrated_loss", ())
    if not any(map(math.isfinite, calibrated)):
        return ": a lower validation loss before that is often chance"
    lowest = best_epoch(history, "val_calibrated_loss")
    here, there = (format_value(float(calibrated[epoch - 1]), "score") for epoch in (kept, lowest))
    return f": after calibration its validation loss is {here}; a lower one before that ({there}, epoch {lowest}) is often chance"


def _gap(history: History, score: str, words: str) -> str:
    """Says how much better the model knows the training texts than the validation texts at the last epoch; "" = hardly."""
    names = (score, f"val_{score}") if history.get(score) and history.get(f"val_{score}") else ("loss", "val_loss")
    train, validation = (float(history[name][-1]) for name in names)
    known, other = (format_value(value, "score") for value in (train, validation))
    if names[0] == score and train - validation >= GAP:
        return (
            f"training {words} is {100 * (train - validation):.1f} points above validation {words} ({known}, {other})"
        )
    if names[0] == "loss" and train <= (1 - GAP_OF_LOSS) * validation:
        return f"training loss is {1 - train / validation:.0%} below validation loss ({known}, {other})"
    return ""


def _judged(
    train: list[float], validation: list[float], best: int | None, chance: float | None, chance_words: str, gap: str
) -> tuple[str, str]:
    """Returns kind and verdict."""
    if best is None:
        return "diverged", "The training diverged: no epoch has a finite validation loss. Try a smaller learning rate."
    if not (math.isfinite(validation[-1]) and math.isfinite(train[-1])):
        cause = f"The training diverged after epoch {best}: the loss is not finite."
        return "diverged", f"{cause} Try a smaller learning rate."
    lowest = validation[best - 1]
    low, last, train_best, train_last = (
        format_value(value, "score") for value in (lowest, validation[-1], train[best - 1], train[-1])
    )
    if chance is not None and lowest > chance * (1 - NOTABLE):
        return "nothing learned", (
            f"Nothing was learned{f' that holds for other texts ({gap})' if gap else ''}: the lowest validation loss, {low}, is hardly "
            f"below the {format_value(chance, 'score')} of predicting {chance_words} for every text. Try another learning rate, more "
            "epochs, or more unfrozen layers."
        )
    if len(train) == 1:
        return "one epoch", "One epoch cannot show whether the model overfits; two or more can."
    at_best = f"validation loss was lowest at epoch {best} ({low})"
    if best == len(train) and _change(min(validation[:-1]), lowest) < -NOTABLE:
        opening, remark = ("Not overfitting yet", f", although {gap}") if gap else ("No overfitting", "")
        more = "More epochs may give a better model"
        return "improving", f"{opening}: {at_best}, the last one, and was still falling. {more}{remark}."
    rise = _change(lowest, validation[-1])
    if rise <= NOTABLE:
        opening, remark = (f"Some overfitting: {gap}", ", although") if gap else ("No overfitting", ":")
        stayed = ", the last one, hardly below the others" if best == len(train) else " and stayed close to it"
        return "settled", f"{opening}{remark} {at_best}{stayed}. More epochs would change little."
    rose = f"{at_best} and then rose to {last} ({rise:+.0%})"
    if _change(train[best - 1], train[-1]) < -NOTABLE:
        falling = f"while training loss kept falling, from {train_best} to {train_last}"
        return "overfitting", f"Overfitting after epoch {best}: {rose}, {falling}."
    return "unsteady", f"Unsteady: {rose}, but training loss did not fall. The learning rate may be too large."


def imbalance(train: Mapping[str, int], judged: Mapping[str, int], weighted: bool) -> dict[str, Any] | None:
    """Says that some classes are so rare that accuracy tells little.

    Args:
        train, judged: label -> number of texts, of those that are learnt and those that the model is judged by.
        weighted: bool, whether texts count differently already.
    Returns: dict of `label`, the most frequent of the judged texts, `rate`, the accuracy of always answering that, `verdict`, a
        sentence; None if each class has at least `RARE` of an even share of the training texts.

    >>> imbalance({"bad": 1, "good": 99}, {"bad": 1, "good": 199}, True)["rate"]
    0.995
    """
    total, present = sum(train.values()), [name for name, count in train.items() if count]
    rare = [name for name in present if train[name] < RARE * total / len(present)]
    if not rare or not sum(judged.values()):
        return None
    label = max(judged, key=lambda name: judged[name])
    rate = judged[label] / sum(judged.values())
    named = ", ".join(f"{name!r} ({train[name]:,})" for name in rare[:5]) + (", ..." if len(rare) > 5 else "")
    few = sum(train[name] for name in rare)
    verdict = (
        f"Imbalanced: {format_value(few / total, 'share')} of the {total:,} training texts are {named}. Always answering {label!r} "
        f"would have {format_value(rate, 'score')} of the validation texts right: judge by macro F1, not by accuracy."
    )
    return {"label": label, "rate": rate, "verdict": verdict if weighted else f"{verdict} {BALANCE}"}


def unpredicted(confusion: Any, label_names: Sequence[str], weighted: bool = True) -> list[str]:
    """Says which classes a classifier never predicts though there are texts of them.

    Args:
        confusion: int `(C, C)`, a row per label, a column per predicted label.
        label_names: str, C of them.
        weighted: bool, whether texts count differently already; if not, the sentence says how.
    Returns: at most one sentence.

    >>> unpredicted([[0, 5], [0, 295]], ["bad", "good"])
    ["'bad' is never predicted, though 5 of 300 texts are: always answering 'good' has 0.983 right, the model 0.983."]
    """
    confusion = np.asarray(confusion)
    actual, total = confusion.sum(axis=1), int(confusion.sum())
    never = [i for i in range(len(label_names)) if actual[i] and not confusion[:, i].any()]
    if not never:
        return []
    named = ", ".join(repr(label_names[i]) for i in never[:5]) + (", ..." if len(never) > 5 else "")
    majority = int(actual.argmax())
    always, right = (format_value(float(count) / total, "score") for count in (actual[majority], np.trace(confusion)))
    return [
        f"{named} {'is' if len(never) == 1 else 'are'} never predicted, though {int(actual[never].sum()):,} of {total:,} texts are: "
        f"always answering {label_names[majority]!r} has {always} right, the model {right}."
        + ("" if weighted else f" {BALANCE}")
    ]


def _change(before: float, after: float) -> float:
    return after / before - 1 if before > 0 else 0.0


def chance_loss(labels: Any, weights: Any = None) -> float:
    """Returns the log loss, in nats, of predicting the class frequencies of `labels`, int `(N,)`, for every text; `weights`, `(N,)`,
    say how much each text counts."""
    counts = np.bincount(labels, weights)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def lengths(tokens: Any, max_length: int) -> dict[str, Any]:
    """Returns how long the texts are and how many of them `max_length` truncates.

    Args:
        tokens: int `(N,)`, the tokens of each text before truncation.
        max_length: int.
    Returns: dict of `max_length`, `texts`, `cut` (how many are truncated), `median`, `longest`, and of a histogram `edges`
        (`(bins + 1,)`, the first value of each bin and the end) and `counts`.
    """
    tokens = np.asarray(tokens)
    longest = int(tokens.max(initial=0))
    step = max(1, next((s for s in (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500) if s * 50 > longest), longest // 50))
    edges = np.arange(0, longest + step + 1, step)
    return {
        "max_length": max_length,
        "texts": len(tokens),
        "cut": int((tokens > max_length).sum()),
        "median": float(np.median(tokens)) if len(tokens) else 0.0,
        "longest": longest,
        "edges": edges.tolist(),
        "counts": np.histogram(tokens, edges)[0].tolist(),
    }


def duplicates(splits: Mapping[str, tuple[Iterable[Text], Any]], label_names: Sequence[str]) -> dict[str, Any]:
    """Finds texts that occur more than once within and across splits; case and whitespace are ignored.

    Args:
        splits: name -> `(texts, labels)`: texts that can be iterated repeatedly, labels int `(N,)`. The first split is the one
            that the model is trained on.
        label_names: str, the classes.
    Returns: dict of
        `within`: split -> number of repetitions of an earlier text of the same split;
        `across`: later split -> number of its texts that are also in the first: the model has seen them;
        `conflicting`: number of texts that occur with different labels;
        `conflicts`: the first `SHOWN` of them: `text`, and `labels`, "split: label" of each occurrence.
    """
    places: dict[bytes, list[tuple[str, int, int]]] = defaultdict(list)  # digest -> split, index, label
    for name, (texts, labels) in splits.items():
        for index, (text, label) in enumerate(zip(texts, labels, strict=True)):
            places[_digest(text)].append((name, index, int(label)))
    first, *later = splits
    within, across = dict.fromkeys(splits, 0), dict.fromkeys(later, 0)
    for occurrences in places.values():
        names = [name for name, _, _ in occurrences]
        for name in set(names):
            within[name] += names.count(name) - 1
            if name != first and first in names:
                across[name] += names.count(name)
    conflicts = [same for same in places.values() if len({label for _, _, label in same}) > 1]
    shown = {same[0][:2]: same for same in conflicts[:SHOWN]}  # by the place of the first
    found: dict[tuple[str, int], str] = {}
    for name, (texts, _) in splits.items() if shown else ():
        found |= {(name, index): shown_text(text) for index, text in enumerate(texts) if (name, index) in shown}
    return {
        "within": within,
        "across": across,
        "conflicting": len(conflicts),
        "conflicts": [
            {"text": found[place], "labels": [f"{name}: {label_names[label]}" for name, _, label in same]}
            for place, same in shown.items()
        ],
    }


def groups(texts: Iterable[Text]) -> np.ndarray:
    """Returns int64 `(N,)`, the same number for texts that differ only in case and whitespace."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(_digest(text), len(numbers)) for text in texts], "int64")


def copies(texts: Iterable[Text], others: Iterable[Text]) -> int:
    """Returns how many texts are among others too, but for case and whitespace."""
    digests = [_digest(text) for text in texts]
    known = {*digests}
    found = {digest for other in others if (digest := _digest(other)) in known}
    return sum(digest in found for digest in digests)


def _digest(text: Text) -> bytes:
    parts = (text,) if isinstance(text, str) else text
    plain = "\0".join(" ".join(part.casefold().split()) for part in parts)
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def mistakes(
    texts: Sequence[Text], labels: Any, probabilities: Any, label_names: Sequence[str], most: int = SHOWN
) -> list[dict[str, Any]]:
    """Lists the texts that the model gets wrong, the most confident mistakes first.

    Args:
        texts, labels, probabilities: str N, int `(N,)`, float `(N, C)`.
        most: int, how many to list.
    Returns: dicts of `index`, `text`, `given` and `predicted` label, `probability` of the predicted one.
    """
    labels, probabilities = checked(labels, probabilities)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return _listed("predicted", wrong, texts, labels, predicted[wrong], confidence[wrong], label_names)


def _listed(name: str, chosen, texts, labels, others, probabilities, label_names) -> list[dict[str, Any]]:
    """Describes the chosen texts; `others`, labels, and `probabilities` are theirs."""
    names = ("index", "text", "given", name, "probability")
    return [
        dict(
            zip(
                names,
                (int(i), shown_text(texts[i]), label_names[labels[i]], label_names[other], float(share)),
                strict=True,
            )
        )
        for i, other, share in zip(chosen, others, probabilities, strict=True)
    ]


def mislabelled(labels: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    """Finds the texts whose label is likely wrong, by confident learning.

    Northcutt et al. 2021 (https://arxiv.org/abs/1911.00068). The threshold of class j is the mean probability for j over the
    texts labelled j, so that a class the model is seldom confident about is judged by its own measure. A text counts as the
    most probable of the classes whose threshold it reaches; if that is not its label, the label is suspect, unless it is the
    most probable of all classes, as the label of a frequent class is beside a rare one's low threshold.

    Args:
        labels: int `(N,)`, as given.
        probabilities: float `(N, C)`, from models that were not trained on the text (`bert_tf.evaluation.tfidf.out_of_fold`).
    Returns: `(suspects, suggested)`, int64 `(K,)`: indices of the suspect texts, those with the least probable label first,
        and the class that each seems to belong to.

    >>> labels, left = np.array([0, 0, 0, 1, 1, 1]), np.array([0.9, 0.8, 0.1, 0.1, 0.2, 0.1])
    >>> mislabelled(labels, np.stack([left, 1 - left], axis=1))
    (array([2]), array([1]))
    """
    labels, probabilities = checked(labels, probabilities)
    rows, classes = np.arange(len(labels)), probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    own = probabilities[rows, labels]
    thresholds = np.bincount(labels, weights=own, minlength=classes) / np.maximum(counts, 1)
    thresholds[counts == 0] = np.inf  # a class without texts cannot be suggested
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    suggested = confident.argmax(axis=1)
    likely = probabilities.argmax(axis=1) == labels
    suspects = np.flatnonzero((confident[rows, suggested] >= 0) & (suggested != labels) & ~likely)
    order = suspects[np.argsort(own[suspects], kind="stable")]
    return order, suggested[order]


def suspect_labels(
    texts: Sequence[Text], labels: Any, probabilities: Any, label_names: Sequence[str], most: int = SHOWN
) -> dict[str, Any]:
    """Lists the texts that `mislabelled` finds.

    Args:
        texts, labels, probabilities: str N, int `(N,)`, float `(N, C)`, the last from models that were not trained on the text.
        most: int, how many to list.
    Returns: dict of `texts` (N), `suspects` (how many) and `listed`: dicts of `index`, `text`, `given` and
        `suggested` label, `probability` of the given one.
    """
    suspects, suggested = mislabelled(labels, probabilities)
    shown = suspects[:most]
    own = [probabilities[i][labels[i]] for i in shown]
    listed = _listed("suggested", shown, texts, labels, suggested[:most], own, label_names)
    return {"texts": len(labels), "suspects": len(suspects), "listed": listed}
