"""Labelled texts from every source, as `Examples`.

A new source is a function here and a line in `read_examples`.
"""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.data.examples import Examples, Stream
from bert_tf.files import error_reason

TEXT_COLUMNS = ("text", "review", "reviewtext", "review_text", "review_body", "sentence", "content", "body", "comment")
LABEL_COLUMNS = (
    "label", "labels", "sentiment", "positive", "ispositive", "is_positive", "class", "category", "target",
    "rating", "stars", "score",
)  # fmt: skip

DEMO, DEMO_VALIDATION = "demo", "demo:validation"  # the product reviews that ship with the package, as sources


def read_examples(
    source: Any,
    text_column: str | None = None,
    label_column: str | None = None,
    *,
    labelled: bool = True,
    data_dir: str | os.PathLike | None = None,
) -> Examples:
    """Reads labelled texts from whatever `source` is.

    Args:
        source: path of a .csv, .tsv, .jsonl or .parquet file; `"tfds:NAME"` or `"tfds:NAME@SPLIT"` of
            tensorflow-datasets; `"demo"` or `"demo:validation"`, the product reviews that ship with the package; a pandas
            DataFrame; a dict of lists; a pair (texts, labels); `Examples`.
        text_column, label_column: names of the columns; None = found by their usual names.
        labelled: bool, whether labels are needed; False reads only texts.
        data_dir: the data folder of tensorflow-datasets; None = its default.
    Returns: `Examples`; class names are the labels as text, in numeric or alphabetical order.
    Raises: FileNotFoundError, ValueError or TypeError that names the file and row and says what to do.

    >>> read_examples({"text": ["good", "bad"], "label": [1, 0]}).label_names
    ('0', '1')
    """
    if isinstance(source, Examples):
        return source
    if isinstance(source, str) and source in (DEMO, DEMO_VALIDATION):
        file = Path(__file__).parents[1] / "reviews" / ("train.csv" if source == DEMO else "validation.csv")
        return replace(read_examples(file), source=source)
    if isinstance(source, str) and source.startswith("tfds:"):
        return _tfds_examples(source, text_column, label_column, labelled, data_dir)
    origin = "the given lists"
    if isinstance(source, (str, os.PathLike)):
        columns, origin = _file_columns(Path(source)), str(Path(source))
    elif hasattr(source, "columns") and hasattr(source, "to_dict"):
        columns, origin = _frame_columns(source), "the DataFrame"
    elif isinstance(source, Mapping):
        columns = {str(name): list(values) for name, values in source.items()}
    elif isinstance(source, tuple) and len(source) == 2:
        text_column, label_column = "text", "label"
        columns = {"text": list(source[0]), "label": list(source[1])}
    else:
        raise TypeError(
            "Expected a path, 'tfds:NAME', 'demo', a DataFrame, a dict of lists or a pair (texts, labels). "
            f"Received: {type(source).__name__}"
        )
    return _column_examples(columns, origin, text_column, label_column, labelled)


def _file_columns(file: Path) -> dict[str, list]:
    readers = {".csv": _csv_columns, ".tsv": _csv_columns, ".jsonl": _jsonl_columns, ".parquet": _parquet_columns}
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such file.")
    if file.is_dir() or file.suffix.lower() not in readers:
        raise ValueError(f"{file}: expected a file that ends in {', '.join(readers)}, or tfds:NAME, or demo.")
    if file.stat().st_size == 0:
        raise ValueError(f"{file}: the file is empty.")
    return readers[file.suffix.lower()](file)


def _csv_columns(file: Path) -> dict[str, list]:
    # Invalid bytes are read as surrogates, so that the error can name their row.
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines, delimiter="\t" if file.suffix.lower() == ".tsv" else ",", strict=True)
        csv.field_size_limit(max(csv.field_size_limit(), 100_000_000))  # a text may be longer than csv's limit
        rows: list[list[str]] = []
        try:
            header = next(reader, [])
            for row in filter(None, reader):
                where = f"{file}: row {len(rows) + 1} (line {reader.line_num})"
                if len(row) != len(header):
                    raise ValueError(
                        f"{where} has {len(row)} fields, the header has {len(header)} ({', '.join(header)}). "
                        'Put quotes ("...") around texts with commas or line breaks.'
                    )
                _check_characters("".join(row), where)
                rows.append(row)
        except csv.Error as error:
            where = f"{file}: row {len(rows) + 1} (line {reader.line_num})"
            raise ValueError(f"{where} is not valid CSV ({error}).") from error
    if len(set(header)) != len(header):
        raise ValueError(f"{file}: the header repeats column names: {', '.join(header)}.")
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def _check_characters(text: str, where: str) -> None:
    damaged = "contains a NUL byte: the file is damaged or not text. Remove the row or export the data again."
    if "\0" in text:
        raise ValueError(f"{where} {damaged}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        advice = "Convert the file, for example: iconv -f LATIN1 -t UTF-8."
        raise ValueError(f"{where} is not valid UTF-8. {advice}") from error


def _jsonl_columns(file: Path) -> dict[str, list]:
    rows = []
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{file}: line {number}"
            _check_characters(line, where)
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{where} is not valid JSON ({error}).") from error
            if not isinstance(rows[-1], dict):
                raise ValueError(f'{where} is not a JSON object. Expected one such as {{"text": ..., "label": ...}}.')
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}


def _parquet_columns(file: Path) -> dict[str, list]:
    try:
        import pandas
    except ImportError as error:
        raise ValueError(f"{file}: reading Parquet needs pandas and pyarrow: pip install pandas pyarrow.") from error
    try:
        return _frame_columns(pandas.read_parquet(file))
    except Exception as error:  # pyarrow's errors have no common class
        raise ValueError(f"{file}: not a readable Parquet file ({error_reason(error)}).") from error


