"""What is reached of Keras beyond its public interface, in one place."""

from typing import Any

import keras


def all_layers(layer: keras.layers.Layer, recursive: bool = True) -> list[keras.layers.Layer]:
    """Returns every layer inside another, nested ones included if `recursive`, always in the same order."""
    return list(layer._flatten_layers(include_self=False, recursive=recursive))


def set_untracked(owner: Any, name: str, value: Any) -> None:
    """Sets an attribute past Keras' `__setattr__`, which would count layers and variables in it as the owner's own."""
    object.__setattr__(owner, name, value)


def resize_embedding(layer: keras.layers.Embedding, rows: int) -> None:
    """Gives an embedding another number of rows, freshly initialised, as Keras' own layers replace a built variable."""
    layer._tracker.unlock()
    layer._untrack_variable(layer._embeddings)
    layer.input_dim, layer.built = rows, False
    layer.build()
    layer._tracker.lock()
