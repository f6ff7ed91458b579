"""Keras' own file of a whole model, .keras. Runs in Keras, with bert_tf installed."""

from collections.abc import Sequence
from pathlib import Path

from bert_tf.exporting.formats import Batch, Runner
from bert_tf.exporting.network import Network


def write(network: Network, file: Path) -> None:
    """Writes the file."""
    network.model.save(file)


def quantize(network: Network, source: Path, file: Path, texts: Sequence[Batch]) -> None:
    raise NotImplementedError("A Keras file has no 8-bit form.")


def load(file: Path, names: Sequence[str]) -> Runner:
    """Returns what runs a model that is read from a file."""
    import keras

    return Network(keras.models.load_model(file, compile=False)).in_keras()
