"""Whether more data would help: one model on more and more texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.checkpoints import locate
from bert_tf.comparison.candidates import Candidate
from bert_tf.comparison.comparison import (
    ACCURACY,
    EARLY_STOPPING,
    INTERVALS,
    Compared,
    Comparison,
    Result,
    checked_seeds,
    training_options,
)
from bert_tf.evaluation import paired
from bert_tf.evaluation.paired import Row, gain
from bert_tf.evaluation.tfidf import BASELINE
from bert_tf.formatting import format_value
from bert_tf.reporting.sections import interval

COLUMNS = {"texts": "count", "accuracy": "score", "loss": "score", "baseline": "score", "above_baseline": "points"}


def curve(
    train: Any,
    validation: Any = None,
    *,
    sizes: Sequence[int | str] = (100, 300, 1000, "all"),
    checkpoint: str | Path = locate.MINILM,
    output_dir: str | Path = "runs/curve",
    unfreeze: int | str = 0,
    head: str | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    seeds: int = 3,
    batch_size: int = 32,
    new_head: bool = False,
    max_length: int | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    validation_share: float = 0.2,
    precision: str = "auto",
    cache_dir: str | Path | None = None,
    alone: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    verbose: bool = True,
) -> Compared:
    """Trains on more and more of the texts, and says whether still more would help.

    Leaves curve.csv, curve.png, report.html, compare.json, entrants/. Beside the model, the baseline (TF-IDF with logistic
    regression) is trained on the same texts.

    Args:
        sizes: numbers of training texts, "all" for all of them; each seed draws its own, the same share of each class.
        unfreeze: as for `bert_tf.finetune`.
        head: None = "layer_means" for a frozen base, else "first_token".
        epochs: int; None = 20 with early stopping for a frozen base, else 2.
        train, validation, checkpoint, output_dir, learning_rate, batch_size, new_head, max_length, text_column, label_column,
            validation_share, precision, cache_dir: as for `bert_tf.finetune`.
        seeds, alone, overwrite, resume, verbose: as for `ladder`.
    Returns: `Compared`.
    Raises: as `ladder`.
    """
    comparison = Comparison(
        "curve", train, validation, text_column=text_column, label_column=label_column, validation_share=validation_share,
        output_dir=output_dir, models=[checkpoint], overwrite=overwrite, resume=resume, verbose=verbose,
    )  # fmt: skip
    total = len(comparison.train)
    if wrong := [size for size in sizes if size != "all" and not (type(size) is int and size >= 2)]:
        raise ValueError(f"`sizes` are numbers of texts, at least 2, or all. Received: {wrong[0]!r}")
    counts = sorted({total if size == "all" else min(int(size), total) for size in sizes})
    frozen = unfreeze == 0
    options = {
        **training_options(checkpoint, batch_size, new_head, max_length, precision, cache_dir),
        "unfreeze": unfreeze,
        "head": head or ("layer_means" if frozen else "first_token"),
        "epochs": epochs or (20 if frozen else 2),
        "early_stopping": EARLY_STOPPING if frozen else None,
        "learning_rate": learning_rate,
    }
    candidates = {count: _candidates(count, total, checked_seeds(seeds), options) for count in counts}
    largest_first = [
        candidate for count in reversed(counts) for candidate in candidates[count]
    ]  # computes all features
    comparison.run(largest_first, alone)
    results: dict[int, tuple[Result, Result]] = {}
    for count, pair in candidates.items():
        model, baseline = map(comparison.result, pair)
        if model and baseline:
            results[count] = model, baseline
    if not results:
        raise ValueError(f"{comparison.output_dir}: no results: at no size did both the model and the baseline finish.")
    rows = [_row(count, model, baseline) for count, (model, baseline) in results.items()]
    right, baseline_right = ({count: pair[i].right for count, pair in results.items()} for i in (0, 1))
    notes = f"{INTERVALS} The baseline: {BASELINE} on the same texts."
    return comparison.finish(rows, COLUMNS, verdict(right, baseline_right), notes, plots(rows))


def _candidates(count: int, total: int, seeds: list[int], options: Candidate) -> tuple[Candidate, Candidate]:
    """Returns the model and the baseline for a number of texts."""
    common = {"seeds": seeds, "texts": count}
    model = {"name": f"{count} texts", "kind": "trained_per_seed", **options, **common, "work": 1.0 + count / total}
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
