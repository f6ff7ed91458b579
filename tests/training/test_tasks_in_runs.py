"""Several labels a text, numbers and ordinal classes from data to report, through the stages and a search."""

import csv
import json

import numpy as np
import pytest
import transformers

import bert_tf
from bert_tf.cli.main import main

TEXTS = ["good kettle", "broke at once", "lovely and quick", "bad and slow", "good but slow", "it is a thing"] * 5
SETS = [["good"], ["bad"], ["good", "quick"], ["bad", "slow"], ["good", "slow"], []] * 5
STARS = [4000.0, 1000.0, 5000.0, 1000.0, 3000.0, 2500.0] * 5
LABELLED = {"text": TEXTS, "label": SETS}
RATED = {"text": TEXTS, "stars": STARS}


def options(tiny, folder, **more) -> dict:
    return {"checkpoint": tiny, "output_dir": folder, "batch_size": 10, "max_length": 12, "verbose": 0, "precision": "float32",
            **more}  # fmt: skip


def test_several_labels_with_a_frozen_base(tiny, tmp_path, capsys):
    folder = tmp_path / "run"
    done = bert_tf.finetune(LABELLED, LABELLED, test=LABELLED, **options(tiny, folder, unfreeze=0))
    found = bert_tf.predict(folder / "model", TEXTS)
    assert found.task == "multi-label"
    assert found.labels[0] == ["good"]
    columns = found.to_columns()
    assert [*columns] == [
        "labels",
        "score",
        "probability_bad",
        "probability_good",
        "probability_quick",
        "probability_slow",
    ]
    assert columns["labels"] == ["|".join(labels) for labels in found.labels]
    given = np.array([[name in labels for name in found.label_names] for labels in SETS])
    said = np.array([[name in labels for name in found.label_names] for labels in found.labels])
    f1 = 2 * (given & said).sum() / (given.sum() + said.sum())
    assert done.metrics["val_micro_f1"] == pytest.approx(f1)
    assert f1 > 0.8
    saved = json.loads((folder / "metrics.json").read_text())
    assert saved["test"]["scores"]["micro_f1"]["value"] == pytest.approx(f1)
    assert [row["label"] for row in saved["labels"]] == [*found.label_names] == ["bad", "good", "quick", "slow"]
    config = transformers.AutoConfig.from_pretrained(folder / "model")  # which others read too
    assert (config.problem_type, len(config.label_thresholds)) == ("multi_label_classification", 4)
    for name in ("report.html", "model/README.md"):
        text = (folder / name).read_text()
        assert "micro F1" in text
        assert "one-vs-rest" in text
    file = tmp_path / "answers.csv"
    assert main(["predict", str(folder / "model"), "--text", TEXTS[4], "--output", str(file)]) == 0
    with file.open(newline="") as opened:
        (row,) = csv.DictReader(opened)
    assert set(row["labels"].split("|")) == set(found.labels[4])
    capsys.readouterr()
    assert main(["predict", str(folder / "model"), "--text", TEXTS[4], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["labels"] == found.labels[4]
    again = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(folder / "model")
    again.save_pretrained(tmp_path / "again")
    bert_tf.load_tokenizer(folder / "model").save_pretrained(tmp_path / "again")
    assert bert_tf.predict(tmp_path / "again", TEXTS).labels == found.labels


def test_numbers_through_both_stages(tiny, tmp_path, capsys):
    folder = tmp_path / "run"
    done = bert_tf.finetune(RATED, RATED, task="regression", **options(tiny, folder, epochs=2, learning_rate=1e-3))
    found = bert_tf.predict(folder / "model", TEXTS)
    error = np.abs(np.array(found.values) - STARS).mean()
    assert done.metrics["val_mae"] == pytest.approx(error, rel=1e-3)
    assert error < 0.6 * np.abs(np.array(STARS) - np.mean(STARS)).mean()
    assert [stage["stage"] for stage in done.metrics["stages"]] == ["solved head", "2 epochs of training"]
    assert {"mae", "val_mae", "val_calibrated_loss"} <= set(done.history)
    page = (folder / "report.html").read_text()
    for words in ("Predicted against given", "Largest errors", "mean absolute error", "ridge"):
        assert words in page
    assert "type: mae" in (folder / "model/README.md").read_text()
    with pytest.raises(AttributeError, match=r"\.values"):
        found.probabilities  # noqa: B018
    assert main(["predict", str(folder / "model"), "--text", TEXTS[0], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["value"] == pytest.approx(found.values[0], rel=1e-3)
    assert main(["explain", str(folder / "model"), "--text", TEXTS[0]]) == 2
    assert "regression model has no classes" in capsys.readouterr().err
    # The head of a saved model gives the number itself, and training goes on from it.
    more = bert_tf.finetune(
        RATED,
        RATED,
        task="regression",
        **options(folder / "model", tmp_path / "more", epochs=1, learning_rate=1e-6, report=False),
    )
    assert more.metrics["val_mae"] == pytest.approx(error, rel=0.02)


def test_numbers_by_epochs_of_the_head_resume(tiny, tmp_path):
    chosen = options(
        tiny, tmp_path / "whole", unfreeze=0, epochs=3, learning_rate=0.05, report=False, task="regression"
    )
    whole = bert_tf.finetune(RATED, RATED, **chosen)

    class StopError(Exception):
        pass

    import keras

    class Killed(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise StopError

    chosen["output_dir"] = tmp_path / "killed"
    with pytest.raises(StopError):
        bert_tf.finetune(RATED, RATED, callbacks=Killed(), **chosen)
    resumed = bert_tf.finetune(RATED, RATED, resume=True, **chosen)
    np.testing.assert_allclose(resumed.history["val_mae"], whole.history["val_mae"], rtol=1e-4)
    answers = [bert_tf.predict(tmp_path / name / "model", TEXTS).values for name in ("whole", "killed")]
    np.testing.assert_allclose(*answers, rtol=1e-3)
    assert whole.metrics["val_mae"] == pytest.approx(np.abs(np.array(answers[0]) - STARS).mean(), rel=1e-3)


def test_ordinal_classes_have_both_kinds_of_scores(tiny, tmp_path):
    rated = {"text": TEXTS, "stars": [4, 1, 5, 1, 3, 2] * 5}
    done = bert_tf.finetune(rated, rated, task="ordinal", **options(tiny, tmp_path / "run", unfreeze=0))
    assert {"accuracy", "mae", "rmse", "pearson", "kappa"} <= set(done.metrics["scores"])
    found = bert_tf.predict(tmp_path / "run/model", TEXTS[:2])
    assert (found.task, found.label_names) == ("ordinal", ("1", "2", "3", "4", "5"))
    np.testing.assert_allclose(found.values, found.probabilities @ [1, 2, 3, 4, 5], rtol=1e-5)
    with pytest.raises(ValueError, match="classes of an ordinal task must be numbers"):
        bert_tf.finetune({"text": TEXTS, "label": ["a", "b"] * 15}, task="ordinal", **options(tiny, tmp_path / "x"))


@pytest.mark.parametrize(
    ("task", "data", "score"), [("multi-label", LABELLED, "micro_f1"), ("regression", RATED, "mae")]
)
def test_a_search_measures_the_model_it_saves(tiny, tmp_path, task, data, score):
    chosen = options(tiny, tmp_path / "search", task=task, max_trials=1, epochs=2, report=False)
    best = bert_tf.search(data, data, **chosen).best
    found = bert_tf.predict(tmp_path / "search/model", TEXTS)
    if task == "regression":
        assert best["val_mae"] == pytest.approx(np.abs(np.array(found.values) - STARS).mean(), rel=1e-3)
        assert 100 < best["in_search"]["val_mae"] < 4000  # in the unit of the numbers
    assert f"val_{score}" in (tmp_path / "search/trials.csv").read_text()


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        (RATED, {"task": "regression", "blend": True, "unfreeze": 0}, "`blend` mixes probabilities of one class"),
        (RATED, {"task": "regression", "labels": "low=1-2000,high=2001-9000"}, "`labels` makes classes of values"),
        (LABELLED, {"class_weight": "balanced"}, "`class_weight` .--class-weight. is for one class a text"),
        ({"text": TEXTS, "stars": [1.0] * 30}, {"task": "regression"}, "all 30 rows have the same number"),
        ({"text": TEXTS, "label": [[]] * 30}, {}, "at least one label|no row has a label"),
    ],
)
def test_what_cannot_be_trained_is_said(tiny, tmp_path, data, more, message):
    with pytest.raises(ValueError, match=message):
        bert_tf.finetune(data, data, **options(tiny, tmp_path / "run", **more))
    assert not (tmp_path / "run").exists()


def test_other_commands_say_what_they_cannot(tiny, tmp_path):
    chosen = {"checkpoint": tiny, "output_dir": tmp_path / "run", "verbose": 0}
    with pytest.raises(ValueError, match="objective='val_accuracy' is for one class a text"):
        bert_tf.search(LABELLED, LABELLED, objective="val_accuracy", **chosen)
