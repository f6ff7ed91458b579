"""The whole job: what it leaves, what it says, how it goes on after a kill, what it refuses."""

import csv
import json
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import bert_tf
from bert_tf import terminal
from bert_tf.backends.epochs import wants_epochs_only
from bert_tf.checkpoints import weights
from bert_tf.data import tokenizer
from bert_tf.evaluation import history
from bert_tf.features import extract
from bert_tf.inference import predict
from bert_tf.training import job, shown
from bert_tf.training.backup import Backup


def settings(tiny, folder, **more) -> dict:
    return {
        "recipe": "plain",
        "checkpoint": tiny,
        "output_dir": folder,
        "epochs": 2,
        "batch_size": 5,
        "max_length": 24,
        "verbose": 0,
        **more,
    }


def test_it_leaves_what_it_promises(tiny, reviews, tmp_path):
    out = tmp_path / "run"
    done = bert_tf.finetune(reviews, **settings(tiny, out, epochs=3, learning_rate=0.01))
    names = {path.name for path in out.iterdir()}
    assert names == {"report.html", "model", "history.csv", "metrics.json", "curves.png", "tensorboard", "run.json"}
    assert list((out / "tensorboard").rglob("events.out.tfevents.*"))
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    for name, values in done.history.items():
        assert [float(row[name]) for row in rows] == values
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(done.metrics))
    best = metrics["best_epoch"]
    assert done.history["val_loss"][best - 1] == min(done.history["val_loss"]) == metrics["val_loss"]
    assert metrics["train_examples"] == {"negative": 10, "positive": 10}
    assert metrics["validation_examples"] == {"negative": 2, "positive": 2}


@pytest.mark.parametrize("unfreeze", [0, pytest.param("all", marks=pytest.mark.slow)])
def test_the_saved_model_is_that_of_the_best_epoch(tiny, reviews, tmp_path, unfreeze):
    options = settings(tiny, tmp_path / "run", epochs=4, learning_rate=0.05, unfreeze=unfreeze, precision="float32")
    done = bert_tf.finetune(reviews, reviews, **options)
    found = bert_tf.predict(tmp_path / "run/model", reviews["text"])
    assert found.label_names == ("negative", "positive")
    truth = np.array([found.label_names.index(label) for label in reviews["label"]])
    assert (found.probabilities.argmax(1) == truth).mean() == pytest.approx(done.metrics["val_accuracy"])
    loss = -np.log(found.probabilities[np.arange(24), truth]).mean()
    assert loss == pytest.approx(done.metrics["val_loss"], abs=1e-5)


