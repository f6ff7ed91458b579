"""The package as a whole: what importing costs, that the examples run."""

import runpy
import subprocess
import sys

import pytest
from conftest import ROOT

import bert_tf


def test_importing_is_quick():
    heavy = "{'tensorflow', 'keras', 'transformers', 'numpy', 'pandas', 'tensorflow_datasets', 'torch'}"
    code = f"import sys, bert_tf; assert not {heavy} & set(sys.modules), sys.modules; dir(bert_tf)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_cache_is_listed_and_pruned_without_keras(tmp_path):
    code = f"""
import sys
from bert_tf.cli.main import main
assert main(["cache", "list", "--cache-dir", {str(tmp_path)!r}]) == main(["cache", "prune", "--all", "--cache-dir", {str(tmp_path)!r}]) == 0
assert not {{"tensorflow", "keras", "transformers"}} & set(sys.modules)
from bert_tf.features import extract
assert extract.__module__ == "bert_tf.features.extraction"
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "Removed: 0 of the cache's folders" in done.stdout


def test_importing_leaves_the_program_as_it_is():
    code = """
import logging, os, warnings
before = dict(os.environ), [*warnings.filters], logging.root.level, [*logging.root.handlers]
import bert_tf
assert (dict(os.environ), [*warnings.filters], logging.root.level, [*logging.root.handlers]) == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there_and_documented():
    for name in bert_tf.__all__:
        assert getattr(bert_tf, name).__doc__
        assert name in dir(bert_tf)
    with pytest.raises(AttributeError, match="It offers: .*finetune"):
        bert_tf.nothing  # noqa: B018


@pytest.mark.slow
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
    small = [part.take(range(24)) for part in bert_tf.demo_reviews()]
    monkeypatch.setitem(vars(bert_tf), "demo_reviews", lambda: small)
    trials = ["--trials", "2"] if "search" in name else []
    monkeypatch.setattr(sys, "argv", [name, "--epochs", "1", "--checkpoint", str(tiny), *trials])
    runpy.run_path(str(example), run_name="__main__")
    assert says in capsys.readouterr().out


@pytest.mark.slow
def test_the_multilingual_example_runs(tiny, reviews, tmp_path, monkeypatch, capsys):
    import pandas

    monkeypatch.chdir(tmp_path)
    pandas.concat([pandas.DataFrame({**reviews, "lang": lang}) for lang in ("en", "de", "fr")]).to_csv("data.csv")
    arguments = ["--data", "data.csv", "--checkpoint", str(tiny), "--prefix", "query: "]
    monkeypatch.setattr(sys, "argv", ["multilingual.py", *arguments])
    runpy.run_path(str(ROOT / "examples/multilingual.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "de: 24 texts, accuracy" in said
    assert "fr: 24 texts, accuracy" in said
