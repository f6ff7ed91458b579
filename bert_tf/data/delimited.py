"""CSV and TSV files: pandas reads them, by the separator, quotes and header that were judged."""

import io
import re
from collections.abc import Sequence

from bert_tf.data.dialect import NUMBER, judge
from bert_tf.data.records import Dialect, Reading, Record, fields_of, physical_lines, raw_values
from bert_tf.data.tables import LABEL_COLUMNS, TEXT_COLUMNS, Table, plain_name, usual_column
from bert_tf.files import error_reason
from bert_tf.settings import Data

SEP_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
SENTENCE = 6  # words; names of columns have fewer
STRAY = 0.1  # share of rows with a value in a nameless last column, up to which these rows are broken ones


def read_delimited(text: str, source: str, suffix: str, data: Data, labelled: bool) -> Table:
    """Reads a table of separated values.

    Args:
        text: the file's content.
        source: its name, for messages.
        suffix: ".csv" or ".tsv".
        data: the options.
        labelled: bool, whether a label is needed beside the text.
    Raises: ValueError if there is no plausible reading, or two that differ in their rows.
    """
    # csv and pandas need no NUL bytes; their rows are found by the surrogates in their place.
    lines = physical_lines(text.replace("\0", "\udc00"))
    remarks, separator = [], data.separator
    if lines and (line := SEP_LINE.fullmatch(lines[0])):
        separator = separator or line[1]
        lines[0] = "\n"
        remarks.append(f"{source}: the first line, sep={line[1]}, names the separator.")
    if not any(map(str.strip, lines)):
        raise ValueError(f"{source}: the file is empty.")
    usual = "\t" if suffix == ".tsv" else ","
    reading, judged = judge(
        lines, source, usual=usual, separator=separator, quoting=data.quoting, one_column=not labelled
    )
    if reading.header.problem:
        raise ValueError(f"{source}: line {reading.header.start + 1}, the first, {reading.header.problem}.")
    names, reading, more = with_names(lines, reading, source, data, labelled)
    return table_of(lines, reading, names, source, [*remarks, *judged, *more])


def with_names(
    lines: list[str], reading: Reading, source: str, data: Data, labelled: bool
) -> tuple[list[str], Reading, list[str]]:
    """Returns the names of the columns, the reading of the data rows, and what was guessed."""
    first = fields_of(lines, reading.dialect, reading.header)
    rows = [fields_of(lines, reading.dialect, r) for r in reading.records[:1000] if not r.problem]
    header = has_header(first, rows, data, labelled) if data.header is None else data.header
    if header:
        names = [name.strip(" ") for name in first]
        if reading.header.fields > len(names):
            remark = f"{source}: the header has no name for the first column, which counts the rows."
            return ["", *names], reading, [remark]
        return names, reading, []
    width = len(first)
    while width > 1 and not any("".join(row[width - 1 :]).strip() for row in [first, *rows]):
        width -= 1  # a separator at the end of each row
    names = [str(i + 1) for i in range(width)] + [""] * (len(first) - width)
    reading = Reading(reading.dialect, reading.header, [reading.header, *reading.records])
    if data.header is None:
        remark = (
            f"{source}: the first row looks like data, so there is no header; columns are called 1, 2, ... Else: name the "
            "text column."
        )
        return names, reading, [remark]
    return names, reading, []


def has_header(first: Sequence[str], rows: Sequence[Sequence[str]], data: Data, labelled: bool) -> bool:
    """Judges whether a first row holds names: usual or given ones do; values as in the rows below, or sentences, do not."""
    asked = [str(name) for name in (data.text_column, data.label_column) if name is not None]
    given = {plain_name(part) for name in asked for part in (name, *name.split(","))}
    if given & {plain_name(name) for name in first}:
        return True
    text, label = (usual_column(first, usual) for usual in (TEXT_COLUMNS, LABEL_COLUMNS))
    if text is not None and (label is not None or not labelled):
        return True
    if text is not None and first[text] not in {row[text] for row in rows if len(row) > text}:
        return True  # then the label's column is asked for
    for i, value in enumerate(first):
        below = [row[i] for row in rows if len(row) > i and row[i]]
        repeats = len(set(below)) <= len(below) / 2
        if (below and NUMBER.fullmatch(value) and all(map(NUMBER.fullmatch, below))) or (repeats and value in below):
            return False
    return all(len(value.split()) < SENTENCE for value in first)


