"""How the rows of a CSV or TSV file are written: separator and quotes, judged by the whole file.

Each plausible reading is tried by Python's `csv`, in its strict mode; pandas reads the file by the one that is chosen. Where two
would give different rows, that is an error.
"""

import itertools
import re

from bert_tf.data.records import SEPARATORS, Dialect, Reading, Record, fields_of, raw_values, read_rows
from bert_tf.data.tables import TEXT_COLUMNS, usual_column
from bert_tf.formatting import counted

SAMPLE = 2000  # lines that decide which separators are possible


def judge(
    lines: list[str], source: str, *, usual: str, separator: str | None, quoting: str | None, one_column: bool
) -> tuple[Reading, list[str]]:
    """Chooses the dialect of a file; returns its reading and what was guessed.

    Args:
        lines: of the file.
        source: its name, for messages.
        usual: str, the separator that its name stands for.
        separator, quoting: what was given; None = judged.
        one_column: bool, whether a file without any separator makes sense.
    Raises: ValueError if two readings are plausible and differ in their rows.
    """
    possible = [separator] if separator else _separators(lines, usual)
    readings = [_by_quotes(lines, source, each, quoting) for each in possible]
    plausible = [each for each in readings if each[0].plausible] or readings[:1]
    ranked = sorted(plausible, key=lambda each: _doubts(lines, each[0], usual))
    best, remarks = ranked[0]
    for other, _ in ranked[1:]:
        nameless, *mine = _doubts(lines, best, usual)
        if len(other.records) != len(best.records) or (nameless and mine[:2] == [*_doubts(lines, other, usual)][1:3]):
            shown = [
                f"{counted(len(r.records) + 1, 'row')} with {SEPARATORS[r.dialect.separator]}" for r in (best, other)
            ]
            raise ValueError(f"{source}: can be read as {' or '.join(shown)}. Say which: --separator.")
    if best.header.fields == 1 and one_column and not separator and not best.plausible:
        alone, remarks = _by_quotes(lines, source, "\x1f", quoting)
        return alone, [*remarks, f"{source}: read as one column: no separator stands in its first line."]
    if best.dialect.separator != usual and separator is None:
        name = SEPARATORS[best.dialect.separator]
        remarks = [f"{source}: columns separated by {name}. Else: --separator.", *remarks]
    return best, remarks


def _doubts(lines: list[str], reading: Reading, usual: str) -> tuple[bool, ...]:
    """Returns what speaks against a separator, the strongest first: no usual names in the first row, quotes beside another
    separator, quotes that had to be taken as raw, another one than the file's name stands for."""
    rows = [fields_of(lines, reading.dialect, r) for r in [reading.header, *reading.records[:20]] if not r.problem]
    others = "".join(other for other in SEPARATORS if other != reading.dialect.separator)
    beside = re.compile(rf'"\s*[{others}]|[{others}]\s*"')
    named = rows and usual_column(rows[0], TEXT_COLUMNS) is not None
    torn = any(beside.search(field) for row in rows for field in row)
    return not named, torn, reading.dialect.quoting == "raw", reading.dialect.separator != usual


def _first(lines: list[str]) -> str:
    """Returns the first line that is not blank."""
    return next(filter(str.strip, lines), "")


def _separators(lines: list[str], usual: str) -> list[str]:
    """Returns the separators that split the first rows evenly, the one that the file's name stands for first."""
    sample, found = lines[:SAMPLE], []
    for separator in sorted(SEPARATORS, key=lambda s: s != usual):
        if separator not in _first(lines):
            continue
        tried = [Dialect(separator, quoting) for quoting in ("standard", "backslash", "raw")]
        tried += [Dialect(separator, "spaced")] if f'{separator} "' in _first(lines) else []
        tried += [Dialect(separator, "single")] if "'" in _first(lines) else []
        for dialect in tried:
            widths = [record.fields for record in read_rows(sample, dialect, 100)]
            even = sum(width >= widths[0] for width in widths) if widths and widths[0] > 1 else 0
            if even >= 0.9 * len(widths) and even:
                found.append(separator)
                break
    return found or [max(SEPARATORS, key=lambda s: (_first(lines).count(s), s == usual))]


