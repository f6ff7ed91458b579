"""How good a classifier is, how certain that is, and whether its probabilities are calibrated.

Functions of labels and probabilities that return plain dicts and lists, ready for JSON. An estimate is a dict of `value` and
the ends of its 95 % interval, `low` and `high`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import scipy  # its parts are imported on first use

from bert_tf.formatting import capital, format_value

RESAMPLES = 2000
BINS = 15  # of a reliability diagram, as in Guo et al. 2017
SIMULATED = 200  # perfectly calibrated models that a calibration error is compared with
TINY = float(np.finfo("float32").tiny)  # the smallest probability that a logarithm is taken of, also in float32
TEMPERATURES = (0.05, 20.0)


class Estimate(TypedDict):
    value: float | None  # None: there is no data to estimate it from
    low: float | None
    high: float | None


def confusion_matrix(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns how many texts of each class are predicted as each, int `(C, C)`: a row per label, a column per predicted label."""
    classes = probabilities.shape[1]
    cells = labels * classes + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def evaluate(labels: Any, probabilities: Any, label_names: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Compares a classifier's probabilities with the labels.

    Args:  (N = texts, C = classes)
        labels: int `(N,)`, indices into `label_names`.
        probabilities: float `(N, C)`, rows sum to 1.
        label_names: str, C of them.
        seed: int, of the bootstrap and of the halves that the temperature is fitted on.
    Returns: dict of
        `label_names`;
        `scores`: `texts`, and as estimates `accuracy` (interval of Wilson 1927), `macro_f1` (over the classes that occur,
        as in scikit-learn) and `log_loss` in nats (both by percentile bootstrap with `RESAMPLES` resamples);
        `confusion`: int `(C, C)`, a row per label, a column per predicted label;
        `classes`: for each its `label`, `support`, and as estimates `precision`, `recall` (Wilson) and `f1` (bootstrap);
        `calibration`: see `calibration`.
    Raises: ValueError for shapes or values that cannot be labels and probabilities.

    >>> evaluate([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["bad", "good"])["confusion"]
    [[1, 0], [1, 1]]
    """
    labels, probabilities = checked(labels, probabilities)
    classes = len(label_names)
    if classes != probabilities.shape[1]:
        raise ValueError(f"{probabilities.shape[1]} columns of probabilities for {classes} label_names.")
    confusion = confusion_matrix(labels, probabilities)
    losses = _losses(labels, probabilities)
    rng = np.random.default_rng(seed)
    draws = min(RESAMPLES, max(200, 10**8 // len(labels)))  # fewer are enough for very many texts
    f1_drawn = np.stack([_f1(_resampled(confusion, rng)) for _ in range(draws)])
    loss_drawn = [losses[rng.integers(len(losses), size=len(losses))].mean() for _ in range(draws)]
    right, actual, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = _f1((right, actual, predicted))
    return {
        "label_names": [*label_names],
        "scores": {
            "texts": len(labels),
            "accuracy": wilson(right.sum(), len(labels)),
            "macro_f1": percentiles(np.nanmean(f1), np.nanmean(f1_drawn, axis=1)),
            "log_loss": percentiles(losses.mean(), loss_drawn),
        },
        "confusion": confusion.tolist(),
        "classes": [
            {
                "label": name,
                "support": int(actual[i]),
                "precision": wilson(right[i], predicted[i]),
                "recall": wilson(right[i], actual[i]),
                "f1": percentiles(f1[i], f1_drawn[:, i]),
            }
            for i, name in enumerate(label_names)
        ],
        "calibration": calibration(labels, probabilities, seed),
    }


def checked(labels: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels as int64 `(N,)` and probabilities as float64 `(N, C)` whose rows sum to exactly 1.

    Raises: ValueError if they are not labels and probabilities.
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
        raise ValueError(
            "Probabilities must be finite, non-negative, and sum to 1 for each text. Apply softmax to logits first."
        )
    return labels.astype("int64"), probabilities / sums


def log_loss(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Returns the mean log loss (cross-entropy) in nats of probabilities `(N, C)` for int labels `(N,)`; `weights`, `(N,)`, say
    how much each text counts."""
    return float(np.average(_losses(labels, probabilities), weights=weights))


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean F1 of the classes that are a label or predicted, for int labels `(N,)` and probabilities or logits `(N, C)`."""
    confusion = confusion_matrix(labels, probabilities)
    return float(np.nanmean(_f1((np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)))))


def _losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], TINY))


def wilson(successes: int, trials: int) -> Estimate:
    """Returns a share with its score interval (Wilson 1927), which also holds for few trials and shares near 0 and 1."""
    if not trials:
        return _estimate(math.nan, math.nan, math.nan)
    interval = scipy.stats.binomtest(int(successes), int(trials)).proportion_ci(method="wilson")
    return _estimate(successes / trials, interval.low, interval.high)


Sums = tuple[np.ndarray, np.ndarray, np.ndarray]  # per class `(C,)`: texts predicted right, texts, predictions


def _resampled(confusion: np.ndarray, rng: np.random.Generator) -> Sums:
    """Returns the sums of a bootstrap sample of the texts: to draw texts is to draw cells of the confusion matrix."""
    actual, predicted = np.nonzero(confusion)
    texts = confusion.sum()
    drawn = rng.multinomial(texts, confusion[actual, predicted] / texts)

    def by_class(labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return np.bincount(labels, weights=counts, minlength=len(confusion))

    return by_class(actual, drawn * (actual == predicted)), by_class(actual, drawn), by_class(predicted, drawn)


def _f1(sums: Sums) -> np.ndarray:
    """Returns the F1 of each class, `(C,)`; nan for a class that is neither a label nor predicted."""
    right, actual, predicted = sums
    return np.where(actual + predicted > 0, 2 * right / np.maximum(actual + predicted, 1), np.nan)


def percentiles(value: Any, drawn: Any) -> Estimate:
    """Returns a value with the interval that holds 95 % of what was drawn, nan left out."""
    drawn = np.asarray(drawn)
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (math.nan, math.nan)
    return _estimate(value, low, high)


def _estimate(value: float, low: float, high: float) -> Estimate:
    numbers = (float(number) if math.isfinite(number) else None for number in (value, low, high))
    return dict(zip(("value", "low", "high"), numbers, strict=True))  # type: ignore[return-value]


def _turned(difference: Mapping[str, Any]) -> Estimate:
    """Returns a difference as the second of the two sees it."""
    return _estimate(*(-difference[end] for end in ("value", "high", "low")))


def calibration(labels: Any, probabilities: Any, seed: int = 0) -> dict[str, Any]:
    """Measures whether the model is right as often as it is confident, and how much a temperature would improve that.

    Guo et al. 2017 (https://arxiv.org/abs/1706.04599), with bins of equal numbers of texts instead of equal width.

    Args:
        labels, probabilities: int `(N,)` and float `(N, C)`.
        seed: int.
    Returns: dict of
        `error`: expected calibration error, the mean distance between confidence and accuracy over `BINS` bins;
        `error_by_chance`: what a perfectly calibrated model would show on as many texts, median of 200 simulations;
        `error_limit`: what 95 % of these stay below; a larger error is more than chance;
        `bins`: for each its `confidence`, `accuracy` (an estimate, Wilson) and `texts`;
        `temperature`: the divisor of the logits that minimises the log loss; above 1 = the model is overconfident;
        `log_loss`, `log_loss_after`, `error_after`: before and after applying a temperature; the figures after it are
        honest: each half of the texts is judged with the temperature fitted on the other half.
    """
    labels, probabilities = checked(labels, probabilities)
    rng = np.random.default_rng(seed)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = _bins(confidence)
    by_chance = [
        calibration_error(confidence, rng.random(len(confidence)) < confidence, bins) for _ in range(SIMULATED)
    ]

    def scaled(fitted: np.ndarray, judged: np.ndarray) -> np.ndarray:
        return softmax(_logits(probabilities[judged]) / temperature(labels[fitted], probabilities[fitted]))

    after = by_other_half(probabilities, scaled, rng)
    return {
        "error": calibration_error(confidence, right, bins),
        "error_by_chance": float(np.median(by_chance)),
        "error_limit": float(np.quantile(by_chance, 0.95)),
        "bins": [
            {
                "confidence": float(confidence[own].mean()),
                "accuracy": wilson(right[own].sum(), own.sum()),
                "texts": int(own.sum()),
            }
            for own in (bins == i for i in np.unique(bins))
        ],
        "temperature": temperature(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
        "log_loss_after": log_loss(labels, after),
        "error_after": calibration_error(after.max(axis=1), right, _bins(after.max(axis=1))),
    }


def by_other_half(
    probabilities: np.ndarray, scaled: Callable[[np.ndarray, np.ndarray], np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Returns probabilities after a temperature, each half of the texts scaled by what was fitted on the other half.

    Args:
        probabilities: float `(N, C)`; stay as they are if a half is empty.
        scaled: `(fitted, judged) -> probabilities` of the texts `judged`, both bool `(N,)`.
        rng: draws the halves.
    """
    half = rng.permutation(len(probabilities)) % 2 == 0
    after = probabilities.copy()
    for fitted, judged in ((half, ~half), (~half, half)):
        if fitted.any() and judged.any():
            after[judged] = scaled(fitted, judged)
    return after


def _bins(confidence: np.ndarray) -> np.ndarray:
    """Returns the bin of each text, `BINS` of equal size; equal confidences share one, so that order does not matter."""
    starts = np.sort(confidence)[np.arange(BINS) * len(confidence) // BINS]
    return np.searchsorted(np.unique(starts), confidence, side="right") - 1


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: np.ndarray) -> float:
    """Returns the mean distance between confidence and the share that is right, over bins; all `(N,)`."""
    return float(np.abs(np.bincount(bins, weights=confidence - right)).sum() / len(right))


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Returns logits, which are known up to a constant per row."""
    return np.log(np.maximum(probabilities, TINY))


def temperature(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Returns the temperature within `TEMPERATURES` that minimises the log loss of `softmax(logits / temperature)`.

    The loss is convex in the inverse temperature: its slope has one root.

    Args:
        labels, probabilities: int `(N,)` and float `(N, C)`.
        weights: float `(N,)`, how much each text counts; None = all the same.
    """
    logits = _logits(probabilities)
    actual = np.average(logits[np.arange(len(labels)), labels], weights=weights)

    def slope(log_temperature: float) -> float:
        expected = (softmax(logits * math.exp(-log_temperature)) * logits).sum(axis=1)
        return float(np.average(expected, weights=weights) - actual)

    return temperature_of(slope)


def temperature_of(slope: Callable[[float], float]) -> float:
    """Returns the temperature within `TEMPERATURES` where a slope, a falling function of the logarithm of the temperature, is 0."""
    low, high = map(math.log, TEMPERATURES)
    if slope(low) <= 0:
        return TEMPERATURES[0]
    if slope(high) >= 0:
        return TEMPERATURES[1]
    return math.exp(scipy.optimize.brentq(slope, low, high))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Returns probabilities, float `(N, C)`, rows sum to 1."""
    return scipy.special.softmax(logits, axis=1)


def compare(
    labels: Any, first: Any, second: Any, names: tuple[str, str] = ("the first", "the second"), seed: int = 0
) -> dict[str, Any]:
    """Tests whether one of two classifiers is better, both having classified the same texts.

    Args:
        labels: int `(N,)`.
        first, second: predicted labels, int `(N,)`, or probabilities, `(N, C)`.
        names: str, for the verdict.
        seed: int.
    Returns: dict of `names`; `difference` in accuracy, `macro_f1` in macro F1, first minus second, estimates by paired bootstrap;
        `only_first`, `only_second`: texts that only one of them has right; `p_value` of McNemar's exact test; `verdict`, a
        sentence, or two where the one with lower accuracy has significantly higher macro F1, as with rare classes it may.
    Raises: ValueError if the numbers of texts differ.

    >>> compare([1, 1, 0], [1, 1, 0], [1, 0, 1])["only_first"]
    2
    """
    labels, *both = map(np.asarray, (labels, first, second))
    first, second = (values.argmax(axis=1) if values.ndim == 2 else values for values in both)
    if not len(labels) or not len(labels) == len(first) == len(second):
        raise ValueError(
            "Both classifiers must have classified the same texts, at least one. "
            f"Received: {len(labels)} labels, {len(first)} and {len(second)} predictions"
        )
    only_first = int(((first == labels) & (second != labels)).sum())
    only_second = int(((second == labels) & (first != labels)).sum())
    texts = len(labels)
    shares = np.array([only_first, only_second, texts - only_first - only_second]) / texts
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(texts, shares, RESAMPLES)
    difference = percentiles((only_first - only_second) / texts, (drawn[:, 0] - drawn[:, 1]) / texts)
    p_value = mcnemar(only_first, only_second)
    shown = format_value(p_value, "p")
    test = f"McNemar p {shown if shown.startswith('<') else '= ' + shown}, {texts:,} texts"
    if not only_first + only_second:
        test = f"both have the same {int((first == labels).sum()):,} of {texts:,} texts right"
    by_class: Mapping[str, Any] = _macro_f1_gain(labels, first, second, rng)
    said = verdict(*names, difference, "points of accuracy", "points", test, p_value < 0.05)
    if _other_way_round(difference, by_class):
        better, by = (names[0], by_class) if by_class["low"] > 0 else (names[1], _turned(by_class))
        said += (
            f" In macro F1, where rare classes count as much as frequent ones, {better} is significantly better, "
            f"by {format_value(by, 'points').replace('+', '')} points (paired bootstrap)."
        )
    return {
        "names": [*names],
        "difference": difference,
        "macro_f1": by_class,
        "only_first": only_first,
        "only_second": only_second,
        "p_value": p_value,
        "verdict": said,
    }


def _macro_f1_gain(labels: np.ndarray, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Estimate:
    """Returns how much higher the first one's macro F1 is; int `(N,)` each. Texts of the same three classes are drawn as one cell."""
    (labels, *both), counts = np.unique(np.stack([labels, first, second]), axis=1, return_counts=True)
    draws = min(RESAMPLES, max(200, 10**7 // len(counts)))
    drawn = np.concatenate([counts[None], rng.multinomial(counts.sum(), counts / counts.sum(), draws)]).astype(
        "float64"
    )
    one = np.eye(1 + max(labels.max(), *(said.max() for said in both)))
    by_draw = []
    for said in both:
        right = one[labels] * (said == labels)[:, None]
        by_draw.append(np.nanmean(_f1((drawn @ right, drawn @ one[labels], drawn @ one[said])), axis=1))
    gained = by_draw[0] - by_draw[1]
    return percentiles(gained[0], gained[1:])


def _other_way_round(accuracy: Mapping[str, Any], by_class: Mapping[str, Any]) -> bool:
    """Returns whether one is significantly better in macro F1 that has not more texts right."""
    return (by_class["low"] > 0 and accuracy["value"] <= 0) or (by_class["high"] < 0 and accuracy["value"] >= 0)


def is_better_at_rare_classes(comparison: Mapping[str, Any]) -> bool:
    """Returns whether the first of two models has significantly higher macro F1 though not more texts right."""
    if not (by_class := comparison.get("macro_f1")):
        return False
    return by_class["low"] > 0 and _other_way_round(comparison["difference"], by_class)


def is_better(comparison: Mapping[str, Any]) -> bool:
    """Returns whether the first of two models that were compared is significantly better, as the verdict says."""
    return comparison["difference"]["low"] > 0 and comparison.get("p_value", 0.0) < 0.05


def mcnemar(only_first: int, only_second: int) -> float:
    """Returns the exact two-sided p-value of both being equally good (McNemar 1947): which one is right is a fair coin."""
    trials = only_first + only_second
    return float(scipy.stats.binomtest(only_first, trials).pvalue) if trials else 1.0


def verdict(
    first: str, second: str, difference: Any, words: str, kind: str, test: str, significant: bool = True
) -> str:
    """Says which of two is better.

    Args:
        first, second: what they are called.
        difference: an estimate, above 0 where the first is better; if 0 lies in its interval, neither is.
        words, kind: what the difference is of, and its kind for `format_value`.
        test: how it was tested.
        significant: bool, what another test says.
    """
    if not significant or difference["low"] <= 0 <= difference["high"]:
        return f"No significant difference between {first} and {second}: {format_value(difference, kind)} {words} ({test})."
    if difference["high"] < 0:
        first, second = second, first
        difference = _turned(difference)
    by = f"{format_value(difference, kind).replace('+', '')} {words}"
    return f"{capital(first)} is significantly better than {second}, by {by} ({test})."
