"""The paragraph for a layman agrees with the numbers, and the terms are those of the page."""

import random
import re

from bert_tf.reporting.in_words import in_words, terms


def interval(value: float, width: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - width), "high": min(1.0, value + width)}


def facts(accuracy: float, simple: float, low: float, **more) -> dict:
    baseline = {"scores": {"accuracy": interval(simple)}, "comparison": {"difference": {"low": low}}}
    return {"scores": {"texts": 200, "accuracy": interval(accuracy)}, "baseline": baseline, "settings": {}} | more


def words(found: dict) -> str:
    return in_words(found)[0]["text"]


SAID = re.compile(
    r"Of 100 texts like these the model gives (\d+) the right class \(95 % interval: (\d+) to (\d+)\)\. "
    r"For comparison: the baseline, which counts words, gets (\d+)\. Measured on 200 validation texts\."
)


def test_no_paragraph_contradicts_its_numbers():
    chance = random.Random(0)
    for _ in range(1000):
        accuracy, simple, low = chance.uniform(0.06, 0.94), chance.uniform(0.06, 0.94), chance.uniform(-0.2, 0.2)
        said = words(facts(accuracy, simple, low))
        right, least, most, counted = map(int, SAID.match(said).groups())
        assert abs(right - 100 * accuracy) <= 0.5
        assert least <= right <= most
        assert abs(counted - 100 * simple) <= 0.5
        assert ("not clearly better" in said) == (low <= 0)


def test_all_and_none_are_said_of_exactly_these():
    assert "gives more than 99 the right class" in words(facts(0.999, 0.5, 0.1))
    assert "gives 100 the right class" in words(facts(1.0, 0.5, 0.1))


def test_the_most_frequent_class_is_a_comparison():
    found = facts(0.95, 0.95, 0.0, confusion=[[0, 10], [0, 190]], label_names=["bad", "good"])
    found["scores"]["macro_f1"] = interval(0.487, 0.01)
    assert "'good' for every text gets 95" in words(found)
    assert "no better than giving every text the class 'good'" in words(found)


def test_a_model_that_finds_the_rare_class_is_not_called_useless():
    found = facts(0.94, 0.95, -0.1, confusion=[[8, 2], [10, 180]], label_names=["bad", "good"])
    found["scores"]["macro_f1"] = interval(0.77)
    said = words(found)
    assert "is right as often or more, and finds none of the 10 texts of other classes; the model finds 8." in said
    assert "no better" not in said


def test_a_model_that_is_better_at_rare_classes_is_not_told_to_give_way():
    found = facts(0.94, 0.95, -0.1)
    found["baseline"]["comparison"] |= {
        "difference": {"value": -0.02, "low": -0.04, "high": -0.01},
        "macro_f1": {"value": 0.1, "low": 0.05, "high": 0.15},
    }
    assert "the model is better at rare classes: choose by what matters to you" in words(found)


def test_numbers_and_several_labels_have_their_own_measure():
    found = {"task": "regression", "scores": {"texts": 50, "mae": {"value": 0.5, "low": 0.4, "high": 0.6}}}
    assert "The model's mean absolute error is 0.5" in words(found)


def test_only_terms_that_occur_are_explained():
    rows = terms("Accuracy after each epoch")[0]["table"]["rows"]
    assert [row[0] for row in rows] == ["accuracy", "epoch"]
    assert terms("nothing") == []


def test_of_test_texts_the_baseline_is_said_as_well():
    test = {"scores": {"texts": 90, "accuracy": interval(0.9)}, "baseline": {"accuracy": interval(0.8)}}
    said = words(facts(0.7, 0.6, 0.1, test=test | {"comparison": {"difference": {"low": 0.01}}}))
    assert "gives 90 the right class" in said
    assert "the baseline, which counts words, gets 80. Measured on 90 test texts." in said
