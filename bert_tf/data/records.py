"""The rows of a CSV file as one dialect writes them: where they begin and end, and their values."""

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
WIDEST = 10**9  # characters of a field; csv's own limit is 131,072
FEW = 0.01  # share of rows that may be broken in a plausible reading


class Record(NamedTuple):
    """A row: lines `start` to `end`, from 0; the number of its fields; why it is broken, else ""; whether quotes are left in
    its values."""

    start: int
    end: int
    fields: int
    problem: str = ""
    quotes: bool = False


@dataclass(frozen=True)
class Dialect:
    """
    Attributes:
        separator: str, one character.
        quoting: str: "standard" = RFC 4180; "backslash" = the same, and \\" is a quote; "single" = with ' as
            quotes; "raw" = quotes are characters like others; "spaced" = standard, and spaces after separators do not belong
            to the values.
    """

    separator: str
    quoting: str = "standard"

    @property
    def options(self) -> dict[str, Any]:
        """As arguments of `csv.reader` and `pandas.read_csv`, but for the separator."""
        if self.quoting == "raw":
            return {"quoting": csv.QUOTE_NONE}
        more: dict[str, Any] = {"escapechar": "\\"} if self.quoting == "backslash" else {}
        return {
            "quotechar": "'" if self.quoting == "single" else '"',
            "skipinitialspace": self.quoting == "spaced",
            **more,
        }

    def rows(self, lines: Iterable[str]) -> Any:
        csv.field_size_limit(max(csv.field_size_limit(), WIDEST))
        return csv.reader(self.prepared(lines), delimiter=self.separator, strict=True, **self.options)

    def prepared(self, lines: Iterable[str]) -> Iterator[str]:
        """Doubles the backslashes that escape nothing, such as those of a Windows path: they are part of the text."""
        if self.quoting != "backslash":
            return iter(lines)
        lone = re.compile(rf"\\(?:([\"\\{re.escape(self.separator)}])|)")
        return (lone.sub(lambda m: m[0] if m[1] else "\\\\", line) if "\\" in line else line for line in lines)


@dataclass(frozen=True)
class Reading:
    """The rows of a file by one dialect.

    Attributes:
        dialect: `Dialect`.
        header: `Record`, the first row.
        records: `Record`s of the others, without blank lines.
    """

    dialect: Dialect
    header: Record
    records: list[Record]

    @property
    def broken(self) -> int:
        return sum(bool(record.problem) for record in self.records)

    @property
    def plausible(self) -> bool:
        return not self.header.problem and self.broken <= FEW * len(self.records)


def physical_lines(text: str) -> list[str]:
    """Returns the lines of a text with their ends: \\n, \\r\\n or \\r, and no others."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)


def read_rows(lines: Sequence[str], dialect: Dialect, most_broken: int | None = None) -> list[Record]:
    """Finds where rows begin and end; after a row that cannot be read it goes on in the next line.

    Args:
        most_broken: int, the broken rows after which it stops, for a reading that is not the right one.
    """
    found: list[Record] = []
    start, broken = 0, 0
    while start < len(lines) and (most_broken is None or broken <= most_broken):
        at = start
        rows = dialect.rows(itertools.islice(lines, start, None))
        try:
            for row in rows:
                end = start + rows.line_num
                if not (end == at + 1 and not lines[at].strip(" \r\n")):
                    marked = end > at + 1 or '"' in lines[at]
                    found.append(Record(at, end, len(row), "", marked and any('"' in value for value in row)))
                at = end
            break
        except csv.Error as error:
            unclosed = "end of data" in str(error)
            problem = "a quote is opened and never closed" if unclosed else "a closing quote is followed by other text"
            found.append(Record(at, at + 1, 0, f"is not valid CSV: {problem}"))
            start, broken = at + 1, broken + 1
    return found


def fields_of(lines: Sequence[str], dialect: Dialect, record: Record) -> list[str]:
    """Returns the values of a row."""
    return next(dialect.rows(iter(lines[record.start : record.end])), [])


def raw_values(row: str, dialect: Dialect) -> list[str]:
    """Returns the values of a row as they are written, with their quotes."""
    end, mark = re.escape(dialect.separator), "'" if dialect.quoting == "single" else '"'
    escape = r"\\.|" if dialect.quoting == "backslash" else ""
    quoted = rf"{mark}(?:{mark}{mark}|{escape}[^{mark}])*{mark}"
    value = rf"(?:\A|{end}) *({quoted}|[^{end}]*)[ \r\n]*(?={end}|\Z)"
    return re.findall(value, row)
