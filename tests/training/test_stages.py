"""The auto recipe: what each stage leaves, which one is kept, what a budget plans."""

import csv
import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import bert_tf
from bert_tf.cli import main
from bert_tf.evaluation import scores
from bert_tf.features.extraction import extract
from bert_tf.settings import FINETUNE
from bert_tf.tasks.task import task_of
from bert_tf.training import job as jobs
from bert_tf.training import stages, testing
from bert_tf.training.job import prepare
from bert_tf.training.optimizer import learning_rate_now
from bert_tf.training.solver import solve


def options(tiny, folder, **more) -> dict:
    return {"checkpoint": tiny, "output_dir": folder, "batch_size": 5, "max_length": 24, "verbose": 0, "precision": "float32",
            "epochs": 2, **more}  # fmt: skip


def losses(folder, reviews) -> tuple[float, float]:
    """Returns log loss and accuracy of a saved model."""
    found = bert_tf.predict(folder, reviews["text"])
    labels = np.array([found.label_names.index(label) for label in reviews["label"]])
    return scores.log_loss(labels, found.probabilities.astype("float64")), float(
        (found.probabilities.argmax(1) == labels).mean()
    )


class Watch(keras.callbacks.Callback):
    """Keeps what the saved model of stage 1 says when stage 2 begins."""

    def __init__(self, folder, texts):
        super().__init__()
        self.folder, self.texts = folder, texts

    def on_train_begin(self, logs=None):
        self.probabilities = bert_tf.predict(self.folder / "model", self.texts).probabilities


def test_the_first_stage_is_saved_before_the_second_and_kept_if_that_is_worse(tiny, reviews, tmp_path):
    watch = Watch(tmp_path / "run", reviews["text"])
    done = bert_tf.finetune(reviews, reviews, callbacks=[watch], **options(tiny, tmp_path / "run", learning_rate=5.0))
    solved, trained = done.metrics["stages"]
    assert trained["val_loss"] > solved["val_loss"]
    assert done.metrics["best_epoch"] is None
    assert done.metrics["val_loss"] == solved["val_loss"]
    page = (tmp_path / "run/report.html").read_text()
    assert "kept: epoch" not in page
    assert "was kept because it did best" not in page
    assert "The better stage was chosen by these same texts" in page
    kept = bert_tf.predict(tmp_path / "run/model", reviews["text"]).probabilities
    np.testing.assert_allclose(kept, watch.probabilities, atol=1e-6)
    assert losses(tmp_path / "run/model", reviews) == pytest.approx(
        (solved["val_loss"], solved["val_accuracy"]), abs=1e-4
    )


@pytest.mark.slow
def test_the_second_stage_is_kept_if_it_is_better_and_its_numbers_are_the_saved_models(tiny, reviews, tmp_path):
    folder = tmp_path / "run"
    done = bert_tf.finetune(reviews, reviews, **options(tiny, folder, learning_rate=2e-3, epochs=6))
    solved, trained = done.metrics["stages"]
    assert trained["val_loss"] < solved["val_loss"]
    assert (done.metrics["best_epoch"], done.metrics["last_kept"]) == (6, True)
    assert done.history[stages.MONITOR][-1] == pytest.approx(trained["val_loss"], abs=1e-4)
    assert losses(folder / "model", reviews) == pytest.approx((trained["val_loss"], trained["val_accuracy"]), abs=1e-4)
    assert done.metrics["temperature"] != 1
    assert "solved head" in (folder / "report.html").read_text()


