"""The classifiers: sizes, freezing, ways to call, Keras' fit, evaluate and predict."""

import keras
import numpy as np
import pytest
from conftest import GOLDEN
from transformers import BatchEncoding, BertConfig, DistilBertConfig

import bert_tf
from bert_tf.checkpoints.families.table import FAMILIES
from bert_tf.models.auto import CLASSES
from bert_tf.reporting import tables


@pytest.fixture
def model():
    return bert_tf.TFDistilBertForSequenceClassification.from_pretrained(GOLDEN / "distilbert_tiny")


@pytest.fixture
def given():
    ids = np.random.default_rng(0).integers(1, 37, (13, 7))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def test_distilbert_base_has_the_known_sizes():
    model = bert_tf.TFDistilBertForSequenceClassification(DistilBertConfig())
    assert model.num_parameters() == 66_955_010
    model.distilbert.trainable = False
    assert model.num_parameters(only_trainable=True) == 592_130
    assert len(model.trainable_variables) == 4
    shown = tables.parameter_table(model.parameter_table())
    assert "66,955,010" in shown
    assert "592,130" in shown
    assert model.layers[0] is model.distilbert


@pytest.mark.parametrize("family", sorted({*FAMILIES} - {"albert"}))
def test_unfreezing_counts_layers_from_the_top(family):
    model = CLASSES[family, "first_token"].from_pretrained(GOLDEN / f"{family}_tiny")
    trained = {0: [], 1: [2], 2: [1, 2], 3: [0, 1, 2], "all": [0, 1, 2]}
    for unfreeze, layers in trained.items():
        model.freeze(unfreeze)
        found = [i for i, layer in enumerate(model.encoder.blocks.layer) if layer.trainable_weights]
        assert found == layers
        assert bool(model.encoder.embeddings.trainable_weights) == (unfreeze == "all")
        rows = model.parameter_table()
        assert sum(row[1] for row in rows) == model.num_parameters()
        assert sum(row[2] for row in rows) == model.num_parameters(only_trainable=True)
        assert rows[-1][0] == "head"
        assert rows[-1][1] == rows[-1][2]


@pytest.mark.parametrize("unfreeze", [-1, 4, "most", 1.5, True])
def test_unfreezing_what_is_not_there_is_refused(model, unfreeze):
    with pytest.raises(ValueError, match="0 to 3"):
        model.freeze(unfreeze)


def test_layers_by_their_old_paths(model):
    assert model.distilbert.transformer.layer[2] is model.encoder.blocks.layer[2]
    bert = bert_tf.TFBertForSequenceClassification.from_pretrained(GOLDEN / "bert_tiny")
    assert bert.bert.encoder.layer[0] is bert.encoder.blocks.layer[0]


def test_every_way_to_call_gives_the_same(model, given):
    expected = model(given).logits
    ids, mask = given["input_ids"], given["attention_mask"]
    for outputs in (
        model(ids),
        model([ids, mask]),
        model(ids, mask),
        model(input_ids=ids, attention_mask=mask),
        model(BatchEncoding(given)),
        model({"inputs_embeds": model.distilbert.embeddings.word_embeddings(ids)}),
    ):
        np.testing.assert_array_equal(outputs.logits, expected)


def test_outputs_are_read_by_name_key_and_position(model, given):
    outputs = model(given, labels=np.arange(13) % 3, output_hidden_states=True, output_attentions=True)
    assert outputs.loss.shape == (13,)
    assert len(outputs.hidden_states) == 4
    assert outputs.hidden_states[0].shape == (13, 7, 12)
    assert outputs.attentions[0].shape == (13, 4, 7, 7)
    assert outputs[0] is outputs.loss
    assert outputs["logits"] is outputs.logits
    assert outputs.keys() == ["loss", "logits", "hidden_states", "attentions"]
    plain = model(given)
    assert plain[0] is plain.logits
    assert "loss" not in plain
    assert model(given, return_dict=False)[0].shape == (13, 3)
    with pytest.raises(KeyError, match="It holds: logits"):
        plain["loss"]


def test_fit_evaluate_predict(model, given):
    labels = np.arange(13) % 3
    model.compile("adam", metrics=["accuracy"])
    history = model.fit(given, labels, validation_data=(given, labels), epochs=2, verbose=0).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    loss, accuracy = model.evaluate(given, labels, verbose=0)
    logits = model.predict(given, batch_size=5, verbose=0).logits
    assert isinstance(logits, np.ndarray)
    assert accuracy == pytest.approx((logits.argmax(1) == labels).mean())
    chosen = (logits - logits.max(1, keepdims=True))[np.arange(13), labels]
    assert loss == pytest.approx(
        np.mean(np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) - chosen), abs=1e-5
    )


