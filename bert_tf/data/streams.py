"""Files that are read a part at a time: the same rows as `formats.read_file` gives, in tables of a fixed number of rows.

CSV and TSV are judged by their head, as a whole file is by all of it; JSON is read line by line, Parquet by row groups. What cannot
be read in parts (Excel, a JSON array, .zip, a folder of `datasets`) is read as a whole and then cut.
"""

import codecs
import contextlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, BinaryIO

from bert_tf.data.decoding import (
    COMPRESSED,
    Encoding,
    check_table,
    judge_encoding,
    marked_encoding,
    opened,
    utf8_counts,
)
from bert_tf.data.delimited import SEP_LINE, table_of, with_names
from bert_tf.data.dialect import Rows, judge
from bert_tf.data.formats import check_file, json_table, read_file
from bert_tf.data.places import located
from bert_tf.data.records import Reading, Record, read_rows
from bert_tf.data.tables import Table
from bert_tf.files import error_reason
from bert_tf.formatting import megabytes
from bert_tf.settings import Data

SAMPLE = 1 << 23  # bytes that the encoding is judged by, if not all of them are UTF-8
HEAD, HEAD_CHARACTERS = 10_000, 1 << 24  # lines and characters that a CSV file is judged by
LONGEST_ROW = 20_000  # lines; a quote that is not closed within so many counts as never closed
NO_LEAD_BYTES = bytes(range(0xC0))  # the others begin a character of UTF-8 beyond ASCII
LARGE = 50 * 10**6  # bytes from which it is said that a file is read as a whole


@dataclass(frozen=True)
class Parts:
    """A source in parts.

    Attributes:
        source: str, where it comes from, for messages.
        tables: `(first=0) -> Iterator[Table]`, its rows, each time it is called; the tables before `first` are passed over, at less
            cost than reading them.
        remarks: what was guessed, a sentence each.
        schema: pyarrow's, of the columns; None = unknown.
    """

    source: str
    tables: Any
    remarks: list[str] = field(default_factory=list)
    schema: Any = None


def in_parts(file: Path, data: Data, size: int) -> Parts:
    """Opens a file of unlabelled texts for reading in tables of `size` rows.

    Raises: FileNotFoundError, ValueError as `formats.read_file`, some of them only when the rows are reached.
    """
    check_file(file)
    suffix = _inner_suffix(file)
    if file.is_file() and suffix == ".parquet":
        return in_parquet(file, size)
    if file.is_file() and suffix in (".csv", ".tsv", ".json", ".jsonl", ".ndjson") and file.suffix.lower() != ".zip":
        encoding = _encoding(file, data.encoding)
        parts = _delimited(file, suffix, data, encoding, size) if suffix in (".csv", ".tsv") else None
        parts = parts or (None if suffix in (".csv", ".tsv") else _json_lines(file, encoding, size))
        if parts is not None:
            parts.remarks[:0] = encoding.remarks
            return parts
    table = read_file(file, data, labelled=False)
    if file.is_file() and file.stat().st_size >= LARGE:
        how = "this kind of file cannot be read in parts"
        table.remarks.append(f"{file}: read as a whole ({megabytes(file.stat().st_size)}): {how}.")
    return cut(table, size)


def cut(table: Table, size: int) -> Parts:
    """Returns a table that is in memory in parts of `size` rows."""
    columns = [column.tolist() if hasattr(column, "tolist") else [*column] for column in table.columns]
    rows = len(columns[0]) if columns else 0

    def part(start: int) -> Table:
        return replace(
            table,
            columns=[column[start : start + size] for column in columns],
            quoted=lambda row, column: table.quoted(start + row, column),
            where=lambda row: table.where(start + row),
            broken=table.broken if start == 0 else [],
        )

    return Parts(table.source, lambda first=0: map(part, range(first * size, max(rows, 1), size)), table.remarks)


def _inner_suffix(file: Path) -> str:
    name = Path(file.stem) if file.suffix.lower() in COMPRESSED else file
    return name.suffix.lower()


# Text


