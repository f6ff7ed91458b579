"""Slices of the texts: how they are cut, what is said of them."""

import numpy as np
import pytest
from scipy import stats

from bert_tf.evaluation import slices


def test_a_column_is_cut_by_value_and_missing_values_are_a_slice():
    found = slices.by_column(["de", "en", None, "en", " ", float("nan"), 3])
    assert {name: places.tolist() for name, places in found.items()} == {
        "(no value)": [2, 4, 5], "en": [1, 3], "de": [0], "3": [6],
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
    rows = slices.judge(slicing, labels, probabilities, ("bad", "good"))
    assert [row["accuracy"]["value"] for row in rows] == [1.0, 0.5, 0.5]
    assert [row["texts"] for row in rows] == [100, 90, 10]
    assert [row["uncertain"] for row in rows] == [False, True, True]
    expected = stats.fisher_exact([[5, 5], [145, 45]]).pvalue * 3
    assert rows[2]["p_value"] == pytest.approx(min(1.0, expected))
    said = slices.verdict(rows, "lang")
    assert "worse than the other texts: 'other' (0.500" in said
    assert "better than the other texts: 'one' (1.000" in said
    assert "Too few texts to say much: 'other', 'few'." in said


def test_chance_is_not_called_a_difference():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=600)
    probabilities = np.where((labels ^ (rng.random(600) < 0.2))[:, None] == [0, 1], 0.8, 0.2)
    rows = slices.judge(slices.by_column([*rng.integers(8, size=600)]), labels, probabilities, ("a", "b"))
    assert slices.verdict(rows, "group").startswith("No slice by group differs significantly")


def test_two_models_are_compared_in_each_slice():
    labels = np.zeros(40, int)
    first = np.tile([0.9, 0.1], (40, 1))
    second = np.where(np.arange(40)[:, None] < 20, [0.9, 0.1], [0.1, 0.9])
    rows = slices.compare({"a": np.arange(20), "b": np.arange(20, 40)}, labels, first, second)
    assert [row["difference"]["value"] for row in rows] == [0.0, 1.0]
    assert rows[0]["p_value"] == 1.0
    assert rows[1]["p_value"] == pytest.approx(2 * stats.binomtest(20, 20).pvalue)
