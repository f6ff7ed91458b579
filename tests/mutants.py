"""Properties of random results, and modules with one expression changed, which they must find out."""

import inspect
import types
from collections.abc import Callable, Mapping

import numpy as np

Checks = Mapping[str, tuple[int, Callable, types.ModuleType]]  # name: how often, property, module


def hold(checks: Checks, name: str, module: types.ModuleType | None = None) -> None:
    """Checks a property of a module, or of another in its place, again and again with random numbers."""
    times, of, original = checks[name]
    rng = np.random.default_rng(0)
    for _ in range(times):
        of(module or original, rng)


def mutated(module: types.ModuleType, old: str, new: str) -> types.ModuleType:
    """Returns a module made of the source of another in which `old`, which stands there once, is `new`."""
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {module.__name__}"
    mutant = types.ModuleType(module.__name__)
    mutant.__file__ = module.__file__
    exec(compile(source.replace(old, new), module.__file__, "exec"), mutant.__dict__)
    return mutant
