"""Label values to any number of labels a text: "joy|anger", a list, or a column of 0 and 1 for each label."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bert_tf.data.classes import BOOLEANS, Encoded, Rules, encode, key_of
from bert_tf.data.gates import is_missing
from bert_tf.formatting import LABELS_JOINED_BY, counted

LISTS = (list, tuple, set, frozenset, np.ndarray)
MOSTLY = 0.5  # share of the parts of joined labels that must also occur alone


def looks_like_sets(values: Sequence[Any]) -> str:
    """Returns an example of a value that shows that texts have several labels; "" if they do not.

    Lists do. Of "joy|anger" most parts, counted once, must also occur alone: else | may belong to a name.
    """
    if any(isinstance(value, LISTS) for value in values):
        return "a list"
    words = {value.strip() for value in values if isinstance(value, str)}
    joined = sorted(word for word in words if LABELS_JOINED_BY in word.strip(LABELS_JOINED_BY))
    parts = {part.strip() for word in joined for part in word.split(LABELS_JOINED_BY)} - {""}
    return joined[0] if joined and len(parts & words) > MOSTLY * len(parts) else ""


def encode_sets(
    values: Sequence[Any],
    given: Rules,
    source: str,
    column: str,
    unquoted: Callable[[int], bool],
    declared: Sequence[str] = (),
) -> Encoded:
    """Turns label values into 0 and 1, float32 `(N, C)`; arguments as of `bert_tf.data.classes.encode`.

    An empty list or text is a text without a label; a row with a label that the rules drop is left out.
    """
    parts: list[Any] = []
    rows: list[int] = []
    problems: dict[int, str] = {}
    for row, value in enumerate(values):
        try:
            found = _parts(value)
        except TypeError as error:
            problems[row] = f"the labels (column {column!r}) {error}"
            continue
        parts += found
        rows += [row] * len(found)
    flat = encode(parts, given, source, column, lambda part: unquoted(rows[part]), declared)
    labels = np.zeros((len(values), len(flat.names)), "float32")
    known = flat.labels >= 0
    labels[np.array(rows, int)[known], flat.labels[known]] = 1.0
    for part, problem in flat.problems.items():
        problems.setdefault(rows[part], problem)
    dropped = sorted({rows[part] for part in flat.dropped})
    none = int((~labels.any(axis=1)).sum()) - len({*problems, *dropped})
    said = [f"{source}: {counted(none, 'text')} without a label (column {column!r})."] if none > 0 else []
    return replace(flat, labels=labels, problems=problems, dropped=dropped, remarks=[*flat.remarks, *said])


def _parts(value: Any) -> list[Any]:
    """Returns the labels of a value; TypeError for one that is missing or no list of labels."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, LISTS):
        if any(isinstance(part, (*LISTS, dict)) for part in value):
            raise TypeError("are lists in lists; one list of labels a text is needed")
        return [*dict.fromkeys(value)] if not any(map(is_missing, value)) else [*value]
    if is_missing(value):
        raise TypeError("are missing; write an empty list for a text without labels")
    if isinstance(value, dict):
        raise TypeError("are a dict; a list of labels is needed")
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if not isinstance(value, str):
        return [value]
    return [part for part in value.split(LABELS_JOINED_BY) if part.strip()]


def encode_columns(columns: Sequence[Sequence[Any]], names: Sequence[str]) -> Encoded:
    """Turns columns of 0 and 1 (or true and false), one a label, into float32 `(N, C)`."""
    labels = np.zeros((len(columns[0]), len(columns)), "float32")
    problems: dict[int, str] = {}
    answers: dict[Any, float] = {(0, 0): 0.0, (0, 1): 1.0}
    for i, (name, values) in enumerate(zip(names, columns, strict=True)):
        for row, value in enumerate(values):
            try:
                answer = answers.get(key_of(value))
            except TypeError:
                answer = None
            if answer is None:
                problems.setdefault(
                    row, f"the label {name!r} is {value!r}; 0 or 1 is needed (or {' or '.join(BOOLEANS)})"
                )
            else:
                labels[row, i] = answer
    return Encoded(tuple(names), labels, problems, [], [])
