"""Scores of several labels a text, against scikit-learn; thresholds; the paired comparison."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import f1_score, log_loss

from bert_tf.evaluation import multi_label

NAMES = ("anger", "joy", "fear")


def drawn(texts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels drawn from probabilities, and these."""
    rng = np.random.default_rng(seed)
    probabilities = rng.uniform(size=(texts, 3)) ** (1, 2, 4)
    return (rng.random(probabilities.shape) < probabilities).astype("float32"), probabilities


def test_scores_are_scikit_learns():
    labels, probabilities = drawn(200)
    thresholds = np.array([0.5, 0.4, 0.2])
    found = multi_label.evaluate(labels, probabilities, NAMES, thresholds)
    said = probabilities >= thresholds
    for average in ("micro", "macro"):
        expected = f1_score(labels, said, average=average)
        assert found["scores"][f"{average}_f1"]["value"] == pytest.approx(expected)
        assert found["scores"][f"{average}_f1"]["low"] < expected < found["scores"][f"{average}_f1"]["high"]
    assert found["scores"]["log_loss"]["value"] == pytest.approx(
        np.mean([log_loss(labels[:, i], probabilities[:, i]) for i in range(3)])
    )
    assert found["scores"]["subset_accuracy"]["value"] == pytest.approx((said == labels).all(axis=1).mean())
    each = f1_score(labels, said, average=None)
    assert [row["f1"]["value"] for row in found["labels"]] == pytest.approx(each.tolist())
    assert [row["threshold"] for row in found["labels"]] == thresholds.tolist()
    assert multi_label.micro_f1(labels, probabilities, thresholds) == pytest.approx(
        f1_score(labels, said, average="micro")
    )


def test_intervals_hold_what_other_texts_give():
    labels, probabilities = drawn(30_000)
    truth = multi_label.micro_f1(labels, probabilities)
    inside = 0
    for i in range(20):
        part = slice(200 * i, 200 * (i + 1))
        found = multi_label.evaluate(labels[part], probabilities[part], NAMES)["scores"]["micro_f1"]
        inside += found["low"] <= truth <= found["high"]
    assert inside >= 16  # 19 expected


def f1(labels: np.ndarray, said: np.ndarray) -> float:
    return float(2 * (labels * said).sum() / (labels.sum() + said.sum()))


def test_a_threshold_is_the_best_there_is_for_its_label():
    labels, probabilities = drawn(300)
    for i, threshold in enumerate(multi_label.choose_thresholds(labels, probabilities)):
        own = f1(labels[:, i], probabilities[:, i] >= threshold)
        assert own == max(f1(labels[:, i], probabilities[:, i] >= other) for other in probabilities[:, i])


def test_labels_with_few_texts_share_a_threshold():
    labels, probabilities = drawn(300)
    labels[:, 2] = 0
    labels[:3, 2] = 1
    chosen = multi_label.choose_thresholds(labels, probabilities)
    shared = chosen[2]
    assert f1(labels, probabilities >= shared) == max(f1(labels, probabilities >= one) for one in probabilities.ravel())
    assert multi_label.choose_thresholds(labels[:5] * 0, probabilities[:5]).tolist() == [0.5] * 3


def test_equal_probabilities_are_decided_alike():
    labels = np.array([[1.0]] * 12 + [[0.0]] * 30)
    chosen = multi_label.choose_thresholds(labels, np.full((42, 1), 0.3))
    assert multi_label.predicted(np.full((42, 1), 0.3), chosen).all()


def test_a_temperature_is_found_again():
    labels, probabilities = drawn(20_000)
    logits = np.log(probabilities / (1 - probabilities))
    assert multi_label.temperature(labels, 3 * logits) == pytest.approx(3, rel=0.05)
    assert multi_label.logit_loss(labels, logits) == pytest.approx(
        multi_label.text_losses(labels, probabilities).mean()
    )


