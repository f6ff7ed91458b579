"""The head over the means of every layer: its numbers, what it is trained and saved with, that it is a model like the others."""

import json

import keras
import numpy as np
import pytest
from conftest import GOLDEN
from keras import ops
from numpy_reference import distilbert_hidden_states

import bert_tf
from bert_tf.checkpoints import weights
from bert_tf.data.tokenizer import Tokens
from bert_tf.features.extraction import extract

AUTO = bert_tf.TFAutoModelForSequenceClassification


def some_tokens(count: int = 40, seed: int = 0) -> Tokens:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 30, count)
    return Tokens(generator.integers(1, 30000, lengths.sum()).astype("int32"), np.cumsum(lengths))


@pytest.fixture
def model(deeper):
    found = bert_tf.TFDistilBertLayerMeansForSequenceClassification.from_pretrained(deeper, num_labels=3)
    found.freeze(0)
    return found


def test_features_are_the_means_of_every_layer(tmp_path):
    folder = GOLDEN / "distilbert_tiny"
    given = json.loads((folder / "expected.json").read_text())["inputs"]
    ids, mask = np.array(given["input_ids"]), np.array(given["attention_mask"])
    model = bert_tf.TFDistilBertModel.from_pretrained(folder)
    model.save_pretrained(tmp_path)  # the base alone: its head is of the other kind
    model = bert_tf.TFDistilBertLayerMeansForSequenceClassification.from_pretrained(tmp_path, num_labels=3)
    model.freeze(0)
    states = distilbert_hidden_states(weights.read_tensors(folder), ids, mask, layers=3, heads=4)
    expected = [np.concatenate([layer.mean(axis=0) for layer in text]) for text in states]
    np.testing.assert_allclose(model.encoder.features(ids, mask), expected, atol=1e-5)
    model.classifier.kernel.assign(np.random.default_rng(0).normal(size=model.classifier.kernel.shape))
    from_means = model({"features": np.array(expected, "float32")}).logits
    np.testing.assert_allclose(model(ids, attention_mask=mask).logits, from_means, atol=1e-4)


def test_features_of_minilm_are_those_of_transformers(minilm):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    tokenizer = bert_tf.load_tokenizer(minilm)
    tokens = bert_tf.tokenize(["Lovely.", "Broke after a day, and nobody answers the telephone."], tokenizer, 32)
    model = bert_tf.TFDistilBertLayerMeansForSequenceClassification.from_pretrained(minilm)
    model.freeze(0)
    ours = extract(model.encoder, tokens, cache="memory")
    theirs = transformers.AutoModel.from_pretrained(minilm).eval()
    for i in range(2):
        with torch.no_grad():
            states = theirs(torch.tensor(tokens[i][None].astype("int64")), output_hidden_states=True).hidden_states
        expected = np.concatenate([state[0].mean(0).numpy() for state in states])
        np.testing.assert_allclose(ours[i], expected, atol=2e-5)


def test_padding_and_the_order_of_texts_do_not_matter(model):
    tokens = some_tokens(7)
    model.adapt(np.random.default_rng(1).normal(size=(9, 48)))
    model.classifier.kernel.assign(np.random.default_rng(2).normal(size=(48, 3)))
    alone = np.concatenate([ops.convert_to_numpy(model(tokens[i][None]).logits) for i in range(7)])
    width = 40
    mask = (np.arange(width) < tokens.lengths[:, None]).astype("int32")
    ids = np.full((7, width), 29_999, "int32")  # not 0: what stands at padding must not count
    ids[mask == 1] = tokens.ids
    order = np.random.default_rng(3).permutation(7)
    together = ops.convert_to_numpy(model(ids[order], attention_mask=mask[order]).logits)
    np.testing.assert_allclose(together, alone[order], atol=1e-5)
    assert abs(ops.convert_to_numpy(model(ids).logits) - alone).max() > 0.01  # without the mask it would


def test_standardised_by_the_training_texts(model):
    features = extract(model.encoder, some_tokens(1500), cache="memory")
    rows = np.stack([features[i] for i in range(1500)])
    model.adapt(features)
    seen = ops.convert_to_numpy(model.standardization(rows))
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(seen.std(axis=0), 1, atol=1e-3)
    constant = np.tile(np.float32([0.1] * 48), (5, 1))
    model.adapt(constant)
    np.testing.assert_allclose(model.standardization(constant + 1), 1, atol=1e-6)


def options(deeper, folder, **more) -> dict:
    return {"checkpoint": deeper, "output_dir": folder, "epochs": 3, "batch_size": 5, "max_length": 24, "verbose": 0,
            "precision": "float32", "head": "layer_means", "report": False, "recipe": "plain", **more}  # fmt: skip


