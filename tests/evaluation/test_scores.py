"""Scores and intervals, held against scikit-learn, SciPy and brute force."""

import json
import warnings

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn import metrics

from bert_tf.evaluation import scores

NAMES = ("bad", "fair", "good")


def predictions(texts: int, seed: int = 0, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the probabilities: calibrated, if `sharpness` is 1."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (texts, len(NAMES)))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) < rng.random((texts, 1))).sum(axis=1)
    sharp = np.exp(logits * sharpness)
    return labels, sharp / sharp.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_scores_are_those_of_scikit_learn(seed):
    labels, probabilities = predictions(213, seed)
    predicted = probabilities.argmax(axis=1)
    found = scores.evaluate(labels, probabilities, NAMES)
    assert found["scores"]["accuracy"]["value"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found["scores"]["macro_f1"]["value"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert found["scores"]["log_loss"]["value"] == pytest.approx(metrics.log_loss(labels, probabilities))
    assert found["confusion"] == metrics.confusion_matrix(labels, predicted).tolist()
    theirs = metrics.precision_recall_fscore_support(labels, predicted)
    for key, expected in zip(("precision", "recall", "f1"), theirs, strict=False):
        assert [row[key]["value"] for row in found["classes"]] == pytest.approx(expected.tolist())
    assert [row["support"] for row in found["classes"]] == theirs[3].tolist()
    json.dumps(found, allow_nan=False)


def test_a_class_that_does_not_occur_is_left_out_of_macro_f1_as_by_scikit_learn():
    labels, probabilities = (
        np.array([0, 0, 1, 1]),
        np.array([[0.9, 0.1, 0], [0.4, 0.6, 0], [0.2, 0.8, 0], [0.3, 0.7, 0]]),
    )
    found = scores.evaluate(labels, probabilities, NAMES)
    expected = metrics.f1_score(labels, probabilities.argmax(axis=1), average="macro")
    assert found["scores"]["macro_f1"]["value"] == pytest.approx(expected)
    assert found["classes"][2]["recall"] == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize(("successes", "trials"), [(0, 7), (7, 7), (3, 11), (790, 1000)])
def test_the_interval_of_a_share_is_wilsons(successes, trials):
    expected = stats.binomtest(successes, trials).proportion_ci(method="wilson")
    found = scores.wilson(successes, trials)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_bootstrap_intervals_are_those_of_drawing_texts_again_and_of_the_central_limit():
    labels, probabilities = predictions(400)
    predicted = probabilities.argmax(axis=1)
    found = scores.evaluate(labels, probabilities, NAMES)["scores"]
    rng = np.random.default_rng(3)
    drawn = []
    for chosen in rng.integers(400, size=(1000, 400)):
        right = [((labels[chosen] == i) & (predicted[chosen] == i)).sum() for i in range(3)]
        either = [(labels[chosen] == i).sum() + (predicted[chosen] == i).sum() for i in range(3)]
        drawn.append(np.mean(2 * np.array(right) / either))
    ends = [found["macro_f1"]["low"], found["macro_f1"]["high"]]
    assert ends == pytest.approx(np.percentile(drawn, [2.5, 97.5]).tolist(), abs=0.006)
    losses = -np.log(probabilities[np.arange(400), labels])
    reach = stats.norm.ppf(0.975) * losses.std() / np.sqrt(400)
    ends = [found["log_loss"]["low"], found["log_loss"]["high"]]
    assert ends == pytest.approx([losses.mean() - reach, losses.mean() + reach], abs=0.1 * reach)


def test_the_calibration_error_is_that_of_a_loop_over_bins_of_equal_size():
    labels, probabilities = predictions(300, sharpness=2.0)
    order = np.argsort(probabilities.max(axis=1))
    expected = 0.0
    for chosen in np.array_split(order, 15):
        right = probabilities[chosen].argmax(axis=1) == labels[chosen]
        expected += len(chosen) / 300 * abs(right.mean() - probabilities[chosen].max(axis=1).mean())
    found = scores.calibration(labels, probabilities)
    assert found["error"] == pytest.approx(expected)
    assert [each["texts"] for each in found["bins"]] == [20] * 15
    assert found["error"] > 2 * found["error_by_chance"]
    calibrated = scores.calibration(*predictions(300))
    assert calibrated["error"] < 1.6 * calibrated["error_by_chance"]


def test_equal_confidences_share_a_bin_and_no_order_of_the_texts_matters():
    labels, probabilities = predictions(200)
    probabilities[:120] = [0.7, 0.2, 0.1]
    reverse = np.arange(200)[::-1]
    found, reversed_ = (
        scores.calibration(labels, probabilities),
        scores.calibration(labels[reverse], probabilities[reverse]),
    )
    assert found["error"] == pytest.approx(reversed_["error"])
    assert max(each["texts"] for each in found["bins"]) >= 120


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_temperature_is_the_one_scipy_finds_and_undoes_false_sureness(sharpness):
    labels, probabilities = predictions(2000, sharpness=sharpness)

    def loss(temperature):
        logits = np.log(probabilities) / temperature
        return metrics.log_loss(labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))

    best = optimize.minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-6}).x
    found = scores.calibration(labels, probabilities)
    assert found["temperature"] == pytest.approx(best, rel=1e-3)
    assert found["temperature"] == pytest.approx(sharpness, rel=0.1)
    if sharpness != 1:
        assert found["log_loss_after"] < found["log_loss"] - 0.02
        assert found["error_after"] < found["error"] / 2


