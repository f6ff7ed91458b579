"""How results show themselves: as a few lines at Python's prompt, as a small piece of HTML in a notebook."""

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bert_tf.formatting import printable
from bert_tf.reporting.tables import for_terminal

MOST_ROWS = 10  # of a table; the others are in `to_pandas()`
MOST_NAMES = 6  # of classes in a line
WIDTH = 60  # characters of a text from the data


class Displayed:
    """A result that shows itself: `_title`, a line, and `_blocks`, those of `bert_tf.reporting.sections` called text, verdict and
    table, and `marked`: pairs of a piece of text and its weight, from -1 to 1.

    Both are short whatever the result holds. In HTML what comes from the data is escaped, nothing is loaded, and no colour is set
    but a translucent one, so that it suits light and dark notebooks.
    """

    def _title(self) -> str:
        raise NotImplementedError

    def _blocks(self) -> list[dict[str, Any]]:
        return []

    def _picture(self) -> Path | None:
        """Returns the .png file that HTML shows below; it may be gone."""
        return None

    def __repr__(self) -> str:
        parts = [self._title()]
        for block in self._blocks():
            if "table" in block:
                parts.append(for_terminal(block["table"]))
            elif "marked" not in block:
                parts.append(block.get("text") or block["verdict"])
        return printable("\n".join(parts))

    def _repr_html_(self) -> str:
        from bert_tf.reporting.page import PAGES
        from bert_tf.reporting.templates import render

        file = self._picture()
        picture = base64.b64encode(file.read_bytes()).decode() if file and file.is_file() else None
        return render(PAGES / "result.html", title=self._title(), blocks=self._blocks(), picture=picture)


def table(columns: Mapping[str, str], rows: Iterable[Iterable[Any]]) -> dict[str, Any]:
    """Returns a block with a table.

    Args:
        columns: name of a column -> its kind, of `format_value`.
    """
    described = [{"name": name, "kind": kind} for name, kind in columns.items()]
    return {"table": {"columns": described, "rows": [[*row] for row in rows]}}


def beginning(columns: Mapping[str, str], rows: Iterable[Iterable[Any]], total: int) -> list[dict[str, Any]]:
    """Returns blocks: a table of the first rows, and how many more there are."""
    shown = [row for row, _ in zip(rows, range(MOST_ROWS), strict=False)]
    more = [{"text": f"... and {total - len(shown):,} more: .to_pandas()"}] if total > len(shown) else []
    return [table(columns, shown), *more]


def shortened(text: str, width: int = WIDTH) -> str:
    """Returns a text as one line that a terminal can show."""
    line = " ".join(printable(text[: 10 * width]).split())
    return line if len(line) <= width and len(text) <= 10 * width else line[: width - 3] + "..."


def names(every: Iterable[str]) -> str:
    """Returns names in a line, a few of them if there are many."""
    every = [*every]
    more = f" and {len(every) - MOST_NAMES:,} more" if len(every) > MOST_NAMES else ""
    return ", ".join(shortened(name, 30) for name in every[:MOST_NAMES]) + more
