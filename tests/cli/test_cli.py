"""`bert-tf` as a user runs it: exit codes, messages, tables and JSON."""

import inspect
import io
import json
import re
import subprocess
import sys

import keras
import pytest

import bert_tf
from bert_tf import terminal
from bert_tf.cli import early
from bert_tf.cli.early import OPTIMIZERS
from bert_tf.cli.main import main
from bert_tf.settings import FINETUNE, SEARCH


@pytest.fixture
def train(tmp_path, reviews):
    lines = [f'"{text}",{label}' for text, label in zip(reviews["text"], reviews["label"], strict=True)]
    file = tmp_path / "train.csv"
    file.write_text("\n".join(["text,label", *lines]) + "\n")
    return file


def finetune(train, tiny, out, *more) -> list[str]:
    return ["finetune", "--train", str(train), "--checkpoint", str(tiny), "--output-dir", str(out), "--epochs", "1",
            "--max-length", "24", "--recipe", "plain", *more]  # fmt: skip


@pytest.mark.slow
def test_finetune_predict_convert(train, tiny, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(finetune(train, tiny, out, "--unfreeze", "1", "--batch-size", "8", "--seed", "3")) == 0
    assert "Kept epoch 1 of 1" in capsys.readouterr().out
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["settings"]["unfreeze"] == 1
    assert metrics["settings"]["batch_size"] == 8

    assert main(["predict", str(out / "model"), "--text", "good", "--text", "bad\x1b[31m thing"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["label", "score", "text"]
    assert len(table) == 4
    assert "\x1b" not in table[3]

    assert main(["predict", str(out / "model"), "--file", str(train), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 24
    assert rows[0].keys() == {"text", "label", "score", "scores"}
    assert sum(rows[0]["scores"].values()) == pytest.approx(1, abs=1e-5)
    found = bert_tf.predict(out / "model", [row["text"] for row in rows])
    assert [row["label"] for row in rows] == found.labels

    assert main(["predict", str(out / "model"), "--file", str(train), "--output", str(tmp_path / "found.csv")]) == 0
    assert list(bert_tf.read_examples(tmp_path / "found.csv").texts) == [row["text"] for row in rows]

    assert main(["convert", str(out / "model"), str(tmp_path / "copy")]) == 0
    assert bert_tf.predict(tmp_path / "copy", ["good"]).labels == bert_tf.predict(out / "model", ["good"]).labels
    assert main(["convert", str(out / "model"), str(tmp_path / "copy")]) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        (None, [], "no such file"),
        ("", [], "is empty"),
        ("words,label\na,1\nb,0\n", [], "--text-column"),
        ("text,label\na,1\nb,\n", [], "row 2"),
        ("text,label\na,1\nb,1\n", [], "same label"),
        ("text,label\na,1\nb\0,0\n", [], "row 2"),
        ("text,label\na,1\na,1\nb,0\nb,0\n", ["--max-length", "1000"], "--max-length 1000"),
        ("text,label\na,1\na,1\nb,0\nb,0\n", ["--checkpoint", "./none"], "no such checkpoint folder"),
        ("text,label\na,1\na,1\nb,0\nb,0\n", ["--unfreeze", "9"], "0 to 2"),
    ],
)
def test_wrong_input_is_one_paragraph_and_exit_code_2(tiny, tmp_path, capsys, content, more, message):
    file = tmp_path / "train.csv"
    if content is not None:
        file.write_text(content)
    assert main(finetune(file, tiny, tmp_path / "run", *more)) == 2
    error = capsys.readouterr().err
    assert error.startswith("bert-tf finetune: error: ")
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_model_that_is_not_fine_tuned_does_not_predict(tiny, capsys):
    assert main(["predict", str(tiny), "--text", "good"]) == 2
    assert "no classification head" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["finetune", "distill", "predict", "convert"])
def test_help_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert "Example: bert-tf" in capsys.readouterr().out


def test_unknown_options_exit_with_2():
    with pytest.raises(SystemExit) as stopped:
        main(["finetune", "--trane", "x.csv"])
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    "command",
    [
        ["finetune", "--train", "none.csv"],
        ["finetune", "--train", "train.csv", "--test", "none.csv"],
        ["search", "--train", "train.csv", "--test", "other.csv"],
        ["compare", "--ladder", "--train", "train.csv", "--test", "other.csv"],
    ],
)
def test_a_wrong_file_is_said_before_tensorflow_loads(command, train, tmp_path):
    (tmp_path / "other.csv").write_text("text,label\nfine,lukewarm\n")
    code = (
        f"import sys; from bert_tf.cli.main import main; code = main({command});"
        "assert code == 2 and 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert f"{command[-1]}: " in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fintune"], "bert-tf: error: argument COMMAND: 'fintune' is not known. Did you mean finetune?"),
        (
            ["finetune", "--learnig-rate", "3"],
            "bert-tf finetune: error: there is no option --learnig-rate. Did you mean --learning-rate?",
        ),
        (["search", "--train", "demo", "--tuner", "bayes"], "'bayes' is not known. Did you mean bayesian?"),
        (["finetune", "--train", "demo", "--task", "xyz"], "'xyz' is not known. Use one of: auto, classification"),
        (["cache", "list", "--", "--x"], "unrecognized arguments: -- --x"),
    ],
)
def test_a_misspelt_command_option_or_value_gets_a_suggestion(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    first, last = capsys.readouterr().err.splitlines()
    assert said in first
    assert re.fullmatch(r"See bert-tf.* --help\.", last)
    assert ended.value.code == 2


def test_options_may_be_shortened():
    assert main(["cache", "list", "--cache", "/nowhere"]) == 0


def test_slices_need_test_texts(train, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["finetune", "--train", "none.csv", "--by", "lang"]) == 2
    assert "--by slices the test texts" in capsys.readouterr().err


def test_main_is_a_function_by_either_path():
    code = "from bert_tf.cli import main; import bert_tf.cli.explain; from bert_tf.cli.main import main as same; assert main is same; main(['cache', 'list', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "usage: bert-tf cache list" in done.stdout
    done = subprocess.run(
        [sys.executable, "-m", "bert_tf.cli", "--version"], check=True, capture_output=True, text=True
    )
    assert done.stdout == f"bert-tf {bert_tf.__version__}\n"


@pytest.fixture
def classifier(tiny):
    """A fine-tuned model, as far as its folder says."""
    folder = tiny.parent / "headed"
    bert_tf.load_tokenizer(tiny).save_pretrained(folder)
    return folder


def test_predict_shows_the_first_rows_on_a_terminal_and_says_how_to_get_the_others(
    classifier, tmp_path, capsys, monkeypatch
):
    file = tmp_path / "texts.csv"
    file.write_text("text\n" + "".join(f"text number {i} {'long ' * 40}\n" for i in range(23)))
    monkeypatch.setattr(terminal, "width", lambda stream=None: 80)
    assert main(["predict", str(classifier), "--file", str(file)]) == 0
    header, _, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["label", "score", "text"]
    assert last == "... and 3 more. All of them: --output FILE.csv, or --json."
    assert len(rows) == 20
    assert {re.split(r"\s{2,}\d\.\d{3}  ", row)[1][:12] for row in rows[:3]} == {"text number "}  # aligned left
    assert max(map(len, rows)) <= 80
    monkeypatch.setattr(terminal, "width", lambda stream=None: None)
    assert main(["predict", str(classifier), "--file", str(file)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 25


def test_predict_reads_standard_input(classifier, capsys, monkeypatch):
    for given, code in ((b"\xef\xbb\xbfgood\r\n\n bad\n", 0), (b"\n", 2), (b"\xff", 2)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
        assert main(["predict", str(classifier), "--file", "-", "--json"]) == code
        out, err = capsys.readouterr()
        if code:
            assert "standard input" in err
        else:
            assert [row["text"] for row in json.loads(out)] == ["good", " bad"]


WRONG = [
    ("finetune --epochs -3", "--epochs must be greater than 0. Received: --epochs -3"),
    ("finetune --batch-size 0", "--batch-size must be greater than 0. Received: --batch-size 0"),
    ("search --learning-rate -1", "--learning-rate must be greater than 0"),
    ("finetune --optimizer adamm", "--optimizer: 'adamm' is not one of Keras' optimizers. Did you mean adam?"),
    ("finetune --unfreeze 9", "--unfreeze must be 0 to 2 (layers) or 'all'. Received: --unfreeze 9"),
    ("finetune --max-length 1000", "--max-length must lie between 3 and 256"),
    ("finetune --checkpoint ./none", "./none: no such checkpoint folder"),
    (
        "finetune --output-dir there",
        "there: holds another run. Start anew with --overwrite, resume it with --resume, or",
    ),
    (
        "finetune --class-weight balanced --task regression --label-column number",
        "--class-weight is for one class a text",
    ),
    ("finetune --label-column same", "same label"),
    ("finetune --epochs many", "argument --epochs: a whole number is expected. Received: 'many'"),
    ("finetune --budget soon", "argument --budget: a time such as 90s, 5m or 1.5h is expected. Received: 'soon'"),
    ("predict none --batch-size 0", "argument --batch-size: a whole number of 1 or more is expected. Received: '0'"),
    ("predict ./none", "./none: no such checkpoint folder"),
]
RUN_ALL = """
import contextlib, io, json, sys
from bert_tf.cli.main import main
from bert_tf.settings import FINETUNE, SEARCH
said = []
for command in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as error, contextlib.suppress(SystemExit):
        assert main(command) == 2
    said.append(error.getvalue())
    assert not {"tensorflow", "keras", "transformers"} & set(sys.modules), command
print(json.dumps(said))
"""


def test_wrong_input_is_said_before_tensorflow_loads(reviews, tiny, tmp_path):
    rows = [f'"{text}",{label},x,{i}' for i, (text, label) in enumerate(zip(*reviews.values(), strict=True))]
    (tmp_path / "train.csv").write_text("\n".join(["text,label,same,number", *rows]) + "\n")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "run.json").write_text("{}")
    commands = [command.split() for command, _ in WRONG]
    for command in commands:
        command += ["--text", "a"] if command[0] == "predict" else ["--train", "train.csv"]
        command += [] if "--checkpoint" in command or command[0] == "predict" else ["--checkpoint", str(tiny)]
    started = [sys.executable, "-c", RUN_ALL, json.dumps(commands)]
    done = subprocess.run(started, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for (command, expected), message in zip(WRONG, json.loads(done.stdout), strict=True):
        assert expected in message, command
        assert len(message.splitlines()) <= 2, message


def test_every_optimizer_of_keras_is_known_before_keras_is_loaded():
    classes = [each for each in vars(keras.optimizers).values() if inspect.isclass(each)]
    names = {each.__name__.lower() for each in classes if issubclass(each, keras.optimizers.Optimizer)}
    names -= {"optimizer", "lossscaleoptimizer", "multioptimizer"}  # what they are made of, and wrappers
    assert "adamw" in names
    for name in sorted(names - set(OPTIMIZERS)):
        with pytest.raises(ValueError, match="Could not interpret optimizer"):  # Lamb has a class, but no name
            keras.optimizers.get(name)


def test_a_finished_search_can_be_resumed_and_a_finished_training_cannot(tmp_path):
    for name, content in (("run.json", '{"outputs": ["best.json"]}'), ("best.json", "{}")):
        (tmp_path / name).write_text(content)
    chosen = {"output_dir": tmp_path, "resume": True, "checkpoint": "minilm"}
    early.check_run(SEARCH, SEARCH.settings(**chosen), [])
    with pytest.raises(FileExistsError, match="this run is finished"):
        early.check_run(FINETUNE, FINETUNE.settings(**chosen), [])
