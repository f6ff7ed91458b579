"""The solved head: it is the optimum, calibrated by held-out texts, and copes with classes that have few texts or none."""

import numpy as np
import pytest

from bert_tf.evaluation import scores
from bert_tf.training import solver


def drawn(texts: int, classes: int, seed: int = 0, noise: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Returns features that are noisy pictures of their class, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(texts) % classes
    rows = np.eye(classes)[labels] @ np.random.default_rng(9).normal(size=(classes, 20)) + noise * rng.normal(
        size=(texts, 20)
    )
    return rows.astype("float32"), labels


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_the_optimum_of_the_penalised_loss(classes):
    rows, labels = drawn(300, classes)
    head = solver.solve(rows, labels, classes)
    kernel, bias = head.kernel.astype("float64") * head.temperature, head.bias * head.temperature
    errors = scores.softmax(rows @ kernel + bias) - np.eye(classes)[labels]
    # scikit-learn's two-class penalty is on the difference of the two columns, ours in the model on each half of it.
    penalty = kernel / head.strength * (2 if classes == 2 else 1)
    scale = np.abs(rows.T @ errors).max() + np.abs(penalty).max()
    assert np.abs(rows.T @ errors + penalty).max() < 0.02 * scale
    assert head.strength in solver.STRENGTHS


def test_it_predicts_and_is_calibrated():
    rows, labels = drawn(400, 3)
    head = solver.solve(rows, labels, 3)
    new, truth = drawn(4000, 3, seed=1)
    logits = (new @ head.kernel + head.bias).astype("float64")
    assert (logits.argmax(1) == truth).mean() > 0.6  # 1/3 by chance
    assert scores.log_loss(truth, scores.softmax(logits)) == pytest.approx(head.held_out_loss, abs=0.08)
    assert 0.85 < scores.temperature(truth, scores.softmax(logits)) < 1.15


def test_a_class_without_texts_is_never_predicted():
    rows, labels = drawn(60, 2)
    head = solver.solve(rows, 2 * labels, 4)  # classes 0 and 2 of 4
    assert set((rows @ head.kernel + head.bias).argmax(1)) == {0, 2}
    assert head.kernel.shape == (20, 4)


def test_a_class_with_one_text_needs_no_folds():
    rows, labels = drawn(20, 2)
    labels[:] = 0
    labels[3] = 1
    head = solver.solve(rows, labels, 2)
    assert (head.strength, head.temperature) == (solver.USUAL_STRENGTH, 1.0)
    assert np.isnan(head.held_out_loss)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="at least two classes. Received: 1"):
        solver.solve(np.zeros((4, 2)), [1, 1, 1, 1], 2)