def _encoding(file: Path, given: str | None) -> Encoding:
    """Judges the encoding: by the whole file whether it is UTF-8, else by the first part that is not, which nothing after it may
    contradict."""
    if given is not None:
        try:
            codecs.lookup(given)
        except LookupError as error:
            raise ValueError(f"Unknown encoding. Received: encoding={given!r}") from error
        return Encoding(given)
    source, lines, valid, invalid = str(file), 0, 0, 0
    first: tuple[bytes, int] | None = None  # the first part that is not UTF-8, and the lines before it
    with opened(file) as (stream, _):
        while part := _whole_lines(stream, SAMPLE):
            if not lines and (marked := marked_encoding(part, source)):
                return marked
            try:
                part.decode("utf-8")
                valid += len(part.translate(None, NO_LEAD_BYTES))
            except UnicodeDecodeError:
                first = first or (part, lines)
                counts = utf8_counts(part)
                valid, invalid = valid + counts[0], invalid + counts[1]
                if part is not first[0] and counts[0] < counts[1]:
                    judge_encoding(
                        part, source, lines_before=lines
                    )  # raises ValueError if it is in no Western encoding
            lines += part.count(b"\n")
    if first is None:
        return Encoding("utf-8")
    return judge_encoding(first[0], source, lines_before=first[1], counts=(valid, invalid))


def _whole_lines(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    return data + stream.readline() if len(data) == size else data


@contextlib.contextmanager
def _lines(file: Path, encoding: Encoding, newline: str = "") -> Iterator[Iterator[str]]:
    """Yields the lines of a file, with their ends."""
    with opened(file) as (stream, _):
        stream.read(encoding.skip)
        text = io.TextIOWrapper(stream, encoding.name, encoding.errors, newline)

        def lines() -> Iterator[str]:
            number, held = 0, None
            try:
                for number, line in enumerate(text, 1):
                    if number == 1:
                        line = line.lstrip("\ufeff")
                    if held is not None:
                        yield held
                    held = line
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding.name, errors="ignore").count("\n")
                raise ValueError(
                    f"{file}: line {number + 1 + before} is not valid {encoding.name} ({error.reason})."
                ) from error
            if held is not None and (last := held.removesuffix("\x1a")):
                yield last

        yield lines()


# CSV and TSV


def _delimited(file: Path, suffix: str, data: Data, encoding: Encoding, size: int) -> Parts | None:
    """Judges the head of a file; None if it looks like JSON, which the reader of whole files has words for."""
    source = str(file)
    with _lines(file, encoding) as lines:
        head = _head(lines)
    check_table("".join(head[:100])[:2000], source)
    if "".join(head[:10]).lstrip()[:1] in ("{", "["):
        return None
    remarks, separator = [], data.separator
    if head and (found := SEP_LINE.fullmatch(head[0])):
        separator, head[0] = separator or found[1], "\n"
        remarks.append(f"{source}: the first line, sep={found[1]}, names the separator.")
    if not any(map(str.strip, head)):
        raise ValueError(f"{source}: the file is empty.")
    usual = "\t" if suffix == ".tsv" else ","
    reading, judged = judge(head, source, usual=usual, separator=separator, quoting=data.quoting, one_column=True)
    if reading.header.problem:
        raise ValueError(f"{source}: line {reading.header.start + 1}, the first, {reading.header.problem}.")
    names, named, more = with_names(head, reading, source, data, labelled=False)
    check = Rows(head, reading, data.quoting)
    skip = reading.header.start if len(named.records) > len(reading.records) else reading.header.end

    def tables(first: int = 0) -> Iterator[Table]:
        with _lines(file, encoding) as lines:
            rest = (line.replace("\0", "\udc00") for line in islice(lines, skip, None))
            row, line = 0, skip
            for number, (block, records) in enumerate(_rows(rest, check, size)):
                if number >= first:
                    reading = Reading(check.dialect, check.header, records)
                    yield table_of(block, reading, names, source, [], (row, line))
                row, line = row + len(records), line + len(block)

    return Parts(source, tables, [*remarks, *judged, *more])


def _head(lines: Iterator[str]) -> list[str]:
    """Returns the first lines, up to where a row may end."""
    head: list[str] = []
    characters = 0
    for line in lines:
        head.append(line.replace("\0", "\udc00"))
        characters += len(line)
        if len(head) >= HEAD or characters >= HEAD_CHARACTERS:
            break
    else:
        return head
    quotes, ends = 0, [0]
    for number, line in enumerate(head, 1):
        quotes += line.count('"')
        if quotes % 2 == 0:
            ends.append(number)
    last = ends[-1]
    return head[:last] if last > len(head) // 2 else head


