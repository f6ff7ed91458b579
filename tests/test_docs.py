"""README and docs/: every command and every piece of Python runs, every option exists, every link leads somewhere.

A command or a piece of Python that cannot run here says so where a reader sees it, in a comment `# needs: ...`; its options are checked
all the same. Names of checkpoints on the hub are folders here, with a tiny model, and the files that the pages name hold a few texts.
"""

import configparser
import gzip
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pandas
import pytest
from conftest import GOLDEN, ROOT

import bert_tf
from bert_tf.cli.main import main, make_parser
from bert_tf.migrate.table import names_with_homes
from bert_tf.settings import CURVE, LADDER, RACE

PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))]
MORE_PAGES = [*PAGES, "PYPI.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"]
NEEDS = "# needs: "
# These wait for others until they are stopped, or start Ray: tests/serving, tests/tuning and tests/inference run them.
ELSEWHERE = re.compile(r"bert-tf serve|--chief|--worker|--engine ray")
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return [textwrap.dedent(body) for _, name, body in FENCE.findall(text_of(page)) if name == language]


def lines(page: str) -> list[str]:
    """Returns the commands of a page, those over several lines as one."""
    return [line for block in blocks(page, "") for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def commands(page: str) -> list[str]:
    """Returns the `bert-tf` commands of a page, without what stands before them (KERAS_BACKEND=...)."""
    return [line[line.index("bert-tf ") :] for line in lines(page) if re.match(r"([A-Z_]+=\S+ )*bert-tf ", line)]


COMMANDS = [(page, command) for page in PAGES for command in commands(page)]


def test_the_pages_have_commands_and_python():
    assert len(COMMANDS) > 50
    assert sum(len(blocks(page, "python")) for page in PAGES) >= 9


@pytest.mark.parametrize("page", sorted({page for page, _ in COMMANDS}))
def test_documented_commands_are_those_of_the_command_line(page):
    for command in commands(page):
        make_parser().parse_args(shlex.split(command, comments=True)[1:])


@pytest.mark.parametrize("page", MORE_PAGES)
def test_documented_options_exist(page):
    subparsers = next(action for action in make_parser()._actions if isinstance(action.choices, dict))
    known = {"--version"}.union(*(command._option_string_actions for command in subparsers.choices.values()))
    for nested in subparsers.choices["cache"]._actions:
        if isinstance(nested.choices, dict):
            known = known.union(*(command._option_string_actions for command in nested.choices.values()))
    scripts = "".join(file.read_text() for file in (ROOT / "benchmarks").rglob("*.py"))
    others = {"--no-deps", "--ours", "--strict", "--upgrade"}  # of pip and of benchmarks/frozen_finetune.py
    found = {flag.rstrip("-") for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text_of(page))}
    assert {flag for flag in found - known - others if flag[2:].replace("-", "_") not in scripts} == set()


def test_the_page_of_the_package_index_needs_nothing_beside_it():
    """It has no address of ours to load pictures and pages from; its commands and Python are those of other pages, which run."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["metadata"]["long_description"] == "file: PYPI.md"
    assert LINK.findall(text_of("PYPI.md")) == []
    assert {*commands("PYPI.md")} <= {command for _, command in COMMANDS}
    python = "".join(body for page in PAGES for body in blocks(page, "python"))
    assert {line for body in blocks("PYPI.md", "python") for line in body.splitlines()} <= {*python.splitlines()}


def test_other_documented_commands_exist():
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for page in MORE_PAGES:
        for line in lines(page):
            if line.startswith("make "):
                assert line.split()[1] in targets, (page, line)
            if line.startswith("python "):
                assert (ROOT / line.split()[1]).is_file(), (page, line)
        for extras in re.findall(r"bert-tf\[([a-z,]+)\]", text_of(page)):
            assert set(extras.split(",")) <= set(setup["options.extras_require"]), (page, extras)


def slug(heading: str) -> str:
    """Returns the anchor of a heading, as GitHub and mkdocs make it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", plain))


