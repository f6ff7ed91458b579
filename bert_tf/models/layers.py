"""The parts of a BERT-like encoder: numbers in, tensors out, no configuration object.

Letters in the shape comments: B = batch, T = tokens, D = hidden_size, H = attention heads, S = D / H. Arguments that all
share: see `bert_tf.models.parts`.

Hidden states travel flat, as `(B * T, D)`: TensorFlow's graph optimizer fuses a 2-D product with its bias and
GELU into one oneDNN call, and does not on 3-D input (about three times on the feed-forward part, in bfloat16).

Sources: Devlin et al. 2019 (https://arxiv.org/abs/1810.04805), Sanh et al. 2019 (https://arxiv.org/abs/1910.01108),
Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762).
"""

import math

import keras
import numpy as np
from keras import ops

from bert_tf.backends.backend import anew
from bert_tf.models.attention import SelfAttention
from bert_tf.models.keras_internals import resize_embedding
from bert_tf.models.parts import LayerDropout, Part, arguments, build, projected
from bert_tf.models.positional import POSITIONAL


def _wide_and_below(x):
    """Returns x in float32, and the normal distribution's share below it."""
    wide = ops.cast(x, "float32")
    return wide, 0.5 + 0.5 * ops.erf(wide * math.sqrt(0.5))


def gelu(x):
    """The exact GELU of Hendrycks and Gimpel 2016 (https://arxiv.org/abs/1606.08415)."""
    if keras.backend.backend() != "jax":
        return ops.gelu(x, approximate=False)
    # JAX computes it by erfc: a tenth of the time of a whole forward pass (DistilBERT, bfloat16, H200).
    wide, below = _wide_and_below(x)
    return ops.cast(wide * below, x.dtype)


@ops.custom_gradient
def trained_gelu(x):
    """The same with its gradient written out.

    TensorFlow derives that through `erfc`, which is slow in bfloat16: forwards and backwards this takes a fifth of the time
    there. Forwards alone, a fused product is faster.
    """
    kept = wide, below = _wide_and_below(x)

    def gradient(*arguments, upstream=None):
        if upstream is None:  # else PyTorch's: there the arguments are x
            (upstream,) = arguments
        again = anew(x)
        wide, below = kept if again is None else _wide_and_below(again)
        density = ops.exp(-0.5 * ops.square(wide)) * (1 / math.sqrt(2 * math.pi))
        return ops.cast(ops.cast(upstream, "float32") * (below + wide * density), x.dtype)

    return ops.cast(wide * below, x.dtype), gradient


ACTIVATIONS = {
    "gelu": gelu,
    "gelu_new": lambda x: ops.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: ops.gelu(x, approximate=True),
    "relu": ops.relu,
    "silu": ops.silu,
    "swish": ops.silu,
    "tanh": ops.tanh,
}