def test_cached_equals_uncached(deeper, reviews, tmp_path):
    """With nothing dropped out, training on kept means is training on the texts."""
    folder = tmp_path / "without-dropout"
    base = bert_tf.TFDistilBertModel.from_pretrained(deeper, dropout=0.0, attention_dropout=0.0)
    base.save_pretrained(folder)
    bert_tf.load_tokenizer(deeper).save_pretrained(folder)
    cached = bert_tf.finetune(reviews, **options(folder, tmp_path / "cached", dropout=0.0))
    plain = bert_tf.finetune(reviews, **options(folder, tmp_path / "plain", dropout=0.0, cache=False))
    assert cached.metrics["settings"]["learning_rate"] == 3e-4
    for name, values in cached.history.items():
        np.testing.assert_allclose(values, plain.history[name], atol=1e-5)
    assert any(np.diff(cached.history["loss"]))


@pytest.mark.parametrize("unfreeze", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_model_like_any_other(deeper, reviews, tmp_path, unfreeze):
    done = bert_tf.finetune(reviews, **options(deeper, tmp_path / "run", unfreeze=unfreeze))
    assert done.model.standardization.adapted
    trained = done.model.fork(unfreeze).num_parameters(only_trainable=True)
    assert done.metrics["trainable_parameters"] == trained == 98 + unfreeze * 1184
    assert done.metrics["settings"]["features"] == ("float32" if unfreeze == 0 else None)
    folder = tmp_path / "run/model"
    config = json.loads((folder / "config.json").read_text())
    assert config["bert_tf_pooling"] == "layer_means"
    assert config["architectures"] == ["DistilBertLayerMeansForSequenceClassification"]
    expected = bert_tf.predict(done.model, reviews["text"], done.tokenizer).probabilities
    loaded = AUTO.from_pretrained(folder)
    assert isinstance(loaded, bert_tf.TFDistilBertLayerMeansForSequenceClassification)
    np.testing.assert_allclose(bert_tf.predict(folder, reviews["text"]).probabilities, expected, atol=1e-6)
    fork = done.model.fork(0)
    np.testing.assert_allclose(
        bert_tf.predict(fork, reviews["text"], done.tokenizer).probabilities, expected, atol=1e-6
    )
    bert_tf.convert(folder, tmp_path / "converted")
    assert (tmp_path / "converted/config.json").read_text() == (folder / "config.json").read_text()
    if unfreeze:
        return
    ids = np.array([[101, 2204, 102, 0], [101, 2919, 2919, 102]], "int32")
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).astype("int32")}
    logits = ops.convert_to_numpy(loaded(inputs).logits)
    loaded.export(tmp_path / "exported", verbose=False)
    import tensorflow as tf

    artifact = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(artifact.serve(inputs)[0], logits, atol=1e-6)
    loaded.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(inputs).logits, logits, atol=1e-6)


def test_transformers_reads_the_base_and_not_the_head(deeper, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    model = bert_tf.TFDistilBertLayerMeansForSequenceClassification.from_pretrained(deeper)
    model.save_pretrained(tmp_path)
    ids = np.array([[101, 2204, 102]])
    theirs = transformers.AutoModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        state = theirs(torch.tensor(ids)).last_hidden_state.numpy()
    np.testing.assert_allclose(bert_tf.TFAutoModel.from_pretrained(tmp_path)(ids).last_hidden_state, state, atol=1e-5)
    with pytest.raises(RuntimeError, match="size"):
        transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path)


@pytest.mark.slow
def test_bert_keeps_its_pooler_and_does_not_train_it(tmp_path):
    model = AUTO.from_pretrained(GOLDEN / "bert_tiny")
    bert_tf.TFBertModel.from_pretrained(GOLDEN / "bert_tiny").save_pretrained(tmp_path)
    means = AUTO.from_pretrained(tmp_path, classifier_pooling="layer_means", num_labels=2)
    assert isinstance(means, bert_tf.TFBertLayerMeansForSequenceClassification)
    np.testing.assert_array_equal(means.bert.pooler.kernel, model.bert.pooler.kernel)
    means.freeze("all")
    assert not means.bert.pooler.trainable_variables
    means.compile("adam")
    means.fit(
        np.ones((4, 5), "int32"), np.array([0, 1, 0, 1]), verbose=0
    )  # a weight without a gradient would be a warning


def test_what_does_not_fit_is_named(deeper, reviews, tmp_path):
    with pytest.raises(ValueError, match="`head` must be one of first_token, layer_means"):
        bert_tf.finetune(reviews, **options(deeper, tmp_path / "a", head="mean"))
    bert_tf.finetune(reviews, **options(deeper, tmp_path / "b", epochs=1))
    folder = tmp_path / "b/model"
    with pytest.raises(ValueError, match="Use TFDistilBertLayerMeansForSequenceClassification"):
        bert_tf.TFDistilBertForSequenceClassification.from_pretrained(folder)
    with pytest.raises(ValueError, match="new_head=True"):
        bert_tf.finetune(reviews, **options(folder, tmp_path / "c", head="first_token"))
    again = bert_tf.finetune(reviews, **options(folder, tmp_path / "d", head="first_token", new_head=True, epochs=1))
    assert type(again.model) is bert_tf.TFDistilBertForSequenceClassification
    model = AUTO.from_pretrained(folder)
    model.freeze(1)
    with pytest.raises(ValueError, match="freeze all layers"):
        model({"features": np.zeros((2, 5, 12), "float32")})
