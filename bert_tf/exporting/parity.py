"""The gate that an exported model must pass: the file, in its own runtime, must say of real texts what the model says."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from bert_tf import terminal
from bert_tf.data.bucketing import by_length
from bert_tf.data.tokenizer import Tokens
from bert_tf.exporting.formats import Runner
from bert_tf.exporting.network import Network
from bert_tf.formatting import counted, format_value, megabytes
from bert_tf.tasks.task import Task

BATCH = 32
REPEATS = {1: 20, BATCH: 5}  # runs whose median is the latency, by the size of the batch
FLOAT32, INT8 = "float32", "int8"
AGREEMENT = {FLOAT32: 1.0, INT8: 0.98}
NEAR = 0.05  # of the standard deviation of the numbers of a regression: what is no further apart agrees


class Limits(NamedTuple):
    """What is still allowed.

    Attributes:
        drift: float, the largest difference of a logit in float32.
        agreement: float, the least share of texts with the same answer; None = `AGREEMENT`.
        loss: float, how much worse the task's score may be.
    """

    drift: float
    agreement: float | None
    loss: float


class Judged(NamedTuple):
    """The texts to judge by.

    Attributes:
        tokens: of N texts.
        labels: of the texts; None = unknown.
        task: the model's.
        label_names: str, its classes.
        thresholds: of a multi-label model.
        source: str, where the texts are from.
    """

    tokens: Tokens
    labels: Any
    task: Task
    label_names: Sequence[str]
    thresholds: Any
    source: str


def measure(network: Network, runners: Mapping[str, Runner], sizes: Mapping[str, int], texts: Judged) -> dict[str, Any]:
    """Compares exported files with the model.

    Args:
        network: the model itself.
        runners, sizes: by "float32" and perhaps "int8": what runs a file, and its bytes.
        texts: real ones.
    Returns: the content of parity.json: of the model itself and of each file the score where labels are known and the latencies in
        milliseconds, and of each file its size, the largest difference of a logit (`drift`) and the share of equal answers.
    """
    every = {"model": network.in_keras(), **runners}
    logits = {name: _logits(network, run, texts.tokens) for name, run in every.items()}
    latencies = _latencies(network, every, texts.tokens)
    found: dict[str, Any] = {"source": texts.source, "texts": len(texts.tokens), "score": None}
    if texts.labels is not None:
        found["score"] = texts.task.score
    for name, given in logits.items():
        row: dict[str, Any] = {} if name == "model" else _agreement(logits["model"], given, texts)
        row |= {"bytes": sizes[name]} if name in sizes else {}
        found[name] = {**row, "score": _score(given, texts), "milliseconds": latencies[name]}
    return found


def problems(found: Mapping[str, Any], limits: Limits, task: Task) -> list[str]:
    """Returns what is beyond the limits, a sentence each. A number that is not finite is beyond any."""
    said = []
    for name in (FLOAT32, INT8):
        if name not in found:
            continue
        row, least = found[name], AGREEMENT[name] if limits.agreement is None else limits.agreement
        if name == FLOAT32 and not row["drift"] <= limits.drift:
            said.append(f"{name}: the logits differ by up to {row['drift']:.1e} (allowed: {limits.drift:.1e}).")
        if not row["agreement"] >= least:
            said.append(f"{name}: {row['agreement']:.1%} of the texts get the same answer (required: {least:.1%}).")
        before, after = found["model"]["score"], row["score"]
        if before is not None:
            lost = (before - after) * task.sign
            most = limits.loss if task.has_classes else limits.loss * abs(before)
            if not lost <= most + 1e-9:
                said.append(
                    f"{name}: the {task.score_words} goes from {before:.4g} to {after:.4g} (allowed: {most:.2g})."
                )
    return said


def rows(found: Mapping[str, Any], title: str, task: Task) -> tuple[list[str], list[list[str]]]:
    """Returns the measurements as a header and rows of text."""
    header = ["", "size", "largest difference", "same answers", "ms a text", f"ms for {BATCH}"]
    header += [task.score_words] if found["score"] else []
    lines = []
    for name, label in (("model", "the model (Keras)"), (FLOAT32, f"{title} float32"), (INT8, f"{title} int8")):
        if name not in found:
            continue
        row = found[name]
        told = (
            [megabytes(row["bytes"]), f"{row['drift']:.1e}", f"{row['agreement']:.1%}"] if "bytes" in row else ["-"] * 3
        )
        times = [f"{row['milliseconds'][str(size)]:.1f}" for size in REPEATS]
        score = [format_value(row["score"], task.measure.kind)] if found["score"] else []
        lines.append([label, *told, *times, *score])
    return header, lines


def summary(found: Mapping[str, Any], title: str, task: Task) -> str:
    """Returns the table for the terminal."""
    told = "" if found["score"] else " Their labels are not known."
    heading = f"Measured on {counted(found['texts'], 'text')} of {found['source']}.{told}"
    return f"{heading}\n\n{terminal.table(*rows(found, title, task))}"


def size_of(path: Path) -> int:
    """Returns the bytes of a file with those of the same stem beside it (weights), or of a folder with all that is in it."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
    return sum(file.stat().st_size for file in files if file.is_file())


