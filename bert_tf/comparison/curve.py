"""Whether more data would help: one model on more and more texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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
from bert_tf.evaluation.paired import Row, gain
from bert_tf.evaluation.tfidf import BASELINE
from bert_tf.formatting import format_value
from bert_tf.options import with_options
from bert_tf.reporting.sections import interval
from bert_tf.settings import CURVE, Settings

COLUMNS = {"texts": "count", "accuracy": "score", "loss": "score", "baseline": "score", "above_baseline": "points"}


@with_options(CURVE)
def curve(train: Any, validation: Any = None, *, settings: Settings) -> Compared:
    """Trains on more and more of the texts, and says whether still more would help.

    Leaves curve.csv, curve.png, report.html, compare.json, entrants/. Beside the model, the baseline (TF-IDF with logistic
    regression) is trained on the same texts. Each seed draws its own texts, the same share of each class.

    Args:
        train, validation: sources, as for `bert_tf.finetune`.
        {options}
    Returns: `Compared`.
    Raises: as `bert_tf.finetune`.
    """
    sizes, model, training = settings.curve.sizes, settings.model, settings.training
    comparison = Comparison("curve", train, validation, [model.checkpoint], settings)
    total = len(comparison.train)
    if wrong := [size for size in sizes if size != "all" and not (type(size) is int and size >= 2)]:
        raise ValueError(f"`sizes` are numbers of texts, at least 2, or all. Received: {wrong[0]!r}")
    counts = sorted({total if size == "all" else min(int(size), total) for size in sizes})
    frozen = model.unfreeze == 0
    options = {
        **training_options(settings),
        "unfreeze": model.unfreeze,
        "head": model.head or ("layer_means" if frozen else "first_token"),
        "epochs": training.epochs or (20 if frozen else 2),
        "early_stopping": EARLY_STOPPING if frozen else None,
    }
    candidates = {count: _candidates(count, total, [*range(settings.repeats.seeds)], options) for count in counts}
    # the largest first: it computes the features of all
    comparison.run([candidate for count in reversed(counts) for candidate in candidates[count]])
    results: dict[int, tuple[Result, Result]] = {}
    for count, pair in candidates.items():
        trained, baseline = map(comparison.result, pair)
        if trained and baseline:
            results[count] = trained, baseline
    if not results:
        raise ValueError(
            f"{comparison.output.path}: no results: at no size did both the model and the baseline finish."
        )
    rows = [_row(count, model, baseline) for count, (model, baseline) in results.items()]
    right, baseline_right = ({count: pair[i].right for count, pair in results.items()} for i in (0, 1))
    notes = f"{INTERVALS} The baseline: {BASELINE} on the same texts."
    return comparison.finish(rows, COLUMNS, verdict(right, baseline_right), notes, plots(rows))


def _candidates(count: int, total: int, seeds: list[int], options: Candidate) -> tuple[Candidate, Candidate]:
    """Returns the model and the baseline for a number of texts."""
    common = {"seeds": seeds, "texts": count}
    model = {
        "name": f"{count} texts",
        "kind": "trained_per_seed",
        "options": options,
        **common,
        "work": 1.0 + count / total,
    }
    return model, {"name": f"{count} texts, baseline", "kind": "tfidf", **common, "work": 0.2}


def _row(count: int, model: Result, baseline: Result) -> dict[str, Any]:
    return {
        "texts": count,
        "accuracy": paired.accuracy(model.right),
        "loss": model.log_loss,
        "baseline": paired.accuracy(baseline.right),
        "above_baseline": gain(model.right, baseline.right),
    }


# What it means


def verdict(right: Mapping[int, np.ndarray], baseline: Mapping[int, np.ndarray]) -> list[str]:
    """Says whether more texts would help, and how the model compares with the baseline.

    Args:
        right, baseline: number of training texts -> bool `(S, M)`, whether a seed's model or baseline has a text right.
    """
    counts = sorted(right)
    sentences: list[str] = []
    if len(counts) > 1:
        last = counts[-1]
        # About two doublings, if there are such sizes: the gain of a single one is often not significant.
        before = min(counts[-2], *(count for count in counts if count * 5 >= last))
        difference = gain(right[last], right[before])
        doubling = 100 * difference["value"] / np.log2(last / before)  # type: ignore[operator]
        change = f"from {before:,} to {last:,} texts accuracy changed by {format_value(difference, 'points')} points"
        if difference["low"] > 0:  # type: ignore[operator]
            sentences.append(f"More data would help: {change}; doubling it again may add about {doubling:.1f} points.")
        else:
            sentences.append(
                f"More data may not help: {change}, no significant gain. First check the labels, or unfreeze layers."
            )
    better = [count for count in counts if gain(right[count], baseline[count])["low"] > 0]  # type: ignore[operator]
    if better:
        sizes = ", ".join(f"{count:,}" for count in better)
        sentences.append(f"With {sizes} training texts the model is significantly better than TF-IDF.")
    else:
        sentences.append("At none of these sizes is the model significantly better than TF-IDF.")
    return sentences


# Figures


def plots(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Describes accuracy by number of training texts, the model beside the baseline."""
    counts = [row["texts"] for row in rows]
    series = [
        {"name": name, "x": counts, **interval([row[key] for row in rows])}
        for name, key in (("model", "accuracy"), ("baseline", "baseline"))
    ]
    return [
        {
            "title": "Accuracy by number of training texts",
            "description": "Mean over the seeds; bars are 95 % intervals.",
            "x": {"label": "training texts", "log": True, "kind": "count"},
            "y": ACCURACY,
            "series": series,
        }
    ]
