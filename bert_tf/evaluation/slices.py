"""Which of the texts a model is better or worse at: its scores by the values of a column, or by length.

A slicing is a dict: name of a slice -> places of its texts, int64. Functions of plain values that return plain dicts and lists.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy

from bert_tf.formatting import format_value

MOST_SLICES = (
    20  # more values of a column are cut into quartiles if they are numbers, else only the most frequent are shown
)
UNCERTAIN = 0.2  # width of the interval of a slice's accuracy from which it says little: about 60 texts at accuracy 0.8
MOST_NAMED = 5  # slices in a sentence
NO_VALUE = "(no value)"
LENGTH = "length"  # the name of the slices by the number of tokens

Slicing = dict[str, np.ndarray]


def columns(by: Sequence[str] | None) -> list[str]:
    """Returns the columns among the names of slicings."""
    return [name for name in by or () if name != LENGTH]


def check(by: Sequence[str] | None) -> None:
    """Raises ValueError for slices of test texts that are not there."""
    if by:
        raise ValueError(
            f"`by` slices the test texts. Give them: test=... (--test FILE). Received: by={','.join(by)!r} (--by) without any"
        )


def slicings(
    by: Sequence[str] | None, kept: Mapping[str, Sequence[Any]], lengths: Any, unit: str = "tokens"
) -> dict[str, Slicing]:
    """Returns the slices of texts by names of columns, whose values are `kept`, and by `LENGTH`, of `lengths`."""
    return {name: by_quartile(lengths, unit) if name == LENGTH else by_column(kept[name]) for name in by or ()}


def by_column(values: Sequence[Any]) -> Slicing:
    """Slices by the values of a column: one slice a value, the most frequent first; numbers with very many values by quartile.

    >>> {name: len(places) for name, places in by_column(["de", "en", "en", None]).items()}
    {'en': 2, 'de': 1, '(no value)': 1}
    """
    names = [NO_VALUE if _is_missing(value) else str(value) for value in values]
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(name, []).append(place)
    if len(groups) > MOST_SLICES and (numbers := _numbers(names)) is not None:
        known = np.flatnonzero(np.isfinite(numbers))
        slicing = {name: known[places] for name, places in by_quartile(numbers[known]).items()}
        rest = np.flatnonzero(~np.isfinite(numbers))
        return slicing | ({NO_VALUE: rest} if len(rest) else {})
    return {name: np.array(places) for name, places in sorted(groups.items(), key=lambda item: -len(item[1]))}


def by_quartile(numbers: Any, unit: str = "") -> Slicing:
    """Slices by a number, into quarters as even as equal numbers allow, the lowest first.

    >>> [*by_quartile(range(1, 9), "tokens")]
    ['1 to 2 tokens', '3 to 4 tokens', '5 to 6 tokens', '7 to 8 tokens']
    """
    numbers = np.asarray(numbers)
    starts = np.unique(np.quantile(numbers, [0.25, 0.5, 0.75], method="higher")) if len(numbers) else numbers
    quarter = np.searchsorted(starts, numbers, side="right")
    slicing = {}
    for each in np.unique(quarter):
        places = np.flatnonzero(quarter == each)
        low, high = (f"{end:.6g}" for end in (numbers[places].min(), numbers[places].max()))
        slicing[f"{low if low == high else f'{low} to {high}'} {unit}".rstrip()] = places
    return slicing


def _is_missing(value: Any) -> bool:
    missing = value is None or type(value).__name__ in ("NAType", "NaTType")  # NA != NA is neither true nor false
    if missing or isinstance(value, str):
        return missing or not value.strip()
    return bool(value != value)


def _numbers(names: Sequence[str]) -> np.ndarray | None:
    """Returns names as numbers, nan for a missing one; None if one is no number."""
    try:
        return np.array([np.nan if name == NO_VALUE else float(name) for name in names])
    except ValueError:
        return None


def judge(
    slicing: Slicing, task: Any, labels: Any, predictions: Any, label_names: Sequence[str], thresholds: Any = None
) -> list[dict[str, Any]]:
    """Scores each slice of the texts by itself; where the score is the share of texts that are right, compares it with that of all
    other texts.

    Args:  (N = texts, C = classes)
        slicing: of the texts.
        task: `bert_tf.tasks.task.Task`.
        labels, predictions: as the task has them, such as int `(N,)` and float `(N, C)`.
        label_names: str, C of them.
        thresholds: float `(C,)`, of the model, for a task that decides by them.
    Returns: for each slice a dict of `slice`, its name, `texts` and the scores of `Task.evaluate`; with accuracy also `p_value`, by
        Fisher's exact test against the other texts, times the number of slices (Bonferroni), 1 at most; None if there are no
        others; `uncertain`: whether its accuracy has an interval wider than `UNCERTAIN`.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    right = task.right(labels, predictions)
    rows = []
    for name, places in slicing.items():
        found = task.evaluate(labels[places], predictions[places], label_names, thresholds)["scores"]
        row = {"slice": name, **found}
        if right is not None:
            p_value = _beside_others(right, places)
            row["p_value"] = None if p_value is None else min(1.0, p_value * len(slicing))
            row["uncertain"] = bool(found[task.score]["high"] - found[task.score]["low"] > UNCERTAIN)
        rows.append(row)
    return rows


