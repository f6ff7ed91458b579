"""Texts of many clients, classified together: a queue in front of one model.

Requests are handled in one thread, which never computes; the model runs in another. While it is busy, texts gather in the queue and
make the next batch. Only when it is idle does a text wait for others, some milliseconds at most.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

MOST_EXPLANATIONS = 4  # that wait or run at once: each takes about a second, in which nobody gets a prediction


class FullError(Exception):
    """The queue takes no more for now."""


class Asked(NamedTuple):
    texts: Sequence[Any]
    answer: asyncio.Future
    at: float  # seconds, when it came


class Batcher:
    """Answers questions of some texts each, together as far as they come together.

    Args:
        answer: `(texts) -> a sequence of one answer a text`; called in a thread of its own, never twice at once.
        most: int, texts of a batch, unless a single question has more.
        wait: float, seconds that a text waits for others while nothing runs.
        room: int, texts that may wait.
        seen: called with the texts of each batch that is done.
    """

    def __init__(
        self,
        answer: Callable[[list[Any]], Sequence[Any]],
        most: int,
        wait: float,
        room: int,
        seen: Callable[[int], Any] = lambda texts: None,
    ):
        self.answer, self.most, self.wait, self.room, self.seen = answer, most, wait, room, seen
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self.queue: deque[Asked] = deque()
        self.texts = 0  # in the queue
        self.others = 0  # calls of `alone` that wait or run
        self.arrived = asyncio.Event()

    async def ask(self, texts: Sequence[Any]) -> Sequence[Any]:
        """Returns the answers to some texts.

        Raises: FullError if the queue has no room for them; what `answer` raises.
        """
        if not texts:
            return []
        if self.texts + len(texts) > self.room:
            raise FullError
        answer = asyncio.get_running_loop().create_future()
        self.queue.append(Asked(texts, answer, time.monotonic()))
        self.texts += len(texts)
        self.arrived.set()
        return await answer

    async def alone(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Runs a function in the thread of the model, between batches; raises FullError if too many wait for that."""
        if self.others >= MOST_EXPLANATIONS:
            raise FullError
        self.others += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.thread, function, *arguments)
        finally:
            self.others -= 1

    async def run(self) -> None:
        """Answers what is asked until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self.arrived.wait()
            if self.texts < self.most:
                await asyncio.sleep(max(self.wait - (time.monotonic() - self.queue[0].at), 0))
            batch = self._next()
            texts = [text for asked in batch for text in asked.texts]
            if not texts:
                continue
            try:
                answers = await loop.run_in_executor(self.thread, self.answer, texts)
            except Exception as error:
                self._fail(batch, error)
                continue
            start = 0
            for asked in batch:
                if not asked.answer.done():  # the client may have gone
                    asked.answer.set_result(answers[start : start + len(asked.texts)])
                start += len(asked.texts)
            self.seen(len(texts))

    def _next(self) -> list[Asked]:
        """Takes the questions of the next batch out of the queue; those whose clients have gone are dropped."""
        batch: list[Asked] = []
        count = 0
        while self.queue and (not batch or count + len(self.queue[0].texts) <= self.most):
            asked = self.queue.popleft()
            self.texts -= len(asked.texts)
            if not asked.answer.done():
                batch.append(asked)
                count += len(asked.texts)
        if not self.queue:
            self.arrived.clear()
        return batch

    def _fail(self, batch: Sequence[Asked], error: Exception) -> None:
        for asked in batch:
            if not asked.answer.done():
                asked.answer.set_exception(error)

    def close(self) -> None:
        """Ends the thread of the model, after what it is doing."""
        self.thread.shutdown()
