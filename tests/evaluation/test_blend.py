"""A classifier mixed with TF-IDF: the weights gain on texts held out, and the saved second part says the same."""

import numpy as np
import pytest

from bert_tf.evaluation.blend import load_blend, save_blend, train_blend
from bert_tf.evaluation.scores import log_loss, softmax
from bert_tf.evaluation.tfidf import train_baseline

RANDOM = np.random.default_rng(0)


def texts_and_logits(telling: bool, size: int = 120) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts of 3 classes with a word that tells half of them, or none, and logits that tell all classes now and then."""
    labels = np.arange(size) % 3
    words = [RANDOM.choice([*"abcdefgh"], 5).tolist() for _ in labels]
    texts = [
        " ".join([*each, "xyz"[k] if telling and i % 2 else "w"])
        for i, (each, k) in enumerate(zip(words, labels, strict=True))
    ]
    return texts, labels, RANDOM.normal(size=(size, 3)) + 1.5 * np.eye(3)[labels]


def test_what_the_words_tell_lowers_the_loss():
    texts, labels, logits = texts_and_logits(telling=True)
    blend = train_blend(texts, labels, (np.arange(120), logits), train_baseline(texts, labels, 3))
    assert blend.loss < blend.loss_alone - 0.05
    assert min(blend.weights) > 0
    assert blend.loss_alone == pytest.approx(log_loss(labels, softmax(logits)))


def test_words_that_tell_nothing_gain_next_to_nothing():
    texts, labels, logits = texts_and_logits(telling=False)
    blend = train_blend(texts, labels, (np.arange(120), logits), train_baseline(texts, labels, 3))
    alone = min(log_loss(labels, softmax(weight * logits)) for weight in np.linspace(0.2, 3, 57))
    assert alone - 0.02 < blend.loss <= alone


def test_the_saved_part_says_the_same(tmp_path):
    texts, labels, logits = texts_and_logits(telling=True)
    logits = np.concatenate([logits, np.full((120, 1), -20.0)], axis=1)  # a class without texts
    blend = train_blend(texts, labels, (np.arange(120), logits), train_baseline(texts, labels, 4))
    save_blend(blend, tmp_path)
    unseen = ["a b x", "nothing known", ""]
    again = load_blend(tmp_path)(RANDOM.normal(size=(3, 4)) * 0, unseen)
    np.testing.assert_allclose(again, blend(np.zeros((3, 4)), unseen), atol=1e-6)
    assert again.shape == (3, 4)
    assert load_blend(tmp_path / "nothing") is None


def test_without_held_out_texts_the_parts_cannot_be_weighed():
    texts, labels, _ = texts_and_logits(telling=True)
    with pytest.raises(ValueError, match="at least two texts"):
        train_blend(texts, labels, (np.zeros(0, "int64"), np.zeros((0, 4))), train_baseline(texts, labels, 4))
