"""The search: its trials are finetune's runs, whatever tuner, kill, worker or lack of memory comes in between."""

import csv
import html
import json
import signal
import socket
import subprocess
import sys
import time

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import bert_tf
from bert_tf.cli.main import main
from bert_tf.training import backup
from bert_tf.tuning import hypermodel, oracles, results
from bert_tf.tuning.hypermodel import ClassifierHyperModel
from bert_tf.tuning.search import SearchFailedError

VALUES = {"learning_rate": 0.01, "batch_size": 6, "dropout": 0.3, "weight_decay": 0.05, "warmup": 0.2}


def options(tiny, tmp_path, **more) -> dict:
    return {"checkpoint": tiny, "max_length": 24, "cache_dir": tmp_path / "cache", "precision": "float32", **more}


def record(folder) -> dict:
    return json.loads((folder / "record.json").read_text())


def same(first: dict, second: dict, atol=1e-6) -> None:
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_allclose(second[name], values, atol=atol, err_msg=name)


@pytest.mark.parametrize("unfreeze", [0, 1])
def test_a_trial_is_a_run_of_finetune(tiny, reviews, tmp_path, unfreeze):
    more = options(tiny, tmp_path, unfreeze=unfreeze, epochs=4, schedule="linear", seed=3)
    found = bert_tf.search(
        reviews, output_dir=tmp_path / "s", max_trials=1, early_stopping=None, verbose=False, **VALUES, **more
    )
    run = bert_tf.finetune(reviews, output_dir=tmp_path / "f", verbose=0, **VALUES, **more)
    same(run.history, record(tmp_path / "s/trials/trial_0")["history"])
    assert found.best["best_epoch"] == run.metrics["best_epoch"]
    assert found.best["val_accuracy"] == run.metrics["val_accuracy"]


TUNERS = {
    "random": (keras_tuner.RandomSearch, {"max_trials": 3}),
    "grid": (keras_tuner.GridSearch, {"max_trials": 3}),
    "bayesian": (keras_tuner.BayesianOptimization, {"max_trials": 4, "num_initial_points": 2}),
    "hyperband": (keras_tuner.Hyperband, {"max_epochs": 3, "factor": 3}),
}


