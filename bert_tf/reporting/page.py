"""report.html: one file that loads nothing, readable on a phone, in the dark, on paper and by ear.

`sections.py` decides what is shown, pages/report.html makes HTML of it.
"""

import base64
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from bert_tf import __version__
from bert_tf.files import write_text
from bert_tf.reporting.figures import draw_svg
from bert_tf.reporting.in_words import opening
from bert_tf.reporting.sections import Facts, sections
from bert_tf.reporting.tables import numbers
from bert_tf.reporting.templates import render as render_template

PAGES = Path(__file__).parent / "pages"
MOST_CHARACTERS = 2000  # of a text from the data
OPENING = 160  # of these, what is seen before the text is opened
LONG = 40  # characters from which a column of texts gets room
FIRST = 5  # of a list of such texts, those that are shown before the reader opens the others
NARROW = 3  # columns that fit on a phone; the rows of wider tables are stacked there
WIDE = 5  # columns from which intervals stand below their values
SHADES = 6  # of a confusion matrix, in pages/report.css


def write_report(file: str | Path, facts: Facts) -> None:
    """Writes report.html.

    Args:
        file: where to.
        facts: see `bert_tf.reporting.sections.sections`.
    """
    write_text(Path(file), render(facts))


def render(facts: Facts) -> str:
    """Returns the page that shows the facts, as HTML.

    Its Content-Security-Policy forbids every request and all styles but its own.

    Args:
        facts: see `bert_tf.reporting.sections.sections`.

    >>> page = render({"title": "Reviews", "overfitting": {"verdict": "1 < 2", "best_epoch": 1, "epochs": 1,
    ...                "gap_at_best": 0.1, "gap_at_last": 0.1}})
    >>> "1 &lt; 2" in page
    True
    """
    return render_template(
        PAGES / "report.html",
        title=facts.get("title", "Report"),
        subtitle=facts.get("subtitle"),
        style=Markup((PAGES / "report.css").read_text(encoding="utf-8")),
        lead=opening(facts),
        sections=sections(facts),
        version=__version__,
        next_number=itertools.count(1).__next__,
        grouped=lambda blocks: itertools.groupby(blocks, lambda block: "plot" in block),
        numbers=numbers,
        picture=data_uri,
        column_classes=_column_classes,
        table_class=_table_class,
        shown_rows=_shown_rows,
        opening=_opening,
        heat=lambda count, total: min(SHADES, int(count / total * SHADES + 0.999)) if total else 0,
    )


def data_uri(plot: Mapping[str, Any]) -> str:
    """Draws a plot into the address of an `<img>`."""
    return f"data:image/svg+xml;base64,{base64.b64encode(draw_svg(plot).encode()).decode()}"


def _column_classes(table: Mapping[str, Any]) -> list[str]:
    """Returns the CSS class of each column: "number", "text", or "text long" where texts need room."""
    classes = []
    for i, column in enumerate(table["columns"]):
        values = [row[i] for row in table["rows"]]
        text = column["kind"] == "text" or any(isinstance(value, str) for value in values)
        long = text and any(len(str(value)) > LONG for value in values)
        classes.append("text long" if long else "text" if text else "number")
    return classes


def _table_class(table: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Returns how a table that is too wide for its page gives way: see pages/report.css."""
    wide = "wide" if len(table["columns"]) > WIDE else ""
    stacked = "stacked" if len(table["columns"]) > NARROW or "text long" in classes else ""
    return f"{wide} {stacked}".strip()


def _shown_rows(table: Mapping[str, Any], classes: Sequence[str]) -> int:
    """Returns how many rows are shown at once."""
    return FIRST if classes[0] == "text long" and len(table["rows"]) > FIRST + 1 else len(table["rows"])


def _opening(text: Any) -> tuple[str, str]:
    """Splits a long text into its opening and the rest, which shows when the reader opens it."""
    text = str(text)
    if len(text) <= OPENING * 1.2:
        return text, ""
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS].rstrip() + " ..."
    start = (text[:OPENING].rsplit(maxsplit=1) or [""])[0]
    return start, text[len(start) :].lstrip()
