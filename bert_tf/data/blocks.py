"""Texts of a large file in blocks, with all columns of the file: never in memory as a whole.

    blocks = read_blocks("reviews.jsonl.gz", Data())
    for block in blocks:
        predict(model, block.texts)

A first pass looks at every row, so that a bad one is named before hours of work and the number of rows is known.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_tf.data import readers, streams
from bert_tf.data.formats import hub_table, in_memory
from bert_tf.data.places import is_remote
from bert_tf.data.tables import Table
from bert_tf.formatting import Text
from bert_tf.settings import Data

SIZE = 2000  # rows of a block: some seconds to minutes of work, which is what a killed run loses
MOST_NAMED = 100  # bad rows that are remembered


@dataclass(frozen=True)
class Block:
    """Some rows of a source.

    Attributes:
        texts: str, N of them, or N pairs of str.
        columns: name -> N values, every column of the source, the text's too.
    """

    texts: list[Text]
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Blocks:
    """A source that has been looked at once and is read anew, block by block, in each iteration.

    Attributes:
        source: str, its name, for messages.
        names: of its columns, made different: a second "a" is "a.1", a nameless one "Unnamed: 0", as in pandas.
        text_names: the name of the text's column, or of both of pairs of texts; `text` is the first.
        rows: int, how many there are, without those that are left out.
        size: int, rows of a block; those that are left out count.
        blocks: int, how many there are.
        types: pyarrow's type of each column; a column of values that have none together is text (JSON).
        remarks: what was guessed or left out, a sentence each.
    """

    source: str
    names: tuple[str, ...]
    text_names: tuple[str, ...]
    rows: int
    size: int
    blocks: int
    types: dict[str, Any]
    remarks: tuple[str, ...]
    parts: streams.Parts

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[Block]:
        return self.after(0)

    def after(self, first: int) -> Iterator[Block]:
        """Yields the blocks from number `first` on."""
        return read_anew(self.parts, self.text_names, self.names, first)

    @property
    def text(self) -> str:
        return self.text_names[0]


def read_blocks(source: Any, data: Data, size: int = SIZE) -> Blocks:
    """Looks at every row of a source of unlabelled texts, so that it can be read block by block.

    Args:
        source: as of `bert_tf.read_examples`; only files are read in parts.
        data: the options. A row that cannot be used is an error unless `on_bad_rows` is "skip": each row needs an answer.
        size: int, rows of a block; those that are left out count.
    Raises: as `bert_tf.read_examples`.
    """
    parts = parts_of(source, data, size)
    rows, count, blocks = 0, 0, 0
    text: tuple[str, ...] = ()
    bad: list[str] = []
    names: dict[str, None] = {}
    types: dict[str, Any] = {}
    for table in parts.tables():
        own = _different(table.names)
        text = text or tuple(own[place] for place in readers.text_columns(table, data))
        names |= dict.fromkeys(own)
        block, problems = _block(table, text, own)
        blocks += 1
        found = [*table.broken, *(f"{table.where(row)}: {problem}" for row, problem in problems.items())]
        bad += found[: MOST_NAMED - len(bad)]
        count, rows = count + len(found), rows + len(block)
        if parts.schema is None:
            types |= {name: together(types.get(name), _type_of(values)) for name, values in block.columns.items()}
    if not rows and not count:
        raise ValueError(f"{parts.source}: has no rows.")
    if count and data.on_bad_rows != "skip":
        raise ValueError(readers.refused(parts.source, bad, count, rows + count))
    if not rows:
        raise ValueError(f"{parts.source}: no rows are left of {count:,}.")
    remarks = [*parts.remarks, *([readers.skipped(parts.source, bad, count, rows + count)] if count else [])]
    if parts.schema is not None:
        types = dict(zip(_different(parts.schema.names), parts.schema.types, strict=True))
    return Blocks(parts.source, tuple(names), text, rows, size, blocks, types, tuple(dict.fromkeys(remarks)), parts)


def read_anew(parts: streams.Parts, text: tuple[str, ...], names: Sequence[str], first: int) -> Iterator[Block]:
    """Yields the blocks of a source that `read_blocks` has looked at, from number `first` on: the good rows of each.

    Args:
        text: the names of its text columns.
        names: of the columns that each block has; those that the source lacks are empty.
    """
    for table in parts.tables(first):
        yield _block(table, text, names)[0]


def parts_of(source: Any, data: Data, size: int) -> streams.Parts:
    """Opens a source of unlabelled texts; arguments as of `read_blocks`."""
    if is_remote(source):
        if not str(source).split("?")[0].lower().endswith(".parquet"):
            raise ValueError(f"{source}: of files that are elsewhere only .parquet is read. Copy it to this machine.")
        return streams.in_parquet(source, size)
    if isinstance(source, str) and source in (readers.DEMO, readers.DEMO_VALIDATION):
        return streams.in_parts(readers.demo_file(source), data, size)
    if isinstance(source, str) and source.startswith("hf:"):
        return streams.cut(hub_table(source), size)
    if isinstance(source, str) and source.startswith("tfds:"):
        texts = readers.read(source, data, labelled=False).texts
        return streams.cut(Table(source, ["text"], [[*texts]]), size)
    if isinstance(source, (str, os.PathLike)):
        return streams.in_parts(Path(source).expanduser(), data, size)
    return streams.cut(in_memory(source), size)


def _block(table: Table, text: tuple[str, ...], names: Sequence[str]) -> tuple[Block, dict[int, str]]:
    """Returns the good rows of a table, with a column for each of `names`, and what is wrong with the others."""
    own = dict(zip(_different(table.names), table.columns, strict=True))
    rows = len(table.columns[0]) if table.columns else 0
    lacking = ["" if table.written else None] * rows
    columns = {name: own.get(name, lacking) for name in names}
    parts = [own.get(name, lacking) for name in text]
    texts: Any = parts[0] if len(parts) == 1 else [*zip(*parts, strict=True)]
    problems = {
        row: f"the text (column {name!r}) {problem}"
        for name, part in zip(text, parts, strict=True)
        for row, value in enumerate(part)
        if (problem := readers.wrong_text(value, False, None))
    }
    keep = [row for row in range(rows) if row not in problems]
    return Block(
        [texts[row] for row in keep], {name: [values[row] for row in keep] for name, values in columns.items()}
    ), problems


def _different(names: Sequence[str]) -> list[str]:
    """Names columns as pandas does, so that each name stands once.

    >>> _different(["", "a", "a"])
    ['Unnamed: 0', 'a', 'a.1']
    """
    found: list[str] = []
    counts: Counter[str] = Counter()
    for i, name in enumerate(names):
        name = name or f"Unnamed: {i}"
        new = name
        while new in found:
            counts[name] += 1
            new = f"{name}.{counts[name]}"
        found.append(new)
    return found


def _type_of(values: list[Any]) -> Any:
    """Returns pyarrow's type of some values; text if they have none together."""
    import pyarrow

    try:
        return pyarrow.array(values).type
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError, OverflowError):
        return pyarrow.string()


def together(before: Any, now: Any) -> Any:
    """Returns a type of pyarrow that holds the values of both; text if there is none. `before` may be None."""
    import pyarrow

    if before is None or before == now:
        return now
    schemas = [pyarrow.schema([("", each)]) for each in (before, now)]
    try:
        return pyarrow.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError):
        return pyarrow.string()


def as_text(value: Any) -> Any:
    """Returns a value as text that says it again: words as they are, None as None, anything else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
