"""The formats that a model can be exported to. A further one is a row here and a file beside this one.

The file has the functions of `Converter`. They are imported when a format is used: their libraries are large, and optional.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from bert_tf.extras import check_installed

if TYPE_CHECKING:
    import numpy as np

    from bert_tf.exporting.network import Network

PARITY = "parity.json"  # of a bundle; written last: a folder that has it is one
Batch = Mapping[str, "np.ndarray"]  # the inputs by name, int32 `(B, T)`
Runner = Callable[[Batch], "np.ndarray"]  # -> logits, float32 `(B, num_labels)`


class Converter(Protocol):
    """What the file of a format has."""

    def write(self, network: "Network", file: Path) -> None:
        """Writes the network in float32, for any number of texts and tokens."""

    def quantize(self, network: "Network", source: Path, file: Path, texts: Sequence[Batch]) -> None:
        """Writes it with 8-bit weights; `source` is what `write` wrote, `texts` are batches to calibrate by."""

    def load(self, file: Path, names: Sequence[str]) -> Runner:
        """Reads a written file with the format's own runtime; `names` are those of the inputs."""


class Format(NamedTuple):
    """A format.

    Attributes:
        title: what people call it.
        runtime: what runs it.
        file, int8_file: where it lies in a bundle; `int8_file` "" = the format has no 8-bit form.
        modules: what must be installed to write and check it.
        extra: the extra of bert-tf that installs these; "" = bert-tf needs them itself.
        module: in this room, a `Converter`.
        int8_modules, int8_extra: what the 8-bit form needs beside these, and the extra that installs all of them.
        by_tensorflow: whether it is made from a `tf.function`, and so on no other backend.
    """

    title: str
    runtime: str
    file: str
    int8_file: str
    modules: tuple[str, ...]
    extra: str
    module: str
    int8_modules: tuple[str, ...] = ()
    int8_extra: str = ""
    by_tensorflow: bool = True


FORMATS = {
    "onnx": Format(
        "ONNX", "onnxruntime", "onnx/model.onnx", "onnx/model_quantized.onnx",
        ("onnx", "tf2onnx", "onnxruntime"), "onnx", "onnx",
    ),
    "openvino": Format(
        "OpenVINO", "OpenVINO", "openvino/openvino_model.xml", "openvino/openvino_model_int8.xml",
        ("openvino",), "openvino", "openvino", ("nncf",), "openvino-int8", by_tensorflow=False,
    ),
    "litert": Format(
        "LiteRT", "LiteRT", "litert/model.tflite", "litert/model_int8.tflite", ("ai_edge_litert",), "litert", "litert",
    ),
    "saved-model": Format("SavedModel", "TensorFlow", "saved_model/1", "", (), "", "saved_model"),
    "keras": Format("Keras", "Keras", "keras/model.keras", "", (), "", "keras_file", by_tensorflow=False),
}  # fmt: skip


def check(name: str, int8: bool) -> None:
    """Raises ImportError if a package is missing that a format needs, ValueError if it has no 8-bit form that is asked for."""
    chosen = FORMATS[name]
    if int8 and not chosen.int8_file:
        others = " or ".join(other for other, row in FORMATS.items() if row.int8_file)
        raise ValueError(f"{chosen.title} has no 8-bit form: leave int8 (--int8) out, or export to {others}.")
    if chosen.by_tensorflow and find_spec("tensorflow") is None:
        raise ImportError(
            f"The export to {chosen.title} needs TensorFlow, which is not installed. Copy the model to where it is: its folder is the "
            "same on every backend.",
            name="tensorflow",
        )
    backend = _backend()
    if chosen.by_tensorflow and backend != "tensorflow":
        raise ValueError(
            f"The export to {chosen.title} needs TensorFlow as the backend: set KERAS_BACKEND=tensorflow for it. The model is the same "
            f"on every backend. Received: KERAS_BACKEND={backend}"
        )
    if int8 and chosen.int8_extra:
        check_installed(chosen.int8_extra, *chosen.modules, *chosen.int8_modules)
    check_installed(chosen.extra, *chosen.modules)


def _backend() -> str:
    """Returns Keras' backend: the one in use, or that which will be."""
    keras = sys.modules.get("keras")
    return keras.backend.backend() if keras else os.environ.get("KERAS_BACKEND", "tensorflow")


def converter(name: str) -> Converter:
    """Returns the functions of a format."""
    return cast(Converter, import_module(f"bert_tf.exporting.{FORMATS[name].module}"))