class Shift(keras.callbacks.Callback):
    """Makes the model worse by a bias that grows with each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        bias = self.model.classifier.bias
        bias.assign(bias + np.array([1.0, 0.0], "float32") * (epoch > 0))


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({}, 3),
        ({"schedule": "constant"}, 1),
        ({"early_stopping": 1}, 1),
        ({"early_stopping": 3}, 3),
        ({"callbacks": [keras.callbacks.EarlyStopping("loss", min_delta=10.0, patience=1)]}, 1),
    ],
)
def test_the_last_epoch_is_kept_if_the_learning_rate_has_fallen_to_0_there(tiny, reviews, tmp_path, more, kept):
    more, folder = {**more, "callbacks": [Shift(), *more.get("callbacks", ())]}, tmp_path / "run"
    chosen = options(tiny, folder, epochs=3, report=False, learning_rate=1e-4) | more
    done = bert_tf.finetune(reviews, reviews, **chosen)
    curve = done.history[stages.MONITOR]
    assert curve.index(min(curve)) == 0
    trained = done.metrics["stages"][-1]
    assert trained["val_loss"] == pytest.approx(curve[kept - 1], abs=1e-4)


def test_layers_are_trained_from_the_last_layers_head(tiny, reviews):
    job = prepare(reviews, reviews, settings=FINETUNE.settings(checkpoint=tiny, max_length=24, precision="float32"))
    rows, width = stages.standardised_rows(job, False, print), job.model.encoder.hidden_size
    head = stages.starting_head(job, rows)
    assert not head.kernel[:-width].any()
    alone = solve(rows[: len(job.train), -width:], job.train.labels, job.model.num_labels, job.settings.training.seed)
    np.testing.assert_array_equal(head.kernel[-width:], alone.kernel)
    np.testing.assert_array_equal(head.bias, alone.bias)


def test_both_heads_are_solved_on_features_that_are_computed_once(tiny, reviews, tmp_path, monkeypatch):
    computed = []

    def counted(*args, **options):
        computed.append(extract(*args, **options))
        return computed[-1]

    monkeypatch.setattr(jobs, "extract", counted)
    chosen = options(tiny, tmp_path / "run", epochs=1, report=False, cache=False)
    assert len(bert_tf.finetune(reviews, reviews, **chosen).metrics["stages"]) == 2
    assert len(computed) == 1


def test_overwriting_does_not_delete_the_first_stage(tiny, reviews, tmp_path):
    watch = Watch(tmp_path / "run", reviews["text"])
    chosen = options(tiny, tmp_path / "run", learning_rate=5.0, report=False)
    done = bert_tf.finetune(reviews, reviews, callbacks=[watch], overwrite=True, **chosen)
    assert done.metrics["best_epoch"] is None
    kept = bert_tf.predict(tmp_path / "run/model", reviews["text"]).probabilities
    np.testing.assert_allclose(kept, watch.probabilities, atol=1e-6)


class Diverge(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.classifier.bias.assign(self.model.classifier.bias * np.nan)


def test_training_that_diverges_leaves_the_first_stage(tiny, reviews, tmp_path, capsys):
    chosen = options(tiny, tmp_path / "run", callbacks=[Diverge()], early_stopping=2, verbose=2)
    done = bert_tf.finetune(reviews, reviews, **chosen)
    (solved,) = done.metrics["stages"]
    assert losses(tmp_path / "run/model", reviews) == pytest.approx(
        (solved["val_loss"], solved["val_accuracy"]), abs=1e-4
    )
    assert done.metrics["overfitting"]["kind"] == "diverged"
    assert "Stopped after epoch 1: no epoch has a finite val_calibrated_loss." in capsys.readouterr().out


def test_with_a_frozen_base_nothing_is_trained_by_epochs(tiny, reviews, tmp_path):
    chosen = options(tiny, tmp_path / "run", unfreeze=0, epochs=None)
    others = {**reviews, "text": [f"new: {text}" for text in reviews["text"]]}
    done = bert_tf.finetune(reviews, reviews, test=others, **chosen)
    assert done.history == {}
    assert not (tmp_path / "run/curves.png").exists()
    assert (tmp_path / "run/report.html").is_file()
    (solved,) = done.metrics["stages"]
    assert losses(tmp_path / "run/model", reviews) == pytest.approx(
        (solved["val_loss"], solved["val_accuracy"]), abs=1e-4
    )
    test = json.loads((tmp_path / "run/metrics.json").read_text())["test"]
    assert test["scores"]["accuracy"]["value"] == pytest.approx(losses(tmp_path / "run/model", others)[1])
    assert "nothing was chosen by" in (tmp_path / "run/report.html").read_text()


def test_test_texts_are_scored_by_slices(tiny, reviews, tmp_path, capsys):
    languages = ["en", "de", "en"] * 8
    test = {**reviews, "lang": languages}
    chosen = options(tiny, tmp_path / "run", unfreeze=0, epochs=None, verbose=2)
    done = bert_tf.finetune(reviews, reviews, test=test, by=["lang", "length"], **chosen)
    found = done.metrics["test"]
    english, german = found["slices"]["lang"]
    assert [(row["slice"], row["texts"]) for row in (english, german)] == [("en", 16), ("de", 8)]
    whole = (2 * english["accuracy"]["value"] + german["accuracy"]["value"]) / 3
    assert whole == pytest.approx(found["scores"]["accuracy"]["value"])
    assert sum(row["texts"] for row in found["slices"]["length"]) == 24
    page, said = (tmp_path / "run/report.html").read_text(), capsys.readouterr().out
    assert "\nOn the validation texts: " in said  # beside what is said of the test texts
    assert "by lang" in page
    assert "--by lang,length" in page
    assert "\nde" in said
    assert "by lang" not in (tmp_path / "run/model/README.md").read_text()  # a card holds nothing of the data
    with pytest.raises(ValueError, match="`by` slices the test texts"):
        bert_tf.finetune(reviews, by="lang", **options(tiny, tmp_path / "none"))
    with pytest.raises(ValueError, match="no column 'language'"):
        bert_tf.finetune(reviews, test=test, by="language", **options(tiny, tmp_path / "none"))


def test_epochs_of_a_frozen_base_are_trained(tiny, reviews, tmp_path):
    done = bert_tf.finetune(reviews, **options(tiny, tmp_path / "run", unfreeze=0, report=False))
    assert len(done.history["val_loss"]) == 2
    assert "stages" not in done.metrics
    assert done.model.head == "layer_means"


def test_what_the_test_texts_say_is_checked_first(tiny, reviews, tmp_path):
    other = {"text": ["fine"], "label": ["lukewarm"]}
    with pytest.raises(ValueError, match="unknown labels 'lukewarm'"):
        bert_tf.finetune(reviews, test=other, **options(tiny, tmp_path / "run"))
    with pytest.raises(ValueError, match='`budget` needs recipe="auto"'):
        bert_tf.finetune(reviews, budget=60, recipe="plain", **options(tiny, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_budget_that_is_over_leaves_the_first_stage(tiny, reviews, tmp_path, capsys):
    chosen = options(tiny, tmp_path / "run", epochs=None, verbose=2, report=False)
    done = bert_tf.finetune(reviews, budget=0.1, **chosen)
    assert [stage["stage"] for stage in done.metrics["stages"]] == ["solved head"]
    assert "The budget leaves no time to train the layers." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("done", "left", "expected"),
    [
        (0, 1000.0, 30),  # all of 3 epochs of 10
        (0, 26.0, 20),  # 2 epochs of 10 seconds, and 3 for each validation
        (0, 20.0, 14),  # an epoch, and 4 batches with their validation
        (8, 6.0, 10),  # the rest of the first epoch and its validation
        (8, 4.0, 9),
        (8, 0.0, 8),
    ],
)
def test_as_many_batches_are_planned_as_fit(done, left, expected):
    assert stages.planned(done, batches=10, epochs=3, each=1.0, measuring=3.0, left=left) == expected


def test_what_a_budget_plans_ends_with_a_learning_rate_of_0(tiny, reviews, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "planned", lambda *given: 12)  # steps, of 5 an epoch
    chosen = options(tiny, tmp_path / "run", epochs=None, report=False)
    done = bert_tf.finetune(reviews, reviews, budget=600, **chosen)
    assert (len(done.history["loss"]), int(done.model.optimizer.iterations)) == (3, 12)
    assert learning_rate_now(done.model) == 0


def interrupted(*given):
    raise KeyboardInterrupt


class Interrupt(keras.callbacks.Callback):
    """Ctrl-C in the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def test_a_plan_that_was_carried_out_is_not_trained_again(tiny, reviews, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "planned", lambda *given: 12)  # steps, of 5 an epoch
    chosen = options(tiny, tmp_path / "run", epochs=None, report=False, budget=600)
    with monkeypatch.context() as patched:
        patched.setattr(testing, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bert_tf.finetune(reviews, reviews, test=reviews, **chosen)
    done = bert_tf.finetune(reviews, reviews, test=reviews, resume=True, **chosen)
    assert (len(done.history["loss"]), int(done.model.optimizer.iterations)) == (3, 12)
    assert done.metrics["last_kept"] or done.metrics["best_epoch"] is None
    assert [stage["stage"] for stage in done.metrics["stages"]] == ["solved head", "3 epochs of training"]


def test_a_budget_that_is_over_when_a_run_is_resumed_leaves_its_epochs(tiny, reviews, tmp_path, capsys):
    chosen = options(tiny, tmp_path / "run", epochs=None)
    with pytest.raises(KeyboardInterrupt):
        bert_tf.finetune(reviews, reviews, budget=600, callbacks=[Interrupt()], **chosen)
    done = bert_tf.finetune(reviews, reviews, budget=0.1, resume=True, **chosen | {"verbose": 2})
    assert "The budget leaves no time" in capsys.readouterr().out
    assert len(done.history["loss"]) == 1
    assert [stage["stage"] for stage in done.metrics["stages"]] == ["solved head", "1 epoch of training"]
    page = (tmp_path / "run/report.html").read_text()
    assert "seconds since it was resumed" in page
    assert "--budget 0.1" in page
    assert done.metrics["settings"]["budget"] == 0.1
    assert done.metrics["settings"]["epochs"] is None


def test_what_was_set_for_epochs_that_are_not_trained_is_said_and_not_shown(tiny, reviews, tmp_path, capsys):
    chosen = options(tiny, tmp_path / "run", unfreeze=0, epochs=None, report=False, verbose=2)
    done = bert_tf.finetune(reviews, reviews, learning_rate=1e-9, budget=60, **chosen)
    said = capsys.readouterr().out
    assert "so `batch_size`, `learning_rate`, `budget` will do nothing" in said
    assert "barely learns" not in said
    assert {done.metrics["settings"][name] for name in ("learning_rate", "optimizer", "dropout")} == {None}


def test_early_stopping_says_that_it_has_stopped(tiny, reviews, tmp_path, capsys, monkeypatch):
    def rising(self, epoch, logs):
        logs |= dict.fromkeys(("val_loss", stages.MONITOR), float(epoch))

    monkeypatch.setattr(stages.Validation, "on_epoch_end", rising)
    chosen = options(tiny, tmp_path / "run", epochs=5, report=False, verbose=2)
    done = bert_tf.finetune(reviews, reviews, early_stopping=2, **chosen)
    assert len(done.history["loss"]) == 3
    expected = "Stopped after epoch 3: calibrated loss of the validation texts has not improved since epoch 1."
    assert expected in capsys.readouterr().out


def test_test_texts_that_were_learnt_from_are_named(tiny, reviews, tmp_path, capsys):
    test = {**reviews, "text": [f"{text} {i}" for i, text in enumerate(reviews["text"])]}
    train, validation = (
        {name: values[part] for name, values in test.items()} for part in (slice(0, 24, 2), slice(1, 24, 4))
    )
    chosen = options(tiny, tmp_path / "run", unfreeze=0, epochs=None, verbose=2)
    done = bert_tf.finetune(train, validation, test=test, **chosen)
    (remark,) = done.metrics["test"]["remarks"]
    assert "of the 24 test texts 12 are among the training texts and 6 are among the validation texts: a leak" in remark
    assert remark in capsys.readouterr().out
    page = (tmp_path / "run/report.html").read_text()
    assert "a leak, so the scores" in page
    assert "expect lower numbers on new texts" in page
    assert "nothing was chosen by" not in page


@pytest.mark.parametrize(("epochs", "words"), [(1, "1 epoch, 8 steps"), (3, "3 epochs, 24 steps")])
def test_the_plan_is_said_after_a_few_batches(epochs, words):
    lines = []
    validation = SimpleNamespace(seconds=0.0, job=SimpleNamespace(validation=range(4), texts_to_learn=16))
    pace = stages.Pace(8, epochs, validation, None, 0.0, None, lines.append)
    pace.on_epoch_begin(0)
    for batch in range(stages.PROBE[1]):
        pace.on_train_batch_end(batch)
    assert [line.split(":")[0] for line in lines] == [f"Training for {words}"]


def test_calibrated_logits_rank_as_before(tiny):
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny, num_labels=2)
    ids = np.arange(1, 41).reshape(8, 5)
    logits = np.asarray(model(ids).logits)
    labels = np.array([0, 1] * 4)
    temperature = stages.calibrate(model, task_of("classification"), labels, logits)
    np.testing.assert_allclose(np.asarray(model(ids).logits) * temperature, logits, atol=1e-5)


