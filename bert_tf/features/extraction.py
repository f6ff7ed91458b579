"""Features: the output of the layers below the freeze boundary, computed once for each text.

Frozen layers give the same numbers in every epoch, every trial of a search and every run. Here they are run once, without
dropout, and their output is cached on disk or in memory; training then starts at the boundary.

    features = extract(model.encoder, tokens)        # after model.freeze(...)
    model.fit(bert_tf.batches(features, labels, shuffle=True), epochs=20)
"""

import hashlib
import inspect
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from keras import ops

from bert_tf import hardware, terminal
from bert_tf.backends.devices import sharing
from bert_tf.data.bucketing import padded_batch, token_batches
from bert_tf.data.tokenizer import Tokens
from bert_tf.features.cache import KEY, LIMIT, Chunk, Space, default_dir, key
from bert_tf.formatting import counted
from bert_tf.inference import engines
from bert_tf.inference.engines import HalvesOnOutOfMemory
from bert_tf.models.encoder import Encoder
from bert_tf.reporting.display import Displayed

CHUNK_BATCHES = 8  # batches written together: the most that is lost when a process is killed


@dataclass(frozen=True, repr=False)
class Features(Displayed):
    """The output of an encoder's frozen layers for N texts; rows stay on disk until they are read.

    Attributes:
        lengths: int64 `(N,)`, number of tokens of each text.
        pooled: bool. True: one row per text, what the head sees. False: one row per token.
        chunks: the `Chunk`s that hold the rows.
        chunk, start: int64 `(N,)`, the chunk of each text, and where it starts in the chunk's rows.
        computed: int, number of distinct texts that had to be computed; the others were cached.
    """

    lengths: np.ndarray
    pooled: bool
    chunks: list[Chunk]
    chunk: np.ndarray
    start: np.ndarray
    computed: int = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def _title(self) -> str:
        rows = "one row per text" if self.pooled else f"{int(self.lengths.sum()):,} rows, one per token"
        return f"Features({counted(len(self), 'text')}: {rows}, width {self.width:,}, {self.dtype}; {self.computed:,} computed)"

    @property
    def width(self) -> int:
        """D, the length of a row."""
        return self.chunks[0].rows.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.chunks[0].rows.dtype

    def __getitem__(self, i: int) -> np.ndarray:
        """Returns the features of text `i`, `(D,)` if pooled, else `(length, D)`."""
        rows, start = self.chunks[self.chunk[i]].rows, self.start[i]
        return rows[start] if self.pooled else rows[start : start + self.lengths[i]]

    def take(self, indices: np.ndarray) -> "Features":
        """Returns the features of the texts at `indices`, in that order."""
        return Features(self.lengths[indices], self.pooled, self.chunks, self.chunk[indices], self.start[indices])


def extract(
    encoder: Encoder,
    tokens: Tokens,
    *,
    cache: str = "disk",
    cache_dir: str | Path | None = None,
    limit: int = LIMIT,
    keep: str | None = None,
    engine: str = "auto",
    checkpoint: str = "",
    progress: bool = True,
) -> Features:
    """Runs the layers below an encoder's freeze boundary, or reads their output from the cache.

    Each distinct text is computed once, texts of similar length together, in batches of `hardware.token_budget()` tokens.
    A killed process loses at most one chunk; called again, it resumes where it stopped.

    Args:
        encoder: `Encoder` of a model after `model.freeze`, built. Its dtype policy determines the precision.
        tokens: `Tokens` of N texts.
        cache: "disk" or "memory".
        cache_dir: folder for "disk"; None = the user's cache folder.
        limit: int, the most bytes in the cache folder; beyond it the least recently used features are deleted.
        keep: str, dtype of the cached rows; None = the dtype they are computed in.
        engine: str, see `bert_tf.inference.engines.choose`.
        checkpoint: str, a name to show in `bert-tf cache list`.
        progress: bool, whether to show how far it is.
    Returns: `Features` of N texts.
    Raises: ValueError if there are no texts, if no layer is frozen, or for an unknown `cache` or `engine`; OSError if the
        disk has no room.

    >>> model.freeze(0)  # doctest: +SKIP
    >>> extract(model.encoder, tokenize(["Works well."], tokenizer, 256))[0].shape  # doctest: +SKIP
    (384,)
    """
    if cache not in ("disk", "memory"):
        raise ValueError(f"`cache` must be 'disk' or 'memory'. Received: cache={cache!r}")
    engines.check_engine(engine)
    if encoder.boundary == 0:
        problem = "No layer is frozen below the trained ones, so there are no features."
        raise ValueError(f"{problem} Call model.freeze(...) first.")
    if not len(tokens):
        raise ValueError("No texts given: there are no features to compute.")
    keep, tokens = keep or encoder.compute_dtype, tokens.fitting(encoder)
    pooled = encoder.all_frozen
    where = (default_dir() if cache_dir is None else Path(cache_dir).expanduser()) if cache == "disk" else None
    space = Space({"checkpoint": checkpoint, **describe(encoder, keep)}, where)
    index = _Index(tokens)
    index.add(space.new_chunks())
    missing = index.missing()
    if len(missing):
        rows = len(missing) if pooled else int(index.lengths[missing].sum())
        space.make_room(rows * encoder.feature_size * numpy_dtype(keep).itemsize, limit)
        _compute(encoder, tokens, index, space, keep, engine, progress)
    space.touch()
    chunk, start = index.chunk[index.inverse], index.start[index.inverse]
    return Features(tokens.lengths, pooled, index.chunks, chunk, start, len(missing))