def _by_quotes(lines: list[str], source: str, separator: str, quoting: str | None) -> tuple[Reading, list[str]]:
    """Returns the reading of the whole file with the quotes that suit it, and what was guessed."""
    first = _first(lines)
    if quoting:
        return _read(lines, Dialect(separator, quoting)), []
    if first.lstrip().startswith("'") and (single := _read(lines, Dialect(separator, "single"))).plausible:
        names = re.fullmatch(rf"\s*'[^']*'(\s*{re.escape(separator)}\s*('[^']*')?)*\s*", first)
        if names or all(lines[record.start].lstrip().startswith("'") for record in single.records):
            return single, [f"{source}: values are in single quotes. Else: --quoting."]
    if not any('"' in line for line in lines):
        return _read(lines, Dialect(separator)), []
    standard = _read(lines, Dialect(separator))
    if any(f'{separator} "' in line or f"{separator}  " in line for line in lines) and _spaced(lines, standard):
        spaced = _read(lines, Dialect(separator, "spaced"))
        if spaced.plausible:
            remark = f"{source}: spaces between a separator and a quote are left out. Else: --quoting."
            return _agreed(spaced, standard, source, remark)
    return _among(lines, source, standard, any('\\"' in line for line in lines))


def _among(lines: list[str], source: str, standard: Reading, escapes: bool) -> tuple[Reading, list[str]]:
    """Chooses between standard quotes, quotes after backslashes and quotes that are part of the texts.

    Standard unless another reading breaks fewer rows; where several break as few and differ in their rows, that is an error.
    """
    separator = standard.dialect.separator
    escaped = _read(lines, Dialect(separator, "backslash")) if escapes else None
    if escaped and escaped.plausible and escaped.broken < _broken(standard):
        escaped = _without(escaped, _disputed(lines, escaped))
        return escaped, [f'{source}: quotes inside texts are written \\". Else: --quoting.']
    disputed = _disputed(lines, standard) if standard.plausible else []
    if disputed or _broken(standard):
        raw = _read(lines, Dialect(separator, "raw"))
        last = standard.records[-1] if standard.records else standard.header
        cut_off = standard.broken == 1 and "never closed" in last.problem
        suits = raw.plausible and raw.broken < _broken(standard) + len(disputed)
        if suits and disputed:
            raise ValueError(_both(source, standard, raw, disputed[0]))
        if suits and not cut_off and not _quoted_file(lines, raw.dialect):
            return raw, [f"{source}: quotes are part of the texts, as some are not closed. Else: --quoting."]
        return _without(standard, disputed), []
    as_good = escaped is not None and escaped.plausible and escaped.broken == standard.broken
    if escaped and as_good and (row := _first_difference(lines, standard, escaped)):
        raise ValueError(_both(source, standard, escaped, row))
    return standard, []


def _broken(reading: Reading) -> int:
    return reading.broken + bool(reading.header.problem)


def _first_difference(lines: list[str], one: Reading, other: Reading) -> Record | None:
    """Returns the first row that two readings see differently."""
    for here, there in itertools.zip_longest(one.records, other.records):
        if here is None or there is None or here[:2] != there[:2]:
            return here or there
        escapes = not (here.problem or there.problem) and '\\"' in "".join(lines[here.start : here.end])
        if escapes and fields_of(lines, one.dialect, here) != fields_of(lines, other.dialect, there):
            return here
    return None


