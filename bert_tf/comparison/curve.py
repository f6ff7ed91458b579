"""Whether more data would help: one model on more and more texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.comparison.comparison import INTERVALS, Compared, Comparison, accuracy_on_test, training_options
from bert_tf.evaluation import paired
from bert_tf.evaluation.paired import Row, gain, is_gain
from bert_tf.evaluation.tfidf import BASELINE
from bert_tf.formatting import format_value
from bert_tf.options import with_options
from bert_tf.reporting.figures import ACCURACY, describe, interval
from bert_tf.settings import CURVE, Settings

COLUMNS = {"texts": "count", "accuracy": "score", "loss": "score", "baseline": "score", "above_baseline": "points"}


@with_options(CURVE)
def curve(train: Any, validation: Any = None, *, test: Any = None, settings: Settings) -> Compared:
    """Trains on more and more of the texts, and says whether still more would help.

    Leaves curve.csv, curve.png, report.html, compare.json, entrants/. Beside the model, the
    baseline (TF-IDF with logistic regression) is trained on the same texts. Each seed draws its
    own texts, the same share of each class.

    Args:
        train, validation: sources, as for `bert_tf.finetune`.
        test: a source of texts that nothing is chosen by: each model classifies them once. The
            verdict is of the validation texts.
        {options}
    Returns: `Compared`.
    Raises: as `bert_tf.finetune`.
    """
    sizes, model, training = settings.curve.sizes, settings.model, settings.training
    comparison = Comparison("curve", train, validation, test, [model.checkpoint], settings)
    total = len(comparison.train)
    if wrong := [size for size in sizes if size != "all" and not (type(size) is int and size >= 2)]:
        raise ValueError(f"`sizes` are numbers of texts, at least 2, or all. Received: {wrong[0]!r}")
    counts = sorted({total if size == "all" else min(int(size), total) for size in sizes})
    frozen = model.unfreeze == 0
    head, epochs = (
        model.head or ("layer_means" if frozen else "first_token"),
        training.epochs or (None if frozen else 2),
    )
    solved = epochs is None and head == "layer_means"
    options = training_options(settings, model.unfreeze or 0, head=head, epochs=epochs if solved else epochs or 20)
    seeds = [*range(settings.repeats.seeds)]
    candidates = {}
    for count in counts:
        common = {"seeds": seeds, "texts": count}
        trained = {
            "kind": "finetuned_per_seed" if solved else "trained_per_seed",
            "options": options,
            "work": 1.0 + count / total,
        }
        candidates[count] = (
            {"name": f"{count} texts", **common, **trained},
            {"name": f"{count} texts, baseline", **common, "kind": "tfidf", "work": 0.2},
        )
    # the largest first: it computes the features of all
    comparison.run([candidate for count in reversed(counts) for candidate in candidates[count]])
    rows: list[dict[str, Any]] = []
    right: dict[int, np.ndarray] = {}
    baseline_right: dict[int, np.ndarray] = {}
    for count, pair in candidates.items():
        result, simple = map(comparison.result, pair)
        if result and simple:
            right[count], baseline_right[count] = result.right, simple.right
            accuracies = {"accuracy": paired.accuracy(result.right), "loss": result.log_loss}
            accuracies |= {
                "baseline": paired.accuracy(simple.right),
                "above_baseline": gain(result.right, simple.right),
            }
            rows.append(
                {"texts": count, **accuracies, **accuracy_on_test(result), **accuracy_on_test(simple, "test_baseline")}
            )
    if not rows:
        failed = "at no size did both the model and the baseline finish"
        raise ValueError(f"{comparison.output.path}: no results: {failed}.")
    notes = f"{INTERVALS} The baseline: {BASELINE} on the same texts."
    return comparison.finish(rows, COLUMNS, verdict(right, baseline_right), notes, plots(rows))


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
        if is_gain(difference):
            sentences.append(f"More data would help: {change}; doubling it again may add about {doubling:.1f} points.")
        else:
            advice = "First check the labels, or unfreeze layers."
            sentences.append(f"More data may not help: {change}, no significant gain. {advice}")
    better = [count for count in counts if is_gain(gain(right[count], baseline[count]))]
    if better:
        sizes = ", ".join(f"{count:,}" for count in better)
        sentences.append(f"With {sizes} training texts the model is significantly better than TF-IDF.")
    else:
        sentences.append("At none of these sizes is the model significantly better than TF-IDF.")
    return sentences


def plots(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Describes accuracy by number of training texts, the model beside the baseline."""
    counts = [row["texts"] for row in rows]
    series = [
        {"name": name, "x": counts, **interval([row[key] for row in rows])}
        for name, key in (("model", "accuracy"), ("baseline", "baseline"))
    ]
    axis = {"label": "training texts", "log": True, "kind": "count"}
    words = "Mean over the seeds; bars are 95 % intervals."
    return [describe("Accuracy by number of training texts", words, axis, ACCURACY, series)]
