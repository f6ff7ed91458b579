"""Comparisons of models for several labels, numbers and ordinal classes; of weighted classes."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

import bert_tf
from bert_tf.cli.main import main
from bert_tf.comparison import candidates, curve, ladder, race
from bert_tf.evaluation import paired, tfidf
from bert_tf.tasks.task import task_of
from bert_tf.training.weights import class_weights, text_weights

# KerasTuner's import
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TEXTS = ["good kettle", "broke at once", "lovely and quick", "bad and slow", "good but slow", "it is a thing"] * 5
SETS = [["good"], ["bad"], ["good", "quick"], ["bad", "slow"], ["good", "slow"], []] * 5
STARS = [4000.0, 1000.0, 5000.0, 1000.0, 3000.0, 2500.0] * 5
LABELLED = {"text": TEXTS, "label": SETS}
RATED = {"text": TEXTS, "stars": STARS}
CLASSES = {"text": TEXTS, "stars": [int(number // 1000) for number in STARS]}


@pytest.fixture
def options(tiny, tmp_path) -> dict:
    return {"checkpoint": tiny, "max_length": 12, "cache_dir": tmp_path / "cache", "precision": "float32", "batch_size": 10,
            "output_dir": tmp_path / "out", "alone": False}  # fmt: skip


def kept(folder, name: str, seed: int) -> tuple[np.ndarray, dict]:
    """Returns what a seed's model said of the validation texts, and its record."""
    seed_folder = folder / "entrants" / name / f"seed-{seed}"
    return np.load(seed_folder / "probabilities.npy"), json.loads((seed_folder / "run.json").read_text())


def test_a_ladder_of_several_labels(options, capsys):
    out = options["output_dir"]
    some = {name: values[:25] for name, values in LABELLED.items()}
    found = bert_tf.ladder(
        LABELLED, LABELLED, test=some, rungs=["baseline", "solved", "layer_means"], seeds=2, frozen_epochs=2, **options
    )
    examples = bert_tf.read_examples(LABELLED)
    task, labels = task_of("multi-label"), examples.labels
    names = ["TF-IDF + one-vs-rest logistic regression", "frozen, solved head", "frozen, layer means"]
    assert [row["rung"] for row in found.rows] == names
    for row in found.rows[1:]:
        f1, losses = [], []
        for seed in (0, 1):
            predictions, run = kept(out, row["rung"], seed)
            np.testing.assert_allclose(run["thresholds"], task.thresholds(labels, predictions), atol=1e-6)
            said = predictions >= run["thresholds"]
            f1.append(2 * (said * labels).sum() / (said.sum() + labels.sum()))
            losses.append(task.loss_of(labels, predictions))
        assert row["micro_f1"]["value"] == pytest.approx(np.mean(f1))
        assert row["micro_f1"]["low"] <= row["lowest"] == pytest.approx(min(f1))
        assert row["loss"] == pytest.approx(np.mean(losses))
        assert 0 < row["macro_f1"] <= 1
        assert 0 < row["test_micro_f1"]["value"] <= 1
    with (out / "epochs.csv").open() as opened:
        (first, *_) = rows = [*csv.DictReader(opened)]
    assert {row["rung"] for row in rows} == {"frozen, layer means"}
    assert float(first["val_micro_f1"]) >= 0
    page, printed = (out / "report.html").read_text(), capsys.readouterr().out
    for words in ("Micro F1 by rung", "micro f1", "Thresholds of models that are trained here"):
        assert words in page
    assert "accuracy" not in found.verdict
    assert "micro F1 " in printed


def test_a_curve_of_numbers(options):
    found = bert_tf.curve(RATED, RATED, task="regression", sizes=[15, "all"], seeds=2, **options)
    for row in found.rows:
        errors = [
            np.abs(kept(options["output_dir"], f"{row['texts']} texts", seed)[0] - STARS).mean() for seed in (0, 1)
        ]
        assert row["mae"]["value"] == pytest.approx(np.mean(errors), rel=1e-5)
        assert row["below_baseline"]["value"] == pytest.approx(row["baseline"]["value"] - row["mae"]["value"])
    assert "mean absolute error changed by" in found.verdict
    assert "points" not in found.verdict
    assert "Mean absolute error by number of training texts" in (options["output_dir"] / "report.html").read_text()


