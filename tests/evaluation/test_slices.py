"""Slices of the texts: how they are cut, what is said of them."""

import numpy as np
import pandas
import pytest
from scipy import stats

import bert_tf
from bert_tf.evaluation import multi_label, slices
from bert_tf.tasks.task import task_of

ONE_CLASS = task_of("classification")


def test_a_column_is_cut_by_value_and_missing_values_are_a_slice():
    found = slices.by_column(["de", "en", None, "en", " ", float("nan"), 3])
    assert {name: places.tolist() for name, places in found.items()} == {
        "(no value)": [2, 4, 5], "en": [1, 3], "de": [0], "3": [6],
    }  # fmt: skip


def test_a_nullable_column_of_pandas_is_cut_too():
    frame = pandas.DataFrame({"text": ["a", "b", "c"], "label": [0, 1, 1], "lang": ["de", None, "en"]})
    kept = bert_tf.read_examples(frame.astype({"lang": "string"}), keep=["lang"]).kept["lang"]
    assert kept == ["de", None, "en"]
    assert set(slices.by_column(kept)) == {"de", "en", "(no value)"}


def test_missing_values_of_nullable_columns_are_a_slice():
    values = [*pandas.Series(["en", pandas.NA, "de"], dtype="string").tolist(), pandas.NaT, np.float32("nan")]
    assert {name: places.tolist() for name, places in slices.by_column(values).items()} == {
        "(no value)": [1, 3, 4], "en": [0], "de": [2],
    }  # fmt: skip


def test_many_numbers_are_cut_into_quartiles_and_many_words_are_not():
    numbers = slices.by_column([str(i / 2) for i in range(100)] + [""])
    assert [*numbers] == ["0 to 12", "12.5 to 24.5", "25 to 37", "37.5 to 49.5", "(no value)"]
    assert sorted(np.concatenate([*numbers.values()])) == [*range(101)]
    assert len(slices.by_column([f"w{i}" for i in range(100)])) == 100


@pytest.mark.parametrize("numbers", [[7] * 9, [1, 1, 1, 1, 9], [5], [], [3, 1, 2]])
def test_quartiles_hold_each_text_once(numbers):
    found = slices.by_quartile(numbers, "tokens")
    assert sorted(place for places in found.values() for place in places) == [*range(len(numbers))]
    assert all(len(places) for places in found.values())


def test_a_slice_is_scored_by_its_own_texts():
    labels = np.array([0, 1] * 100)
    right = np.array([True] * 100 + [True, False] * 50)  # the second half is guessed
    predicted = np.where(right, labels, 1 - labels)
    probabilities = np.where(predicted[:, None] == [0, 1], 0.9, 0.1)
    slicing = {"one": np.arange(100), "other": np.arange(100, 190), "few": np.arange(190, 200)}
    rows = slices.judge(slicing, ONE_CLASS, labels, probabilities, ("bad", "good"))
    assert [row["accuracy"]["value"] for row in rows] == [1.0, 0.5, 0.5]
    assert [row["texts"] for row in rows] == [100, 90, 10]
    assert [row["uncertain"] for row in rows] == [False, True, True]
    expected = stats.fisher_exact([[5, 5], [145, 45]]).pvalue * 3
    assert rows[2]["p_value"] == pytest.approx(min(1.0, expected))
    said = slices.verdict(rows, "lang", ONE_CLASS)
    assert "worse than the other texts: 'other' (0.500" in said
    assert "better than the other texts: 'one' (1.000" in said
    assert "Too few texts to say much: 'other', 'few'." in said


def test_chance_is_not_called_a_difference():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=600)
    probabilities = np.where((labels ^ (rng.random(600) < 0.2))[:, None] == [0, 1], 0.8, 0.2)
    rows = slices.judge(slices.by_column([*rng.integers(8, size=600)]), ONE_CLASS, labels, probabilities, ("a", "b"))
    assert slices.verdict(rows, "group", ONE_CLASS).startswith("No slice by group differs significantly")


def test_two_models_are_compared_in_each_slice():
    labels = np.zeros(40, int)
    first = np.tile([0.9, 0.1], (40, 1))
    second = np.where(np.arange(40)[:, None] < 20, [0.9, 0.1], [0.1, 0.9])
    rows = slices.compare({"a": np.arange(20), "b": np.arange(20, 40)}, ONE_CLASS, labels, (first, second), ("a", "b"))
    assert [row["difference"]["value"] for row in rows] == [0.0, 1.0]
    assert rows[0]["p_value"] == 1.0
    assert rows[1]["p_value"] == pytest.approx(2 * stats.binomtest(20, 20).pvalue)


def test_several_labels_and_numbers_have_their_own_score_and_no_test():
    rng = np.random.default_rng(0)
    slicing = {"a": np.arange(30), "b": np.arange(30, 100), "one": np.array([7])}
    labels = (rng.random((100, 3)) < 0.4).astype("float32")
    sure, unsure = (np.abs(labels - noise * rng.random((100, 3))) for noise in (0.4, 0.9))
    thresholds = np.array([0.3, 0.5, 0.7])
    task = task_of("multi-label")
    rows = slices.judge(slicing, task, labels, unsure, ("x", "y", "z"), thresholds)
    expected = multi_label.micro_f1(labels[:30], unsure[:30], thresholds)
    assert rows[0]["micro_f1"]["value"] == pytest.approx(expected)
    assert rows[0]["micro_f1"]["low"] < expected < rows[0]["micro_f1"]["high"]
    assert not {"p_value", "uncertain", "accuracy"} & {*rows[0]}
    assert slices.verdict(rows, "lang", task).startswith("By lang, micro F1 is from ")
    two = slices.compare(slicing, task, labels, (sure, unsure), ("x", "y", "z"), (None, thresholds))
    assert two[0]["second"] == rows[0]["micro_f1"]
    assert two[1]["difference"]["low"] > 0
    assert "p_value" not in two[0]

    task, given = task_of("regression"), rng.normal(size=100)
    off = np.where(np.arange(100) < 30, 2.0, 0.5)
    rows = slices.judge(slicing, task, given, given + off, ("stars",))
    assert [row["mae"]["value"] for row in rows] == pytest.approx([2.0, 0.5, 2.0])
    said = slices.verdict(rows, "lang", task)
    assert "mean absolute error is from 0.5 [0.5, 0.5] ('b') to 2 [" in said
    assert "not tested" in said
    two = slices.compare(slicing, task, given, (given, given + off), ("stars",))
    assert [row["difference"]["value"] for row in two] == pytest.approx([2.0, 0.5, 2.0])