def _frame_columns(frame: Any) -> dict[str, list]:
    return {str(name): frame[name].tolist() for name in frame.columns}


def _column_examples(columns: dict[str, list], source: str, text_column, label_column, labelled) -> Examples:
    text_column = _find_column(columns, text_column, TEXT_COLUMNS, source, "text")
    if not (texts := columns[text_column]):
        raise ValueError(f"{source}: has no rows.")
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str) or (labelled and not text.strip()):
            problem = "empty" if isinstance(text, str) or _missing(text) else f"of type {type(text).__name__}"
            raise ValueError(
                f"{source}: row {number}: the text (column {text_column!r}) is {problem}. Correct or remove the row."
            )
    if not labelled:
        return Examples(texts, None, (), source)
    label_column = _find_column(columns, label_column, LABEL_COLUMNS, source, "label")
    if text_column == label_column:
        raise ValueError(f"{source}: text and label are the same column, {text_column!r}. Name another one.")
    labels = columns[label_column]
    if len(labels) != len(texts):
        raise ValueError(f"{source}: {len(texts)} texts and {len(labels)} labels. Each text needs one label.")
    return _encode(texts, labels, source, label_column)


def _find_column(columns: Mapping, given: str | None, usual: Sequence[str], source: str, what: str) -> str:
    if given is not None and given in columns:
        return given
    problem = f"no column {given!r}"
    if given is None:
        lowered = {name.strip().lower(): name for name in columns}
        if found := next((name for name in usual if name in lowered), None):
            return lowered[found]
        problem = f"no column with a usual name for the {what}"
    separated = any(";" in name for name in columns)
    advice = " The columns seem to be separated by semicolons; use commas." if separated else ""
    raise ValueError(
        f"{source}: {problem}. Columns: {', '.join(map(repr, columns)) or 'none'}. "
        f"Name the right one with {what}_column=... (--{what}-column).{advice}"
    )


def _missing(value: Any) -> bool:
    """Returns whether a value is None, NaN, or one of pandas' equivalents."""
    nan = isinstance(value, float) and value != value
    return value is None or nan or type(value).__name__ in ("NAType", "NaTType")


def _encode(texts: Iterable[str], labels: Iterable[Any], source: str, column: str) -> Examples:
    """Names labels as a CSV file would, 1.0 as "1", and numbers the names."""
    names = []
    for number, label in enumerate(labels, 1):
        if isinstance(label, (float, np.floating)) and float(label).is_integer():
            label = int(label)
        names.append("" if _missing(label) else str(label).strip())
        if not names[-1]:
            raise ValueError(
                f"{source}: row {number}: the label (column {column!r}) is empty. Correct or remove the row."
            )
    classes = sorted(set(names), key=_label_order)
    if len(classes) > 1000:
        raise ValueError(
            f"{source}: {len(classes)} different labels in {len(names)} rows, for example {classes[0]!r} and {classes[1]!r}. "
            "That does not look like classes: name the right column with label_column=... (--label-column)."
        )
    index = {name: i for i, name in enumerate(classes)}
    return Examples(texts, np.array([index[name] for name in names], "int32"), tuple(classes), source)


def _label_order(name: str) -> tuple:
    """Sorts numbers by value, then words alphabetically."""
    try:
        return (0, int(name), name)
    except ValueError:
        return (1, 0, name)


def _tfds_examples(name: str, text_column, label_column, labelled, data_dir) -> Examples:
    """Streams a tensorflow-datasets split: labels are read once, texts in each iteration."""
    import tensorflow_datasets as tfds

    dataset, _, split = name.removeprefix("tfds:").partition("@")
    split = split or "train"
    try:
        builder = tfds.builder(dataset, data_dir=data_dir)
        if not builder.is_prepared():
            builder.download_and_prepare()
        length = builder.info.splits[split].num_examples
    except Exception as error:  # unknown name or split, no network: no common class
        raise ValueError(f"{name}: tensorflow-datasets could not load it ({error_reason(error)}).") from error
    features = builder.info.features
    usual = [key if key in features else None for key in builder.info.supervised_keys or (None, None)]
    text_column = usual[0] if text_column is None else text_column
    label_column = usual[1] if label_column is None else label_column
    text_column = _find_column(features, text_column, TEXT_COLUMNS, name, "text")

    def column(key: str) -> Iterator[Any]:
        only = tfds.decode.PartialDecoding({key: True})
        rows = builder.as_dataset(split=split, decoders=only, shuffle_files=False)
        return (row[key] for row in tfds.as_numpy(rows))

    def texts() -> Iterator[str]:
        for number, text in enumerate(column(text_column), 1):
            try:
                yield text.decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(f"{name}: row {number} is not valid UTF-8.") from error

    stream = Stream(texts, length)
    if not labelled:
        return Examples(stream, None, (), name)
    label_column = _find_column(features, label_column, LABEL_COLUMNS, name, "label")
    if class_names := getattr(features[label_column], "names", None):
        labels = np.fromiter(column(label_column), "int32", length)
        if unlabelled := int((labels < 0).sum()):
            raise ValueError(
                f"{name}: {unlabelled} of {length} rows have no label (-1). Choose another split: tfds:NAME@SPLIT."
            )
        return Examples(stream, labels, tuple(class_names), name)
    values = (value.decode("utf-8") if isinstance(value, bytes) else value for value in column(label_column))
    return _encode(stream, values, name, label_column)


def demo_reviews() -> tuple[Examples, Examples]:
    """Returns the product reviews that ship with the package, 920 for training and 232 for validation.

    Written for this package, CC0; see bert_tf/reviews/README.md. As sources they are called "demo" and "demo:validation".
    """
    return read_examples(DEMO), read_examples(DEMO_VALIDATION)
