"""Habits of transformers 4 beyond its names: freezing after compile, files of any name, forms of inputs, helpers."""

import functools
import logging
import shutil

import h5py
import keras
import numpy as np
import pytest
from conftest import GOLDEN
from keras import ops

import bert_tf
from bert_tf.models.auto import CLASSES
from bert_tf.models.encoder import Encoder

V4 = GOLDEN / "v4"
IDS = np.array([[2, 5, 9, 4, 3], [2, 7, 3, 0, 0], [2, 6, 8, 3, 0]], "int32")
INPUTS = {"input_ids": IDS, "attention_mask": (IDS > 0).astype("int32")}
LABELS = np.array([0, 1, 1])


def load(family="distilbert", **options):
    return bert_tf.TFAutoModelForSequenceClassification.from_pretrained(V4 / f"{family}_h5", **options)


# Freezing


def moved(model, **options) -> list[bool]:
    """Fits once; returns whether the words and the head moved."""
    parts = (model.get_input_embeddings().embeddings, model.classifier.kernel)
    before = [ops.convert_to_numpy(part).copy() for part in parts]
    model.fit(INPUTS, LABELS, batch_size=3, verbose=0, **options)
    return [bool((ops.convert_to_numpy(part) != old).any()) for part, old in zip(parts, before, strict=True)]


def test_what_is_trainable_at_fit_is_trained_and_a_change_is_said():
    model = load()
    model.compile(keras.optimizers.Adam(1e-3))
    model.distilbert.trainable = False
    with pytest.warns(UserWarning, match=r"frozen since `compile`: 4 weights are trained now"):
        assert moved(model) == [False, True]
    model.distilbert.trainable = True
    with pytest.warns(UserWarning, match="unfrozen since `compile`"):
        assert moved(model) == [True, True]
    paths = [variable.path for variable in model.optimizer.variables]  # each state once
    assert len(paths) == len({*paths}) == 2 + 2 * len(model.trainable_variables)
    assert moved(model) == [True, True]  # said once


def test_a_change_of_what_is_trained_keeps_what_the_optimizer_knows():
    """Freezing and unfreezing before the second step changes nothing."""
    found = []
    for changes in (False, True):
        keras.utils.set_random_seed(0)
        model = load(dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
        model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
        model.fit(INPUTS, LABELS, batch_size=3, verbose=0)
        if changes:
            model.distilbert.trainable = False
            with pytest.warns(UserWarning, match="frozen"):
                model.make_train_function()
            model.distilbert.trainable = True
            with pytest.warns(UserWarning, match="unfrozen"):
                model.fit(INPUTS, LABELS, batch_size=3, verbose=0)
        else:
            model.fit(INPUTS, LABELS, batch_size=3, verbose=0)
        found.append(ops.convert_to_numpy(model.classifier.kernel))
    np.testing.assert_allclose(*found, atol=1e-6)


def test_a_scheduled_rate_can_be_set():
    optimizer, schedule = bert_tf.create_optimizer(1e-2, 10, 0, weight_decay_rate=0.01)
    model = load()
    model.compile(optimizer)
    model.fit(INPUTS, LABELS, verbose=0)
    assert float(optimizer.learning_rate) == pytest.approx(float(schedule(1)))
    optimizer.learning_rate = 0.0
    assert moved(model) == [False, False]  # without compiling again
    optimizer.learning_rate = 0.5
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=1e9)
    model.fit(INPUTS, LABELS, epochs=3, callbacks=[plateau], verbose=0)
    assert float(optimizer.learning_rate) < 0.06
    again = type(optimizer).from_config(optimizer.get_config())
    assert float(again.learning_rate) == pytest.approx(float(optimizer.learning_rate))
    again.learning_rate = schedule
    assert float(again.learning_rate) == pytest.approx(float(schedule(0)))


# Inputs and labels


def test_forms_of_inputs_and_labels():
    model = load("bert")
    types = np.array([[0, 0, 1, 1, 1]] * 3, "int32")
    encoding = {
        "input_ids": IDS,
        "token_type_ids": types,
        "attention_mask": INPUTS["attention_mask"],
    }  # a tokenizer's order
    expected = model(encoding).logits
    tokenizer = bert_tf.AutoTokenizer.from_pretrained(V4 / "bert_h5")
    pair = tokenizer("great value", "bad", return_tensors="tf")
    np.testing.assert_array_equal(model(pair.values()).logits, model(pair).logits)
    np.testing.assert_array_equal(model(encoding.values()).logits, expected)
    np.testing.assert_array_equal(model.predict(encoding.values(), verbose=0).logits.shape, (3, 2))
    np.testing.assert_array_equal(model((IDS, INPUTS["attention_mask"], types)).logits, expected)
    assert model([IDS, INPUTS["attention_mask"], types, None, None, LABELS]).loss.shape == (3,)
    with pytest.raises(ValueError, match="A list of inputs is read in this order: input_ids, attention_mask"):
        model([IDS, INPUTS["attention_mask"], types, None, None, None, None, None, LABELS])


