"""Gradients on JAX."""

from collections.abc import Callable

from keras import ops


def value_and_gradient(function: Callable) -> Callable:
    import jax

    def total(*arguments):
        values = function(*arguments)
        return values.sum(), values

    compiled = jax.jit(jax.value_and_grad(total, has_aux=True))

    def run(*arguments):
        (_, values), gradient = compiled(*map(ops.convert_to_tensor, arguments))
        return values, gradient

    return run
