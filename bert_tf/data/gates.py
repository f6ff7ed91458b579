"""What may pass as texts and as labels: one gate each, for every public function that takes some.

Many things can be iterated and are no texts: a string gives letters, a DataFrame and a dict the names of their columns.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bert_tf.formatting import Text


def texts(given: Any, name: str = "texts") -> Iterable[Text]:
    """Checks that something is a sequence or stream of texts; its items are checked by `each_text`.

    Args:
        given: list, tuple, array `(N,)`, Series, generator, or any other iterable of str.
        name: str, the argument, for messages.
    Returns: the same, as something to iterate.
    Raises: TypeError or ValueError that says what was received instead.
    """
    expected = f"`{name}` must be a list of strings."
    if isinstance(given, (str, bytes, os.PathLike)):
        raise TypeError(
            f"{expected} Received: one {'path' if isinstance(given, os.PathLike) else 'string'}; put it in a list: [text]"
        )
    if isinstance(given, Mapping) or hasattr(given, "columns") or hasattr(given, "column_names"):
        raise TypeError(f"{expected} Received: a {type(given).__name__}; pass its texts: {name}['text']")
    if isinstance(given, (set, frozenset)):
        raise TypeError(f"{expected} Received: a set, which has no order")
    if len(shape := np.shape(given) if hasattr(given, "shape") else (0,)) != 1:
        raise ValueError(f"{expected} Received: an array of shape {tuple(shape)}")
    if not hasattr(given, "__iter__"):
        raise TypeError(f"{expected} Received: {type(given).__name__}")
    return given


def each_text(given: Iterable[Text], name: str = "texts") -> Iterator[Text]:
    """Checks texts one by one as they are read: all strings, or all pairs, tuples of two strings.

    Raises: TypeError for one that is neither, or not what the first is, ValueError for one with half a character; both say which.
    """
    pairs: bool | None = None
    for number, text in enumerate(texts(given, name)):
        if problem := wrong_kind(text, pairs):
            hint = " A pair is a tuple (a, b)." if isinstance(text, list) else ""
            raise TypeError(
                f"`{name}` must be a list of strings. Received among them: {problem} ({name}[{number}]).{hint}"
            )
        pairs = is_pair(text)
        if not all(map(well_formed, parts(text))):
            raise ValueError(
                f"`{name}`: {name}[{number}] has half a character (a lone surrogate). Correct or remove it."
            )
        yield text


def is_pair(text: Any) -> bool:
    return isinstance(text, tuple)


def parts(text: Text) -> tuple[str, ...]:
    """Returns the one or two strings of a text."""
    return (text,) if isinstance(text, str) else text


def wrong_kind(text: Any, pairs: bool | None = None) -> str:
    """Returns what a value is that is neither a string nor a pair of them, or not what the others are; "" = it is right.

    Args:
        pairs: whether the others are pairs; None = unknown.
    """
    if is_pair(text):
        if len(text) != 2:
            return f"a tuple of {len(text)} instead of 2"
        wrong = next((problem for part in text if (problem := "" if isinstance(part, str) else _kind(part))), "")
        return f"a pair with {wrong}" if wrong else "a pair among single texts" if pairs is False else ""
    if not isinstance(text, str):
        return _kind(text)
    return "a single text among pairs" if pairs else ""


def _kind(value: Any) -> str:
    return "a missing value" if is_missing(value) else type(value).__name__


def well_formed(text: str) -> bool:
    """Whether a text can be encoded, which one with lone surrogates cannot."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_missing(value: Any) -> bool:
    """Returns whether a value is None, NaN, or one of pandas' equivalents."""
    nan = isinstance(value, (float, np.floating)) and value != value
    return value is None or bool(nan) or type(value).__name__ in ("NAType", "NaTType")


def column(values: Any, name: str) -> list[Any]:
    """Returns the values of a column, one a text, as a list.

    Args:
        values: list, Series, or array `(N,)` or `(N, 1)`.
        name: of the argument or column, for messages.
    Raises: TypeError or ValueError for anything else, such as labels with one column a class.
    """
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__iter__"):
        raise TypeError(f"`{name}` must be a list with one value a text. Received: {type(values).__name__}")
    if hasattr(values, "columns"):
        raise TypeError(
            f"`{name}` must be one column. Received: a {type(values).__name__} of {len(values.columns)} columns"
        )
    if hasattr(values, "shape") and hasattr(values, "dtype"):
        array = values if hasattr(values, "tolist") else np.asarray(values)
        if len(array.shape) == 2 and array.shape[1] == 1:
            array = np.asarray(array)[:, 0]
        if len(array.shape) != 1:
            raise ValueError(
                f"`{name}` must have one value a text, shape (N,) or (N, 1). Received: shape {tuple(array.shape)}. "
                "Of one-hot labels take argmax(axis=1)."
            )
        return list(array.tolist())
    return list(values)


def weights(values: Sequence[Any]) -> tuple[np.ndarray, dict[int, str]]:
    """Reads how much each text counts.

    Args:
        values: N of them: numbers, or as they are written.
    Returns: float64 `(N,)`, and what is wrong with a value, by its place.
    """
    found, problems = np.zeros(len(values)), {}
    for i, value in enumerate(values):
        try:
            found[i] = float(value)
        except (TypeError, ValueError):
            found[i] = np.nan
        if not 0 <= found[i] < np.inf:
            problems[i] = "is empty" if is_missing(value) or value == "" else f"is no number of 0 or more: {value!r}"
    return found, problems


def normalised(weights: Any) -> np.ndarray:
    """Returns weights as float32 of mean 1, so that they change neither learning rate nor regularisation; all 0 stay."""
    weights = np.asarray(weights, "float64")
    return (weights / ((weights.mean() if len(weights) else 0.0) or 1.0)).astype("float32")


def class_numbers(labels: Any, classes: int | None = None) -> np.ndarray:
    """Checks labels as `fit` takes them and returns them as an array.

    Args:
        labels: int `(N,)` or `(N, 1)`, or the same as float.
        classes: int, the number of classes; None = not checked.
    Raises: TypeError for words, ValueError for a number that is no class.
    """
    array = np.asarray(labels)
    if array.dtype == object and all(isinstance(value, (int, float, np.number)) for value in array.flat):
        array = np.asarray(array.tolist())
    if array.dtype.kind in "USO":
        example = next(iter(array.ravel().tolist()), None)
        raise TypeError(
            f"Labels must be integers from 0 to {(classes or 2) - 1}. Received: {example!r}. Turn words into numbers first: "
            "[model.config.label2id[label] for label in labels]"
        )
    if classes and array.size and array.dtype.kind in "iufb":
        numbers = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
        if numbers.shape[1] == 1:
            wrong = np.flatnonzero(~((numbers[:, 0] >= 0) & (numbers[:, 0] < classes) & (numbers[:, 0] % 1 == 0)))
            if len(wrong):
                value = numbers[wrong[0], 0].item()
                advice = " Are they counted from 1? Subtract 1." if value == classes and numbers.min() == 1 else ""
                raise ValueError(
                    f"Labels must lie between 0 and {classes - 1}: the model has {classes} classes (num_labels). Received: label "
                    f"{value} at position {wrong[0]}.{advice}"
                )
    return array
