"""`logging`, as in transformers 4: one place to make transformers, and bert_tf with it, talk more or less.

Every other name is transformers' own.
"""

import logging as _logging
from typing import Any

DEBUG, INFO, WARNING, ERROR = _logging.DEBUG, _logging.INFO, _logging.WARNING, _logging.ERROR


def set_verbosity(verbosity: int) -> None:
    """Sets the lowest level that transformers and bert_tf log: `logging.ERROR` and so on."""
    from transformers.utils import logging

    logging.set_verbosity(verbosity)
    _logging.getLogger("bert_tf").setLevel(verbosity)


def set_verbosity_debug() -> None:
    """Logs everything."""
    set_verbosity(DEBUG)


def set_verbosity_info() -> None:
    """Logs what happens, warnings and errors."""
    set_verbosity(INFO)


def set_verbosity_warning() -> None:
    """Logs warnings and errors."""
    set_verbosity(WARNING)


def set_verbosity_error() -> None:
    """Logs errors only."""
    set_verbosity(ERROR)


def __getattr__(name: str) -> Any:
    from transformers.utils import logging

    return getattr(logging, name)
