"""The search: its trials are finetune's runs, whatever tuner, kill, worker or lack of memory comes in between."""

import contextlib
import csv
import html
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import NamedTuple

import keras
import numpy as np
import pytest
from conftest import out_of_memory

import bert_tf
from bert_tf.cli.main import main
from bert_tf.training import backup
from bert_tf.tuning import hypermodel, results
from bert_tf.tuning.search import Searched, SearchFailedError

FIXED = {"learning_rate": 0.01, "batch_size": 6, "dropout": 0.3, "weight_decay": 0.05, "warmup": 0.2}


@pytest.fixture(scope="module")
def options(tiny, tmp_path_factory) -> dict:
    """What all searches here have in common; they share the features."""
    return {
        "checkpoint": tiny, "max_length": 24, "cache_dir": tmp_path_factory.mktemp("features"), "precision": "float32",
        "verbose": False, "report": False, "recipe": "plain",
    }  # fmt: skip


def record(folder) -> dict:
    return json.loads((folder / "record.json").read_text())


def write_csv(file, reviews) -> None:
    lines = [f'"{text}",{label}' for text, label in zip(reviews["text"], reviews["label"], strict=True)]
    file.write_text("\n".join(["text,label", *lines]))


@pytest.mark.parametrize("unfreeze", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_trial_is_a_run_of_finetune(reviews, options, tmp_path, unfreeze):
    more = {**options, **FIXED, "unfreeze": unfreeze, "epochs": 3, "schedule": "linear", "seed": 3}
    found = bert_tf.search(reviews, output_dir=tmp_path / "s", max_trials=1, early_stopping=None, **more)
    run = bert_tf.finetune(reviews, output_dir=tmp_path / "f", **{**more, "verbose": 0})
    history = record(tmp_path / "s/trials/trial_0")["history"]
    assert run.history.keys() == history.keys()
    for metric, curve in run.history.items():
        np.testing.assert_allclose(history[metric], curve, atol=1e-6, err_msg=metric)
    assert found.best["best_epoch"] == run.metrics["best_epoch"]
    assert found.best["val_accuracy"] == run.metrics["val_accuracy"]


def test_a_head_over_every_layer_is_searched_by_the_same_argument(reviews, options, tmp_path):
    more = {**options, **FIXED, "head": "layer_means", "epochs": 2}
    found = bert_tf.search(reviews, output_dir=tmp_path / "s", max_trials=1, **more)
    assert found.model.standardization.adapted
    run = bert_tf.finetune(reviews, output_dir=tmp_path / "f", **{**more, "verbose": 0})
    assert found.best["val_loss"] == pytest.approx(run.metrics["val_loss"], abs=1e-5)
    assert "--head layer_means" in found.best["finetune"]


def test_layers_are_trained_from_the_solved_head_as_finetune_does(reviews, options, tmp_path):
    more = {**options, **FIXED, "learning_rate": 0.003, "unfreeze": 1, "epochs": 2, "recipe": "auto"}
    found = bert_tf.search(reviews, output_dir=tmp_path / "s", max_trials=1, early_stopping=None, **more)
    run = bert_tf.finetune(reviews, output_dir=tmp_path / "f", **{**more, "verbose": 0})
    history = record(tmp_path / "s/trials/trial_0")["history"]
    for metric in ("loss", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(history[metric], run.history[metric], atol=2e-5, err_msg=metric)
    assert [stage["stage"] for stage in found.best["stages"]] == ["solved head", "trial 0"]
    assert found.best["stages"][0]["val_loss"] == pytest.approx(run.metrics["stages"][0]["val_loss"], abs=1e-5)


def test_the_solved_head_is_kept_if_no_trial_is_better(reviews, options, tmp_path, capsys):
    more = {**options, "recipe": "auto", "learning_rate": 1e-7, "epochs": 1, "verbose": True, "report": True}
    found = bert_tf.search(reviews, output_dir=tmp_path / "s", max_trials=1, test=reviews, **more)
    said = capsys.readouterr().out
    assert "which the trials have to beat" in said
    assert "Best: the solved head; no trial is better" in said
    assert found.best["kept"] == "solved head"
    run = bert_tf.finetune(reviews, output_dir=tmp_path / "f", **{**options, "recipe": "auto", "unfreeze": 0})
    assert found.best["val_loss"] == pytest.approx(run.metrics["val_loss"], abs=1e-5)
    texts = reviews["text"]
    mine, theirs = (bert_tf.predict(tmp_path / name / "model", texts).probabilities for name in "sf")
    np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert "--unfreeze 0" in found.best["finetune"]
    assert "--epochs" not in found.best["finetune"]
    assert "Epoch" not in (tmp_path / "s/report.html").read_text().split("Trials")[0]  # no epoch was kept


# What a search leaves


class Finished(NamedTuple):
    found: Searched
    said: str
    settings: dict


@pytest.fixture(scope="module")
def finished(reviews, options, tmp_path_factory) -> Finished:
    """A finished search of seven trials, to be read only."""
    settings = {
        **options, "validation": reviews, "epochs": 5, "learning_rate": (1e-3, 1e-1), "batch_size": [6, 12],
        "objective": "val_accuracy", "report": True, "verbose": True,
        "test": {name: values[1:18] for name, values in reviews.items()},
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()) as said:
        found = bert_tf.search(reviews, output_dir=tmp_path_factory.mktemp("search") / "s", max_trials=7, **settings)
    return Finished(found, said.getvalue(), settings)


def test_the_files_of_a_search(finished):
    found, out = finished.found, finished.found.output_dir
    assert {path.name for path in out.iterdir()} == {
        "report.html", "model", "trials.csv", "best.json", "search.png", "tensorboard", "trials", "run.json",
    }  # fmt: skip
    with (out / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7
    assert [row["trial"] for row in rows] == sorted(row["trial"] for row in rows)
    assert float(rows[0]["dropout"]) == 0.2  # that of the checkpoint: finetune's defaults come first
    assert float(rows[0]["warmup"]) == 0
    accuracies = [float(row["val_accuracy"]) for row in rows]
    assert max(accuracies) == found.best["val_accuracy"]
    assert rows[accuracies.index(max(accuracies))]["trial"] == found.best["trial"]  # the earlier of equals
    for row in rows:
        curve = record(out / f"trials/trial_{row['trial']}")["history"]["val_accuracy"]
        assert int(row["best_epoch"]) == curve.index(max(curve)) + 1
        assert len(curve) in (5, int(row["best_epoch"]) + 5)
        assert list((out / "tensorboard" / row["trial"]).glob("events.out.tfevents.*"))
    assert json.loads((out / "best.json").read_text()) == json.loads(json.dumps(found.best))
    assert (out / "search.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(out.glob("trials/*/best.safetensors"))) == 5  # the best five
    assert not list(out.glob("trials/*/last.safetensors"))


def test_terminal_report_and_saved_model_agree(finished, reviews):
    found, out = finished.found, finished.found.output_dir
    predicted = bert_tf.predict(out / "model", reviews["text"])
    right = np.mean([a == b for a, b in zip(predicted.labels, reviews["label"], strict=True)])
    assert right == found.best["val_accuracy"] == found.best["scores"]["accuracy"]["value"]
    assert f"validation accuracy {right:.3f}" in finished.said
    page = (out / "report.html").read_text()
    assert f"finished trials is trial {found.best['trial']}" in page
    assert f"- accuracy: {right:.3f} [" in (out / "model/README.md").read_text()
    command = html.unescape(page.split("<pre><code>")[1].split("</code>")[0])
    assert command == found.best["finetune"]
    assert f"The same training with finetune: {command}" in finished.said
    assert "(7 of 7)" in finished.said
    test = finished.settings["test"]
    right = np.mean([a == b for a, b in zip(predicted.labels[1:18], test["label"], strict=True)])
    measured = json.loads((out / "best.json").read_text())["test"]
    assert right == measured["scores"]["accuracy"]["value"]
    assert f"On the 17 test texts: accuracy {right:.3f} [" in finished.said
    assert measured["comparison"]["verdict"] in finished.said
    assert "17 texts, some of which the model has learnt from" in page


def test_a_finished_search_goes_on_with_more_trials(finished, reviews, tmp_path):
    out = shutil.copytree(finished.found.output_dir, tmp_path / "s")
    more = {**finished.settings, "output_dir": out, "resume": True, "report": False, "verbose": False}
    with pytest.raises(FileExistsError, match="finished"):
        bert_tf.search(reviews, max_trials=7, **more)
    extended = bert_tf.search(reviews, max_trials=8, **more)
    assert extended.trials[:7] == finished.found.trials
    assert len(extended.trials) == 8


def test_pytorch_finds_the_accuracy_that_was_reported(reviews, options, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    more = {**options, "epochs": 2, "precision": "bfloat16"}
    found = bert_tf.search(reviews, reviews, output_dir=tmp_path / "s", max_trials=1, **more)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "s/model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "s/model")
    with torch.no_grad():
        logits = model(**tokenizer(reviews["text"], padding=True, truncation=True, return_tensors="pt")).logits.numpy()
    labels = [model.config.id2label[i] for i in logits.argmax(-1)]
    assert np.mean([a == b for a, b in zip(labels, reviews["label"], strict=True)]) == found.best["val_accuracy"]


# Failures


def test_no_finished_trial_is_an_error_with_the_reasons(tiny, reviews, tmp_path, capsys):
    write_csv(file := tmp_path / "train.csv", reviews)
    code = main(["search", "--train", str(file), "--checkpoint", str(tiny), "--max-trials", "2", "--epochs", "3",
                 "--learning-rate", "1e37,1e38", "--output-dir", str(tmp_path / "s"), "--cache-dir", str(tmp_path / "c")])  # fmt: skip
    said = capsys.readouterr()
    assert code == 2
    assert "very large here" in said.out
    assert "none of 2 trials finished" in said.err
    assert said.err.count("diverged: ") == 2
    assert "Traceback" not in said.err + said.out
    assert not (tmp_path / "s/model").exists()
    assert not (tmp_path / "s/best.json").exists()
    assert (tmp_path / "s/trials.csv").read_text().count("diverged") == 2


def test_a_failed_trial_is_never_the_best(reviews, options, tmp_path):
    more = {**options, **FIXED, "learning_rate": [1e-3, 1e30], "report": True}
    found = bert_tf.search(reviews, output_dir=tmp_path / "s", tuner="grid", max_trials=2, epochs=2, **more)
    assert [row["status"] for row in found.trials] == ["finished", "failed"]
    assert found.best["failed"] == 1
    assert found.best["values"]["learning_rate"] == 1e-3
    failed = (tmp_path / "s/report.html").read_text().split("Why trials failed")[1]
    assert found.trials[1]["failed"] in html.unescape(failed)


def test_out_of_memory_a_trial_continues_with_micro_batches(reviews, options, tmp_path, monkeypatch):
    calls = []
    fit = keras.Model.fit

    def fit_little(self, *args, **kwargs):
        at_once = 8 // (self.optimizer.gradient_accumulation_steps or 1)
        calls.append(at_once)
        if at_once > 2:
            raise out_of_memory()
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", fit_little)
    more = {**options, **FIXED, "learning_rate": [1e-3, 1e-2], "batch_size": 8, "unfreeze": 1, "epochs": 1}
    found = bert_tf.search(reviews, output_dir=tmp_path / "s", tuner="grid", max_trials=2, **more)
    assert calls == [8, 4, 2, 2]  # the second trial knows
    assert record(tmp_path / "s/trials/trial_0")["at_once"] == 2
    assert [row["status"] for row in found.trials] == ["finished"] * 2


# Interrupted and resumed


class Interrupted(BaseException):
    """Not an Exception, which would count as a failed trial."""


def interrupt(reviews, settings, last_trial: str) -> None:
    """Runs a search in this process up to the second epoch of a trial."""

    class Stopping(backup.Backup):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if self.folder.name == last_trial and epoch == 1:
                raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hypermodel, "Backup", Stopping)
        with pytest.raises(Interrupted):
            bert_tf.search(reviews, **settings)


def kill(reviews, settings, last_trial: str) -> None:
    """Runs a search in a process of its own and kills it after the second epoch of a trial."""
    script = settings["output_dir"].with_suffix(".py")
    plain = {name: str(value) if hasattr(value, "parts") else value for name, value in settings.items()}
    script.write_text(
        "import os, signal, bert_tf.training.backup as b\n"
        "after = b.Backup.on_epoch_end\n"
        "def on_epoch_end(self, epoch, logs=None):\n"
        "    after(self, epoch, logs)\n"
        f"    if self.folder.name == {last_trial!r} and epoch == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "b.Backup.on_epoch_end = on_epoch_end\n"
        "import bert_tf\n"
        f"bert_tf.search({reviews!r}, **{plain!r})\n"
    )
    done = subprocess.run([sys.executable, str(script)], stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("stop", [interrupt, pytest.param(kill, marks=pytest.mark.slow)])
def test_a_stopped_search_resumes_as_if_nothing_had_happened(reviews, options, tmp_path, stop):
    settings = {
        **options, "output_dir": tmp_path / "stopped", "max_trials": 4, "epochs": 4, "learning_rate": (1e-3, 1e-1),
        "batch_size": [6, 12],
    }  # fmt: skip
    straight = bert_tf.search(reviews, **{**settings, "output_dir": tmp_path / "straight"})
    stop(reviews, settings, "trial_2")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "stopped").glob("trials/*/record.json")}
    assert len(before) == 2

    with pytest.raises(FileExistsError, match="resume=True"):
        bert_tf.search(reviews, **settings)
    with pytest.raises(ValueError, match="other settings: space"):
        bert_tf.search(reviews, resume=True, **{**settings, "batch_size": 6})
    epochs_run = []

    class Counting(backup.Backup):
        def on_epoch_end(self, epoch, logs=None):
            epochs_run.append((self.folder.name, epoch))
            super().on_epoch_end(epoch, logs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hypermodel, "Backup", Counting)
        resumed = bert_tf.search(reviews, resume=True, **settings)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert epochs_run[0] == ("trial_2", 2)
    assert {name for name, _ in epochs_run} == {"trial_2", "trial_3"}
    for first, second in zip(straight.trials, resumed.trials, strict=True):
        assert {k: v for k, v in first.items() if k != "seconds"} == pytest.approx(
            {k: v for k, v in second.items() if k != "seconds"}, abs=1e-6
        )
    assert straight.best["trial"] == resumed.best["trial"]


# Several processes; tests/tuning/test_oracles.py has them in one


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.mark.slow
def test_chief_and_two_workers_one_of_which_dies(tiny, reviews, tmp_path):
    write_csv(file := tmp_path / "train.csv", reviews)
    out = tmp_path / "s"
    command = [
        sys.executable, "-m", "bert_tf.cli", "search", "--train", str(file), "--checkpoint", str(tiny), "--max-trials", "12",
        "--epochs", "60", "--early-stopping", "never", "--output-dir", str(out), "--cache-dir", str(tmp_path / "cache"),
        "--address", f"127.0.0.1:{free_port()}", "--lease", "4",
    ]  # fmt: skip

    def start(*options):
        with (tmp_path / f"{options[-1]}.log").open("w") as log:
            return subprocess.Popen([*command, *options], stdout=log, stderr=subprocess.STDOUT)

    chief = start("--chief")
    workers = [start("--worker", "one"), start("--worker", "two")]
    try:
        until = time.monotonic() + 120
        # Once both workers run a trial, one of them dies.
        while len(list(out.glob("trials/*/last.safetensors"))) < 2:
            assert time.monotonic() < until, (tmp_path / "--chief.log").read_text()
            time.sleep(0.02)
        workers[0].send_signal(signal.SIGKILL)
        assert chief.wait(120) == 0, (tmp_path / "--chief.log").read_text()
        assert workers[1].wait(30) == 0
    finally:
        for process in (chief, *workers):
            process.kill()
    with (out / "trials.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["status"] for row in rows] == ["finished"] * 12
    assert len({row["trial"] for row in rows}) == 12
    assert all(int(row["epochs"]) == 60 for row in rows)
    assert json.loads((out / "best.json").read_text())["trials"] == 12
    assert "(12 of 12)" in (tmp_path / "--chief.log").read_text()


# Arguments


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"learning_rate": (0.1, 0.01)}, "learning_rate.*lowest, highest"),
        ({"learning_rate": -1.0}, "learning_rate.*greater than 0"),
        ({"batch_size": [16, 16]}, "batch_size.*must differ"),
        ({"batch_size": 1.5}, "batch_size.*whole number"),
        ({"dropout": 1.0}, "dropout.*less than 1"),
        ({"warmup": [0.0, 1.0]}, "warmup.*less than 1"),
        ({"weight_decay": "much"}, "weight_decay.*a number"),
        ({"unfreeze": (0, 2)}, "one value or a list"),
        ({"unfreeze": 9}, "0 to 2"),
        ({"unfreeze": [0, 9]}, "0 to 2"),
        ({"optimizer": "adma"}, "adma"),
        ({"objective": "f1"}, "objective"),
        ({"schedule": "cosine"}, "schedule"),
        ({"tuner": "best"}, "random, bayesian"),
        ({"max_trials": 0}, "max_trials"),
        ({"chief": True, "worker": "one"}, "either the chief or a worker"),
        ({"worker": "chief2"}, "does not contain 'chief'"),
        ({"chief": True, "address": "7077"}, "HOST:PORT"),
    ],
)
def test_wrong_arguments_are_named(reviews, options, tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        bert_tf.search(reviews, **{**options, "output_dir": tmp_path / "s", **wrong})
    assert not (tmp_path / "s").exists()


def test_the_best_are_ranked_and_the_earlier_of_equals_wins():
    rows = [{"trial": str(i), "status": "finished", "val_accuracy": a} for i, a in enumerate((0.5, 0.8, 0.8))]
    rows.append({"trial": "3", "status": "failed", "val_accuracy": 0.9})
    assert [row["trial"] for row in results.ranked(rows, "val_accuracy")] == ["1", "2", "0"]
    assert issubclass(SearchFailedError, ValueError)
