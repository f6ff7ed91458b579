"""Packages that only some commands need, installed as an extra of bert-tf."""

from importlib.util import find_spec


def check_installed(extra: str, *modules: str, name: str = "") -> None:
    """Raises ImportError if a package of an extra is missing, by the names of the modules or `name`. Nothing is imported."""
    if missing := [module for module in modules if find_spec(module) is None]:
        verb = "is" if name or len(missing) == 1 else "are"
        raise ImportError(f"{name or ' and '.join(missing)} {verb} not installed: pip install 'bert-tf[{extra}]'")


def check_ray() -> None:
    check_installed("ray", "ray", name="Ray")


def check_tracker(name: str) -> None:
    """Raises ImportError if an experiment tracker is not installed."""
    check_installed(name, name, name={"mlflow": "MLflow", "wandb": "Weights & Biases"}[name])
