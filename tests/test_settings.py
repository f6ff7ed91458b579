"""Options are declared once: everything else is made from that."""

import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import bert_tf
from bert_tf import options
from bert_tf.cli.main import make_parser
from bert_tf.settings import (
    CURVE,
    DISTILL,
    EVALUATE,
    EXPORT,
    FINETUNE,
    HYPERMODEL,
    LADDER,
    PLAN,
    PREDICT,
    PREDICT_FILES,
    RACE,
    SEARCH,
    SERVE,
)

COMMANDS = (
    FINETUNE,
    DISTILL,
    EVALUATE,
    EXPORT,
    PLAN,
    PREDICT,
    PREDICT_FILES,
    SERVE,
    HYPERMODEL,
    SEARCH,
    LADDER,
    RACE,
    CURVE,
)
FUNCTIONS = {command.name: getattr(bert_tf, command.name) for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_option_is_a_documented_argument(command):
    function = FUNCTIONS[command.name]
    parameters = inspect.signature(function).parameters
    for option in command.options():
        assert parameters[option.name].default == option.default
        assert re.search(rf"^ {{8}}{option.name}: ", function.__doc__, re.MULTILINE), option.name
    assert "{options}" not in (function.__doc__ or "")


@pytest.mark.parametrize(
    "command", [FINETUNE, DISTILL, EVALUATE, EXPORT, PLAN, SEARCH, SERVE], ids=lambda command: command.name
)
def test_every_option_is_on_the_command_line(command):
    subparsers = next(a for a in make_parser()._actions if isinstance(a.choices, dict))
    text = subparsers.choices[command.name].format_help()
    for option in command.options():
        if option.about.get("cli", True):
            assert option.flag in text or option.flag.replace("--", "--no-") in text, option.name
    assert "(default: True)" not in text
    assert "(default: None)" not in text
    assert "SUPPRESS" not in text


CHANGED = {
    "text_column": "words", "label_column": "verdict", "task": "ordinal", "labels": "low=1-2,high=4|5", "drop": "3", "fold_case": True,
    "on_bad_rows": "skip", "encoding": "cp1252", "separator": ";", "quoting": "raw", "header": False,
    "validation_share": 0.1, "max_length": 64, "checkpoint": "folder",
    "head": "layer_means", "new_head": True, "unfreeze": "all", "dropout": 0.25, "epochs": 7, "learning_rate": 2e-05,
    "batch_size": 16, "optimizer": "adamw", "weight_decay": 0.01, "warmup": 0.1, "schedule": "linear", "early_stopping": 2,
    "micro_batch_size": 4, "seed": 3, "precision": "float32", "cache": False, "cache_dir": "cache", "output_dir": "runs/x",
    "overwrite": True, "resume": True, "report": False, "verbose": 0,
}  # fmt: skip


@pytest.mark.parametrize("header", [True, False, None])
def test_a_header_is_said_and_read(header):
    arguments = FINETUNE.arguments(FINETUNE.settings(header=header))
    parsed = vars(make_parser().parse_args(["finetune", "--train", "demo", *arguments]))
    assert parsed.get("header") is header


def test_arguments_give_the_same_settings_again():
    settings = FINETUNE.settings(**CHANGED)
    arguments = FINETUNE.arguments(settings)
    parsed = vars(make_parser().parse_args(["finetune", "--train", "demo", *arguments]))
    repeated = {name: value for name, value in parsed.items() if name in CHANGED}
    assert {name for name, value in CHANGED.items() if repeated.get(name) != value} == {
        "cache_dir", "output_dir", "overwrite", "resume", "report", "verbose",
    }  # fmt: skip
    assert FINETUNE.arguments(FINETUNE.settings()) == []
    assert FINETUNE.recorded(FINETUNE.settings(**repeated)) == FINETUNE.recorded(settings)


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"epoch": 3}, TypeError, r"finetune\(\) got an unexpected keyword argument 'epoch'. Did you mean 'epochs'\?"),
        ({"epochs": 0}, ValueError, "`epochs` must be greater than 0. Received: epochs=0"),
        ({"epochs": 2.5}, ValueError, "`epochs` must be a whole number. Received: epochs=2.5"),
        ({"seed": None}, ValueError, "`seed` must not be None"),
        ({"unfreeze": True}, ValueError, "`unfreeze` must be a number of layers or 'all'. Received: unfreeze=True"),
        ({"warmup": 1.0}, ValueError, "`warmup` must be less than 1. Received: warmup=1.0"),
        ({"schedule": "cosine"}, ValueError, "`schedule` must be one of constant, linear. Received: schedule='cosine'"),
        ({"learning_rate": "fast"}, ValueError, "`learning_rate` must be a number. Received: learning_rate='fast'"),
        ({"learning_rate": float("nan")}, ValueError, "`learning_rate` must be greater than 0"),
        ({"separator": "::"}, ValueError, "`separator` must be one character, or tab. Received: separator='::'"),
        (
            {"optimizer": 3},
            ValueError,
            "`optimizer` must be text: the name of a Keras optimizer. Received: optimizer=3",
        ),
        ({"on_bad_rows": "drop"}, ValueError, "`on_bad_rows` must be one of error, skip"),
        ({"cache": "tape"}, ValueError, "`cache` must be True, False or 'memory'"),
    ],
)
def test_wrong_options_are_refused(values, error, says):
    with pytest.raises(error, match=says):
        FINETUNE.settings(**values)


