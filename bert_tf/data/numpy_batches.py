"""Batches as a `keras.utils.PyDataset` of NumPy arrays: what `bert_tf.batches` gives on JAX and PyTorch.

To pad a batch takes microseconds and devices compute on their own while it is made, so that no workers are needed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import ml_dtypes
import numpy as np

from bert_tf import hardware
from bert_tf.data.bucketing import feature_inputs, padded_batch
from bert_tf.data.tokenizer import Tokens

TOKEN_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Batches(keras.utils.PyDataset):
    """The batches of some texts; each epoch has its own order. On several machines each gets its share of every batch.

    Args:  (N = texts)
        source: `Tokens` of N texts, or their `Features`.
        targets: labels and weights, `(N, ...)`; empty = inputs only.
        order: the batches of an epoch, as indices.
        count: int, number of batches.
        first_epoch: int, the epoch of the first iteration.
        pad_token_id: int.
    """

    def __init__(
        self,
        source: Any,
        targets: Sequence[np.ndarray],
        order: Callable[[int], list[np.ndarray]],
        count: int,
        first_epoch: int,
        pad_token_id: int,
    ):
        super().__init__()
        self.source, self.targets, self.order, self.count, self.pad = source, targets, order, count, pad_token_id
        self._epoch, self._ended = first_epoch, False
        self._chosen: list[np.ndarray] = []

    def __len__(self) -> int:
        return self.count

    def on_epoch_begin(self) -> None:
        """Goes on to the next epoch if the last batch of this one was given: before training Keras looks at the first one."""
        if self._ended:
            self._epoch += 1
            self._chosen, self._ended = [], False

    def __iter__(self) -> Iterator[Any]:
        self.on_epoch_begin()
        for i in range(self.count):
            yield self[i]

    def __getitem__(self, i: int) -> Any:
        if not self._chosen:
            self._chosen = self.order(self._epoch)
        self._ended = self._ended or i == self.count - 1
        chosen, own = _own_share(self._chosen[i])
        inputs = {name: array[own] for name, array in self._inputs(chosen).items()}
        if not self.targets:
            return inputs
        return inputs, *(target[chosen[own]] for target in self.targets)

    def _inputs(self, chosen: np.ndarray) -> dict[str, np.ndarray]:
        if isinstance(self.source, Tokens):
            return dict(zip(TOKEN_INPUTS, padded_batch(self.source, chosen, self.pad), strict=False))
        inputs = feature_inputs(self.source, chosen)
        return {**inputs, "features": _known(inputs["features"])}


def _own_share(texts: np.ndarray) -> tuple[np.ndarray, slice]:
    """Divides a batch among the machines that a training runs on.

    Args:
        texts: int `(B,)`, the batch.
    Returns: its texts, the first ones again where their number is not a multiple of that of all devices; and which of them are this
        machine's: on one machine all.
    """
    machine, machines = hardware.machines()
    if machines == 1:
        return texts, slice(None)
    devices = keras.distribution.distribution().device_mesh.devices.size
    each = -(-len(texts) // devices) * devices // machines
    return np.resize(texts, each * machines), slice(machine * each, (machine + 1) * each)


def _known(features: np.ndarray) -> np.ndarray:
    """Returns bfloat16 as float32 on PyTorch, which does not know NumPy's."""
    wide = features.dtype == ml_dtypes.bfloat16 and keras.backend.backend() == "torch"
    return features.astype("float32") if wide else features
