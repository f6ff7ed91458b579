"""Training as it is shown: a bar over all steps, and a line for every epoch."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence

import keras

from bert_tf import terminal
from bert_tf.formatting import format_value
from bert_tf.training.run import Run
from bert_tf.training.sources import Say
from bert_tf.training.stages import MONITOR, Pace

VALIDATION = "val_"
SHORT = {MONITOR: "calibrated"}


def is_ours(verbose: bool | str | int) -> bool:
    """Whether epochs are shown as here, not as Keras' `fit` does; 1 and 2 mean the latter."""
    return verbose == "auto" or isinstance(verbose, bool)


@contextlib.contextmanager
def training(
    run: Run, steps: int, epochs: int, first_epoch: int, callbacks: Sequence[keras.callbacks.Callback]
) -> Iterator[list[keras.callbacks.Callback]]:
    """Shows a training in the block, if it is to be shown; yields the callbacks that it needs.

    Args:
        steps: of an epoch.
        epochs: the most; first_epoch: the one that is begun with, from 0.
        callbacks: those of the run; a `Pace` among them knows how many steps are planned.
    """
    if not (run.verbose and is_ours(run.asked.output.verbose)):
        yield []
        return
    pace = next((each for each in callbacks if isinstance(each, Pace)), None)
    with terminal.Bar("Training", epochs * steps, "step", done=first_epoch * steps) as bar:
        yield [_Epochs(bar, steps, pace, run.say)]


class _Epochs(keras.callbacks.Callback):
    """Tells a bar what is done, and prints the numbers of each epoch as a row of a table."""

    def __init__(self, bar: terminal.Bar, steps: int, pace: Pace | None, say: Say):
        super().__init__()
        self.bar, self.steps, self.pace, self.say = bar, steps, pace, say
        self.began = time.monotonic()
        self.columns: list[str] = []

    @property
    def epochs(self) -> int:
        return -(-(self.bar.total or 0) // self.steps)

    def on_epoch_begin(self, epoch, logs=None):
        self._plan()
        self.bar.note = f"epoch {epoch + 1} of {self.epochs}"

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()
        self._plan()
        if batch + 1 == self.steps or self.bar.done == self.bar.total:
            self.bar.note += ", validating"

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        # where whole epochs are run in one call, nothing was told of their steps; a budget may cut one short
        done = min((epoch + 1) * self.steps, self.bar.total or 0)
        self.bar.update(max(0, done - self.bar.done))
        if not self.columns:
            # what callbacks add, such as a learning rate, goes into the history alone
            self.columns = [name for name in logs if name.startswith(VALIDATION) or f"{VALIDATION}{name}" in logs]
            self.say("\n" + _row("epoch", map(_title, self.columns), "time"))
        now = time.monotonic()
        numbers = [format_value(float(logs.get(name, float("nan"))), "score") for name in self.columns]
        cells = [number.rjust(len(_title(name))) for number, name in zip(numbers, self.columns, strict=True)]
        self.say(_row(f"{epoch + 1} of {self.epochs}", cells, format_value(now - self.began, "seconds")))
        self.began = now

    def _plan(self) -> None:
        if self.pace:
            self.bar.total = self.pace.total


def _title(name: str) -> str:
    words = SHORT.get(name) or name.removeprefix(VALIDATION).replace("_", " ")
    return (f"val. {words}" if name.startswith(VALIDATION) else words).rjust(len("0.000"))


def _row(epoch: str, numbers: Iterable[str], seconds: str) -> str:
    return "  ".join([epoch.rjust(len("10 of 20")), *numbers, seconds.rjust(len("10.0 s"))])
