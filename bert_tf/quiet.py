"""A terminal or a notebook that shows our own lines only: the notes of the libraries below us are turned off."""

import gc
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from bert_tf import terminal
from bert_tf.files import without_stderr


class _OnStderr(logging.StreamHandler):
    """Writes to what stderr is now: while a bar is drawn, above it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self):
        return sys.stderr

    @stream.setter
    def stream(self, value) -> None:
        raise AttributeError("The stream is always stderr.")

    def format(self, record: logging.LogRecord) -> str:
        return terminal.said(super().format(record), sys.stderr)


def be_quiet() -> None:
    """Shows what bert_tf logs, and of other libraries errors only. What the environment asks for is left as it is.

    For the command line alone: in a program, what other libraries say is the program's to decide.
    """
    _lower()
    logging.basicConfig(format="%(message)s", handlers=[_OnStderr()])
    logging.getLogger("bert_tf").setLevel(logging.INFO)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def quiet_libraries() -> None:
    """Turns off what TensorFlow, transformers and matplotlib say of themselves, for a notebook that shows results only.

    TensorFlow then writes errors only, but for the first lines on its build and on GPUs that are missing, which nothing turns off: Keras
    and its backend are loaded here, without them. Call it first, before anything else loads these libraries. What the environment asks
    for is left as it is, and warnings that come later stay.
    """
    _lower()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "IProgress not found"
        load_backend()
    if "tensorflow" in sys.modules:
        import tensorflow

        # Its logger is set up at first use, at a prompt or in a notebook to say everything on stdout.
        tensorflow.get_logger().setLevel(logging.ERROR)


def _lower() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else it speaks of its build; errors stay
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # else it says at every start that PyTorch is missing
    # "triggered tf.function retracing": shapes differ from batch to batch, and a comparison trains several models
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # else it says that it looks for fonts, the first time


def load_backend() -> None:
    """Imports what takes seconds, and says so: Keras and its backend, TensorFlow without the notes on its build and on missing
    GPUs that it writes past its own log level, and the tokenizers of transformers, which every command needs next."""
    with terminal.waiting("Loading Keras and transformers ..."), without_stderr(), _kept_for_good():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow

            tensorflow.config.list_physical_devices()
        from transformers import AutoTokenizer  # noqa: F401


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """Within it no garbage is looked for, and later not among what was made in it.

    Libraries make a million objects that stay until the end. To search these again and again is a quarter of the time of
    importing them, and at the end of the process it takes another second or two.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
