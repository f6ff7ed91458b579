"""Logistic regression on TF-IDF: it is scikit-learn's pipeline, and no text helps to judge itself."""

import warnings

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline

from bert_tf.evaluation import tfidf


def test_the_baseline_is_a_pipeline_of_scikit_learn(reviews):
    labels = np.array([name == "positive" for name in reviews["label"]], "int64")
    texts = ["good and sturdy", "flimsy, broke down", "no known word"]
    probabilities = tfidf.train_baseline(reviews["text"], labels, 2)(texts)
    assert probabilities.shape == (3, 2)
    assert probabilities.sum(axis=1) == pytest.approx([1, 1, 1])
    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    candidates = [
        make_pipeline(vectors, LogisticRegression(C=strength)).fit(reviews["text"], labels).predict_proba(texts)
        for strength in tfidf.STRENGTHS
    ]
    assert any(np.allclose(probabilities, expected, atol=1e-3) for expected in candidates)
    assert probabilities[0, 1] > 0.5 > probabilities[1, 1]


def test_the_baseline_chooses_the_strength_with_the_lowest_held_out_loss():
    """Words that predict nothing want strong regularisation, one that predicts all wants little."""
    rng = np.random.default_rng(0)
    noise = [" ".join(rng.choice([*"abcdefghij"], 6)) for _ in range(60)]
    labels = rng.integers(0, 2, 60)
    telling = [f"{text} {['yes', 'no'][label]}" for text, label in zip(noise, labels, strict=True)]
    chosen = [tfidf.train_baseline(texts, labels, 2).model.C for texts in (noise, telling)]
    assert chosen == [min(tfidf.STRENGTHS), max(tfidf.STRENGTHS)]


def test_the_baseline_takes_classes_without_or_with_few_texts_and_refuses_one_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        few = tfidf.train_baseline(["a good one", "a bad one"] * 5 + ["other"], [0, 2] * 5 + [3], 5)(["a good one"])
    assert few.shape == (1, 5)
    assert few[0, [1, 4]].tolist() == [0, 0]
    assert few[0].argmax() == 0
    assert few[0, 3] > 0
    with pytest.raises(ValueError, match="at least two classes. Received: 1"):
        tfidf.train_baseline(["one", "two"], [1, 1], 2)


def test_out_of_fold_is_logistic_regression_on_the_other_folds():
    rng = np.random.default_rng(0)
    rows, labels, groups = rng.normal(0, 1, (60, 7)), rng.integers(0, 3, 60), np.arange(60) // 2
    probabilities = tfidf.out_of_fold(rows, labels, 4, groups=groups, seed=4)
    assert (probabilities[:, 3] == 0).all()
    folds = StratifiedGroupKFold(tfidf.LABEL_FOLDS, shuffle=True, random_state=4)
    for train, held_out in folds.split(rows, labels, groups):
        model = LogisticRegression(C=tfidf.LABEL_STRENGTH, max_iter=300).fit(rows[train], labels[train])
        assert probabilities[held_out, :3] == pytest.approx(model.predict_proba(rows[held_out]), abs=1e-6)
    assert (tfidf.out_of_fold(rows, labels, 4, groups=groups, seed=5) != probabilities).any()


def test_no_text_helps_to_judge_itself():
    """Random labels cannot be predicted out of fold; with copies in other folds they could, if these were not grouped."""
    rng = np.random.default_rng(0)
    rows, labels = np.repeat(rng.normal(size=(100, 150)), 2, axis=0), np.repeat(rng.integers(0, 2, 100), 2)

    def accuracy(groups):
        return (tfidf.out_of_fold(rows, labels, 2, groups=groups).argmax(axis=1) == labels).mean()

    assert accuracy(None) > 0.8
    assert 0.35 < accuracy(np.repeat(np.arange(100), 2)) < 0.65


def test_sizes_that_differ_are_refused():
    with pytest.raises(ValueError, match="Received: 3 rows, 2 labels"):
        tfidf.out_of_fold(np.zeros((3, 2)), [0, 1], 2)