KILLED = """
import os, signal, sys
import keras
import bert_tf

class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1 and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)

train, tiny, out = sys.argv[1:]
bert_tf.finetune(train, checkpoint=tiny, output_dir=out, epochs=3, batch_size=5, max_length=24, precision="float32",
                 learning_rate=2e-3, callbacks=[Kill()], verbose=0)
"""


@pytest.mark.slow
def test_killed_in_the_second_stage_it_ends_as_if_never_killed(tiny, reviews, tmp_path):
    train = tmp_path / "train.csv"
    with train.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(reviews["text"], reviews["label"], strict=True)])
    chosen = {"learning_rate": 2e-3, "epochs": 3}
    straight = bert_tf.finetune(str(train), **options(str(tiny), tmp_path / "straight", **chosen))
    killed = tmp_path / "killed"
    process = subprocess.run([sys.executable, "-c", KILLED, str(train), str(tiny), str(killed)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert (killed / "model").is_dir()  # of the first stage
    resumed = bert_tf.finetune(str(train), resume=True, **options(str(tiny), killed, **chosen))
    for name, values in straight.history.items():
        np.testing.assert_allclose(resumed.history[name], values, atol=1e-5, err_msg=name)
    assert resumed.metrics["val_loss"] == pytest.approx(straight.metrics["val_loss"], abs=1e-5)


def test_a_blend_is_a_second_part_that_predict_finds(tiny, reviews, tmp_path):
    folder = tmp_path / "run"
    done = bert_tf.finetune(
        reviews, reviews, test=reviews, **options(tiny, folder, epochs=None, unfreeze=0, blend=True)
    )
    assert [stage["stage"] for stage in done.metrics["stages"]] == ["solved head", "solved head + TF-IDF"]
    assert losses(folder / "model", reviews) == pytest.approx(
        (done.metrics["val_loss"], done.metrics["val_accuracy"]), abs=1e-4
    )
    assert done.metrics["test"]["scores"]["accuracy"]["value"] == pytest.approx(done.metrics["val_accuracy"])
    with_both = bert_tf.predict(done.model, reviews["text"], done.tokenizer, blend=done.blend).probabilities
    alone = bert_tf.predict(done.model, reviews["text"], done.tokenizer).probabilities
    assert np.abs(np.log(with_both) - np.log(alone)).max() > 0.1
    with pytest.raises(ValueError, match="unfreeze=0"):
        bert_tf.finetune(reviews, reviews, **options(tiny, tmp_path / "other", blend=True))


def test_whoever_reads_a_blended_model_gets_both_parts_or_is_told(tiny, reviews, tmp_path, caplog, capsys):
    folder = tmp_path / "run"
    bert_tf.finetune(reviews, reviews, **options(tiny, folder, epochs=None, unfreeze=0, blend=True, report=False))
    texts = reviews["text"][:4]
    both = bert_tf.predict(folder / "model", texts).probabilities
    bert_tf.convert(folder / "model", tmp_path / "converted")
    np.testing.assert_allclose(bert_tf.predict(tmp_path / "converted", texts).probabilities, both, atol=1e-5)
    assert all(file.is_file() for file in (folder / "model").iterdir())
    bert_tf.explain(folder / "model", texts[0], max_steps=64)
    assert "Only its first part" in caplog.text
    for kind, file in (("--html", "why.html"), ("--json", None), (None, None)):  # and each form of the answer says it
        more = [kind, *([str(tmp_path / file)] if file else [])] if kind else []
        assert main(["explain", str(folder / "model"), "--text", texts[0], *more]) == 0
        said = (tmp_path / file).read_text() if file else capsys.readouterr().out
        assert "Only its first part" in said
    # A model that is saved over it has one part again.
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(folder / "model")
    model.save_pretrained(folder / "model")
    alone = bert_tf.predict(model, texts, bert_tf.load_tokenizer(folder / "model")).probabilities
    np.testing.assert_allclose(bert_tf.predict(folder / "model", texts).probabilities, alone, atol=1e-6)
