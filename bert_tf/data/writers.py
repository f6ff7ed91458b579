"""Tables that are written block by block: CSV, JSON lines, Parquet. A new format is a class here and a row in `WRITERS`."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf.data.blocks import as_text
from bert_tf.formatting import significant

DIGITS = 6  # of probabilities in text files, of other predicted numbers 7 significant ones; Parquet has all

Columns = Mapping[str, Sequence[Any]]


class CsvWriter:
    """RFC 4180 in UTF-8 with \\n; a missing value is empty, what is neither text nor number is JSON."""

    exact = False

    def __init__(self, file: Path, types: Mapping[str, Any]):
        self.stream = file.open("w", encoding="utf-8", newline="")
        self.writer = csv.writer(self.stream, lineterminator="\n")
        self.quoting = csv.writer(self.stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self.writer.writerow(types)

    def write(self, columns: Columns) -> None:
        values = ([_plain(value) for value in column] for column in columns.values())
        for row in zip(*values, strict=True):  # csv does not quote a lone \r, which readers take for the end of a row
            lone = any(isinstance(value, str) and "\r" in value for value in row)
            (self.quoting if lone else self.writer).writerow(row)

    def close(self) -> None:
        self.stream.close()


class JsonLinesWriter:
    """An object a line, with every column; a missing value is null."""

    exact = False

    def __init__(self, file: Path, types: Mapping[str, Any]):
        self.stream = file.open("w", encoding="utf-8", newline="\n")

    def write(self, columns: Columns) -> None:
        for row in zip(*columns.values(), strict=True):
            values = {name: _finite(value) for name, value in zip(columns, row, strict=True)}
            self.stream.write(json.dumps(values, ensure_ascii=False, default=str) + "\n")

    def close(self) -> None:
        self.stream.close()


class ParquetWriter:
    """A row group a block, in the types of the source where it has some."""

    exact = True

    def __init__(self, file: Any, types: Mapping[str, Any]):  # a path, or a stream of pyarrow
        import pyarrow
        from pyarrow import parquet

        self.pyarrow = pyarrow
        null, text = pyarrow.null(), pyarrow.string()
        self.types = {name: text if kind is None or kind == null else kind for name, kind in types.items()}
        self.schema = pyarrow.schema([*self.types.items()])
        self.writer = parquet.ParquetWriter(file, self.schema)

    def write(self, columns: Columns) -> None:
        arrays = []
        for name, values in columns.items():
            words = self.types[name] == self.pyarrow.string()
            arrays.append(self.pyarrow.array([as_text(v) for v in values] if words else values, self.types[name]))
        self.writer.write_table(self.pyarrow.Table.from_arrays(arrays, schema=self.schema))

    def close(self) -> None:
        self.writer.close()


WRITERS: dict[str, Any] = {
    ".csv": CsvWriter,
    ".jsonl": JsonLinesWriter,
    ".ndjson": JsonLinesWriter,
    ".parquet": ParquetWriter,
}


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value if isinstance(value, (str, int, float)) else as_text(value)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rounded(columns: Columns) -> dict[str, list[Any]]:
    """Rounds predictions: probabilities to `DIGITS`, other numbers, which have a unit, to significant digits."""

    def shorter(name: str, value: Any) -> Any:
        if not isinstance(value, float):
            return value
        return round(value, DIGITS) if name == "score" or name.startswith("probability_") else significant(value)

    return {name: [shorter(name, value) for value in values] for name, values in columns.items()}
