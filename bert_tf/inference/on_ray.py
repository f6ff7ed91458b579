"""Blocks done by the workers of a Ray cluster: Ray Data maps them over a pool of actors, each with one model.

Only the numbers of files and blocks travel through Ray: a worker reads its block where the file is and writes the part itself. An
actor that dies is started again by Ray, and its block done again, into the same part.
"""

import logging
import os
from collections.abc import Sequence
from typing import Any

import keras

from bert_tf import hardware
from bert_tf.files import error_reason
from bert_tf.inference.many_files import Block, Work, Worker

log = logging.getLogger("bert_tf")

STORE = 100_000_000  # bytes of Ray's object store, where Ray is started here: numbers of blocks need no more
MOST_TASKS = 5_000  # of Ray Data; beyond that several blocks make one


class Actor:
    """A `Worker` in the form of Ray Data: batches of rows in and out.

    What a user can put right comes back as a row with a sentence: an exception would arrive as pages of Ray's own.
    """

    def __init__(self, work: Work):
        self.work = work
        self.worker: Worker | None = None  # loaded by the first block, where an error finds its way back

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        rows, problem = 0, ""
        try:
            self.worker = self.worker or Worker(self.work)
            for file, block in zip(batch["file"].tolist(), batch["block"].tolist(), strict=True):
                rows += self.worker(file, block)
        except (ValueError, OSError, ImportError) as error:
            problem = str(error) or type(error).__name__
        return {"rows": [rows], "problem": [problem]}


def on_ray(work: Work, blocks: Sequence[Block], bar: Any, workers: int | None) -> None:
    """Does blocks on Ray's workers.

    Uses the cluster that the program is connected to, or that RAY_ADDRESS names; else Ray is started on this machine, and stopped
    again.

    Args:
        bar: a progress bar, which is told how many rows each finished block has.
        workers: int; None = one for each GPU of the cluster or, where it has none, for each of its processor cores.
    Raises: ValueError for what a worker could not read, write or load; ChildProcessError if Ray itself fails.
    """
    import ray

    mine = not ray.is_initialized()
    if mine:
        _start(ray, workers)
    try:
        gpus, cores = (int(ray.cluster_resources().get(kind, 0)) for kind in ("GPU", "CPU"))
        count = min(workers or gpus or cores or 1, len(blocks))
        if count > max(cores, 1):
            log.warning("Ray's cluster has %s cores for %s workers: some wait until it has more.", cores, count)
        threads = max(cores // (workers or gpus or cores or 1), 1)
        found = _rows(work, blocks, count, threads, 1 if gpus and count <= gpus else 0)
        for row in found.iter_rows():
            if row["problem"]:
                raise ValueError(row["problem"])
            bar.update(row["rows"])
    except ray.exceptions.RayError as error:
        raise ChildProcessError(f"Ray failed: {error_reason(error)} Continue with resume=True (--resume).") from error
    finally:
        if mine:
            ray.shutdown()


def _rows(work: Work, blocks: Sequence[Block], count: int, threads: int, gpus: int) -> Any:
    """Returns Ray's dataset of the rows of each block; the blocks are done as it is read."""
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # after the import, which sets it; errors are raised
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    todo = ray.data.from_items(
        [{"file": file, "block": block} for file, block in blocks], override_num_blocks=min(len(blocks), MOST_TASKS)
    )
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "OPENBLAS_NUM_THREADS")
    environment = dict.fromkeys(names, str(threads)) | {"TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= {"KERAS_BACKEND": keras.backend.backend(), "TRANSFORMERS_VERBOSITY": "error"}
    return todo.map_batches(
        Actor,
        fn_constructor_args=(work,),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=count),
        num_cpus=threads,
        num_gpus=gpus,
        runtime_env={"env_vars": environment},
    )


def _start(ray: Any, workers: int | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to Ray's makers
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # below: notes on Ray Data's own actors; errors are raised
    cores = hardware.cores() or os.cpu_count() or 1
    here = (
        {}
        if os.environ.get("RAY_ADDRESS")
        else {"num_cpus": max(cores, workers or 1), "object_store_memory": STORE, "include_dashboard": False}
    )
    ray.init(logging_level=logging.ERROR, log_to_driver=False, **here)
