"""ONNX with 8-bit weights: onnxruntime's static quantization, on a graph that is made ready for it.

A scale for all that enters a product serves badly where a few channels are large, as in transformers. SmoothQuant (Xiao et al. 2023,
https://arxiv.org/abs/2211.10438) divides each channel by a number and multiplies the weights by it: the product stays the same.
The numbers and the scales come from real texts and stay: what a text is given does not depend on which others are in its batch.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bert_tf.exporting.formats import Batch
from bert_tf.exporting.network import IN_A_LAYER

SMOOTHING = 0.9  # alpha of SmoothQuant: how much of the difficulty goes to the weights, each of whose outputs has a scale of its own
TABLE = 2**16  # numbers from which on a table of embeddings is quantized: what is smaller saves nothing


def quantize(source: Path, file: Path, texts: Sequence[Batch]) -> None:
    """Writes the graph with 8-bit products in the encoder's layers, and 8-bit embeddings, with a scale for each row.

    The head stays in float32: it is small, and its errors go straight into the logits.

    Args:
        source: the graph in float32.
        file: to write.
        texts: batches to calibrate by.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    texts = [{name: array.astype("int64") for name, array in batch.items()} for batch in texts]
    graph = onnx.load(source)
    _quantize_tables(graph)
    _smooth(graph, texts)
    _fuse_biases(graph)
    onnx.save(graph, file)
    products = [node.name for node in _products(graph)]
    with quiet():
        quantize_static(
            file, file, _Texts(texts), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_quantize=products,
            op_types_to_quantize=["Gemm", "MatMul"],
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"], "MatMulConstBOnly": True},
        )  # fmt: skip


@contextmanager
def quiet() -> Iterator[None]:
    """Within it libraries do not log: they note what is not to be changed here."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Texts:
    """Batches in the form of onnxruntime's `CalibrationDataReader`."""

    def __init__(self, batches: Sequence[Batch]):
        self.batches = iter(batches)

    def get_next(self) -> Batch | None:
        return next(self.batches, None)


def _weights(graph: Any) -> dict[str, Any]:
    return {value.name: value for value in graph.graph.initializer}


def _products(graph: Any) -> list[Any]:
    """Returns the nodes of the layers that multiply by weights."""
    weights = _weights(graph)
    return [
        node
        for node in graph.graph.node
        if node.op_type in ("MatMul", "Gemm") and IN_A_LAYER in node.name and node.input[1] in weights
    ]


def _largest(graph: Any, names: Sequence[str], texts: Sequence[Batch]) -> dict[str, np.ndarray]:
    """Returns the largest absolute number of each channel, the last axis, of some tensors."""
    import onnxruntime
    from onnx import helper

    nodes, outputs = len(graph.graph.node), len(graph.graph.output)
    for name in names:
        rows, absolute, largest = (f"{name}_{part}" for part in ("rows", "absolute", "largest"))
        flat = helper.make_node("Flatten", [name], [rows], axis=-1)
        graph.graph.node.extend([flat, helper.make_node("Abs", [rows], [absolute])])
        graph.graph.node.append(helper.make_node("ReduceMax", [absolute], [largest], axes=[0], keepdims=0))
        graph.graph.output.append(helper.make_tensor_value_info(largest, 1, [None]))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    del graph.graph.node[nodes:], graph.graph.output[outputs:]
    found = [session.run([f"{name}_largest" for name in names], dict(batch)) for batch in texts]
    return {name: np.max(parts, axis=0) for name, parts in zip(names, zip(*found, strict=True), strict=True)}


def _smooth(graph: Any, texts: Sequence[Batch]) -> None:
    """Divides the channels of what enters each product, and multiplies the weights, so that both are easy to quantize."""
    from onnx import helper, numpy_helper

    weights, entering = _weights(graph), dict[str, list[Any]]()
    for node in _products(graph):
        entering.setdefault(node.input[0], []).append(node)
    uses = Counter(node.input[1] for nodes in entering.values() for node in nodes)
    # Weights that multiply several inputs, as in ALBERT, stay as they are: each would need other numbers.
    names = [name for name, nodes in entering.items() if all(uses[node.input[1]] == 1 for node in nodes)]
    new = {}
    for name, largest in (_largest(graph, names, texts) if names else {}).items():
        kernels = {node.input[1]: numpy_helper.to_array(weights[node.input[1]]) for node in entering[name]}
        of_weights = np.max([np.abs(kernel).max(axis=1) for kernel in kernels.values()], axis=0)
        largest, of_weights = np.maximum(largest, 1e-5), np.maximum(of_weights, 1e-5)
        by = largest**SMOOTHING / of_weights ** (1 - SMOOTHING)
        by = (by / np.exp(np.log(by).mean())).astype("float32")
        for kernel, values in kernels.items():
            weights[kernel].CopyFrom(numpy_helper.from_array(values * by[:, None], kernel))
        graph.graph.initializer.append(numpy_helper.from_array(1 / by, f"{name}_by"))
        new[entering[name][0].name] = helper.make_node(
            "Mul", [name, f"{name}_by"], [f"{name}_smooth"], f"{name}_smooth"
        )
        for node in entering[name]:
            node.input[0] = f"{name}_smooth"
    replace_nodes(
        graph.graph,
        [each for node in graph.graph.node for each in ([new[node.name], node] if node.name in new else [node])],
    )


def _fuse_biases(graph: Any) -> None:
    """Makes one node of a product and its bias: else onnxruntime does so when it loads the graph, and no longer sees that the product
    is one of 8-bit numbers."""
    from onnx import helper, shape_inference

    weights, products = _weights(graph), {node.name for node in _products(graph)}
    used: dict[str, list[Any]] = {}
    for node in graph.graph.node:
        for name in node.input:
            used.setdefault(name, []).append(node)
    shapes = shape_inference.infer_shapes(graph).graph.value_info
    flat = {value.name for value in shapes if len(value.type.tensor_type.shape.dim) == 2}
    nodes, fused = [], set()
    for node in graph.graph.node:
        if node.output[0] in fused:
            continue
        after = used.get(node.output[0], [])
        if node.name in products and node.output[0] in flat and [each.op_type for each in after] == ["Add"]:
            (bias,) = (name for name in after[0].input if name != node.output[0])
            if bias in weights and len(weights[bias].dims) == 1:
                fused.add(after[0].output[0])
                node = helper.make_node("Gemm", [*node.input, bias], [after[0].output[0]], node.name)
        nodes.append(node)
    replace_nodes(graph.graph, nodes)


def _quantize_tables(graph: Any) -> None:
    """Stores each large table of embeddings as int8 with a scale for each row: rows differ by more than one scale can hold, and
    onnxruntime's own tool has one for the table."""
    from onnx import helper, numpy_helper

    arrays = _weights(graph)
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
    replace_nodes(graph.graph, nodes)


def replace_nodes(graph: Any, nodes: Sequence[Any]) -> None:
    """Puts nodes in place of a graph's own, and removes the weights that none of them reads."""
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    for i, value in reversed([*enumerate(graph.initializer)]):
        if value.name not in used:
            del graph.initializer[i]