@pytest.mark.parametrize("name", TUNERS)
def test_the_tuners_of_keras_tuner_take_it_as_it_is(tiny, reviews, tmp_path, name):
    made = ClassifierHyperModel(
        reviews, reviews, learning_rate=(1e-3, 1e-1), batch_size=[6, 12], epochs=3, schedule="linear", early_stopping=None,
        verbose=False, **options(tiny, tmp_path),
    )  # fmt: skip
    tuner_class, more = TUNERS[name]
    tuner = tuner_class(made, "val_loss", seed=2, directory=tmp_path, project_name=name, **more)
    tuner.search(verbose=0)
    ended = list(tuner.oracle.trials.values())
    assert {trial.status for trial in ended} == {"COMPLETED"}
    best, second = tuner.oracle.get_best_trials(2)
    models = tuner.get_best_models(2)
    data = made.job.held_back(made.job.inputs(models[0], cache_dir=tmp_path / "cache", say=lambda _: None), 12)
    for trial, model in zip((best, second), models, strict=True):  # two models, though they share their base
        assert model.evaluate(data, verbose=0)[0] == pytest.approx(trial.score, abs=1e-6)
        assert record(tmp_path / name / f"trial_{trial.trial_id}")["best_epoch"] == trial.best_step + 1
    assert models[0].distilbert.embeddings is models[1].distilbert.embeddings
    sizes = [file.stat().st_size for file in (tmp_path / name).glob("trial_*/best.safetensors")]
    assert len(sizes) == len(ended)
    assert max(sizes) < 5 * 4 * models[0].num_parameters(only_trainable=True)

    if name == "hyperband":  # what was continued is what runs straight through
        continued = [trial for trial in ended if trial.hyperparameters.values["tuner/initial_epoch"]]
        assert continued
        trial = continued[-1]
        values = {k: v for k, v in trial.hyperparameters.values.items() if not k.startswith("tuner/")}
        straight = keras_tuner.HyperParameters()
        made.values(straight)
        straight.values = values
        history = made.fit(straight, made.build(straight), callbacks=[rates := LearningRates()]).history
        until = trial.hyperparameters.values["tuner/epochs"]
        kept = record(tmp_path / name / f"trial_{trial.trial_id}")["history"]
        assert len(kept["loss"]) == until
        same({name: values[:until] for name, values in history.items()}, kept)
        rate, steps = values["learning_rate"], 3 * (24 // values["batch_size"])
        warm = round(values["warmup"] * steps)
        done = np.arange(1, 4) * steps // 3
        np.testing.assert_allclose(rates.seen, rate * (steps - done) / (steps - warm), rtol=1e-5, atol=1e-9)


class LearningRates(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(float(self.model.optimizer.learning_rate))


def test_a_head_over_every_layer_is_searched_by_the_same_argument(tiny, reviews, tmp_path):
    space = {"learning_rate": 0.01, "batch_size": 5, "dropout": 0.0, "weight_decay": 0.0, "warmup": 0.0, "unfreeze": 0}
    common = {"checkpoint": tiny, "head": "layer_means", "epochs": 3, "max_length": 24, "precision": "float32"}
    found = bert_tf.search(reviews, **common, **space, max_trials=1, output_dir=tmp_path / "search", verbose=False)
    assert found.model.standardization.adapted
    one = bert_tf.finetune(reviews, **common, **space, output_dir=tmp_path / "run", verbose=0)
    assert found.best["val_loss"] == pytest.approx(one.metrics["val_loss"], abs=1e-5)
    assert "--head layer_means" in found.best["finetune"]


def test_what_a_search_leaves(tiny, reviews, tmp_path, capsys):
    out = tmp_path / "search"
    found = bert_tf.search(
        reviews, reviews, output_dir=out, max_trials=7, epochs=5, learning_rate=(1e-3, 1e-1), batch_size=[6, 12],
        objective="val_accuracy", **options(tiny, tmp_path),
    )  # fmt: skip
    said = capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        "report.html", "model", "trials.csv", "best.json", "search.png", "tensorboard", "trials", "run.json",
    }  # fmt: skip
    with (out / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7
    assert [row["trial"] for row in rows] == sorted(row["trial"] for row in rows)
    assert float(rows[0]["dropout"]) == 0.2  # the checkpoint's: finetune's own values come first
    assert float(rows[0]["warmup"]) == 0
    accuracies = [float(row["val_accuracy"]) for row in rows]
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

    predicted = bert_tf.predict(out / "model", reviews["text"])
    right = np.mean([a == b for a, b in zip(predicted.labels, reviews["label"], strict=True)])
    assert right == found.best["val_accuracy"] == max(accuracies)
    assert f"validation accuracy {right:.3f}" in said
    assert found.best["scores"]["accuracy"]["value"] == right
    page = (out / "report.html").read_text()
    assert f"finished trials is trial {found.best['trial']}" in page
    assert f"- accuracy: {right:.3f} [" in (out / "model/README.md").read_text()
    command = html.unescape(page.split("<pre><code>")[1].split("</code>")[0])
    assert command == found.best["finetune"]
    assert f"The same by finetune: {command}" in said
    assert "(7 of 7)" in said


def test_pytorch_finds_the_accuracy_that_was_reported(tiny, reviews, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    found = bert_tf.search(
        reviews, reviews, output_dir=tmp_path / "s", max_trials=2, epochs=3, verbose=False,
        **options(tiny, tmp_path, precision="bfloat16"),
    )  # fmt: skip
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "s/model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "s/model")
    with torch.no_grad():
        logits = model(**tokenizer(reviews["text"], padding=True, truncation=True, return_tensors="pt")).logits.numpy()
    labels = [model.config.id2label[i] for i in logits.argmax(-1)]
    assert np.mean([a == b for a, b in zip(labels, reviews["label"], strict=True)]) == found.best["val_accuracy"]


# Failures


def test_no_finished_trial_is_an_error_with_the_reasons(tiny, reviews, tmp_path, capsys):
    file = tmp_path / "train.csv"
    lines = [f'"{text}",{label}' for text, label in zip(reviews["text"], reviews["label"], strict=True)]
    file.write_text("\n".join(["text,label", *lines]))
    code = main(["search", "--train", str(file), "--checkpoint", str(tiny), "--max-trials", "2", "--epochs", "3",
                 "--learning-rate", "1e30,1e31", "--output-dir", str(tmp_path / "s"), "--cache-dir", str(tmp_path / "c")])  # fmt: skip
    told = capsys.readouterr()
    assert code == 2
    assert "very large here" in told.out
    assert "none of 2 trials finished" in told.err
    assert told.err.count("diverged: ") == 2
    assert not (tmp_path / "s/model").exists()
    assert not (tmp_path / "s/best.json").exists()
    assert (tmp_path / "s/trials.csv").read_text().count("diverged") == 2


def test_a_failed_trial_is_never_the_best(tiny, reviews, tmp_path):
    found = bert_tf.search(
        reviews, output_dir=tmp_path / "s", tuner="grid", max_trials=2, epochs=2, learning_rate=[1e-3, 1e30], batch_size=8,
        dropout=0.1, weight_decay=0.0, warmup=0.0, verbose=False, **options(tiny, tmp_path),
    )  # fmt: skip
    assert [row["status"] for row in found.trials] == ["finished", "failed"]
    assert found.best["failed"] == 1
    assert found.best["values"]["learning_rate"] == 1e-3
    failed = (tmp_path / "s/report.html").read_text().split("Why trials failed")[1]
    assert found.trials[1]["failed"] in html.unescape(failed)


def test_a_failed_trial_that_is_tried_again_starts_anew(tiny, reviews, tmp_path):
    made = ClassifierHyperModel(reviews, epochs=2, learning_rate=[1e30, 1e-3], verbose=False, **options(tiny, tmp_path))
    tuner = keras_tuner.RandomSearch(
        made, "val_loss", max_trials=1, max_consecutive_failed_trials=9, directory=tmp_path, project_name="t"
    )
    tuner.oracle.populate_space = lambda trial_id: {"status": "RUNNING", "values": {"learning_rate": 1e30}}
    tuner.search(verbose=0)
    (trial,) = tuner.oracle.trials.values()
    assert trial.status == "FAILED"
    assert "diverged" in record(tmp_path / "t/trial_0")["failed"]
    trial.hyperparameters.values["learning_rate"] = 1e-3
    assert len(tuner.run_trial(trial)[0].history["loss"]) == 2
    assert "failed" not in record(tmp_path / "t/trial_0")


def test_without_memory_a_trial_goes_on_with_less_at_once(tiny, reviews, tmp_path, monkeypatch):
    more = options(tiny, tmp_path, unfreeze=1, epochs=2, max_trials=2, verbose=False, early_stopping=None)
    fixed = {"learning_rate": [1e-3, 1e-2], "batch_size": 8, "dropout": 0.0, "weight_decay": 0.0, "warmup": 0.0}
    plenty = bert_tf.search(reviews, output_dir=tmp_path / "plenty", tuner="grid", **fixed, **more)
    calls = []
    fit = keras.Model.fit

    def poor(self, *args, **kwargs):
        at_once = 8 // (self.optimizer.gradient_accumulation_steps or 1)
        calls.append(at_once)
        if at_once > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[8,3,20,20]")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", poor)
    scarce = bert_tf.search(reviews, output_dir=tmp_path / "scarce", tuner="grid", **fixed, **more)
    assert calls == [8, 4, 2, 2]  # the second trial knows
    assert record(tmp_path / "scarce/trials/trial_0")["at_once"] == 2
    assert [row["status"] for row in scarce.trials] == ["finished"] * 2
    assert len(plenty.trials) == 2


# Going on


def arguments(tiny, tmp_path, out, **more) -> dict:
    return options(
        tiny, tmp_path, output_dir=out, max_trials=8, epochs=4, learning_rate=(1e-3, 1e-1), batch_size=[6, 12], verbose=False,
        **more,
    )  # fmt: skip


def test_a_killed_search_goes_on_as_if_it_had_not_been(tiny, reviews, tmp_path):
    straight = bert_tf.search(reviews, **arguments(tiny, tmp_path, tmp_path / "straight"))
    script = tmp_path / "killed.py"
    given = {
        name: str(v) if hasattr(v, "parts") else v for name, v in arguments(tiny, tmp_path, tmp_path / "killed").items()
    }
    script.write_text(
        "import os, signal, bert_tf.training.backup as b\n"
        "after = b.Backup.on_epoch_end\n"
        "def on_epoch_end(self, epoch, logs=None):\n"
        "    after(self, epoch, logs)\n"
        "    if self.folder.name == 'trial_6' and epoch == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
        "b.Backup.on_epoch_end = on_epoch_end\n"
        "import bert_tf\n"
        f"bert_tf.search({reviews!r}, **{given!r})\n"
    )
    done = subprocess.run([sys.executable, str(script)], stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == -signal.SIGKILL
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "killed").glob("trials/*/record.json")}
    assert len(before) == 6

    with pytest.raises(FileExistsError, match="resume=True"):
        bert_tf.search(reviews, **arguments(tiny, tmp_path, tmp_path / "killed"))
    with pytest.raises(ValueError, match="other settings: space"):
        bert_tf.search(reviews, resume=True, **{**arguments(tiny, tmp_path, tmp_path / "killed"), "batch_size": 6})
    epochs_run = []
    after = backup.Backup.on_epoch_end

    class Counting(backup.Backup):
        def on_epoch_end(self, epoch, logs=None):
            epochs_run.append((self.folder.name, epoch))
            after(self, epoch, logs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hypermodel, "Backup", Counting)
        resumed = bert_tf.search(reviews, resume=True, **arguments(tiny, tmp_path, tmp_path / "killed"))
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert epochs_run[0] == ("trial_6", 2)
    assert {name for name, _ in epochs_run} == {"trial_6", "trial_7"}
    for first, second in zip(straight.trials, resumed.trials, strict=True):
        assert {k: v for k, v in first.items() if k != "seconds"} == pytest.approx(
            {k: v for k, v in second.items() if k != "seconds"}, abs=1e-6
        )
    assert straight.best["trial"] == resumed.best["trial"]


def test_a_finished_search_goes_on_with_more_trials(tiny, reviews, tmp_path):
    given = arguments(tiny, tmp_path, tmp_path / "s")
    bert_tf.search(reviews, **{**given, "max_trials": 3})
    with pytest.raises(FileExistsError, match="finished"):
        bert_tf.search(reviews, resume=True, **{**given, "max_trials": 3})
    assert len(bert_tf.search(reviews, resume=True, **{**given, "max_trials": 5}).trials) == 5


@pytest.mark.parametrize("method", oracles.ORACLES)
def test_a_resumed_oracle_proposes_what_an_unstopped_one_does(tmp_path, method):
    """No training: a trial's score is a function of its values."""

    def proposals(folder, restarts: bool) -> list[dict]:
        found = []
        made = None
        for _ in range(14):
            if made is None or restarts:
                made = oracles.make_oracle(method, "val_loss", 12, 9, seed=0)
                made._set_project_dir(str(tmp_path), folder)
                made.hyperparameters.Choice("batch_size", [16, 32])
                made.hyperparameters.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3)
                if found:
                    made.reload()
            trial = made.create_trial("tuner0")
            if trial.status == "STOPPED":
                break
            found.append(dict(trial.hyperparameters.values))
            score = (np.log10(trial.hyperparameters.values["learning_rate"]) + 3.3) ** 2
            made.update_trial(trial.trial_id, {"val_loss": score})
            trial.status = "COMPLETED"
            made.end_trial(trial)
            made.save()
        return found

    straight = proposals("straight", restarts=False)
    assert len(straight) == 12
    assert {straight[0]["batch_size"], straight[0]["learning_rate"]} == {16, 1e-3}  # the defaults
    assert proposals("restarted", restarts=True) == straight


