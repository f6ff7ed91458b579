"""Files that are written completely or not at all, and JSON that is read with an error naming the file."""

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

START_ANEW = "Start anew with overwrite=True (--overwrite)."  # instead of resuming
SECOND_PART = ("tfidf.json", "tfidf.safetensors")  # of a classifier that is blended with TF-IDF, beside its weights


@contextlib.contextmanager
def written_whole(file: Path) -> Iterator[Path]:
    """Yields a scratch file that replaces `file` when the block succeeds and is deleted when it fails."""
    scratch = file.with_name(f".{file.name}.{uuid.uuid4().hex}.part")  # unique: other processes may write `file` too
    try:
        yield scratch
        os.replace(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def without_stderr() -> Iterator[None]:
    """Within it nothing reaches standard error, not even what libraries in C++ write past Python's `sys.stderr`."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def changed(before: Mapping[str, Any], now: Mapping[str, Any], ignored: Sequence[str] = ()) -> str:
    """Returns in words which settings are no longer those that a run to be resumed was begun with; empty if none is."""
    return ", ".join(
        f"{name} ({before.get(name)!r} then, {value!r} now)"
        for name, value in now.items()
        if before.get(name) != value and name not in ignored
    )


def write_text(file: Path, text: str) -> None:
    """Writes a text file completely or not at all."""
    with written_whole(file) as scratch:
        scratch.write_text(text, encoding="utf-8")


def copy_file(source: Path, file: Path) -> None:
    """Copies a file completely or not at all."""
    with written_whole(file) as scratch:
        shutil.copyfile(source, scratch)


def write_json(file: Path, values: Mapping) -> None:
    write_text(file, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Mapping]) -> None:
    """Writes the columns of `rows` that `header` names; numbers in full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, header, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())


def folder_size(folder: Path) -> int:
    """Returns the bytes of the files in a folder, those in folders inside it left out."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def read_json(file: Path, hint: str = "") -> dict:
    """Reads a file that holds one JSON object.

    Args:
        hint: what to do if the file is missing or damaged; ends the error message.
    Raises: FileNotFoundError, or ValueError for invalid JSON or another kind of value; both name the file.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file. {hint}".rstrip())
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: not valid JSON ({error}): the file is damaged. {hint}".rstrip()) from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected a JSON object, found a {type(content).__name__}. {hint}".rstrip())
    return content


def error_reason(error: BaseException) -> str:
    """Returns the first line of an error's message, or its type if it has none: libraries may say a page."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def fingerprint(*parts: Any) -> str:
    """Returns 16 hexadecimal digits that change with any part: arrays, values with a `repr`, or iterators of bytes."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Iterator):
            for piece in part:
                digest.update(piece)
        else:
            digest.update(part.tobytes() if hasattr(part, "tobytes") else repr(part).encode())
    return digest.hexdigest()[:16]
