"""What has to hold on every backend, as a script for a process of its own: TensorFlow cannot be imported in it.

Arguments: the folder of a fine-tuned model, a file for its logits as JSON. The backend is that of the environment.
"""

import json
import sys
from pathlib import Path

sys.modules["tensorflow"] = sys.modules["tensorflow_datasets"] = None  # type: ignore[assignment]

import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import ops  # noqa: E402

import bert_tf  # noqa: E402
from bert_tf.backends import backend  # noqa: E402
from bert_tf.features.extraction import extract  # noqa: E402
from bert_tf.models import attention  # noqa: E402

TEXTS = ["good", "really good and sturdy", "awful thing, broke down the first day", "poor, went straight back"] * 3
LABELS = np.array([1, 1, 0, 0] * 3)


def main(folder: str, file: str) -> None:
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(folder)
    tokens = bert_tf.tokenize(TEXTS, bert_tf.load_tokenizer(folder), 16)
    logits = model.predict(bert_tf.batches(tokens, batch_size=5), verbose=0).logits
    kernels_agree(model)
    learns(model, tokens)
    Path(file).write_text(json.dumps({"backend": keras.backend.backend(), "logits": logits.tolist()}))


def kernels_agree(model) -> None:
    """A kernel for the whole attention gives the numbers of the usual operations, at real tokens."""
    ids = np.random.default_rng(0).integers(1, 90, (3, 7))
    mask = np.ones((3, 7), "int32")
    mask[1, 4:] = mask[2, :2] = 0
    for variable in model.encoder.weights:  # what a bias of the keys does must not depend on its being 0
        if "bias" in variable.path:
            variable.assign(np.random.default_rng(1).normal(size=variable.shape, scale=0.3))

    def states() -> np.ndarray:
        return ops.convert_to_numpy(model.encoder(ids, mask).last_hidden_state)[mask == 1]

    found = states()
    kernel = attention.fused_attention
    attention.fused_attention = lambda dropout: None
    usual = states()
    attention.fused_attention = kernel
    np.testing.assert_allclose(found, usual, atol=1e-5)
    if keras.backend.backend() == "jax":
        from bert_tf.backends import jax as ours

        attention.fused_attention = lambda dropout: ours._cudnn_attention  # off a GPU Keras takes XLA's twin of it
        np.testing.assert_allclose(states(), usual, atol=1e-5)
        attention.fused_attention = kernel
        dropout_is_exact(ours)


def dropout_is_exact(ours) -> None:
    """Dropout keeps the right share, and the gradient written out is that of the formula."""
    import jax
    from jax import numpy as jnp

    keys = jax.random.bits(jax.random.key(0), (2,), "uint32")
    assert abs(float(ours._kept((64, 4, 64, 64), 0.1, keys).mean()) - 0.9) < 0.002
    query, key, value, factor = jax.random.normal(jax.random.key(1), (4, 2, 3, 5, 4))
    bias = jnp.zeros((2, 1, 1, 5)).at[1, :, :, 3:].set(-1e9)

    def plain(query, key, value):
        scores = jax.nn.softmax(jnp.einsum("bhqs,bhks->bhqk", query, key) * 0.5 + bias)
        kept = jnp.where(ours._kept(scores.shape, 0.3, keys), scores / 0.7, 0)
        return (jnp.einsum("bhqk,bhks->bhqs", kept, value) * factor).sum()

    def written_out(query, key, value):
        return (ours._attention(0.3, query, key, bias, 0.5, value, keys) * factor).sum()

    for one, other in zip(*(jax.grad(f, (0, 1, 2))(query, key, value) for f in (plain, written_out)), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def learns(model, tokens) -> None:
    """Tokens train all layers, features a head, to say the opposite."""
    model.compile(keras.optimizers.AdamW(3e-3), metrics=["accuracy"])
    history = model.fit(bert_tf.batches(tokens, LABELS, batch_size=6, shuffle=True), epochs=6, verbose=0).history
    assert history["loss"][-1] < history["loss"][0], history
    model.freeze(0)
    features = extract(model.encoder, tokens, cache="memory", progress=False)
    copied = model.fork(0)
    copied.compile(keras.optimizers.AdamW(3e-3))
    before = ops.convert_to_numpy(model.classifier.kernel).copy()
    losses = copied.fit(bert_tf.batches(features, 1 - LABELS, batch_size=6), epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all(), losses
    assert np.abs(ops.convert_to_numpy(copied.classifier.kernel) - before).max() > 1e-3
    np.testing.assert_array_equal(ops.convert_to_numpy(model.classifier.kernel), before)  # it has weights of its own
    ids, mask = (np.ones((1, 4), "int32") for _ in range(2))
    value, gradient = backend.value_and_gradient(
        lambda embeddings, mask: model(inputs_embeds=embeddings, attention_mask=mask, training=False).logits[:, 0]
    )(ops.convert_to_numpy(model.encoder.embeddings.word_embeddings(ids)), mask)
    assert value.shape == (1,)
    assert np.abs(gradient).max() > 0


if __name__ == "__main__":
    main(*sys.argv[1:])