def test_a_frozen_base_does_not_move(model, given):
    before = [np.array(w) for w in model.distilbert.weights]
    model.distilbert.trainable = False
    model.compile("adam")
    head = np.array(model.classifier.kernel)
    model.fit(given, np.zeros(13, "int32"), verbose=0)
    for old, new in zip(before, model.distilbert.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.abs(head - np.array(model.classifier.kernel)).max() > 0


def test_bfloat16_returns_float32_logits(given):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(GOLDEN / "distilbert_tiny")
    finally:
        keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(model(given).logits.dtype) == "float32"
    model.compile("adam")
    assert np.isfinite(model.fit(given, np.zeros(13, "int32"), verbose=0).history["loss"][0])


def test_token_types_are_ignored_by_distilbert_and_said_once(model, given, caplog):
    with_types = {**given, "token_type_ids": np.ones_like(given["input_ids"])}
    np.testing.assert_array_equal(model(with_types).logits, model(given).logits)
    model(with_types)
    assert caplog.text.count("token_type_ids are ignored") == 1


def test_keras_file_round_trip(model, given, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(given).logits, model(given).logits)
    assert again.config.id2label == model.config.id2label


def test_another_config_is_refused():
    with pytest.raises(TypeError, match="Received: BertConfig"):
        bert_tf.TFDistilBertForSequenceClassification(BertConfig())
    with pytest.raises(TypeError, match="Received: str"):
        bert_tf.TFBertForSequenceClassification("bert-base-uncased")


def test_another_family_is_refused():
    with pytest.raises(ValueError, match="TFBertForSequenceClassification, or `bert-tf convert --to distilbert`"):
        bert_tf.TFDistilBertForSequenceClassification.from_pretrained(GOLDEN / "bert_tiny")


def test_unfreezing_takes_numpys_integers(model):
    model.freeze(np.int64(1))
    assert [bool(layer.trainable_weights) for layer in model.encoder.blocks.layer] == [False, False, True]
    with pytest.raises(ValueError, match=r"unfreeze=1\.0"):
        model.freeze(1.0)


def test_a_text_beyond_the_last_position_is_an_error_under_xla_too(model):
    ids = np.ones((4, 12), "int32")  # 11 positions
    for jit_compile in (False, True):
        model.compile("adam", jit_compile=jit_compile)
        with pytest.raises(Exception, match="12|11"):
            model.fit(ids, np.zeros(4, "int32"), verbose=0)


def test_class_names_and_label_keys_of_transformers_4(model, given):
    assert type(model).base_model_prefix == "distilbert"
    assert type(model).config_class is DistilBertConfig
    loss = model(given, labels=np.zeros(13, "int32")).loss
    np.testing.assert_array_equal(model({**given, "label_ids": np.zeros(13, "int32")}).loss, loss)
    np.testing.assert_array_equal(model({**given, "label": [0] * 13}).loss, loss)
    model.compile("adam")
    with pytest.raises(ValueError, match="No labels found"):
        model.fit(given, verbose=0)


def test_predict_follows_the_problem_type():
    tokenizer = bert_tf.load_tokenizer(GOLDEN / "v4/distilbert_h5")
    folder = GOLDEN / "v4/distilbert_h5"
    many = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(
        folder, problem_type="multi_label_classification"
    )
    found = bert_tf.predict(many, ["great value", ""], tokenizer).probabilities
    logits = many(tokenizer(["great value"], return_tensors="np")).logits
    np.testing.assert_allclose(found[:1], 1 / (1 + np.exp(-np.array(logits))), atol=1e-6)
    assert bert_tf.predict(many, [], tokenizer).labels == []
    one = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(
        folder, num_labels=1, ignore_mismatched_sizes=True
    )
    number = bert_tf.predict(one, ["great value"], tokenizer)
    logits = one(tokenizer(["great value"], return_tensors="np")).logits
    logits = keras.ops.convert_to_numpy(logits)
    assert (number.task, number.values) == ("regression", [pytest.approx(float(logits[0, 0]), abs=1e-6)])
    with pytest.raises(TypeError, match="a missing value"):
        bert_tf.predict(many, ["great", None], tokenizer)
