"""How good a classifier is, how sure that is, and whether its probabilities mean what they say.

Plain functions over labels and probabilities; what they give is plain dicts and lists that JSON can hold. An estimate is a
dict of `value`, `low` and `high`, the ends of its 95 % interval.
"""

import math
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

from bert_tf.formatting import format_value

Z = 1.959963984540054  # 97.5 % of a normal distribution lies below


RESAMPLES = 2000


BINS = 15  # of a reliability diagram, as in Guo et al. 2017


TINY = float(np.finfo("float32").tiny)  # the least probability a logarithm is taken of, of 0 in float32 as well


class Estimate(TypedDict):
    value: float | None  # None: there is nothing to estimate it from
    low: float | None
    high: float | None


def evaluate(labels: Any, probabilities: Any, label_names: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Holds a classifier's probabilities against the labels.

    Args:  (N = texts, C = classes)
        labels: int `(N,)`, indices into `label_names`.
        probabilities: float `(N, C)`, rows sum to 1.
        label_names: str, C of them.
        seed: int, of the bootstrap and of the halves that the temperature is fitted on.
    Returns: dict of
        `label_names`;
        `scores`: `texts`, and as estimates `accuracy` (interval of Wilson 1927), `macro_f1` (over the classes that occur,
        as scikit-learn's) and `log_loss` in nats (both by bootstrap, percentiles of `RESAMPLES`);
        `confusion`: int `(C, C)`, a row a given label, a column a predicted one;
        `classes`: for each its `label`, `support`, and as estimates `precision`, `recall` (Wilson) and `f1` (bootstrap);
        `calibration`: see `calibration`.
    Raises: ValueError for shapes or numbers that are no labels and probabilities.

    >>> evaluate([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["bad", "good"])["confusion"]
    [[1, 0], [1, 1]]
    """
    labels, probabilities = checked(labels, probabilities)
    if len(label_names) != probabilities.shape[1]:
        raise ValueError(f"{probabilities.shape[1]} columns of probabilities for {len(label_names)} label_names.")
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), len(label_names))
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], TINY))
    rng = np.random.default_rng(seed)
    draws = min(RESAMPLES, max(200, 10**8 // len(labels)))  # of very many texts fewer will do
    f1_drawn = np.stack([_f1(_resampled(confusion, rng)) for _ in range(draws)])
    loss_drawn = [losses[rng.integers(len(losses), size=len(losses))].mean() for _ in range(draws)]
    f1 = _f1(_sums(confusion))
    right, given, predicted = _sums(confusion)
    return {
        "label_names": [*label_names],
        "scores": {
            "texts": len(labels),
            "accuracy": wilson(right.sum(), len(labels)),
            "macro_f1": _percentiles(_mean(f1), _mean(f1_drawn)),
            "log_loss": _percentiles(losses.mean(), loss_drawn),
        },
        "confusion": confusion.tolist(),
        "classes": [
            {
                "label": name,
                "support": int(given[i]),
                "precision": wilson(right[i], predicted[i]),
                "recall": wilson(right[i], given[i]),
                "f1": _percentiles(f1[i], f1_drawn[:, i]),
            }
            for i, name in enumerate(label_names)
        ],
        "calibration": calibration(labels, probabilities, seed),
    }


def checked(labels: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels as int64 `(N,)` and probabilities as float64 `(N, C)` whose rows sum to 1 exactly.

    Raises: ValueError if they are not what their names say.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, "float64")
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(
            "Expected labels (N,) and probabilities (N, C) of at least one text. "
            f"Received: labels {labels.shape}, probabilities {probabilities.shape}"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(
            f"Labels must be integers from 0 to {probabilities.shape[1] - 1}. Received: {labels.dtype}, "
            f"{labels.min()} to {labels.max()}"
        )
    sums = probabilities.sum(axis=1, keepdims=True)
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all() and np.allclose(sums, 1, atol=1e-2)):
        raise ValueError("Probabilities must be finite, not negative, and sum to 1 for each text. For logits: softmax.")
    return labels.astype("int64"), probabilities / sums


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Returns int64 `(C, C)`: how often label i was predicted to be j."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def wilson(successes: int, trials: int) -> Estimate:
    """Returns a share with its score interval (Wilson 1927), which holds for few trials and shares near 0 and 1 too."""
    if not trials:
        return _estimate(math.nan, math.nan, math.nan)
    share = successes / trials
    middle = (share + Z**2 / (2 * trials)) / (1 + Z**2 / trials)
    reach = Z / (1 + Z**2 / trials) * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    return _estimate(share, max(0, middle - reach), min(1, middle + reach))


Sums = tuple[np.ndarray, np.ndarray, np.ndarray]  # of each class `(C,)`: texts that are right, given, predicted


def _sums(confusion: np.ndarray) -> Sums:
    return np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)


def _resampled(confusion: np.ndarray, rng: np.random.Generator) -> Sums:
    """Returns the sums of as many texts drawn with replacement: drawing texts is drawing the cells they lie in."""
    given, predicted = np.nonzero(confusion)
    texts = confusion.sum()
    drawn = rng.multinomial(texts, confusion[given, predicted] / texts)

    def by_class(labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return np.bincount(labels, weights=counts, minlength=len(confusion))

    return by_class(given, drawn * (given == predicted)), by_class(given, drawn), by_class(predicted, drawn)


def _f1(sums: Sums) -> np.ndarray:
    """Returns the F1 of each class, `(C,)`; nan for one that is neither given nor predicted."""
    right, given, predicted = sums
    return np.where(given + predicted > 0, 2 * right / np.maximum(given + predicted, 1), np.nan)


def _mean(values: np.ndarray) -> np.ndarray:
    """Returns the mean over the last axis of what is not nan."""
    return np.nansum(values, axis=-1) / np.maximum(np.isfinite(values).sum(axis=-1), 1)


def _percentiles(value: Any, drawn: Any) -> Estimate:
    drawn = np.asarray(drawn)
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (math.nan, math.nan)
    return _estimate(value, low, high)


def _estimate(value: float, low: float, high: float) -> Estimate:
    numbers = (float(number) if math.isfinite(number) else None for number in (value, low, high))
    return dict(zip(("value", "low", "high"), numbers, strict=True))  # type: ignore[return-value]


# Calibration


def calibration(labels: Any, probabilities: Any, seed: int = 0) -> dict[str, Any]:
    """Tells whether the model is right as often as it is sure, and what a temperature would mend.

    Guo et al. 2017 (https://arxiv.org/abs/1706.04599), with bins of equal numbers of texts instead of equal width.

    Args:
        labels, probabilities: int `(N,)` and float `(N, C)`.
        seed: int.
    Returns: dict of
        `error`: expected calibration error, the mean distance between confidence and accuracy over `BINS` bins;
        `error_by_chance`: what a perfectly calibrated model would show on as many texts, median of 200 simulations;
        `bins`: for each `confidence`, `accuracy` (an estimate, Wilson), `texts`;
        `temperature`: by which to divide the logits so that the log loss is least; above 1 = the model is too sure;
        `log_loss`, `log_loss_after`, `error_after`: before, and with the temperature; the figures after are honest: each
        half of the texts is judged by the temperature of the other.
    """
    labels, probabilities = checked(labels, probabilities)
    rng = np.random.default_rng(seed)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = _bins(confidence)
    by_chance = [_calibration_error(confidence, rng.random(len(confidence)) < confidence, bins) for _ in range(200)]
    logits = np.log(np.maximum(probabilities, TINY))
    half = rng.permutation(len(labels)) % 2 == 0
    after = probabilities.copy()
    for fitted, judged in ((half, ~half), (~half, half)):
        if fitted.any() and judged.any():
            after[judged] = softmax(logits[judged] / temperature(labels[fitted], probabilities[fitted]))
    rows = np.arange(len(labels))
    return {
        "error": _calibration_error(confidence, right, bins),
        "error_by_chance": float(np.median(by_chance)),
        "bins": [
            {
                "confidence": float(confidence[bins == i].mean()),
                "accuracy": wilson(int(right[bins == i].sum()), int((bins == i).sum())),
                "texts": int((bins == i).sum()),
            }
            for i in np.unique(bins)
        ],
        "temperature": temperature(labels, probabilities),
        "log_loss": float(-logits[rows, labels].mean()),
        "log_loss_after": float(-np.log(np.maximum(after[rows, labels], TINY)).mean()),
        "error_after": _calibration_error(after.max(axis=1), right, _bins(after.max(axis=1))),
    }


def _bins(confidence: np.ndarray) -> np.ndarray:
    """Returns the bin of each text, `BINS` of equal size; equal confidences share one, so that no order matters."""
    starts = np.sort(confidence)[np.arange(BINS) * len(confidence) // BINS]
    return np.searchsorted(np.unique(starts), confidence, side="right") - 1


def _calibration_error(confidence: np.ndarray, right: np.ndarray, bins: np.ndarray) -> float:
    return float(np.abs(np.bincount(bins, weights=confidence - right)).sum() / len(right))


def temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the temperature, from 0.05 to 20, that makes the log loss of `softmax(logits / temperature)` least.

    The loss is convex in the inverse temperature: its slope has one zero, found by halving.

    Args:
        labels, probabilities: int `(N,)` and float `(N, C)`; logits are known up to a constant a row, which is enough.
    """
    logits = np.log(np.maximum(probabilities, TINY))
    given = logits[np.arange(len(labels)), labels].mean()

    def slope(inverse: float) -> float:
        return float((softmax(logits * inverse) * logits).sum(axis=1).mean() - given)

    low, high = math.log(0.05), math.log(20)
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(math.exp(middle)) > 0 else (middle, high)
    return math.exp(-(low + high) / 2)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities, float `(N, C)`, rows sum to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


# Two classifiers on the same texts


def compare(
    labels: Any, first: Any, second: Any, names: tuple[str, str] = ("the first", "the second"), seed: int = 0
) -> dict[str, Any]:
    """Tells whether one classifier is better than another, both having seen the same texts.

    Args:
        labels: int `(N,)`.
        first, second: what each predicts, int `(N,)`; or its probabilities, `(N, C)`.
        names: str, for the verdict.
        seed: int.
    Returns: dict of `difference` in accuracy, first less second, an estimate by paired bootstrap; `only_first`,
        `only_second`: texts that one alone has right; `p_value` of McNemar's exact test; `verdict`, a sentence.
    Raises: ValueError if the numbers of texts differ.

    >>> compare([1, 1, 0], [1, 1, 0], [1, 0, 1])["only_first"]
    2
    """
    labels, first, second = map(np.asarray, (labels, first, second))
    first, second = (found.argmax(axis=1) if found.ndim == 2 else found for found in (first, second))
    if not len(labels) or not len(labels) == len(first) == len(second):
        raise ValueError(
            "Both classifiers must have seen the same texts, at least one. "
            f"Received: {len(labels)} labels, {len(first)} and {len(second)} predictions"
        )
    only_first = int(((first == labels) & (second != labels)).sum())
    only_second = int(((second == labels) & (first != labels)).sum())
    texts = len(labels)
    shares = np.array([only_first, only_second, texts - only_first - only_second]) / texts
    drawn = np.random.default_rng(seed).multinomial(texts, shares, RESAMPLES)
    found = {
        "names": [*names],
        "difference": _percentiles((only_first - only_second) / texts, (drawn[:, 0] - drawn[:, 1]) / texts),
        "only_first": only_first,
        "only_second": only_second,
        "p_value": mcnemar(only_first, only_second),
    }
    return {**found, "verdict": _verdict(found, texts)}


def mcnemar(only_first: int, only_second: int) -> float:
    """Returns the exact two-sided p-value that both are equally good (McNemar 1947): a fair coin decides who is right."""
    trials = only_first + only_second
    ways = term = 1
    for i in range(min(only_first, only_second)):
        term = term * (trials - i) // (i + 1)
        ways += term
    return min(1.0, 2 * ways / 2**trials)


def _verdict(found: dict[str, Any], texts: int) -> str:
    better, worse = found["names"]
    difference = found["difference"]
    p_value = format_value(found["p_value"], "p")
    test = f"McNemar p {p_value if p_value.startswith('<') else '= ' + p_value}, {texts:,} texts"
    if found["p_value"] >= 0.05 or difference["low"] <= 0 <= difference["high"]:
        figures = f"a difference of {format_value(difference, 'points')} points may be chance"
        return f"Undecided between {better} and {worse}: {figures} ({test})."
    if difference["high"] < 0:
        better, worse = worse, better
        difference = _estimate(-difference["value"], -difference["high"], -difference["low"])
    by = format_value(difference, "points").replace("+", "")
    return f"{better[:1].upper()}{better[1:]} is better than {worse} by {by} points of accuracy ({test})."
