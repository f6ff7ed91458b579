"""LiteRT, once TensorFlow Lite, by TensorFlow's converter; the 8-bit form has 8-bit weights. Runs in LiteRT."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bert_tf import hardware
from bert_tf.exporting import saved_model
from bert_tf.exporting.formats import Batch, Runner
from bert_tf.exporting.network import Network
from bert_tf.files import without_stderr


def write(network: Network, file: Path) -> None:
    """Writes the file, with the signature `serving_default`."""
    _convert(network, file, int8=False)


def quantize(network: Network, source: Path, file: Path, texts: Sequence[Batch]) -> None:
    """Writes the file with 8-bit weights; what enters a product is quantized as it comes (dynamic range)."""
    _convert(network, file, int8=True)


def load(file: Path, names: Sequence[str]) -> Runner:
    """Returns what runs a file, on as many cores as this process may use."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_path=str(file), num_threads=hardware.cores())
    run = model.get_signature_runner("serving_default")
    return lambda batch: run(**{name: batch[name] for name in names})["logits"]


def _convert(network: Network, file: Path, int8: bool) -> None:
    import tensorflow as tf

    # By way of a SavedModel: of weights that are constants of a graph the converter has many copies at once. It writes all it knows of
    # the graph to stderr.
    with tempfile.TemporaryDirectory() as folder, without_stderr():
        saved_model.write(network, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
        converter.exclude_conversion_metadata = True
        if int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        try:
            content = converter.convert()
        except Exception as error:  # TensorFlow does not export its class
            missing = sorted(set(re.findall(r"'tf\.(\w+)' op is neither", str(error))))
            if not missing:
                raise
            raise ValueError(
                f"LiteRT lacks {', '.join(missing)}, which this model needs. Choose another format, such as onnx."
            ) from error
    file.write_bytes(content)
