"""Files other than CSV, and what is in memory already, as tables. A new format is a function here and a row in `FORMATS`."""

import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf.data import gates
from bert_tf.data.decoding import COMPRESSED, content, decode
from bert_tf.data.delimited import read_delimited
from bert_tf.data.tables import Table
from bert_tf.files import error_reason
from bert_tf.settings import Data

SHOWN = 5  # sheets, in a message


class _NoSheetError(Exception):
    """An Excel file lacks the sheet; it has these."""


def read_file(file: Path, data: Data, labelled: bool) -> Table:
    """Reads a file or a folder of `datasets`.

    Raises: FileNotFoundError, or ValueError that names the file, what is wrong with it and what to do.
    """
    check_file(file)
    if file.is_dir():
        return _saved_dataset(file, data)
    if _suffix(file.name) in BINARY:
        return FORMATS[_suffix(file.name)](file.read_bytes(), str(file), data, labelled)
    inside, name = content(file)
    suffix = _suffix(name)
    if suffix not in FORMATS:
        raise ValueError(f"{file}: the packed file is called {name}; expected one that ends in {', '.join(FORMATS)}.")
    return FORMATS[suffix](inside, str(file), data, labelled)


def check_file(file: Path) -> None:
    """Raises FileNotFoundError or ValueError for a file that is missing, empty, or of no kind that is read."""
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such file.")
    if file.is_file() and file.stat().st_size == 0:
        raise ValueError(f"{file}: the file is empty.")
    if file.is_file() and _suffix(file.name) not in (*FORMATS, *COMPRESSED):
        raise ValueError(
            f"{file}: expected a file that ends in {', '.join(FORMATS)}, or one of these with {', '.join(COMPRESSED[:-1])} or "
            f"{COMPRESSED[-1]}, or tfds:NAME, hf:NAME, or demo."
        )


def _suffix(name: str) -> str:
    return Path(name).suffix.lower()


def _delimited(suffix: str) -> Callable[[bytes, str, Data, bool], Table]:
    def read(content: bytes, source: str, data: Data, labelled: bool) -> Table:
        text, remarks = decode(content, source, data.encoding)
        if text.lstrip()[:1] in ("{", "[") and (columns := _json_or_none(text)):
            raise ValueError(f"{source}: is JSON with {len(columns)} rows or columns. Rename it to .json.")
        table = read_delimited(text, source, suffix, data, labelled)
        table.remarks = remarks + table.remarks
        return table

    return read


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _json(content: bytes, source: str, data: Data, labelled: bool) -> Table:
    """Reads one value: an array of objects, or an object of columns; else an object a line."""
    text, remarks = decode(content, source, data.encoding)
    try:
        value = json.loads(text)
    except ValueError:
        return _json_lines(text, source, remarks)
    if isinstance(value, dict) and {"columns", "data"} <= set(value) <= {"columns", "data", "index"}:  # pandas' "split"
        columns = [[row[i] for row in value["data"]] for i in range(len(value["columns"]))]
        return Table(source, [str(name) for name in value["columns"]], columns, remarks=remarks)
    if isinstance(value, dict) and value and all(isinstance(column, (list, dict)) for column in value.values()):
        columns = [[*column.values()] if isinstance(column, dict) else column for column in value.values()]
        if len(set(map(len, columns))) == 1:
            return Table(source, [*value], columns, remarks=remarks)
        holders = [
            name for name, rows in value.items() if isinstance(rows, list) and rows and isinstance(rows[0], dict)
        ]
        if len(holders) == 1:
            remark = f"{source}: the rows are read from {holders[0]!r}."
            return _rows(value[holders[0]], source, [*remarks, remark], "row")
        lengths = ", ".join(f"{name!r} has {len(column)}" for name, column in zip(value, columns, strict=True))
        raise ValueError(f"{source}: its columns differ in length: {lengths}.")
    if isinstance(value, list):
        return _rows(value, source, remarks, "row")
    if isinstance(value, dict):
        return _rows([value], source, remarks, "row")
    raise ValueError(f"{source}: expected an array of objects or an object a line, found a {type(value).__name__}.")


def _json_lines(text: str, source: str, remarks: list[str]) -> Table:
    if text.lstrip().startswith("["):
        try:
            json.loads(text)
        except ValueError as error:
            raise ValueError(f"{source}: is not a valid JSON array ({error}).") from error
    return json_table(text.split("\n") if "\n" in text else text.split("\r"), source, remarks)


