"""A folder of Parquet parts, one for each block of many files, that several processes may write; here or on S3 and the like.

    texts/a.parquet, texts/b.csv  ->  predicted/_plan.json                        which files, in which blocks, into which columns
                                      predicted/part-00000-00000000-7f3a91c2.parquet   file 0, block 0, of the plan 7f3a91c2
                                      predicted/_SUCCESS                          all parts are there

A part is written whole or not at all, and always has the same name, so that a block that is done twice is there once. Readers
of folders (pandas, pyarrow, Spark, DuckDB) pass over names that begin with _.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bert_tf.data.blocks import SIZE, Block, parts_of, read_anew, read_blocks, together
from bert_tf.data.places import inside, is_remote, located, matching
from bert_tf.data.writers import ParquetWriter
from bert_tf.files import START_ANEW, changed, error_reason, fingerprint, written_whole
from bert_tf.settings import Data

PLAN, SUCCESS, LOCK = "_plan.json", "_SUCCESS", ".lock"


@dataclass(frozen=True)
class Source:
    """One of the files.

    Attributes:
        file: str, its path or URI.
        bytes, modified: int, its size and when it was changed (ns since 1970), by which it is known again.
        rows: int, without those that are left out.
        blocks: int.
    """

    file: str
    bytes: int
    modified: int
    rows: int
    blocks: int


@dataclass(frozen=True)
class Sources:
    """Many files of unlabelled texts that have been looked at once, and can be read block by block by any process.

    Attributes:
        data: the options by which they are read.
        size: int, rows of a block; those that are left out count.
        files: `Source`, sorted by name.
        text_names: the name of the text's column, or of both of pairs of texts.
        types: column -> pyarrow's type that holds its values in all files; what a file lacks is empty.
        remarks: what was guessed or left out, a sentence each.
    """

    data: Data
    size: int
    files: tuple[Source, ...]
    text_names: tuple[str, ...]
    types: dict[str, Any]
    remarks: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(source.rows for source in self.files)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yields the numbers of each block: of its file, and in it."""
        return ((i, block) for i, source in enumerate(self.files) for block in range(source.blocks))

    def after(self, file: int, first: int) -> Iterator[Block]:
        """Yields the blocks of a file from number `first` on."""
        parts = parts_of(self.files[file].file, self.data, self.size)
        return read_anew(parts, self.text_names, tuple(self.types), first)

    def changed(self) -> str:
        """Returns the name of a file that is no longer what it was; "" = there is none."""
        known = ((source, *_stamp(source.file)) for source in self.files)
        return next((s.file for s, size, modified in known if (size, modified) != (s.bytes, s.modified)), "")


def read_sources(source: Any, data: Data, size: int = SIZE) -> Sources:
    """Looks at every row of some files, so that they can be read block by block.

    Args:
        source: a path, a folder, a pattern such as texts/*.parquet, a URI of one of these, or a list of them.
        data, size: as of `bert_tf.data.blocks.read_blocks`.
    Raises: as `read_blocks`; ValueError if the texts are in columns of other names than in the first file.
    """
    files: list[Source] = []
    types: dict[str, Any] = {}
    texts: tuple[str, ...] = ()
    remarks: list[str] = []
    for file in matching(source):
        stamp = _stamp(file)
        found = read_blocks(file, data, size)
        texts = texts or found.text_names
        if found.text_names != texts:
            raise ValueError(
                f"{file}: the text is in the column {_named(found.text_names)}, in {files[0].file} in {_named(texts)}. Name one that "
                "all files have (--text-column), or classify them one by one."
            )
        types |= {name: together(types.get(name), kind) for name, kind in found.types.items()}
        remarks += found.remarks
        files.append(Source(file, *stamp, found.rows, found.blocks))
    return Sources(data, size, tuple(files), texts, types, tuple(remarks))


def _named(names: Sequence[str]) -> str:
    return ",".join(map(repr, names))


def _stamp(file: str) -> tuple[int, int]:
    system, path = located(file)
    info = system.get_file_info(path)
    return info.size or 0, info.mtime_ns or 0


class Reader:
    """Reads blocks by their numbers. Going on in a file is cheap; going back reads it anew."""

    def __init__(self, sources: Sources):
        self.sources, self.file, self.next = sources, -1, 0
        self.blocks: Iterator[Block] = iter(())

    def __call__(self, file: int, block: int) -> Block:
        """Raises: ValueError if the file has no such block: it has been changed."""
        if file != self.file or block < self.next:
            self.file, self.next, self.blocks = file, block, self.sources.after(file, block)
        found = None
        while self.next <= block:
            found, self.next = next(self.blocks, None), self.next + 1
        if found is None:
            raise ValueError(
                f"{self.sources.files[file].file}: has fewer rows than before. Was it changed? {START_ANEW}"
            )
        return found


@dataclass(frozen=True)
class Folder:
    """The folder of the parts.

    Attributes:
        where: str, its path or URI.
        plan: str, the fingerprint of what is done, in the name of each part.
        types: column -> pyarrow's type.
    """

    where: str
    plan: str
    types: dict[str, Any]

    def part(self, file: int, block: int) -> str:
        return f"part-{file:05}-{block:08}-{self.plan}.parquet"

    def write(self, file: int, block: int, columns: Mapping[str, Sequence[Any]]) -> None:
        """Writes a part, whole or not at all."""
        import pyarrow

        content = pyarrow.BufferOutputStream()
        writer = ParquetWriter(content, self.types)
        if columns and len(next(iter(columns.values()))):
            writer.write(columns)
        writer.close()
        write_whole(inside(self.where, self.part(file, block)), content.getvalue())

    def found(self, sources: Sources) -> dict[tuple[int, int], int]:
        """Returns the parts that are there and whole, by file and block -> their rows. A damaged one, as after a power cut, counts
        as missing."""
        from pyarrow import parquet

        system, _ = located(self.where)
        there = dict(listed(self.where))
        rows = {}
        for key in sources.blocks():
            if path := there.get(self.part(*key)):
                with contextlib.suppress(OSError, ValueError):
                    rows[key] = parquet.read_metadata(path, filesystem=system).num_rows
        return rows


