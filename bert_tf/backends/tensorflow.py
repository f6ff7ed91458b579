"""TensorFlow: gradients, a fused optimizer step, whole epochs over pooled features in one call, several devices."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bert_tf.backends.backend import create_variables
from bert_tf.backends.epochs import Epochs


class CompiledEpochs(Epochs):
    """See `Epochs`: a loop in a `tf.function`."""

    def _tensors(self, array: np.ndarray) -> Any:
        return tf.constant(array)

    def compiled(self) -> None:
        create_variables(self.model, self.train[1][:1])
        self._train = tf.function(self._loop(self.model.train_step, self.train), reduce_retracing=True)
        self._test = tf.function(self._loop(self.model.test_step, self.validation), reduce_retracing=True)

    @staticmethod
    def _loop(step: Callable, data) -> Callable:
        def run(order, ends):
            for i in tf.range(tf.size(ends) - 1):
                step(_batch(data, order[ends[i] : ends[i + 1]]))

        return run

    def _run(self, training: bool, order: np.ndarray, ends: np.ndarray) -> None:
        function = self._train if training else self._test
        function(tf.constant(order, "int64"), tf.constant(ends, "int64"))


def _batch(data, chosen):
    rows, *targets = data
    return {"features": tf.gather(rows, chosen)}, *(tf.gather(target, chosen) for target in targets)


def value_and_gradient(function: Callable) -> Callable:
    compiled: list[Any] = []

    def value_and_grad(first, *others):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(first)
            values = function(first, *others)
        return values, tape.gradient(values, first)

    def run(*arguments):
        tensors = [tf.convert_to_tensor(argument) for argument in arguments]
        if not compiled:  # only the width is fixed: one trace serves all batches and lengths
            width = tensors[0].shape[-1]
            shapes = [[*[None] * (len(tensors[0].shape) - 1), width], *([None] * len(t.shape) for t in tensors[1:])]
            signature = [tf.TensorSpec(shape, t.dtype) for shape, t in zip(shapes, tensors, strict=True)]
            compiled.append(tf.function(value_and_grad, input_signature=signature))
        return compiled[0](*tensors)

    return run


def adam_update(optimizer: keras.optimizers.Adam) -> Callable:
    """Returns `update_step` of a Keras Adam or AdamW as TensorFlow's fused operation, instead of some ten operations a variable.

    That passes over memory once: a third of the time on 10 million weights (two cores). Sparse gradients, other variables
    than float32, AMSGrad and distribution strategies keep Keras' own update.
    """
    keras_update = optimizer.update_step
    replica = not tf.distribute.has_strategy() and not optimizer.amsgrad

    def update_step(gradient, variable, learning_rate):
        if isinstance(gradient, tf.IndexedSlices) or variable.dtype != "float32" or not replica:
            return keras_update(gradient, variable, learning_rate)
        index = optimizer._get_variable_index(variable)
        step = tf.cast(optimizer.iterations + 1, "float32")
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(optimizer._momentums[index]),
            v=_handle(optimizer._velocities[index]),
            beta1_power=tf.pow(tf.cast(optimizer.beta_1, "float32"), step),
            beta2_power=tf.pow(tf.cast(optimizer.beta_2, "float32"), step),
            lr=tf.cast(learning_rate, "float32"),
            beta1=optimizer.beta_1,
            beta2=optimizer.beta_2,
            epsilon=optimizer.epsilon,
            grad=tf.cast(gradient, "float32"),
        )

    return update_step


def _handle(variable):
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle


def devices() -> list[str]:
    """Returns the names of the GPUs, or of what the processor is divided into."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name.removeprefix("/device:") for device in found]


@contextmanager
def spread(names: Sequence[str]) -> Iterator[None]:
    """See `devices.spread`. Its notes on how gradients are summed are not for who trains."""
    log = tf.get_logger()
    level = log.level
    log.setLevel("ERROR")
    try:
        with tf.distribute.MirroredStrategy([*names]).scope():
            yield
    finally:
        log.setLevel(level)


