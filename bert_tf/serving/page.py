"""The page on which a model is tried: a form, and below it why the model said so."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from bert_tf.reporting.page import PAGES
from bert_tf.reporting.templates import render

FOLDER = Path(__file__).parent
# Beside the policy in each page: only pages of this server may show one in a frame.
HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def form_page(model: str, pairs: bool, most: int) -> str:
    """Returns the page with the form.

    Args:
        model: its name.
        pairs: whether it takes pairs of texts.
        most: int, characters of a text.
    """
    script = Markup((FOLDER / "try.js").read_text(encoding="utf-8"))
    return render(
        FOLDER / "try.html", style=_style(), script=script, title=f"Try {model}", model=model, pairs=pairs, most=most
    )


def answer_page(title: str, rows: Sequence[dict[str, Any]] = ()) -> str:
    """Returns a page with a sentence and a table of labels and scores, where there is no explanation to show."""
    return render(FOLDER / "answer.html", style=_style(), title=title, rows=rows)


def _style() -> Markup:
    """Returns the style of a report, and what a form needs beside it."""
    return Markup("\n".join(file.read_text(encoding="utf-8") for file in (PAGES / "report.css", FOLDER / "try.css")))
