"""Graphs that are traced for their results alone: other operations, the same numbers."""

import keras
import numpy as np
import pytest
from conftest import GOLDEN
from keras import ops

from bert_tf import hardware
from bert_tf.backends import backend
from bert_tf.inference.engines import TOLERANCE, keras_engine
from bert_tf.models.auto import CLASSES
from bert_tf.models.parts import LayerNorm

# In bfloat16 twice what engines of one precision may differ by: here it stands against float32.
ATOL = {"float32": 1e-5, "bfloat16": 2 * TOLERANCE["bfloat16"]}
TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ["roberta", "mpnet", "deberta-v2", "modernbert"])  # a kind of attention each
def test_an_engine_gives_what_the_layers_give(family, precision, monkeypatch):
    exact = encoder = CLASSES[family, None].from_pretrained(GOLDEN / f"{family}_tiny").encoder
    if precision == "bfloat16":
        policy = hardware.policy(precision)
        encoder = CLASSES[family, None].from_pretrained(GOLDEN / f"{family}_tiny", dtype=policy).encoder
    ids = np.random.default_rng(0).integers(5, 30, (3, 7)).astype("int32")
    mask = np.ones_like(ids)
    mask[1, 4:] = 0

    def every_token(input_ids, attention_mask):
        return encoder(input_ids, attention_mask, training=False).last_hidden_state

    def wanted(*batch):
        return ops.convert_to_numpy(exact(*batch, training=False).last_hidden_state)

    entered = []
    monkeypatch.setattr(hardware, "onednn", lambda: entered.append(True) or True)  # whatever this machine has
    monkeypatch.setattr(hardware, "native_precision", lambda: precision)
    every_token(ids, mask)
    assert not entered
    engine = keras_engine(encoder, every_token)
    for batch in (ids, mask), (ids[:, :5], mask[:, :5]), (ids[:2, :6], mask[:2, :6]):  # of fixed sizes, then of any
        result = engine(*batch)
        np.testing.assert_allclose(result[batch[1] == 1], wanted(*batch)[batch[1] == 1], rtol=0, atol=ATOL[precision])
    assert bool(entered) == TENSORFLOW
    assert not backend.inferring()


@pytest.mark.skipif(not (TENSORFLOW and hardware.onednn()), reason="TensorFlow does not use oneDNN here")
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_norm_is_one_operation(dtype):
    import tensorflow as tf
    from tensorflow.python.eager import context

    layer = LayerNorm(epsilon=1e-12, center=False, dtype=dtype)
    layer.build((None, 24))
    states = tf.cast(np.random.default_rng(0).normal(2, 3, (5, 24)), layer.compute_dtype)
    expected = layer(states)

    @tf.function
    def normed(states):
        with backend.inference("float32"):
            return tf.nn.relu(layer(states))

    context.enable_run_metadata()
    try:
        result = normed(states)
        graphs = context.export_run_metadata().function_graphs
    finally:
        context.disable_run_metadata()
    ran = {node.op for graph in graphs for part in graph.partition_graphs for node in part.node}
    assert "_MklLayerNorm" in ran
    assert "Mean" not in ran
    np.testing.assert_allclose(*(np.maximum(ops.cast(x, "float32"), 0) for x in (result, expected)), atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "flags", "expected"),
    [
        (None, {"avx2", "avx512f"}, False),
        (None, {"avx2", "avx_vnni"}, True),
        ("0", {"avx512_bf16"}, False),
        ("FALSE", {"amx_tile"}, False),
        ("1", {"sse4_2"}, True),
        ("1", set(), False),  # not Linux, or not x86
        ("yes", {"avx512_vnni"}, True),  # which TensorFlow does not understand
    ],
)
def test_onednn_is_used_where_tensorflow_uses_it(asked, flags, expected, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    if asked:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", asked)
    monkeypatch.setattr(hardware, "processor_flags", lambda: frozenset(flags))
    monkeypatch.setattr(hardware, "accelerators", lambda: ())
    assert hardware.onednn() is expected
    monkeypatch.setattr(hardware, "accelerators", lambda: ("GPU:0",))
    assert not hardware.onednn()