def sharing() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


def predict_on_shares(model: keras.Model) -> Callable:
    """See `devices.predict_on_batch`: Keras' own would let each device compute the whole batch."""
    strategy = tf.distribute.get_strategy()
    step = tf.function(model.predict_step, reduce_retracing=True, jit_compile=model.jit_compile or None)
    everywhere = tf.function(lambda shares: strategy.run(step, (shares,)), reduce_retracing=True)

    def run(batch: dict[str, np.ndarray]) -> np.ndarray:
        parts = {name: np.array_split(array, strategy.num_replicas_in_sync) for name, array in batch.items()}

        def share(context):
            return {name: tf.constant(each[context.replica_id_in_sync_group]) for name, each in parts.items()}

        results = everywhere(strategy.experimental_distribute_values_from_function(share))
        return tf.concat(strategy.experimental_local_results(results), 0)

    return run


def by_share(loss: Any, rows: Any) -> Any:
    """See `devices.by_share`. Keras takes the mean of the devices' mean losses, whatever the sizes of their shares."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return loss
    rows = tf.cast(rows, loss.dtype)
    share = rows * context.num_replicas_in_sync / context.all_reduce("sum", rows)
    return _scaled(loss, share)


@tf.custom_gradient
def _scaled(loss, share):
    """Returns `loss`; its gradient is `share` times as large."""
    return tf.identity(loss), lambda upstream: (upstream * share, None)


def sum_gradients_first(optimizer: keras.optimizers.Optimizer) -> None:
    """See `devices.sum_gradients_first`."""
    apply = optimizer.apply

    def apply_summed(gradients, variables=None):
        context = tf.distribute.get_replica_context()
        gradients = [*gradients]
        known = [gradient for gradient in gradients if gradient is not None]
        summed = iter(context.all_reduce("sum", known) if known else ())
        return apply([None if gradient is None else next(summed) for gradient in gradients], variables)

    optimizer.apply = apply_summed
    optimizer._all_reduce_sum_gradients = lambda pairs: pairs


def build_metrics(model: keras.Model, labels: np.ndarray) -> None:
    """Creates the variables of a classifier's metrics, which on several devices can change in a step only.

    Keras would do so in `fit`, by the mean of what each device gets of the first batch: an error if these are not of one size.
    """
    inputs = model.dummy_inputs
    model._symbolic_build(data_batch=(inputs, np.repeat(labels[:1], len(inputs["input_ids"]), axis=0)))
    model._maybe_symbolic_build = lambda **batches: None


def layer_norm(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Returns the layer norm over the last axis of float `(N, D)`, computed in float32.

    In the operations of Keras 2, which TensorFlow's graph optimizer replaces by a single one of oneDNN; those of Keras 3 stay more than
    ten, and take two to three times as long.
    """
    # A placeholder is what the optimizer leaves where it is: the cast, and how many rows there are. It would fill them beforehand, and
    # then not see that this is a norm.
    wide = tf.raw_ops.PlaceholderWithDefault(input=tf.cast(inputs, "float32"), shape=inputs.shape)
    rows = tf.raw_ops.PlaceholderWithDefault(input=tf.shape(wide)[:1], shape=[1])
    images = tf.reshape(wide, tf.concat([[1], rows, tf.shape(wide)[1:], [1]], axis=0))
    known = {"scale": tf.fill(rows, 1.0), "offset": tf.fill(rows, 0.0), "mean": [], "variance": []}
    norm = tf.raw_ops.FusedBatchNormV3(x=images, **known, epsilon=epsilon, data_format="NCHW", is_training=True)
    normalised = tf.reshape(norm.y, tf.shape(wide))
    beta = tf.fill(gamma.shape, 1e-30) if beta is None else beta  # changes no number; a 0 would be optimised away
    return tf.cast(beta + normalised * gamma, inputs.dtype)
