"""Label values to classes: 1, 1.0, " 1" and True are one value, in whatever file and type they come; 01 and 1.10 are words."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bert_tf.data.gates import is_missing
from bert_tf.data.tables import MISSING
from bert_tf.formatting import counted, printable

MOST_CLASSES = 1000
MAYBE_MISSING = ": a missing value, or a class to name with --labels"
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
RANGE = re.compile(rf"({NUMBER.pattern})-({NUMBER.pattern})")
LONGEST = 30  # characters of a number; longer ones are words
BOOLEANS = {"true": 1, "false": 0}
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def _never(row: int) -> bool:
    return False


Key = tuple[int, Any]  # (0, number) or (1, word)


class Range(NamedTuple):
    """Numbers with both ends, and the word that it is itself, as of a label "18-24"; only that if it goes downwards."""

    low: float
    high: float
    word: str


@dataclass(frozen=True)
class Rules:
    """How label values become classes.

    Attributes:
        named: name of a class -> the values that belong to it, `Key`s or `Range`s; empty = each value is a class.
        dropped: values whose rows are left out, in the same form.
        fold_case: bool, whether words that differ in case only are one class.
    """

    named: Mapping[str, Sequence[Any]]
    dropped: Sequence[Any]
    fold_case: bool = False

    def class_of(self, key: Key) -> str | None:
        given = self.named.items()
        itself = next((name for name, values in given if _named_itself(key, values)), None)
        return itself or next((name for name, values in given if _within(key, values)), None)

    def drops(self, key: Key) -> bool:
        return _named_itself(key, self.dropped) or _within(key, self.dropped)

    def backwards(self) -> list[Range]:
        every = [*self.dropped, *(value for values in self.named.values() for value in values)]
        return [value for value in every if isinstance(value, Range) and value.low > value.high]


@dataclass(frozen=True)
class Encoded:
    """
    Attributes:
        names: of the classes, in numeric, then alphabetical order, or that of `Rules.named` or of the data set.
        labels: int32 `(N,)`, indices into `names`; -1 = no label.
        problems: row -> why it has no label.
        dropped: rows that the rules leave out.
        remarks: what there is to say about the labels, a sentence each.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    problems: dict[int, str]
    dropped: list[int]
    remarks: list[str]


def rules(labels: str | None, drop: str | None, fold_case: bool = False) -> Rules:
    """Reads the options `labels`, "negative=1-2,positive=4-5", and `drop`, "3".

    Raises: ValueError if they cannot be read, or a value stands in two classes.
    """
    named: dict[str, list[Any]] = {}
    for part in _parts(labels):
        name, equals, listed = part.partition("=")
        if not (equals and name.strip() and listed.strip()):
            raise ValueError(f'`labels` must be written as "negative=1-2,positive=4-5". Received: labels={labels!r}')
        named.setdefault(name.strip(), []).extend(_value(value) for value in listed.split("|"))
    for name, values in named.items():
        for other, theirs in named.items():
            if twice := [value for value in values if name != other and _overlap(value, theirs)]:
                raise ValueError(f"`labels`: {_shown(twice[0])} is in two classes, {name!r} and {other!r}.")
    places(named)
    return Rules(named, [_value(part) for part in _parts(drop)], fold_case)


def key_of(value: Any) -> Key | None:
    """Returns what makes two label values one class; None for a missing value.

    A text is a number if Python writes that number so. Others, 01 and 1.10, may be codes, sections or versions, and are words.

    Raises: TypeError for a value that is no single label, such as a dict or a list.

    >>> key_of(1) == key_of("1.0") == key_of(" 1") == key_of(True) == key_of("true")
    True
    >>> key_of("1.1"), key_of("1.10"), key_of("01")
    ((0, 1.1), (1, '1.10'), (1, '01'))
    """
    if is_missing(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, (bool, int, float)) or type(value).__name__ in ("Decimal", "Fraction"):
        return (0, int(value) if value == int(value) else float(value)) if value - value == 0 else (1, str(value))
    if not isinstance(value, str):
        kind = type(value).__name__
        if isinstance(value, (dict, list, tuple, set, frozenset, np.ndarray)):
            raise TypeError(f"is a {kind}, {_short(value)}; one value a text is needed")
        value = str(value)
    word = plain(value)
    if word.casefold() in BOOLEANS:
        return (0, BOOLEANS[word.casefold()])
    if len(word) <= LONGEST and NUMBER.fullmatch(word):
        number = float(word) if "." in word else int(word)
        if str(number) == word.removeprefix("+"):
            return (0, int(number) if number == int(number) else number)
    return (1, word) if word else None


def read_groups(values: Sequence[Any]) -> tuple[np.ndarray, dict[int, str]]:
    """Reads which texts belong together.

    Args:
        values: N of them, of any kind; they agree as labels do: 1, 1.0 and "1" are one.
    Returns: str `(N,)`, and what is wrong with a value, by its place.
    """
    found, problems = [""] * len(values), {}
    for i, value in enumerate(values):
        try:
            key = key_of(value)
        except TypeError as error:
            key, problems[i] = None, str(error)
        if key is None:
            problems.setdefault(i, "is empty")
        else:
            found[i] = str(key[1])
    return np.array(found, str), problems


