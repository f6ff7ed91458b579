"""How good a classifier is whose texts have any number of labels, none included, and from which probability on it says yes.

Plain numbers in, plain dicts out, as in `scores.py`. N = texts, C = labels; `thresholds` are float `(C,)`: a label is predicted
where its probability is at least as high.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy  # its parts are imported on first use

from bert_tf.evaluation.resampling import bootstrapped, drawn_weights
from bert_tf.evaluation.scores import (
    BINS,
    SIMULATED,
    TINY,
    by_other_half,
    calibration_error,
    percentiles,
    temperature_of,
    verdict,
    wilson,
)
from bert_tf.formatting import LABELS_JOINED_BY, Text, shown_text

HALF = 0.5
LEAST_POSITIVES = 10  # texts of a label from which on it has a threshold of its own


def choose_thresholds(labels: Any, probabilities: Any) -> np.ndarray:
    """Returns the threshold of each label with the highest F1 on these texts, float64 `(C,)`.

    A label with fewer than `LEAST_POSITIVES` texts would get one by chance: it has the threshold that gives the highest F1 of
    all labels together, and if these too are so few, 0.5.

    Args:
        labels: 0 or 1, `(N, C)`.
        probabilities: float `(N, C)`.
    """
    labels, probabilities = checked(labels, probabilities)
    enough = labels.sum(axis=0) >= LEAST_POSITIVES
    shared = _best_threshold(labels.ravel(), probabilities.ravel()) if labels.sum() >= LEAST_POSITIVES else HALF
    own = (_best_threshold(labels[:, i], probabilities[:, i]) if enough[i] else shared for i in range(len(enough)))
    return np.fromiter(own, "float64")


def _best_threshold(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the threshold, halfway between two probabilities, where F1 is highest."""
    order = np.argsort(-probabilities, kind="stable")
    ranked, right = probabilities[order], np.cumsum(labels[order])
    f1 = 2 * right / (np.arange(1, len(labels) + 1) + labels.sum())
    below = np.append(ranked[1:], 0.0)
    best = int(np.where(ranked > below, f1, -1.0).argmax())  # equal probabilities stay together
    return float((ranked[best] + below[best]) / 2)


def predicted(probabilities: np.ndarray, thresholds: Any = None) -> np.ndarray:
    """Returns which labels are predicted, bool `(N, C)`; without thresholds those of probability 0.5 or more."""
    return np.asarray(probabilities) >= (HALF if thresholds is None else np.asarray(thresholds))


def evaluate(
    labels: Any, probabilities: Any, label_names: Sequence[str], thresholds: Any = None, seed: int = 0
) -> dict[str, Any]:
    """Compares probabilities with the labels.

    Args:
        labels: 0 or 1, `(N, C)`.
        probabilities: float `(N, C)`, each label by itself.
        label_names: str, C of them.
        thresholds: float `(C,)`; None = 0.5 for all.
        seed: int, of the bootstrap.
    Returns: dict of
        `label_names`;
        `scores`: `texts`, and as estimates `micro_f1` (over all decisions), `macro_f1` (the mean over the labels that occur),
        `subset_accuracy` (the share of texts whose labels are all right; Wilson 1927) and `log_loss` in nats (the mean over
        texts and labels); intervals by percentile bootstrap over texts;
        `labels`: for each its `label`, `support`, as estimates `precision`, `recall` (Wilson) and `f1`, and its `threshold`;
        `calibration`: see `calibration`.
    Raises: ValueError for shapes or values that cannot be labels and probabilities.

    >>> evaluate([[1, 0], [1, 1]], [[0.9, 0.2], [0.4, 0.7]], ["anger", "joy"])["scores"]["micro_f1"]["value"]
    0.8
    """
    labels, probabilities = checked(labels, probabilities)
    texts, classes = labels.shape
    if len(label_names) != classes:
        raise ValueError(f"{classes} columns of probabilities for {len(label_names)} label_names.")
    thresholds = np.full(classes, HALF) if thresholds is None else np.asarray(thresholds, "float64")
    said = predicted(probabilities, thresholds)
    sums = (labels * said, labels, said.astype("float64"))  # right, given, predicted
    totals = [part.sum(axis=0) for part in sums]
    weights = drawn_weights(texts, seed)
    drawn = [weights @ part.astype("float32") for part in sums]  # (R, C)
    f1, f1_drawn = _f1(*totals), _f1(*drawn)
    losses = text_losses(labels, probabilities)
    return {
        "label_names": [*label_names],
        "scores": {
            "texts": texts,
            "micro_f1": percentiles(_micro(*totals), _micro(*drawn)),
            "macro_f1": percentiles(_mean(f1), _mean(f1_drawn)),
            "subset_accuracy": wilson(int((said == labels).all(axis=1).sum()), texts),
            "log_loss": percentiles(losses.mean(), weights @ losses / texts),
        },
        "labels": [
            {
                "label": name,
                "support": int(totals[1][i]),
                "precision": wilson(int(totals[0][i]), int(totals[2][i])),
                "recall": wilson(int(totals[0][i]), int(totals[1][i])),
                "f1": percentiles(f1[i], f1_drawn[:, i]),
                "threshold": float(thresholds[i]),
            }
            for i, name in enumerate(label_names)
        ],
        "calibration": calibration(labels, probabilities, seed),
    }


