"""Reads a script of transformers 4 and says of each name what then happens; changes its imports."""

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bert_tf.files import write_text
from bert_tf.migrate.forms import DIFFERS, INSTEAD, STAYS, WORKS, Finding, Forms, dotted
from bert_tf.migrate.modules import is_old
from bert_tf.migrate.table import PYTORCH, row_of, stays

WIDTH = 120


class Reading(NamedTuple):
    """What a script has.

    Attributes:
        name: the script, for messages.
        findings: by line.
        before, after: its text, and the same with changed imports.
    """

    name: str
    findings: list[Finding]
    before: str
    after: str

    @property
    def runs(self) -> bool:
        """Whether it runs once the imports are changed: nothing has to be written otherwise."""
        return not any(finding.verdict == INSTEAD for finding in self.findings)

    def __str__(self) -> str:
        width = max((len(finding.name) for finding in self.findings), default=0)
        lines = [self.name]
        for line, name, verdict, note in self.findings:
            lines.append(f"{line:5}  {name:{width}}  {verdict}{': ' if note else ''}{note}")
        if not self.findings:
            lines.append("       nothing of transformers for TensorFlow, nothing that Keras 3 has not")
        lines += ["", *self.changes()]
        stops = [finding for finding in self.findings if finding.verdict == INSTEAD]
        places = ", ".join(str(line) for line in sorted({finding.line for finding in stops}))
        lines.append(f"Stops until changed by hand: line {places}." if stops else "Runs with these imports.")
        return "\n".join(lines)

    def changes(self) -> list[str]:
        """Returns the lines that change, as `- old` and `+ new`."""
        difference = difflib.ndiff(self.before.splitlines(), self.after.splitlines())
        return [line for line in difference if line.startswith(("- ", "+ "))]


def read(file: str | Path) -> Reading:
    """Reads a Python script.

    Raises: FileNotFoundError if there is none; ValueError for a notebook or what is not Python.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such script.")
    if file.suffix == ".ipynb":
        raise ValueError(f"{file}: a notebook. Save it as a script first: jupyter nbconvert --to script {file.name}")
    try:
        return read_text(file.read_text(encoding="utf-8"), str(file))
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{file}: is not Python 3 ({error}).") from error


def read_text(text: str, name: str = "script") -> Reading:
    """Reads the text of a Python script. Raises SyntaxError if it is none."""
    tree = ast.parse(text)
    findings, ours = [], set()
    for line, imported, alias in _names(tree):
        verdict, note = judge(imported)
        findings.append(Finding(line, imported, verdict, note))
        if imported.startswith("TF"):
            ours.add(alias)
    findings += Forms(tree, ours)
    return Reading(name, sorted(set(findings)), text, _rewritten(text, tree))


def write(reading: Reading, file: str | Path) -> None:
    """Writes the script with changed imports, whole or not at all."""
    write_text(Path(file), reading.after)


def judge(name: str) -> tuple[str, str]:
    """Returns the verdict on a name of transformers, and its note."""
    row = row_of(name)
    if row is not None and row.home:
        return (DIFFERS, row.note) if row.note else (WORKS, "")
    if row is not None:
        return INSTEAD, row.note.format(name=name)
    if is_old(name):
        return WORKS, ""
    if stays(name):
        return STAYS, PYTORCH.format(name=name)
    return INSTEAD, "neither bert_tf nor transformers 5 has it"


def _of_transformers(module: str | None) -> bool:
    return (module or "").split(".")[0] in ("transformers", "pytorch_transformers")


def _names(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yields each name of transformers: its line, the name, what the script calls it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _of_transformers(node.module) and not node.level:
            for alias in node.names:
                yield node.lineno, alias.name, alias.asname or alias.name
    imports = {
        alias.asname or alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if _of_transformers(alias.name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, *rest = dotted(node).split(".")
            if first in imports and len(rest) == 1 and not is_old(rest[0]) and rest[0] != "models":
                verdict, _ = judge(rest[0])
                yield node.lineno, rest[0] if verdict != STAYS else f"{first}.{rest[0]}", dotted(node)
            elif first in imports and len(rest) > 1 and is_old(".".join(rest[:-1])):
                yield node.lineno, rest[-1], dotted(node)


def _rewritten(text: str, tree: ast.Module) -> str:
    """Returns the text with the imports of transformers changed; a list of names is split where transformers keeps some."""
    lines = text.split("\n")  # as Python counts them; `splitlines` also splits at form feeds and in texts
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    # From the last to the first, also of those on one line, so that places before the changed one stay right.
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        before = lines[first].encode()[: node.col_offset].decode()
        after = lines[last].encode()[node.end_col_offset :].decode()
        if isinstance(node, ast.ImportFrom) and _of_transformers(node.module) and not node.level:
            new = _from(node)
        elif isinstance(node, ast.Import) and any(_of_transformers(alias.name) for alias in node.names):
            new = [_import(node)]
        else:
            continue
        separator = "; " if before.strip() or after.strip().startswith(";") else f"\n{before}"
        lines[first : last + 1] = [before + separator.join(new) + after]
    return "\n".join(lines)


def _from(node: ast.ImportFrom) -> list[str]:
    kept = [alias for alias in node.names if judge(alias.name)[0] == STAYS]
    ours = [alias for alias in node.names if alias not in kept]
    found = []
    for module, aliases in (("bert_tf", ours), (node.module, kept)):
        if aliases:
            names = [f"{alias.name} as {alias.asname}" if alias.asname else alias.name for alias in aliases]
            line = f"from {module} import {', '.join(names)}"
            if node.col_offset + len(line) > WIDTH:
                indent = " " * node.col_offset
                line = f"from {module} import (\n" + "".join(f"{indent}    {name},\n" for name in names) + f"{indent})"
            found.append(line)
    return found


def _import(node: ast.Import) -> str:
    names = []
    for alias in node.names:
        if not _of_transformers(alias.name):
            names.append(f"{alias.name} as {alias.asname}" if alias.asname else alias.name)
        elif alias.asname or "." not in alias.name:
            new = re.sub(r"^(pytorch_)?transformers", "bert_tf", alias.name)
            names.append(f"{new} as {alias.asname or alias.name}")
        else:
            names.append("bert_tf as transformers")  # of `import transformers.x` dotted uses begin with transformers
    return f"import {', '.join(names)}"
