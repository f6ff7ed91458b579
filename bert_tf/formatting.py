"""Values as text: one format per kind, so that terminal, report and model card agree."""

import math
from collections.abc import Callable, Mapping
from typing import Any

MISSING = "-"
LABELS_JOINED_BY = "|"  # the labels of a text, where they stand in one string


def megabytes(size: float) -> str:
    """Formats a number of bytes: "1,234.5 MB"."""
    return f"{size / 10**6:,.1f} MB"


def counted(number: int, noun: str) -> str:
    """Formats a number of things: "1 row", "1,234 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def capital(words: str) -> str:
    """Returns words with a capital first letter, the others as they are: "Micro F1"."""
    return words[:1].upper() + words[1:]


def duration(seconds: float) -> str:
    """Formats a number of seconds: "3.2 s", "4 min 05 s", "2 h 07 min"."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s"
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def significant(value: float) -> float:
    """Rounds a number to the 7 significant digits that float32 has, whatever its unit.

    >>> significant(1.23456789e-8), significant(0.30000001192092896)
    (1.234568e-08, 0.3)
    """
    return float(f"{value:.7g}")


def printable(text: str) -> str:
    """Replaces control characters, which could change a terminal or a page: white space by spaces, others by U+FFFD."""
    kept = "\n\t\u200d\u00a0"  # U+200D joins emoji
    return "".join(c if c.isprintable() or c in kept else " " if c.isspace() else "\ufffd" for c in text)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"  # a price, not 1.235e+04


KINDS: dict[str, Callable[[Any], str]] = {
    "score": lambda value: f"{value:.3f}",  # accuracy, F1, a loss: 500 texts determine at most two digits
    "share": lambda value: f"{value:.1%}",
    "points": lambda value: f"{100 * value:+.1f}",  # a difference of two shares
    "change": lambda value: ("+" if value > 0 else "") + _plain(value),  # of a number in any unit
    "count": lambda value: f"{value:,.0f}",
    "p": lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}",
    "seconds": duration,
    "milliseconds": lambda value: f"{1000 * value:,.1f} ms",
    "bytes": megabytes,
    "plain": _plain,
}


def format_value(value: Any, kind: str = "plain") -> str:
    """Formats a value.

    Args:
        value: a number, text, None, or an estimate: a dict with `value` and the ends of its interval, `low` and `high`.
        kind: a key of `KINDS`.
    Returns: the text; an estimate is followed by its interval in brackets, missing or non-finite values become a dash.
    Raises: ValueError for an unknown kind.

    >>> format_value({"value": 0.79, "low": 0.7522, "high": 0.8234}, "score")
    '0.790 [0.752, 0.823]'
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}")
    if isinstance(value, Mapping):
        low, high = (format_value(value.get(end), kind) for end in ("low", "high"))
        return format_value(value["value"], kind) + ("" if MISSING in (low, high) else f" [{low}, {high}]")
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    return KINDS[kind](value)


Text = str | tuple[str, str]  # a text, or a pair of texts that are classified together


def shown_text(text: Text) -> str:
    """Returns a text as it is, a pair of texts as one with the separator that the model reads between them.

    >>> shown_text(("Is it loud?", "No."))
    'Is it loud? [SEP] No.'
    """
    return text if isinstance(text, str) else " [SEP] ".join(text)
