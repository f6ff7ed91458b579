"""The results for a reader without statistics: a paragraph at the top of a report, and what its terms mean at the end."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bert_tf.evaluation.scores import is_better, is_better_at_rare_classes
from bert_tf.formatting import capital, format_value
from bert_tf.reporting.blocks import Block, Facts, columns, split, table
from bert_tf.tasks.task import task_of

TERMS = {  # as a report writes it -> what it means
    "accuracy": "The share of texts whose class is right.",
    "baseline": "A simple method that a model should beat: here a linear model that counts words (TF-IDF).",
    "TF-IDF": "Counts of words, in which rare words weigh more than words that most texts have.",
    "95 %": "A confidence interval: with other texts of the same kind the value would lie in it 95 times of 100.",
    "macro F1": "The mean over the classes of F1, which is high only if a class is both found and not claimed wrongly. "
    "Rare classes count as much as frequent ones.",
    "micro F1": "F1 over all labels of all texts together: high only if labels are both found and not claimed wrongly.",
    "log loss": "How far the probabilities are from the right answers; lower is better. Confident wrong answers cost most.",
    "mean absolute error": "How far the predicted numbers are from the given ones, on average.",
    "calibration error": "How far probabilities are from shares: of the answers given with 0.8, 80 of 100 should be right.",
    "temperature": "A number that the outputs are divided by, so that probabilities are neither too high nor too low.",
    "McNemar": "A test whether two models differ by more than chance, from the texts that only one of them has right.",
    "epoch": "One pass over all training texts.",
    "overfitting": "Learning the training texts by heart: training loss keeps falling while validation loss rises.",
    "tokens": "The pieces of words that a model reads.",
}  # fmt: skip


def in_words(facts: Facts) -> list[Block]:
    """Says how often the model is right, what simple methods reach, and what to do next."""
    test = facts.get("test") or {}
    judged = test or facts
    scores, task = judged.get("scores"), task_of(facts.get("task", "classification"))
    if not scores:
        return []
    texts = f"{format_value(scores['texts'], 'count')} {'test' if test else split(facts)} texts"
    texts += ", some of which it has learnt from" if test.get("leaked") else ""
    simple, next_step = judged.get("baseline") or {}, ""
    counts_words = (
        f"the baseline, which counts {'characters' if (facts.get('baseline') or {}).get('characters') else 'words'},"
    )
    simple = simple.get("scores", simple)  # of the test texts there is nothing else
    if task.one_class:
        right = scores["accuracy"]
        low, high = (_of_100(right[end]) for end in ("low", "high"))
        words = f"Of 100 texts like these the model gives {_of_100(right['value'])} the right class (95 % interval: {low} to {high})."
        others = [f"{counts_words} gets {_of_100(simple['accuracy']['value'])}"] if simple else []
        if counts := None if test else facts.get("confusion"):
            given = [sum(row) for row in counts]
            most, share = facts["label_names"][given.index(max(given))], max(given) / sum(given)
            others.append(f"{most!r} for every text gets {_of_100(share)}")
            if share >= right["value"]:
                next_step = _beside_always(most, given, counts, scores["macro_f1"])
        words += f" For comparison: {'; '.join(others)}." if others else ""
    else:
        first = task.measure
        words = f"The model's {first.words} is {format_value(scores[first.key], first.kind)}."
        words += f" {capital(counts_words)} has {format_value(simple[first.key], first.kind)}." if simple else ""
    return [{"text": f"{words} Measured on {texts}. {next_step or _next(facts, judged, task)}"}]


def opening(facts: Facts) -> list[Block]:
    """Returns what a report begins with: the warning of rare classes, if there is one, and the results in words."""
    imbalance = facts.get("imbalance")
    return [*([{"verdict": imbalance["verdict"]}] if imbalance else []), *in_words(facts)]


def _of_100(share: float) -> str:
    """Returns a share as a number of 100; 100 and 0 are said of exactly all and none only."""
    rounded = round(100 * share)
    if rounded == 100 and share < 1:
        return "more than 99"
    if rounded == 0 and share > 0:
        return "fewer than 1"
    return str(rounded)


def _beside_always(most: str, given: Sequence[int], counts: Any, macro_f1: Any) -> str:
    """Says what a model is good for that is right no more often than the most frequent class for every text.

    Args:
        given: the number of texts of each class.
        counts: the confusion matrix.
        macro_f1: an estimate.
    """
    matrix, share, classes = np.asarray(counts), max(given) / sum(given), np.count_nonzero(given)
    if macro_f1["low"] <= 2 * share / (1 + share) / classes:
        return f"The model is no better than giving every text the class {most!r}: it has learned too little of the other classes to be of use."
    rest = np.arange(len(given)) != given.index(max(given))
    others, found = np.sum(given, where=rest), matrix.diagonal()[rest].sum()
    return (
        f"Giving every text the class {most!r} is right as often or more, and finds none of the {others:,} texts of other classes; "
        f"the model finds {found:,}. The table of classes shows what that costs in wrong answers."
    )


def _next(facts: Facts, judged: Facts, task: Any) -> str:
    """Says what to do next."""
    comparison = (judged.get("baseline") or {}).get("comparison") or judged.get("comparison")
    if comparison and is_better_at_rare_classes(comparison):
        return "The baseline is right at least as often, the model is better at rare classes: choose by what matters to you."
    if comparison and not is_better(comparison):
        settings = facts.get("settings") or {}
        if settings.get("unfreeze") == 0:
            blend = " and --blend" if settings.get("blend") else ""
            return f"The model is not clearly better than the baseline: train the layers too (bert-tf finetune without --unfreeze 0{blend})."
        return "The model is not clearly better than the baseline: bert-tf compare --data-sizes shows whether more texts help."
    if facts.get("test") or not facts.get("settings"):
        worst = "largest errors" if task.listed == "largest_errors" else "most confident mistakes"
        return f"Its {worst}, if listed below, show where it fails and where labels may be wrong."
    return "These texts helped to choose the model: bert-tf evaluate measures it on others."


def terms(found: str) -> list[Block]:
    """Returns a table of the terms that occur in the text of a report."""
    found = found.lower()
    rows = [[term, meaning] for term, meaning in TERMS.items() if term.lower() in found]
    return [table("", columns("term", meaning="text"), rows)] if rows else []