def json_table(lines: Iterable[str], source: str, remarks: Sequence[str], lines_before: int = 0) -> Table:
    """Reads an object a line; `lines_before`: how many lines of the file stand before these, for messages."""
    rows: list[Any] = []
    numbers: list[int] = []
    broken = []
    for number, line in enumerate(lines, lines_before + 1):
        if not line.strip():
            continue
        try:
            line.encode("utf-8")
            rows.append(json.loads(line))
            numbers.append(number)
        except UnicodeEncodeError:
            broken.append(f"line {number} is not valid UTF-8")
        except ValueError as error:
            broken.append(f"line {number} is not valid JSON ({error})")
    return _rows(rows, source, remarks, "line", numbers, broken)


def _rows(
    rows: Sequence[Any],
    source: str,
    remarks: Sequence[str],
    unit: str,
    numbers: Sequence[int] | None = None,
    broken: Sequence[str] = (),
) -> Table:
    """Turns objects into columns; a column that a row lacks is None there."""
    numbers, found = numbers or range(1, len(rows) + 1), [*broken]
    good = []
    for row, number in zip(rows, numbers, strict=True):
        if isinstance(row, Mapping):
            good.append((number, row))
        else:
            found.append(f'{unit} {number} is not a JSON object. Expected one such as {{"text": ..., "label": ...}}')
    names = list(dict.fromkeys(name for _, row in good for name in row))
    places = [number for number, _ in good]

    def where(row: int) -> str:
        return f"{unit} {places[row]}"

    columns = [[row.get(name) for _, row in good] for name in names]
    return Table(source, [str(name) for name in names], columns, where=where, broken=found, remarks=[*remarks])


def _parquet(content: bytes, source: str, data: Data, labelled: bool) -> Table:
    import pandas

    try:
        frame = pandas.read_parquet(io.BytesIO(content))
    except Exception as error:  # pyarrow's errors have no common class
        raise ValueError(f"{source}: not a readable Parquet file ({error_reason(error)}).") from error
    return frame_table(frame, source)


def _excel(content: bytes, source: str, data: Data, labelled: bool) -> Table:
    import pandas

    try:
        with pandas.ExcelFile(io.BytesIO(content), engine="openpyxl") as book:
            sheets = [str(name) for name in book.sheet_names]
            sheet = sheets[0] if data.sheet is None else data.sheet
            if sheet not in sheets:
                raise _NoSheetError(sheets)
            header = None if data.header is False else 0
            kept: dict = {"header": header, "dtype": object, "keep_default_na": False, "na_values": [""]}
            frame = pandas.read_excel(book, sheet_name=sheet, **kept)
    except ImportError as error:
        raise ValueError(f'{source}: reading Excel needs openpyxl: pip install "bert-tf[excel]".') from error
    except _NoSheetError as error:
        shown = ", ".join(map(repr, error.args[0]))
        raise ValueError(f"{source}: no sheet {data.sheet!r}. It has: {shown}.") from None
    except Exception as error:  # openpyxl's and zipfile's
        raise ValueError(f"{source}: not a readable Excel file ({error_reason(error)}).") from error
    frame = frame.dropna(how="all").dropna(how="all", axis="columns")
    names = [str(i + 1) if header is None else str(name) for i, name in enumerate(frame.columns)]
    numbers = [int(i) + 1 + (header is not None) for i in frame.index]
    remarks = []
    if len(sheets) > 1 and data.sheet is None:
        others = ", ".join(map(repr, sheets[1 : 1 + SHOWN])) + (", ..." if len(sheets) > 1 + SHOWN else "")
        remarks.append(f"{source}: only the first sheet, {sheet!r}, is read, not {others}. For another: --sheet.")
    columns = [frame.iloc[:, i].tolist() for i in range(len(names))]
    return Table(source, names, columns, where=lambda row: f"row {numbers[row]} of the sheet", remarks=remarks)


def frame_table(frame: Any, source: str) -> Table:
    """Turns a pandas DataFrame into a table."""
    names = list(frame.columns)
    columns = [frame.iloc[:, i].tolist() for i in range(len(names))]
    return Table(source, [str(name) for name in names], columns)


def dataset_table(dataset: Any, source: str) -> Table:
    """Turns a `datasets.Dataset` into a table; class names come with it."""
    names = [*dataset.column_names]
    class_names = {
        i: feature.names
        for i, feature in enumerate(dataset.features[name] for name in names)
        if getattr(feature, "names", None)
    }
    return Table(source, names, [_Lazy(dataset, name) for name in names], class_names=class_names)


class _Lazy(Sequence):
    """A column that is read when it is needed."""

    def __init__(self, dataset: Any, name: str):
        self.dataset, self.name = dataset, name

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: Any) -> Any:
        return self.dataset[i][self.name]

    def tolist(self) -> list:
        return list(self.dataset[self.name])


