"""The layout of the package: which room may import which, which library is used where, how large things may grow.

Imports are read from the source (`ast`), the lazy ones inside functions too.
"""

import ast
import shutil
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT

import bert_tf
from bert_tf.checkpoints.families.table import FAMILIES

PACKAGE = ROOT / "bert_tf"

GROUND = {
    "__init__",
    "extras",
    "files",
    "formatting",
    "hardware",
    "in_use",
    "many_runs",
    "options",
    "quiet",
    "registration",
    "settings",
    "terminal",
}  # import nothing of the package but each other
FACE = {
    "checkpoints/families/table",
    "checkpoints/heads",
    "migrate/modules",
    "migrate/table",
}  # what __init__ imports: public names follow from these rows
MAY_IMPORT = {
    "checkpoints": set(),
    "evaluation": set(),
    "tasks": {"evaluation"},
    "data": {"checkpoints", "reporting", "tasks"},
    "reporting": {"evaluation", "tasks"},
    "models": {"backends", "checkpoints", "data", "reporting", "tasks"},
    "backends": {"data"},
    "inference": {"backends", "checkpoints", "data", "models", "evaluation", "reporting", "tasks"},
    "features": {"data", "models", "inference", "backends", "reporting"},
    "explanation": {"data", "models", "inference", "reporting", "backends", "tasks"},
    "training": {
        "checkpoints",
        "data",
        "models",
        "features",
        "inference",
        "evaluation",
        "reporting",
        "backends",
        "tasks",
    },
}
MAY_IMPORT["tuning"] = MAY_IMPORT["training"] | {"training"}
MAY_IMPORT["comparison"] = MAY_IMPORT["tuning"] | {"tuning"}
# One finished model on labelled texts: it predicts, scores and reports as a run does, into a folder with a run's rules.
MAY_IMPORT["judging"] = {"checkpoints", "data", "inference", "evaluation", "reporting", "tasks", "training"}
MAY_IMPORT["serving"] = {"data", "inference", "explanation", "reporting", "tasks"}
MAY_IMPORT["exporting"] = {"checkpoints", "data", "inference", "models", "reporting", "tasks"}
MAY_IMPORT["transformers4"] = {"checkpoints", "data", "models", "training"}
MAY_IMPORT["migrate"] = {"checkpoints", "cli"}  # the rows of the families; `python -m bert_tf.migrate` is a command
MAY_IMPORT["cli"] = set(MAY_IMPORT)

# Libraries that only some modules may import. A folder allows all that is in it.
ONLY_IN = {
    "tensorflow": {
        "data/tensorflow_batches",
        "data/rows",
        "backends/tensorflow",
        "hardware",
        "transformers4",
        "quiet",
        "models/saving",
        "exporting",
    },
    "torch": {"checkpoints/weights", "backends/torch", "hardware"},
    "jax": {"backends/jax", "hardware"},
    "sklearn": {"evaluation", "training/solver"},
    "scipy": {"evaluation", "tasks", "training/solver_multi_label", "training/solver_regression"},
    "matplotlib": {"reporting/figures", "reporting/fonts"},
    "keras_tuner.src": {"tuning/oracles", "tuning/distributed"},
    "huggingface_hub": {"checkpoints", "reporting/card"},
    "mlflow": {"training/tracking"},
    "wandb": {"training/tracking"},
    "pickle": set(),
}
HEAVY = ("numpy", "keras", "tensorflow", "transformers", "matplotlib", "sklearn", "scipy", "keras_tuner")

MOST_LINES, MOST_BODY_LINES, MOST_PARAMETERS = 450, 60, 13
# Keyword arguments are the interface here: `help()` and completion must show them.
LONG_SIGNATURES = {"finetune", "search", "ladder", "race", "curve", "plan", "ClassifierHyperModel.__init__", "Encoder.__init__", "EncoderLayer.__init__", "run_facts"}  # fmt: skip


class Import(NamedTuple):
    module: str  # dotted; of `from a import b` it is a.b
    lazy: bool


