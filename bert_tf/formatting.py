"""Numbers as people read them: one rule a kind, so that terminal, report and model card all show the same."""

import math
from collections.abc import Callable, Mapping
from typing import Any

MISSING = "-"


def megabytes(size: float) -> str:
    """Returns a number of bytes as people read it."""
    return f"{size / 10**6:,.1f} MB"


def duration(seconds: float) -> str:
    """Returns a number of seconds as people read it."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s"
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def printable(text: str) -> str:
    """Returns text that a terminal, a page or a picture can show: a space for a control character that is one, U+FFFD for others."""
    kept = "\n\t\u200d\u00a0"  # U+200D joins emoji
    return "".join(c if c.isprintable() or c in kept else " " if c.isspace() else "\ufffd" for c in text)


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


KINDS: dict[str, Callable[[Any], str]] = {
    "score": lambda value: f"{value:.3f}",  # accuracy, F1, a loss: 500 texts decide no more than two digits
    "share": lambda value: f"{value:.1%}",
    "points": lambda value: f"{100 * value:+.1f}",  # a difference of two shares
    "count": lambda value: f"{value:,.0f}",
    "p": _p_value,
    "seconds": duration,
    "milliseconds": lambda value: f"{1000 * value:,.1f} ms",
    "bytes": megabytes,
    "plain": _plain,
}


def shown(value: Any, kind: str = "plain") -> str:
    """Puts a value into words.

    Args:
        value: a number, text, None, or an estimate: a dict of `value`, `low` and `high`, the ends of its interval.
        kind: a key of `KINDS`.
    Returns: the words; an estimate with its interval in brackets, a dash for what is missing or not finite.
    Raises: ValueError for an unknown kind.

    >>> shown({"value": 0.79, "low": 0.7522, "high": 0.8234}, "score")
    '0.790 [0.752, 0.823]'
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(KINDS)}. Received: kind={kind!r}")
    if isinstance(value, Mapping):
        low, high = (shown(value.get(end), kind) for end in ("low", "high"))
        return shown(value["value"], kind) + ("" if MISSING in (low, high) else f" [{low}, {high}]")
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return MISSING
    return KINDS[kind](value)
