"""HTML by construction: every element and attribute is made here, and what is not markup already is escaped."""

from collections.abc import Iterable
from typing import Any

VOID = {"br", "hr", "img", "meta"}  # elements without an end


class Html(str):
    """Text that is markup: only `element` and `escape` make it of data."""

    __slots__ = ()


def escape(value: Any) -> Html:
    """Returns text that stands for itself in HTML, between tags and in quoted attributes; characters no page may hold are
    replaced."""
    text = "".join(c if c.isprintable() or c in "\n\t\u200d\u00a0" else _stand_in(c) for c in str(value))
    for character, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(character, name)
    return Html(text)


def _stand_in(character: str) -> str:
    """A space for a space of whatever kind; else the sign for what cannot be shown."""
    return " " if character.isspace() else "\ufffd"


def element(name: str, *children: Any, **attributes: Any) -> Html:
    """Makes an element.

    Args:
        name: of the tag.
        *children: markup, which stays as it is; None, which is left out; lists of children; all else is text.
        **attributes: `class_` is class, `stroke_width` stroke-width; None and False are left out, True has no value.

    >>> element("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Html(f"<{name}{written}>" if name in VOID else f"<{name}{written}>{_joined(children)}</{name}>")


def _joined(children: Iterable[Any]) -> str:
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, (list, tuple)):
            parts.append(_joined(child))
        elif child is not None:
            parts.append(escape(child))
    return "".join(parts)
