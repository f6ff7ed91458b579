"""A program that asks for it sees none of the notes that TensorFlow and transformers make at their start."""

import os
import subprocess
import sys

import pytest

LOUD = ("TF_CPP_MIN_LOG_LEVEL", "TRANSFORMERS_VERBOSITY", "PYTHONWARNINGS")
BEGINS = "import bert_tf; {}import logging; from bert_tf import TFDistilBertModel, AutoTokenizer; print(logging.getLogger('tensorflow').level)"


def said(first: str, then: str = "", prompt: str = "") -> tuple[str, str]:
    """Returns stdout and stderr of a program with that first line; `prompt`: what a session at a prompt has, a program has not."""
    clean = {name: value for name, value in os.environ.items() if name not in LOUD}
    program = prompt + BEGINS.format(first) + then
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=clean, check=True)
    return done.stdout, done.stderr


def test_libraries_can_be_made_quiet():
    assert said("bert_tf.quiet_libraries(); ") == ("40\n", "")


def test_at_a_prompt_too():
    pytest.importorskip("tensorflow")
    warn = "; import tensorflow; tensorflow.get_logger().warning('5 out of the last 11 calls triggered retracing.')"
    assert said("bert_tf.quiet_libraries(); ", warn, "import sys; sys.ps1 = '>>> '; ") == ("40\n", "")
    assert "retracing" in "".join(said("", warn, "import sys; sys.ps1 = '>>> '; "))


def test_without_asking_they_are_as_they_were():
    pytest.importorskip("tensorflow")
    level, notes = said("")
    assert level != "40\n"
    assert "TensorFlow" in notes or "oneDNN" in notes


def test_what_was_loaded_is_never_searched_for_garbage():
    program = "; import gc; print(gc.isenabled(), gc.get_freeze_count() > 100_000)"
    assert said("bert_tf.quiet_libraries(); ", program) == ("40\nTrue True\n", "")
