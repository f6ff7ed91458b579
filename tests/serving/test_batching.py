"""Questions of many clients, answered together."""

import asyncio
import threading
import time

import pytest

from bert_tf.serving.batching import MOST_EXPLANATIONS, Batcher, FullError


class Model:
    """Answers each text with itself in capitals, and remembers its batches."""

    def __init__(self, seconds=0.0):
        self.seconds, self.batches, self.threads = seconds, [], set()

    def __call__(self, texts):
        self.batches.append([*texts])
        self.threads.add(threading.get_ident())
        time.sleep(self.seconds)
        if "fail" in texts:
            raise RuntimeError("out of order")
        return [text.upper() for text in texts]


def running(scenario, model, most=8, wait=0.01, room=100):
    """Runs a coroutine beside a batcher."""

    async def both():
        batcher = Batcher(model, most, wait, room)
        task = asyncio.create_task(batcher.run())
        try:
            return await scenario(batcher)
        finally:
            task.cancel()
            batcher.close()

    return asyncio.run(both())


def test_each_gets_its_own_answers_and_batches_are_shared():
    model = Model(0.02)

    async def scenario(batcher):
        return await asyncio.gather(*(batcher.ask([f"a{i}", f"b{i}"]) for i in range(20)))

    assert running(scenario, model) == [[f"A{i}", f"B{i}"] for i in range(20)]
    assert [len(batch) for batch in model.batches] == [8] * 5
    assert len(model.threads) == 1
    assert threading.get_ident() not in model.threads


def test_one_that_is_larger_than_a_batch_is_one():
    model = Model()

    async def scenario(batcher):
        return await asyncio.gather(batcher.ask(["a"]), batcher.ask(["b"] * 20), batcher.ask(["c"]), batcher.ask([]))

    assert running(scenario, model) == [["A"], ["B"] * 20, ["C"], []]
    assert [*map(len, model.batches)] == [1, 20, 1]


def test_a_full_queue_refuses_and_recovers():
    async def scenario(batcher):
        first = asyncio.create_task(batcher.ask(["a"] * 3))
        await asyncio.sleep(0)
        with pytest.raises(FullError):
            await batcher.ask(["b"] * 2)
        assert await first == ["A"] * 3
        return await batcher.ask(["b"] * 4)

    assert running(scenario, Model(), room=4) == ["B"] * 4


def test_a_failure_reaches_those_of_its_batch_and_no_others():
    async def scenario(batcher):
        found = await asyncio.gather(batcher.ask(["a"]), batcher.ask(["fail"]), return_exceptions=True)
        assert [*map(str, found)] == ["out of order"] * 2
        return await batcher.ask(["b"])

    assert running(scenario, Model()) == ["B"]


def test_texts_of_clients_that_have_gone_are_not_computed():
    model = Model()

    async def scenario(batcher):
        gone = asyncio.create_task(batcher.ask(["gone"]))
        stays = asyncio.create_task(batcher.ask(["stays"]))
        await asyncio.sleep(0)
        gone.cancel()
        found = await stays
        assert batcher.texts == 0
        only = asyncio.create_task(batcher.ask(["gone"]))
        await asyncio.sleep(0)
        only.cancel()
        await asyncio.sleep(0.05)
        return found

    assert running(scenario, model) == ["STAYS"]
    assert model.batches == [["stays"]]


def test_an_idle_model_waits_for_company_and_a_whole_batch_does_not():
    model = Model()

    async def scenario(batcher):
        started = time.monotonic()
        await batcher.ask(["alone"])
        assert time.monotonic() - started >= 1
        started = time.monotonic()
        await asyncio.gather(*(batcher.ask([str(i)]) for i in range(8)))
        return time.monotonic() - started

    assert running(scenario, model, wait=1) < 1


def test_few_explanations_wait():
    async def scenario(batcher):
        tasks = [asyncio.create_task(batcher.alone(time.sleep, 0.01)) for _ in range(MOST_EXPLANATIONS)]
        await asyncio.sleep(0)
        with pytest.raises(FullError):
            await batcher.alone(time.sleep, 0)
        await asyncio.gather(*tasks)
        return await batcher.alone(len, "abc")

    assert running(scenario, Model()) == 3