@pytest.mark.parametrize("page", MORE_PAGES)
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    for target in LINK.findall(re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)):
        if ":" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (folder / path).resolve() if path else ROOT / page
        made = file.parent.name == "reference" or file.name == "commands.md"  # by docs/hooks.py
        assert file.exists() or made, (page, target)
        if anchor and file.suffix == ".md" and file.is_file():
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, (page, target)


def test_the_reference_has_every_public_name():
    pages = "".join(text_of(page) for page in PAGES if page.startswith("docs/reference/"))
    ours = {name for name in bert_tf.__all__ if not re.search(r"^[A-Z]", name)} - {
        name for name, _ in names_with_homes()
    }
    assert len(ours) > 15
    assert {name for name in ours | {"Examples", "ClassifierHyperModel"} if f"::: bert_tf.{name}" not in pages} == set()


def test_the_reference_is_the_docstring():
    found = runpy.run_path(str(ROOT / "docs/hooks.py"))["reference"]("bert_tf.plan", [])
    assert found.startswith("### plan {#bert_tf.plan}\n\n```python\nbert_tf.plan(\n    train, validation=None, *, ")
    assert "\n- `train, validation`: as for `bert_tf.finetune`.\n" in found
    assert "\n**Options, model**\n" in found
    assert "\n- `checkpoint`: str, what to start from" in found


@pytest.fixture(scope="module")
def place(tiny, reviews, tmp_path_factory) -> Path:
    """A folder with all that the pages name: files, and tiny models."""
    folder = tmp_path_factory.mktemp("place")
    frame = pandas.DataFrame(reviews)
    frame["lang"] = frame["language"] = ["en", "hi"] * 12
    for name in (
        "reviews",
        "held_out",
        "next_month",
        "more",
        "english",
        "all",
        "hindi",
        "en",
        "en-dev",
        "test",
        "train",
    ):
        frame.to_csv(folder / f"{name}.csv", index=False)
    (folder / "reviews.csv.gz").write_bytes(gzip.compress((folder / "reviews.csv").read_bytes()))
    (folder / "texts").mkdir()
    for part in ("one", "two"):
        frame[["text"]].to_parquet(folder / "texts" / f"{part}.parquet")
    stars = [[1, 2], [5, 4], [3, 3]]
    rated = frame.assign(stars=[stars[i % 3][i % 2] if i % 5 else 3 for i in range(24)])
    rated[["text", "stars"]].to_csv(folder / "stars.csv", index=False)
    rated.rename(columns={"text": "review"})[["review", "stars"]].to_csv(folder / "shop.csv", index=False)
    odd = frame.rename(columns={"text": "Comment Text", "label": "Verdict"})[["Comment Text", "Verdict"]]
    odd.replace("bad", "schlecht, für mich").to_csv(folder / "export.csv", sep=";", encoding="cp1252", index=False)
    labels = {name: [i >> bit & 1 for i in range(24)] for bit, name in enumerate(("anger", "joy", "fear"))}
    frame[["text"]].assign(**labels).to_csv(folder / "comments.csv", index=False)
    frame.assign(question="Is it good?", answer=frame.text)[["question", "answer", "label"]].to_csv(
        folder / "answers.csv", index=False
    )
    (folder / "train.py").write_text("from transformers import TFAutoModelForSequenceClassification\n")
    shutil.copytree(GOLDEN / "v4" / "distilbert_h5", folder / "old-model")
    for name in ("minilm", "distilbert-base-uncased", "intfloat/multilingual-e5-small", "e5", "NAME", "OTHER-NAME"):
        shutil.copytree(tiny, folder / name)
    run = bert_tf.finetune(
        reviews, reviews, checkpoint=tiny, unfreeze=0, output_dir=folder / "runs/reviews", report=False, verbose=0
    )
    for name in ("runs/demo", "runs/small"):
        shutil.copytree(run.output_dir, folder / name)
    shutil.copytree(run.output_dir / "model", folder / "MODEL")
    return folder