@pytest.mark.slow
def test_a_race_of_numbers(tiny, options, tmp_path, capsys):
    """The model as it is, the same checkpoint trained here, ridge regression and the LSTM; the least error first."""
    del options["checkpoint"], options["max_length"]
    how = {"checkpoint": tiny, "max_length": 12, "unfreeze": 0, "task": "regression", "verbose": 0, "report": False}
    bert_tf.finetune(RATED, RATED, output_dir=tmp_path / "mine", **how)
    models = [tmp_path / "mine/model", tiny]
    found = bert_tf.race(models, RATED, RATED, task="regression", test=RATED, max_length=12, **options)
    errors = {row["name"]: row["mae"]["value"] for row in found.rows}
    assert {*errors} == {"mine", "base", "TF-IDF + ridge regression", "bidirectional LSTM"}
    assert [*errors.values()] == sorted(errors.values())
    values = np.array(bert_tf.predict(models[0], TEXTS).values)
    assert errors["mine"] == pytest.approx(np.abs(values - STARS).mean(), rel=1e-3)
    assert errors["bidirectional LSTM"] < 3000  # in the unit of the numbers
    best, *others = found.rows
    assert best["difference"] is None
    for row in others:
        assert row["difference"]["value"] == pytest.approx(
            row["mae"]["value"] - best["mae"]["value"], rel=1e-3, abs=0.5
        )
        assert "p_value" not in row
    assert best["test_mae"]["value"] == pytest.approx(best["mae"]["value"])
    assert "mean absolute error" in found.verdict
    page = (options["output_dir"] / "report.html").read_text()
    for words in ("Mean absolute error against latency", "how much lower the mean absolute error of the best is"):
        assert words in page
    file = tmp_path / "some.csv"
    file.write_text("text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(8)))
    command = ["compare", str(models[0]), "--train", str(file), "--output-dir", str(tmp_path / "no")]
    assert main(command) == 2
    assert "is a model for regression" in (said := capsys.readouterr().err)
    assert "--task regression" in said
    assert not (tmp_path / "no").exists()


def test_a_race_of_several_labels_takes_models_with_their_own_thresholds(tiny, options, tmp_path):
    del options["checkpoint"]
    how = {"checkpoint": tiny, "max_length": 12, "unfreeze": 0, "verbose": 0, "report": False}
    done = bert_tf.finetune(LABELLED, LABELLED, output_dir=tmp_path / "mine", **how)
    found = bert_tf.race([tmp_path / "mine/model"], LABELLED, LABELLED, baselines=["tfidf"], **options)
    rows = {row["name"]: row for row in found.rows}
    assert rows["mine"]["micro_f1"]["value"] == pytest.approx(done.metrics["val_micro_f1"])
    _, run = kept(options["output_dir"], "mine", 0)
    np.testing.assert_allclose(run["thresholds"], done.model.config.label_thresholds)
    assert {"macro_f1", "subset_accuracy", "log_loss"} <= {*rows["TF-IDF + one-vs-rest logistic regression"]}


def test_ordinal_classes_say_how_far_off_they_are(options):
    found = bert_tf.ladder(CLASSES, CLASSES, task="ordinal", rungs=["baseline", "solved"], seeds=1, **options)
    row = found.rows[0]
    predictions, _ = kept(options["output_dir"], "TF-IDF + logistic regression", 0)
    numbers = np.array(CLASSES["stars"])
    names = bert_tf.read_examples(CLASSES, task="ordinal").label_names
    assert row["mae"] == pytest.approx(np.abs(predictions @ [float(name) for name in names] - numbers).mean(), rel=1e-4)
    assert -1 <= row["kappa"] <= 1
    assert "quadratic" in task_of("ordinal").measures[-1].words
    assert "kappa" in (options["output_dir"] / "ladder.csv").read_text()


def test_weights_of_classes_are_those_of_every_candidate(options):
    rare = {"text": TEXTS, "label": ["good" if "good" in labels else "other" for labels in SETS]}
    rare = {name: values[1:26] for name, values in rare.items()}
    found = bert_tf.ladder(rare, rare, rungs=["baseline", "solved"], seeds=1, class_weight={"good": 9}, **options)
    examples = bert_tf.read_examples(rare)
    weights = text_weights(examples, class_weights('{"good": 9.0}', examples))
    words = tfidf.train_baseline(rare["text"], examples.labels, 2, 0, weights)
    said, _ = kept(options["output_dir"], "TF-IDF + logistic regression", 0)
    np.testing.assert_allclose(said, words(rare["text"]), atol=1e-6)
    assert said[:, 0].mean() > tfidf.train_baseline(rare["text"], examples.labels, 2)(rare["text"])[:, 0].mean() + 0.01
    run = bert_tf.finetune(rare, rare, unfreeze=0, class_weight={"good": 9}, report=False, verbose=0, seed=0,
                           **{name: value for name, value in options.items() if name not in ("alone", "output_dir")},
                           output_dir=options["output_dir"].parent / "run")  # fmt: skip
    expected = bert_tf.predict(run.model, rare["text"], run.tokenizer).probabilities
    np.testing.assert_allclose(kept(options["output_dir"], "frozen, solved head", 0)[0], expected, atol=1e-5)
    assert 0 < found.rows[1]["macro_f1"] <= 1
    options["output_dir"] = options["output_dir"].parent / "none"
    with pytest.raises(ValueError, match="is for one class a text. Received: it with multi-label"):
        bert_tf.ladder(LABELLED, LABELLED, rungs=["baseline"], class_weight="balanced", **options)


# What the numbers mean


def simulated(noise: float, seeds: int = 3, texts: int = 400) -> np.ndarray:
    """Returns shares of models for several labels whose probabilities are wrong by so much."""
    rng = np.random.default_rng(int(10 * noise))
    labels = (np.random.default_rng(9).random((texts, 4)) < 0.3).astype("float32")
    said = [np.clip(labels + noise * rng.normal(size=labels.shape), 0, 1) for _ in range(seeds)]
    return np.stack([task_of("multi-label").shares(labels, each) for each in said], axis=1)


def test_a_score_that_is_no_mean_has_intervals_too():
    """Micro-F1 of a sample of the texts is that of their sums."""
    shares = simulated(0.5, seeds=1)
    by_hand = shares[0].sum(axis=1) / shares[1].sum(axis=1)
    np.testing.assert_allclose(paired.by_seed(shares), by_hand)
    found = paired.score(shares)
    assert found["value"] == pytest.approx(by_hand.mean())
    drawn = np.random.default_rng(1).integers(400, size=(2000, 400))
    simple = np.stack([shares[0][:, rows].sum(axis=1) / shares[1][:, rows].sum(axis=1) for rows in drawn]).mean(axis=1)
    low, high = np.percentile(simple, [2.5, 97.5])
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.006)
    better = paired.gain(simulated(0.3), shares)
    assert better["low"] > 0
    assert paired.gain(shares, shares)["low"] <= 0 <= paired.gain(shares, shares)["high"]
    assert paired.by_seed(np.zeros((2, 1, 5))).tolist() == [0.0]  # nothing given, nothing predicted


