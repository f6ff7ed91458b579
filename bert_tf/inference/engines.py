"""Engines that run a forward pass over many texts: Keras, or OpenVINO where it is installed and faster.

An engine is a function `(input_ids, attention_mask) -> array` of NumPy arrays, with one row per text or per token; for pairs of
texts and a model with token types `(input_ids, attention_mask, token_type_ids) -> array`.
"""

import contextlib
import importlib.util
import io
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from bert_tf import hardware
from bert_tf.backends.devices import predict_on_batch
from bert_tf.data.bucketing import padded_batch
from bert_tf.data.tokenizer import Tokens
from bert_tf.files import error_reason
from bert_tf.models.precision import for_results_alone, in_float32

log = logging.getLogger("bert_tf")

Engine = Callable[..., np.ndarray]
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
ENGINES = ("auto", "keras", "openvino")
WORTHWHILE = 60.0  # seconds of work from which "auto" tries another engine: the export alone takes seconds
FASTER = 1.1  # how many times as fast it must be
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}  # largest difference between engines; hidden states are of order 1


class _Program(keras.Model):
    """A method of a layer as a model, which Keras can run and export."""

    def __init__(self, owner: keras.layers.Layer, method: Callable):
        super().__init__(dtype=owner.dtype_policy, name="program")
        self.owner, self.method = owner, method
        self.built = True

    def call(self, inputs):
        return self.method(*(inputs[name] for name in INPUTS if name in inputs))


def keras_engine(owner: keras.layers.Layer, method: Callable) -> Engine:
    """Returns an engine that runs `method(input_ids, attention_mask)` of `owner` on Keras' backend."""

    def quick(*inputs):
        with for_results_alone(owner):
            return method(*inputs)

    program = _Program(owner, quick)
    program.compile(jit_compile=hardware.jit_compile())
    run = predict_on_batch(program)
    return lambda *batch: ops.convert_to_numpy(run(dict(zip(INPUTS, batch, strict=False))))


def openvino_model(owner: keras.layers.Layer, method: Callable, inputs: int = 2) -> Any:
    """Returns `method` of `owner`, of so many inputs, as an `openvino.Model` in float32, through Keras' export.

    In float32 whatever the dtype policy: OpenVINO cannot read constants in bfloat16. It computes in bfloat16 where it is told to when
    the model is compiled.

    Raises: ImportError without OpenVINO.
    """
    try:
        import openvino
    except ImportError as error:
        raise ImportError("The OpenVINO engine is not installed: pip install 'bert-tf[openvino]'") from error
    signature = [{name: keras.InputSpec(dtype="int32", shape=(None, None), name=name) for name in INPUTS[:inputs]}]
    program = _Program(owner, method)
    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})  # the file is deleted while the model is in use
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), in_float32(program):
        file = Path(folder) / "program.xml"
        program.export(str(file), format="openvino", input_signature=signature, verbose=False)
        return core.read_model(file)


def openvino_engine(owner: keras.layers.Layer, method: Callable, inputs: int = 2) -> Engine:
    """Returns an engine that runs `method` of `owner`, of so many inputs, on OpenVINO, in the precision of `owner`; ImportError
    without it."""
    return compiled(openvino_model(owner, method, inputs), owner.compute_dtype)


def compiled(model: Any, precision: str = "float32") -> Engine:
    """Returns an engine of an `openvino.Model`, or the path of one, on the cores that this process may use.

    Args:
        precision: "float32" or "bfloat16", in which it computes.
    """
    import openvino

    options = {"PERFORMANCE_HINT": "LATENCY"}
    options["INFERENCE_PRECISION_HINT"] = "bf16" if precision == "bfloat16" else "f32"
    options["INFERENCE_NUM_THREADS"] = str(hardware.cores() or 0)
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    # A copy: the request reuses its memory.
    return lambda *batch: np.array(request.infer(dict(zip(INPUTS, batch, strict=False)))[0])


def check_engine(engine: str) -> None:
    """Raises ValueError for an unknown engine."""
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {', '.join(ENGINES)}. Received: engine={engine!r}")


def available() -> bool:
    """Returns whether OpenVINO can be used here: it is installed and there is no accelerator."""
    return importlib.util.find_spec("openvino") is not None and not hardware.accelerators()


def choose(
    engine: str,
    owner: keras.layers.Layer,
    method: Callable,
    probe: tuple[np.ndarray, ...],
    batches: int,
    on_keras: Engine | None = None,
) -> Engine:
    """Returns the engine that runs `method` of `owner`.

    Args:
        engine: "keras", "openvino", or "auto" = OpenVINO if it is installed, the work is long, and it proves faster.
        probe: the inputs of a typical batch, on which results and times are compared.
        batches: int, the number of batches to come.
        on_keras: the Keras engine, if there is one already.
    Raises: ValueError for an unknown engine, or if the one asked for gives other numbers than Keras; ImportError if it is
        not installed.
    """
    check_engine(engine)
    on_keras = on_keras or keras_engine(owner, method)
    if engine == "keras" or (engine == "auto" and not available()):
        return on_keras
    expected, keras_seconds = _timed(on_keras, probe)
    if engine == "auto" and keras_seconds * batches < WORTHWHILE:
        return on_keras
    try:
        on_openvino = openvino_engine(owner, method, len(probe)) if len(probe) > 2 else openvino_engine(owner, method)
        result, seconds = _timed(on_openvino, probe)
    except Exception as error:  # an export can fail in as many ways as there are versions of three libraries
        if engine != "auto" or isinstance(error, MemoryError):
            raise
        log.warning("OpenVINO is not used: %s: %s", type(error).__name__, error_reason(error))
        return on_keras
    wrong = f"shape {result.shape} instead of {expected.shape}"
    if expected.shape == result.shape:
        difference = float(np.abs(expected.astype("float32") - result.astype("float32")).max())
        wrong = "" if difference <= TOLERANCE[owner.compute_dtype] else f"a difference of {difference:.1e}"
    if wrong and engine != "auto":
        raise ValueError(f"OpenVINO gives other numbers than Keras: {wrong}. Use engine='keras'.")
    if wrong:
        log.warning("OpenVINO is not used: it gives other numbers than Keras: %s.", wrong)
    return on_keras if wrong or (engine == "auto" and keras_seconds < FASTER * seconds) else on_openvino


def _timed(engine: Engine, probe: tuple[np.ndarray, ...]) -> tuple[np.ndarray, float]:
    """Returns an engine's result for a batch, and the seconds of its second run: the first may compile."""
    engine(*probe)
    started = time.perf_counter()
    result = engine(*probe)
    return result, time.perf_counter() - started


class HalvesOnOutOfMemory:
    """Runs an engine on batches of texts; when memory runs out, it halves this and all later batches of that size."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.most = sys.maxsize  # tokens per batch, padding included

    def __call__(self, tokens: Tokens, texts: np.ndarray, per_token: bool = False) -> np.ndarray:
        """Returns the engine's result for some texts, one row a text, or a token (without padding), `(rows, D)`."""
        batch = padded_batch(tokens, texts)
        input_ids, attention_mask = batch[:2]
        if input_ids.size <= self.most or len(texts) == 1:
            try:
                rows = self.engine(*batch)
                return rows[attention_mask.ravel() == 1] if per_token else rows
            except Exception as error:
                if not hardware.is_out_of_memory(error) or len(texts) == 1:
                    raise
                self.most = input_ids.size // 2
                log.warning("Out of memory at %s tokens per batch; continuing with half.", f"{input_ids.size:,}")
        half = len(texts) // 2
        return np.concatenate([self(tokens, part, per_token) for part in (texts[:half], texts[half:])])
