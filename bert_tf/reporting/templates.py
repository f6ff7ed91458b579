"""Pages and model cards from Jinja templates, into which texts from the data can bring no markup of their own."""

import base64
import hashlib
import html
import re
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from bert_tf.formatting import format_value, printable

SHARED = Path(__file__).parent / "pages"  # its base.html is the frame of every page, in other rooms too


def render(template: Path, **values: Any) -> str:
    """Fills a template: HTML, or Markdown if its name ends in .md.

    Whatever a template prints is escaped unless it is markup already, characters no page may hold are replaced, and an unknown
    name is an error.
    """
    return _environment(template.parent, template.suffix == ".md").get_template(template.name).render(**values)


def csp_hash(content: str) -> str:
    """Returns how a Content-Security-Policy names the one script or style that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


@cache
def _environment(folder: Path, markdown: bool) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_markdown if markdown else _html,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"format_value": format_value, "csp_hash": csp_hash}
    return environment


def _html(value: Any) -> Any:
    return value if isinstance(value, Markup) else printable(str(value))


def _markdown(value: Any) -> Any:
    """Returns text that cannot leave its place in Markdown or in the HTML that Markdown may hold."""
    if isinstance(value, Markup):
        return value
    text = html.escape(printable(str(value)), quote=False)
    text = re.sub(r"[|`*]|(?<=\])[(\[:]", lambda character: f"&#{ord(character[0])};", text)
    return Markup(" ".join(text.split()))
