"""Logistic regression on TF-IDF: it is scikit-learn's pipeline, and no text helps to judge itself."""

import warnings

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline

from bert_tf.evaluation import terms, tfidf, tfidf_multi_label, tfidf_regression
from bert_tf.evaluation.blend import Blend, load_blend, save_blend


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


SIGNS = [chr(0x4E00 + i) for i in range(300)]


def sentences(count: int, joint: str) -> tuple[list[str], np.ndarray]:
    """Sentences of two classes that one word of two characters tells apart, among others drawn at random."""
    rng, labels = np.random.default_rng(0), np.arange(count) % 2
    words = ([*map("".join, rng.choice(SIGNS, (6, 2)))] for _ in range(count))
    return [
        joint.join([*own[:3], ("\u826f\u3044", "\u60aa\u3044")[k], *own[3:]])
        for own, k in zip(words, labels, strict=True)
    ], labels


@pytest.mark.parametrize(("joint", "characters"), [("", True), (" ", False)])
def test_characters_are_counted_where_words_are_not_separated(joint, characters):
    texts, labels = sentences(90, joint)
    baseline = tfidf.train_baseline(texts[:60], labels[:60], 2)
    assert baseline.characters == characters
    assert (baseline(texts[60:]).argmax(1) == labels[60:]).mean() > 0.9
    multi = tfidf_multi_label.train_baseline(texts[:60], np.eye(2)[labels[:60]], 2)
    ridge = tfidf_regression.train_baseline(texts[:60], labels[:60].astype(float))
    assert (multi.characters, ridge.characters) == (characters, characters)


def test_characters_are_tried_where_that_is_cheap_and_kept_if_they_predict_better():
    """Endings tell the class, and no word occurs twice; where the order of words tells it, words stay."""
    stems, labels = (
        ["".join(each) for each in np.random.default_rng(1).choice([*"bdfgklmnprst"], (240, 6))],
        np.arange(120) % 2,
    )
    endings = [
        f"{a}{end} {b}{end}"
        for a, b, end in zip(stems[::2], stems[1::2], np.array(["ala", "ete"])[labels], strict=True)
    ]
    assert tfidf.train_baseline(endings, labels, 2).characters
    words = [
        f"{a} {order} {b}"
        for a, b, order in zip(stems[::2], stems[1::2], np.array(["on no", "no on"])[labels], strict=True)
    ]
    assert not tfidf.train_baseline(words, labels, 2).characters
    assert not tfidf.train_baseline(endings[:90], labels[:90], 2).characters  # too few to choose by


def test_where_many_texts_have_few_blanks_some_of_them_choose(monkeypatch):
    monkeypatch.setattr(terms, "COMPARED_UP_TO", 80)
    monkeypatch.setattr(terms, "FEWER", 60)
    texts, labels = sentences(120, "")
    baseline = tfidf.train_baseline(texts, labels, 2)
    assert (baseline.characters, baseline.model.C) == (True, tfidf.USUAL_STRENGTH)
    assert baseline.rows.shape[0] == 120


@pytest.mark.parametrize(("joint", "characters"), [("", True), (" ", False)])
def test_texts_drawn_to_choose_terms_may_lack_a_class_or_a_group(joint, characters, monkeypatch):
    """Then blanks decide, and the baseline is trained on all texts."""
    monkeypatch.setattr(terms, "COMPARED_UP_TO", 80)
    monkeypatch.setattr(terms, "FEWER", 20)
    texts, _ = sentences(120, joint)
    left_out = np.random.default_rng(0).permutation(120)[-2:]  # the last in the order that texts are drawn in
    rare, groups = np.zeros(120, int), np.arange(120) % 2
    rare[left_out], groups[left_out] = 1, 2
    classifier = tfidf.train_baseline(texts, rare, 2)
    assert (classifier.characters, classifier.model.C) == (characters, tfidf.USUAL_STRENGTH)
    assert classifier(texts).shape == (120, 2)
    ridge = tfidf_regression.train_baseline(texts, np.arange(120.0), groups=groups)
    assert ridge.characters == characters
    assert ridge(texts).shape == (120,)


@pytest.mark.parametrize("pairs", [False, True])
def test_a_saved_baseline_of_characters_says_the_same(pairs, tmp_path):
    texts, labels = sentences(60, "")
    texts = [*zip(texts[::-1], texts, strict=True)] if pairs else texts
    baseline = tfidf.train_baseline(texts, labels, 2)
    assert baseline.characters
    save_blend(Blend((1.0, 0.5), baseline, 0.5, 0.4), tmp_path)
    np.testing.assert_allclose(load_blend(tmp_path).baseline(texts), baseline(texts), atol=1e-6)
