"""Modules that scripts of transformers 4 import from, under bert_tf: `from bert_tf.modeling_tf_utils import get_initializer`.

Each has every public name of bert_tf; where transformers 4 kept a name is of no matter here.
"""

import re
import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from bert_tf.checkpoints.families.table import FAMILIES

_FAMILIES = "|".join(model_type.replace("-", "_") for model_type in FAMILIES)
_FAMILY = f"auto|{_FAMILIES}"
# Compiled by the first module that is looked for, not when bert_tf is imported.
_OLD = (
    rf"models\.({_FAMILIES})(\.(modeling_tf|tokenization|configuration)_({_FAMILY})(_fast)?)?"
    rf"|(modeling_tf|tokenization|configuration)_({_FAMILY})(_fast)?"
    r"|data\.(data_collator|processors)|data\.processors\.(utils|glue)|pipelines(\.\w+)?|utils|utils\.logging"
    r"|configuration_utils|file_utils|hf_argparser|keras_callbacks|modeling_tf_outputs|modeling_tf_utils|optimization_tf|tf_utils"
    r"|tokenization_utils|tokenization_utils_base|tokenization_utils_fast|trainer_tf|trainer_utils|training_args_tf"
)


def is_old(module: str) -> bool:
    """Returns whether transformers 4 had a module of this name, without "transformers.", that bert_tf stands in for."""
    return re.fullmatch(_OLD, module) is not None


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        own = "bert_tf.transformers4.logging" if self.__name__ == "bert_tf.utils.logging" else "bert_tf"
        return getattr(import_module(own), name)


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, name, path, target=None):
        package, _, module = name.partition(".")
        return ModuleSpec(name, self, is_package=True) if package == "bert_tf" and is_old(module) else None

    def create_module(self, spec):
        return _Module(
            spec.name, f"`transformers.{spec.name.partition('.')[2]}` of transformers 4: the names of bert_tf."
        )

    def exec_module(self, module):
        """Nothing to run."""


def stand_in() -> None:
    """Makes the old modules importable; those that bert_tf has itself are found first."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
