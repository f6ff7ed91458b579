"""What runs a forward pass over many texts: Keras, or OpenVINO where it is installed and faster.

An engine is a function `(input_ids, attention_mask) -> array` of NumPy arrays, one row a text or one a token.
"""

import contextlib
import importlib.util
import io
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import ops

from bert_tf import hardware
from bert_tf.data.bucketing import padded_batch
from bert_tf.data.tokenizer import Tokens

log = logging.getLogger("bert_tf")


ENGINES = ("auto", "keras", "openvino")


Engine = Callable[[np.ndarray, np.ndarray], np.ndarray]


WORTHWHILE = (
    60.0  # seconds of work from which "auto" looks whether another engine is faster: exporting takes some itself
)


FASTER = 1.1  # and by how much it must be


TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}  # largest difference between engines, hidden states being of order 1


class _Program(keras.Model):
    """A method of a model as a model of its own, which Keras can run and export."""

    def __init__(self, owner: keras.layers.Layer, method: Callable):
        super().__init__(dtype=owner.dtype_policy, name="program")
        self.owner, self.method = owner, method
        self.built = True

    def call(self, inputs):
        return self.method(inputs["input_ids"], inputs["attention_mask"])


def keras_engine(owner: keras.layers.Layer, method: Callable) -> Engine:
    """Returns an engine that runs `method(input_ids, attention_mask)` of `owner` on Keras' backend."""
    program = _Program(owner, method)
    program.compile(jit_compile=hardware.jit_compile())
    return lambda input_ids, attention_mask: ops.convert_to_numpy(
        program.predict_on_batch({"input_ids": input_ids, "attention_mask": attention_mask})
    )


def openvino_engine(owner: keras.layers.Layer, method: Callable) -> Engine:
    """Returns an engine that runs `method` of `owner` on OpenVINO, through Keras' export.

    Raises: ImportError if OpenVINO is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise ImportError("The OpenVINO engine is not installed: pip install 'bert-tf[openvino]'") from error
    names = ("input_ids", "attention_mask")
    signature = [{name: keras.InputSpec(dtype="int32", shape=(None, None), name=name) for name in names}]
    precision = "bf16" if owner.compute_dtype == "bfloat16" else "f32"
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        file = Path(folder) / "program.xml"
        _Program(owner, method).export(str(file), format="openvino", input_signature=signature, verbose=False)
        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        options["INFERENCE_NUM_THREADS"] = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0)
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(file), "CPU", options)
    request = compiled.create_infer_request()

    def run(input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        return np.array(request.infer(inputs)[0])  # a copy: the request uses its own memory again

    return run


def check_engine(engine: str) -> None:
    """Raises ValueError for a name that is no engine's."""
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {', '.join(ENGINES)}. Received: engine={engine!r}")


def available() -> bool:
    """Returns whether another engine than Keras can be had here: OpenVINO, for processors."""
    return importlib.util.find_spec("openvino") is not None and not hardware.accelerators()


def disagreement(precision: str, ours: np.ndarray, theirs: np.ndarray) -> str | None:
    """Says in what an engine's result differs from Keras', or None if it is the same up to rounding."""
    if ours.shape != theirs.shape:
        return f"shapes {theirs.shape} for {ours.shape}"
    difference = float(np.abs(ours.astype("float32") - theirs.astype("float32")).max())
    return None if difference <= TOLERANCE[precision] else f"a difference of {difference:.1e}"


def choose(
    engine: str,
    owner: keras.layers.Layer,
    method: Callable,
    probe: tuple[np.ndarray, np.ndarray],
    batches: int,
    ours: Engine | None = None,
) -> Engine:
    """Chooses who runs `method` of `owner`.

    Args:
        engine: "keras", "openvino", or "auto" = OpenVINO where it is installed, the work long, and it proves faster.
        probe: `(input_ids, attention_mask)` of a batch like those to come, to compare numbers and times with.
        batches: int, how many such batches are to come.
        ours: Keras' engine, where there is one already.
    Returns: an engine.
    Raises: ValueError for an unknown engine, or if one asked for does not give Keras' numbers; ImportError if it is not
        installed.
    """
    check_engine(engine)
    ours = ours or keras_engine(owner, method)
    if engine == "keras" or (engine == "auto" and not available()):
        return ours
    expected, seconds = _timed(ours, probe)
    if engine == "auto" and seconds * batches < WORTHWHILE:
        return ours
    try:
        theirs = openvino_engine(owner, method)
        result, their_seconds = _timed(theirs, probe)
    except Exception as error:  # an export can fail in as many ways as there are versions of three libraries
        if engine != "auto" or isinstance(error, MemoryError):
            raise
        log.warning("OpenVINO is not used: %s: %s", type(error).__name__, str(error).split("\n")[0])
        return ours
    wrong = disagreement(owner.compute_dtype, expected, result)
    if wrong and engine != "auto":
        raise ValueError(f"OpenVINO does not give Keras' numbers: {wrong}. Use engine='keras'.")
    if wrong:
        log.warning("OpenVINO is not used: it does not give Keras' numbers: %s.", wrong)
    return ours if wrong or (engine == "auto" and seconds < FASTER * their_seconds) else theirs


def _timed(engine: Engine, probe: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, float]:
    """Returns what an engine gives for a batch, and the seconds it takes when it does so for the second time."""
    engine(*probe)
    started = time.perf_counter()
    result = engine(*probe)
    return result, time.perf_counter() - started


# Many texts


class Careful:
    """Runs an engine on some texts; where the memory does not suffice, on half of them at a time from then on."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.most = sys.maxsize  # tokens at once, padding counted

    def __call__(self, tokens: Tokens, texts: np.ndarray, a_row_a_token: bool = False) -> np.ndarray:
        """Returns what the engine gives, one row a text, or, padding left out, one a token: `(rows, D)`."""
        input_ids, attention_mask = padded_batch(tokens, texts)
        if input_ids.size <= self.most or len(texts) == 1:
            try:
                rows = self.engine(input_ids, attention_mask)
                return rows[attention_mask.ravel() == 1] if a_row_a_token else rows
            except Exception as error:
                if not hardware.is_out_of_memory(error) or len(texts) == 1:
                    raise
                self.most = input_ids.size // 2
                log.warning("Memory does not suffice for %s tokens at once: going on with half.", f"{input_ids.size:,}")
        half = len(texts) // 2
        return np.concatenate([self(tokens, part, a_row_a_token) for part in (texts[:half], texts[half:])])
