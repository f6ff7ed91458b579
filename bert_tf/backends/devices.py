"""Several devices (GPUs, TPU cores, parts of a processor) that share the texts of every batch, or one of several.

Data parallelism: each device holds the whole model and computes a share of each batch; gradients are summed. The numbers are those
of one device to rounding: on TensorFlow `tf.distribute.MirroredStrategy`, with what Keras adds up differently put right
(`tensorflow.py`), on JAX `keras.distribution.DataParallel`.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import keras

from bert_tf import hardware
from bert_tf.files import fingerprint

# Else a process reserves the memory of every device that it sees.
SHARED_MEMORY = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def _backend() -> Any:
    return import_module(f"bert_tf.backends.{keras.backend.backend()}")


def how_many(devices: int | str) -> int:
    """Returns how many devices a number, or "all", means here.

    Raises: ValueError if there are not so many.
    """
    if devices == 1:
        return 1
    there = _backend().devices()
    count = len(there) if devices == "all" else int(devices)
    if count > len(there):
        raise ValueError(
            f"`devices`: Keras on {keras.backend.backend()} sees {len(there)} device{'s' * (len(there) > 1)} here: "
            f"{', '.join(there)}. Received: devices={devices!r}"
        )
    return count


def spread(devices: int | str) -> AbstractContextManager[Any]:
    """Lets several devices share each batch of the models that are made, trained and run within it.

    Args:
        devices: how many, or "all"; 1 = nothing is changed, a strategy or distribution of the caller's included.
    Raises: ValueError if there are not so many, or Keras cannot use several on this backend, or computes on several machines.
    """
    if (machines := hardware.machines()[1]) > 1:
        raise ValueError(
            f"Keras computes on {machines} machines here (keras.distribution.initialize), and this runs on one. For several give "
            "`bert_tf.batches` to `model.fit`."
        )
    count = how_many(devices)
    if count == 1:
        return nullcontext()
    if not hasattr(_backend(), "spread"):
        raise ValueError(
            "`devices`: on PyTorch Keras computes on one device. For several use TensorFlow or JAX (KERAS_BACKEND=jax). "
            f"Received: devices={devices!r}"
        )
    return _backend().spread(_backend().devices()[:count])


def sharing() -> int:
    """Returns how many devices share a batch here: within `spread`, or within a strategy or distribution of the caller's."""
    return getattr(_backend(), "sharing", lambda: 1)()


@contextmanager
def own_device(shared: Path) -> Iterator[str | None]:
    """Gives this process one of the machine's devices, and other processes that ask for one other ones.

    Args:
        shared: the folder that these processes have in common; nothing is written into it.
    Returns: a context manager of the device's name; None if there is one device only, or none is free: nothing is changed.
    """
    from filelock import FileLock, Timeout

    for name, value in SHARED_MEMORY.items():
        os.environ.setdefault(name, value)
    there = _backend().devices()
    group = fingerprint(str(shared.absolute()))
    with ExitStack() as stack:
        for device in there if len(there) > 1 else ():
            lock = FileLock(Path(tempfile.gettempdir(), f"bert_tf-{group}-{device.replace(':', '-')}.lock"), timeout=0)
            try:
                stack.enter_context(lock)
            except Timeout:
                continue
            stack.enter_context(keras.device(device))
            yield device
            return
        yield None


def predict_on_batch(model: keras.Model) -> Callable[[Any], Any]:
    """Returns `model.predict_on_batch`, whose batch several devices share if they are to."""
    if keras.backend.backend() == "tensorflow" and sharing() > 1:
        return _backend().predict_on_shares(model)
    return model.predict_on_batch


def by_share(loss: Any, rows: Any) -> Any:
    """Returns the mean loss of a device's share of a batch, with the gradient that it adds to that of the whole batch.

    Args:
        loss: float scalar.
        rows: int, how many texts the share has: the last batch of an epoch is not always shared evenly.
    """
    return _backend().by_share(loss, rows) if keras.backend.backend() == "tensorflow" else loss


def sum_gradients_first(optimizer: keras.optimizers.Optimizer) -> None:
    """Lets an optimizer clip the gradient of the whole batch, and not that of each device's share."""
    if keras.backend.backend() == "tensorflow" and sharing() > 1:
        _backend().sum_gradients_first(optimizer)
