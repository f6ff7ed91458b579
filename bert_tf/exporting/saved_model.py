"""TensorFlow's SavedModel, as TensorFlow Serving reads it: the folder 1 is its version. Runs in TensorFlow."""

import os
from collections.abc import Sequence
from pathlib import Path

from bert_tf.exporting.formats import Batch, Runner
from bert_tf.exporting.network import Network
from bert_tf.models.precision import in_float32


def write(network: Network, file: Path) -> None:
    """Writes the folder, with the signature `serving_default`: the inputs, int32, to `logits`."""
    import tensorflow as tf

    module = tf.Module()
    # TensorFlow's own variables: of Keras' it would save each twice, as itself and as what it holds.
    module.weights = [weight.value for weight in network.model.weights]
    module.serve = network.function()
    with in_float32(network.model):
        tf.saved_model.save(module, os.fspath(file), signatures={"serving_default": module.serve})


def quantize(network: Network, source: Path, file: Path, texts: Sequence[Batch]) -> None:
    raise NotImplementedError("A SavedModel has no 8-bit form.")


def load(file: Path, names: Sequence[str]) -> Runner:
    """Returns what runs a folder, by its signature."""
    import tensorflow as tf

    loaded = tf.saved_model.load(os.fspath(file))
    run = loaded.signatures["serving_default"]

    def logits(batch: Batch, _kept=loaded):  # a signature does not keep its model alive
        return run(**{name: tf.constant(batch[name], "int32") for name in names})["logits"].numpy()

    return logits
