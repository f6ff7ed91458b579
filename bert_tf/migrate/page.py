"""The parts of docs/migrating.md that are made from the tables; the rest of it is written by hand."""

import re
from pathlib import Path

from bert_tf.files import write_text
from bert_tf.migrate.forms import DOTTED, PARTS
from bert_tf.migrate.table import ROWS, Row


def page(text: str) -> str:
    """Returns the text of docs/migrating.md with its generated parts as the tables have them."""
    for name, made in (("works", _works()), ("differs", _differs()), ("instead", _instead()), ("keras", _keras())):
        parts = re.split(
            rf"(<!-- {name}: from bert_tf/migrate, `make docs` -->\n)(.*?)(<!-- end -->)", text, flags=re.DOTALL
        )
        if len(parts) != 5:
            raise ValueError(
                f"docs/migrating.md: expected one part {name!r} between its marks, found {len(parts) // 4}."
            )
        before, start, _, end, after = parts
        text = f"{before}{start}\n{made}\n\n{end}{after}"
    return text


def write(file: str | Path) -> None:
    """Brings docs/migrating.md up to date."""
    write_text(Path(file), page(Path(file).read_text(encoding="utf-8")))


def _quoted(row: Row) -> str:
    return row.shown or ", ".join(f"`{name}`" for name in row.names.split())


def _table(head: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {head} |", "|---|---|", *(f"| {left} | {right.replace('|', chr(92) + '|')} |" for left, right in rows)]
    return "\n".join(lines)


def _works() -> str:
    return ", ".join(_quoted(row) for row in ROWS if row.home and not row.note) + "."


def _differs() -> str:
    return _table("name | what differs", [(_quoted(row), row.note) for row in ROWS if row.home and row.note])


def _instead() -> str:
    rows = [(_quoted(row), row.note.format(name="NAME")) for row in ROWS if not row.home]
    return _table("name | write instead", rows)


def _keras() -> str:
    rows = [(f"`{name}`", note) for name, note in DOTTED.items()]
    rows += [(f"below a layer: `.{name}`", f"`.{note}`") for name, note in PARTS.items()]
    return _table("form | write instead", rows)
