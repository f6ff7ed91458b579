"""Modules with one expression changed: a test of properties must find them out."""

import inspect
import types


def mutated(module: types.ModuleType, old: str, new: str) -> types.ModuleType:
    """Returns a module made of the source of another in which `old`, which stands there once, is `new`."""
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {module.__name__}"
    mutant = types.ModuleType(module.__name__)
    mutant.__file__ = module.__file__
    exec(compile(source.replace(old, new), module.__file__, "exec"), mutant.__dict__)
    return mutant