def feature_dtype(encoder: Encoder, precision: str) -> str:
    """Returns the dtype in which to cache features.

    It is the one they are computed in; only hidden states (a row per token) in float32 are halved, if `precision` is "auto"; but
    not those of pre-normalised layers, which may be larger than float16 can hold.
    """
    half = precision == "auto" and encoder.compute_dtype == "float32" and not encoder.all_frozen
    half = half and encoder.final_norm is None
    return "float16" if half else encoder.compute_dtype


def describe(encoder: Encoder, keep: str) -> dict[str, Any]:
    """Returns everything except the text that determines a feature, as JSON values; the cache's key depends on it."""
    boundary = encoder.boundary
    digest = hashlib.blake2b(digest_size=16)
    for part in encoder.frozen_parts:
        for variable in sorted(part.weights, key=_place):
            digest.update(np.ascontiguousarray(ops.convert_to_numpy(variable)).view("uint8").data)
    return {
        "weights": digest.hexdigest(),
        **settings_of(encoder),
        "layers": boundary,
        "pooling": encoder.pooling.replace("_", " ") if encoder.all_frozen else "none",
        "precision": encoder.compute_dtype,
        "kept": keep,
    }


def _place(variable: Any) -> int:
    """Returns where a weight comes in the key of a cache: tables in this order, whatever order they are made in."""
    tables = ("word_embeddings", "position_embeddings", "token_type_embeddings")
    return next((i for i, name in enumerate(tables) if f"/{name}/" in f"/{variable.path}"), len(tables))


def settings_of(encoder: Encoder) -> dict[str, Any]:
    """Returns the settings of an encoder on which a feature depends: some always, as the names of all caches were made with them,
    the others where they differ from their default."""
    defaults = {name: each.default for name, each in inspect.signature(Encoder.__init__).parameters.items()}
    settings = {name: value for name, value in encoder.get_config().items() if name in defaults}
    return {
        name: value
        for name, value in settings.items()
        if name in ALWAYS or (name not in NO_MATTER and value != defaults[name])
    }


ALWAYS = ("hidden_size", "num_attention_heads", "hidden_act", "layer_norm_eps")
# What does nothing to a feature, or shows in its weights, or stands in the description anyway.
NO_MATTER: tuple[str, ...] = (
    "hidden_dropout",
    "attention_dropout",
    "attention_output_dropout",
    "embedding_dropout",
    "inner_dropout",
    "initializer_range",
    "pooler",
    "pooling",
)
NO_MATTER += ("vocab_size", "intermediate_size", "num_hidden_layers", "max_position_embeddings", "type_vocab_size")


class _Index:
    """Where each distinct text of some tokens is: its chunk, and its start in it; -1 = nowhere yet."""

    def __init__(self, tokens: Tokens):
        seconds = [None] * len(tokens) if tokens.seconds is None else tokens.seconds
        keys = np.array([key(tokens[i], second) for i, second in enumerate(seconds)], KEY)
        self.keys, self.first, self.inverse = np.unique(keys, return_index=True, return_inverse=True)
        self.lengths = tokens.lengths[self.first]
        self.chunk, self.start = np.full((2, len(self.keys)), -1)
        self.chunks: list[Chunk] = []

    def missing(self) -> np.ndarray:
        """Returns the indices of the texts that are nowhere yet, int64."""
        return np.flatnonzero(self.chunk < 0)

    def add(self, chunks: Iterable[Chunk]) -> None:
        for chunk in chunks:
            place = np.searchsorted(self.keys, chunk.keys).clip(max=len(self.keys) - 1)
            wanted = np.flatnonzero(self.keys[place] == chunk.keys)
            if len(wanted):
                self.chunk[place[wanted]] = len(self.chunks)
                self.start[place[wanted]] = np.concatenate([[0], chunk.ends[:-1]])[wanted]
                self.chunks.append(chunk)


def _compute(encoder: Encoder, tokens: Tokens, index: _Index, space: Space, keep: str, engine: str, progress: bool):
    """Computes the missing features, chunk by chunk."""
    missing = index.missing()
    batches = token_batches(index.lengths[missing], hardware.token_budget() * sharing())
    groups = [[missing[b] for b in batches[i : i + CHUNK_BATCHES]] for i in range(0, len(batches), CHUNK_BATCHES)]
    # The longest first, so that running out of memory shows at once. Then in random order (system entropy: a shared seed
    # would give every process the same order): so the time left can be estimated, and processes that fill one space
    # together rarely repeat each other's work.
    groups[1:] = random.SystemRandom().sample(groups[1:], len(groups) - 1)
    probe = padded_batch(tokens, index.first[groups[0][0]])
    run = HalvesOnOutOfMemory(engines.choose(engine, encoder, encoder.features, probe, len(batches)))
    pooled = encoder.all_frozen
    cost = int(index.lengths[missing].sum())
    with terminal.Bar("Features", len(missing), "text", work=cost, shown=progress) as bar:
        for group in groups:
            todo = [part[index.chunk[part] < 0] for part in group]  # another process may have computed some
            if todo := [part for part in todo if len(part)]:
                rows = np.concatenate([run(tokens, index.first[part], per_token=not pooled) for part in todo])
                texts = np.concatenate(todo)
                ends = np.arange(1, len(texts) + 1) if pooled else np.cumsum(index.lengths[texts])
                index.add([space.add(Chunk(index.keys[texts], ends, rows.astype(numpy_dtype(keep))))])
                index.add(space.new_chunks())
            bar.update(sum(map(len, group)), work=int(sum(index.lengths[part].sum() for part in group)))


def numpy_dtype(name: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
