"""DeBERTa's attention (He et al. 2021, https://arxiv.org/abs/2006.03654 and 2111.09543): what a token says and where it stands count
separately.

To the scores of content are added those of each token's content with the other one's relative position (c2p) and of its relative
position with the other one's content (p2c). Letters in the shape comments are those of `bert_tf.models.layers`.
"""

import math

import keras
import numpy as np
from keras import ops

from bert_tf.models.attention import FAR, SelfAttention, shifted
from bert_tf.models.parts import Part, arguments

KINDS = ("c2p", "p2c")
LONGEST_TEXT = 32_768  # tokens: the constants are made for no more


def relative_rows(span: int, buckets: int, longest: int) -> np.ndarray:
    """Returns the row of the table of relative positions for each distance that has one of its own.

    With buckets, distances beyond half of them share rows, the further the more, as in T5.

    Args:
        span: int, half the number of rows.
        buckets: int, how many of them each way; 0 = each distance has its own row, up to `span`.
        longest: int, the distance from which on, with buckets, all have the last row.
    Returns: int32 `(2 * M,)`, of the distances M - 1, M - 2, ..., -M of a key behind a query; beyond them the first and the last
        row go on.
    """
    most = span
    while True:
        distances = np.arange(most - 1, -most - 1, -1)
        rows = (_buckets(distances, buckets, longest) if buckets else distances) + span
        if (rows[0] >= 2 * span - 1 and rows[-1] <= 0) or most >= LONGEST_TEXT:
            return np.clip(rows, 0, 2 * span - 1).astype("int32")
        most *= 2


def _buckets(distances: np.ndarray, buckets: int, longest: int) -> np.ndarray:
    half = buckets // 2
    far = np.maximum(np.abs(distances), half).astype("float32")
    steps = np.log(far / np.float32(half)) / np.log(np.float32((longest - 1) / half)) * np.float32(half - 1)
    return np.where(np.abs(distances) <= half, distances, np.sign(distances) * (np.ceil(steps) + half)).astype("int64")


