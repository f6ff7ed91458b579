"""The baselines for several labels a text and for numbers."""

import numpy as np
import pytest

from bert_tf.evaluation import multi_label, terms, tfidf_multi_label, tfidf_regression

WORDS = ["sturdy", "flimsy", "quick", "slow"]


def drawn(texts: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Returns texts that hold a word for each of their labels, and the labels."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((texts, 4)) < 0.3).astype("float32")
    said = [" ".join(["thing", *(word for word, yes in zip(WORDS, row, strict=True) if yes)]) for row in labels]
    return [f"{text} {rng.choice(['red', 'blue'])}" for text in said], labels


def test_it_finds_the_words_of_each_label():
    model = tfidf_multi_label.train_baseline(*drawn(200), 4)
    texts, labels = drawn(100, seed=1)
    probabilities = model(texts)
    assert probabilities.shape == (100, 4)
    assert ((probabilities >= 0.5) == labels).mean() > 0.97
    assert model.parameters == model.kernel.size + 4 < model.size


def test_labels_that_all_texts_have_or_none():
    texts, labels = drawn(60)
    labels[:, 0], labels[:, 1] = 0, 1
    probabilities = tfidf_multi_label.train_baseline(texts, labels, 4)(["thing sturdy", "another"])
    assert (probabilities[:, 0] < 1e-6).all()
    assert (probabilities[:, 1] > 1 - 1e-6).all()


def test_ridge_finds_what_each_word_adds():
    texts, labels = drawn(300)
    model = tfidf_regression.train_baseline(texts, 100 + labels @ [10, -10, 5, -5])
    low, high = model(["thing flimsy slow red", "thing sturdy quick red"])
    assert low < 95 < 105 < high
    assert model.parameters < model.size


def test_texts_without_a_common_word_or_character_are_refused():
    with pytest.raises(ValueError, match="no terms remain"):
        tfidf_regression.train_baseline([chr(0x4E00 + i) for i in range(1000)], np.arange(1000.0))


def test_thresholds_are_chosen_out_of_fold_if_that_is_quick(monkeypatch):
    # Each text has a word of its own, of which the labels are learnt by heart: only texts not learnt from show that it says nothing.
    rng = np.random.default_rng(0)
    texts, labels = [f"thing w{i}" for i in range(150)], (rng.random((150, 2)) < 0.3).astype("float32")
    model = tfidf_multi_label.train_baseline(texts, labels, 2)
    by_heart = multi_label.choose_thresholds(labels, model(texts))
    assert multi_label.micro_f1(labels, model(texts), by_heart) == 1
    assert (model.thresholds < by_heart / 2).all()
    monkeypatch.setattr(terms, "COMPARED_UP_TO", 100)
    assert tfidf_multi_label.train_baseline(texts, labels, 2).thresholds is None
