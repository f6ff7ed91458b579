"""What a run tells: a planted case for each verdict, duplicate, mistake and wrong label."""

import json

import numpy as np
import pytest

from bert_tf.evaluation import diagnostics, tfidf
from bert_tf.evaluation.history import best_epoch

CURVES = {
    "overfitting": ([0.7, 0.5, 0.3, 0.1], [0.6, 0.5, 0.6, 0.8]),
    "improving": ([0.7, 0.6, 0.5], [0.69, 0.6, 0.5]),
    "settled": ([0.7, 0.5, 0.45, 0.44], [0.6, 0.5, 0.501, 0.502]),
    "unsteady": ([0.7, 0.5, 0.9], [0.6, 0.5, 0.9]),
    "nothing learned": ([0.7, 0.7, 0.69], [0.695, 0.693, 0.694]),
    "one epoch": ([0.5], [0.4]),
    "diverged": ([float("nan"), float("nan")], [float("nan"), float("nan")]),
}


@pytest.mark.parametrize("kind", CURVES)
def test_the_curves_are_put_into_words(kind):
    train, validation = CURVES[kind]
    found = diagnostics.overfitting({"loss": train, "val_loss": validation}, chance=np.log(2))
    assert found["kind"] == kind
    assert found["verdict"].endswith(".")
    json.dumps(found, allow_nan=False)


def test_classes_that_are_never_predicted_are_named():
    said = diagnostics.unpredicted([[0, 5], [0, 295]], ["bad", "good"])
    assert said == [
        "'bad' is never predicted, though 5 of 300 texts are: always answering 'good' has 0.983 right, the model 0.983."
    ]
    assert diagnostics.unpredicted([[1, 4], [0, 295]], ["bad", "good"]) == []
    assert diagnostics.unpredicted([[0, 0], [0, 9]], ["bad", "good"]) == []  # there is no text to predict it for
    few = diagnostics.unpredicted(np.diag([0, 0, 7]) + [[0, 0, 1]] * 3, ["a", "b", "c"])
    assert few[0].startswith("'a', 'b' are never predicted, though 2 of 10 texts are")


def test_the_verdict_on_overfitting_names_the_turn_and_the_gaps():
    train, validation = CURVES["overfitting"]
    found = diagnostics.overfitting({"loss": train, "val_loss": validation})
    assert "after epoch 2" in found["verdict"]
    assert "lowest at epoch 2 (0.500)" in found["verdict"]
    assert "0.800 (+60%)" in found["verdict"]
    assert (found["best_epoch"], found["gap_at_best"], found["gap_at_last"]) == (2, 0.0, pytest.approx(0.7))
    other = diagnostics.overfitting({"loss": train, "val_loss": validation}, kept=3)
    assert (other["kind"], other["best_epoch"]) == ("overfitting", 3)
    assert "lowest at epoch 2" in other["verdict"]
    assert other["verdict"].startswith("Overfitting: ")  # not "after epoch 2", when the third is kept
    assert other["verdict"].endswith("Epoch 3 was kept, the best by another metric.")


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("val_calibrated_loss", [0.6, 0.5, 0.4, 0.45], "after calibration its validation loss was the lowest"),
        ("val_accuracy", [0.6, 0.7, 0.8, 0.8], "its validation accuracy was the highest"),
    ],
)
def test_an_epoch_that_is_kept_for_another_reason_is_kept_with_that_reason(name, values, reason):
    train, validation = CURVES["overfitting"]
    values = values[: len(train)]
    said = diagnostics.overfitting({"loss": train, "val_loss": validation, name: values}, kept=3)["verdict"]
    assert said.endswith(f"Epoch 3 was kept: {reason}.")


def test_of_an_epoch_that_is_not_kept_nothing_is_said():
    train, validation = CURVES["overfitting"]
    history = {"loss": train, "val_loss": validation}
    assert "is kept" in diagnostics.overfitting(history, kept=2)["verdict"]
    assert "kept" not in diagnostics.overfitting(history)["verdict"].replace("kept falling", "")


def test_the_last_epoch_is_kept_for_the_learning_rate():
    train, validation = CURVES["overfitting"]
    history, epochs = {"loss": train, "val_loss": validation}, len(train)
    kept = f"Epoch {epochs} was kept, the last, where the learning rate had fallen to 0"
    said = diagnostics.overfitting(history, kept=epochs, last_kept=True)["verdict"]
    assert said.endswith(f"{kept}: a lower validation loss before that is often chance.")
    history["val_calibrated_loss"] = sorted(validation, reverse=True)
    said = diagnostics.overfitting(history, kept=epochs, last_kept=True)["verdict"]
    assert said.endswith(f"{kept}: after calibration its validation loss was the lowest.")
    history["val_calibrated_loss"] = [0.6, 0.45, 0.41, 0.42]
    said = diagnostics.overfitting(history, kept=epochs, last_kept=True)["verdict"]
    reason = "after calibration its validation loss is 0.420; a lower one before that (0.410, epoch 3) is often chance."
    assert said.endswith(f"{kept}: {reason}")