# Several processes


def test_an_oracle_takes_back_the_trial_of_a_silent_worker(tmp_path):
    made = oracles.make_oracle("random", "val_loss", 2, 3, seed=0)
    made._set_project_dir(str(tmp_path), "s")
    made.hyperparameters.Float("learning_rate", 1e-4, 1e-2)
    made.lease = 0.2
    first, second = made.create_trial("a"), made.create_trial("b")
    assert made.create_trial("c").status == "IDLE"  # nothing is left, but a and b may die
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        made.heard(second.trial_id)
        time.sleep(0.05)
    again = made.create_trial("c")
    assert again.trial_id == first.trial_id
    for trial in (again, first, second):  # the one given up ends as well: it counts once
        made.update_trial(trial.trial_id, {"val_loss": 1.0})
        trial.status = "COMPLETED"
        made.end_trial(trial)
    assert sorted(made.end_order) == sorted([first.trial_id, second.trial_id])
    assert made.create_trial("c").status == "STOPPED"


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def test_chief_and_two_workers_one_of_which_dies(tiny, reviews, tmp_path):
    file = tmp_path / "train.csv"
    lines = [f'"{text}",{label}' for text, label in zip(reviews["text"], reviews["label"], strict=True)]
    file.write_text("\n".join(["text,label", *lines]))
    out = tmp_path / "s"
    command = [
        sys.executable, "-m", "bert_tf.cli", "search", "--train", str(file), "--checkpoint", str(tiny), "--max-trials", "12",
        "--epochs", "60", "--early-stopping", "never", "--output-dir", str(out), "--cache-dir", str(tmp_path / "cache"),
        "--address", f"127.0.0.1:{free_port()}", "--lease", "4",
    ]  # fmt: skip

    def start(*role):
        with (tmp_path / f"{role[-1]}.log").open("w") as log:
            return subprocess.Popen([*command, *role], stdout=log, stderr=subprocess.STDOUT)

    chief = start("--chief")
    workers = [start("--worker", "one"), start("--worker", "two")]
    try:
        until = time.monotonic() + 120
        # Once two trials run, one of which has an epoch behind it, the worker of it dies.
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