def _beside_others(right: np.ndarray, places: np.ndarray) -> float | None:
    """Returns the p-value of a slice being as often right as the other texts; None if there are no others."""
    others, hits = len(right) - len(places), int(right[places].sum())
    table = [[hits, len(places) - hits], [right.sum() - hits, others - (right.sum() - hits)]]
    return float(scipy.stats.fisher_exact(table).pvalue) if others else None


def compare(
    slicing: Slicing,
    task: Any,
    labels: Any,
    both: tuple[Any, Any],
    label_names: Sequence[str],
    thresholds: tuple[Any, Any] = (None, None),
) -> list[dict[str, Any]]:
    """Compares two models in each slice of the texts.

    Args:
        both: the predictions of both, and `thresholds` theirs; the others as of `judge`.
    Returns: for each slice a dict of `slice`, `texts`, `first` and `second` (the task's score, estimates), `difference` of
        `Task.compare` and, if it tests that, `p_value`, times the number of slices (Bonferroni), 1 at most.
    """
    labels, first, second = (np.asarray(values) for values in (labels, *both))
    rows = []
    for name, places in slicing.items():
        own, *said = (values[places] for values in (labels, first, second))
        found = task.compare(own, *said, ("the first", "the second"), thresholds)
        row = {"slice": name, "texts": len(places)}
        for which, part, chosen in zip(("first", "second"), said, thresholds, strict=True):
            row[which] = task.evaluate(own, part, label_names, chosen)["scores"][task.score]
        row["difference"] = found["difference"]
        if "p_value" in found:
            row["p_value"] = min(1.0, found["p_value"] * len(slicing))
        rows.append(row)
    return rows


def verdict(rows: Sequence[Mapping[str, Any]], name: str, task: Any) -> str:
    """Says which slices of `judge` differ from the other texts, and which are too small to tell.

    >>> verdict([{"slice": "all", "texts": 9, "p_value": None}], "lang", None)
    'All texts are in one slice by lang.'
    """
    if len(rows) == 1:
        return f"All texts are in one slice by {name}."
    if "p_value" not in rows[0]:
        ends = sorted(rows, key=lambda row: row[task.score]["value"])
        low, high = (
            f"{format_value(row[task.score], task.measure.kind)} ({row['slice']!r})" for row in (ends[0], ends[-1])
        )
        return f"By {name}, {task.score_words} is from {low} to {high}. Whether slices differ is not tested."
    notable = [row for row in rows if row["p_value"] < 0.05]
    total = sum(row["texts"] for row in rows)
    overall = sum(row["accuracy"]["value"] * row["texts"] for row in rows) / total
    said = []
    for word, chosen in (
        ("worse", [row for row in notable if row["accuracy"]["value"] < overall]),
        ("better", [row for row in notable if row["accuracy"]["value"] >= overall]),
    ):
        if chosen:
            named = ", ".join(
                f"{row['slice']!r} ({format_value(row['accuracy'], 'score')})" for row in chosen[:MOST_NAMED]
            )
            named += ", ..." if len(chosen) > MOST_NAMED else ""
            said.append(f"Significantly {word} than the other texts: {named}.")
    if not said:
        said.append(f"No slice by {name} differs significantly from the other texts in accuracy.")
    small = [row for row in rows if row["uncertain"]]
    if len(small) > MOST_NAMED:
        said.append(f"{len(small):,} of {len(rows):,} slices have too few texts to say much.")
    elif small:
        said.append(f"Too few texts to say much: {', '.join(repr(row['slice']) for row in small)}.")
    return " ".join(said)
