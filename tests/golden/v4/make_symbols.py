"""Lists, in symbols.json, the public symbols that transformers 4.57.6 exported, by module: all that belong to no model, all of the
families that bert_tf has or may have, and of other models those for TensorFlow. Reads the wheel, runs none of it.

pip download transformers==4.57.6 --no-deps && python make_symbols.py transformers-4.57.6-py3-none-any.whl
"""

import ast
import json
import sys
import zipfile
from pathlib import Path

FAMILIES = [
    "auto",
    "albert",
    "bert",
    "camembert",
    "deberta",
    "deberta_v2",
    "distilbert",
    "electra",
    "modernbert",
    "mpnet",
    "roberta",
    "xlm_roberta",
    "bertweet",
    "mobilebert",
]


def exported_at_the_top(source: str) -> dict[str, list[str]]:
    """Returns module -> names of `_import_structure` in transformers/__init__.py, and what it imports by itself."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Dict)
            and getattr(node.targets[0], "id", "") == "_import_structure"
        ):
            for key, names in zip(node.value.keys, node.value.values, strict=True):
                found.setdefault(ast.literal_eval(key), []).extend(ast.literal_eval(names))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            target = node.targets[0]
            if getattr(target.value, "id", "") == "_import_structure" and isinstance(node.value, ast.List):
                found.setdefault(ast.literal_eval(target.slice), []).extend(ast.literal_eval(node.value))
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", "") in ("extend", "append")
            and isinstance(node.func.value, ast.Subscript)
            and getattr(node.func.value.value, "id", "") == "_import_structure"
        ):
            names = ast.literal_eval(node.args[0])
            found.setdefault(ast.literal_eval(node.func.value.slice), []).extend(
                [names] if isinstance(names, str) else names
            )
    return found


def exported_by(source: str) -> list[str]:
    """Returns the names in a module's `__all__`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def main(wheel: str) -> None:
    with zipfile.ZipFile(wheel) as files:
        found = exported_at_the_top(files.read("transformers/__init__.py").decode())
        for name in files.namelist():
            if name.startswith("transformers/models/") and name.endswith(".py"):
                module = name.removeprefix("transformers/").removesuffix(".py").replace("/", ".")
                names = exported_by(files.read(name).decode())
                known = module.split(".")[1] in FAMILIES
                found[module] = [each for each in names if known or each.startswith("TF")]
    symbols = {module: sorted(set(names)) for module, names in sorted(found.items()) if names}
    lines = ",\n".join(f"{json.dumps(module)}: {json.dumps(names)}" for module, names in symbols.items())
    (Path(__file__).parent / "symbols.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main(sys.argv[1])
