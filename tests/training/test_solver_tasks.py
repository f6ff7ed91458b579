"""The solved heads of several labels a text and of numbers are the optima of their penalised losses."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from bert_tf.evaluation import multi_label
from bert_tf.evaluation.resampling import folds
from bert_tf.training import solver, solver_multi_label, solver_regression


def drawn(texts: int, width: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(width, width)) * np.linspace(0.1, 2, width)  # correlated features
    rows = rng.normal(size=(texts, width)) @ mixing
    logits = rows @ np.random.default_rng(8).normal(size=(width, 3)) / 10 - [0, 1, 3]
    return rows.astype("float32"), (rng.random(logits.shape) < expit(logits)).astype("float32")


@pytest.mark.parametrize(("texts", "width"), [(400, 20), (60, 90)])  # more texts than features, and fewer
def test_each_label_has_the_head_of_a_logistic_regression_of_its_own(texts, width):
    rows, labels = drawn(texts, width)
    strength = solver_multi_label.STRENGTHS[1]
    axes, squares = solver_multi_label.principal_axes(rows)
    kernel, bias = solver_multi_label.fit(rows @ axes, squares, labels, solver_multi_label.STRENGTHS)[1]
    for i in range(3):
        own = LogisticRegression(C=strength, tol=1e-8, max_iter=2000).fit(rows, labels[:, i])
        np.testing.assert_allclose((axes @ kernel)[:, i], own.coef_[0], atol=0.02 * np.abs(own.coef_).max())
        assert bias[i] == pytest.approx(own.intercept_[0], abs=0.02)


def test_it_is_calibrated_and_says_what_to_expect():
    rows, labels = drawn(1500)
    head = solver_multi_label.solve(rows, labels, 3)
    new, truth = drawn(4000, seed=1)
    logits = new @ head.kernel + head.bias
    assert multi_label.logit_loss(truth, logits) == pytest.approx(head.held_out_loss, abs=0.03)
    assert 0.85 < multi_label.temperature(truth, logits) < 1.15
    assert head.strength in solver_multi_label.STRENGTHS


def test_a_label_without_texts_is_never_predicted():
    rows, labels = drawn(200)
    labels[:, 1] = 0
    head = solver_multi_label.solve(rows, labels, 3)
    assert not head.kernel[:, 1].any()
    assert head.bias[1] <= solver.ABSENT / 2
    with pytest.raises(ValueError, match="at least one label"):
        solver_multi_label.solve(rows, 0 * labels, 3)


def test_few_texts_are_not_cross_validated():
    rows, labels = drawn(5)
    labels[0] = 1
    assert solver_multi_label.solve(rows, labels, 3).strength == solver.USUAL_STRENGTH
    assert solver_regression.solve(rows, rows[:, :1]).strength == 1 / solver_regression.USUAL_PENALTY


def test_ridge_is_scikit_learns():
    rows, _ = drawn(300)
    numbers = (rows @ np.random.default_rng(3).normal(size=20) + np.random.default_rng(4).normal(size=300) * 5 + 7)[
        :, None
    ]
    head = solver_regression.solve(rows, numbers)
    own = Ridge(1 / head.strength).fit(rows.astype("float64"), numbers.ravel())
    np.testing.assert_allclose(head.kernel[:, 0], own.coef_, atol=1e-3)
    assert head.bias[0] == pytest.approx(own.intercept_, abs=1e-2)
    new = drawn(3000, seed=1)[0]
    errors = new @ (np.random.default_rng(3).normal(size=20) - head.kernel[:, 0]) + 7 - head.bias[0]
    assert head.held_out_loss == pytest.approx(25 + (errors**2).mean(), rel=0.25)
    with pytest.raises(ValueError, match="two different numbers"):
        solver_regression.solve(rows, np.ones((300, 1)))


def test_a_text_that_counts_twice_is_two_texts():
    rows, labels = drawn(150)
    twice, weights = np.arange(150) % 5 == 0, np.where(np.arange(150) % 5 == 0, 2.0, 1.0).astype("float32")
    more, double = np.concatenate([rows, rows[twice]]), np.concatenate([labels, labels[twice]])
    axes, squares = solver_multi_label.principal_axes(rows)
    once = solver_multi_label.fit(rows @ axes, squares, labels, [1e-2], weights)[0]
    other = solver_multi_label.fit(more @ axes, squares, double, [1e-2])[0]
    np.testing.assert_allclose(once[0], other[0], atol=0.02 * np.abs(other[0]).max())
    numbers = (rows[:, :3] @ [1.0, 2.0, 3.0])[:, None]
    head = solver_regression.solve(rows, numbers, weights=weights, groups=np.arange(150) // 10)
    own = Ridge(1 / head.strength).fit(rows.astype("float64"), numbers.ravel(), weights)
    np.testing.assert_allclose(head.kernel[:, 0], own.coef_, atol=1e-3)


def test_a_group_stays_in_one_fold():
    groups = np.arange(60) // 4
    fold = folds(60, 3, seed=1, groups=groups)
    assert sorted(np.bincount(fold)) == [20, 20, 20]
    assert all(len(set(fold[groups == group])) == 1 for group in range(15))
