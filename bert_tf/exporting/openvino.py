"""OpenVINO, through Keras' export. Runs in OpenVINO."""

from collections.abc import Sequence
from pathlib import Path

from bert_tf.exporting.formats import Batch, Runner
from bert_tf.exporting.network import Network
from bert_tf.inference.engines import compiled, openvino_model


def write(network: Network, file: Path) -> None:
    """Writes the graph, file.xml, and its weights, file.bin, in float32."""
    import openvino

    model = openvino_model(network.model, network.logits, len(network.names))
    model.outputs[0].get_tensor().set_names({"logits"})
    openvino.save_model(model, file, compress_to_fp16=False)


def quantize(network: Network, source: Path, file: Path, texts: Sequence[Batch]) -> None:
    raise NotImplementedError("The export to OpenVINO has no 8-bit form.")


def load(file: Path, names: Sequence[str]) -> Runner:
    """Returns what runs a file on the processor, in float32 where the file does not say otherwise."""
    engine = compiled(file)
    return lambda batch: engine(*(batch[name] for name in names))
