"""A search by several processes: chief, workers and their heartbeats."""

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable

from keras_tuner.src.distribute import oracle_chief, oracle_client

LEASE = 60.0  # seconds without a sign of life after which a worker is taken for dead


BEAT = 1.0  # seconds between signs of life


CHIEF_TIMEOUT = 300  # seconds that a worker waits for its chief


# Chief and workers


class _Servicer(oracle_chief.OracleServicer):
    """Answers workers; that one asks for the trial it runs is its sign of life."""

    def GetTrial(self, request, context):  # noqa: N802
        self.oracle.heard(request.trial_id)
        return super().GetTrial(request, context)


def serve(oracle, address: str, done: Callable[[], None] = lambda: None) -> None:
    """Serves an oracle to workers until all trials have ended.

    Args:
        address: "HOST:PORT". What goes over it is neither encrypted nor authenticated: whoever reaches it can read and
            change the search.
        done: called about twice a second.
    Raises: OSError if the address cannot be had.
    """
    from concurrent import futures

    import grpc
    from keras_tuner.src import protos

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1), options=[("grpc.so_reuseport", 0)])
    servicer = _Servicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"{address}: cannot be listened on. Is another chief running? Choose another address.") from error
    server.start()
    try:
        stopping = math.inf
        while not (servicer.stop_triggered and oracle.finished()) and time.monotonic() < stopping:
            time.sleep(0.5)
            done()
            if servicer.stop_triggered and stopping == math.inf:
                stopping = time.monotonic() + 10 * BEAT + 10  # a worker that died between trials never asks again
        time.sleep(BEAT)  # the last answer is still on its way
    finally:
        server.stop(grace=1).wait()


@contextlib.contextmanager
def role(address: str, tuner_id: str | None):
    """Tells KerasTuner for a while who this process is, "chief", a worker or neither: it reads environment variables."""
    host, _, port = address.rpartition(":")
    told = {"KERASTUNER_TUNER_ID": tuner_id or "", "KERASTUNER_ORACLE_IP": host, "KERASTUNER_ORACLE_PORT": port}
    before = {name: os.environ.pop(name) for name in told if name in os.environ}
    if tuner_id is not None:
        os.environ.update(told)
        oracle_client.TIMEOUT = CHIEF_TIMEOUT
    try:
        yield
    finally:
        for name in told:
            os.environ.pop(name, None)
        os.environ.update(before)


class Beats:
    """Tells the chief every second that the worker which runs a trial is alive."""

    def __init__(self, oracle, trial_id: str):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(oracle, trial_id), daemon=True)
        self._thread.start()

    def _run(self, oracle, trial_id: str) -> None:
        import grpc

        while not self._stop.wait(BEAT):
            try:
                oracle.get_trial(trial_id)
            except grpc.RpcError:  # the chief is gone; the end of the trial will tell
                return

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
