"""Where files are: on this machine, or where pyarrow reaches: s3://bucket/name, gs://bucket/name, hdfs://host/name."""

import fnmatch
import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bert_tf.data.decoding import COMPRESSED
from bert_tf.data.formats import FORMATS
from bert_tf.files import error_reason

OF_DATASETS = (
    "dataset_dict.json",
    "dataset_info.json",
)  # in a folder that the `datasets` library has written: one source


def is_remote(where: Any) -> bool:
    """Returns whether something is a URI, as s3://bucket/name."""
    return isinstance(where, str) and "://" in where


def located(where: str | os.PathLike) -> tuple[Any, str]:
    """Returns the file system of pyarrow that a path or URI is on, and the path there.

    Raises: ValueError for a URI that pyarrow does not reach.
    """
    from pyarrow import fs

    if not is_remote(where):
        return fs.LocalFileSystem(), str(Path(where).expanduser().absolute())
    try:
        return fs.FileSystem.from_uri(str(where))
    except Exception as error:  # pyarrow's errors, and those of the libraries under it, have no common class
        raise ValueError(
            f"{where}: cannot be reached ({error_reason(error)}). Expected a path, or a URI such as s3://bucket/name or gs://bucket/name."
        ) from error


def inside(folder: str | os.PathLike, name: str) -> str:
    """Returns the path or URI of a file in a folder; what a URI has behind ? stays there."""
    if not is_remote(folder):
        return str(Path(folder).expanduser().absolute() / name)
    place, mark, query = str(folder).partition("?")
    return f"{place.rstrip('/')}/{name}{mark}{query}"


def matching(source: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str]:
    """Returns the files that a path, a folder, a pattern (texts/*.parquet), a URI, or several of these stand for, by name.

    Raises: FileNotFoundError if one stands for none; ValueError for a file that is named twice.
    """
    if not isinstance(source, (str, os.PathLike)):
        files = [file for each in source for file in matching(each)]
        if twice := [file for file in dict.fromkeys(files) if files.count(file) > 1]:
            raise ValueError(f"{twice[0]}: named twice.")
        return files
    found = _remote(str(source)) if is_remote(source) else _here(Path(source).expanduser())
    if not found:
        raise FileNotFoundError(f"{source}: no such file, or none that is read: {', '.join(FORMATS)}.")
    return found


def is_pattern(source: Any) -> bool:
    """Returns whether a path has * ? or [ ] in it and is not itself the name of a file."""
    if is_remote(source):
        return "*" in source
    return isinstance(source, (str, os.PathLike)) and glob.has_magic(os.fspath(source)) and not Path(source).exists()


def several(source: Any) -> bool:
    """Returns whether a path is a pattern, or a folder that is not one source by itself."""
    if is_pattern(source):
        return True
    if not isinstance(source, (str, os.PathLike)) or is_remote(source):
        return False
    folder = Path(source).expanduser()
    return folder.is_dir() and not any((folder / name).is_file() for name in OF_DATASETS)


def _here(path: Path) -> list[str]:
    if not several(path):
        return [str(path.absolute())] if path.exists() else []
    found = sorted(path.iterdir()) if path.is_dir() else map(Path, sorted(glob.glob(str(path), recursive=True)))
    return [str(file.absolute()) for file in found if file.is_file() and _is_read(file.name)]


def _remote(uri: str) -> list[str]:
    from pyarrow import fs

    system, path = located(uri)
    folder, _, pattern = path.rpartition("/")
    if "*" not in pattern:
        kind = system.get_file_info(path).type
        if kind != fs.FileType.Directory:
            return [uri] if kind == fs.FileType.File else []
        folder, pattern = path, "*"
    here = uri.partition("?")[0]
    base = uri.replace(here, here.rpartition("/")[0], 1) if "*" in here else uri
    names = (info.base_name for info in system.get_file_info(fs.FileSelector(folder)) if info.is_file)
    return [inside(base, name) for name in sorted(names) if fnmatch.fnmatchcase(name, pattern) and _is_read(name)]


def _is_read(name: str) -> bool:
    return name[0] not in "._" and Path(name).suffix.lower() in (*FORMATS, *COMPRESSED)
