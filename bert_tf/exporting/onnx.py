"""ONNX, by tf2onnx; the 8-bit form by onnxruntime's quantization. Runs in onnxruntime.

Inputs are int64, as Hugging Face's libraries give them to a graph.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from bert_tf import hardware
from bert_tf.exporting import onnx_int8
from bert_tf.exporting.formats import Batch, Runner
from bert_tf.exporting.network import Network
from bert_tf.exporting.onnx_int8 import quiet, replace_nodes
from bert_tf.models.precision import in_float32

OPSET = 17


def write(network: Network, file: Path) -> None:
    """Writes the graph, with any number of texts and tokens."""
    import onnx
    import tf2onnx
    from onnx import numpy_helper

    weights = {f"weight_{i}": weight for i, weight in enumerate(network.model.weights)}
    function = network.function("int64", weights)
    with in_float32(network.model), quiet():
        graph, _ = tf2onnx.convert.from_function(
            function, function.input_signature, opset=OPSET, custom_op_handlers={"Erfc": (_erfc, [])}
        )
    inputs = {value.name: value for value in graph.graph.input if value.name not in weights}
    del graph.graph.input[:]
    graph.graph.input.extend(inputs[name] for name in network.names)
    for value in (*graph.graph.input, *graph.graph.output):
        for place, name in enumerate(("batch", "sequence")[: 2 if value in graph.graph.input else 1]):
            value.type.tensor_type.shape.dim[place].dim_param = name
    used = {name for node in graph.graph.node for name in node.input}
    for name in weights.keys() & used:
        array = ops.convert_to_numpy(weights[name]).astype("float32")
        graph.graph.initializer.append(numpy_helper.from_array(array, name))
    _fold(graph.graph)
    onnx.save(graph, file)
    onnx.checker.check_model(file)


def quantize(network: Network, source: Path, file: Path, texts: Sequence[Batch]) -> None:
    """Writes the graph with 8-bit weights, calibrated on the texts."""
    onnx_int8.quantize(source, file, texts)


def load(file: Path, names: Sequence[str]) -> Runner:
    """Returns what runs a file on the processor, on as many cores as this process may use."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = hardware.cores() or 0
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(["logits"], {name: batch[name].astype("int64") for name in names})[0]


def _fold(graph: Any) -> None:
    """Computes the nodes that depend on nothing but weights, and removes weights that no node is left to read."""
    from onnx import numpy_helper
    from onnx.reference import ReferenceEvaluator

    arrays = {value.name: value for value in graph.initializer}
    nodes = []
    for node in graph.node:
        if not node.input or not all(name in arrays for name in node.input):
            nodes.append(node)
            continue
        given = {name: numpy_helper.to_array(arrays[name]) for name in node.input}
        for name, array in zip(node.output, ReferenceEvaluator(node, opsets={"": OPSET}).run(None, given), strict=True):
            graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
            arrays[name] = graph.initializer[-1]
    replace_nodes(graph, nodes)


def _erfc(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """Converts erfc(x), with which TensorFlow computes GELU and which ONNX lacks: 1 - erf(x)."""
    node.type = "Erf"
    one = graph.make_const(f"{name}_one", np.array(1, "float32"))
    difference = graph.insert_new_node_on_output("Sub", node.output[0], name=f"{name}_difference")
    graph.replace_inputs(difference, [one.output[0], node.output[0]])
