"""What the layers of an encoder are made of: how they are built and configured, and the smallest of them.

Arguments that all layers share: a dropout is a float in [0, 1) and acts only with `training=True`; `initializer_range` is a float,
the standard deviation of initial weights; `layer_norm_eps` is a float.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import keras
import numpy as np
from keras import ops

from bert_tf.backends.backend import dropped, inferring, layer_norm
from bert_tf.models.keras_internals import all_layers, dials_among


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


def build(layer: keras.layers.Layer, inputs: int) -> None:
    """Builds a layer inside an encoder; it keeps the initializer that it was made with."""
    names = [name for name in ("kernel_initializer", "embeddings_initializer") if hasattr(layer, name)]
    if not (_FROM_A_FILE.get() and names):
        layer.build((None, inputs))
        return
    initializer = getattr(layer, names[0])
    setattr(layer, names[0], keras.initializers.Zeros())
    layer.build((None, inputs))
    setattr(layer, names[0], initializer)


def projected(dense: keras.layers.Dense, states):
    """Returns what a dense layer without activation makes of flat states, `(N, D)`.

    For results alone the bias is added by itself: with a bias, oneDNN multiplies in an older way (`x64:gemm:jit` instead of
    `brg_matmul`), which takes one and a half times as long in bfloat16.
    """
    if not inferring() or dense.bias is None:
        return dense(states)
    products = ops.matmul(ops.cast(states, dense.compute_dtype), ops.cast(dense.kernel, dense.compute_dtype))
    return ops.add(products[None], ops.cast(dense.bias, dense.compute_dtype))[0]  # in 3-D it is not taken for a bias


class Part(keras.layers.Layer):
    """What the parts of an encoder share: `_settings`, the arguments of the constructor, are the config."""

    _settings: dict

    def _own(self, kind: type, name: str, *args, **options):
        """Makes a layer of this one, with its dtype policy."""
        return kind(*args, **options, dtype=self.dtype_policy, name=name)

    def _initializer(self) -> keras.initializers.Initializer:
        """Makes the initializer of a weight of this part."""
        return keras.initializers.TruncatedNormal(stddev=self._settings["initializer_range"])

    def _dense(self, name: str, units: int, **options) -> keras.layers.Dense:
        return self._own(keras.layers.Dense, name, units, kernel_initializer=self._initializer(), **options)

    def _norm(self, name: str, **options) -> "LayerNorm":
        options = {
            "epsilon": self._settings["layer_norm_eps"],
            "center": self._settings.get("norm_bias", True),
        } | options
        return self._own(LayerNorm, name, **options)

    def _table(self, name: str, rows: int, width: int) -> "Embedding":
        return self._own(Embedding, name, rows, width, self._initializer())

    def build(self, input_shape=None):
        for layer in all_layers(self, recursive=False):
            if not layer.built:
                build(layer, self._settings["hidden_size"])

    def get_config(self):
        return {**super().get_config(), **self._settings}


@keras.saving.register_keras_serializable("bert_tf")
class LayerNorm(keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization` of rows, in one operation where the backend has such."""

    def call(self, inputs):
        quick = layer_norm(inputs, self.gamma, self.beta, self.epsilon)
        return super().call(inputs) if quick is None else ops.cast(quick, self.compute_dtype)


@keras.saving.register_keras_serializable("bert_tf")
class LayerDropout(keras.layers.Dropout):
    """`keras.layers.Dropout`, with random numbers that cost less where the backend has such."""

    def call(self, inputs, training=False):
        quick = dropped(inputs, self.rate, self.seed_generator) if training and self.rate > 0 else None
        return super().call(inputs, training=training) if quick is None else quick


@keras.saving.register_keras_serializable("bert_tf")
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout` whose `rate` can be changed after building.

    With a `Dial` as `rate`, a compiled training step changes its rate without being compiled again.
    """

    def __init__(self, rate: float, **kwargs):
        super().__init__(rate or 0.5, **kwargs)  # for a rate of 0 Keras would make no random generator
        self.rate = rate

    @property
    def variables(self):
        return [*super().variables, *dials_among([self.rate])]

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

    @property
    def weight(self):
        """The table `(rows, D)`, as transformers 4 called it."""
        return self.embeddings

    def call(self, inputs):
        if not self.trainable:
            return super().call(inputs)
        if not keras.backend.is_int_dtype(inputs.dtype):  # Keras averages a batch when it builds under a strategy
            inputs = ops.cast(inputs, "int32")
        return ops.cast(ops.take(ops.multiply(self.embeddings, 1.0), inputs, axis=0), self.compute_dtype)
