"""JAX: whole epochs over pooled features in one call, gradients, attention, dropout, what a gradient computes anew instead of keeping it, several devices."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops

from bert_tf.backends.backend import create_variables
from bert_tf.backends.epochs import Epochs


class CompiledEpochs(Epochs):
    """See `Epochs`: a compiled loop over the batches of one size, and another one for the last, smaller batch."""

    def _tensors(self, array: np.ndarray) -> Any:
        return ops.convert_to_tensor(array)

    def compiled(self) -> None:
        import jax

        create_variables(self.model, ops.convert_to_numpy(self.train[1][:1]))
        options: Any = {"static_argnames": "size", "donate_argnums": 0}
        self._train = jax.jit(partial(_steps, self.model.train_step), **options)
        self._test = jax.jit(partial(_steps, self.model.test_step), **options)

    def _run(self, training: bool, order: np.ndarray, ends: np.ndarray) -> None:
        model, sizes = self.model, np.diff(ends)
        variables = [model.trainable_variables, model.non_trainable_variables, model.metrics_variables]
        if training:
            variables.insert(2, model.optimizer.variables)
        state = tuple([variable.value for variable in some] for some in variables)
        run, data = (self._train, self.train) if training else (self._test, self.validation)
        starts = [0, *(np.flatnonzero(np.diff(sizes)) + 1), len(sizes)]  # of batches of one size
        for first, last in pairwise(starts):
            state = run(state, data, order, ends, first, last, size=int(sizes[first]))
        for some, values in zip(variables, state, strict=True):
            for variable, value in zip(some, values, strict=True):
                variable.assign(value)


def _steps(
    step: Callable, state: tuple, data: tuple, order: Any, ends: Any, first: int, last: int, *, size: int
) -> tuple:
    """Returns the state after the steps on some batches, each of `size` texts."""
    import jax

    def one(i, state):
        chosen = jax.lax.dynamic_slice(order, (ends[i],), (size,))
        features, *targets = (part[chosen] for part in data)
        return step(state, ({"features": features}, *targets))[1]

    return jax.lax.fori_loop(first, last, one, state)


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


def anew(tensor: Any) -> Any:
    """See `backend.anew`."""
    import jax

    return jax.lax.optimization_barrier(tensor)


def fused_attention(dropout: keras.layers.Dropout | None) -> Callable | None:
    """See `backend.fused_attention`: cuDNN's on NVIDIA GPUs, with dropout `_attention`."""
    import jax

    if dropout is not None:
        rate, seed = dropout.rate, dropout.seed_generator
        return lambda query, key, bias, scale, value: _attention(rate, query, key, bias, scale, value, _keys(seed))
    return _cudnn_attention if jax.default_backend() == "gpu" else None


def _cudnn_attention(query, key, bias, scale, value):
    query, key, value = (ops.transpose(states, (0, 2, 1, 3)) for states in (query, key, value))
    batch, tokens = query.shape[:2]
    bias = ops.cast(ops.broadcast_to(bias, (batch, 1, tokens, tokens)), query.dtype)
    return ops.transpose(ops.dot_product_attention(query, key, value, bias=bias, scale=scale), (0, 2, 1, 3))