def batches(network: Network, tokens: Tokens) -> list[dict[str, np.ndarray]]:
    """Returns the texts as batches of similar length, from short to long."""
    order = by_length(tokens)
    return [network.batch(tokens, order[start : start + BATCH]) for start in range(0, len(order), BATCH)]


def _logits(network: Network, run: Runner, tokens: Tokens) -> np.ndarray:
    parts = np.concatenate([np.asarray(run(batch), "float32") for batch in batches(network, tokens)])
    logits = np.empty_like(parts)
    logits[by_length(tokens)] = parts
    return logits


def _agreement(expected: np.ndarray, given: np.ndarray, texts: Judged) -> dict[str, float]:
    squashed = [texts.task.squash(logits) for logits in (expected, given)]
    if texts.task.has_classes:
        answers = [texts.task.labels_of(each, texts.label_names, texts.thresholds) for each in squashed]
        same = [one == other for one, other in zip(*answers, strict=True)]
    else:
        same = np.abs(squashed[0] - squashed[1]) <= NEAR * np.std(squashed[0])
    finite = bool(np.isfinite(given).all())
    drift = float(np.abs(expected - given).max()) if finite else float("inf")
    return {"drift": drift, "agreement": float(np.mean(same)) if finite else 0.0}


def _score(logits: np.ndarray, texts: Judged) -> float | None:
    if texts.labels is None:
        return None
    if not np.isfinite(logits).all():
        return float("-inf") * texts.task.sign
    scores = texts.task.evaluate(texts.labels, texts.task.squash(logits), texts.label_names, texts.thresholds)["scores"]
    score = scores[texts.task.score]
    return float(score["value"] if isinstance(score, Mapping) else score)


def _latencies(network: Network, runners: Mapping[str, Runner], tokens: Tokens) -> dict[str, dict[str, float]]:
    """Returns the median milliseconds of batches of each size, by runner; they run in turn, so that what else the machine does
    slows all of them."""
    found: dict[str, dict[str, float]] = {name: {} for name in runners}
    for size, repeats in REPEATS.items():
        taken: dict[str, list[float]] = {name: [] for name in runners}
        for repeat in range(repeats):
            chosen = np.arange(repeat * size, (repeat + 1) * size) % len(tokens)
            batch = network.batch(tokens, chosen)
            for name, run in runners.items():
                run(batch)  # the first run with a shape may compile
                began = time.perf_counter()
                run(batch)
                taken[name].append(time.perf_counter() - began)
        for name, seconds in taken.items():
            found[name][str(size)] = round(median(seconds) * 1000, 3)
    return found
