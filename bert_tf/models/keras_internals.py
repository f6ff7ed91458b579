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


def teach(optimizer: Any, variables: list) -> None:
    """Prepares an optimizer for further variables; what it has learned of those that it knows is kept."""
    if not optimizer.built:
        return
    if hasattr(optimizer, "inner_optimizer"):  # LossScaleOptimizer
        teach(optimizer.inner_optimizer, variables)
    known = {id(variable) for variable in optimizer._trainable_variables}
    if known.issuperset(map(id, variables)):
        return
    everything = [*optimizer._trainable_variables, *(variable for variable in variables if id(variable) not in known)]
    old = {variable.path: variable for variable in optimizer.variables}
    optimizer.built = False
    optimizer.build(everything)
    for variable in optimizer.variables:
        before = old.get(variable.path)
        if before is not None and before is not variable:
            variable.assign(before)
            optimizer._tracker.untrack(before)
