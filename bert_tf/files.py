"""Files written whole or not at all, and JSON read with an error that names the file."""

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def whole(file: Path) -> Iterator[Path]:
    """Gives a file to write to, which takes the place of `file` when all is written, and is gone if that fails."""
    # of one's own: others may write the same file now
    scratch = file.with_name(f".{file.name}.{uuid.uuid4().hex}.part")
    try:
        yield scratch
        os.replace(scratch, file)
    finally:
        scratch.unlink(missing_ok=True)


def write_text(file: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    with whole(file) as scratch:
        scratch.write_text(text, encoding="utf-8")


def copy_file(source: Path, file: Path) -> None:
    """Copies a file whole or not at all."""
    with whole(file) as scratch:
        shutil.copyfile(source, scratch)


def write_json(file: Path, values: Mapping) -> None:
    write_text(file, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Mapping]) -> None:
    """Writes rows by the columns of `header`; numbers in full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, header, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(file, text.getvalue())


def read_json(file: Path, hint: str = "") -> dict:
    """Reads a file that holds one JSON object; an error names it, and says `hint`: what to do about it."""
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file. {hint}".rstrip())
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: damaged, not valid JSON ({error}). {hint}".rstrip()) from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: expected a JSON object, found a {type(content).__name__}. {hint}".rstrip())
    return content


def fingerprint(*parts: Any) -> str:
    """Returns 16 hexadecimal digits that change with any part: arrays, or values with a `repr`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes() if hasattr(part, "tobytes") else repr(part).encode())
    return digest.hexdigest()[:16]
