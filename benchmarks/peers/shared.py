"""Shared by the sides. It runs in every environment, with the standard library and NumPy only."""

import csv
import importlib.metadata
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

PACKAGES = (
    "bert-tf",
    "keras",
    "keras-hub",
    "openvino",
    "tensorflow",
    "tensorflow-cpu",
    "tf-keras",
    "torch",
    "transformers",
)

# Families in base size, with random weights: name of its classes in transformers, and what differs from their config's defaults.
WIDE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
FAMILIES = {
    "distilbert": ("DistilBert", {}),
    "bert": ("Bert", {}),
    "roberta": ("Roberta", {"max_position_embeddings": 514, "type_vocab_size": 1}),
    "mpnet": ("MPNet", {"max_position_embeddings": 514}),
    "electra": ("Electra", {**WIDE, "embedding_size": 768}),
    "albert": ("Albert", {**WIDE, "hidden_act": "gelu_new"}),
    "deberta-v2": (
        "DebertaV2",  # the settings of v3
        {
            **WIDE, "relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True,
            "pos_att_type": "p2c|c2p", "position_biased_input": False,
        },
    ),
    "modernbert": ("ModernBert", {"vocab_size": 50_368}),
    "nomic_bert": ("NomicBert", {}),
}  # fmt: skip


def family_config(family: str):
    """Returns the config of a family in base size."""
    import transformers

    name, differs = FAMILIES[family]
    return getattr(transformers, f"{name}Config")(**{"vocab_size": 30_000} | differs)


def family_batch(settings: dict, padded: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Returns token ids and their mask, int64 `(B, T)` both.

    Args:
        padded: whether the texts have the lengths of real ones, log-normal with a median of 64 tokens and cut at T, and padding.
    """
    shape = texts, tokens = settings["batch_size"], settings["tokens"]
    random = np.random.default_rng(0)
    ids, lengths = random.integers(1000, 30_000, shape), np.full(texts, tokens)
    if padded:
        lengths = np.clip(random.lognormal(np.log(64), 0.7, texts).astype(int), 3, tokens)
    mask = np.arange(tokens) < lengths[:, None]
    return ids * mask + (1 - mask), mask.astype("int64")  # 1: the id of padding of most families


def family_seconds(run: Callable[[np.ndarray, np.ndarray], object], settings: dict) -> dict:
    """Runs a batch once without counting it, then some times; returns the median seconds, of full texts and of padded ones."""
    results = {}
    for name, padded in (("full", False), ("padded", True)):
        ids, mask = family_batch(settings, padded)
        run(ids, mask)
        seconds = statistics.median(timed(partial(run, ids, mask)) for _ in range(settings["times"]))
        results[name] = {"seconds": seconds, "tokens": int(mask.sum()), "texts": len(ids)}
    return results


def main(**jobs: Callable[[dict], dict]) -> None:
    """Runs the job named in the argument and prints its result, with versions, as one line of JSON."""
    settings = json.loads(sys.argv[1])
    result = jobs[settings["job"]](settings)
    result["versions"] = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            result["versions"][name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    print("\n" + json.dumps(result))


def read_texts(file: str) -> tuple[list[str], np.ndarray]:
    """Returns the texts of a CSV and their labels as numbers, int32 `(N,)`."""
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    names = sorted({row["label"] for row in rows})
    return [row["text"] for row in rows], np.array([names.index(row["label"]) for row in rows], "int32")


def read_tokens(file: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the token ids of each text, int32 `(length,)`, and the labels, int32 `(N,)`."""
    with np.load(file) as arrays:
        return np.split(arrays["ids"], arrays["ends"][:-1]), arrays["labels"]


def padded(rows: Sequence[np.ndarray], length: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns `(input_ids, attention_mask)`, int64 `(B, T)`, where T is `length` or that of the longest row."""
    ids = np.zeros((len(rows), length or max(map(len, rows))), "int64")
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask


def by_length(rows: Sequence[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Returns batches of texts of similar length, as indices."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    return np.split(order, range(batch_size, len(order), batch_size))


def warm_up(rows: Sequence[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Returns two small batches of different shapes, as indices: after them no tracing is left to do."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    size = max(1, min(batch_size, len(order)) // 8)
    return [order[:size], order[len(order) // 2 :][: 2 * size]]


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class BatchClock:
    """The time of each batch from the end of the one before, so that the input pipeline is included."""

    def __init__(self):
        self.seconds: dict[str, list[float]] = {"train": [], "validation": []}
        self.start()

    def start(self) -> None:
        self.last = time.perf_counter()

    def batch(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[part].append(now - self.last)
        self.last = now

    def callback(self, base: type) -> object:
        """Returns a Keras callback that runs this clock; its `base` class is that of Keras 3 or 2."""

        class Callback(base):  # type: ignore[misc]
            on_epoch_begin = staticmethod(lambda *_, **__: self.start())
            on_train_batch_end = staticmethod(lambda *_, **__: self.batch("train"))
            on_test_batch_end = staticmethod(lambda *_, **__: self.batch("validation"))

        return Callback()

    def result(self, texts: int, validation_texts: int, batch_size: int) -> dict:
        """Returns the seconds that recur in every epoch, and those spent once."""
        train, once = split(self.seconds["train"], texts, batch_size)
        validation, once_more = split(self.seconds["validation"], validation_texts, batch_size)
        return {"train_s": train, "validation_s": validation, "once_s": once + once_more}


def split(seconds: Sequence[float], texts: int, batch_size: int) -> tuple[float, float]:
    """Splits the seconds of one pass into those that recur in every pass and those spent once.

    Tracing and compiling happen in the first batch of each size; its time beyond the median counts as spent once.
    """
    sizes = [min(batch_size, texts - start) for start in range(0, texts, batch_size)]
    median = statistics.median(s / n for s, n in zip(seconds, sizes, strict=True))
    first = {n: s for s, n in reversed([*zip(seconds, sizes, strict=True)])}
    once = sum(max(s - median * n, 0.0) for n, s in first.items())
    return sum(seconds) - once, once