def test_a_training_that_diverges_late_says_when():
    found = diagnostics.overfitting({"loss": [0.5, float("nan")], "val_loss": [0.6, float("nan")]})
    assert found["kind"] == "diverged"
    assert "after epoch 1" in found["verdict"]


def test_curves_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="Received: 2 and 1 values"):
        diagnostics.overfitting({"loss": [1, 2], "val_loss": [1]})


def test_guessing_by_shares_costs_the_entropy():
    assert diagnostics.chance_loss([0, 1, 2, 2]) == pytest.approx(1.5 * np.log(2))


def test_duplicates_are_found_across_case_and_spaces_within_and_across_splits():
    texts = ["Good  thing", "good\nthing ", "bad", "GOOD THING", "alone"]
    seen = ["bad", "Bad", "new", "STRASSE", "straße"]
    found = diagnostics.duplicates(
        {"training": (texts, [1, 1, 0, 0, 1]), "validation": (seen, [0, 0, 1, 0, 0])}, ("no", "yes")
    )
    assert found["within"] == {"training": 2, "validation": 2}
    assert found["across"] == {"validation": 2}
    assert found["conflicting"] == 1
    assert found["conflicts"] == [{"text": "Good  thing", "labels": ["training: yes", "training: yes", "training: no"]}]
    assert diagnostics.groups(texts).tolist() == [0, 0, 1, 0, 2]


def test_lengths_count_what_is_cut():
    tokens = np.array([3, 5, 8, 8, 9])
    found = diagnostics.lengths(tokens, 8)
    assert (found["cut"], found["median"], found["longest"], sum(found["counts"])) == (1, 8.0, 9, 5)
    assert len(found["edges"]) == len(found["counts"]) + 1
    assert diagnostics.lengths([100_000, 1], 512)["counts"][0] == 1
    assert len(diagnostics.lengths([100_000, 1], 512)["counts"]) < 60


def test_mistakes_come_surest_first():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    found = diagnostics.mistakes(["a", "b", "c", "d"], [1, 1, 0, 0], probabilities, ("no", "yes"), most=2)
    assert [(m["text"], m["given"], m["predicted"]) for m in found] == [("a", "yes", "no"), ("c", "no", "yes")]


def test_wrong_labels_are_found_by_the_thresholds_of_confident_learning():
    """Against a loop written from the paper; class 2 is one that the model is never sure of."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    logits = rng.normal(0, 1, (300, 3))
    logits[np.arange(300), labels] += [3, 2, 0.5] @ np.eye(3)[labels].T
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    thresholds = [
        np.mean([p[j] for p, label in zip(probabilities, labels, strict=True) if label == j]) for j in range(3)
    ]
    expected = {}
    for i, (p, label) in enumerate(zip(probabilities, labels, strict=True)):
        over = [j for j in range(3) if p[j] >= thresholds[j]]
        if over and (best := max(over, key=lambda j: p[j])) != label and p.argmax() != label:
            expected[i] = best
    found, suggested = diagnostics.mislabelled(labels, probabilities)
    assert dict(zip(found.tolist(), suggested.tolist(), strict=True)) == expected
    assert len(found) > 10
    own = probabilities[found, labels[found]]
    assert (np.diff(own) >= 0).all()


def test_the_low_threshold_of_a_rare_class_makes_no_frequent_label_suspect():
    labels = np.repeat([0, 1], [4, 96])
    rare = np.concatenate(
        [np.full(4, 0.04), np.full(95, 0.05), [0.9]]
    )  # never sure of the rare class, but for one text
    found, suggested = diagnostics.mislabelled(labels, np.stack([rare, 1 - rare], axis=1))
    assert dict(zip(found.tolist(), suggested.tolist(), strict=True)).get(99) == 0
    assert not {*range(4, 99)} & {*found.tolist()}


def test_flipped_labels_are_found_much_more_often_than_by_chance():
    """On a planted case: 5 % of the labels of two overlapping classes flipped; 20 times is all there can be."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    features = rng.normal(0, 1, (600, 20)) + 0.7 * (2 * labels[:, None] - 1) * (np.arange(20) < 10)
    flipped = rng.choice(600, 30, replace=False)
    given = labels.copy()
    given[flipped] = 1 - given[flipped]
    probabilities = tfidf.out_of_fold(features, given, 2)
    found = diagnostics.suspect_labels([str(i) for i in range(600)], given, probabilities, ("no", "yes"), most=30)
    assert len(found["listed"]) == min(30, found["suspects"])
    hits = sum(each["index"] in flipped for each in found["listed"])
    assert hits / 30 > 6 * 0.05 * len(found["listed"]) / 30
    assert hits > 15


@pytest.mark.parametrize(
    ("metric", "epoch"), [("val_loss", 2), ("val_mean_absolute_error", 2), ("val_accuracy", 1), ("val_macro_f1", 1)]
)
def test_the_best_epoch_is_the_lowest_or_the_highest_by_the_metric(metric, epoch):
    assert best_epoch({metric: [0.7, 0.5, 0.6]}, metric) == epoch


def test_a_metric_that_may_go_either_way_is_not_guessed():
    with pytest.raises(ValueError, match="a higher 'val_perplexity' is better"):
        best_epoch({"val_perplexity": [1.0]}, "val_perplexity")