@pytest.fixture
def there(place, tmp_path, monkeypatch) -> Path:
    """A copy of `place` as the working directory; "minilm" and the demo reviews are small, comparisons run in this process."""
    folder = shutil.copytree(place, tmp_path / "there")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (folder / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setattr("bert_tf.checkpoints.locate.minilm", lambda: folder / "minilm")
    small = [part.take(range(0, len(part), 20)) for part in bert_tf.demo_reviews()]
    monkeypatch.setattr("bert_tf.data.readers.demo_reviews", lambda: small)
    monkeypatch.setitem(vars(bert_tf), "demo_reviews", lambda: small)
    for command in (LADDER, RACE, CURVE):
        monkeypatch.setitem(command.defaults, "alone", False)
    return folder


LESS = {
    "--budget": "5s",
    "--epochs": "1",
    "--layers": "1",
    "--max-trials": "2",
    "--rungs": "baseline,layer_means,1",
    "--data-sizes": "10,all",
}


def smaller(arguments: list[str], report: bool) -> list[str]:
    """Returns a command with less to do, and that may be run again."""
    for flag, value in LESS.items():
        if flag in arguments:
            arguments[arguments.index(flag) + 1] = value
    command, more = arguments[0], []
    trains = command in ("finetune", "distill", "search")
    if trains and not {"--epochs", "--budget"} & {*arguments} and "--unfreeze 0" not in " ".join(arguments):
        more += ["--epochs", "1"]
    if command == "search" and "--max-trials" not in arguments:
        more += ["--max-trials", "2"]
    if trains and not report:
        more.append("--no-report")
    if {"--ladder", "--data-sizes"} & {*arguments}:
        more += ["--seeds", "1"]
    if (trains or command in ("compare", "evaluate")) and "--resume" not in arguments:
        more.append("--overwrite")
    return [*arguments, *more]


# Once each, on the first page that has it; KerasTuner's import warns.
FIRST = {command: page for page, command in reversed(COMMANDS)}
RUN = [page for page in PAGES if page in FIRST.values()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("page", RUN)
def test_documented_commands_run(page, there, capfd):
    for command in commands(page):
        if FIRST[command] != page or NEEDS in command or ELSEWHERE.search(command):
            continue
        if "--track mlflow" in command:
            pytest.importorskip("mlflow")
        if "bert-tf export" in command and find_spec("tensorflow") is None:
            continue
        arguments = shlex.split(command, comments=True)[1:]
        if "--resume" in arguments:  # what the command before it wrote
            Path(arguments[arguments.index("--output") + 1]).unlink()
        code = main(smaller(arguments, report=page == PAGES[0]))
        assert code == 0, (command, capfd.readouterr().err)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_documented_python_runs(page, there):
    for snippet in blocks(page, "python"):
        if NEEDS in snippet:
            compile(snippet, page, "exec")
            continue
        if "import mlflow" in snippet:
            pytest.importorskip("mlflow")
        exec(re.sub(r"epochs=\d+", "epochs=1", snippet.replace("max_trials=3", "max_trials=2")), {})


def test_options_of_commands_are_kept_whole_and_text_is_left_alone():
    marked = runpy.run_path(str(ROOT / "docs/hooks.py"))["on_page_content"]
    page = '<p>--no-cache</p><pre><code>bert-tf<span class="w"> </span>--a-b x--y [--c-d]</code></pre>'
    whole = ('<span class="option">--a-b</span>', '<span class="option">--c-d</span>')
    assert marked(page, None, None, None) == page.replace("--a-b", whole[0]).replace("--c-d", whole[1])


@pytest.mark.slow
def test_the_documentation_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    for name in ("index.html", "reference/functions.html", "reference/commands.html", "benchmarks.html"):
        assert (tmp_path / name).is_file()
    assert "class_weight" in (tmp_path / "reference/functions.html").read_text()