def places(names: Iterable[str]) -> dict[Key | None, int]:
    """Returns the index of each class by its key.

    Raises: ValueError if two classes are one value.
    """
    found: dict[Key | None, int] = {}
    every = [*names]
    for i, name in enumerate(every):
        if (other := found.setdefault(key_of(name), i)) != i:
            raise ValueError(f"The classes {every[other]!r} and {name!r} are one value. Rename one.")
    return found


def plain(word: str) -> str:
    """Returns a label without what cannot be seen: spaces around it, zero-width characters; accents in one form."""
    return unicodedata.normalize("NFC", INVISIBLE.sub("", word)).strip()


def encode(
    values: Iterable[Any],
    given: Rules,
    source: str,
    column: str,
    unquoted: Callable[[int], bool] = _never,
    declared: Sequence[str] = (),
) -> Encoded:
    """Turns label values into classes.

    Args:
        values: N of them, of any kind.
        given: `Rules`.
        source, column: for messages.
        unquoted: `row -> bool`, whether a value was written without quotes, so that NA is no word but a missing value.
        declared: str, the classes that a data set says it has, in its order.
    Raises: ValueError for values that cannot be classes: too many, some that differ in case only or that the rules lack.
    """
    found: list[Any] = []
    forms: dict[Any, Counter] = {}
    problems: dict[int, str] = {}
    dropped: list[int] = []
    known: dict[Any, tuple[Any, str]] = {}  # a file has few different values: each is looked at once
    for row, value in enumerate(values):
        try:
            if (type(value), value) not in known:
                known[type(value), value] = _chosen(value, given)
            chosen, problem = known[type(value), value]
        except TypeError:  # no value that can be hashed is a label
            chosen, problem = _chosen(value, given)
        if problem == MAYBE_MISSING:
            missing = not declared and unquoted(row)
            chosen, problem = (None, f"is {str(value).strip()!r}{MAYBE_MISSING}") if missing else (chosen, "")
        found.append(chosen)
        if problem:
            problems[row] = f"the label (column {column!r}) {problem}"
        elif chosen is None:
            dropped.append(row)
        else:
            forms.setdefault(chosen, Counter())[_form(value)] += 1
    numbers = [number for key in forms if isinstance(key, tuple) and (number := _number(key)) is not None]
    if wrong := [r for r in given.backwards() if any(r.high <= number <= r.low for number in numbers)]:
        raise ValueError(f"A range must go upwards. Received: {wrong[0].word!r}")
    if given.named:
        names = _named(forms, given, source)
    elif declared and not given.fold_case:
        names = {key: declared[i] for key, i in places(declared).items()}
    else:
        names = _by_value(forms, given, source, column, len(found))
    classes = tuple(dict.fromkeys(names.values()))
    index = {chosen: classes.index(name) for chosen, name in names.items()}
    labels = np.array([-1 if chosen is None else index[chosen] for chosen in found], "int32")
    return Encoded(classes, labels, problems, dropped, _remarks(forms, given, source, column))


def _chosen(value: Any, given: Rules) -> tuple[Any, str]:
    """Returns the class of a value, its name or key, None if its rows are left out, and what is wrong with it."""
    try:
        key = key_of(value)
    except TypeError as error:
        return None, str(error)
    if key is None:
        return None, "is empty"
    if given.drops(key):
        return None, ""
    if given.named:
        return given.class_of(key) or key, ""
    missing = isinstance(value, str) and value.strip() in MISSING
    return (1, key[1].casefold()) if given.fold_case and key[0] else key, MAYBE_MISSING if missing else ""


def _named(forms: Mapping[Any, Counter], given: Rules, source: str) -> dict[Any, str]:
    """Returns the classes of the rules, in their order; values that already bear a class's name belong to it."""
    order = [*given.named]
    place = places(order)
    other = {key: count for key, count in forms.items() if isinstance(key, tuple) and key not in place}
    if other:
        shown = ", ".join(
            f"{_shown(key)} ({counted(sum(other[key].values()), 'row')})" for key in sorted(other, key=_order)[:10]
        )
        raise ValueError(
            f"{source}: labels without a class: {shown}. Give them one with labels=... (--labels), or leave their rows out with "
            "drop=... (--drop)."
        )
    found = {key: order[place[key]] if isinstance(key, tuple) else key for key in forms}
    return dict(sorted(found.items(), key=lambda item: order.index(item[1])))


