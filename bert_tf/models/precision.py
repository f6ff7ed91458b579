"""The precision in which layers compute, changed for a while."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import keras

from bert_tf.backends.backend import inference
from bert_tf.models.keras_internals import all_layers


def for_results_alone(layer: keras.layers.Layer) -> AbstractContextManager[None]:
    """Within it a layer is traced whose results alone are wanted; see `bert_tf.backends.backend.inference`."""
    return inference(layer.compute_dtype)


@contextmanager
def in_float32(layer: keras.layers.Layer) -> Iterator[None]:
    """Within it a layer and all layers inside it compute in float32, whatever their dtype policy; their weights stay the same.

    A graph that is traced here holds no bfloat16, which converters to other runtimes do not know.
    """
    layers = [layer, *all_layers(layer)]
    before = [each.dtype_policy for each in layers]
    try:
        for each in layers:
            each.dtype_policy = "float32"
        yield
    finally:
        for each, policy in zip(layers, before, strict=True):
            each.dtype_policy = policy
