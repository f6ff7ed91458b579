"""The curves of a run for TensorBoard."""

from pathlib import Path
from typing import Any

import keras


def board(folder: Path) -> keras.callbacks.Callback:
    """Returns a callback that writes a run's curves: Keras' own, which needs TensorFlow, or `Curves`."""
    if keras.backend.backend() == "tensorflow":
        return keras.callbacks.TensorBoard(folder, write_graph=False)
    return Curves(folder)


class Curves(keras.callbacks.Callback):
    """Writes what `keras.callbacks.TensorBoard` writes of epochs, under the same names, without TensorFlow.

    Args:
        folder: the logs' folder, with one for "train" and one for "validation".
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder

    def on_train_begin(self, logs=None):
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writers = {part: EventFileWriter(str(self.folder / part)) for part in ("train", "validation")}

    def on_epoch_end(self, epoch: int, logs: Any = None):
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        for name, value in (logs or {}).items():
            part, tag = ("validation" if name.startswith("val_") else "train"), f"epoch_{name.removeprefix('val_')}"
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=float(value))])
            self._writers[part].add_event(Event(step=epoch, summary=summary))

    def on_train_end(self, logs=None):
        for writer in self._writers.values():
            writer.close()
