"""Features on disk: chunk files that are written once, whole, and checked when they are read.

    CACHE_DIR/features/SPACE/space.json        what the features are of
                             /CHUNK.safetensors  keys, ends and rows of some texts

A space is everything but the text that decides what a feature is: its name is a digest of that. A key is the digest of
a text's token ids, in which tokenizer and truncation are contained. Chunks are added and never changed, so that any
number of processes may read and add to one space with no lock; the same text found twice is one too many, and harmless.
"""

import hashlib
import json
import logging
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from bert_tf import files
from bert_tf.formatting import megabytes

log = logging.getLogger("bert_tf")


FORMAT = 1  # counted up whenever the same space would hold something else


LIMIT = 20 * 1024**3  # bytes that all spaces together may take, by default


KEY = np.dtype("S16")


STALE = 3600  # seconds after which an unfinished file is taken for one whose writer is gone


DESCRIPTION = "space.json"


@dataclass(frozen=True)
class Chunk:
    """Features of n texts.

    Attributes:
        keys: `KEY` `(n,)`.
        ends: int64 `(n,)`, where each text ends in `rows`.
        rows: `(total, D)`, memory-mapped where it comes from a file.
    """

    keys: np.ndarray
    ends: np.ndarray
    rows: np.ndarray


def default_dir() -> Path:
    """Returns the user's cache folder: `$XDG_CACHE_HOME/bert_tf`, else the platform's."""
    return Path(platformdirs.user_cache_dir("bert_tf"))


def key(ids: np.ndarray) -> bytes:
    """Returns the key of a text, 16 bytes, from its token ids, int32 `(length,)`."""
    # S16 drops zero bytes at the end; the last bit set keeps all keys 16 bytes long.
    digest = bytearray(hashlib.blake2b(ids.tobytes(), digest_size=16).digest())
    digest[-1] |= 1
    return bytes(digest)


class Space:
    """All features of one kind: those of one frozen part of one model, in one precision.

    Args:
        description: dict of JSON values, everything but the text that decides what a feature is.
        cache_dir: Path; None = nothing is kept on disk.
    """

    def __init__(self, description: dict[str, Any], cache_dir: Path | None = None):
        self.description = {**description, "format": FORMAT}
        self.folder = None
        self._known: set[str] = set()
        if cache_dir is not None:
            decides = json.dumps({k: v for k, v in self.description.items() if k != "checkpoint"}, sort_keys=True)
            self.folder = Path(cache_dir) / "features" / hashlib.blake2b(decides.encode(), digest_size=12).hexdigest()

    def new_chunks(self) -> Iterator[Chunk]:
        """Yields the chunks that have come since the last call, from this process's earlier runs or from others.

        A damaged one is removed, with a warning, and so its texts are computed anew.
        """
        if self.folder is None or not self.folder.is_dir():
            return
        for file in sorted(self.folder.glob("*.safetensors")):
            if file.name in self._known:
                continue
            self._known.add(file.name)
            try:
                yield _read(file)
            except FileNotFoundError:  # pruned by another process just now
                continue
            except ValueError as error:
                log.warning("%s: %s. It is removed, and what it held computed anew.", file, error)
                file.unlink(missing_ok=True)

    def add(self, chunk: Chunk) -> Chunk:
        """Keeps a chunk; returns it as it is to be used from now on, memory-mapped where there is a disk.

        Raises: OSError where the disk has no room; nothing is left of the chunk then, and nothing else is touched.
        """
        if self.folder is None:
            return chunk
        file = self.folder / f"{hashlib.blake2b(chunk.keys.tobytes(), digest_size=12).hexdigest()}.safetensors"
        scratch = self.folder / f".{file.stem}.{uuid.uuid4().hex}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not (self.folder / DESCRIPTION).is_file():
                files.write_json(self.folder / DESCRIPTION, self.description)
            _write(scratch, chunk)
            os.replace(scratch, file)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise OSError(
                f"{self.folder}: features cannot be kept here ({error.strerror or error}). What was kept before is "
                "whole, and is read the next time. Make room (bert-tf cache prune), choose another folder with "
                "cache_dir (--cache-dir), or do without (cache=False, --no-cache)."
            ) from error
        self._known.add(file.name)
        return _read(file)

    def make_room(self, size: int, limit: int = LIMIT) -> None:
        """Sees that `size` more bytes fit, into `limit` and on the disk; removes the spaces longest unused for it.

        Raises: OSError if they do not fit.
        """
        if self.folder is None:
            return
        root = self.folder.parents[1]
        prune(root, max(limit - size, 0), keep=self.folder)
        free = shutil.disk_usage(next(p for p in (root, *root.absolute().parents) if p.is_dir())).free
        taken = sum(space.size for space in spaces(root))
        for room, what in ((limit - taken, f"the cache may take {megabytes(limit)}, {megabytes(taken)} are in use"),
                           (free, f"the disk has {megabytes(free)} left")):  # fmt: skip
            if size > room:
                raise OSError(
                    f"{root}: no room for {megabytes(size)} of features: {what}. Choose another folder with cache_dir "
                    "(--cache-dir), a smaller max_length, fewer unfrozen layers, or do without the cache (cache=False, "
                    "--no-cache)."
                )

    def touch(self) -> None:
        """Notes that the space was used now; removes what killed writers have left."""
        if self.folder is None or not self.folder.is_dir():
            return
        if (self.folder / DESCRIPTION).is_file():
            os.utime(self.folder / DESCRIPTION)
        for scratch in self.folder.glob(".*.part"):
            try:
                if time.time() - scratch.stat().st_mtime > STALE:
                    scratch.unlink(missing_ok=True)
            except FileNotFoundError:  # its writer was only slow
                pass