def _rows(lines: Iterator[str], check: Rows, size: int) -> Iterator[tuple[list[str], list[Record]]]:
    """Yields the rows of `size` records at a time: all their lines, and the records, whose lines count from the first of these."""
    buffer: list[str] = []
    ended = False
    while not ended or buffer:
        more = list(islice(lines, max(size, len(buffer))))  # twice as many if a row goes on
        ended = len(more) < max(size, len(buffer))
        buffer += more
        records = read_rows(buffer, check.dialect)
        if not ended:
            records = _complete(records, len(buffer))
        while len(records) >= size or (ended and records):
            part, records = records[:size], records[size:]
            until = part[-1].end
            yield buffer[:until], check(buffer[:until], part)
            buffer = buffer[until:]
            records = [each._replace(start=each.start - until, end=each.end - until) for each in records]
        if ended:
            return


def _complete(records: list[Record], lines: int) -> list[Record]:
    """Leaves out the first row whose quote has not been closed yet, and what follows it, unless it has had enough lines."""
    for i, record in enumerate(records):
        if "never closed" in record.problem and lines - record.start < LONGEST_ROW:
            return records[:i]
    return records


# JSON lines and Parquet


def _json_lines(file: Path, encoding: Encoding, size: int) -> Parts | None:
    """Returns the rows of a file with an object a line; None if it is something else."""
    with _lines(file, encoding, "\n") as lines:
        first, second = [*islice(filter(str.strip, lines), 2), "", ""][:2]
    check_table(first[:2000], str(file))
    try:
        if not second or not isinstance(json.loads(first), dict):
            return None
    except ValueError:
        return None

    def tables(first: int = 0) -> Iterator[Table]:
        with _lines(file, encoding, "\n") as lines:
            before = sum(1 for _ in islice(lines, first * size))
            while block := list(islice(lines, size)):
                yield json_table(block, str(file), [], before)
                before += len(block)

    return Parts(str(file), tables)


def in_parquet(file: str | os.PathLike, size: int) -> Parts:
    """Opens a Parquet file, here or under a URI such as s3://bucket/texts.parquet, as `in_parts` does."""
    from pyarrow import parquet

    @contextlib.contextmanager
    def named() -> Iterator[None]:
        try:
            yield
        except Exception as error:  # pyarrow's errors have no common class
            raise ValueError(f"{file}: not a readable Parquet file ({error_reason(error)}).") from error

    system, path = located(file)
    with named():
        schema = parquet.read_schema(path, filesystem=system).remove_metadata()

    def batches(skip: int) -> Iterator[Any]:
        with named():
            content = parquet.ParquetFile(path, filesystem=system)
        with content:
            group, ends = 0, accumulate(content.metadata.row_group(i).num_rows for i in range(content.num_row_groups))
            before = 0
            for end in ends:  # whole row groups are passed over unread
                if end > skip:
                    break
                group, before = group + 1, end
            found = content.iter_batches(batch_size=size, row_groups=[*range(group, content.num_row_groups)])
            while True:
                with named():
                    batch = next(found, None)
                if batch is None:
                    return
                drop, before = min(max(skip - before, 0), batch.num_rows), before + batch.num_rows
                if drop < batch.num_rows:
                    yield batch.slice(drop)

    def tables(first: int = 0) -> Iterator[Table]:
        row = first * size
        for batch in _even(batches(row), size):
            columns = [column.to_pylist() for column in batch.columns]
            yield Table(str(file), [*schema.names], columns, where=_row_after(row))
            row += batch.num_rows

    return Parts(str(file), tables, schema=schema)


def _row_after(before: int) -> Callable[[int], str]:
    return lambda row: f"row {before + row + 1}"


def _even(batches: Iterable[Any], size: int) -> Iterator[Any]:
    """Yields tables of `size` rows from batches that may end with a row group."""
    import pyarrow

    held: list[Any] = []
    for batch in batches:
        held.append(batch)
        while (rows := sum(each.num_rows for each in held)) >= size:
            together = pyarrow.Table.from_batches(held)
            yield together.slice(0, size)
            held = together.slice(size).to_batches() if rows > size else []
    if held:
        yield pyarrow.Table.from_batches(held)