@pytest.mark.slow
def test_what_it_leaves_pytorch_reads(tiny, reviews, tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    bert_tf.finetune(reviews, **settings(tiny, tmp_path / "run", learning_rate=0.01))
    folder = tmp_path / "run/model"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(reviews["text"], padding=True, truncation=True, return_tensors="pt")
    ours = bert_tf.tokenize(reviews["text"], bert_tf.load_tokenizer(folder), 24)
    for i, (row, mask) in enumerate(zip(tokens["input_ids"], tokens["attention_mask"], strict=True)):
        assert row[mask == 1].tolist() == ours[i].tolist()
    with torch.no_grad():
        probabilities = torch.softmax(model(**tokens).logits, -1).numpy()
    np.testing.assert_allclose(bert_tf.predict(folder, reviews["text"]).probabilities, probabilities, atol=1e-4)
    assert model.config.id2label == {0: "negative", 1: "positive"}
    assert tokenizer.model_max_length == 24


def test_it_says_what_freezing_does_and_how_it_ended(tiny, reviews, tmp_path, capsys):
    bert_tf.finetune(reviews, **settings(tiny, tmp_path / "run", unfreeze=1, verbose=2))
    printed = capsys.readouterr().out
    assert "4 of 24 texts are held out" in printed
    assert "the top layer trained" in printed
    for part in ("embeddings", "layer 0", "layer 1", "head", "total"):
        assert part in printed
    assert "Epoch 2/2" in printed
    assert "Kept epoch" in printed


def test_whole_epochs_in_one_call_are_those_of_fit(tiny, reviews, tmp_path, capsys):
    class Steps(keras.callbacks.Callback):
        seen = 0

        def on_train_batch_end(self, batch, logs=None):
            self.seen += 1

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    common = settings(tiny, tmp_path / "whole", epochs=4, learning_rate=0.01, unfreeze=0, report=False, seed=3)
    steps = Steps()
    fit = bert_tf.finetune(reviews, callbacks=[steps], **common | {"output_dir": tmp_path / "fit"})
    assert steps.seen == 4 * 4
    with pytest.raises(KeyboardInterrupt):
        bert_tf.finetune(reviews, callbacks=[Stop()], **common)
    capsys.readouterr()
    whole = bert_tf.finetune(reviews, resume=True, **common | {"verbose": 2})
    printed = capsys.readouterr().out
    assert "Resumed after epoch 2 of 4." in printed
    assert "Epoch 3/4\n4/4 - " in printed
    assert "Epoch 2/4" not in printed
    assert whole.history.keys() == fit.history.keys()
    for name, values in fit.history.items():
        np.testing.assert_allclose(whole.history[name], values, atol=1e-6, err_msg=name)
    assert whole.metrics["best_epoch"] == fit.metrics["best_epoch"]
    assert len((tmp_path / "whole/history.csv").read_text().splitlines()) == 5
    assert list((tmp_path / "whole/tensorboard").rglob("events.out.tfevents.*"))


@pytest.mark.parametrize("name", ["on_train_batch_end", "on_test_begin"])
def test_a_callback_between_the_steps_needs_fit(name):
    assert wants_epochs_only(keras.callbacks.LambdaCallback(on_epoch_end=print))
    assert not wants_epochs_only(type("Mine", (keras.callbacks.EarlyStopping,), {name: lambda *_: None})())
    assert not wants_epochs_only(keras.callbacks.LambdaCallback(on_train_batch_begin=print))


def test_it_says_what_is_wrong_with_the_data(tiny, reviews, tmp_path, capsys):
    file = tmp_path / "data.csv"
    rows = [f'"{text}",{label},5\n' for text, label in zip(reviews["text"], reviews["label"], strict=True)]
    file.write_bytes(
        "".join(["review,label,stars\n", *rows, '"na\u00efve",mixed,3\n', ",positive,1\n"]).encode("cp1252")
    )
    stop = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: None)  # one, not a list
    options = settings(tiny, tmp_path / "run", epochs=1, learning_rate=1e-9, report=False, verbose=2, callbacks=stop)
    done = bert_tf.finetune(file, on_bad_rows="skip", **options)
    printed = capsys.readouterr().out
    assert "read as cp1252 (Windows), as 'na\u00efve' in line 26" in printed
    assert "1 of 26 rows skipped: row 26 (line 27): the text (column 'review') is empty" in printed
    assert "text: 'review', label: 'label' (not used: 'stars')" in printed
    assert "No validation text has the label 'mixed' (1 for training)" in printed
    assert done.metrics["train_examples"]["mixed"] == 1
    assert "never predicted, though" in printed
    assert "has 0.500 right" in printed


KILLED = """
import os, signal, sys
import keras
import bert_tf

class Kill(keras.callbacks.Callback):
    epoch = 0
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 4 and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)

train, tiny, out = sys.argv[1:]
bert_tf.finetune(train, checkpoint=tiny, output_dir=out, epochs=10, batch_size=4, max_length=24, learning_rate=0.01,
                 unfreeze=1, recipe="plain", callbacks=[Kill()], verbose=0)
"""