def _write(file: Path, chunk: Chunk) -> None:
    from safetensors.numpy import save

    arrays = {"ends": chunk.ends, "keys": np.frombuffer(chunk.keys.tobytes(), "uint8"), "rows": chunk.rows}
    checksum = 0
    for array in arrays.values():
        checksum = zlib.crc32(array.view("uint8").data, checksum)
    file.write_bytes(save(arrays, metadata={"crc32": str(checksum)}))


def _read(file: Path) -> Chunk:
    """Opens a chunk and checks it, byte for byte; raises ValueError if it is not what was written."""
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        start = 8 + int.from_bytes(opened.read(8), "little")
        if not 8 < start <= size:
            raise ValueError("damaged (its header is cut off)")
        try:
            header = json.loads(opened.read(start - 8))
            entries = {name: _entry(header[name]) for name in ("ends", "keys", "rows")}
            expected = int(header["__metadata__"]["crc32"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError("damaged (its header cannot be read)") from error
        checksum = 0
        for _, _, begin, end in entries.values():
            opened.seek(start + begin)
            left = end - begin
            while block := opened.read(min(left, 1 << 20)):
                checksum, left = zlib.crc32(block, checksum), left - len(block)
            if left:
                raise ValueError("damaged (it is cut off)")
    if checksum != expected:
        raise ValueError("damaged (its checksum is wrong)")

    def mapped(name: str) -> np.ndarray:
        dtype, shape, begin, _ = entries[name]
        return np.memmap(file, dtype, "r", start + begin, tuple(shape))

    return Chunk(np.array(mapped("keys")).view(KEY), np.array(mapped("ends")), mapped("rows"))


def _entry(entry: dict[str, Any]) -> tuple[np.dtype, list[int], int, int]:
    import ml_dtypes

    dtypes = {"U8": "uint8", "I64": "int64", "F32": "float32", "F16": "float16", "BF16": ml_dtypes.bfloat16}
    dtype, (begin, end) = np.dtype(dtypes[entry["dtype"]]), entry["data_offsets"]
    if end - begin != dtype.itemsize * int(np.prod(entry["shape"])) or begin < 0:
        raise ValueError(f"sizes that disagree: {entry}")
    return dtype, entry["shape"], begin, end


# What the cache holds


@dataclass(frozen=True)
class SpaceInfo:
    """A space as `bert-tf cache list` shows it: folder, bytes, files, time of its last use (seconds), description."""

    folder: Path
    size: int
    chunks: int
    used: float
    description: dict[str, Any]


def spaces(cache_dir: Path | None = None) -> list[SpaceInfo]:
    """Returns the spaces of a cache folder, the one used last first."""
    found = []
    root = (default_dir() if cache_dir is None else Path(cache_dir)) / "features"
    for folder in root.iterdir() if root.is_dir() else ():
        if not folder.is_dir():
            continue
        size = chunks = 0
        for file in folder.iterdir():
            try:
                size += file.stat().st_size
            except FileNotFoundError:  # renamed or pruned meanwhile
                continue
            chunks += file.suffix == ".safetensors"
        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            used = (folder / DESCRIPTION).stat().st_mtime
        except (OSError, ValueError):
            description, used = {}, 0.0
        found.append(SpaceInfo(folder, size, chunks, used, description))
    return sorted(found, key=lambda space: -space.used)


def prune(cache_dir: Path | None = None, limit: int = LIMIT, keep: Path | None = None) -> list[SpaceInfo]:
    """Removes the spaces longest unused until all together take at most `limit` bytes; returns the removed ones.

    Args:
        keep: Path of a space that stays whatever its size.
    """
    there = spaces(cache_dir)
    taken, removed = sum(space.size for space in there), []
    for space in reversed(there):
        if taken > limit and space.folder != keep:
            shutil.rmtree(space.folder, ignore_errors=True)
            taken -= space.size
            removed.append(space)
    return removed
