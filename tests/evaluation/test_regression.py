"""Scores of numbers and of classes that are numbers, against scikit-learn and SciPy."""

import re

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, mean_squared_error, r2_score

from bert_tf.data.writers import rounded
from bert_tf.evaluation import multi_label, ordinal, regression
from bert_tf.formatting import format_value
from bert_tf.tasks.task import task_of


def drawn(texts: int, noise: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    given = 1000 + rng.integers(1, 6, texts).astype(float)  # far from 0: no digits may be lost
    return given, 1000.2 + 0.5 * (given - 1000) + noise * rng.normal(size=texts)


def test_scores_are_scikit_learns():
    given, predicted = drawn(300)
    found = regression.evaluate(given, predicted)["scores"]
    expected = {
        "mae": mean_absolute_error(given, predicted),
        "rmse": mean_squared_error(given, predicted) ** 0.5,
        "pearson": pearsonr(given, predicted).statistic,
        "r2": r2_score(given, predicted),
    }
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value), name
        assert found[name]["low"] < value < found[name]["high"], name


def test_without_variation_there_is_no_correlation():
    found = regression.evaluate([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])["scores"]
    assert found["pearson"]["value"] is None
    assert found["r2"]["value"] == pytest.approx(0)


def test_the_smaller_error_is_better():
    given, good = drawn(400, 0.1)
    _, bad = drawn(400, 3.0, seed=1)
    found = regression.compare(given, good, bad, ("this model", "the baseline"))
    expected = mean_absolute_error(given, bad) - mean_absolute_error(given, good)
    assert found["difference"]["value"] == pytest.approx(expected)
    assert found["difference"]["low"] > 0
    assert found["verdict"].startswith("This model is significantly better")
    assert regression.compare(given, bad, good, ("this model", "b"))["verdict"].startswith("B is significantly better")


def test_units_however_small_are_measured_and_shown():
    given, predicted = drawn(300)
    small = regression.evaluate(given * 1e-12, predicted * 1e-12)["scores"]
    for name, found in regression.evaluate(given, predicted)["scores"].items():
        if name != "texts":
            factor = 1e-12 if name in ("mae", "rmse") else 1
            assert small[name]["value"] == pytest.approx(factor * found["value"], rel=1e-6, abs=0), name
    said = regression.compare(given * 1e-9, predicted * 1e-9, given * 1e-9, ("a", "b"))["verdict"]
    assert re.search(r"by \d\.\d+e-09 \[", said)
    task = task_of("regression").of(given)
    assert task.row(np.float32(1e-8), ["metres"]) == {"value": 1e-8}
    assert format_value(1e-8, task.measure.kind) == "1e-08"
    assert rounded({"value": [1.23456789e-8], "score": [0.12345678]}) == {"value": [1.234568e-8], "score": [0.123457]}


def test_pairs_of_texts_are_shown_as_one():
    pairs = [("a", "b"), ("c", "d")]
    numbers = np.array([3.7, 0.1, 16777216, 1e-8], "float32")
    listed = regression.largest_errors(["a", "b", "c", "d"], numbers, numbers[::-1], 4)
    assert [row["given"] for row in sorted(listed, key=lambda row: row["index"])] == [3.7, 0.1, 16777216.0, 1e-8]
    assert sorted(row["predicted"] for row in listed) == [1e-8, 0.1, 3.7, 16777216.0]
    assert regression.largest_errors(pairs, [1, 2], [1, 3], 1)[0]["text"] == "c [SEP] d"
    found = multi_label.mistakes(pairs, [[0, 1], [1, 0]], [[0.9, 0.9], [0.9, 0.1]], ("x", "y"), None, 1)
    assert found[0]["text"] == "a [SEP] b"


def test_the_largest_errors_come_first():
    found = regression.largest_errors(["a", "b", "c"], [1, 2, 3], [1.5, -4, 3], 2)
    assert [(one["text"], one["given"], one["predicted"]) for one in found] == [("b", 2.0, -4.0), ("a", 1.0, 1.5)]
    assert len(regression.scatter(*drawn(2000))["given"]) == regression.DRAWN


def test_numbers_must_be_finite_and_of_the_same_texts():
    with pytest.raises(ValueError, match="both"):
        regression.evaluate([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        regression.evaluate([1.0, 2.0], [1.0, np.nan])


def test_kappa_and_expected_value():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 300)
    near = np.exp(-((np.arange(5) - labels[:, None] + rng.normal(size=(300, 1))) ** 2))
    probabilities = near / near.sum(axis=1, keepdims=True)
    found = ordinal.evaluate(labels, probabilities, [1, 2, 3, 4, 5])
    expected = cohen_kappa_score(labels, probabilities.argmax(axis=1), weights="quadratic")
    assert found["kappa"]["value"] == pytest.approx(expected)
    assert found["kappa"]["low"] < expected < found["kappa"]["high"]
    assert found["mae"]["value"] == pytest.approx(mean_absolute_error(labels + 1, probabilities @ [1, 2, 3, 4, 5]))
    assert found["pearson"]["value"] == pytest.approx(pearsonr(labels, probabilities @ [1, 2, 3, 4, 5]).statistic)
