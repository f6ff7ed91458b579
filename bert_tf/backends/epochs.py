"""Whole epochs over pooled features in one call.

With a frozen base a step of the head takes half a millisecond, a tenth of what Keras' `fit` and tf.data add to it. `Epochs`
runs Keras' own `train_step` and `test_step` in the order of `pipeline.batches` and nothing else: on 2,000 texts of MiniLM
an epoch takes a fifth of the time (TensorFlow, two cores), with the same history.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras.callbacks import Callback, CallbackList

from bert_tf.data import bucketing

VALIDATION_BATCH = 4096  # texts
NOT_CALLED = [
    f"on_{part}{when}" for part in ("batch_", "train_batch_", "test_batch_", "test_") for when in ("begin", "end")
]


class Epochs:
    """Trains a compiled model on pooled features, as often as `fit` is called. A backend's own class says how.

    Args:
        model: a classifier with a frozen base.
        train, validation: `Features` of N texts, labels `(N,)`, and perhaps weights `(N,)`.
    """

    def __init__(self, model, train: tuple[Any, ...], validation: tuple[Any, ...]):
        self.model = model
        self.lengths = train[0].lengths
        self.train, self.validation = (
            tuple(map(self._tensors, (np.stack([features[i] for i in range(len(features))]), *targets)))
            for features, *targets in (train, validation)
        )
        self.compiled()

    def compiled(self) -> None:
        """Call it whenever the model has been compiled."""
        raise NotImplementedError

    def _tensors(self, array: np.ndarray) -> Any:
        """Returns an array on the device."""
        raise NotImplementedError

    def _run(self, training: bool, order: np.ndarray, ends: np.ndarray) -> None:
        """Runs the batches `order[ends[i] : ends[i + 1]]` of the training texts, or of the validation texts."""
        raise NotImplementedError

    def fit(
        self,
        batch_size: int,
        seed: int,
        epochs: int,
        initial_epoch: int = 0,
        callbacks: Sequence[Callback] = (),
        verbose: int = 0,
    ) -> None:
        """Trains as `fit` of the model on `pipeline.batches`; callbacks are called for epochs only, not for steps.

        Args:
            verbose: int, as in `fit`: 0 = silent, 1 = a bar an epoch, 2 = a line an epoch; drawn when the epoch ends.
        """
        model = self.model
        shown: dict[str, Any] = {"verbose": verbose, "steps": -(-len(self.lengths) // batch_size)}
        callback_list = CallbackList([*callbacks], True, bool(verbose), model, epochs=epochs, **shown)
        model.stop_training = False
        logs: dict[str, float] = {}
        size = len(self.validation[1])
        callback_list.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            callback_list.on_epoch_begin(epoch)
            batches = bucketing.shuffled_batches(self.lengths, batch_size, seed, epoch)
            logs = self._measured(True, np.concatenate(batches), np.cumsum([0, *map(len, batches)]))
            ends = np.unique([*range(0, size, VALIDATION_BATCH), size])
            validation_logs = self._measured(False, np.arange(size), ends)
            logs |= {f"val_{name}": value for name, value in validation_logs.items()}
            callback_list.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        callback_list.on_train_end(logs)

    def _measured(self, training: bool, order: np.ndarray, ends: np.ndarray) -> dict[str, float]:
        self.model.reset_metrics()
        self._run(training, order, ends)
        return {name: float(value) for name, value in self.model.get_metrics_result().items()}


def wants_epochs_only(callback: Callback) -> bool:
    """Returns whether a callback has no method that `Epochs` does not call."""
    return all(getattr(getattr(callback, name), "__func__", None) is getattr(Callback, name) for name in NOT_CALLED)
