"""OpenVINO, through Keras' export; the 8-bit form by OpenVINO's own NNCF. Runs in OpenVINO."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from bert_tf.exporting.formats import Batch, Runner
from bert_tf.exporting.network import IN_A_LAYER, Network
from bert_tf.files import without_stderr
from bert_tf.inference.engines import compiled, openvino_model


def write(network: Network, file: Path) -> None:
    """Writes the graph, file.xml, and its weights, file.bin, in float32."""
    import openvino

    model = openvino_model(network.model, network.logits, len(network.names))
    model.outputs[0].get_tensor().set_names({"logits"})
    openvino.save_model(model, file, compress_to_fp16=False)


def quantize(network: Network, source: Path, file: Path, texts: Sequence[Batch]) -> None:
    """Writes the graph with 8-bit products, whose scales are calibrated on the texts, and 8-bit embeddings, with a scale for each
    row. The head stays in float32."""
    import openvino
    from openvino import passes

    model = openvino.Core().read_model(source)
    fold = passes.Manager()
    fold.register_pass(passes.ConstantFolding())  # tables that are multiplied by 1 first are none to NNCF
    fold.run_passes(model)
    head = [
        node.get_friendly_name()
        for node in model.get_ops()
        if node.get_type_name() == "MatMul" and IN_A_LAYER not in node.get_friendly_name()
    ]
    with contextlib.redirect_stdout(io.StringIO()), without_stderr():  # tables and progress bars
        import nncf

        scope = nncf.IgnoredScope(names=head)
        kind = {"model_type": nncf.ModelType.TRANSFORMER, "subset_size": len(texts)}
        model = nncf.quantize(model, nncf.Dataset(texts), **kind, ignored_scope=scope)
        model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM, ignored_scope=scope)
    openvino.save_model(model, file, compress_to_fp16=False)


def load(file: Path, names: Sequence[str]) -> Runner:
    """Returns what runs a file on the processor, in float32 where the file does not say otherwise."""
    engine = compiled(file)
    return lambda batch: engine(*(batch[name] for name in names))
