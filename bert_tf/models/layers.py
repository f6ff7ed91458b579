"""The parts of a BERT-like encoder: numbers in, tensors out, no configuration object.

Letters in the shape comments: B = batch, T = tokens, D = hidden_size, H = attention heads, S = D / H. Arguments that all
share: a dropout is a float in [0, 1) and acts only with `training=True`; `initializer_range` is a float, the standard
deviation of initial weights; `layer_norm_eps` is a float.

Hidden states travel flat, as `(B * T, D)`: TensorFlow's graph optimizer fuses a 2-D product with its bias and
GELU into one oneDNN call, and does not on 3-D input (about three times on the feed-forward part, in bfloat16).

Sources: Devlin et al. 2019 (https://arxiv.org/abs/1810.04805), Sanh et al. 2019 (https://arxiv.org/abs/1910.01108),
Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import keras
import numpy as np
from keras import ops

from bert_tf.models.keras_internals import all_layers, resize_embedding


@ops.custom_gradient
def trained_gelu(x):
    """The exact GELU of Hendrycks and Gimpel 2016 (https://arxiv.org/abs/1606.08415) with its gradient written out.

    The same numbers as `ops.gelu(x, approximate=False)`. TensorFlow derives that through `erfc`, which is slow in bfloat16:
    forwards and backwards this takes a fifth of the time there. Forwards alone, a fused product is faster.
    """
    wide = ops.cast(x, "float32")
    below = 0.5 + 0.5 * ops.erf(wide * math.sqrt(0.5))  # the normal distribution's share below x

    def gradient(*arguments, upstream=None):
        if upstream is None:  # else PyTorch's: there the arguments are x
            (upstream,) = arguments
        density = ops.exp(-0.5 * ops.square(wide)) * (1 / math.sqrt(2 * math.pi))
        return ops.cast(ops.cast(upstream, "float32") * (below + wide * density), x.dtype)

    return ops.cast(wide * below, x.dtype), gradient


ACTIVATIONS = {
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu_new": lambda x: ops.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: ops.gelu(x, approximate=True),
    "relu": ops.relu,
    "silu": ops.silu,
    "swish": ops.silu,
}


def arguments(local_variables: dict, leave_out: tuple[str, ...] = ()) -> dict:
    """Returns the arguments of a constructor, for `get_config`, from its `locals()` before any other is set."""
    no_arguments = {"self", "kwargs", "__class__", *leave_out}
    return {name: value for name, value in local_variables.items() if name not in no_arguments}


_FROM_A_FILE = ContextVar("_FROM_A_FILE", default=False)


@contextmanager
def weights_from_a_file() -> Iterator[None]:
    """Within it an encoder is built with zeros, for `checkpoints.folder.load_weights` to fill.

    To draw MiniLM's 22 million weights at random takes 0.55 of the 1.5 s of processor time in which it is built and loaded.
    """
    token = _FROM_A_FILE.set(True)
    try:
        yield
    finally:
        _FROM_A_FILE.reset(token)


def _build(layer: keras.layers.Layer, inputs: int) -> None:
    """Builds a layer inside an encoder; it keeps the initializer that it was made with."""
    names = [name for name in ("kernel_initializer", "embeddings_initializer") if hasattr(layer, name)]
    if not (_FROM_A_FILE.get() and names):
        layer.build((None, inputs))
        return
    initializer = getattr(layer, names[0])
    setattr(layer, names[0], keras.initializers.Zeros())
    layer.build((None, inputs))
    setattr(layer, names[0], initializer)


class Part(keras.layers.Layer):
    """What the parts of an encoder share: `_settings`, the arguments of the constructor, are the config."""

    _settings: dict

    def _own(self, kind: type, name: str, *args, **options):
        """Makes a layer of this one, with its dtype policy."""
        return kind(*args, **options, dtype=self.dtype_policy, name=name)

    def _dense(self, name: str, units: int, **options) -> keras.layers.Dense:
        initializer = keras.initializers.TruncatedNormal(stddev=self._settings["initializer_range"])
        return self._own(keras.layers.Dense, name, units, kernel_initializer=initializer, **options)

    def build(self, input_shape=None):
        for layer in all_layers(self, recursive=False):
            if not layer.built:
                _build(layer, self._settings["hidden_size"])

    def get_config(self):
        return {**super().get_config(), **self._settings}


@keras.saving.register_keras_serializable("bert_tf")
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` whose `rate` can be changed after building.

    With a `keras.Variable` as `rate`, a compiled training step changes its rate without being compiled again.
    """

    def __init__(self, rate: float, **kwargs):
        super().__init__(rate or 0.5, **kwargs)  # for a rate of 0 Keras would make no random generator
        self.rate = rate

    def call(self, inputs, training=False):
        if not training or (isinstance(self.rate, float) and self.rate == 0):
            return inputs
        rate = ops.cast(self.rate, inputs.dtype)
        kept = keras.random.uniform(ops.shape(inputs), dtype=inputs.dtype, seed=self.seed_generator) >= rate
        return ops.where(kept, inputs / (1 - rate), 0)


@keras.saving.register_keras_serializable("bert_tf")
class Standardization(keras.layers.Layer):
    """Standardises each feature by its mean and standard deviation over the training texts, measured once by `adapt`.

    A fixed linear map with which one learning rate suits features of any scale (LeCun et al. 1998, Efficient BackProp,
    sec. 4.3). Unlike `keras.layers.Normalization` it reads mean and variance from its weights at every call, so that they
    can be loaded and copied like any others. Before `adapt` it is the identity.

    Args:  (F = features)
        epsilon: float, the smallest variance; a feature that varies less (a constant) is only centred.
    Call arguments: float `(B, F)`; returns the same.
    """

    def __init__(self, epsilon: float = 1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        self.mean = self.add_weight(name="mean", shape=input_shape[-1:], initializer="zeros", trainable=False)
        self.variance = self.add_weight(name="variance", shape=input_shape[-1:], initializer="ones", trainable=False)

    @property
    def adapted(self) -> bool:
        """Whether `adapt` has been called, or its result loaded."""
        return bool(ops.any(ops.not_equal(self.mean, 0)))

    def adapt(self, features) -> None:
        """Measures mean and variance.

        Args:
            features: N rows `(F,)` that can be indexed: an array `(N, F)`, or `bert_tf.features.Features`.
        """
        total, squares = np.zeros((2, self.mean.shape[0]))
        for start in range(0, len(features), 1024):  # in parts: they may be on disk because they exceed memory
            rows = np.stack([features[i] for i in range(start, min(start + 1024, len(features)))]).astype("float64")
            total += rows.sum(axis=0)
            squares += (rows**2).sum(axis=0)
        mean = total / len(features)
        variance = squares / len(features) - mean**2
        self.mean.assign(mean)
        self.variance.assign(np.where(variance < self.epsilon, 1.0, variance))

    def call(self, inputs):
        return (inputs - self.mean) * ops.rsqrt(self.variance)

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("bert_tf")
class Embedding(keras.layers.Embedding):
    """`keras.layers.Embedding` whose gradient sums over repeated ids.

    TensorFlow's gradient of a look-up lists repeated ids separately, and Keras 3's Adam squares the entries, so the second
    moment of every repeated word is wrong (measured: weights 0.008 off after one step at a learning rate of 0.01, against
    transformers 4). The factor 1 makes the gradient dense; in the forward pass it is optimised away.
    """

    def call(self, inputs):
        if not self.trainable:
            return super().call(inputs)
        if not keras.backend.is_int_dtype(inputs.dtype):  # Keras averages a batch when it builds under a strategy
            inputs = ops.cast(inputs, "int32")
        return ops.cast(ops.take(ops.multiply(self.embeddings, 1.0), inputs, axis=0), self.compute_dtype)


@keras.saving.register_keras_serializable("bert_tf")
class Embeddings(Part):
    """Sum of word, position and (for BERT) token-type embeddings, normalised.

    Devlin et al. 2019, fig. 2. DistilBERT has no token types: `type_vocab_size=0`.

    Args:  (D = hidden_size)
        vocab_size, hidden_size, max_position_embeddings: int, sizes.
        type_vocab_size: int, number of token types; 0 = the model has none.
        dropout: on the normalised sum.
    Call arguments:
        input_ids: int `(B, T)`, or None where `inputs_embeds` is given.
        token_type_ids: int `(B, T)`; None = all 0. Ignored where the model has no token types.
        inputs_embeds: float `(B, T, D)` instead of looked-up words.
    Returns: float `(B * T, D)`.
    Raises: ValueError if a text is longer than `max_position_embeddings`.
    """

    def __init__(
        self,
        vocab_size: int,
        hidden_size: int,
        max_position_embeddings: int,
        type_vocab_size: int = 0,
        layer_norm_eps: float = 1e-12,
        dropout: float = 0.1,
        initializer_range: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        self.hidden_size = hidden_size
        self.max_position_embeddings = max_position_embeddings
        self.word_embeddings = self._table(vocab_size, "word_embeddings")
        self.position_embeddings = self._table(max_position_embeddings, "position_embeddings")
        self.token_type_embeddings = self._table(type_vocab_size, "token_type_embeddings") if type_vocab_size else None
        self.layer_norm = self._own(keras.layers.LayerNormalization, "layer_norm", epsilon=layer_norm_eps)
        self.dropout = self._own(keras.layers.Dropout, "dropout", dropout)

    def resize(self, vocab_size: int) -> None:
        """Changes the number of word embeddings: the first ones are kept, new ones are random."""
        words = self.word_embeddings
        old = ops.convert_to_numpy(words.embeddings)
        resize_embedding(words, vocab_size)
        rows = np.array(ops.convert_to_numpy(words.embeddings))
        rows[: len(old)] = old[:vocab_size]
        words.embeddings.assign(rows)
        self._settings["vocab_size"] = vocab_size

    def _table(self, rows: int, name: str) -> Embedding:
        initializer = keras.initializers.TruncatedNormal(stddev=self._settings["initializer_range"])
        return self._own(Embedding, name, rows, self.hidden_size, initializer)

    def call(self, input_ids=None, token_type_ids=None, inputs_embeds=None, training=None):
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        tokens = ops.shape(words)[1]
        if isinstance(tokens, int) and tokens > self.max_position_embeddings:
            raise ValueError(
                f"The model has positions for {self.max_position_embeddings} tokens. Received a batch of {tokens} "
                f"tokens. Truncate the texts: max_length={self.max_position_embeddings} or less."
            )
        # A slice, not a look-up: beyond the last position the shapes disagree, where XLA's look-up would silently clamp.
        positions = ops.cast(self.position_embeddings.embeddings[:tokens], self.compute_dtype)
        hidden_states = ops.add(words, positions)  # (B, T, D) + (T, D)
        if self.token_type_embeddings is not None:
            types = ops.zeros((1, 1), "int32") if token_type_ids is None else token_type_ids
            hidden_states = ops.add(hidden_states, self.token_type_embeddings(types))
        hidden_states = ops.reshape(hidden_states, (-1, self.hidden_size))  # (B * T, D)
        return self.dropout(self.layer_norm(hidden_states), training=training)


@keras.saving.register_keras_serializable("bert_tf")
class SelfAttention(Part):
    """Multi-head scaled dot-product self-attention over padded sequences.

    Vaswani et al. 2017, sec. 3.2 (https://arxiv.org/abs/1706.03762), with biases as in BERT.
    Differs from `keras.layers.MultiHeadAttention`: 2-D kernels, so that Hugging Face
    weights need only a transpose, and one numeric path whatever `dropout` is. The
    softmax runs in float32 under every dtype policy.

    Args:  (B = batch, T = tokens, D = hidden_size)
        hidden_size, num_heads: int. `hidden_size` is a multiple of `num_heads`.
        dropout: on the attention probabilities.
    Call arguments:
        hidden_states: float `(B * T, D)`, compute dtype, to attend to.
        attention_mask: int or bool `(B, T)`, 1 = real token.
        queries: float `(B * Q, D)`, the states that attend; None = all, Q = T.
    Returns: `(context, probabilities)`: float `(B * Q, D)`, where rows at padding are finite and
        meaningless, and float32 `(B, H, Q, T)`.
    Raises: ValueError if `hidden_size` is not a multiple of `num_heads`.
    """

    def __init__(
        self, hidden_size: int, num_heads: int, dropout: float = 0.1, initializer_range: float = 0.02, **kwargs
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        if hidden_size % num_heads:
            raise ValueError(
                "`hidden_size` must be a multiple of `num_heads`. "
                f"Received: hidden_size={hidden_size}, num_heads={num_heads}"
            )
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.query, self.key, self.value, self.dense = (
            self._dense(name, hidden_size) for name in ("query", "key", "value", "dense")
        )
        self.dropout = self._own(keras.layers.Dropout, "dropout", dropout)

    def call(self, hidden_states, attention_mask, queries=None, training=None):
        batch, tokens = ops.shape(attention_mask)
        head_size = self.hidden_size // self.num_heads

        def heads(x, batch, tokens):  # (B * T, D) -> (B, H, T, S); one of batch and tokens is -1
            return ops.transpose(ops.reshape(x, (batch, tokens, self.num_heads, head_size)), (0, 2, 1, 3))

        if queries is None:
            query = heads(self.query(hidden_states), -1, tokens)
        else:
            query = heads(self.query(queries), batch, -1)
        key, value = (heads(dense(hidden_states), -1, tokens) for dense in (self.key, self.value))
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # (B, H, Q, T)
        scores = ops.cast(scores, "float32") / math.sqrt(head_size)
        if isinstance(tokens, int) and tokens == 1:  # Keras warns at a softmax over one score
            probabilities = ops.ones_like(scores)
        else:
            probabilities = ops.softmax(scores + attention_bias(attention_mask), axis=-1)
        dropped = self.dropout(ops.cast(probabilities, self.compute_dtype), training=training)
        context = ops.transpose(ops.matmul(dropped, value), (0, 2, 1, 3))  # (B, Q, H, S)
        return self.dense(ops.reshape(context, (-1, self.hidden_size))), probabilities


def attention_bias(attention_mask):
    """Returns float32 `(B, 1, 1, T)`: 0 at real tokens, a large negative number at padding of `(B, T)`."""
    # -1e9 and not the smallest float: a row of padding alone must stay finite after the addition.
    return ops.cast(ops.equal(attention_mask, 0), "float32")[:, None, None, :] * -1e9


@keras.saving.register_keras_serializable("bert_tf")
class FeedForward(Part):
    """Two dense layers with the activation between them.

    Vaswani et al. 2017, sec. 3.3; with the exact (erf) GELU of BERT by default.

    Args:
        hidden_size, intermediate_size: int, D and the width between.
        hidden_act: str, a key of `ACTIVATIONS`.
        dropout: on the result.
    Call arguments:
        hidden_states: float `(B * T, D)`.
    Returns: float `(B * T, D)`.
    Raises: ValueError for an unknown `hidden_act`.
    """

    def __init__(
        self,
        hidden_size: int,
        intermediate_size: int,
        hidden_act: str = "gelu",
        dropout: float = 0.1,
        initializer_range: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        if hidden_act not in ACTIVATIONS:
            raise ValueError(f"`hidden_act` must be one of {sorted(ACTIVATIONS)}. Received: hidden_act={hidden_act!r}")
        self.activation = ACTIVATIONS[hidden_act]
        self.intermediate = self._dense("intermediate", intermediate_size)
        self.dense = self._dense("dense", hidden_size)
        self.dropout = self._own(keras.layers.Dropout, "dropout", dropout)

    def build(self, input_shape=None):
        _build(self.dense, self.intermediate.units)
        super().build()

    def call(self, hidden_states, training=None):
        activation = trained_gelu if training and self._settings["hidden_act"] == "gelu" else self.activation
        activated = activation(self.intermediate(hidden_states))
        return self.dropout(self.dense(activated), training=training)


@keras.saving.register_keras_serializable("bert_tf")
class EncoderLayer(Part):
    """One transformer block: attention and feed-forward, each added to its input and then normalised.

    Post-normalised as in Vaswani et al. 2017, fig. 1, BERT and DistilBERT. BERT has dropout
    after the attention's last dense layer (`attention_output_dropout`), DistilBERT has none.

    Args: those of `SelfAttention` and `FeedForward`; `hidden_dropout`, `attention_dropout`, `attention_output_dropout` are
        after the feed-forward part, on the attention probabilities, after the attention.
    Call arguments:
        hidden_states: float `(B * T, D)`.
        attention_mask: int or bool `(B, T)`, 1 = real token.
        first_token: bool, whether only the first token's state is needed: it attends to all tokens, but the rest of the
            layer, five sixths of the work, runs for one token per text.
    Returns: `(hidden_states, probabilities)`, `(B * Q, D)` and float32 `(B, H, Q, T)`; Q = 1 with `first_token`, else T.
    """

    def __init__(
        self,
        hidden_size: int,
        intermediate_size: int,
        num_attention_heads: int,
        hidden_act: str = "gelu",
        hidden_dropout: float = 0.1,
        attention_dropout: float = 0.1,
        attention_output_dropout: float = 0.0,
        layer_norm_eps: float = 1e-12,
        initializer_range: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        self.hidden_size = hidden_size
        self.attention = self._own(
            SelfAttention, "attention", hidden_size, num_attention_heads, attention_dropout, initializer_range
        )
        self.attention_dropout = self._own(keras.layers.Dropout, "attention_dropout", attention_output_dropout)
        self.attention_norm = self._own(keras.layers.LayerNormalization, "attention_norm", epsilon=layer_norm_eps)
        feed_forward = (hidden_size, intermediate_size, hidden_act, hidden_dropout, initializer_range)
        self.feed_forward = self._own(FeedForward, "feed_forward", *feed_forward)
        self.feed_forward_norm = self._own(keras.layers.LayerNormalization, "feed_forward_norm", epsilon=layer_norm_eps)

    def call(self, hidden_states, attention_mask, first_token=False, training=None):
        queries = None
        if first_token:
            hidden = ops.reshape(hidden_states, (-1, ops.shape(attention_mask)[1], self.hidden_size))
            queries = hidden[:, 0]  # (B, D)
        attended, probabilities = self.attention(hidden_states, attention_mask, queries, training=training)
        hidden_states = hidden_states if queries is None else queries
        attended = self.attention_dropout(attended, training=training)
        hidden_states = self.attention_norm(ops.add(attended, hidden_states))
        fed = self.feed_forward(hidden_states, training=training)
        return self.feed_forward_norm(ops.add(fed, hidden_states)), probabilities