# The space


def test_learning_rates_fit_their_depth(tiny, reviews, tmp_path):
    made = ClassifierHyperModel(reviews, unfreeze=[0, 1, "all"], verbose=False, **options(tiny, tmp_path))
    hp = keras_tuner.HyperParameters()
    assert made.values(hp)["learning_rate"] == 1e-3
    hp.values["unfreeze"] = "all"
    hp.ensure_active_values()
    assert 1e-5 <= made.values(hp)["learning_rate"] <= 3e-4
    assert made.values(hp)["unfreeze"] == "all"
    space = made.settings()["space"]
    assert space["learning_rate_frozen"] == {"lowest": 1e-4, "highest": 1e-2}
    assert space["learning_rate_unfrozen"] == {"lowest": 1e-5, "highest": 3e-4}
    assert made.remarks() == []


def test_a_learning_rate_far_off_is_remarked(tiny, reviews, tmp_path, capsys):
    made = ClassifierHyperModel(
        reviews, unfreeze=[0, 1], learning_rate=(1e-5, 1e-2), verbose=False, **options(tiny, tmp_path)
    )
    remarks = " ".join(made.remarks())
    assert "1e-05 is very small" in remarks
    assert "0.01 is very large" in remarks
    bert_tf.finetune(reviews, checkpoint=tiny, output_dir=tmp_path / "f", learning_rate=1e-6, epochs=1)
    assert "about 1e-3 suits a frozen base" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"learning_rate": (0.1, 0.01)}, "learning_rate.*lowest, highest"),
        ({"learning_rate": -1.0}, "learning_rate.*greater than 0"),
        ({"batch_size": [16, 16]}, "batch_size.*different"),
        ({"batch_size": 1.5}, "number of texts"),
        ({"dropout": 1.0}, "dropout.*below 1"),
        ({"warmup": [0.0, 1.0]}, "warmup.*below 1"),
        ({"weight_decay": "much"}, "weight_decay.*numbers"),
        ({"unfreeze": (0, 2)}, "one value or a list"),
        ({"unfreeze": 9}, "0 to 3"),
        ({"unfreeze": [0, 9]}, "0 to 3"),
        ({"optimizer": "adma"}, "adma"),
        ({"objective": "f1"}, "objective"),
        ({"schedule": "cosine"}, "schedule"),
        ({"tuner": "best"}, "random, bayesian"),
        ({"max_trials": 0}, "max_trials"),
        ({"chief": True, "worker": "one"}, "chief or a worker"),
        ({"worker": "chief2"}, "without 'chief'"),
        ({"chief": True, "address": "7077"}, "HOST:PORT"),
    ],
)
def test_wrong_arguments_are_named(tiny, reviews, tmp_path, wrong, message):
    given = {**options(tiny, tmp_path), "output_dir": tmp_path / "s", "verbose": False, **wrong}
    with pytest.raises(ValueError, match=message):
        bert_tf.search(reviews, **given)
    assert not (tmp_path / "s").exists()


