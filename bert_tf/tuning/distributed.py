"""A search's loop over trials, run by one process or shared: a chief hands out trials, workers run them and send heartbeats."""

import contextlib
import math
import os
import threading
import time
from collections.abc import Iterator

import keras_tuner
from keras_tuner.src import config
from keras_tuner.src.distribute import oracle_chief, oracle_client

from bert_tf.settings import Processes

HEARTBEAT = 1.0  # seconds between heartbeats
CHIEF_TIMEOUT = 300  # seconds that a worker waits for its chief


def check_role(processes: Processes, devices: int | str) -> None:
    """Raises ValueError if a process that computes on so many devices cannot have this role."""
    chief, worker, address = processes.chief, processes.worker, processes.address
    if chief and worker is not None:
        raise ValueError(f"A process is either the chief or a worker. Received: chief=True, worker={worker!r}")
    if worker is not None and ("chief" in worker or not worker):
        raise ValueError(
            f"`worker` must be a name that no other worker has and that does not contain 'chief'. Received: {worker!r}"
        )
    if (chief or worker) and not (address.rpartition(":")[0] and address.rpartition(":")[2].isdigit()):
        raise ValueError(f"`address` must be HOST:PORT, such as 127.0.0.1:7077. Received: address={address!r}")
    if worker is not None and devices != 1:
        raise ValueError(f"A worker computes on one device. Received: worker={worker!r}, devices={devices!r}")


class SearchTuner(keras_tuner.Tuner):
    """KerasTuner's loop over trials, with shared models, files written by the oracle alone, and heartbeats."""

    _waiting = False
    _heartbeat: "Heartbeat | None" = None

    def _try_run_and_update_trial(self, trial, *args, **kwargs):
        debug, config.DEBUG = config.DEBUG, False  # else it prints the stack trace of every trial that fails
        try:
            super()._try_run_and_update_trial(trial, *args, **kwargs)
        finally:
            config.DEBUG = debug

    def _try_build(self, hp):
        return self.hypermodel.build(hp)  # KerasTuner would clear Keras' session and with it what trials share

    def save(self):
        if not self._is_worker():
            self.oracle.save()

    def pre_create_trial(self):
        if self._waiting:  # the last request gave no trial: others are still running
            time.sleep(0.5)
        self._waiting = True

    def on_trial_begin(self, trial):
        self._waiting = False
        if self._is_worker():
            self._heartbeat = Heartbeat(self.oracle, trial.trial_id)

    def on_trial_end(self, trial):
        if self._heartbeat:
            self._heartbeat.stop()
            self._heartbeat = None
        super().on_trial_end(trial)


class _Servicer(oracle_chief.OracleServicer):
    """Answers workers. A worker that asks for the trial it runs is alive: this is its heartbeat."""

    def GetTrial(self, request, context):  # noqa: N802
        self.oracle.heartbeat(request.trial_id)
        return super().GetTrial(request, context)


def serve(oracle, address: str) -> None:
    """Serves an oracle to workers until all trials have ended.

    Args:
        address: "HOST:PORT". The connection is neither encrypted nor authenticated: whoever reaches it can read and change
            the search.
    Raises: OSError if the address is not available.
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
        raise OSError(f"{address}: cannot listen here. Is another chief running? Choose another address.") from error
    server.start()
    try:
        deadline = math.inf
        while not (servicer.stop_triggered and oracle.finished()) and time.monotonic() < deadline:
            time.sleep(0.5)
            if servicer.stop_triggered and deadline == math.inf:
                deadline = time.monotonic() + 10 * HEARTBEAT + 10  # a worker that died between trials never asks again
        time.sleep(HEARTBEAT)  # the last answer may still be on its way
    finally:
        server.stop(grace=1).wait()


@contextlib.contextmanager
def tuner_role(address: str, tuner_id: str | None) -> Iterator[None]:
    """Sets the environment variables by which KerasTuner knows what this process is: "chief", a worker's name or neither."""
    host, _, port = address.rpartition(":")
    role = {"KERASTUNER_TUNER_ID": tuner_id or "", "KERASTUNER_ORACLE_IP": host, "KERASTUNER_ORACLE_PORT": port}
    before = {name: os.environ.pop(name) for name in role if name in os.environ}
    timeout = oracle_client.TIMEOUT
    if tuner_id is not None:
        os.environ.update(role)
        oracle_client.TIMEOUT = CHIEF_TIMEOUT
    try:
        yield
    finally:
        oracle_client.TIMEOUT = timeout
        for name in role:
            os.environ.pop(name, None)
        os.environ.update(before)


class Heartbeat:
    """Tells the chief every second that the worker which runs a trial is alive."""

    def __init__(self, oracle, trial_id: str):
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(oracle, trial_id), daemon=True)
        self._thread.start()

    def _run(self, oracle, trial_id: str) -> None:
        import grpc

        while not self._stopped.wait(HEARTBEAT):
            try:
                oracle.get_trial(trial_id)
            except grpc.RpcError:  # the chief is gone, which the worker notices at the end of the trial
                return

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
