"""The feature cache on disk: chunk files that are written once, completely, and verified when they are read.

    CACHE_DIR/features/SPACE/space.json         describes the features
                             CHUNK.safetensors  keys, ends and rows of some texts

A space stands for everything except the text that determines a feature; its name is a digest of that. A key is the digest
of a text's token ids, which cover tokenizer and truncation. Chunks are added and never changed, so any number of
processes can read and extend a space without a lock; a text that two of them add is stored twice, which is harmless.
"""

import hashlib
import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import platformdirs

from bert_tf import files
from bert_tf.formatting import megabytes

log = logging.getLogger("bert_tf")

FORMAT = 2  # increased whenever the same description would stand for other features
LIMIT = 20 * 1024**3  # bytes, the default limit for all spaces together
KEY = np.dtype("S16")
STALE = 3600  # seconds after which an unfinished file is considered abandoned
DESCRIPTION = "space.json"


@dataclass(frozen=True)
class Chunk:
    """The features of n texts.

    Attributes:
        keys: `KEY` `(n,)`.
        ends: int64 `(n,)`, where each text ends in `rows`.
        rows: `(total, D)`, memory-mapped if read from a file.
    """

    keys: np.ndarray
    ends: np.ndarray
    rows: np.ndarray


def default_dir() -> Path:
    """Returns the user's cache folder: `$XDG_CACHE_HOME/bert_tf`, or the platform's usual one."""
    return Path(platformdirs.user_cache_dir("bert_tf"))


def key(ids: np.ndarray, second: int | None = None) -> bytes:
    """Returns the key of a text, 16 bytes, from its token ids, int32 `(length,)`; of a pair also from where its second text begins,
    as token types decide the features too."""
    content = ids.tobytes() if second is None else ids.tobytes() + b"types" + int(second).to_bytes(8, "little")
    # S16 drops trailing zero bytes; setting the last bit keeps all keys 16 bytes long.
    digest = bytearray(hashlib.blake2b(content, digest_size=16).digest())
    digest[-1] |= 1
    return bytes(digest)


class Space:
    """All features of one kind: of the frozen layers of one model, in one precision.

    Args:
        description: dict of JSON values, everything except the text that determines a feature.
        cache_dir: Path; None = features stay in memory.
    """

    def __init__(self, description: dict[str, Any], cache_dir: Path | None = None):
        self.description = {**description, "format": FORMAT}
        self._known: set[str] = set()
        identity = json.dumps({k: v for k, v in self.description.items() if k != "checkpoint"}, sort_keys=True)
        name = hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()
        self.folder = None if cache_dir is None else Path(cache_dir) / "features" / name

    def new_chunks(self) -> Iterator[Chunk]:
        """Yields the chunks added since the last call, by earlier runs or other processes.

        A damaged chunk is deleted with a warning, so its texts are computed again.
        """
        if self.folder is None or not self.folder.is_dir():
            return
        for file in sorted(self.folder.glob("*.safetensors")):
            if file.name in self._known:
                continue
            self._known.add(file.name)
            try:
                yield _read(file)
            except FileNotFoundError:  # another process has just deleted it
                pass
            except ValueError as error:
                log.warning("%s: %s. The file is deleted, and its features are computed again.", file, error)
                file.unlink(missing_ok=True)

    def add(self, chunk: Chunk) -> Chunk:
        """Stores a chunk; returns it for further use, memory-mapped if it is on disk.

        Raises: OSError if it cannot be written; then no trace of it is left, and other chunks are untouched.
        """
        if self.folder is None:
            return chunk
        file = self.folder / f"{hashlib.blake2b(chunk.keys.tobytes(), digest_size=12).hexdigest()}.safetensors"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / DESCRIPTION).is_file():
                files.write_json(self.folder / DESCRIPTION, self.description)
            with files.written_whole(file) as scratch:
                _write(scratch, chunk)
        except OSError as error:
            raise OSError(
                f"{self.folder}: cannot write features ({error.strerror or error}). Those written before are intact and will "
                "be reused. Free some space (bert-tf cache prune), choose another folder with cache_dir (--cache-dir), "
                "or train without the cache (cache=False, --no-cache)."
            ) from error
        self._known.add(file.name)
        return _read(file)

    def make_room(self, size: int, limit: int = LIMIT) -> None:
        """Makes room for `size` more bytes by deleting the least recently used spaces; raises OSError if they do not fit."""
        if self.folder is None:
            return
        root = self.folder.parents[1]
        prune(root, max(limit - size, 0), keep=self.folder)
        free = shutil.disk_usage(next(p for p in (root, *root.absolute().parents) if p.is_dir())).free
        used = sum(space.size for space in spaces(root))
        reason = f"the disk has {megabytes(free)} left"
        if size > limit - used:
            reason = f"the cache is limited to {megabytes(limit)}, {megabytes(used)} are in use"
        if size > min(limit - used, free):
            raise OSError(
                f"{root}: no room for {megabytes(size)} of features: {reason}. Choose another folder with cache_dir "
                "(--cache-dir), a smaller max_length or fewer unfrozen layers, or train without the cache "
                "(cache=False, --no-cache)."
            )

    def touch(self) -> None:
        """Records that the space was used now; deletes what killed writers have left."""
        if self.folder is None or not self.folder.is_dir():
            return
        if (self.folder / DESCRIPTION).is_file():
            os.utime(self.folder / DESCRIPTION)
        for scratch in self.folder.glob(".*.part"):
            try:
                if time.time() - scratch.stat().st_mtime > STALE:
                    scratch.unlink(missing_ok=True)
            except FileNotFoundError:  # its writer was just slow
                pass


