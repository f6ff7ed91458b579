"""What is reached of Keras beyond its public interface, in one place."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops


def all_layers(layer: keras.layers.Layer, recursive: bool = True) -> list[keras.layers.Layer]:
    """Returns every layer inside another, nested ones included if `recursive`, always in the same order."""
    return list(layer._flatten_layers(include_self=False, recursive=recursive))


def set_untracked(owner: Any, name: str, value: Any) -> None:
    """Sets an attribute past Keras' `__setattr__`, which would count layers and variables in it as the owner's own."""
    object.__setattr__(owner, name, value)


class Dial(keras.Variable):
    """A number that compiled steps read anew each time, and that training does not change."""

    def __init__(self, value: float, name: str | None = None):
        super().__init__(value, dtype="float32", trainable=False, name=name)


def dials_among(values: Iterable[Any]) -> list[Dial]:
    """Returns the dials that a layer or an optimizer has to count as its variables: on JAX, where a compiled step takes whatever is
    none for a constant."""
    return [value for value in values if isinstance(value, Dial)] if keras.backend.backend() == "jax" else []


def give_dials(optimizer: keras.optimizers.Optimizer, values: Iterable[Any]) -> None:
    """Lets the compiled steps of an optimizer read the dials among some values anew; what is saved of it stays the same."""
    if not (dials := dials_among(values)):
        return
    for dial in dials:
        optimizer._track_variable(dial)
    load = optimizer.load_own_variables

    def own() -> list:
        return [variable for variable in optimizer.variables if not isinstance(variable, Dial)]

    def save_own(store):
        for i, variable in enumerate(own()):
            store[str(i)] = ops.convert_to_numpy(variable)

    def load_own(store):
        if len(store.keys()) != len(own()):
            return load(store)  # it says so
        for i, variable in enumerate(own()):
            variable.assign(store[str(i)])

    set_untracked(optimizer, "save_own_variables", save_own)
    set_untracked(optimizer, "load_own_variables", load_own)


def resize_embedding(layer: keras.layers.Embedding, rows: int) -> None:
    """Gives an embedding another number of rows, freshly initialised, as Keras' own layers replace a built variable."""
    layer._tracker.unlock()
    layer._untrack_variable(layer._embeddings)
    layer.input_dim, layer.built = rows, False
    layer.build()
    layer._tracker.lock()


def teach(optimizer: Any, variables: list) -> None:
    """Prepares an optimizer for the variables that are trained from now on; what it has learned of those that it knew is kept.

    On JAX it steps through exactly these, in this order; elsewhere it may know more.
    """
    if not optimizer.built:
        return
    if hasattr(optimizer, "inner_optimizer"):  # LossScaleOptimizer
        teach(optimizer.inner_optimizer, variables)
    knew = optimizer._trainable_variables
    if keras.backend.backend() == "jax":
        if [*map(id, knew)] == [*map(id, variables)]:
            return
        everything = [*variables]
    else:
        known = {*map(id, knew)}
        if known.issuperset(map(id, variables)):
            return
        everything = [*knew, *(variable for variable in variables if id(variable) not in known)]
    stays = [optimizer.iterations, optimizer._learning_rate, *(v for v in optimizer.variables if isinstance(v, Dial))]
    old = {variable.path: variable for variable in optimizer.variables if all(variable is not one for one in stays)}
    for variable in old.values():
        optimizer._tracker.untrack(variable)
    optimizer.built = False
    optimizer.build(everything)
    remembered = getattr(optimizer, "_of_frozen", {}) | old
    for variable in optimizer.variables:
        if (before := remembered.pop(variable.path, None)) is not None:
            variable.assign(before)
    set_untracked(optimizer, "_of_frozen", remembered)
