"""What this machine computes natively, how much memory it has used, and which settings suit it."""

import ctypes
import functools
import os
import platform
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PRECISIONS = ("float32", "bfloat16")
NATIVE_BFLOAT16 = ("amx_bf16", "avx512_bf16")  # processor flags; elsewhere bfloat16 is emulated and slower
# Processor flags with which TensorFlow uses oneDNN unasked.
ONEDNN = ("avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16")
GPU_BFLOAT16 = (8, 0)  # the lowest compute capability of NVIDIA GPUs with it
# how the backends word it
OUT_OF_MEMORY = "ResourceExhausted|RESOURCE_EXHAUSTED|OutOfMemory|out of memory|OOM when allocating|bad_alloc"


class Accelerator(NamedTuple):
    """A GPU or TPU that Keras sees: its name, its place among them, whether it multiplies bfloat16 natively, and what measures the
    most bytes that it has held; None if nothing does."""

    name: str
    place: str
    bfloat16: bool
    peak: Callable[[], int | None]


@cache
def accelerators() -> tuple[Accelerator, ...]:
    """Returns the GPUs and TPUs that Keras sees."""
    import keras

    by_backend = {"tensorflow": _of_tensorflow, "jax": _of_jax, "torch": _of_torch}
    return tuple(by_backend.get(keras.backend.backend(), tuple)())


def _of_tensorflow() -> Iterator[Accelerator]:
    import tensorflow as tf

    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    native = all(detail.get("compute_capability", (0, 0)) >= GPU_BFLOAT16 for detail in details)
    for kind, bfloat16 in (("GPU", native), ("TPU", True)):
        for device in tf.config.list_logical_devices(kind):
            place = device.name.removeprefix("/device:")

            def peak(place: str = place) -> int | None:
                try:
                    return tf.config.experimental.get_memory_info(place)["peak"]
                except ValueError:  # TPUs do not tell
                    return None

            yield Accelerator(place, place, bfloat16, peak)


def _of_jax() -> Iterator[Accelerator]:
    import jax

    for device in jax.local_devices() if jax.default_backend() != "cpu" else ():
        place = f"{device.platform}:{device.id}"
        # NVIDIA's "8.0"; AMD's names are others, and TPUs have none: both have bfloat16
        version = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(device, "compute_capability", "")))
        native = version is None or tuple(map(int, version.groups())) >= GPU_BFLOAT16

        def peak(device: Any = device) -> int | None:
            return (device.memory_stats() or {}).get("peak_bytes_in_use")

        yield Accelerator(place, place, native, peak)


def _of_torch() -> Iterator[Accelerator]:
    import torch

    for i in range(torch.cuda.device_count()):
        peak = functools.partial(torch.cuda.max_memory_allocated, i)
        yield Accelerator(torch.cuda.get_device_name(i), f"GPU:{i}", torch.cuda.is_bf16_supported(), peak)


def jit_compile() -> str | bool:
    """Returns the `jit_compile` that `compile` should get: XLA on accelerators, TensorFlow's own graph on processors.

    On a processor XLA loses TensorFlow's fused products (280 GFLOP/s against 1,500 in bfloat16 with AMX).
    """
    import keras

    return "auto" if accelerators() or keras.backend.backend() != "tensorflow" else False


def machines() -> tuple[int, int]:
    """Returns which of the machines that share each batch this one is, and how many they are: JAX's processes, within a distribution of
    Keras."""
    import keras

    if keras.backend.backend() != "jax" or keras.distribution.distribution() is None:
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def cores() -> int | None:
    """Returns how many processor cores this process may use; None where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


@cache
def native_precision() -> str:
    """Returns "bfloat16" where the hardware multiplies it natively, and Keras' backend lets it, else "float32".

    On processors JAX does not: MiniLM took as long forwards, and a tenth longer to train (AVX512-BF16, JAX 0.10.2).
    """
    import keras

    if accelerators():
        native = all(device.bfloat16 for device in accelerators())
    else:
        native = keras.backend.backend() != "jax" and not processor_flags().isdisjoint(NATIVE_BFLOAT16)
    return "bfloat16" if native else "float32"


def onednn() -> bool:
    """Returns whether TensorFlow computes with oneDNN here: under Linux on x86 processors with instructions for neural networks, or where
    `TF_ENABLE_ONEDNN_OPTS` asks for it; not on accelerators.

    TensorFlow itself does not say; these are its rules (`IsMklEnabled` in tensorflow/core/util/port.cc).
    """
    asked = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower()
    if accelerators() or asked in ("0", "false"):
        return False
    flags = processor_flags()
    return bool(flags) if asked in ("1", "true") else not flags.isdisjoint(ONEDNN)


def processor_flags() -> frozenset[str]:
    """Returns the processor's feature flags as Linux lists them; empty on other systems."""
    return frozenset(_proc("cpuinfo", "flags"))


