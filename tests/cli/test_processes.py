"""Commands as processes: every line that they print is ours, and Ctrl-C ends them with what is kept and how to go on."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

# Every form of a line, in all commands.
OURS = r"""
(Training|Validation): \d+ texts \(.*\), .*
From .*, .*:
([A-Z]|'\w+' is never predicted).*\.          # a sentence
([\w ]+: .*(so far|left)(; )?)+              # a bar, where none can be drawn
-+( {2,}-+)+                                  # a table, its rule and its rows
 *\S.*( {2,}\S.*)+
  \w+ \S+(, \w+ \S+)*                        # the values of a trial
In .*/:|[\d.]+ .*s\. In .*/:
  [\w./]+(, [\w./]+)*                         # what is in a folder
.*: accuracy .*; .*s\.
The same training with finetune: bert-tf finetune .*
The report, for your browser: \S+
The model, for new texts: bert-tf predict \S+ --text "Your text\."
"""
FORMS = [re.sub(r"  +#.*", "", form) for form in OURS.strip("\n").splitlines()]
FOREIGN = r"[IWEF]\d{4} |WARNING|absl|TensorFlow|\.cc:|\.py:\d|Warning|PyTorch|Traceback|\x1b"


def is_ours(line):
    return not line or (not re.search(FOREIGN, line) and any(re.fullmatch(form, line) for form in FORMS))


@pytest.fixture
def train(tmp_path, reviews):
    rows = [f'"{text} {i}",{label}' for i, (text, label) in enumerate(zip(*reviews.values(), strict=True))]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return tmp_path / "train.csv"


def sources(train, checkpoint):
    return ["--train", str(train), "--checkpoint", str(checkpoint)]


def environment():
    """As a user has it: nothing is set to be quiet."""
    ours = {"TF_CPP_MIN_LOG_LEVEL", "TRANSFORMERS_VERBOSITY", "PYTHONWARNINGS", "CUDA_VISIBLE_DEVICES"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def test_every_line_is_ours(train, tiny, tmp_path):
    start = [*sources(train, tiny), "--max-length", "16", "--precision", "float32"]
    commands = [
        ["finetune", *start, "--epochs", "2", "--output-dir", "run"],
        ["predict", "run/model", "--text", "good", "--text", "bad"],
        ["search", *start, "--max-trials", "2", "--epochs", "2", "--batch-size", "8", "--output-dir", "search"],
        ["compare", "--ladder", "--rungs", "baseline", *start, "--output-dir", "ladder"],
    ]
    code = f"from bert_tf.cli import main\nfor command in {commands}: assert main(command) == 0, command"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    foreign = [line for line in (done.stdout + done.stderr).splitlines() if not is_ours(line)]
    assert foreign == []
    assert "\x1b" not in done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if re.match(r" +2 of 2  ", line)]
    for folder in ("run", "search"):
        assert f'The model, for new texts: bert-tf predict {folder}/model --text "Your text."' in done.stdout
    assert done.stdout.count("Features of the frozen layers: ") == 2  # of finetune, and once of the search


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-01 00:00:00.1: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.",
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "WARNING:tensorflow:5 out of the last 11 calls to <function TensorFlowTrainer> triggered tf.function retracing.",
        "PyTorch was not found. Models won't be available",
        "/lib/python3/site-packages/x.py:3: DeprecationWarning: old",
    ],
)
def test_the_test_can_fail(line):
    assert not is_ours(line)


def interrupted(command, when, cwd):
    """Starts a command, sends Ctrl-C when its output matches; returns the exit code and the lines of stderr."""
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": cwd, "env": environment()}
    # A job in the background is started with SIGINT ignored, and hands that on.
    program = "import signal, sys; from bert_tf.cli import main; signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main())"
    with subprocess.Popen([sys.executable, "-c", program, *command], **how) as process:
        for line in process.stdout:
            if re.search(when, line):
                break
        else:
            raise AssertionError(process.stderr.read())
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        try:
            error = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert time.monotonic() - began < 30
    return process.returncode, error.splitlines()


def test_ctrl_c_ends_a_training_with_a_line_that_says_how_to_go_on(train, tiny, tmp_path):
    command = ["finetune", *sources(train, tiny), "--epochs", "100000", "--output-dir", "run"]
    code, lines = interrupted(command, r"^ *2 of", tmp_path)
    assert code == 130
    assert lines[-1] == "Stopped. run keeps what was finished. Continue with the same command and --resume."
    assert not [line for line in lines if "Traceback" in line]
    assert (tmp_path / "run" / "model" / "config.json").is_file()
    assert (tmp_path / "run" / "state").is_dir()


@pytest.mark.slow
def test_ctrl_c_ends_a_search_that_can_be_resumed(train, tiny, tmp_path):
    command = ["search", *sources(train, tiny), "--max-trials", "1000", "--epochs", "3", "--no-report"]
    code, lines = interrupted(command, r"^Trial 0*1 ", tmp_path)
    assert code == 130
    assert lines[-1] == "Stopped. runs/search keeps what was finished. Continue with the same command and --resume."
    assert (tmp_path / "runs/search/trials").is_dir()
    code, lines = interrupted([*command, "--resume"], r"^Resuming after \d+ finished trials", tmp_path)
    assert (code, lines[-1][:8]) == (130, "Stopped.")
