"""The layers' contract, one suite over all of them, and what attention must and must not see."""

import keras
import numpy as np
import pytest
from keras import ops

from bert_tf.models import layers, parts
from bert_tf.models.encoder import Encoder

SIZES = {"hidden_size": 12, "initializer_range": 0.3}
BLOCK = {"intermediate_size": 20, "num_attention_heads": 4, **SIZES}
CASES = {
    "embeddings": (layers.Embeddings, {"vocab_size": 37, "max_position_embeddings": 11, "type_vocab_size": 2, **SIZES}, "ids"),
    "attention": (layers.SelfAttention, {"num_heads": 4, **SIZES}, "masked"),
    "feed_forward": (layers.FeedForward, {"intermediate_size": 20, **SIZES}, "flat"),
    "encoder_layer": (layers.EncoderLayer, BLOCK, "masked"),
    "encoder": (Encoder, {"vocab_size": 37, "num_hidden_layers": 2, "max_position_embeddings": 11, "pooler": True, **BLOCK}, "ids"),
}  # fmt: skip


def arguments(kind: str, batch: int = 5, tokens: int = 7) -> tuple:
    random = np.random.default_rng(0)
    if kind == "ids":
        return (random.integers(1, 37, (batch, tokens)),)
    flat = random.normal(size=(batch * tokens, 12)).astype("float32")
    return (flat, np.ones((batch, tokens), "int32")) if kind == "masked" else (flat,)


def first(outputs) -> np.ndarray:
    return ops.convert_to_numpy(outputs[0] if isinstance(outputs, tuple) else outputs)


@pytest.mark.parametrize("case", CASES)
def test_layer_keeps_keras_contract(case):
    kind, settings, takes = CASES[case]
    given = arguments(takes)
    layer = kind(**settings)
    expected = first(layer(*given))

    again = kind.from_config(layer.get_config())
    again.build()
    assert [tuple(v.shape) for v in again.weights] == [tuple(v.shape) for v in layer.weights]
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(first(again(*given)), expected)

    symbols = [keras.KerasTensor(array.shape, array.dtype) for array in given]
    symbolic = layer(*symbols)
    assert (symbolic[0] if isinstance(symbolic, tuple) else symbolic).shape == expected.shape

    # Dropout acts in training and only there.
    np.testing.assert_array_equal(first(layer(*given, training=False)), expected)
    assert np.abs(first(layer(*given, training=True)) - expected).max() > 1e-3


@pytest.mark.parametrize("case", CASES)
def test_layer_in_bfloat16_keeps_float32_weights(case):
    kind, settings, takes = CASES[case]
    given = arguments(takes)
    layer, half = kind(**settings), kind(**settings, dtype="mixed_bfloat16")
    expected = first(layer(*given))
    half.build()
    half.set_weights(layer.get_weights())
    outputs = half(*(g.astype("float32") if g.dtype == "float32" else g for g in given))
    assert all(v.dtype == "float32" for v in half.weights)
    assert "bfloat16" in str((outputs[0] if isinstance(outputs, tuple) else outputs).dtype)
    assert (
        np.abs(first(ops.cast(outputs[0] if isinstance(outputs, tuple) else outputs, "float32")) - expected).max() < 0.2
    )


@pytest.mark.parametrize("seed", range(3))
def test_padding_cannot_reach_real_tokens(seed):
    encoder = Encoder(37, 12, 20, 3, 4, 11, initializer_range=0.4)
    random = np.random.default_rng(seed)
    ids = random.integers(1, 37, (5, 4))
    alone = first(encoder(ids))
    padded = np.concatenate([ids, random.integers(1, 37, (5, 3))], axis=1)
    mask = np.array([[1] * 4 + [0] * 3] * 5)
    np.testing.assert_allclose(first(encoder(padded, mask))[:, :4], alone, atol=1e-5)
    # The mutant: with the padding taken for real, the same numbers change by far more.
    assert np.abs(first(encoder(padded, np.ones_like(mask)))[:, :4] - alone).max() > 1e-2


def test_batch_order_does_not_matter():
    encoder = Encoder(37, 12, 20, 3, 4, 11, initializer_range=0.4)
    ids = np.random.default_rng(1).integers(1, 37, (5, 7))
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(first(encoder(ids[order])), first(encoder(ids))[order], atol=1e-5)
    assert np.abs(first(encoder(ids[:, ::-1])) - first(encoder(ids))).max() > 1e-2  # the order of tokens does


def test_a_row_of_padding_alone_stays_finite():
    encoder = Encoder(37, 12, 20, 2, 4, 11)
    assert np.isfinite(first(encoder(np.ones((2, 3), "int32"), np.zeros((2, 3), "int32")))).all()


def test_running_the_layers_in_two_cuts_is_running_them_at_once():
    encoder = Encoder(37, 12, 20, 3, 4, 11, initializer_range=0.4)
    encoder.build()
    ids, mask = np.ones((5, 7), "int32"), np.ones((5, 7), "int32")
    flat = encoder.embeddings(ids)
    for part in (encoder.blocks.layer[:1], encoder.blocks.layer[1:]):
        for layer in part:
            flat, _ = layer(flat, mask)
    np.testing.assert_allclose(ops.convert_to_numpy(flat).reshape(5, 7, 12), first(encoder(ids)), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.SelfAttention(12, 5), "hidden_size=12, num_heads=5"),
        (lambda: layers.FeedForward(12, 20, hidden_act="step"), "hidden_act='step'"),
        (lambda: Encoder(37, 12, 20, 1, 4, 11)(np.ones((2, 12), "int32")), "batch of 12 tokens"),
        (lambda: Encoder(37, 12, 20, 1, 4, 11)({"words": np.ones((2, 3))}), "Received: \\['words'\\]"),
    ],
)
def test_wrong_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_adam_counts_a_repeated_word_once():
    """One step of Adam moves every touched row by the learning rate, however often its word stands in the text."""
    table = parts.Embedding(5, 3)
    model = keras.Sequential([keras.Input((6,), dtype="int32"), table])
    model.compile(keras.optimizers.Adam(0.1), loss=lambda target, found: ops.mean(ops.square(found - 1.0)))
    before = np.array(table.embeddings)
    model.fit(np.array([[1, 1, 1, 1, 1, 2]]), np.zeros((1, 1)), verbose=0)
    moved = np.abs(np.array(table.embeddings) - before)
    np.testing.assert_allclose(moved[1:3], 0.1, rtol=1e-3)
    np.testing.assert_array_equal(moved[[0, 3, 4]], 0)


def test_trained_gelu_is_gelu_with_its_gradient():
    tf = pytest.importorskip("tensorflow")
    x = tf.constant(np.linspace(-6, 6, 241).astype("float32"))
    found = []
    for function in (layers.trained_gelu, layers.ACTIVATIONS["gelu"]):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        found.append((ops.convert_to_numpy(y), tape.gradient(y, x).numpy()))
    (value, gradient), (expected, expected_gradient) = found
    np.testing.assert_allclose(value, expected, atol=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6)
