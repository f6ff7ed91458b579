"""LiteRT, once TensorFlow Lite, by TensorFlow's converter; the 8-bit form has 8-bit weights. Runs in LiteRT."""

import re
from collections.abc import Sequence
from pathlib import Path

from bert_tf.exporting.formats import Batch, Runner
from bert_tf.exporting.network import Network
from bert_tf.models.precision import in_float32


def write(network: Network, file: Path) -> None:
    """Writes the file, with the signature `serving_default`."""
    _convert(network, file, int8=False)


def quantize(network: Network, source: Path, file: Path, texts: Sequence[Batch]) -> None:
    """Writes the file with 8-bit weights; what enters a product is quantized as it comes (dynamic range)."""
    _convert(network, file, int8=True)


def load(file: Path, names: Sequence[str]) -> Runner:
    """Returns what runs a file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file))
    places = {
        each["name"].split(":")[0].removeprefix("serving_default_"): each["index"]
        for each in interpreter.get_input_details()
    }
    shape: list[tuple[int, ...]] = [()]

    def logits(batch: Batch):
        if batch["input_ids"].shape != shape[0]:
            shape[0] = batch["input_ids"].shape
            for name in names:
                interpreter.resize_tensor_input(places[name], shape[0])
            interpreter.allocate_tensors()
        for name in names:
            interpreter.set_tensor(places[name], batch[name])
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return logits


def _convert(network: Network, file: Path, int8: bool) -> None:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    with in_float32(network.model):
        # Weights as constants: as variables nothing in the file would set them.
        function = convert_variables_to_constants_v2(network.function().get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
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