def _by_value(forms: Mapping[Any, Counter], given: Rules, source: str, column: str, rows: int) -> dict[Any, str]:
    keys = sorted(forms, key=_order)
    if len(keys) > MOST_CLASSES:
        first, second = (_name(key, forms[key], forms) for key in keys[:2])
        numbers = " If they are numbers to predict: task='regression' (--task regression)."
        raise ValueError(
            f"{source}: {len(keys)} different labels in {rows} rows, for example {first!r} and {second!r}. "
            "That does not look like classes: name the right column with label_column=... (--label-column)."
            f"{numbers if all(_number(key) is not None for key in keys) else ''}"
        )
    alike: dict[str, list[Any]] = {}
    for key in keys:
        if key[0]:
            alike.setdefault(key[1].casefold(), []).append(key)
    if differing := [key for several in alike.values() if len(several) > 1 for key in several]:
        shown = ", ".join(f"{key[1]!r} ({sum(forms[key].values()):,})" for key in differing)
        raise ValueError(
            f"{source}: labels that differ in case only: {shown}. If they are one class: fold_case=True (--fold-case); if not: "
            "name each with labels=... (--labels)."
        )
    return {key: _name(key, forms[key], forms) for key in keys}


def _name(key: Key, spelled: Counter, forms: Mapping[Any, Counter]) -> str:
    """Returns the name of a class: as it is spelled, or if there are several spellings the plainest one."""
    if key[0]:
        return str(key[1])
    booleans = [form for value in (0, 1) for form in forms.get((0, value), ()) if form.casefold() in BOOLEANS]
    every = [form for value in (0, 1) for form in forms.get((0, value), ())]
    if key[1] in (0, 1) and booleans and len(booleans) == len(every):
        plainly = len(every) == sum((0, value) in forms for value in (0, 1))
        return next(iter(spelled)) if plainly else str(bool(key[1]))
    only = next(iter(spelled)) if len(spelled) == 1 else ""
    return only if only and "." not in only and only.casefold() not in BOOLEANS else str(key[1])


def _form(value: Any) -> str:
    return plain(value) if isinstance(value, str) else str(value)


def _remarks(forms: Mapping[Any, Counter], given: Rules, source: str, column: str) -> list[str]:
    """Returns what a reader should know of the labels."""
    said = []
    for spelled in forms.values() if not given.named else ():
        if word := next((form for form in spelled if form in MISSING), ""):
            rows = counted(sum(spelled.values()), "row")
            said.append(
                f"{source}: {word!r} (column {column!r}, {rows}) is a class of its own. If it stands for no label: "
                f"drop={word!r} (--drop {word})."
            )
    words = {key[1] for key in forms if isinstance(key, tuple) and key[0]}
    written: dict[float, list[str]] = {}  # each number, as its words and itself are written
    for key in forms if not given.named else ():
        if isinstance(key, tuple) and (number := _number(key)) is not None:
            written.setdefault(number, []).append(str(key[1]))
    if twins := next((sorted(several) for several in written.values() if len(several) > 1), None):
        shown = " and ".join(map(repr, twins[:2]))
        said.append(
            f"{source}: {shown} (column {column!r}) are classes of their own, as codes or versions. If such are one number: make "
            "the column numeric, or join them with --labels."
        )
    joined = [word for word in words if "|" in word]
    parts = {part.strip() for word in joined for part in word.split("|")}
    if joined and not given.named and parts & words:
        shown = sorted(joined)[0]
        said.append(
            f"{source}: labels such as {shown!r} (column {column!r}) look like several labels of a text; each combination is a "
            "class of its own. For several labels: task='multi-label' (--task multi-label)."
        )
    return said


def _parts(text: str | None) -> list[str]:
    return [part for part in str(text).split(",") if part.strip()] if text is not None else []


def _value(text: str) -> Any:
    """Reads one value or a range of numbers."""
    if found := RANGE.fullmatch(text.strip()):
        return Range(float(found[1]), float(found[4]), plain(text))
    if (key := key_of(text)) is None:
        raise ValueError(f"A label is missing. Received: {text!r}")
    return key


def _number(key: Key) -> float | None:
    """Returns the number that a key is, or is a way to write, such as 01; else None."""
    if key[0] == 0:
        return key[1]
    return float(key[1]) if NUMBER.fullmatch(key[1]) else None


def _order(key: Key) -> tuple[Any, ...]:
    """Sorts by number, then alphabetically."""
    number = _number(key)
    return (1, 0, key[1]) if number is None else (0, number, str(key[1]))


def _named_itself(key: Key, values: Sequence[Any]) -> bool:
    return any(key == ((1, value.word) if isinstance(value, Range) else value) for value in values)


def _within(key: Key, values: Sequence[Any]) -> bool:
    number = _number(key)
    return number is not None and any(isinstance(v, Range) and v.low <= number <= v.high for v in values)


def _overlap(value: Any, others: Sequence[Any]) -> bool:
    keys = [(1, value.word), (0, value.low)] if isinstance(value, Range) else [value]
    return any(_named_itself(key, others) or _within(key, others) for key in keys)


def _shown(value: Any) -> str:
    return f"{value.low:g}-{value.high:g}" if isinstance(value, Range) else repr(value[1])


def _short(value: Any) -> str:
    text = printable(repr(value))
    return text if len(text) <= 40 else text[:37] + "..."
