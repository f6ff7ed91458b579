"""Logistic regression on words and features: what it may see, and that it needs scikit-learn only when called."""

import sys

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bert_tf.evaluation import tfidf


def test_the_floor_is_a_pipeline_of_scikit_learn(reviews):
    labels = np.array([name == "positive" for name in reviews["label"]], "int64")
    texts = ["good and sturdy", "flimsy, broke down", "no known word"]
    found = tfidf.floor(reviews["text"], labels, texts, 2)
    assert found.shape == (3, 2)
    assert found.sum(axis=1) == pytest.approx([1, 1, 1])
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    candidates = [
        make_pipeline(vectors, LogisticRegression(C=strength)).fit(reviews["text"], labels).predict_proba(texts)
        for strength in tfidf.STRENGTHS
    ]
    assert any(np.allclose(found, theirs, atol=1e-3) for theirs in candidates)
    assert found[0, 1] > 0.5 > found[1, 1]


def test_the_floor_takes_classes_it_has_not_seen_and_refuses_one_alone(reviews):
    found = tfidf.floor(["a good one", "a bad one"] * 5, [0, 2] * 5, ["a good one"], 4)
    assert found[0, [1, 3]].tolist() == [0, 0]
    assert found[0].argmax() == 0
    with pytest.raises(ValueError, match="At least two classes"):
        tfidf.floor(["one", "two"], [1, 1], ["one"], 2)


def test_out_of_fold_is_standardised_logistic_regression_on_the_other_folds():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(3, 5, (60, 7)), rng.integers(0, 3, 60)
    found = tfidf.out_of_fold(features, labels, 3, strength=0.1, seed=4)
    fold = tfidf.folds(labels, tfidf.FOLDS, seed=4)
    for i in range(tfidf.FOLDS):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(features[fold != i], labels[fold != i])
        assert found[fold == i] == pytest.approx(model.predict_proba(features[fold == i]), abs=1e-3)


def test_no_text_helps_to_judge_itself():
    """Labels by coin toss cannot be told out of fold; with copies among the folds they could, if not grouped."""
    rng = np.random.default_rng(0)
    features, labels = np.repeat(rng.normal(size=(100, 150)), 2, axis=0), np.repeat(rng.integers(0, 2, 100), 2)

    def accuracy(groups):
        return (tfidf.out_of_fold(features, labels, 2, groups=groups, strength=1.0).argmax(axis=1) == labels).mean()

    assert accuracy(None) > 0.8
    assert 0.35 < accuracy(np.repeat(np.arange(100), 2)) < 0.65


def test_folds_spread_each_class_and_keep_groups_together():
    labels = np.array([0] * 23 + [1] * 7 + [2])
    fold = tfidf.folds(labels, 5, seed=1)
    for label in range(3):
        counts = np.bincount(fold[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1
    grouped = tfidf.folds(labels, 5, np.arange(31) // 2, seed=1)
    assert all(len(set(grouped[i : i + 2])) == 1 for i in range(0, 30, 2))
    assert (tfidf.folds(labels, 5, seed=1) == fold).all()
    assert (tfidf.folds(labels, 5, seed=2) != fold).any()


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="Received: 3 rows, 2 labels"):
        tfidf.out_of_fold(np.zeros((3, 2)), [0, 1], 2)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.exceptions", None)
    with pytest.raises(ImportError, match=r"pip install 'bert-tf\[report\]'"):
        tfidf.floor(["a", "b"], [0, 1], ["a"], 2)