def test_numbers_of_numpy_are_numbers():
    numpy = pytest.importorskip("numpy")
    settings = FINETUNE.settings(epochs=numpy.int64(5), learning_rate=numpy.float32(0.5), unfreeze=numpy.int32(2))
    assert (settings.training.epochs, settings.training.learning_rate, settings.model.unfreeze) == (5, 0.5, 2)
    assert type(settings.training.epochs) is int


ADDED = (
    '    label_smoothing: float = option(0.0, "how much of each label goes to the others", metavar="SHARE", least=0)\n'
)
USED = """
import inspect, os, sys
from bert_tf import settings
from bert_tf.cli.main import make_parser
chosen = settings.FINETUNE.settings(label_smoothing=0.1)
assert chosen.training.label_smoothing == 0.1
assert settings.FINETUNE.recorded(chosen)["label_smoothing"] == 0.1
assert settings.FINETUNE.arguments(chosen) == ["--label-smoothing", "0.1"]
for command in ("finetune", "search", "plan", "compare"):
    assert make_parser().parse_args([command, "--train", "x", "--label-smoothing", "0.1"] + ["--ladder"] * (command == "compare")).label_smoothing == 0.1
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import bert_tf
for function in (bert_tf.finetune, bert_tf.search, bert_tf.plan, bert_tf.ladder):
    assert inspect.signature(function).parameters["label_smoothing"].default == 0.0
    assert "label_smoothing: float, how much of each label goes to the others." in function.__doc__
try:
    bert_tf.finetune({}, label_smoothing=-1)
except ValueError as error:
    assert "`label_smoothing` must be at least 0" in str(error)
"""


def test_a_new_option_takes_one_edit(tmp_path):
    package = shutil.copytree(ROOT / "bert_tf", tmp_path / "bert_tf", ignore=shutil.ignore_patterns("__pycache__"))
    file = Path(package / "settings.py")
    before = file.read_text()
    place = "    seed: int = option("
    assert before.count(place) == 1
    file.write_text(before.replace(place, ADDED + place))
    subprocess.run(
        [sys.executable, "-c", USED], check=True, cwd=tmp_path, env={"PATH": "", "PYTHONPATH": str(tmp_path)}
    )


def test_a_group_checks_its_fields():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Shape(options.Group):
        """shape"""

        sides: int = options.option(3, "sides", least=3)

    @dataclass(frozen=True)
    class Drawing:
        shape: Shape = Shape()

    draw = options.Command(Drawing, "draw", ("shape",))
    assert draw.settings(sides=4).shape.sides == 4
    with pytest.raises(ValueError, match="`sides` must be at least 3. Received: sides=2"):
        draw.settings(sides=2)
