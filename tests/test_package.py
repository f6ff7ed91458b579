"""The package as a whole: what importing costs, which module may know which, that the examples and the README run."""

import ast
import re
import runpy
import subprocess
import sys

import pytest
from conftest import ROOT

import bert_tf

# The way of the data, from top to bottom: a module imports only modules above it.
ORDER = [
    "__init__", "wording", "sections", "card", "outputs", "layers", "families", "encoder", "weights", "checkpoint", "hub",
    "memory", "hardware", "gradients", "transformers4", "models", "convert", "tokenizer", "words", "data", "report", "search_sections",
    "scores", "diagnostics", "linear", "facts", "markup", "plots", "page", "pipeline", "cache", "engines", "features", "backup",
    "predict", "explain", "explain_page", "explain_terminal", "run_folder", "job", "run_report", "training", "epochs",
    "finetune", "hypermodel", "baselines", "entrants", "verdicts", "contest", "compare_plots", "compare",
    "oracles", "search", "plan", "cli",
]  # fmt: skip
TENSORFLOW_ALLOWED = {"pipeline", "hardware", "cli", "transformers4", "epochs", "gradients"}
PYTORCH_ALLOWED = {"weights", "gradients"}  # to read the tensors of a pickle, asked for by name; as Keras' backend


def imports(file) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def test_modules_import_only_what_stands_above_them():
    files = {file.stem: file for file in (ROOT / "bert_tf").glob("*.py")}
    assert set(files) == set(ORDER)
    for i, name in enumerate(ORDER):
        for imported in imports(files[name]):
            parts = imported.split(".")
            if parts[0] == "bert_tf" and len(parts) > 1 and parts[1] in ORDER:
                assert parts[1] in ORDER[:i], f"{name}.py imports {parts[1]}"
            if parts[0] == "tensorflow":
                assert name in TENSORFLOW_ALLOWED, f"{name}.py imports tensorflow"
            assert parts[0] != "pickle"
            assert parts[0] != "torch" or name in PYTORCH_ALLOWED


def test_importing_is_quick():
    heavy = "{'tensorflow', 'keras', 'transformers', 'numpy', 'pandas', 'tensorflow_datasets', 'torch'}"
    code = f"import sys, bert_tf; assert not {heavy} & set(sys.modules), sys.modules; dir(bert_tf)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_function_is_not_hidden_by_the_module_of_its_name():
    code = (
        "import bert_tf.report, bert_tf.cli; from bert_tf.finetune import finetune; assert callable(bert_tf.finetune)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)


def test_every_public_name_is_there_and_documented():
    for name in bert_tf.__all__:
        assert getattr(bert_tf, name).__doc__
        assert name in dir(bert_tf)
    with pytest.raises(AttributeError, match="It offers: .*finetune"):
        bert_tf.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("finetune_reviews.py", "accuracy"),
        ("unfreeze_top_layers.py", "accuracy"),
        ("search_epochs_and_learning_rate.py", "accuracy"),
        ("explain_a_review.py", "Faithfulness"),
    ],
)
def test_examples_run(name, says, tiny, tmp_path, monkeypatch, capsys):
    example = ROOT / "examples" / name
    assert len(example.read_text().splitlines()) < 60
    monkeypatch.chdir(tmp_path)
    texts = ["--epochs", "1", "--texts", "24", "--checkpoint", str(tiny)]
    trials = ["--trials", "2"] if "search" in name else []
    monkeypatch.setattr(sys, "argv", [name, *texts, *trials])
    runpy.run_path(str(example), run_name="__main__")
    assert says in capsys.readouterr().out


def test_readme_snippets_run(tiny, tmp_path, monkeypatch):
    readme = (ROOT / "README.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(snippets) == 3
    monkeypatch.chdir(tmp_path)
    small = [part.take(range(0, len(part), 20)) for part in bert_tf.demo_reviews()]
    monkeypatch.setattr(bert_tf.data, "demo_reviews", lambda: small)
    monkeypatch.setitem(vars(bert_tf), "demo_reviews", lambda: small)
    for snippet in snippets:
        shorter = snippet.replace('"minilm"', repr(str(tiny))).replace("epochs=3", "epochs=1")
        for argument in ("unfreeze=1,", "learning_rate=(1e-4, 1e-2),"):
            shorter = shorter.replace(argument, f"{argument} checkpoint={str(tiny)!r},")
        exec(shorter.replace("max_trials=3", "max_trials=2").replace("epochs=5", "epochs=1"), {})


def test_readme_commands_are_those_of_the_command_line():
    readme = (ROOT / "README.md").read_text()
    from bert_tf.cli import _parser

    commands = re.findall(r"^bert-tf (.+?)(?<!\\)$", readme, re.MULTILINE | re.DOTALL)
    assert len(commands) >= 3
    import shlex

    for command in commands:
        _parser().parse_args(shlex.split(command.replace("\\\n", " ")))
