"""Makes Keras know our classes as soon as both are imported, in either order, so that `keras.models.load_model` finds them.

The modules that register classes import Keras, and are imported late: importing `bert_tf` alone stays quick.
"""

import importlib.util
import json
import os
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

MODULES = ("models.auto", "transformers4.optimizer", "transformers4.subclassing", "training.optimizer")


def register() -> None:
    """Imports the modules that register classes, if Keras is imported; waits if one of ours is being imported right now."""
    ours = [module for name, module in sys.modules.items() if name.startswith("bert_tf.")]
    if "keras" in sys.modules and not any(map(_being_imported, ours)):
        for name in MODULES:
            import_module(f"bert_tf.{name}")


def _being_imported(module: Any) -> bool:
    return getattr(getattr(module, "__spec__", None), "_initializing", False)


class _AfterKeras(MetaPathFinder):
    """Calls `register` when Keras has been imported; a mere look for it, and an import that fails, change nothing."""

    searching = False

    def find_spec(self, name, path, target=None):
        if name != "keras" or self.searching:
            return None
        self.searching = True
        try:
            spec = importlib.util.find_spec("keras")
        finally:
            self.searching = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                    register()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def when_keras_is_imported() -> None:
    """Registers now, or as soon as Keras is imported."""
    if "keras" in sys.modules:
        register()
    elif not any(isinstance(finder, _AfterKeras) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterKeras())


def choose_backend() -> None:
    """Without TensorFlow, which Keras uses by default, lets it use JAX or PyTorch if one of them is installed and no one chose."""
    if "keras" in sys.modules or "KERAS_BACKEND" in os.environ or importlib.util.find_spec("tensorflow"):
        return
    try:
        asked = json.loads((Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json").read_text())
    except (OSError, ValueError):
        asked = {}
    installed = [name for name in (asked.get("backend"), "jax", "torch") if name and importlib.util.find_spec(name)]
    if installed:
        os.environ["KERAS_BACKEND"] = installed[0]
