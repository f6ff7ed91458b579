"""Label values to numbers, for regression."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bert_tf.data.classes import Encoded, Rules, key_of
from bert_tf.data.gates import is_missing

LARGEST = float(np.finfo("float32").max)  # a larger number would become infinite


def encode_numbers(
    values: Sequence[Any],
    given: Rules,
    source: str,
    column: str,
    unquoted: Callable[[int], bool],
    declared: Sequence[str] = (),
) -> Encoded:
    """Turns label values into float32 `(N,)`; arguments as of `bert_tf.data.classes.encode`. Its one name is the column's."""
    if given.named:
        raise ValueError("`labels` makes classes of values; with task='regression' (--task regression) there are none.")
    numbers = np.zeros(len(values), "float32")
    problems: dict[int, str] = {}
    dropped: list[int] = []
    for row, value in enumerate(values):
        number = number_of(value)
        if number is None:
            what = "is empty" if is_missing(value) or not str(value).strip() else f"is {value!r}, no number"
            problems[row] = f"the number (column {column!r}) {what}"
        elif abs(number) > LARGEST:
            problems[row] = f"the number (column {column!r}) is {value!r}, larger than {LARGEST:.2g}: use another unit"
        elif given.dropped and given.drops(key_of(number) or (0, 0)):
            dropped.append(row)
        else:
            numbers[row] = number
    return Encoded((column,), numbers, problems, dropped, [])


def number_of(value: Any) -> float | None:
    """Returns the number that a value is or is a way to write; None if it is none, or not finite."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, str) and "_" in value:  # which Python would take
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