@pytest.mark.slow
def test_killed_and_resumed_is_as_never_killed(tiny, reviews, tmp_path):
    """SIGKILL in the middle of epoch 5 of 10, with dropout in frozen and in trained layers."""
    train = tmp_path / "train.csv"
    with train.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(reviews["text"], reviews["label"], strict=True)])
    options = {
        "epochs": 10, "batch_size": 4, "max_length": 24, "learning_rate": 0.01, "unfreeze": 1, "verbose": 0,
        "checkpoint": str(tiny), "recipe": "plain",
    }  # fmt: skip
    straight = bert_tf.finetune(str(train), output_dir=tmp_path / "straight", **options)

    killed = tmp_path / "killed"
    process = subprocess.run([sys.executable, "-c", KILLED, str(train), str(tiny), str(killed)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "metrics.json").exists()
    assert len((killed / "history.csv").read_text().splitlines()) == 5  # the header and four epochs
    with pytest.raises(FileExistsError, match=r"resume=True \(--resume\)"):
        bert_tf.finetune(str(train), output_dir=killed, **options)
    with pytest.raises(ValueError, match=r"learning_rate \(0.01 then, 0.02 now\)"):
        bert_tf.finetune(str(train), output_dir=killed, resume=True, **{**options, "learning_rate": 0.02})
    other = shutil.copytree(tiny, tmp_path / "other")
    changed = weights.read_tensors(other)
    weights.write_tensors(other, {name: array + 1 for name, array in changed.items()})
    with pytest.raises(ValueError, match="checkpoint_fingerprint"):
        bert_tf.finetune(str(train), output_dir=killed, resume=True, **{**options, "checkpoint": str(other)})
    resumed = bert_tf.finetune(str(train), output_dir=killed, resume=True, **options)
    assert resumed.history.keys() == straight.history.keys()
    for name, values in straight.history.items():
        np.testing.assert_allclose(resumed.history[name], values, atol=1e-6)
    assert resumed.metrics["best_epoch"] == straight.metrics["best_epoch"]
    for ours, theirs in zip(resumed.model.weights, straight.model.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    with pytest.raises(FileExistsError, match="this run is finished"):
        bert_tf.finetune(str(train), output_dir=killed, resume=True, **options)


def test_overwrite_replaces_the_run_and_nothing_else(tiny, reviews, tmp_path):
    out = tmp_path / "run"
    bert_tf.finetune(reviews, **settings(tiny, out))
    (out / "notes.txt").write_text("mine")
    bert_tf.finetune(reviews, **settings(tiny, out, epochs=1, overwrite=True))
    assert len((out / "history.csv").read_text().splitlines()) == 2
    assert (out / "notes.txt").read_text() == "mine"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    with pytest.raises(FileExistsError, match="not a run of bert_tf"):
        bert_tf.finetune(reviews, **settings(tiny, other, overwrite=True))


def test_early_stopping_and_callbacks(tiny, reviews, tmp_path):
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    options = settings(tiny, tmp_path / "run", epochs=30, learning_rate=0.3, early_stopping=2, callbacks=[callback])
    done = bert_tf.finetune(reviews, reviews, **options)
    assert done.metrics["epochs"] == done.metrics["best_epoch"] + 2 < 30
    assert len(seen) == done.metrics["epochs"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run(tiny, reviews, tmp_path):
    first, again, other = (
        bert_tf.finetune(reviews, **settings(tiny, tmp_path / f"{i}", seed=seed, epochs=1)).history
        for i, seed in enumerate((3, 3, 4))
    )
    assert first == again
    assert first != other


def test_a_head_is_kept_for_the_same_labels_and_refused_for_others(tiny, reviews, tmp_path):
    bert_tf.finetune(reviews, **settings(tiny, tmp_path / "first", learning_rate=0.05))
    trained = tmp_path / "first/model"
    again = bert_tf.finetune(reviews, reviews, **settings(trained, tmp_path / "second", epochs=1, learning_rate=1e-9))
    np.testing.assert_allclose(
        again.model.classifier.kernel, weights.read_tensors(trained)["classifier.weight"].T, atol=1e-6
    )
    other = {"text": reviews["text"], "label": (["a", "b", "c"] * 8)}
    with pytest.raises(ValueError, match=r"head for 2 labels \(negative, positive\), the data has 3.*--new-head"):
        bert_tf.finetune(other, **settings(trained, tmp_path / "third"))
    assert not (tmp_path / "third").exists()
    done = bert_tf.finetune(other, **settings(trained, tmp_path / "third", new_head=True))
    assert done.model.num_labels == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_length": 257}, "between 3 and 256"),
        ({"unfreeze": 4}, "0 to 2"),
        ({"epochs": 0}, "epochs=0"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"text_column": "words"}, "no column 'words'"),
        ({"checkpoint": "./nowhere"}, "no such checkpoint folder"),
        ({"overwrite": True, "resume": True}, "exclude each other"),
        ({"optimizer": "magic"}, "magic"),
    ],
)
def test_wrong_settings_leave_nothing_behind(tiny, reviews, tmp_path, change, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        bert_tf.finetune(reviews, **settings(tiny, tmp_path / "run", **change))
    assert list(tmp_path.iterdir()) == []


def test_divergence_is_said(tiny, reviews, tmp_path):
    class Poison(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.classifier.bias.assign([np.nan, np.nan])

    with pytest.raises(ValueError, match="training diverged"):
        bert_tf.finetune(reviews, **settings(tiny, tmp_path / "run", callbacks=[Poison()]))


def test_a_damaged_state_is_named(tmp_path, tiny):
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny)
    model.compile("adam")
    (tmp_path / "last.safetensors").write_bytes(b"cut")
    with pytest.raises(ValueError, match="last.safetensors: damaged"):
        Backup(tmp_path).restore(model)


def test_the_best_epoch_is_the_earlier_of_equals():
    assert history.best_epoch({"val_loss": [0.5, 0.3, 0.3]}) == 2
    assert history.best_epoch({"val_accuracy": [0.5, 0.7, 0.7]}, "val_accuracy") == 2
    assert history.best_epoch({"val_loss": [float("nan"), 0.4]}) == 2


def test_a_hopeless_run_stops_at_once(tmp_path):
    backup = Backup(tmp_path)
    backup.history = {"val_loss": [float("nan")]}
    assert backup.should_stop
    backup.history = {"val_loss": [0.5, float("nan")]}
    assert not backup.should_stop
    backup.early_stopping = 1
    assert backup.should_stop


def test_overwrite_does_not_remove_what_it_starts_from(tiny, reviews, tmp_path):
    bert_tf.finetune(reviews, **settings(tiny, tmp_path / "run", epochs=1))
    with pytest.raises(ValueError, match="is inside the output folder that overwrite would delete"):
        bert_tf.finetune(reviews, **settings(tmp_path / "run/model", tmp_path / "run", overwrite=True))
    assert (tmp_path / "run/model/model.safetensors").exists()


def test_a_frozen_base_without_its_pooler_is_refused(minilm_bert, reviews, tmp_path):
    folder = tmp_path / "no-pooler"
    tensors = {
        name: array for name, array in weights.read_tensors(minilm_bert).items() if not name.startswith("pooler")
    }
    folder.mkdir()
    weights.write_tensors(folder, tensors)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((minilm_bert / name).read_bytes())
    with pytest.raises(ValueError, match="has no pooler"):
        bert_tf.finetune(reviews, **settings(folder, tmp_path / "run"))


def test_metrics_of_callbacks_are_kept(tiny, reviews, tmp_path):
    class Extra(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["extra"] = epoch * 2.0

    done = bert_tf.finetune(reviews, **settings(tiny, tmp_path / "run", callbacks=[Extra()]))
    assert done.history["extra"] == [0.0, 2.0]
    assert "extra" in (tmp_path / "run/history.csv").read_text().splitlines()[0]


@pytest.mark.parametrize("batch_size", [0, -1])
def test_predict_refuses_batches_of_nothing(tiny, batch_size):
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny, num_labels=2)
    with pytest.raises(ValueError, match=f"batch_size={batch_size}"):
        bert_tf.predict(model, ["good"], bert_tf.load_tokenizer(tiny), batch_size=batch_size)


def test_features_have_a_progress_bar_under_either_head(tiny, reviews, tmp_path, monkeypatch):
    asked = []

    def watched(*arguments, progress, **options):
        asked.append(progress)
        return extract(*arguments, progress=progress, **options)

    monkeypatch.setattr(job, "extract", watched)
    options = {"head": "layer_means", "epochs": 1, "report": False}
    bert_tf.finetune(reviews, **settings(tiny, tmp_path / "shown", verbose=2, **options))
    assert asked == [True, True]  # what the head standardises by, then the features
    monkeypatch.setattr(terminal, "_open", lambda bar: pytest.fail(f"{bar.title} is shown"))
    monkeypatch.setattr(tokenizer, "SHOW_PROGRESS_FROM", 1)
    monkeypatch.setattr(predict, "SHOW_PROGRESS_FROM", 1)
    bert_tf.finetune(reviews, test=reviews, **settings(tiny, tmp_path / "silent", verbose=0, **options))
    assert asked[2:] == [False, False]


def test_what_a_budget_cuts_short_is_not_counted():
    bar, pace = terminal.Bar("Training", 20, "step", shown=False), SimpleNamespace(total=20)
    epochs = shown._Epochs(bar, 10, pace, lambda text: None)
    epochs.on_epoch_begin(0)
    epochs.on_epoch_end(0)  # nothing was told of its steps
    assert (bar.done, bar.total) == (10, 20)
    epochs.on_epoch_begin(1)
    pace.total = 13
    for batch in range(3):
        epochs.on_train_batch_end(batch)
    epochs.on_epoch_end(1)
    assert (bar.done, bar.total) == (13, 13)


def test_a_damaged_run_says_how_to_go_on(tiny, reviews, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text('{"epochs": 3')
    with pytest.raises(ValueError, match=r"run.json: not valid JSON.*Start anew with overwrite=True \(--overwrite\)"):
        bert_tf.finetune(reviews, **settings(tiny, tmp_path / "run", resume=True))
    bert_tf.finetune(reviews, **settings(tiny, tmp_path / "run", overwrite=True, epochs=1, report=False))
    assert (tmp_path / "run/metrics.json").is_file()