def _saved_dataset(folder: Path, data: Data) -> Table:
    if not any((folder / name).is_file() for name in ("dataset_dict.json", "dataset_info.json")):
        raise ValueError(f"{folder}: is a folder. Expected a file, or a folder that datasets' save_to_disk wrote.")
    datasets = optional("datasets", str(folder))
    return split_table(datasets.load_from_disk(str(folder)), None, str(folder))


def split_table(dataset: Any, split: str | None, source: str) -> Table:
    """Turns a `datasets.Dataset` or a split of a `DatasetDict` into a table; None = "train", or the only one."""
    if isinstance(dataset, Mapping):
        split = split or ("train" if "train" in dataset else next(iter(dataset), None) if len(dataset) == 1 else None)
        if split not in dataset:
            raise ValueError(
                f"{source}: has the splits {', '.join(dataset)}. Pass one of them: dataset[{next(iter(dataset))!r}]."
            )
        table = dataset_table(dataset[split], source)
        table.remarks += [f"{source}: split {split!r} of {', '.join(dataset)} is read."] if len(dataset) > 1 else []
        return table
    return dataset_table(dataset, source)


def hub_table(name: str) -> Table:
    """Reads "hf:NAME", "hf:NAME@SPLIT" or "hf:NAME:CONFIG@SPLIT" with `datasets`; no code of the data set is run."""
    datasets = optional("datasets", name)
    dataset, _, split = name.removeprefix("hf:").partition("@")
    dataset, _, config = dataset.partition(":")
    try:
        found = datasets.load_dataset(dataset, config or None, split=split or None)
    except Exception as error:  # unknown name or split, no network: no common class
        raise ValueError(f"{name}: datasets could not load it ({error_reason(error)}).") from error
    return split_table(found, split or None, name)


def optional(module: str, source: str) -> Any:
    """Imports a library that not every installation has."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(f'{source}: reading it needs {module}: pip install "bert-tf[{module}]".') from error


def in_memory(source: Any) -> Table:
    """Turns what is in memory into a table: a DataFrame of pandas or polars, a table of pyarrow, a `datasets.Dataset`, a dict
    of lists, a list of dicts, a pair (texts, labels).

    Raises: TypeError for anything else.
    """
    if hasattr(source, "collect") and hasattr(source, "collect_schema"):  # polars.LazyFrame
        source = source.collect()
    kind = type(source).__module__.split(".")[0]
    if isinstance(source, Mapping) and any(hasattr(part, "column_names") for part in source.values()):
        return split_table(source, None, "the DatasetDict")
    if hasattr(source, "column_names") and hasattr(source, "features"):
        return dataset_table(source, "the Dataset")
    if kind == "polars":
        return Table("the DataFrame", [*source.columns], [source[name].to_list() for name in source.columns])
    if kind == "pyarrow":
        return Table("the table", [*source.column_names], [column.to_pylist() for column in source.columns])
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return frame_table(source, "the DataFrame")
    if isinstance(source, Mapping):
        names, columns = [str(name) for name in source], [gates.column(v, str(k)) for k, v in source.items()]
        return Table("the given lists", names, columns)
    if isinstance(source, list) and source and isinstance(source[0], Mapping):
        return _rows(source, "the given rows", [], "row")
    if isinstance(source, tuple) and len(source) == 2:
        return _pair(*source)
    received = f"a {type(source).__name__}" + (f" of {len(source)}" if isinstance(source, (tuple, list)) else "")
    raise TypeError(
        "Expected a path, 'tfds:NAME', 'hf:NAME', 'demo', a DataFrame, a Dataset, a dict of lists, a list of dicts or a pair "
        f"(texts, labels). Received: {received.removeprefix('a ') if ' of ' not in received else received}"
    )


def _pair(texts: Any, labels: Any) -> Table:
    if any(isinstance(part, (str, os.PathLike)) for part in (texts, labels)):
        raise TypeError(
            f"A pair is (texts, labels), two lists. Received: {texts!r}, {labels!r}. Are these two files? Pass the second as "
            "validation."
        )
    columns = [gates.column(texts, "texts"), gates.column(labels, "labels")]
    return Table("the given lists", ["text", "label"], columns)


BINARY = (".parquet", ".xlsx")
FORMATS: dict[str, Callable[[bytes, str, Data, bool], Table]] = {
    ".csv": _delimited(".csv"),
    ".tsv": _delimited(".tsv"),
    ".json": _json,
    ".jsonl": _json,
    ".ndjson": _json,
    ".parquet": _parquet,
    ".xlsx": _excel,
}
