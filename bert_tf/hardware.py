"""What the machine computes natively, and what suits it."""

import ctypes
import platform
from functools import cache
from pathlib import Path

import keras

from bert_tf import memory

PRECISIONS = ("float32", "bfloat16")


NATIVE_BFLOAT16 = ("amx_bf16", "avx512_bf16")  # processor flags; elsewhere a bfloat16 product is emulated, and slower


GPU_BFLOAT16 = (8, 0)  # the first compute capability of NVIDIA's that has it


@cache
def accelerators() -> tuple[str, ...]:
    """Returns the names of the GPUs and TPUs that Keras sees."""
    found: list[str] = []
    for kind in ("gpu", "tpu"):
        try:
            found += keras.distribution.list_devices(kind)
        except (AttributeError, RuntimeError):  # JAX knows no such kind here, torch keeps no list
            continue
    return tuple(found)


def jit_compile() -> str | bool:
    """Returns what `compile` should be told: XLA on accelerators, TensorFlow's own graph on processors.

    On a processor XLA loses TensorFlow's fused products (280 GFLOP/s against 1,500 in bfloat16 where AMX is).
    """
    return "auto" if accelerators() or keras.backend.backend() != "tensorflow" else False


@cache
def native_precision() -> str:
    """Returns "bfloat16" where the hardware multiplies it natively, else "float32"."""
    if accelerators():
        return "bfloat16" if _accelerator_has_bfloat16() else "float32"
    return "bfloat16" if any(flag in processor_flags() for flag in NATIVE_BFLOAT16) else "float32"


def processor_flags() -> frozenset[str]:
    """Returns what the processor says that it can do, as Linux lists it; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), ()))


def _accelerator_has_bfloat16() -> bool:
    if any("tpu" in name.lower() for name in accelerators()):
        return True
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return all(detail.get("compute_capability", (0, 0)) >= GPU_BFLOAT16 for detail in details)


def resolve_precision(precision: str) -> str:
    """Turns "auto" into a precision.

    Raises: ValueError for a name that is none.
    """
    if precision == "auto":
        return native_precision()
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be 'auto', 'float32' or 'bfloat16'. Received: precision={precision!r}")
    return precision


def policy(precision: str) -> str:
    """Returns the Keras dtype policy of a precision: weights that are trained stay float32 under each."""
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


def token_budget() -> int:
    """Returns the number of tokens that one batch of a forward pass should have.

    On a processor larger batches are slower per token: above 32 MB (2,730 tokens, 3,072 wide, float32) the C library
    asks the system for each buffer anew. DistilBERT-base size, float32, 2 cores: 1,380 tokens/s at 2,048 a batch,
    1,210 at 4,096. An accelerator needs more to be busy.
    """
    return 32_768 if accelerators() else 2_048


@cache
def keep_memory() -> bool:
    """Tells the C library to keep what a step frees for the next one; returns whether it could be told (glibc can).

    By default it gives buffers back to the system and asks for them anew, page by page: 140,000 page faults in a
    training step of MiniLM on 32 x 128 tokens, 400 with this, and 2.8 s become 2.2 (2 cores, float32).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    # malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD (32 MB is its most), M_ARENA_MAX
    return all(mallopt(name, value) for name, value in ((-1, 1 << 30), (-2, 1 << 26), (-3, 1 << 25), (-8, 1)))


def peak_memory() -> dict[str, int]:
    """Returns the most memory that this process has held so far, in bytes: where it lies -> how much. What the system or
    the backend does not tell is missing."""
    most = memory.peak_memory()
    found = {} if most is None else {"main memory": most}
    if accelerators() and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        for device in tf.config.list_logical_devices("GPU"):
            name = device.name.removeprefix("/device:")
            found[name] = tf.config.experimental.get_memory_info(name)["peak"]
    return found


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that memory did not suffice, by the words of any backend."""
    told = f"{type(error).__name__} {error}"
    words = (
        "ResourceExhausted",
        "RESOURCE_EXHAUSTED",
        "OutOfMemory",
        "out of memory",
        "OOM when allocating",
        "bad_alloc",
    )
    return isinstance(error, MemoryError) or any(word in told for word in words)


def description() -> str:
    """Returns a few words on the machine."""
    return ", ".join(accelerators()) or f"{platform.machine()} processor"