def test_the_figure_after_the_temperature_is_not_had_from_the_texts_it_was_fitted_on():
    """On few texts of pure chance a fitted temperature gains on its own texts and not on others."""
    gains, honest = [], []
    for seed in range(30):
        labels, probabilities = predictions(12, seed)
        found = scores.calibration(labels, probabilities, seed)
        logits = np.log(probabilities) / found["temperature"]
        fitted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        gains.append(found["log_loss"] + np.log(fitted[np.arange(12), labels]).mean())
        honest.append(found["log_loss"] - found["log_loss_after"])
    assert min(gains) >= -1e-9
    assert np.mean(honest) < 0 < np.mean(gains)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 3), (1, 9), (12, 2), (700, 610)])
def test_mcnemar_is_the_exact_binomial_test(first, second):
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert scores.mcnemar(first, second) == pytest.approx(expected)


def test_two_classifiers_are_compared_on_the_same_texts():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    good, bad = (np.where(rng.random(400) < share, labels, 1 - labels) for share in (0.9, 0.75))
    found = scores.compare(labels, good, np.eye(2)[bad], ("the model", "the baseline"))
    difference = (good == labels).astype(float) - (bad == labels)
    assert found["difference"]["value"] == pytest.approx(difference.mean())
    drawn = [difference[rng.integers(400, size=400)].mean() for _ in range(4000)]
    assert (found["difference"]["low"], found["difference"]["high"]) == pytest.approx(
        np.percentile(drawn, [2.5, 97.5]), abs=0.01
    )
    assert found["verdict"].startswith("The model is significantly better than the baseline, by ")
    turned = scores.compare(labels, bad, good, ("the model", "the baseline"))
    assert turned["verdict"].startswith("The baseline is significantly better than the model, by ")
    assert turned["difference"]["value"] == -found["difference"]["value"]
    assert scores.compare(labels, good, good)["verdict"].startswith("No significant difference")
    assert "macro F1" not in found["verdict"] + turned["verdict"]


def test_who_is_right_more_often_may_be_worse_at_the_rare_class():
    labels = np.repeat([0, 1], [40, 960])
    finds = np.concatenate(
        [np.repeat([0, 1], [33, 7]), np.repeat([0, 1], [80, 880])]
    )  # 33 of the 40, and 80 wrong alarms
    found = scores.compare(labels, finds, np.ones(1000, int), ("this model", "the baseline"))
    expected = metrics.f1_score(labels, finds, average="macro") - metrics.f1_score(
        labels, np.ones(1000), average="macro"
    )
    assert found["macro_f1"]["value"] == pytest.approx(expected)
    rng = np.random.default_rng(1)
    drawn = [
        metrics.f1_score(labels[places], finds[places], average="macro")
        - metrics.f1_score(labels[places], np.ones(1000), average="macro")
        for places in rng.integers(1000, size=(500, 1000))
    ]
    ends = np.percentile(drawn, [2.5, 97.5])
    assert (found["macro_f1"]["low"], found["macro_f1"]["high"]) == pytest.approx(ends, abs=0.015)
    first, second = found["verdict"].split(" In macro F1, ")
    assert first.startswith("The baseline is significantly better than this model, by 4.7 [")
    assert "this model is significantly better, by " in second
    assert scores.is_better_at_rare_classes(found)
    assert not scores.is_better(found)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([], np.zeros((0, 2)), "at least one text"),
        ([0, 1], [[0.5, 0.5]], "Received: labels \\(2,\\), probabilities \\(1, 2\\)"),
        ([0, 3], [[0.5, 0.5], [0.5, 0.5]], "integers from 0 to 1"),
        ([0.5, 1.0], [[0.5, 0.5], [0.5, 0.5]], "integers"),
        ([0, 1], [[2.0, -1.0], [0.5, 0.5]], "softmax"),
        ([0, 1], [[np.nan, 1.0], [0.5, 0.5]], "finite"),
    ],
)
def test_what_are_no_labels_and_probabilities_is_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        scores.evaluate(labels, probabilities, ("a", "b"))


def test_one_text_and_certain_mistakes_give_finite_numbers():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scores.evaluate(np.array([1]), np.array([[1.0, 0.0]], "float32"), ("a", "b"))
    assert found["scores"]["accuracy"]["value"] == 0
    assert 80 < found["scores"]["log_loss"]["value"] < 90
    json.dumps(found, allow_nan=False)
