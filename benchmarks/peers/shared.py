"""What the sides share. It runs in every environment: standard library and NumPy alone."""

import csv
import importlib.metadata
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence

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


def main(**jobs: Callable[[dict], dict]) -> None:
    """Runs the job that the argument names and prints its result, with versions, as a line of JSON."""
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
    """Returns `(input_ids, attention_mask)`, int64 `(B, T)`, T being the longest row's or `length`."""
    ids = np.zeros((len(rows), length or max(map(len, rows))), "int64")
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return ids, mask


def by_length(rows: Sequence[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Returns batches of like length, as indices."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    return np.split(order, range(batch_size, len(order), batch_size))


def warm_up(rows: Sequence[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Returns two small batches of different shapes, as indices: after them nothing is traced any more."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    size = max(1, min(batch_size, len(order)) // 8)
    return [order[:size], order[len(order) // 2 :][: 2 * size]]


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class BatchClock:
    """The time each batch takes, from the end of the one before: what feeds the model is in it."""

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
        """Returns a Keras callback, of Keras 3 or 2 by its `base` class, that keeps this clock."""

        class Callback(base):  # type: ignore[misc]
            on_epoch_begin = staticmethod(lambda *_, **__: self.start())
            on_train_batch_end = staticmethod(lambda *_, **__: self.batch("train"))
            on_test_batch_end = staticmethod(lambda *_, **__: self.batch("validation"))

        return Callback()

    def result(self, texts: int, validation_texts: int, batch_size: int) -> dict:
        """Returns what an epoch takes again and again, and what it took once."""
        train, once = split(self.seconds["train"], texts, batch_size)
        validation, once_more = split(self.seconds["validation"], validation_texts, batch_size)
        return {"train_s": train, "validation_s": validation, "once_s": once + once_more}


def split(seconds: Sequence[float], texts: int, batch_size: int) -> tuple[float, float]:
    """Splits the times of the batches of a pass into what recurs in each pass and what is spent once.

    Tracing and compiling fall into the first batch of each size; what it takes beyond the median is counted as once.
    """
    sizes = [min(batch_size, texts - start) for start in range(0, texts, batch_size)]
    median = statistics.median(s / n for s, n in zip(seconds, sizes, strict=True))
    first = {n: s for s, n in reversed([*zip(seconds, sizes, strict=True)])}
    once = sum(max(s - median * n, 0.0) for n, s in first.items())
    return sum(seconds) - once, once