def _proc(file: str, name: str) -> list[str]:
    """Returns the words behind the first `name` in a file of Linux' /proc."""
    try:
        lines = Path("/proc", file).read_text().splitlines()
    except OSError:
        return []
    return next((line.split(":", 1)[1].split() for line in lines if line.startswith(name)), [])


def resolve_precision(precision: str) -> str:
    """Returns a precision, "auto" replaced by the native one; raises ValueError for an unknown one."""
    if precision == "auto":
        return native_precision()
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be 'auto', 'float32' or 'bfloat16'. Received: precision={precision!r}")
    return precision


def policy(precision: str) -> str:
    """Returns the Keras dtype policy for a precision; trained weights stay float32 under each."""
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


def token_budget() -> int:
    """Returns how many tokens, padding included, one batch of a forward pass should have.

    On a processor larger batches are slower per token: above 32 MB (2,730 tokens, 3,072 wide, float32) the C library
    requests each buffer from the system anew. DistilBERT-base size, float32, 2 cores: 1,380 tokens/s at 2,048 tokens
    per batch, 1,210 at 4,096. An accelerator needs more to be busy.
    """
    return 32_768 if accelerators() else 2_048


@cache
def keep_memory() -> bool:
    """Lets the C library keep memory that a training step frees, for the next step. Applies to the whole process.

    By default glibc returns large buffers to the system and requests them again page by page: 140,000 page faults in
    a training step of MiniLM on 32 x 128 tokens, 400 with this, and 2.8 s become 2.2 (2 cores, float32). The `bert-tf`
    commands call it; in a program of your own call it once, before training.

    Returns: whether it took effect; False where the C library is not glibc.
    """
    return _tune_allocator()


def keep_memory_on() -> None:
    """Does so once more, if `keep_memory` was called: TensorFlow undoes it when it first reads from a Python generator.

    MiniLM, a step of training on 32 reviews: 0.66 and 0.71 s of processor time without, 0.53 and 0.58 s with it.
    """
    if keep_memory.cache_info().currsize:
        _tune_allocator()


def _tune_allocator() -> bool:
    """Sets glibc's options; returns whether it took them."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    # malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD (32 MB is its maximum), M_ARENA_MAX
    return all(mallopt(name, value) for name, value in ((-1, 1 << 30), (-2, 1 << 26), (-3, 1 << 25), (-8, 1)))


def peak_process_memory() -> int | None:
    """Returns the peak main memory of this process so far in bytes, or None if the system does not report it."""
    if platform.system() == "Linux":  # not getrusage, which includes the parent's memory at the time of the fork
        return next((1024 * int(word) for word in _proc("self/status", "VmHWM")[:1]), None)
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else 1024 * peak


def peak_memory_by_device() -> dict[str, int]:
    """Returns the peak memory of this process so far, device -> bytes; devices that do not report it are left out."""
    peaks = {"main memory": peak_process_memory(), **{device.place: device.peak() for device in accelerators()}}
    return {place: peak for place, peak in peaks.items() if peak is not None}


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error of any backend means that memory ran out."""
    return isinstance(error, MemoryError) or bool(re.search(OUT_OF_MEMORY, f"{type(error).__name__} {error}"))


def description() -> str:
    """Returns the accelerators' names, or the kind of processor."""
    return ", ".join(device.name for device in accelerators()) or f"{platform.machine()} processor"