def table_of(
    lines: list[str],
    reading: Reading,
    names: list[str],
    source: str,
    remarks: list[str],
    before: tuple[int, int] = (0, 0),
) -> Table:
    """Turns rows into a table; `before`: how many rows and lines of the file stand before these, for messages."""
    rows_before, lines_before = before

    def named_row(number: int, record: Record) -> str:
        row, line = rows_before + number + 1, lines_before + record.start + 1
        return f"row {row} (line {line})" + (f" {record.problem}" if record.problem else "")

    records = [_with_characters(lines, record) for record in reading.records]
    numbered = [(i, record) for i, record in enumerate(records) if not record.problem]
    broken = [named_row(i, r) + _advice(r, reading.dialect) for i, r in enumerate(records) if r.problem]
    width = max((r.fields for _, r in numbered), default=len(names))
    names = names + [""] * (width - len(names))
    columns = _parsed(lines, [record for _, record in numbered], len(names), reading.dialect, source)
    keep, irregular = _regular(columns, names)
    broken += [f"{named_row(*numbered[i])} {problem}" for i, problem in irregular]
    if not all(keep):
        numbered = [row for row, good in zip(numbered, keep, strict=True) if good]
        columns = [[value for value, good in zip(column, keep, strict=True) if good] for column in columns]
    last = len(names)
    while last > 1 and not names[last - 1] and not any(columns[last - 1]):
        last -= 1

    def quoted(row: int, column: int) -> bool:
        record = numbered[row][1]
        values = raw_values("".join(lines[record.start : record.end]), reading.dialect)
        return reading.dialect.quoting != "raw" and len(values) > column and values[column].startswith(('"', "'"))

    def where(row: int) -> str:
        return named_row(*numbered[row])

    return Table(source, names[:last], columns[:last], True, quoted, where, broken, remarks)


def _parsed(lines: list[str], records: list[Record], width: int, dialect: Dialect, source: str) -> list[list[str]]:
    """Returns the columns of some rows, read by pandas.

    Raises: ValueError if it finds another number of rows than `csv`, two parsers that disagree, or cannot read them.
    """
    import pandas

    if not records:
        return [[] for _ in range(width)]
    rows = (line for record in records for line in lines[record.start : record.end])
    header = dialect.separator.join(map(str, range(width))) + "\n"
    body = io.BytesIO((header + "".join(dialect.prepared(rows))).encode())
    try:
        frame = pandas.read_csv(
            body, sep=dialect.separator, encoding="utf-8", index_col=False, dtype=str, na_filter=False,
            skip_blank_lines=False, engine="c", low_memory=False, **dialect.options,
        )  # fmt: skip
        problem = "" if len(frame) == len(records) else f"pandas finds {len(frame)} rows, csv {len(records)}"
    except pandas.errors.ParserError as error:
        problem = error_reason(error)
    if problem:
        raise ValueError(f"{source}: {problem}. Say how it is written: --separator, --quoting.")
    return [frame.iloc[:, i].tolist() for i in range(width)]


def _with_characters(lines: list[str], record: Record) -> Record:
    """Marks a row as broken that has bytes which are no characters."""
    for line in lines[record.start : record.end]:
        if not line.isascii() and (damaged := re.search("[\ud800-\udfff]", line)):
            what = "contains a NUL byte" if damaged[0] == "\udc00" else "is not valid UTF-8"
            return record._replace(problem=what)
    return record


def _advice(record: Record, dialect: Dialect) -> str:
    if "fields" not in record.problem:
        return ""
    return ' (are there quotes "..." around texts with separators or line breaks?)' if dialect.quoting != "raw" else ""


def _regular(columns: list[list[str]], names: list[str]) -> tuple[list[bool], list[tuple[int, str]]]:
    """Returns which rows are data: no header again, nothing in a nameless last column where few rows have anything; and what is
    wrong with the others."""
    keep, problems = [True] * len(columns[0]), []
    last = len(names)
    while last > 1 and not names[last - 1]:
        last -= 1
    for column in columns[last:]:
        filled = [i for i, value in enumerate(column) if value.strip()]
        if len(filled) <= max(1, STRAY * len(column)):
            for i in filled:
                if keep[i]:
                    problems.append((i, "has more values than the header has names"))
                keep[i] = False
    if names[0]:
        for i, value in enumerate(columns[0]):
            if value == names[0] and [column[i] for column in columns] == names:
                problems.append((i, "repeats the header"))
                keep[i] = False
    return keep, problems