def _attention(rate: float, query, key, bias, scale: float, value, keys):
    """Returns attention with dropout on its probabilities `(B, H, T, T)`, which pass through memory as seldom as possible.

    Forwards the scores are kept, and not the probabilities in float32; backwards their sum over a row is taken from the context
    (Dao et al. 2022, https://arxiv.org/abs/2205.14135, sec. B.2). cuDNN's kernel with dropout aborts in a CUDA graph (JAX 0.11).
    """
    import jax
    from jax import numpy as jnp

    product = partial(jnp.einsum, preferred_element_type=query.dtype)

    def forward(query, key, bias, value, keys):
        scores = product("bhqs,bhks->bhqk", query, key)
        logits = scores.astype("float32") * scale + bias
        most = jnp.max(logits, axis=-1, keepdims=True)
        powers = jnp.exp(logits - most)
        total = jnp.sum(powers, axis=-1, keepdims=True)
        dropped = _dropped(powers / total, rate, keys).astype(value.dtype)
        context = product("bhqk,bhks->bhqs", dropped, value)
        return context, (query, key, bias, value, keys, scores, most + jnp.log(total), dropped, context)

    def backward(kept, upstream):
        query, key, bias, value, keys, scores, norm, dropped, context = kept
        probabilities = jnp.exp(scores.astype("float32") * scale + bias - norm)
        of_dropped = _dropped(product("bhqs,bhks->bhqk", upstream, value).astype("float32"), rate, keys)
        rows = jnp.sum(upstream.astype("float32") * context.astype("float32"), axis=-1, keepdims=True)
        of_scores = (probabilities * (of_dropped - rows) * scale).astype(query.dtype)
        of_value = product("bhqk,bhqs->bhks", dropped, upstream)
        return (
            product("bhqk,bhks->bhqs", of_scores, key),
            product("bhqk,bhqs->bhks", of_scores, query),
            None,
            of_value,
            None,
        )

    attention = jax.custom_vjp(lambda *inputs: forward(*inputs)[0])
    attention.defvjp(forward, backward)
    return attention(query, key, bias, value, keys)


def dropped(inputs: Any, rate: float, seed: keras.random.SeedGenerator) -> Any:
    """See `backend.dropped`."""
    return _dropped(inputs, rate, _keys(seed)).astype(inputs.dtype)


def _dropped(numbers: Any, rate: float, keys: Any) -> Any:
    from jax import numpy as jnp

    return jnp.where(_kept(numbers.shape, rate, keys), numbers * (1 / (1 - rate)), 0)


def _keys(seed: keras.random.SeedGenerator) -> Any:
    """Returns the two numbers, uint32 `(2,)`, on which the next random numbers of a generator depend."""
    import jax
    from jax import numpy as jnp

    # Behind a barrier: else they are computed for each of the numbers.
    return jax.lax.optimization_barrier(jax.random.bits(jnp.asarray(seed.next(), "uint32"), (2,), "uint32"))


def _kept(shape: tuple[int, ...], rate: float, keys: Any) -> Any:
    """Returns for each place whether dropout keeps it, bool `shape`.

    A hash of the place and the keys (Wellons' lowbias32, https://nullprogram.com/blog/2018/07/31/, with the second key between
    its rounds): ten operations that are fused into what uses them, forwards and backwards, so that no random number passes
    through memory. JAX's default, Threefry, takes some hundred, and Philox is not fused.
    """
    import jax
    from jax import numpy as jnp

    x = keys[0]
    for axis in range(len(shape)):
        stride = math.prod(shape[axis + 1 :]) % 2**32
        x = x + jax.lax.broadcasted_iota("uint32", shape, axis) * jnp.uint32(stride * 0x9E3779B9 % 2**32)
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = ((x ^ (x >> 15)) + keys[1]) * jnp.uint32(0x846CA68B)
    return (x ^ (x >> 16)) >= jnp.uint32(min(round(rate * 2**32), 2**32 - 1))


def devices() -> list[str]:
    """Returns the names of the GPUs or TPU cores, or of what the processor is divided into."""
    import jax

    return [f"{device.platform}:{device.id}" for device in jax.local_devices()]


@contextmanager
def spread(names: Sequence[str]) -> Iterator[None]:
    """See `devices.spread`. A batch that cannot be divided evenly, as the last of an epoch, is computed whole by every device."""
    import jax
    from keras.src.backend import distribution_lib

    keras_way = distribution_lib.distribute_data_input

    def distribute(batch, layout, batch_dim_name):
        if batch.shape[0] % len(names):
            sharding = getattr(layout, "backend_layout", layout)
            layout = jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec())
        return keras_way(batch, layout, batch_dim_name)

    distribution_lib.distribute_data_input = distribute
    try:
        with keras.distribution.DataParallel(devices=[*names], auto_shard_dataset=False).scope():
            yield
    finally:
        distribution_lib.distribute_data_input = keras_way


def sharing() -> int:
    distribution = keras.distribution.distribution()
    return 1 if distribution is None else distribution.device_mesh.devices.size