def _read(lines: list[str], dialect: Dialect) -> Reading:
    """Reads all rows, and marks those as broken whose number of fields is not the header's."""
    # A reading that breaks more rows than this is not plausible; what it says of the first ones suffices.
    found = read_rows(lines, dialect, most_broken=max(20, len(lines) // 50))
    if not found:
        return Reading(dialect, Record(0, 0, 0, "is missing"), [])
    header, records = found[0], found[1:]
    if records and _row_names(lines, dialect, header, records):
        header = header._replace(fields=header.fields + 1)
    return Reading(dialect, header, _checked(lines, dialect, header, _needed(lines, dialect, header), records))


def _needed(lines: list[str], dialect: Dialect, header: Record) -> int:
    """Returns how many fields a row must have: nameless columns at the end may be left out, or there may be more of them."""
    names: list[str] = next(dialect.rows(iter(lines[header.start : header.end])), []) if not header.problem else []
    needed = len(names)
    while needed and not names[needed - 1].strip():
        needed -= 1
    return needed


def _checked(lines: list[str], dialect: Dialect, header: Record, needed: int, records: list[Record]) -> list[Record]:
    """Marks rows as broken whose number of fields is not the header's, or whose quotes are torn."""
    width, checked = header.fields, []
    for record in records:
        fits = needed <= record.fields <= width or (needed == width and _empty_end(lines, dialect, record, width))
        if not record.problem and not fits:
            record = record._replace(problem=f"has {record.fields} fields, the header has {width}")
        elif (
            not record.problem
            and record.quotes
            and dialect.quoting in ("standard", "spaced")
            and _torn(lines, dialect, record)
        ):
            record = record._replace(problem="is not valid CSV: quotes inside a value without quotes")
        checked.append(record)
    return checked


class Rows:
    """Checks rows of a long file as `judge` does, by what it found in the head of the file.

    Args:
        head: the lines that were judged; `reading`, of them.
        quoting: what was given; None = judged, so that a stray quote may be looked for.
    """

    def __init__(self, head: list[str], reading: Reading, quoting: str | None):
        self.dialect, self.header = reading.dialect, reading.header
        self.needed = _needed(head, self.dialect, self.header)
        self.stray = quoting is None and self.dialect.quoting in ("standard", "backslash")
        self.looks = _columns(head, reading) if self.stray else []

    def __call__(self, lines: list[str], records: list[Record]) -> list[Record]:
        checked = _checked(lines, self.dialect, self.header, self.needed, records)
        reading = Reading(self.dialect, self.header, checked)
        return _without(reading, _disputed(lines, reading, self.looks)).records if self.stray else checked


def _empty_end(lines: list[str], dialect: Dialect, record: Record, width: int) -> bool:
    """Whether a row has nothing in the fields that it has more than the header."""
    return record.fields > width and not any(field.strip() for field in fields_of(lines, dialect, record)[width:])


def _torn(lines: list[str], dialect: Dialect, record: Record) -> bool:
    """Whether a row has a value in quotes with a separator inside, and quotes inside a value without: a stray quote may have
    joined what does not belong together."""
    row = "".join(lines[record.start : record.end])
    values = raw_values(row, dialect)
    quoted = [value for value in values if value.startswith('"')]
    return any(dialect.separator in value for value in quoted) and any(
        '"' in value for value in values if not value.startswith('"')
    )


def _row_names(lines: list[str], dialect: Dialect, header: Record, records: list[Record]) -> bool:
    """Whether the header has no name for a first column that counts the rows, as R writes it."""
    if any(record.fields != header.fields + 1 for record in records):
        return False
    numbers = [fields_of(lines, dialect, record)[0].strip() for record in records[:SAMPLE]]
    return all(number.isdecimal() for number in numbers) and all(
        int(after) == int(before) + 1 for before, after in itertools.pairwise(numbers)
    )


def _spaced(lines: list[str], standard: Reading) -> bool:
    """Whether values begin with a space and a quote, in half of the first rows that can be read, in one column."""
    rows = [fields_of(lines, standard.dialect, record) for record in standard.records[:20] if record.fields]
    rows = rows or [fields_of(lines, standard.dialect, standard.header)]
    return any(
        sum(len(row) > i and bool(re.match(' +"', row[i])) for row in rows) >= len(rows) / 2
        for i in range(standard.header.fields)
    )


def _agreed(chosen: Reading, other: Reading, source: str, remark: str) -> tuple[Reading, list[str]]:
    if other.plausible and len(other.records) != len(chosen.records):
        raise ValueError(_both(source, chosen, other, None))
    return chosen, [remark]


def _quoted_file(lines: list[str], raw: Dialect) -> bool:
    """Whether values that begin with a quote end with one, too many for chance, or have doubled quotes inside: then it is a
    quoted file with a broken row."""
    opened = closed = 0
    spans = False
    for row in raw.rows(iter(lines)):
        if spans and row and row[0].endswith('"') and not row[0].startswith('"'):
            return True  # what the last value of a line opens, the first of another closes: a text of several lines
        spans = spans or bool(row and row[-1].startswith('"') and (len(row[-1]) == 1 or not row[-1].endswith('"')))
        for value in row:
            if value.startswith('"'):
                opened += 1
                closed += len(value) > 1 and value.endswith('"')
                if re.fullmatch(r'"(?:[^"]|"")*""(?:[^"]|"")+"', value):
                    return True
    return closed > opened / 10


def _disputed(lines: list[str], standard: Reading, looks: list[set[str] | None] | None = None) -> list[Record]:
    """Returns the rows that span several lines each of which could be a row of its own: a stray quote may have swallowed them.

    A line counts as a row if it has as many fields as the header and, where the values of a column are numbers or a few
    words again and again, one that looks like these: lines inside a real text seldom do.
    """
    spanning = [r for r in standard.records if not r.problem and r.end > r.start + 1 and r.fields > 1]
    if not spanning:
        return []
    dialect, width = Dialect(standard.dialect.separator, "raw"), standard.header.fields
    looks = _columns(lines, standard) if looks is None else looks
    found = []
    for record in spanning:
        parts = [row for row in dialect.rows(iter(lines[record.start : record.end])) if any(map(str.strip, row))]
        if len(parts) > 1 and all(
            len(row) == width and all(_fits(v, look) for v, look in zip(row, looks, strict=False)) for row in parts
        ):
            found.append(record)
    return found


NUMBER = re.compile(r'"?\s*[+-]?(\d+\.?\d*|\.\d+)\s*"?')


def _columns(lines: list[str], reading: Reading) -> list[set[str] | None]:
    """Returns of each column how its values look: a set of words that repeat, an empty set for numbers, None for texts."""
    rows = [fields_of(lines, reading.dialect, r) for r in reading.records[:SAMPLE] if not r.problem]
    looks: list[set[str] | None] = []
    for i in range(reading.header.fields):
        values = [row[i] for row in rows if len(row) > i and "\n" not in row[i] and "\r" not in row[i] and row[i]]
        if values and all(NUMBER.fullmatch(value) for value in values):
            looks.append(set())
        else:
            looks.append(set(values) if len(set(values)) <= len(values) / 2 else None)
    return looks


def _fits(value: str, look: set[str] | None) -> bool:
    if look is None:
        return True
    if not look:
        return bool(NUMBER.fullmatch(value))
    plain = value.strip('"')
    return plain in look or (not re.search(r'[\s"]', plain) and 0 < len(plain) <= 2 * max(map(len, look)))


def _without(standard: Reading, disputed: list[Record]) -> Reading:
    """Marks rows as broken that could be several."""
    wrong = {record.start for record in disputed}
    records = [r._replace(problem=_could_be(r)) if r.start in wrong else r for r in standard.records]
    return Reading(standard.dialect, standard.header, records)


def _could_be(record: Record) -> str:
    return f"is one text in quotes or {record.end - record.start} rows: a quote in line {record.start + 1} may be a stray one"


def _both(source: str, first: Reading, second: Reading, row: Record | None) -> str:
    counts = [
        f"{counted(len(reading.records), 'row')} with --quoting {reading.dialect.quoting}"
        for reading in (first, second)
    ]
    where = f" A quote that opens in line {row.start + 1} closes in line {row.end}." if row else ""
    return f"{source}: can be read in two ways, {' or '.join(counts)}.{where} Say which is right."
