"""How fast classifiers are beside each other, from text to label."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TOGETHER, SINGLY, ROUNDS = 96, 16, 5  # texts that are timed together, those timed one by one, and how often


@dataclass(frozen=True)
class Speed:
    """What a classifier takes.

    Attributes:
        latency: float, seconds for a single text, median.
        texts_per_second: float, of many texts together, median of the rounds.
    """

    latency: float
    texts_per_second: float


def measure(classifiers: Sequence[Callable[[Sequence[str]], Any]], texts: Sequence[str]) -> list[Speed]:
    """Times classifiers in turn, so that whatever else the machine does slows all of them alike.

    Args:
        classifiers: texts -> anything; each runs once before, untimed, because the first run compiles.
        texts: str, at least one.
    """
    together, singly = texts[:TOGETHER], texts[:SINGLY]
    for classify in classifiers:
        classify(together)
        for text in singly:
            classify([text])
    many: list[list[float]] = [[] for _ in classifiers]
    single: list[list[float]] = [[] for _ in classifiers]
    for _ in range(ROUNDS):
        for i, classify in enumerate(classifiers):
            many[i].append(_seconds(classify, together))
        for text in singly:
            for i, classify in enumerate(classifiers):
                single[i].append(_seconds(classify, [text]))
    return [Speed(float(np.median(s)), len(together) / float(np.median(m))) for s, m in zip(single, many, strict=True)]


def _seconds(classify: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> float:
    started = time.perf_counter()
    classify(texts)
    return time.perf_counter() - started
