"""Which of the texts a classifier is better or worse at: its scores by the values of a column, or by length.

A slicing is a dict: name of a slice -> places of its texts, int64. Functions of plain values that return plain dicts and lists.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy

from bert_tf.evaluation import scores
from bert_tf.formatting import format_value

MOST_SLICES = (
    20  # more values of a column are cut into quartiles if they are numbers, else only the most frequent are shown
)
UNCERTAIN = 0.2  # width of the interval of a slice's accuracy from which it says little: about 60 texts at accuracy 0.8
MOST_NAMED = 5  # slices in a sentence
NO_VALUE = "(no value)"

Slicing = dict[str, np.ndarray]


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
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _numbers(names: Sequence[str]) -> np.ndarray | None:
    """Returns names as numbers, nan for a missing one; None if one is no number."""
    try:
        return np.array([np.nan if name == NO_VALUE else float(name) for name in names])
    except ValueError:
        return None


def judge(slicing: Slicing, labels: Any, probabilities: Any, label_names: Sequence[str]) -> list[dict[str, Any]]:
    """Scores each slice of the texts by itself, and compares its accuracy with that of all other texts.

    Args:  (N = texts, C = classes)
        slicing: of the texts.
        labels, probabilities: int `(N,)`, float `(N, C)`.
        label_names: str, C of them.
    Returns: for each slice a dict of `slice`, its name; `texts`, `accuracy`, `macro_f1` and `log_loss` as of `scores.evaluate`;
        `p_value`, by Fisher's exact test against the other texts, times the number of slices (Bonferroni), 1 at most; None if
        there are no others; `uncertain`: whether its accuracy has an interval wider than `UNCERTAIN`.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    right = probabilities.argmax(axis=1) == labels
    rows = []
    for name, places in slicing.items():
        found = scores.evaluate(labels[places], probabilities[places], label_names)["scores"]
        accuracy, others = found["accuracy"], len(labels) - len(places)
        hits = int(right[places].sum())
        table = [[hits, len(places) - hits], [right.sum() - hits, others - (right.sum() - hits)]]
        p_value = min(1.0, float(scipy.stats.fisher_exact(table).pvalue) * len(slicing)) if others else None
        uncertain = accuracy["high"] - accuracy["low"] > UNCERTAIN
        rows.append({"slice": name, **found, "p_value": p_value, "uncertain": bool(uncertain)})
    return rows


def compare(slicing: Slicing, labels: Any, first: Any, second: Any) -> list[dict[str, Any]]:
    """Compares two classifiers in each slice of the texts.

    Args:
        first, second: float `(N, C)`, the probabilities of both; the others as of `judge`.
    Returns: for each slice a dict of `slice`, `texts`, `first` and `second` (accuracy, estimates), `difference` and `p_value` of
        `scores.compare`, the latter times the number of slices (Bonferroni), 1 at most.
    """
    labels, first, second = (np.asarray(values) for values in (labels, first, second))
    rows = []
    for name, places in slicing.items():
        parts = [values[places] for values in (labels, first, second)]
        found = scores.compare(*parts)
        accuracies = [scores.wilson((part.argmax(axis=1) == parts[0]).sum(), len(places)) for part in parts[1:]]
        p_value = min(1.0, found["p_value"] * len(slicing))
        both = dict(zip(("first", "second"), accuracies, strict=True))
        rows.append(
            {"slice": name, "texts": len(places), **both, "difference": found["difference"], "p_value": p_value}
        )
    return rows


def verdict(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """Says which slices of `judge` differ from the other texts, and which are too small to tell.

    >>> verdict([{"slice": "all", "texts": 9, "p_value": None}], "lang")
    'All texts are in one slice by lang.'
    """
    if len(rows) == 1:
        return f"All texts are in one slice by {name}."
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