@keras.saving.register_keras_serializable("bert_tf")
class RelativeEmbeddings(Part):
    """The table of relative positions: one for all layers, looked up once a call.

    Args:
        hidden_size: int, D.
        span: int, half the number of rows; 0 = there is no table.
        buckets, longest: int, see `relative_rows`.
        normalised: bool, whether the rows are.
    Call arguments:
        attention_mask: int or bool `(B, T)`, which says how many tokens there are.
    Returns: float `(2 * T, D)`, of the distances T - 1, T - 2, ..., -T of a key behind a query; None without a table.
    """

    def __init__(
        self,
        hidden_size: int,
        span: int,
        buckets: int = 0,
        longest: int = 0,
        normalised: bool = False,
        layer_norm_eps: float = 1e-7,
        initializer_range: float = 0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._settings = arguments(locals())
        self.table = self.norm = None
        if not span:
            return
        self.rows = relative_rows(span, buckets, longest)
        self.table = self._table("table", 2 * span, hidden_size)
        self.norm = self._norm("norm") if normalised else None

    def call(self, attention_mask, training=None):
        if self.table is None:
            return None
        tokens, most = ops.shape(attention_mask)[1], len(self.rows) // 2
        places = ops.clip(ops.arange(most - tokens, most + tokens), 0, 2 * most - 1)
        rows = self.table(ops.take(ops.convert_to_tensor(self.rows), places))
        return rows if self.norm is None else self.norm(rows)


@keras.saving.register_keras_serializable("bert_tf")
class DisentangledAttention(SelfAttention):
    """Self-attention with scores of relative positions.

    The row of the table depends on the distance alone: projected and multiplied are the 2 * T rows that occur, and the products
    are then shifted into place. transformers looks each pair of tokens up instead: the scores are the same, and take 3 times as
    long at 128 tokens.

    Args: those of `SelfAttention`, and in `positional`:
        kinds: which scores are added, of `KINDS`; all are divided by the square root of their number and 1 (of content).
        share_keys: bool, whether positions are projected by the layers `key` and `query` of the content.
    Call arguments and returns: those of `SelfAttention`; `positional` is the result of `RelativeEmbeddings`.
    """

    def __init__(self, hidden_size: int, num_heads: int, *args, **kwargs):
        super().__init__(hidden_size, num_heads, *args, **kwargs)
        settings = self._settings["positional"] or {}
        self.kinds, self.shared = settings.get("kinds", KINDS), settings.get("share_keys", False)
        self.scale = 1 / math.sqrt(self.head_size * (1 + len(self.kinds)))
        own = () if self.shared else self.kinds
        self.position_key = self._dense("position_key", hidden_size) if "c2p" in own else None
        self.position_query = self._dense("position_query", hidden_size) if "p2c" in own else None
        self.position_dropout = self._own(keras.layers.Dropout, "position_dropout", settings.get("dropout", 0.0))

    def scores(self, query, key, positional=None, training=None):
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))
        if self.kinds:
            rows = self.position_dropout(positional, training=training)
        if "c2p" in self.kinds:
            projected = (self.key if self.shared else self.position_key)(rows)
            scores = ops.add(scores, self._content_to_position(query, self._heads_of(projected)))
        if "p2c" in self.kinds:
            projected = (self.query if self.shared else self.position_query)(ops.flip(rows, axis=0))
            scores = ops.add(scores, self._position_to_content(query, key, self._heads_of(projected)))
        return self._wide(scores) * self.scale

    def terms(self, query, key, attention_mask, positional=None):
        return None  # the scores are sums of several products

    def masked(self, scores, attention_mask, positional=None):
        """As in transformers, padding looks at all tokens alike: of a text that is padded on the left, it is the first token."""
        real = ops.not_equal(attention_mask, 0)
        seen = ops.logical_and(ops.expand_dims(real[:, : ops.shape(scores)[2]], 2), ops.expand_dims(real, 1))
        return ops.where(ops.expand_dims(seen, 1), scores, FAR)

    def _heads_of(self, rows):  # (2 * T, D) -> (H, S, 2 * T)
        return ops.transpose(ops.reshape(rows, (-1, self.num_heads, self.head_size)), (1, 2, 0))

    def _content_to_position(self, query, rows):
        """Returns the scores of Q queries with the relative position of each key, `(B, H, Q, T)`."""
        tokens = ops.shape(rows)[2] // 2
        if query.shape[2] == 1:  # of the first token: it sees the distances 0, -1, ..., 1 - T
            return _products(query, rows[:, :, tokens - 1 : 2 * tokens - 1])
        return shifted(_products(query, rows), tokens, tokens - 1)

    def _position_to_content(self, query, key, rows):
        """Returns the scores of Q queries' relative positions with each key, `(B, H, Q, T)`; `rows` rise from the distance -T."""
        tokens = ops.shape(rows)[2] // 2
        if query.shape[2] == 1:
            seen = ops.flip(rows[:, :, 1 : tokens + 1], axis=2)  # of the distances 0, -1, ..., 1 - T
            products = ops.multiply(ops.cast(key, "float32"), ops.cast(ops.transpose(seen, (0, 2, 1)), "float32"))
            return ops.expand_dims(ops.cast(ops.sum(products, axis=-1), key.dtype), 2)
        return ops.transpose(shifted(_products(key, rows), tokens, tokens), (0, 1, 3, 2))


def _products(states, rows):
    """Returns `(B, H, Q, R)`: states `(B, H, Q, S)` times the rows of their head, `(H, S, R)`.

    The texts are put together: where TensorFlow's product repeats the rows for each text, it reads beyond them (seen in 2.21 in
    float32, with one head: other numbers, or a crash).
    """
    tokens, heads, size = ops.shape(states)[2], states.shape[1], states.shape[3]
    together = ops.reshape(ops.transpose(states, (1, 0, 2, 3)), (heads, -1, size))
    products = ops.reshape(ops.matmul(together, rows), (heads, -1, tokens, ops.shape(rows)[2]))
    return ops.transpose(products, (1, 0, 2, 3))
