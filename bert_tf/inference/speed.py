"""How fast classifiers are, from text to label.

Several are timed in turn, so that whatever else the machine does slows all of them alike. Each runs over the texts once before,
untimed, because the first run compiles.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bert_tf.formatting import Text

TOGETHER, SINGLY, ROUNDS = 96, 16, 5  # texts that are timed together, those timed one by one, and how often

Classify = Callable[[Sequence[Text]], Any]


def texts_per_second(classifiers: Sequence[Classify], texts: Sequence[Text], rounds: int | None = None) -> list[float]:
    """Returns how many of at most `TOGETHER` texts each classifies in a second, all at once; the median of the rounds.

    Args:
        texts: str, at least one.
        rounds: int; None = `ROUNDS`.
    """
    together = texts[:TOGETHER]
    return [len(together) / seconds for seconds in _medians(classifiers, [together], rounds)]


def latency(classifiers: Sequence[Classify], texts: Sequence[Text], rounds: int | None = None) -> list[float]:
    """Returns the seconds that each takes for a single text: the median over at most `SINGLY` texts and the rounds."""
    return _medians(classifiers, [[text] for text in texts[:SINGLY]], rounds)


def _medians(classifiers: Sequence[Classify], batches: Sequence[Sequence[Text]], rounds: int | None) -> list[float]:
    """Returns the median seconds for a batch of each classifier."""
    for classify in classifiers:
        for batch in batches:
            classify(batch)
    taken: list[list[float]] = [[] for _ in classifiers]
    for _ in range(rounds or ROUNDS):
        for batch in batches:
            for classify, seconds in zip(classifiers, taken, strict=True):
                started = time.perf_counter()
                classify(batch)
                seconds.append(time.perf_counter() - started)
    return [float(np.median(seconds)) for seconds in taken]