def calibration(labels: Any, probabilities: Any, seed: int = 0) -> dict[str, Any]:
    """Measures whether labels are there as often as their probabilities say: all decisions, of which text has which label, together.

    As `bert_tf.evaluation.scores.calibration`, but for the bins: most labels of a text are surely absent, so that bins of equal
    numbers of decisions would nearly all lie at 0. Here the variance p (1 - p) is the same in each.

    Args:
        labels, probabilities: 0 or 1 and float, `(N, C)`.
        seed: int.
    Returns: dict of `decisions`, their number; `error`, `error_by_chance` and `error_limit` (as if labels were independent), `temperature`,
        `log_loss`, `log_loss_after` and `error_after` as there; `bins`: for each its mean `probability`, the `share` of decisions
        whose label is there (an estimate, Wilson) and `decisions`.
    """
    labels, probabilities = checked(labels, probabilities)
    rng = np.random.default_rng(seed)
    given, said = labels.ravel(), probabilities.ravel()
    bins = _bins(said)
    repeats = max(20, min(SIMULATED, 5 * 10**7 // len(said)))
    by_chance = [calibration_error(said, rng.random(len(said)) < said, bins) for _ in range(repeats)]
    logits = scipy.special.logit(np.clip(probabilities, TINY, 1 - np.finfo("float64").epsneg))

    def scaled(fitted: np.ndarray, judged: np.ndarray) -> np.ndarray:
        return scipy.special.expit(logits[judged] / temperature(labels[fitted], logits[fitted]))

    after = by_other_half(probabilities, scaled, rng)
    return {
        "decisions": len(said),
        "error": calibration_error(said, given, bins),
        "error_by_chance": float(np.median(by_chance)),
        "error_limit": float(np.quantile(by_chance, 0.95)),
        "bins": [
            {
                "probability": float(said[own].mean()),
                "share": wilson(int(given[own].sum()), int(own.sum())),
                "decisions": int(own.sum()),
            }
            for own in (bins == i for i in np.unique(bins))
        ],
        "temperature": temperature(labels, logits),
        "log_loss": float(text_losses(labels, probabilities).mean()),
        "log_loss_after": float(text_losses(labels, after).mean()),
        "error_after": calibration_error(after.ravel(), given, _bins(after.ravel())),
    }


def _bins(probabilities: np.ndarray) -> np.ndarray:
    """Returns the bin of each decision, at most `BINS` of about the same variance; equal probabilities share one."""
    order = np.argsort(probabilities, kind="stable")
    ranked = probabilities[order]
    spread = np.cumsum(ranked * (1 - ranked))
    starts = np.searchsorted(spread, spread[-1] * np.arange(1, BINS) / BINS, side="right")
    edges = np.unique(ranked[np.minimum(starts, len(ranked) - 1)])
    return np.searchsorted(edges, probabilities, side="right")


def checked(labels: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns both as float64 `(N, C)`; ValueError if they are not labels and probabilities."""
    labels, probabilities = np.asarray(labels, "float64"), np.asarray(probabilities, "float64")
    if labels.ndim != 2 or labels.shape != probabilities.shape or not len(labels):
        raise ValueError(
            "Expected labels and probabilities, both (N, C), of at least one text. "
            f"Received: labels {labels.shape}, probabilities {probabilities.shape}"
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("Labels must be 0 or 1 for each text and label.")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("Probabilities must lie between 0 and 1. Apply the sigmoid to logits first.")
    return labels, probabilities


def text_losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the log loss of each text in nats, the mean over its labels, float64 `(N,)`."""
    own = np.where(np.asarray(labels) > 0, probabilities, 1 - np.asarray(probabilities))
    return -np.log(np.maximum(own, TINY)).mean(axis=1)


def logit_loss(labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Returns the mean log loss in nats, straight from logits `(N, C)`; `weights`, `(N,)`: how much each text counts."""
    logits = np.asarray(logits, "float64")
    return float(np.average((np.logaddexp(0.0, logits) - np.asarray(labels) * logits).mean(axis=1), weights=weights))


def temperature(labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Returns the temperature within `TEMPERATURES` that minimises the log loss of `sigmoid(logits / temperature)`.

    Args:
        labels, logits: 0 or 1 and float, both `(N, C)`.
        weights: float `(N,)`, how much each text counts; None = all the same.
    """
    logits = np.asarray(logits, "float64")

    def slope(log_temperature: float) -> float:
        errors = (scipy.special.expit(logits * math.exp(-log_temperature)) - labels) * logits
        return float(np.average(errors.mean(axis=1), weights=weights))

    return temperature_of(slope)


def micro_f1(labels: np.ndarray, probabilities: np.ndarray, thresholds: Any = None) -> float:
    """Returns F1 over all decisions, of which text has which label; 0 if no label is right."""
    said = predicted(probabilities, thresholds)
    return float(_micro((labels * said).sum(axis=0), labels.sum(axis=0), said.sum(axis=0)))


def compare(
    labels: Any, first: Any, second: Any, names: tuple[str, str] = ("the first", "the second"), seed: int = 0
) -> dict[str, Any]:
    """Compares the micro-F1 of two classifiers of the same texts by a paired bootstrap.

    Args:
        labels: 0 or 1, `(N, C)`.
        first, second: bool `(N, C)`, the labels that each predicts.
        names: str, for the verdict.
        seed: int.
    Returns: dict of `names`; `difference` in micro-F1, first minus second, an estimate; `verdict`, a sentence.
    Raises: ValueError if the shapes differ.
    """
    labels, first, second = (np.asarray(part, "float32") for part in (labels, first, second))
    if not len(labels) or not labels.shape == first.shape == second.shape:
        raise ValueError(
            "Both classifiers must have classified the same texts, at least one. "
            f"Received: labels {labels.shape}, predictions {first.shape} and {second.shape}"
        )
    weights = drawn_weights(len(labels), seed)

    def measured(said: np.ndarray) -> tuple[Any, np.ndarray]:
        # Sums over the labels first: micro-F1 needs no more.
        sums = np.stack([(labels * said).sum(axis=1), labels.sum(axis=1), said.sum(axis=1)])  # (3, N)
        return _micro(*sums.sum(axis=1)[:, None]), _micro(*(sums @ weights.T)[..., None])

    (value, drawn), (other, other_drawn) = measured(first), measured(second)
    difference = percentiles(value - other, drawn - other_drawn)
    return {
        "names": [*names],
        "difference": difference,
        "verdict": verdict(*names, difference, "points of micro F1", "points", bootstrapped(len(labels))),
    }


def mistakes(
    texts: Sequence[Text], labels: Any, probabilities: Any, label_names: Sequence[str], thresholds: Any, most: int
) -> list[dict[str, Any]]:
    """Lists texts with wrong labels, those with the highest loss first: dicts of `index`, `text`, `given`, `predicted` and `loss`."""
    labels, probabilities = checked(labels, probabilities)
    said, losses = predicted(probabilities, thresholds), text_losses(labels, probabilities)
    wrong = np.flatnonzero((said != labels).any(axis=1))
    wrong = wrong[np.argsort(-losses[wrong], kind="stable")][:most]
    return [
        {
            "index": i,
            "text": shown_text(texts[i]),
            "given": joined(labels[i], label_names),
            "predicted": joined(said[i], label_names),
            "loss": float(losses[i]),
        }
        for i in wrong.tolist()
    ]


def joined(row: Any, label_names: Sequence[str]) -> str:
    """Returns the labels of a text in one string: "anger|joy"; "" for none."""
    return LABELS_JOINED_BY.join(label_names[i] for i in np.flatnonzero(row).tolist())


def _micro(right: Any, given: Any, predictions: Any) -> Any:
    """Returns F1 over all labels from sums `(..., C)`."""
    right, both = right.sum(axis=-1), (given + predictions).sum(axis=-1)
    return np.where(both > 0, 2 * right / np.maximum(both, 1), 0.0)


def _f1(right: np.ndarray, given: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Returns the F1 of each label; nan for one that is neither given nor predicted."""
    both = given + predictions
    return np.where(both > 0, 2 * right / np.maximum(both, 1), np.nan)


def _mean(f1: np.ndarray) -> Any:
    """Returns the mean of the F1 that there are; nan if there are none."""
    known = np.isfinite(f1)
    return np.where(
        known.any(axis=-1), np.where(known, f1, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1), np.nan
    )
