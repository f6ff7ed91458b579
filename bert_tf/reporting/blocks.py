"""The blocks that sections are made of, as plain data; `sections.py` says which there are."""

from collections.abc import Mapping, Sequence
from typing import Any

Facts = Mapping[str, Any]
Block = dict[str, Any]
Section = dict[str, Any]


def split(facts: Facts) -> str:
    """Returns what the texts are that are judged."""
    return facts.get("split", "validation")


def table(caption: str, columns: Sequence[Mapping[str, str]], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    return {"table": {"caption": caption, "columns": [*columns], "rows": [*rows]}}


def table_of(caption: str, first: str, kinds: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Returns a table whose first column is text and the others are of `kinds`, by names as they are, such as those of models."""
    return table(caption, [*columns(first), *({"name": name, "kind": kind} for name, kind in kinds.items())], rows)


def columns(first: str, **others: str) -> list[dict[str, str]]:
    columns = [{"name": first, "kind": "text"}]
    return columns + [{"name": name.replace("_", " "), "kind": kind} for name, kind in others.items()]
