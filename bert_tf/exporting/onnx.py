"""ONNX, by tf2onnx; the 8-bit form by onnxruntime's quantization. Runs in onnxruntime.

Inputs are int64, as Hugging Face's libraries give them to a graph.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf import hardware
from bert_tf.exporting.formats import Batch, Runner
from bert_tf.exporting.network import Network
from bert_tf.models.precision import in_float32

OPSET = 17
IN_A_LAYER = "/layer_"  # in the name of a node of the encoder's layers
TABLE = 2**16  # numbers from which on a table of embeddings is quantized: what is smaller saves nothing


def write(network: Network, file: Path) -> None:
    """Writes the graph, with any number of texts and tokens."""
    import onnx
    import tf2onnx

    function = network.function("int64")
    with in_float32(network.model), quiet():
        graph, _ = tf2onnx.convert.from_function(
            function, function.input_signature, opset=OPSET, custom_op_handlers={"Erfc": (_erfc, [])}
        )
    for value in (*graph.graph.input, *graph.graph.output):
        for place, name in enumerate(("batch", "sequence")[: 2 if value in graph.graph.input else 1]):
            value.type.tensor_type.shape.dim[place].dim_param = name
    onnx.checker.check_model(graph)
    onnx.save(graph, file)


def quantize(network: Network, source: Path, file: Path, texts: Sequence[Batch]) -> None:
    """Writes the graph with 8-bit weights: the products in the encoder's layers, by output channel, and the embeddings, by row.

    What enters a product is quantized as it comes, as onnxruntime recommends for transformers: that needs no calibration. The head
    stays in float32: it is small, and its errors go straight into the logits.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(source)
    _quantize_tables(graph)
    onnx.save(graph, file)
    head = [node.name for node in graph.graph.node if node.op_type == "MatMul" and IN_A_LAYER not in node.name]
    with quiet():
        quantize_dynamic(
            file, file, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"],
            nodes_to_exclude=head,
        )  # fmt: skip


def load(file: Path, names: Sequence[str]) -> Runner:
    """Returns what runs a file on the processor, on as many cores as this process may use."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = hardware.cores() or 0
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(["logits"], {name: batch[name].astype("int64") for name in names})[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Within it libraries do not log: they note what is not to be changed here."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _erfc(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """Converts erfc(x), with which TensorFlow computes GELU and which ONNX lacks: 1 - erf(x)."""
    node.type = "Erf"
    one = graph.make_const(f"{name}_one", np.array(1, "float32"))
    difference = graph.insert_new_node_on_output("Sub", node.output[0], name=f"{name}_difference")
    graph.replace_inputs(difference, [one.output[0], node.output[0]])


def _quantize_tables(graph: Any) -> None:
    """Stores each large table of embeddings as int8 with a scale for each row: rows differ by more than one scale can hold, and
    onnxruntime's own tool has one for the table."""
    from onnx import helper, numpy_helper

    arrays = {value.name: value for value in graph.graph.initializer}
    nodes = []
    for node in graph.graph.node:
        table = arrays.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or np.prod(table.dims) < TABLE:
            nodes.append(node)
            continue
        name, rows = table.name, numpy_helper.to_array(table)
        if f"{name}_int8" not in arrays:
            scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-12).astype("float32") / 127
            for part, values in (("int8", np.rint(rows / scales).astype("int8")), ("scales", scales)):
                arrays[f"{name}_{part}"] = numpy_helper.from_array(values, f"{name}_{part}")
                graph.graph.initializer.append(arrays[f"{name}_{part}"])
        looked_up = [f"{node.output[0]}_{part}" for part in ("int8", "scales", "float")]
        for part, output in zip(("int8", "scales"), looked_up, strict=False):
            nodes.append(helper.make_node("Gather", [f"{name}_{part}", node.input[1]], [output], output, axis=0))
        nodes.append(helper.make_node("Cast", [looked_up[0]], [looked_up[2]], looked_up[2], to=1))
        nodes.append(helper.make_node("Mul", [looked_up[2], looked_up[1]], [node.output[0]], node.name))
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [value for value in graph.graph.initializer if value.name in used]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