def listed(folder: str) -> list[tuple[str, str]]:
    """Returns the names of the files in a folder, with their paths on its file system; none if there is no such folder."""
    from pyarrow import fs

    system, path = located(folder)
    infos = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    return [(info.base_name, info.path) for info in infos]


def write_whole(where: str, content: Any) -> None:
    """Writes bytes to a path or URI, whole or not at all.

    A file here gets its name when it is complete. An object of S3 or Google Cloud Storage appears when its upload is.
    """
    system, path = located(where)
    if not is_remote(where):
        with written_whole(Path(path)) as scratch:
            scratch.write_bytes(content)
        return
    with system.open_output_stream(path) as stream:
        stream.write(content)


class Started:
    """A folder in which this process has begun or goes on with a plan; nobody else here may, until `end`.

    Args:
        where: path or URI of the folder; it is made.
        plan: dict, what decides the predictions, as JSON values.
        resume, overwrite: bool, what to do if an earlier run has left something there.
    Raises: FileExistsError, ValueError as `predict_files`.
    """

    def __init__(self, where: str | os.PathLike, plan: Mapping[str, Any], resume: bool, overwrite: bool):
        self.where = str(where)
        self.lock: Any = None
        names = [name for name, _ in listed(self.where) if not name.startswith(".")]
        if names and PLAN not in names:
            raise FileExistsError(f"{where}: has other files, such as {min(names)}. Choose another output folder.")
        if resume and SUCCESS in names:
            raise FileExistsError(f"{where}: is complete, there is nothing to resume. Start anew without --resume.")
        if names and not (resume or overwrite):
            go_on = "" if SUCCESS in names else " Continue it with resume=True (--resume), or:"
            what = "is complete" if SUCCESS in names else "an earlier run was interrupted"
            raise FileExistsError(f"{where}: {what}.{go_on} {START_ANEW}")
        system, path = located(self.where)
        system.create_dir(path, recursive=True)
        self._lock(path)
        try:
            if resume and names:
                self._check(plan)
                return
            for name, path in listed(self.where):
                if name in (PLAN, SUCCESS) or name.startswith("part-"):
                    system.delete_file(path)
            write_whole(inside(self.where, PLAN), (json.dumps(plan, indent=2, ensure_ascii=False) + "\n").encode())
        except BaseException:
            self.end()
            raise

    def _lock(self, path: str) -> None:
        if is_remote(self.where):
            return
        from filelock import FileLock, Timeout

        self.lock = FileLock(Path(path) / LOCK)
        try:
            self.lock.acquire(timeout=0)
        except Timeout as error:
            raise FileExistsError(f"{self.where}: another process is writing there. Wait for it to end.") from error

    def _check(self, plan: Mapping[str, Any]) -> None:
        """Raises ValueError if the plan in the folder is another one."""
        system, path = located(inside(self.where, PLAN))
        try:
            with system.open_input_stream(path) as stream:
                before = json.loads(stream.read())
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.where}: {PLAN} cannot be read ({error_reason(error)}). {START_ANEW}") from error
        if others := changed(before, plan, ("model", "files")):
            raise ValueError(
                f"{self.where}: cannot be resumed with other settings: {others}. Give the same ones. {START_ANEW}"
            )
        if before.get("files") != plan.get("files"):
            raise ValueError(
                f"{self.where}: cannot be resumed, the files are others: {_others(before['files'], plan['files'])}. {START_ANEW}"
            )

    def succeed(self) -> None:
        """Says that all parts are there, and removes what killed processes have begun to write."""
        system, _ = located(self.where)
        for name, path in listed(self.where):
            if name.startswith(".part-"):
                system.delete_file(path)
        write_whole(inside(self.where, SUCCESS), b"")

    def end(self) -> None:
        """Lets other processes continue what is unfinished."""
        if self.lock is not None:
            self.lock.release()


def _others(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> str:
    """Returns in words which files there were then, and are now."""
    then, here = ({each["file"]: each for each in files} for files in (before, now))
    said = [f"{name} is missing" for name in then if name not in here]
    said += [f"{name} is new" for name in here if name not in then]
    said += [f"{name} has changed" for name in here if name in then and here[name] != then[name]]
    return ", ".join(said[:3]) + (f" and {len(said) - 3} more" if len(said) > 3 else "")


def plan_of(sources: Sources, settings: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Returns what is done, as JSON values, and its fingerprint, 8 hexadecimal digits.

    Args:
        settings: what else decides the predictions; `model`, a name, is said but does not count.
    """
    plan = {
        **settings,
        "block_size": sources.size,
        "text_columns": [*sources.text_names],
        "columns": {name: str(kind) for name, kind in sources.types.items()},
        "files": [vars(source) for source in sources.files],
    }
    return plan, fingerprint(json.dumps({**plan, "model": ""}, sort_keys=True))[:8]
