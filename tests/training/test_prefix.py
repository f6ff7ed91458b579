"""A text that is put before each text: once, wherever the model sees texts, and kept in the model."""

import json

import numpy as np
import pytest

import bert_tf
from bert_tf.checkpoints.rewriting import rewrite
from bert_tf.data.tokenizer import tokenize

PREFIX = "query: "


@pytest.fixture(scope="module")
def run(tiny, reviews, tmp_path_factory):
    out = tmp_path_factory.mktemp("prefix") / "run"
    return bert_tf.finetune(reviews, reviews, test=reviews, checkpoint=tiny, prefix=PREFIX, unfreeze=0, output_dir=out, verbose=0,
                            max_length=32, precision="float32")  # fmt: skip


@pytest.fixture(scope="module")
def by_hand(tiny, reviews, tmp_path_factory):
    """The same with the prefix in the texts."""
    written = {**reviews, "text": [PREFIX + text for text in reviews["text"]]}
    out = tmp_path_factory.mktemp("by-hand") / "run"
    return bert_tf.finetune(written, written, checkpoint=tiny, unfreeze=0, output_dir=out, verbose=0, max_length=32,
                            precision="float32", report=False)  # fmt: skip


def test_it_is_as_if_it_stood_in_the_texts(run, by_hand, reviews):
    folder = run.output_dir / "model"
    assert json.loads((folder / "config.json").read_text())["bert_tf_prefix"] == PREFIX
    assert run.metrics["val_loss"] == pytest.approx(by_hand.metrics["val_loss"], abs=1e-6)
    assert run.metrics["test"]["scores"]["accuracy"]["value"] == by_hand.metrics["val_accuracy"]
    assert f"--prefix '{PREFIX}'" in (run.output_dir / "report.html").read_text().replace("&#39;", "'")
    texts = reviews["text"][::5]
    expected = bert_tf.predict(by_hand.output_dir / "model", [PREFIX + text for text in texts]).probabilities
    for given in (texts, [PREFIX + text for text in texts]):  # never twice
        np.testing.assert_allclose(bert_tf.predict(folder, given).probabilities, expected, atol=1e-5)
    without = bert_tf.predict(by_hand.output_dir / "model", texts).probabilities
    assert np.abs(without - expected).max() > 1e-3
    found = bert_tf.evaluate(folder, reviews, output_dir=None, verbose=False)
    assert found.metrics["scores"]["log_loss"]["value"] == pytest.approx(run.metrics["val_loss"], abs=1e-4)


def test_the_explanation_has_the_words_of_the_text_alone(run, by_hand):
    text = "awful thing, broke down"
    found = bert_tf.explain(run.output_dir / "model", text, random_orders=1)
    assert found.words.real_names == ("awful", "thing", ",", "broke", "down")
    assert found.words.text == text
    assert all(
        text[start:end] == name for (start, end), name in zip(found.words.spans, found.words.names, strict=True) if end
    )
    expected = bert_tf.predict(by_hand.output_dir / "model", [PREFIX + text]).probabilities[0]
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)
    assert found.words.names[1:3] == ("query", ":")  # beside [CLS], for the attention


def test_a_model_that_starts_from_it_keeps_it(run, reviews, tmp_path):
    again = bert_tf.finetune(reviews, reviews, checkpoint=run.output_dir / "model", unfreeze=0, epochs=1, output_dir=tmp_path / "again",
                             verbose=0, report=False)  # fmt: skip
    assert again.model.config.bert_tf_prefix == PREFIX
    assert again.metrics["settings"]["prefix"] == PREFIX
    student = bert_tf.distill(run.output_dir / "model", reviews, reviews, layers=1, epochs=1, output_dir=tmp_path / "student",
                              verbose=0, report=False)  # fmt: skip
    assert student.model.config.bert_tf_prefix == PREFIX
    rewrite(run.output_dir / "model", tmp_path / "converted")
    assert json.loads((tmp_path / "converted/config.json").read_text())["bert_tf_prefix"] == PREFIX


def test_both_texts_of_a_pair_have_it(tiny):
    tokenizer = bert_tf.load_tokenizer(tiny)
    found = tokenize([("good", "query: bad"), ("fine", "so so")], tokenizer, 32, PREFIX)
    expected = tokenize([("query: good", "query: bad"), ("query: fine", "query: so so")], tokenizer, 32)
    assert found.ids.tolist() == expected.ids.tolist()