def name_of(file: Path, package: Path) -> str:
    return str(file.relative_to(package).with_suffix(""))


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(file: Path) -> list[Import]:
    found = []
    for node in ast.walk(parsed(file)):
        lazy = getattr(node, "col_offset", 0) > 0
        if isinstance(node, ast.Import):
            found += [Import(name.name, lazy) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [Import(f"{node.module}.{name.name}", lazy) for name in node.names]
    return found


def own(imported: str, files: dict[str, Path]) -> str | None:
    """The module of the package that an import reaches: "models/encoder"; a package counts as its __init__."""
    parts = imported.split(".")
    if parts[0] != "bert_tf":
        return None
    for end in (len(parts), len(parts) - 1):
        path = "/".join(parts[1:end])
        for candidate in (path, f"{path}/__init__" if path else "__init__"):
            if candidate in files:
                return candidate
    raise AssertionError(f"no such module: {imported}")


def violations(package: Path) -> list[str]:
    """Everything in a package that breaks the rules above, a line each."""
    files = {name_of(file, package): file for file in sorted(package.rglob("*.py"))}
    found = []
    graph: dict[str, set[str]] = {}
    for name, file in files.items():
        room = name.split("/")[0] if "/" in name else None
        if room is None and name not in GROUND:
            found.append(f"{name}: a file beside the rooms that GROUND does not list")
        if room is not None and room not in MAY_IMPORT:
            found.append(f"{name}: a room that MAY_IMPORT does not list")
            continue
        graph[name] = set()
        for imported in imports(file):
            for library, places in ONLY_IN.items():
                inside = any(name == place or name.startswith(f"{place}/") for place in places)
                if (imported.module == library or imported.module.startswith(f"{library}.")) and not inside:
                    found.append(f"{name}: imports {imported.module}")
            if room is None and not imported.lazy and imported.module.split(".")[0] in HEAVY:
                found.append(f"{name}: the ground imports {imported.module} at its top")
            parts = imported.module.split(".")
            if parts[0] == "bert_tf" and any(part.startswith("_") and not part.startswith("__") for part in parts):
                found.append(f"{name}: imports the private {imported.module}")
            if (other := own(imported.module, files)) is None:
                continue
            if other != name and not imported.lazy:
                graph[name].add(other)
            theirs = other.split("/")[0] if "/" in other else None
            allowed = (
                theirs is None
                or theirs == room
                or (name == "__init__" and other in FACE)
                or (room is not None and theirs in MAY_IMPORT[room])
            )
            if not allowed:
                found.append(f"{name}: imports {other}")
        found += private_uses(name, file) + sizes(name, file)
    return found + [f"circle: {' -> '.join(circle)}" for circle in circles(graph)]


def private_uses(name: str, file: Path) -> list[str]:
    """`module._name` where `module` is one of the package's, by the names that imports give."""
    modules = {
        alias.asname or alias.name
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bert_tf"
        for alias in node.names
    }
    return [
        f"{name}: reaches into {node.value.id}.{node.attr}"
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in modules
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
    ]


def sizes(name: str, file: Path) -> list[str]:
    found = []
    if (lines := len(file.read_text(encoding="utf-8").splitlines())) > MOST_LINES:
        found.append(f"{name}: {lines} lines")
    kinds = {
        child: node.name for node in ast.walk(parsed(file)) if isinstance(node, ast.ClassDef) for child in node.body
    }
    for node in ast.walk(parsed(file)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        title = f"{kinds[node]}.{node.name}" if node in kinds else node.name
        first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
        if (lines := node.end_lineno - first.lineno + 1) > MOST_BODY_LINES:
            found.append(f"{name}: the body of {title} has {lines} lines")
        parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if len(parameters) > MOST_PARAMETERS and title not in LONG_SIGNATURES:
            found.append(f"{name}: {title} has {len(parameters)} parameters")
    return found


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The first circle met from each module, if any; a room's __init__ is imported with every module in it."""
    found, done = [], set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in done:
            for other in sorted(graph.get(module, ())):
                visit(other, [*path, module])
            done.add(module)

    for module in graph:
        visit(module, [])
    return found


def test_the_package_keeps_to_its_layout():
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        (
            "checkpoints/weights.py",
            "from bert_tf.models import encoder\n",
            "checkpoints/weights: imports models/encoder",
        ),
        ("data/labels.py", "def f():\n    import tensorflow as tf\n", "data/labels: imports tensorflow"),
        ("data/examples.py", "from bert_tf.data import readers\n", "circle: "),
        ("cli/main.py", "from bert_tf.cli.options import _x\n", "private bert_tf.cli.options._x"),
        ("training/plan.py", "from bert_tf.training import job\njob._read()\n", "reaches into job._read"),
        ("files.py", "import numpy\n", "the ground imports numpy"),
        ("extra.py", "", "extra: a file beside the rooms"),
        ("stores/disk.py", "", "stores/disk: a room that"),
        ("formatting.py", "x = 1\n" * 451, "formatting: 5"),
        ("formatting.py", "def f():\n" + "    x = 1\n" * 61, "the body of f has 61 lines"),
        ("formatting.py", f"def f({', '.join(f'a{i}' for i in range(14))}): ...\n", "f has 14 parameters"),
    ],
)
def test_the_rules_can_be_broken(file, text, says, tmp_path):
    package = shutil.copytree(PACKAGE, tmp_path / "bert_tf", ignore=shutil.ignore_patterns("__pycache__"))
    (package / file).parent.mkdir(exist_ok=True)
    before = (package / file).read_text() if (package / file).is_file() else ""
    (package / file).write_text(before + "\n" + text)
    assert any(says in line for line in violations(package)), violations(package)


def test_a_family_is_a_file_and_its_name_in_the_table():
    files = {file.stem for file in (PACKAGE / "checkpoints/families").glob("*.py")} - {"family", "table", "__init__"}
    assert {name.replace("-", "_") for name in FAMILIES} == files


def test_no_room_bears_the_name_of_a_public_function():
    assert not {folder.name for folder in PACKAGE.iterdir() if folder.is_dir()} & set(bert_tf.__all__)


def test_tests_mirror_the_rooms():
    rooms = {folder.name for folder in (ROOT / "tests").iterdir() if folder.is_dir()} - {"golden", "__pycache__"}
    assert rooms <= set(MAY_IMPORT)