def test_wrong_use_by_a_tuner_is_named(tiny, reviews, tmp_path):
    made = ClassifierHyperModel(reviews, epochs=2, verbose=False, **options(tiny, tmp_path))
    tuner = keras_tuner.RandomSearch(made, "val_loss", max_trials=1, directory=tmp_path, project_name="a")
    with pytest.raises(ValueError, match="without any"):
        tuner.search(x=[1], verbose=0)
    tuner = keras_tuner.Hyperband(made, "val_loss", max_epochs=9, directory=tmp_path, project_name="b")
    tuner.oracle.populate_space = lambda trial_id: {
        "status": "RUNNING", "values": {"tuner/epochs": 9, "tuner/initial_epoch": 3},
    }  # fmt: skip
    with pytest.raises(ValueError, match="max_epochs=2"):
        tuner.search(verbose=0)


def test_the_best_are_ranked_and_the_earlier_of_equals_wins():
    rows = [{"trial": str(i), "status": "finished", "val_accuracy": a} for i, a in enumerate((0.5, 0.8, 0.8))]
    rows.append({"trial": "3", "status": "failed", "val_accuracy": 0.9})
    assert [row["trial"] for row in results.ranked(rows, "val_accuracy")] == ["1", "2", "0"]
    assert issubclass(SearchFailedError, ValueError)