def _write(file: Path, chunk: Chunk) -> None:
    from safetensors.numpy import save

    arrays = {"ends": chunk.ends, "keys": np.frombuffer(chunk.keys.tobytes(), "uint8"), "rows": chunk.rows}
    checksum = reduce(lambda checksum, array: zlib.crc32(array.view("uint8").data, checksum), arrays.values(), 0)
    file.write_bytes(save(arrays, metadata={"crc32": str(checksum)}))


def _read(file: Path) -> Chunk:
    """Opens a chunk and verifies every byte; raises ValueError if it is not what was written."""
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        start = 8 + int.from_bytes(opened.read(8), "little")
        if not 8 < start <= size:
            raise ValueError("damaged (truncated header)")
        try:
            header = json.loads(opened.read(start - 8))
            entries = [_entry(header[name]) for name in ("ends", "keys", "rows")]
            expected = int(header["__metadata__"]["crc32"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError("damaged (unreadable header)") from error
        checksum = 0
        for _, _, begin, end in entries:
            opened.seek(start + begin)
            remaining = end - begin
            while block := opened.read(min(remaining, 1 << 20)):
                checksum, remaining = zlib.crc32(block, checksum), remaining - len(block)
            if remaining:
                raise ValueError("damaged (truncated)")
    if checksum != expected:
        raise ValueError("damaged (wrong checksum)")
    ends, keys, rows = (np.memmap(file, dtype, "r", start + begin, shape) for dtype, shape, begin, _ in entries)
    return Chunk(np.array(keys).view(KEY), np.array(ends), rows)


def _entry(entry: dict[str, Any]) -> tuple[np.dtype, tuple[int, ...], int, int]:
    dtypes = {"U8": "uint8", "I64": "int64", "F32": "float32", "F16": "float16", "BF16": ml_dtypes.bfloat16}
    dtype, (begin, end) = np.dtype(dtypes[entry["dtype"]]), entry["data_offsets"]
    if end - begin != dtype.itemsize * int(np.prod(entry["shape"])) or begin < 0:
        raise ValueError(f"inconsistent sizes: {entry}")
    return dtype, tuple(entry["shape"]), begin, end


@dataclass(frozen=True)
class SpaceInfo:
    """A space as `bert-tf cache list` shows it: folder, bytes, chunk files, time of last use (seconds), description."""

    folder: Path
    size: int
    chunks: int
    used: float
    description: dict[str, Any]


def spaces(cache_dir: Path | None = None) -> list[SpaceInfo]:
    """Returns the spaces of a cache folder, the most recently used first."""
    infos = []
    root = (default_dir() if cache_dir is None else Path(cache_dir)) / "features"
    for folder in filter(Path.is_dir, root.glob("*")):
        size = chunks = 0
        for file in folder.iterdir():
            try:
                size += file.stat().st_size
            except FileNotFoundError:  # renamed or deleted meanwhile
                continue
            chunks += file.suffix == ".safetensors"
        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            used = (folder / DESCRIPTION).stat().st_mtime
        except (OSError, ValueError):
            description, used = {}, 0.0
        infos.append(SpaceInfo(folder, size, chunks, used, description))
    return sorted(infos, key=lambda space: -space.used)


def prune(cache_dir: Path | None = None, limit: int = LIMIT, keep: Path | None = None) -> list[SpaceInfo]:
    """Deletes the least recently used spaces, but never `keep`, until `limit` bytes are in use; returns the deleted."""
    all_spaces = spaces(cache_dir)
    used, deleted = sum(space.size for space in all_spaces), []
    for space in reversed(all_spaces):
        if used > limit and space.folder != keep:
            shutil.rmtree(space.folder, ignore_errors=True)
            used -= space.size
            deleted.append(space)
    return deleted