def test_the_better_of_two_is_said():
    labels, probabilities = drawn(600)
    good, bad = probabilities >= 0.5, np.random.default_rng(1).random((600, 3)) >= 0.5
    found = multi_label.compare(labels, good, bad, ("this model", "the baseline"))
    expected = f1_score(labels, good, average="micro") - f1_score(labels, bad, average="micro")
    assert found["difference"]["value"] == pytest.approx(expected, abs=1e-6)
    assert found["verdict"].startswith("This model is significantly better than the baseline, by ")
    turned = multi_label.compare(labels, bad, good, ("this model", "the baseline"))
    assert turned["verdict"].startswith("The baseline is significantly better than this model, by ")
    assert "-" not in turned["verdict"]
    assert multi_label.compare(labels, good, good)["verdict"].startswith("No significant difference")


def test_mistakes_begin_with_the_worst():
    labels = np.array([[1, 0], [0, 0], [1, 1]], "float32")
    found = multi_label.mistakes(
        ["a", "b", "c"], labels, [[0.6, 0.1], [0.9, 0.1], [0.4, 0.9]], ("anger", "joy"), [0.5, 0.5], 5
    )
    assert [(one["text"], one["given"], one["predicted"]) for one in found] == [
        ("b", "", "anger"),
        ("c", "anger|joy", "joy"),
    ]
    (pair,) = multi_label.mistakes([("a", "b")], [[1, 0]], [[0.1, 0.1]], ("anger", "joy"), None, 5)
    assert pair["text"] == "a [SEP] b"


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([[1, 0]], [[0.5]], r"both \(N, C\)"),
        ([[2, 0]], [[0.5, 0.5]], "Labels must be 0 or 1"),
        ([[1, 0]], [[3.0, -2.0]], "Apply the sigmoid"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least one text"),
    ],
)
def test_what_cannot_be_measured_is_said(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        multi_label.evaluate(labels, probabilities, ("a", "b"))


def test_calibration_is_of_all_decisions_together():
    """Labels drawn with their probabilities are calibrated; with twice the logits the model is overconfident, and 2 mends it."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(3000, 5)) - np.array([0, 1, 2, 4, 6])  # frequent and rare labels
    labels = rng.random(logits.shape) < expit(logits)
    honest, overconfident = (multi_label.calibration(labels, expit(factor * logits)) for factor in (1, 2))
    assert honest["decisions"] == 15000
    assert sum(one["decisions"] for one in honest["bins"]) == 15000
    assert 10 <= len(honest["bins"]) <= 15
    assert honest["error"] < 2 * honest["error_by_chance"]
    assert (honest["temperature"], overconfident["temperature"]) == pytest.approx((1, 2), abs=0.1)
    assert overconfident["error"] > 5 * overconfident["error_by_chance"]
    assert overconfident["error_after"] < 0.3 * overconfident["error"]
    assert overconfident["log_loss_after"] < overconfident["log_loss"]
    inside = [one["share"]["low"] <= one["probability"] <= one["share"]["high"] for one in honest["bins"]]
    assert np.mean(inside) > 0.7
    by_hand = (
        sum(abs(one["probability"] - one["share"]["value"]) * one["decisions"] for one in overconfident["bins"]) / 15000
    )
    assert overconfident["error"] == pytest.approx(by_hand)
    probabilities = [one["probability"] for one in honest["bins"]]
    assert probabilities == sorted(probabilities)
    assert probabilities[-1] > 0.8  # though most labels are rare


@pytest.mark.parametrize(
    "probabilities", [[[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]], [[0.0, 0.0], [0.0, 0.0]]]
)
def test_calibration_of_few_and_equal_probabilities_is_finite(probabilities):
    found = multi_label.calibration([[0, 1], [1, 0]], probabilities)
    numbers = [value for name, value in found.items() if name != "bins"]
    assert np.isfinite(numbers).all()
    assert sum(one["decisions"] for one in found["bins"]) == 4