def test_where_less_is_better_a_gain_is_a_smaller_error():
    task, rng = task_of("regression"), np.random.default_rng(0)
    numbers = rng.normal(size=500)
    close, far = (
        np.stack([task.shares(numbers, numbers + noise * rng.normal(size=500))] * 2, axis=1) for noise in (1, 2)
    )
    rows = [
        {"rung": name, "kind": kind, "mae": paired.score(shares), "seconds": 10.0, "best_epoch": 1.0, "epochs": 2.0}
        for name, kind, shares in (("words", "baseline", far), ("frozen, layer means", "frozen", far), ("all layers", "unfrozen", close))
    ]  # fmt: skip
    said = " ".join(ladder.verdict(rows, {"words": far, "frozen, layer means": far, "all layers": close}, task))
    assert 'Unfreezing pays: "all layers" is significantly better than "frozen, layer means", by 0.' in said
    assert "] in mean absolute error, for 1.0 times" in said
    assert 'The best rung, "all layers", is significantly better than TF-IDF: -0.' in said
    said = " ".join(curve.verdict({100: far, 200: close}, {100: far, 200: far}, task))
    assert "More data would help: from 100 to 200 texts mean absolute error changed by -0." in said
    assert "doubling it again may lower it by about 0." in said
    assert "With 200 training texts the model is significantly better" in said
    assert "More data may not help" in curve.verdict({100: close, 200: far}, {100: far, 200: far}, task)[0]
    first, second = ({"name": name, "mae": {"value": value, "low": value, "high": value}, "latency": 1.0, "size": cost}
                     for name, value, cost in (("a", 0.5, 2e6), ("b", 0.7, 3e6)))  # fmt: skip
    drawn = race.plots([first, second | {"latency": 2.0}], task)
    assert [series["labels"] for series in drawn[1]["series"]] == [["a"], ["b"]]  # b costs more and errs more
    assert drawn[0]["y"]["label"] == "mean absolute error"


def test_a_model_of_numbers_need_not_call_them_the_same():
    assert not task_of("regression").has_classes
    assert candidates.Splits(bert_tf.read_examples(RATED, task="regression"), None).task.scale == pytest.approx(
        np.std(STARS)
    )


def test_what_counts_words_has_no_keras_in_its_memory():
    code = "import sys; from bert_tf.comparison import candidates; print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
