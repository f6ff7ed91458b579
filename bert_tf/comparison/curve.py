"""Whether more data would help: one model on more and more texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.comparison.candidates import baseline_candidate
from bert_tf.comparison.comparison import INTERVALS, Compared, Comparison, score_on_test, training_options
from bert_tf.evaluation import paired
from bert_tf.evaluation.paired import Row, by_seed, change, gain, is_gain
from bert_tf.formatting import capital
from bert_tf.options import with_options
from bert_tf.reporting.figures import describe, interval
from bert_tf.settings import CURVE, Settings
from bert_tf.tasks.task import Task, task_of

BESIDE = {1: "above_baseline", -1: "below_baseline"}  # `Task.sign` -> the column of how much better the model is


@with_options(CURVE)
def curve(train: Any, validation: Any = None, *, test: Any = None, settings: Settings) -> Compared:
    """Trains on more and more of the texts, and says whether still more would help.

    Leaves curve.csv, curve.png, report.html, compare.json, entrants/. Beside the model, the
    baseline (TF-IDF with a linear model) is trained on the same texts. Each seed draws its
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
    if beyond := [size for size in sizes if size != "all" and size > total]:
        asked = ", ".join(f"{size:,}" for size in beyond)
        comparison.say(f"There are only {total:,} training texts: {asked} is beyond them and counts as all.")
    counts = sorted({total if size == "all" else min(int(size), total) for size in sizes})
    frozen = model.unfreeze == 0
    head, epochs = (
        model.head or ("layer_means" if frozen else "first_token"),
        training.epochs or (None if frozen else 2),
    )
    solved = epochs is None and head == "layer_means"
    options = training_options(settings, model.unfreeze or 0, head=head, epochs=epochs if solved else epochs or 20)
    candidates, task = {}, comparison.task
    for count in counts:
        common: dict[str, Any] = {"seeds": [*range(settings.repeats.seeds)], "texts": count}
        trained = {
            "kind": "finetuned_per_seed" if solved else "trained_per_seed",
            "options": options,
            "work": 1.0 + count / total,
        }
        candidates[count] = (
            {"name": f"{count} texts", **common, **trained},
            {**baseline_candidate(f"{count} texts, baseline", common["seeds"], settings), "texts": count},
        )
    # the largest first: it computes the features of all
    comparison.run([candidate for count in reversed(counts) for candidate in candidates[count]])
    rows: list[dict[str, Any]] = []
    shares: dict[int, np.ndarray] = {}
    of_baseline: dict[int, np.ndarray] = {}
    for count, pair in candidates.items():
        result, simple = map(comparison.result, pair)
        if result and simple:
            shares[count], of_baseline[count] = result.shares, simple.shares
            scored = {task.score: paired.score(result.shares), "loss": result.loss}
            scored |= {
                "baseline": paired.score(simple.shares),
                BESIDE[task.sign]: gain(result.shares, simple.shares, task.sign),
            }
            rows.append(
                {"texts": count, **scored, **score_on_test(result, task.score), **score_on_test(simple, "baseline")}
            )
    if not rows:
        failed = "at no size did both the model and the baseline finish"
        raise ValueError(f"{comparison.output.path}: no results: {failed}.")
    notes = f"{INTERVALS} The baseline: {task.baseline_name} on the same texts.{comparison.decided()}"
    kind = task.measure.kind
    columns = {"texts": "count", task.score: kind, "loss": "score", "baseline": kind, BESIDE[task.sign]: task.gain.kind}
    return comparison.finish(rows, columns, verdict(shares, of_baseline, task), notes, plots(rows, task))


def verdict(
    shares: Mapping[int, np.ndarray], baseline: Mapping[int, np.ndarray], task: Task | None = None
) -> list[str]:
    """Says whether more texts would help, and how the model compares with the baseline.

    Args:
        shares, baseline: number of training texts -> shares of `bert_tf.evaluation.paired`, of the model and the baseline.
        task: None = classification.
    """
    counts, task = sorted(shares), task or task_of("classification")
    sentences: list[str] = []
    if len(counts) == 1:
        sentences.append(
            "One size cannot show whether more data helps: give several, such as --data-sizes 100,200,400,all."
        )
    if len(counts) > 1:
        last = counts[-1]
        # About two doublings, if there are such sizes: the gain of a single one is often not significant.
        before = min(counts[-2], *(count for count in counts if count * 5 >= last))
        difference = gain(shares[last], shares[before], task.sign)
        doubling = difference["value"] / np.log2(last / before)  # type: ignore[operator]
        by = f"from {before:,} to {last:,} texts {task.score_words} changed by {change(difference, task)}"
        steps = np.diff([task.sign * by_seed(shares[count]).mean() for count in counts])
        if is_gain(difference):
            more = f"add about {100 * doubling:.1f} points" if task.sign > 0 else f"lower it by about {doubling:.2g}"
            sentences.append(f"More data would help: {by}; doubling it again may {more}.")
        elif len(counts) > 2 and (steps > 0).all():
            sentences.append(
                f"More data probably helps, which these texts are too few to prove: {task.score_words} got better with every size; {by}."
            )
        elif steps[-1] > 0 and doubling > 0:
            sentences.append(f"These texts are too few to tell whether more data helps: {by}, which may be chance.")
        else:
            advice = "First check the labels, or unfreeze layers."
            sentences.append(f"More data may not help: {by}, no significant gain. {advice}")
    better = [count for count in counts if is_gain(gain(shares[count], baseline[count], task.sign))]
    if better:
        sizes = ", ".join(f"{count:,}" for count in better)
        sentences.append(f"With {sizes} training texts the model is significantly better than TF-IDF.")
    else:
        sentences.append("At none of these sizes is the model significantly better than TF-IDF.")
    return sentences


def plots(rows: Sequence[Row], task: Task) -> list[dict[str, Any]]:
    """Describes the score by number of training texts, the model beside the baseline."""
    counts = [row["texts"] for row in rows]
    series = [
        {"name": name, "x": counts, **interval([row[key] for row in rows])}
        for name, key in (("model", task.score), ("baseline", "baseline"))
    ]
    axis = {"label": "training texts", "log": True, "at": counts, "kind": "count"}
    words = "Mean over the seeds; bars are 95 % intervals."
    return [describe(f"{capital(task.score_words)} by number of training texts", words, axis, task.score_axis, series)]
