"""What may pass as texts: the same for every public function."""

import numpy as np
import pytest

import bert_tf
from bert_tf.data import gates

pandas = pytest.importorskip("pandas")
FRAME = pandas.DataFrame({"id": [1, 2], "text": ["good kettle", "bad"]})


@pytest.fixture(scope="module")
def classifier(tiny):
    return bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny)


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return bert_tf.load_tokenizer(tiny)


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("good kettle", TypeError, "one string; put it in a list"),
        (b"good", TypeError, "one string"),
        (FRAME, TypeError, "a DataFrame; pass its texts: texts.'text'."),
        ({"text": ["a"]}, TypeError, "a dict; pass its texts"),
        ({"a", "b"}, TypeError, "a set, which has no order"),
        (np.array([["a"], ["b"]]), ValueError, r"an array of shape \(2, 1\)"),
        (7, TypeError, "Received: int"),
        (["a", None], TypeError, r"a missing value \(texts.1.\)"),
        (["a", 5], TypeError, r"int \(texts.1.\)"),
        (["a", "broken \ud83d"], ValueError, r"texts.1. has half a character"),
    ],
)
def test_what_is_no_list_of_texts_is_refused_everywhere(texts, error, message, classifier, tokenizer):
    calls = [
        lambda: bert_tf.predict(classifier, texts, tokenizer),
        lambda: bert_tf.tokenize(texts, tokenizer, 16),
        lambda: bert_tf.faithfulness(classifier, texts, tokenizer),
    ]
    for call in calls:
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize(
    "texts", [["a b", "c"], ("a b", "c"), np.array(["a b", "c"]), pandas.Series(["a b", "c"]), iter(["a b", "c"])]
)
def test_what_is_a_list_of_texts_passes(texts, tokenizer):
    assert bert_tf.tokenize(texts, tokenizer, 16).lengths.tolist() == [4, 3]


def test_sources_that_are_no_pair_are_refused():
    with pytest.raises(TypeError, match="A pair is .texts, labels., two lists. Received: 'train.csv', 'valid.csv'"):
        bert_tf.read_examples(("train.csv", "valid.csv"))
    with pytest.raises(TypeError, match="Received: a list of 2"):
        bert_tf.read_examples(["a", "b"])
    with pytest.raises(ValueError, match="two are called 'text'"):
        bert_tf.read_examples(pandas.DataFrame([["a", "b", 1]], columns=["text", "text", "label"]))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 5], ValueError, "Labels must lie between 0 and 4.*Received: label 5 at position 1"),
        ([1, 5], ValueError, "Are they counted from 1. Subtract 1"),
        ([0, -1], ValueError, "label -1 at position 1"),
        ([0, 0.5], ValueError, "label 0.5"),
        (["neg", "pos"], TypeError, "integers from 0 to 4. Received: 'neg'"),
    ],
)
def test_numbers_that_are_no_classes_are_refused(labels, error, message):
    with pytest.raises(error, match=message):
        gates.class_numbers(labels, 5)
    assert gates.class_numbers([[0], [4.0]], 5).shape == (2, 1)


def test_integers_in_an_array_of_objects_are_classes():
    found = gates.class_numbers(np.array([0, np.int64(4), True], object), 5)
    assert (found.tolist(), found.dtype.kind) == ([0, 4, 1], "i")
    for wrong, error in (([0, "a"], TypeError), ([0, None], TypeError), ([0, 5], ValueError), ([0, 0.5], ValueError)):
        with pytest.raises(error, match="Labels must"):
            gates.class_numbers(np.array(wrong, object), 5)
