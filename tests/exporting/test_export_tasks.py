"""Exported models of every task, of pairs and with a prefix: the gate compares what the task answers, the bundle answers it."""

import runpy

import keras
import numpy as np
import pytest

import bert_tf
from bert_tf.exporting import formats
from bert_tf.exporting.export import RefusedError
from bert_tf.tasks.task import task_of

TEXTS = ["good kettle", "broke at once, bad", "lovely and good", "bad and slow", "good but slow", "it is a thing"]
SETS = [["good"], ["bad"], ["good"], ["bad", "slow"], ["good", "slow"], []]
STARS = [4, 1, 5, 1, 3, 2]
PAIRS = [*zip(TEXTS, TEXTS[::-1], strict=True)]
KINDS = {  # config, texts, labels, the score and the first answers of `Predictions` that the bundle must give too
    "multi-label": ({"id2label": ["bad", "good", "slow"], "problem_type": "multi_label_classification", "label_thresholds": [0.4, 0.5, 0.6]}, TEXTS, SETS, "micro_f1"),
    "regression": ({"id2label": ["stars"], "problem_type": "regression"}, TEXTS, [float(each) for each in STARS], "mae"),
    "ordinal": ({"id2label": list("12345"), "problem_type": "single_label_classification", "bert_tf_task": "ordinal"}, TEXTS, STARS, "accuracy"),
    "pairs": ({"id2label": ["apart", "together"], "problem_type": "single_label_classification", "text_pairs": True}, PAIRS, ["apart", "together"] * 3, "accuracy"),
    "prefix": ({"id2label": ["bad", "good"], "problem_type": "single_label_classification", "bert_tf_prefix": "query: "}, TEXTS, ["good", "bad"] * 3, "accuracy"),
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def kind(request, minilm_bert, tmp_path_factory):
    """A model and its texts, labelled: folder, texts, source, score. A BERT: its token types tell the texts of a pair apart."""
    from transformers import BertConfig

    config, texts, labels, score = KINDS[request.param]
    keras.utils.set_random_seed(1)
    sizes = {"hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 3}
    names = {**config, "id2label": dict(enumerate(config["id2label"]))}
    folder = tmp_path_factory.mktemp(request.param) / "model"
    model = bert_tf.TFBertForSequenceClassification(
        BertConfig(vocab_size=30522, **sizes, initializer_range=0.5, **names)
    )
    model.save_pretrained(folder)
    bert_tf.load_tokenizer(minilm_bert).save_pretrained(folder)
    return folder, texts, (texts, labels), score


def test_the_bundle_gives_the_answers_of_the_task(kind, tmp_path):
    pytest.importorskip("onnxruntime")
    folder, texts, source, score = kind
    exported = bert_tf.export(folder, tmp_path / "bundle", source, max_length=16, verbose=0)
    assert (exported.measured["score"], exported.measured["float32"]["agreement"]) == (score, 1)
    expected = bert_tf.predict(folder, texts, max_length=16)
    program = runpy.run_path(str(exported.folder / "classify.py"))
    outputs = task_of(expected.task).squash(program["logits"](texts))
    np.testing.assert_allclose(outputs, expected.outputs, atol=1e-5)
    assert np.std(outputs, axis=0).max() > 1e-3  # or any constant would do
    answers = program["answers"](texts)
    if expected.task == "regression":
        np.testing.assert_allclose(answers, expected.values, atol=1e-5)
    elif expected.task == "multi-label":
        assert [*map(sorted, answers)] == [*map(sorted, expected.labels)]
    else:
        assert answers == expected.labels


def test_a_file_that_answers_otherwise_is_refused(kind, tmp_path, monkeypatch):
    """Drift and score are allowed anything here: the share of equal answers alone decides."""
    folder, _, source, _ = kind
    load = formats.converter("keras").load

    def turned(file, names):
        run = load(file, names)
        return lambda batch: -run(batch)

    monkeypatch.setattr(formats.converter("keras"), "load", turned)
    limits = {"max_drift": 1e9, "max_loss": 1e9}
    with pytest.raises(RefusedError, match=r"float32: \d+\.\d% of the texts get the same answer \(required: 100\.0%\)"):
        bert_tf.export(folder, tmp_path / "bundle", source, to="keras", max_length=16, verbose=0, **limits)
    assert not (tmp_path / "bundle").exists()