@keras.saving.register_keras_serializable("bert_tf")
class Embeddings(Part):
    """Sum of word, position and token-type embeddings, normalised; where they are narrower than the layers, then projected.

    Devlin et al. 2019, fig. 2. DistilBERT has no token types: `type_vocab_size=0`.

    Args:  (D = hidden_size, E = embedding_size)
        vocab_size, hidden_size, max_position_embeddings: int, sizes; 0 positions = the model has no table of them.
        type_vocab_size: int, number of token types; 0 = the model has none.
        dropout: on the normalised sum.
        embedding_size: int, width of the tables; None = `hidden_size`. Factorised as in ALBERT (Lan et al. 2019, sec. 3.1,
            https://arxiv.org/abs/1909.11942).
        projection: str, where a dense layer makes D of E: "after_norm" and dropout, or "before_norm", without bias; None =
            nowhere.
        positions_after: int, the id of padding, in RoBERTa-likes (Liu et al. 2019, https://arxiv.org/abs/1907.11692): tokens
            that are not padding are counted, and the first has the position after that id. None = positions count from 0.
        norm_bias: bool, whether the norm has a bias.
    Call arguments:
        input_ids: int `(B, T)`, or None where `inputs_embeds` is given.
        token_type_ids: int `(B, T)`; None = all 0. Ignored where the model has no token types.
        inputs_embeds: float `(B, T, E)` instead of looked-up words; none of them is padding.
    Returns: float `(B * T, D)`.
    Raises: ValueError if a text is longer than the model has positions.
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
        embedding_size: int | None = None,
        projection: str | None = None,
        positions_after: int | None = None,
        norm_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        self.embedding_size = width = embedding_size or hidden_size
        if projection not in (None, "after_norm", "before_norm") or (projection is None and width != hidden_size):
            raise ValueError(
                "`projection` must be 'after_norm', 'before_norm', or, if `embedding_size` is `hidden_size`, None. "
                f"Received: projection={projection!r}, embedding_size={embedding_size}, hidden_size={hidden_size}"
            )
        self.positions = max_position_embeddings - (0 if positions_after is None else positions_after + 1)
        self.positions_after = positions_after
        self.word_embeddings = self._table("word_embeddings", vocab_size, width)
        self.position_embeddings = self.token_type_embeddings = self.projection = None
        # In the order of transformers 4: Keras 2's weight files (.h5) are read by order.
        if type_vocab_size:
            self.token_type_embeddings = self._table("token_type_embeddings", type_vocab_size, width)
        if max_position_embeddings:
            self.position_embeddings = self._table("position_embeddings", max_position_embeddings, width)
        if projection:
            self.projection = self._dense("projection", hidden_size, use_bias=projection == "after_norm")
        self.before_norm = projection == "before_norm"
        self.layer_norm = self._norm("layer_norm")
        self.dropout = self._own(LayerDropout, "dropout", dropout)

    def resize(self, vocab_size: int) -> None:
        """Changes the number of word embeddings: the first ones are kept, new ones are random."""
        words = self.word_embeddings
        old = ops.convert_to_numpy(words.embeddings)
        resize_embedding(words, vocab_size)
        rows = np.array(ops.convert_to_numpy(words.embeddings))
        rows[: len(old)] = old[:vocab_size]
        words.embeddings.assign(rows)
        self._settings["vocab_size"] = vocab_size

    def build(self, input_shape=None):
        if self.projection is not None:
            build(self.projection, self.embedding_size)
        if not self.before_norm:
            build(self.layer_norm, self.embedding_size)
        super().build()

    def call(self, input_ids=None, token_type_ids=None, inputs_embeds=None, training=None):
        hidden_states = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds  # (B, T, E)
        if self.position_embeddings is not None:
            hidden_states = ops.add(hidden_states, self._positions(ops.shape(hidden_states)[1], input_ids))
        if self.token_type_embeddings is not None:
            types = ops.zeros((1, 1), "int32") if token_type_ids is None else token_type_ids
            hidden_states = ops.add(hidden_states, self.token_type_embeddings(types))
        hidden_states = ops.reshape(hidden_states, (-1, self.embedding_size))  # (B * T, E)
        if self.projection is not None and self.before_norm:
            hidden_states = self.projection(hidden_states)
        hidden_states = self.dropout(self.layer_norm(hidden_states), training=training)
        return hidden_states if self.projection is None or self.before_norm else self.projection(hidden_states)

    def _positions(self, tokens, input_ids):
        """Returns the embeddings of the positions of T tokens, `(T, E)`, or where padding is not counted `(B, T, E)`."""
        if isinstance(tokens, int) and tokens > self.positions:
            raise ValueError(
                f"The model has positions for {self.positions} tokens. Received a batch of {tokens} "
                f"tokens. Truncate the texts: max_length={self.positions} or less."
            )
        # Slices: beyond the last position the shapes disagree, where XLA's look-up would silently clamp.
        table, after = ops.cast(self.position_embeddings.embeddings, self.compute_dtype), self.positions_after
        if after is None:
            return table[:tokens]
        if input_ids is None:
            return table[after + 1 : after + 1 + tokens]
        real = ops.cast(ops.not_equal(input_ids, after), "int32")
        table = ops.reshape(table[: after + 1 + tokens], (after + 1 + tokens, self.embedding_size))
        return ops.take(table, ops.cumsum(real, axis=1) * real + after, axis=0)


@keras.saving.register_keras_serializable("bert_tf")
class FeedForward(Part):
    """Two dense layers with the activation between them, which a third may gate.

    Vaswani et al. 2017, sec. 3.3; with the exact (erf) GELU of BERT by default. Gated as in Shazeer 2020
    (https://arxiv.org/abs/2002.05202): the activated is multiplied by another projection of the same states.

    Args:
        hidden_size, intermediate_size: int, D and the width between.
        hidden_act: str, a key of `ACTIVATIONS`.
        dropout, inner_dropout: on the result, on what enters the last layer.
        gated: bool.
        feed_forward_bias: bool, whether the dense layers have biases.
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
        gated: bool = False,
        inner_dropout: float = 0.0,
        feed_forward_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        if hidden_act not in ACTIVATIONS:
            raise ValueError(f"`hidden_act` must be one of {sorted(ACTIVATIONS)}. Received: hidden_act={hidden_act!r}")
        self.activation = ACTIVATIONS[hidden_act]
        self.intermediate = self._dense("intermediate", intermediate_size, use_bias=feed_forward_bias)
        self.gate = self._dense("gate", intermediate_size, use_bias=feed_forward_bias) if gated else None
        self.dense = self._dense("dense", hidden_size, use_bias=feed_forward_bias)
        self.inner_dropout = self._own(LayerDropout, "inner_dropout", inner_dropout)
        self.dropout = self._own(LayerDropout, "dropout", dropout)

    def build(self, input_shape=None):
        build(self.dense, self.intermediate.units)
        super().build()

    def call(self, hidden_states, training=None):
        activation = trained_gelu if training and self._settings["hidden_act"] == "gelu" else self.activation
        activated = self.intermediate(hidden_states)
        if self.intermediate.bias is None:
            # A bias that changes no number: with one, TensorFlow fuses product, bias and GELU.
            activated = ops.add(activated, ops.full((self.intermediate.units,), 1e-30, activated.dtype))
        activated = activation(activated)
        if self.gate is not None:
            # In 3-D: a product right behind the GELU would be taken for a part of it, and nothing fused (half the speed).
            activated = ops.multiply(activated[None], self.gate(hidden_states)[None])[0]
        activated = self.inner_dropout(activated, training=training)
        return self.dropout(projected(self.dense, activated), training=training)


@keras.saving.register_keras_serializable("bert_tf")
class EncoderLayer(Part):
    """One transformer block: attention and feed-forward, each added to its input and then normalised.

    Post-normalised as in Vaswani et al. 2017, fig. 1, BERT and DistilBERT; or what enters each part is normalised, and not its
    sum (`norm="pre"`, Xiong et al. 2020, https://arxiv.org/abs/2002.04745). BERT has dropout
    after the attention's last dense layer (`attention_output_dropout`), DistilBERT has none.

    Args: those of `SelfAttention` and `FeedForward`; `hidden_dropout`, `attention_dropout`, `attention_output_dropout` are
        after the feed-forward part, on the attention probabilities, after the attention.
        norm: "post" or "pre". Pre-normalised, the lowest layer has no norm before its attention: the embeddings have been
            normalised.
        norm_bias: bool, whether the norms have biases.
        number: int, which layer of the stack it is, 0 = the lowest.
        positional: dict, what the distance of two tokens does to their attention: `kind`, a key of
            `bert_tf.models.positional.POSITIONAL`, and the settings of that kind; None = nothing.
    Call arguments:
        hidden_states: float `(B * T, D)`.
        attention_mask: int or bool `(B, T)`, 1 = real token.
        first_token: bool, whether only the first token's state is needed: it attends to all tokens, but the rest of the
            layer, five sixths of the work, runs for one token per text.
        positional: what the encoder computed once for all its layers, for the attention of that kind.
        attentions: bool, whether the probabilities are needed.
    Returns: `(hidden_states, probabilities)`, `(B * Q, D)` and float32 `(B, H, Q, T)`, or None if they are not needed and no one
        wrote them down; Q = 1 with `first_token`, else T.
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
        positional: dict | None = None,
        norm: str = "post",
        gated: bool = False,
        inner_dropout: float = 0.0,
        attention_bias: bool = True,
        feed_forward_bias: bool = True,
        norm_bias: bool = True,
        number: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        self.autocast = False  # `positional` keeps its dtype; the layers within cast the states
        if norm not in ("post", "pre"):
            raise ValueError(f"`norm` must be 'post' or 'pre'. Received: norm={norm!r}")
        self.hidden_size, self.pre_normalised = hidden_size, norm == "pre"
        kind = POSITIONAL[positional["kind"]].attention if positional else SelfAttention
        # What an attention may need beside its own settings.
        positional = {**positional, "layer": number, "dropout": hidden_dropout} if positional else None
        attention = (hidden_size, num_attention_heads, attention_dropout, initializer_range, positional, attention_bias)
        self.attention = self._own(kind, "attention", *attention)
        self.attention_dropout = self._own(LayerDropout, "attention_dropout", attention_output_dropout)
        self.attention_norm = None if self.pre_normalised and number == 0 else self._norm("attention_norm")
        feed_forward = (hidden_size, intermediate_size, hidden_act, hidden_dropout, initializer_range, gated)
        self.feed_forward = self._own(FeedForward, "feed_forward", *feed_forward, inner_dropout, feed_forward_bias)
        self.feed_forward_norm = self._norm("feed_forward_norm")

    def call(self, hidden_states, attention_mask, first_token=False, positional=None, attentions=True, training=None):
        entering, queries = hidden_states, None
        if self.pre_normalised and self.attention_norm is not None:
            entering = self.attention_norm(hidden_states)
        if first_token:
            tokens = (-1, ops.shape(attention_mask)[1], self.hidden_size)
            queries, hidden_states = (
                ops.reshape(states, tokens)[:, 0] for states in (entering, hidden_states)
            )  # (B, D)
        options = {"positional": positional, "probabilities": attentions, "training": training}
        attended, probabilities = self.attention(entering, attention_mask, queries, **options)
        hidden_states = ops.add(self.attention_dropout(attended, training=training), hidden_states)
        if self.pre_normalised:
            fed = self.feed_forward(self.feed_forward_norm(hidden_states), training=training)
            return ops.add(fed, hidden_states), probabilities
        hidden_states = self.attention_norm(hidden_states)
        fed = self.feed_forward(hidden_states, training=training)
        return self.feed_forward_norm(ops.add(fed, hidden_states)), probabilities
