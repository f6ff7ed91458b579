"""What every file and frame is read into: named columns, and the rows that could not be read."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

TEXT_COLUMNS = (
    "text", "review", "reviewtext", "reviewbody", "sentence", "content", "body", "comment", "message", "tweet",
)  # fmt: skip
LABEL_COLUMNS = (
    "label", "labels", "sentiment", "positive", "ispositive", "class", "category", "target", "rating", "stars", "score",
)  # fmt: skip

# What pandas, R and Excel write for a missing value.
MISSING = frozenset(
    ("", "nan", "NaN", "-nan", "-NaN", "NA", "<NA>", "N/A", "n/a", "#N/A", "#NA", "null", "NULL", "None", "NaT", r"\N")
)


def _never(row: int, column: int) -> bool:
    return False


@dataclass
class Table:
    """
    Attributes:
        source: str, where it comes from, for messages.
        names: of the columns, as written.
        columns: sequences, one a name, all of N values.
        written: bool, whether the values were written as text, so that a word like NA may stand for no value.
        quoted: `(row, column) -> bool`, whether a written value is in quotes, which makes NA a word.
        where: `row -> str`, what the source calls a row, such as "row 3 (line 5)".
        broken: what could not be read, a phrase each: "row 3 (line 5) has 3 fields, the header has 2".
        remarks: what was guessed, a sentence each.
        class_names: index of a column -> the names that its numbers stand for.
    """

    source: str
    names: list[str]
    columns: Sequence[Sequence[Any]]
    written: bool = False
    quoted: Callable[[int, int], bool] = _never
    where: Callable[[int], str] = field(default=lambda row: f"row {row + 1}")
    broken: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    class_names: dict[int, Sequence[str]] = field(default_factory=dict)


def plain_name(name: Any) -> str:
    """Returns a column's name without what people leave out or change: case, spaces, underscores, hyphens.

    >>> plain_name("Review Text ") == plain_name("review_text") == plain_name("reviewText")
    True
    """
    return re.sub(r"[\s_\-\ufeff\u200b]+", "", unicodedata.normalize("NFKC", str(name))).casefold()


def usual_column(names: Sequence[Any], usual: Sequence[str]) -> int | None:
    """Returns the index of the first column with a usual name."""
    plain = [plain_name(name) for name in names]
    return next((plain.index(name) for name in usual if name in plain), None)


def beside(names: Sequence[Any], given: Any) -> int | None:
    """Returns the index of a column that a source may lack; None if it does or none is given."""
    alike = [i for i, name in enumerate(names) if given is not None and plain_name(name) == plain_name(given)]
    exact = [i for i in alike if str(names[i]) == str(given)]
    return next(iter(exact or alike), None)


def find_column(
    names: Sequence[Any], given: Any, usual: Sequence[str], source: str, what: str, advice: str | None = ""
) -> int:
    """Returns the index of a column.

    Args:
        given: its name, or None = the first with a usual name.
        what: "text", "label", "weight" or "group".
        advice: more to say if there is none; None = there is no option that names this column.
    Raises: ValueError if there is none, or two columns have the name.
    """
    written = [str(name) for name in names]
    if given is None:
        place = usual_column(names, usual)
        problem = f"no column with a usual name for the {what}"
    else:
        place = written.index(str(given)) if str(given) in written else None
        alike = [i for i, name in enumerate(written) if plain_name(name) == plain_name(given)]
        if place is None and len(alike) == 1:
            place = alike[0]
        problem = f"no column {given!r}"
    if place is not None:
        if written.count(written[place]) > 1:
            raise ValueError(
                f"{source}: the header repeats column names: two are called {written[place]!r}. Rename one."
            )
        return place
    near = difflib.get_close_matches(str(given), written, 1) if given is not None else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(map(repr, names[:30])) + (", ..." if len(names) > 30 else "")
    name_it = "" if advice is None else f" Name the right one with {what}_column=... (--{what}-column).{advice}"
    raise ValueError(f"{source}: {problem}. Columns: {shown or 'none'}.{hint}{name_it}")