@pytest.mark.parametrize("loss", [None, "compute_loss", "hf_compute_loss"])
def test_losses_and_labels_in_every_form_train_the_same(loss):
    import tensorflow as tf

    found = []
    batches = tf.data.Dataset.from_tensor_slices((INPUTS, {"labels": LABELS})).batch(3)
    for x, y in ((INPUTS, LABELS), (INPUTS, {"labels": LABELS}), (INPUTS.values(), LABELS), (batches, None)):
        model = load(dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
        model.compile("sgd", loss=getattr(model, loss) if loss else None, metrics="accuracy", run_eagerly=True)
        history = model.fit(x, y, verbose=0).history
        found.append((history["loss"][0], history["accuracy"][0], float(ops.sum(model.classifier.kernel))))
    assert found == [pytest.approx(found[0], abs=1e-6)] * 4


# Files


@pytest.mark.parametrize("family", ["distilbert", "bert"])
def test_weights_files_of_any_name(family, tmp_path):
    saved, fresh = load(family), CLASSES[family, "first_token"](load(family).config)
    expected = saved(INPUTS).logits
    shutil.copyfile(V4 / f"{family}_h5/tf_model.h5", tmp_path / "of_v4.h5")  # as `save_weights("of_v4.h5")` wrote it
    fresh.load_weights(tmp_path / "of_v4.h5")
    np.testing.assert_allclose(fresh(INPUTS).logits, expected, atol=1e-6)
    for name in ("x.h5", "x.hdf5", "folder/best", "x.weights.h5"):
        other = CLASSES[family, "first_token"](saved.config)
        saved.save_weights(str(tmp_path / name)) if "." in name else saved.save_weights(
            tmp_path / name, save_format="tf"
        )
        other.load_weights(tmp_path / name)
        np.testing.assert_array_equal(other(INPUTS).logits, expected)
    with pytest.raises(FileExistsError):
        saved.save_weights(tmp_path / "x.h5", overwrite=False)
    (tmp_path / "checkpoint.index").touch()
    with pytest.raises(ValueError, match="a TensorFlow checkpoint"):
        saved.load_weights(tmp_path / "checkpoint")
    assert not list(tmp_path.glob(".saving-*"))


def test_tables_are_made_in_the_order_of_transformers_4():
    """Keras reads weights of Keras 2 by order, in a Keras model around a base."""
    with h5py.File(V4 / "bert_base_h5/tf_model.h5") as file:
        names = [name.decode() if isinstance(name, bytes) else name for name in file["bert"].attrs["weight_names"]]
    theirs = [name.split("/")[-2] for name in names if "_embeddings/" in name]
    base = bert_tf.TFBertModel.from_pretrained(V4 / "bert_base_h5")
    assert [variable.path.split("/")[-2] for variable in base.weights][:3] == theirs


def test_a_path_of_a_weights_file_and_no_pooler(tmp_path):
    shutil.copyfile(V4 / "bert_h5/tf_model.h5", tmp_path / "tf_model.h5")
    model = bert_tf.TFBertForSequenceClassification.from_pretrained(
        tmp_path / "tf_model.h5", config=load("bert").config
    )
    np.testing.assert_allclose(model(INPUTS).logits, load("bert")(INPUTS).logits, atol=1e-6)
    bare = bert_tf.TFBertModel.from_pretrained(V4 / "bert_base_h5", add_pooling_layer=False, torchscript=True)
    assert bare(INPUTS).to_tuple()[1:] == ()
    bare.save(tmp_path / "bare.keras")
    again = keras.models.load_model(tmp_path / "bare.keras")
    np.testing.assert_array_equal(again(INPUTS)[0], bare(INPUTS)[0])
    with pytest.raises(ValueError, match="is_decoder"):
        bert_tf.TFBertModel(bert_tf.BertConfig(is_decoder=True))
    with pytest.raises(ValueError, match="Build it again as the script did"):
        bert_tf.TFBertModel.from_config({"vocab_size": 30})


def test_ignored_sizes_of_any_tensor(caplog):
    with pytest.raises(ValueError, match="word_embeddings"):
        load(vocab_size=10)
    model = load(vocab_size=10, ignore_mismatched_sizes=True)
    assert model.get_input_embeddings().weight.shape == (10, 12)
    assert ops.convert_to_numpy(model.get_input_embeddings().weight).std() > 0
    assert "newly initialised, not trained: distilbert.embeddings.word_embeddings" in caplog.text


def test_saved_models_have_signatures(tmp_path):
    import tensorflow as tf

    model = load("bert", output_hidden_states=True, output_attentions=True)
    types = np.array([[0, 0, 1, 1, 1]] * 3, "int32")
    inputs = {name: tf.constant(value) for name, value in {**INPUTS, "token_type_ids": types}.items()}
    expected = model(inputs)
    with pytest.warns(UserWarning, match="saved all the same, but as model.safetensors"):
        model.save_pretrained(tmp_path / "folder", saved_model=True, save_format="tf", safe_serialization=False)
    assert (tmp_path / "folder/model.safetensors").is_file()
    model.save(tmp_path / "saved")
    tf.saved_model.save(model, str(tmp_path / "by_tensorflow"))
    for folder in ("folder/saved_model/1", "saved", "by_tensorflow"):
        signatures = tf.saved_model.load(tmp_path / folder).signatures
        kinds = (
            {"serving_default": "int32"}
            if folder == "by_tensorflow"
            else {"serving_default": "int32", "int64_serving": "int64"}
        )
        for name, dtype in kinds.items():
            found = signatures[name](**{key: tf.cast(value, dtype) for key, value in inputs.items()})
            np.testing.assert_allclose(found["logits"], expected.logits, atol=1e-5)
            assert set(found) == set(expected.keys())
            np.testing.assert_allclose(found["hidden_states"][1], expected.hidden_states[1], atol=1e-5)
            np.testing.assert_allclose(found["attentions"][0], expected.attentions[0], atol=1e-5)
    assert set(model.input_signature) == set(inputs)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"), signature_keys=["serving_default"])
    assert converter is not None


# Classes and helpers


class Sub(bert_tf.TFDistilBertModel):
    """A base with a layer of its own, saved as .keras."""

    def __init__(self, config, **kwargs):
        super().__init__(config, **kwargs)
        self.extra = keras.layers.Dense(3, name="extra")

    def call(self, inputs, training=None):
        return self.extra(super().call(inputs, training=training)[0])


def test_a_subclass_of_a_model_is_saved_as_keras(tmp_path):
    model = Sub.from_pretrained(V4 / "distilbert_base_h5")
    expected = model(INPUTS)
    model.save(tmp_path / "sub.keras")
    again = keras.models.load_model(tmp_path / "sub.keras", custom_objects={"Sub": Sub})
    np.testing.assert_allclose(again(INPUTS), expected, atol=1e-6)


def test_main_layers_and_bases(tmp_path):
    config = load("bert").config
    layer = bert_tf.TFBertMainLayer(config, add_pooling_layer=False, name="bert")
    assert isinstance(layer, Encoder)
    ids = keras.Input((5,), dtype="int32")
    net = keras.Model(ids, layer({"input_ids": ids})[0])
    net.save(tmp_path / "net.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "net.keras")(IDS), net(IDS), atol=1e-6)
    assert isinstance(load(), bert_tf.TFPreTrainedModel)

    class Empty(bert_tf.TFBertPreTrainedModel):
        pass

    with pytest.raises(NotImplementedError, match="Empty has no main layer: self.bert = TFBertMainLayer"):
        Empty(config).save_pretrained(tmp_path)
    with pytest.raises(NotImplementedError, match="Empty has no main layer: self.bert = TFBertMainLayer"):
        Empty(config).encoder  # noqa: B018


def test_logging_of_both(caplog):
    before = bert_tf.logging.get_verbosity()
    bert_tf.logging.set_verbosity_error()
    assert logging.getLogger("bert_tf").level == logging.getLogger("transformers").level == logging.ERROR
    bert_tf.logging.set_verbosity(before)
    logging.getLogger("bert_tf").setLevel(logging.NOTSET)
    assert bert_tf.logging.get_logger("transformers")


def test_feature_extraction_and_wrong_tasks():
    base = bert_tf.TFDistilBertModel.from_pretrained(V4 / "distilbert_h5")
    tokenizer = bert_tf.AutoTokenizer.from_pretrained(V4 / "distilbert_h5")
    extract = bert_tf.pipeline("feature-extraction", model=base, tokenizer=tokenizer)
    found = extract(["great value", "bad"], return_tensors=True)
    assert [array.shape for array in found] == [(1, 4, 12), (1, 3, 12)]
    alone = base(tokenizer("bad", return_tensors="tf"))[0]
    np.testing.assert_allclose(extract("bad"), alone, atol=1e-5)
    of_a_classifier = bert_tf.pipeline("feature-extraction", model=load(), tokenizer=tokenizer)
    np.testing.assert_allclose(of_a_classifier("bad"), alone, atol=1e-5)
    with pytest.raises(ValueError, match="no pipeline 'fill-mask'"):
        bert_tf.pipeline("fill-mask")
    classify = bert_tf.pipeline(model=V4 / "distilbert_h5", return_all_scores=True)
    assert [len(row) for row in classify(["great", {"text": "value", "text_pair": "bad"}])] == [2, 2]
    pair = {"text": "value", "text_pair": "bad"}
    assert classify(["great", pair]) == [classify(["great"])[0], classify([pair])[0]]
    assert classify([pair])[0][0]["score"] != pytest.approx(classify(["value"])[0][0]["score"], abs=1e-6)
    with pytest.raises(ValueError, match="A pipeline takes texts"):
        classify([["a", "b"]])


def test_a_trainer_measures_a_shuffled_dataset_right():
    import tensorflow as tf

    labels = np.arange(32) % 2
    ids = np.random.default_rng(0).integers(5, 25, (32, 6)).astype("int32")
    data = tf.data.Dataset.from_tensor_slices(({"input_ids": ids}, labels))
    trainer = bert_tf.TFTrainer(load("bert"), bert_tf.TFTrainingArguments(per_device_eval_batch_size=8))
    loss = trainer.evaluate(data)["eval_loss"]
    assert trainer.evaluate(data.shuffle(32))["eval_loss"] == pytest.approx(loss, abs=1e-6)
    assert trainer.predict(data.shuffle(32)).label_ids.tolist() != labels.tolist()


def test_a_trainer_trains_as_many_steps_as_its_arguments_say(monkeypatch, tmp_path):
    import tensorflow as tf

    model = load("bert")
    monkeypatch.setattr(model, "compile", functools.partial(model.compile, run_eagerly=True))
    data = tf.data.Dataset.from_tensor_slices((INPUTS, LABELS))
    arguments = bert_tf.TFTrainingArguments(
        tmp_path, max_steps=3, per_device_train_batch_size=2, warmup_steps=1, logging_steps=10
    )
    trainer = bert_tf.TFTrainer(model=model, args=arguments, train_dataset=data)
    before = ops.convert_to_numpy(model.classifier.kernel).copy()
    trainer.train()
    assert (ops.convert_to_numpy(model.classifier.kernel) != before).any()
    assert int(model.optimizer.iterations) == 3
    trainer.save_model()
    assert (tmp_path / "model.safetensors").is_file()


def test_collators_initializer_and_accumulator():
    import tensorflow as tf

    rows = [bert_tf.InputFeatures([2, 5, 3], [1, 1, 1], label=1), bert_tf.InputFeatures([2, 6, 3], [1, 1, 1], label=0)]
    batch = bert_tf.DefaultDataCollator(return_tensors="tf")(rows)
    assert {name: tuple(array.shape) for name, array in batch.items()} == {
        "input_ids": (2, 3), "attention_mask": (2, 3), "labels": (2,),
    }  # fmt: skip
    assert bert_tf.default_data_collator([{"label": 0.5, "text": "x"}])["labels"].dtype == tf.float32
    glue = tf.data.Dataset.from_tensor_slices({"sentence1": ["great"], "sentence2": ["bad"], "label": [1], "idx": [0]})
    tokenizer = bert_tf.BertTokenizer.from_pretrained(V4 / "bert_h5")
    inputs, label = next(iter(bert_tf.glue_convert_examples_to_features(glue, tokenizer, max_length=8, task="mrpc")))
    assert inputs["token_type_ids"].numpy().tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert int(label) == 1
    with pytest.raises(ValueError, match="`task` must be one of cola"):
        bert_tf.glue_convert_examples_to_features([], tokenizer, task="none")
    assert float(np.abs(bert_tf.get_initializer(0.1)((50, 50))).max()) <= 0.2 + 1e-6
    assert bert_tf.shape_list(tf.zeros((2, 3))) == [2, 3]
    accumulator = bert_tf.GradientAccumulator()
    for _ in range(2):
        accumulator([tf.ones(2), None])
    assert (accumulator.gradients[0].numpy().tolist(), int(accumulator.step)) == ([2, 2], 2)
    accumulator.reset()
    assert (accumulator.gradients[0].numpy().tolist(), int(accumulator.step)) == ([0, 0], 0)
    bert_tf.set_seed(3)
    first = np.random.rand(), float(tf.random.uniform(()))
    bert_tf.set_seed(3)
    assert first == (np.random.rand(), float(tf.random.uniform(())))
