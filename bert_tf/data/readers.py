"""Labelled texts from every source, as `Examples`.

A source becomes a table (`formats.py`, `delimited.py`), its label values become classes (`classes.py`), rows that are no examples
are skipped or refused here.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.data import gates
from bert_tf.data.classes import Encoded, Rules, encode, read_groups, rules
from bert_tf.data.examples import Examples, check_columns
from bert_tf.data.formats import hub_table, in_memory, read_file
from bert_tf.data.gates import Text, is_missing, is_pair, parts, well_formed, wrong_kind
from bert_tf.data.label_sets import LISTS, encode_columns, encode_sets, looks_like_sets
from bert_tf.data.numbers import encode_numbers
from bert_tf.data.tables import LABEL_COLUMNS, MISSING, TEXT_COLUMNS, Table, beside, find_column
from bert_tf.formatting import counted
from bert_tf.options import with_options
from bert_tf.settings import READ, Data, Settings
from bert_tf.tasks.task import task_of

log = logging.getLogger("bert_tf")

DEMO, DEMO_VALIDATION = "demo", "demo:validation"  # the product reviews that ship with the package, as sources
# What `Examples` were read with, and cannot be read with later.
READING = ("text_column", "encoding", "separator", "quoting", "header", "sheet", "on_bad_rows")
OF_LABELS = ("label_column", "labels", "drop", "fold_case")
BESIDE = ("weight_column", "group_column")  # which a source may lack, see `check_columns`
LEAST_ROWS, REPEATED = 8, 2  # of a table whose columns have no names, to tell them apart; rows per value of a label
FEW = 0.01  # share of rows that may be skipped without being asked
SHOWN = 3  # of them, in a message
# How each task reads its label values; with the arguments of `encode`.
READERS = {"classification": encode, "ordinal": encode, "multi-label": encode_sets, "regression": encode_numbers}


@with_options(READ)
def read_examples(
    source: Any,
    text_column: Any = None,
    label_column: str | int | Sequence[str] | None = None,
    *,
    labelled: bool = True,
    data_dir: str | os.PathLike | None = None,
    keep: Sequence[str] = (),
    settings: Settings,
) -> Examples:
    """Reads labelled texts from whatever `source` is.

    What has to be guessed of a file, its encoding, separator, quotes and header, is said in
    `remarks` and logged; each guess has an option. Where two readings of a file are plausible
    and give different rows, that is an error.

    Args:
        source: path of a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file, or of one of these
            packed as .gz, .zip, .zst, .bz2 or .xz; `"tfds:NAME"` or `"tfds:NAME@SPLIT"` of
            tensorflow-datasets; `"hf:NAME@SPLIT"` of the Hugging Face hub; `"demo"` or
            `"demo:validation"`, the product reviews that ship with the package; a DataFrame of
            pandas or polars; a `datasets.Dataset`, or the folder of one; a dict of lists; a
            list of dicts; a pair (texts, labels); `Examples`.
            A text may also be a tuple of two, a pair that is classified together.
        text_column, label_column: names of the columns; None = found by their usual names. Two
            names, "a,b" or ("a", "b"), are those of pairs of texts.
            Several label columns are labels of which a text has any number.
        labelled: bool, whether labels are needed; False reads only texts.
        data_dir: the data folder of tensorflow-datasets; None = its default.
        keep: names of more columns, whose values will be in `Examples.kept`.
        {options}
    Returns: `Examples`; class names are the labels as text, in numeric or alphabetical order.
        `task` says what was read.
    Raises: FileNotFoundError, ValueError or TypeError that names the file and row and says what
        to do.

    >>> read_examples({"text": ["good", "bad"], "label": [1, 0]}).label_names
    ('0', '1')
    """
    columns: dict[str, Any] = {"text_column": text_column, "label_column": label_column}
    data = replace(settings.data, **columns)
    examples = read(source, data, labelled=labelled, data_dir=data_dir, keep=keep)
    if labelled:
        check_columns(examples, data)
    for remark in examples.remarks:
        log.warning(remark)
    return examples


def read(
    source: Any,
    data: Data,
    *,
    labelled: bool = True,
    data_dir: str | os.PathLike | None = None,
    keep: Sequence[str] = (),
) -> Examples:
    """As `read_examples`, with its options in `data`; the remarks are left to the caller."""
    options = (*READING, *OF_LABELS) if labelled else READING
    chosen = {name: value for name in options if (value := getattr(data, name)) != getattr(Data, name)}
    if isinstance(source, Examples):
        if late := [name for name, value in chosen.items() if source.read_with.get(name) != value]:
            shown = ", ".join(f"{name}={chosen[name]!r}" for name in late)
            which = "the labels of `Examples` are classes" if {*late} & {*OF_LABELS} else "these `Examples` are read"
            raise ValueError(
                f"{source.source}: {which} already. Received: {shown}. Pass it where they are read: read_examples(..., {shown})"
            )
        if lacking := [name for name in keep if name not in source.kept]:
            shown = ", ".join(map(repr, keep))
            raise ValueError(
                f"{source.source}: these `Examples` lack the column {lacking[0]!r}. Read them with it: read_examples(..., keep=[{shown}])"
            )
        task = source.task if data.task == "auto" else data.task
        if labelled and READERS[task] is not READERS[source.task]:
            raise ValueError(
                f"{source.source}: was read for task={source.task!r}. Received: task={data.task!r}. Pass it where it is read: "
                f"read_examples(..., task={data.task!r})"
            )
        return replace(source, task=task) if labelled and task != source.task else source
    beside_labels = {name: value for name in BESIDE if (value := getattr(data, name)) is not None} if labelled else {}
    return replace(_read(source, data, labelled, data_dir, keep), read_with=chosen | beside_labels)


def _read(
    source: Any, data: Data, labelled: bool, data_dir: str | os.PathLike | None, keep: Sequence[str] = ()
) -> Examples:
    given = rules(data.labels, data.drop, data.fold_case)  # before the file: a wrong option is quickly said
    if isinstance(source, str) and source in (DEMO, DEMO_VALIDATION):
        return replace(_read(demo_file(source), data, labelled, data_dir, keep), source=source)
    if isinstance(source, str) and source.startswith("tfds:"):
        from bert_tf.data.hosted import tfds_table

        if keep:
            raise ValueError(f"{source}: only text and label are read of tensorflow-datasets. Received: {keep[0]!r}")
        table, stream = tfds_table(source, data, labelled, data_dir)
        if not labelled:
            return Examples(stream, None, (), source)
        encoded, task = _encoded(table, 0, given, data)
        return _without_bad_rows(table, stream, encoded, dict(encoded.problems), data, {"task": task})
    if isinstance(source, str) and source.startswith("hf:"):
        table = hub_table(source)
    elif isinstance(source, (str, os.PathLike)):
        table = read_file(Path(source).expanduser(), data, labelled)
    else:
        table = in_memory(source)
    return _examples(table, data, given, labelled, keep)


def _examples(table: Table, data: Data, given: Any, labelled: bool, keep: Sequence[str] = ()) -> Examples:
    """Takes the columns of a table, checks its rows, turns its labels into classes."""
    source = table.source
    chosen, label, several = _columns(table, data, labelled)
    name = ",".join(table.names[place] for place in chosen)
    kept = {k: _plain(table.columns[find_column(table.names, k, (), source, "column", None)]) for k in keep}
    columns_of_texts = [_listed(table.columns[place]) for place in chosen]
    texts: list[Any] = columns_of_texts[0] if len(chosen) == 1 else [*zip(*columns_of_texts, strict=True)]
    if not texts and not table.broken:
        raise ValueError(f"{source}: has no rows.")
    problems: dict[int, str] = {}
    pairs = bool(texts) and is_pair(texts[0])
    for row, value in enumerate(texts):
        for place, part in zip(cycle(chosen), value if is_pair(value) else (value,), strict=False):
            if problem := wrong_text(part, labelled, lambda: table.written and not table.quoted(row, place)):  # noqa: B023
                problems.setdefault(row, f"the text (column {table.names[place]!r}) {problem}")
        if row not in problems and (problem := wrong_kind(value, pairs)):
            problems[row] = f"the text (column {name!r}) is {problem}"
    if label is None:
        return _without_bad_rows(table, texts, None, problems, data, {"kept": kept})
    if several:
        encoded, task = _encoded_columns(table, several, data), "multi-label"
    else:
        if (count := len(table.columns[label])) != len(texts):
            raise ValueError(f"{source}: {len(texts)} texts and {count} labels. Each text needs one label.")
        encoded, task = _encoded(table, label, given, data)
    for row, value in enumerate(table.columns[label]) if table.written else ():
        # Of a quote that is not closed, or closes where it was not opened.
        if '"' in value and value.count('"') % 2 and not table.quoted(row, label):
            problems.setdefault(row, f"the label (column {table.names[label]!r}) has a single quote: {value!r}")
    for row, problem in encoded.problems.items():
        problems.setdefault(row, problem)
    labels = several or [label]
    used, per_text = _beside(table, data, problems)
    columns = (name, ", ".join(table.names[i] for i in labels))
    others = [name for i, name in enumerate(table.names) if i not in (*chosen, *labels, *used) and name]
    examples = _without_bad_rows(table, texts, encoded, problems, data, per_text | {"kept": kept, "task": task})
    return replace(examples, columns=columns, other_columns=tuple(others))


def _encoded(table: Table, label: int, given: Rules, data: Data) -> tuple[Encoded, str]:
    """Turns a column of label values into labels, and says of which task."""
    values, source, column = _named(table, label), table.source, table.names[label]
    task, shown = data.task, ""
    if task == "auto":
        shown = "" if given.named else looks_like_sets(values)
        task = "multi-label" if shown else "classification"
    encoded = READERS[task](
        values,
        given,
        source,
        column,
        lambda row: table.written and not table.quoted(row, label),
        table.class_names.get(label, ()),
    )
    if shown and shown != "a list":
        one = "For one class a combination: task='classification' (--task classification)."
        remark = f"{source}: labels such as {shown!r} (column {column!r}) are read as several labels of a text. {one}"
        encoded = replace(encoded, remarks=[remark, *encoded.remarks])
    return encoded, task


def _encoded_columns(table: Table, several: Sequence[int], data: Data) -> Encoded:
    """Turns several columns of 0 and 1 into labels."""
    names = [table.names[i] for i in several]
    if data.task not in ("auto", "multi-label"):
        raise ValueError(
            f"Several label columns ({', '.join(names)}) are labels of which a text has any number, task='multi-label' (--task "
            f"multi-label). For task={data.task!r} name one column."
        )
    if wrong := [name for name in ("labels", "drop") if getattr(data, name)]:
        raise ValueError(
            f"`{wrong[0]}` (--{wrong[0]}) names values of one label column. Received: {len(names)} label columns"
        )
    return encode_columns([_listed(table.columns[i]) for i in several], names)


def _beside(table: Table, data: Data, problems: dict[int, str]) -> tuple[list[int], dict[str, Any]]:
    """Returns the columns of weights and groups, and their values; adds to the problems. A source may lack them: only training
    texts need them (`check_columns`)."""
    used: list[int] = []
    found: dict[str, Any] = {}
    for name, given, read in (
        ("weights", data.weight_column, gates.weights),
        ("groups", data.group_column, read_groups),
    ):
        place = beside(table.names, given)
        if place is None:
            continue
        used.append(place)
        found[name], wrong = read(_listed(table.columns[place]))
        for row, problem in wrong.items():
            problems.setdefault(row, f"the {name[:-1]} (column {table.names[place]!r}) {problem}")
    return used, found


def text_columns(table: Table, data: Data) -> list[int]:
    """Returns the indices of the text, or of both texts of pairs, in a table without labels."""
    return _columns(table, data, labelled=False)[0]


def _columns(table: Table, data: Data, labelled: bool) -> tuple[list[int], int | None, list[int]]:
    """Returns the indices of the text, or of both texts of pairs, of the label, and of all label columns if there are several."""
    source, names = table.source, table.names
    headless = table.written and [*names] == [str(i + 1) for i in range(len(names))]
    if headless and data.text_column is None and len(names) <= 2:
        lengths = [sum(map(len, map(str, column))) for column in table.columns]
        text = int(np.argmax(lengths))
        if labelled and len(names) == 2:
            table.remarks.append(f"{source}: column {text + 1} is taken as the text, column {2 - text} as the label.")
            return [text], 1 - text, []
        if not labelled:
            return [text], None, []
    if headless and labelled and data.text_column is data.label_column is None and (found := _told_apart(table)):
        text, label = found
        table.remarks.append(f"{source}: column {text + 1} is taken as the text, column {label + 1} as the label.")
        return [text], label, []
    advice = " If the first row is data: header=False (--no-header)." if table.written and not headless else ""
    if not table.written:  # such as the sheet that was taken
        advice = "".join(remark.replace(f"{source}:", "") for remark in table.remarks)
    asked: list[Any] = [data.text_column]
    if "," in str(data.text_column) and str(data.text_column) not in map(str, names):
        asked = str(data.text_column).split(",")
        if len(asked) != 2 or not all(part.strip() for part in asked):
            raise ValueError(
                f"`text_column` names one column, or the two of pairs of texts, A,B. Received: {data.text_column!r}"
            )
    texts = [find_column(names, name, TEXT_COLUMNS, source, "text", advice) for name in asked]
    if len({*texts}) < len(texts):
        raise ValueError(f"{source}: both texts of a pair are the column {names[texts[0]]!r}. Name two.")
    if not labelled:
        return texts, None, []
    if len(asked := _several(names, data.label_column)) > 1:
        labels = [find_column(names, name, LABEL_COLUMNS, source, "label", advice) for name in asked]
        if {*texts} & {*labels} or len({*labels}) < len(labels):
            raise ValueError(
                f"{source}: the text and each label need a column of their own. Received: {data.label_column!r}"
            )
        return texts, labels[0], labels
    label = find_column(names, data.label_column, LABEL_COLUMNS, source, "label", advice)
    if label in texts:
        raise ValueError(f"{source}: text and label are the same column, {names[label]!r}. Name another one.")
    return texts, label, []


def _several(names: Sequence[Any], given: Any) -> list[str]:
    """Returns the names of columns that stand in one text, with commas between; a column may itself have a comma in its name."""
    if not isinstance(given, str) or given in map(str, names):
        return []
    return [part.strip() for part in given.split(",") if part.strip()]


def _told_apart(table: Table) -> tuple[int, int] | None:
    """Returns which of several nameless columns are the text and the label, if their values leave no doubt: the text is the only
    column of sentences, the label the only one whose values repeat; those of all others, such as ids, differ from row to row."""
    columns = [[str(value).strip() for value in column] for column in table.columns]
    rows = len(columns[0])
    if rows < LEAST_ROWS:
        return None
    texts = [i for i, column in enumerate(columns) if sum(" " in value for value in column) > rows / 2]
    labels = [i for i, column in enumerate(columns) if i not in texts and 1 < len({*column}) <= rows / REPEATED]
    others = [i for i in range(len(columns)) if i not in (*texts, *labels)]
    if len(texts) == len(labels) == 1 and all(len({*columns[i]}) == rows for i in others):
        return texts[0], labels[0]
    return None


def _listed(column: Sequence[Any]) -> list[Any]:
    return column.tolist() if hasattr(column, "tolist") else [*column]


def _plain(column: Sequence[Any]) -> list[Any]:
    """Returns values with None for the missing ones, some of which cannot even be compared."""
    return [None if is_missing(value) else value for value in _listed(column)]


def _named(table: Table, label: int) -> list[Any]:
    """Returns the label values, by the names that come with a data set; -1 stands for none there."""
    values, names = _listed(table.columns[label]), table.class_names.get(label)
    if not names:
        return values

    def name(value: Any) -> Any:
        if isinstance(value, LISTS):
            return [name(part) for part in value]
        return None if is_missing(value) or int(value) < 0 else names[int(value)]

    return [name(value) for value in values]


def wrong_text(text: Any, labelled: bool, unquoted: Any) -> str:
    """Returns what is wrong with a text; "" = nothing. Without labels an empty text may stay: each row gets an answer."""
    if not isinstance(text, str):
        return "is empty" if is_missing(text) else f"is of type {type(text).__name__}"
    if not well_formed(text):
        return "has half a character (a lone surrogate)"
    if "\0" in text:
        return "contains a NUL byte"
    if labelled and not text.strip():
        return "is empty"
    if labelled and text.strip() in MISSING and unquoted():
        return f"is {text.strip()!r} without quotes, which stands for a missing value"
    return ""


def _without_bad_rows(
    table: Table,
    texts: Any,
    encoded: Encoded | None,
    problems: dict[int, str],
    data: Data,
    per_text: Mapping[str, Any] | None = None,
) -> Examples:
    """Leaves out rows that are no examples, if they are few or `on_bad_rows` says so, and those that `drop` names."""
    source, labelled = table.source, encoded is not None
    bad = [*table.broken, *(f"{table.where(row)}: {problem}" for row, problem in sorted(problems.items()))]
    total = len(texts) + len(table.broken)
    few = labelled and len(bad) < FEW * total  # without labels each row needs an answer of its own
    if bad and (data.on_bad_rows == "error" or (data.on_bad_rows is None and not few)):
        raise ValueError(refused(source, bad, len(bad), total))
    remarks = [*table.remarks, *(encoded.remarks if encoded else ())]
    labels = encoded.labels if encoded else None
    names = encoded.names if encoded else ()
    examples = Examples(texts, labels, names, source, **(per_text or {}))
    gone = np.zeros(len(texts), bool)
    gone[[*problems]] = True
    if encoded and encoded.dropped:
        gone[encoded.dropped] = True
        remarks.append(f"{source}: {counted(len(encoded.dropped), 'row')} left out by label (--drop {data.drop}).")
    if gone.all():
        raise ValueError(f"{source}: no rows are left of {total:,}.")
    if bad:
        remarks.append(skipped(source, bad, len(bad), total))
    if gone.any():
        examples = _compact(examples.take(np.flatnonzero(~gone)), labels)
    if damaged := _damaged_by_latin1(examples.texts if isinstance(examples.texts, list) else []):
        remarks.append(f"{source}: {damaged}")
    if examples.weights is not None:
        if not examples.weights.any():
            raise ValueError(f"{source}: every text has weight 0, so that nothing would be learnt.")
        examples = replace(examples, weights=gates.normalised(examples.weights))
    return replace(examples, remarks=tuple(remarks), skipped=tuple(bad))


def refused(source: str, bad: Sequence[str], count: int, total: int) -> str:
    """Says which rows cannot be used, `count` of `total`; `bad` describes them, the first ones at least."""
    more = f"; and {count - SHOWN:,} more" if count > SHOWN else ""
    one = count == 1
    return (
        f"{source}: {'; '.join(bad[:SHOWN])}{more}. {'One' if one else f'{count:,}'} of {counted(total, 'row')} cannot be used: "
        f"correct {'it' if one else 'them'}, or leave {'it' if one else 'them'} out with on_bad_rows='skip' (--on-bad-rows skip)."
    )


def skipped(source: str, bad: Sequence[str], count: int, total: int) -> str:
    """Says which rows are left out; arguments as of `refused`."""
    more = ", ..." if count > SHOWN else ""
    return f"{source}: {count:,} of {counted(total, 'row')} skipped: {'; '.join(bad[:SHOWN])}{more}."


def _compact(examples: Examples, before: np.ndarray | None) -> Examples:
    """Leaves out classes that no row has any more; `before` are the labels of all rows, -1 = none."""
    if before is None:
        return examples
    task, count = task_of(examples.task), len(examples.label_names)
    stays = task.present(examples.labels, count) | ~task.present(before, count)
    names = tuple(name for name, kept in zip(examples.label_names, stays, strict=True) if kept)
    return replace(examples, labels=task.without(examples.labels, stays), label_names=names)


def _damaged_by_latin1(texts: Sequence[Text]) -> str:
    """Says whether texts have control characters where cp1252 has quotes and dashes."""
    every = (part for text in texts for part in parts(text))
    wrong = sum(1 for text in every if not text.isascii() and any("\x80" <= c <= "\x9f" for c in text))
    if not wrong:
        return ""
    return (
        f"{wrong:,} texts have control characters (U+0080 to U+009F), as after reading cp1252 as Latin-1: their quotes, dashes "
        "and euro signs are lost. Read the original file; cp1252 needs no conversion."
    )


def demo_file(source: str) -> Path:
    """Returns the file of `DEMO` or `DEMO_VALIDATION`."""
    return Path(__file__).parents[1] / "reviews" / ("train.csv" if source == DEMO else "validation.csv")


def demo_reviews() -> tuple[Examples, Examples]:
    """Returns the product reviews that ship with the package, 920 for training and 232 for validation.

    Written for this package, CC0; see bert_tf/reviews/README.md. As sources they are called "demo" and "demo:validation".
    """
    return read_examples(DEMO), read_examples(DEMO_VALIDATION)
