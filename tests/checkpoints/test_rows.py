"""The rows of the families: what a row can say, and what it means for a checkpoint."""

import json
import shutil

import keras
import numpy as np
import pytest
from conftest import GOLDEN
from safetensors.numpy import load_file, save_file

import bert_tf
from bert_tf.checkpoints import folder
from bert_tf.checkpoints.config import read_config
from bert_tf.checkpoints.families.table import FAMILIES, family_of, positions
from bert_tf.data import tokenizer
from bert_tf.data.tokenizer import resolve_max_length
from bert_tf.features.extraction import settings_of
from bert_tf.models.encoder import Encoder


def test_a_key_may_have_several_names():
    family = family_of("bert")._replace(config={"layer_norm_eps": ("norm_eps", "layer_norm_eps")})
    assert family.key("layer_norm_eps", read_config(GOLDEN / "bert_tiny")) == "layer_norm_eps"
    assert family.key("layer_norm_eps") == "norm_eps"


def test_a_tensor_in_parts_is_split_and_joined():
    whole = {"qkv.weight": np.arange(18.0).reshape(6, 3), "qkv.bias": np.arange(6.0), "other.weight": np.ones(2)}
    names = [f"qkv.{kind}[{i}/3]" for kind in ("weight", "bias") for i in range(3)]
    parts = folder.split(whole, names)
    assert sorted(parts) == sorted([*names, "other.weight"])
    np.testing.assert_array_equal(parts["qkv.weight[1/3]"], whole["qkv.weight"][2:4])
    again = folder.join(parts)
    assert again.keys() == whole.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(again[name], value)
    del parts["qkv.bias[0/3]"]
    with pytest.raises(ValueError, match=r"qkv.bias: parts \[0\] of 3 are missing"):
        folder.join(parts)


def test_a_row_with_parts_reads_and_writes_one_tensor(tmp_path, monkeypatch):
    """A BERT whose three projections are one tensor, as in families that store them so."""
    copy = shutil.copytree(GOLDEN / "bert_tiny", tmp_path / "bert")
    expected = bert_tf.TFAutoModel.from_pretrained(copy)(np.ones((2, 3), "int32")).last_hidden_state
    tensors = load_file(copy / "model.safetensors")
    for i in range(3):
        stem = f"bert.encoder.layer.{i}.attention"
        for kind in ("weight", "bias"):
            parts = [tensors.pop(f"{stem}.self.{name}.{kind}") for name in ("query", "key", "value")]
            tensors[f"{stem}.Wqkv.{kind}"] = np.concatenate(parts)
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    row = family_of("bert")
    places = {f"blocks.layer.{{i}}.attention.{name}": i for i, name in enumerate(("query", "key", "value"))}
    base = {
        path: f"encoder.layer.{{i}}.attention.Wqkv[{places[path]}/3]" if path in places else name
        for path, name in row.base.items()
    }
    monkeypatch.setitem(FAMILIES, "bert", row._replace(base=base))
    model = bert_tf.TFBertForSequenceClassification.from_pretrained(copy)
    np.testing.assert_allclose(model.bert(np.ones((2, 3), "int32")).last_hidden_state, expected, atol=1e-6)
    model.save_pretrained(tmp_path / "saved")
    saved = load_file(tmp_path / "saved/model.safetensors")
    assert saved.keys() == tensors.keys()
    np.testing.assert_array_equal(
        saved["bert.encoder.layer.1.attention.Wqkv.weight"], tensors["bert.encoder.layer.1.attention.Wqkv.weight"]
    )
    save_file(
        {name: value for name, value in tensors.items() if "1.attention.Wqkv.weight" not in name},
        copy / "model.safetensors",
    )
    with pytest.raises(ValueError, match=r"Missing: bert.encoder.layer.1.attention.Wqkv.weight\."):
        bert_tf.TFBertForSequenceClassification.from_pretrained(copy)


def test_a_head_is_loaded_part_by_part(tmp_path, caplog):
    """What pretraining left of a head is taken over; a trained one that lacks a part is damaged."""
    copy = shutil.copytree(GOLDEN / "distilbert_tiny", tmp_path / "distilbert")
    tensors = load_file(copy / "model.safetensors")
    rest = {name: value for name, value in tensors.items() if not name.startswith("classifier")}
    save_file(rest, copy / "model.safetensors")
    assert not folder.has_head(copy)
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(copy)
    np.testing.assert_array_equal(model.pre_classifier.kernel, rest["pre_classifier.weight"].T)
    assert "newly initialised, not trained: classifier." in caplog.text
    rest = {name: value for name, value in tensors.items() if not name.startswith("pre_classifier")}
    save_file(rest, copy / "model.safetensors")
    with pytest.raises(ValueError, match=r"Missing: pre_classifier.bias, pre_classifier.weight\."):
        bert_tf.TFAutoModelForSequenceClassification.from_pretrained(copy)


def test_positions_of_padding_are_not_for_texts():
    config = read_config(GOLDEN / "bert_tiny")
    assert positions(config) == 11
    assert resolve_max_length(None, config, "it") == 11
    assert resolve_max_length(None, config, "it", default=int(1e30)) == 11  # a tokenizer without a limit


def test_the_type_of_an_old_checkpoint_is_that_of_its_class(tmp_path):
    copy = shutil.copytree(GOLDEN / "bert_tiny", tmp_path / "bert")
    values = json.loads((copy / "config.json").read_text())
    del values["model_type"]
    (copy / "config.json").write_text(json.dumps(values))
    assert isinstance(bert_tf.TFAutoModel.from_pretrained(copy), bert_tf.TFBertModel)
    (copy / "config.json").write_text(json.dumps(values | {"architectures": ["BertweetModel"]}))
    with pytest.raises(ValueError, match="unknown model_type None"):
        bert_tf.TFAutoModel.from_pretrained(copy)


def test_the_kind_of_head_has_a_key_of_its_own_and_the_old_one_is_read(tmp_path):
    model = bert_tf.TFBertLayerMeansForSequenceClassification(read_config(GOLDEN / "bert_tiny"))
    model.save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    assert values.pop("bert_tf_pooling") == "layer_means"
    assert "classifier_pooling" not in values
    (tmp_path / "config.json").write_text(json.dumps(values | {"classifier_pooling": "layer_means"}))
    again = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert isinstance(again, type(model))
    ids = np.ones((2, 3), "int32")
    np.testing.assert_array_equal(again(ids).logits, model(ids).logits)
    with pytest.raises(ValueError, match="classifier_pooling must be one of cls, mean, .*'max'"):
        bert_tf.TFAutoModelForSequenceClassification.from_pretrained(GOLDEN / "bert_tiny", classifier_pooling="max")


def test_a_head_over_the_mean_of_the_last_layer():
    """As some families in transformers have it: `classifier_pooling: mean`."""
    given = json.loads((GOLDEN / "distilbert_tiny/expected.json").read_text())["inputs"]
    ids, mask = np.array(given["input_ids"]), np.array(given["attention_mask"])
    load = bert_tf.TFDistilBertForSequenceClassification.from_pretrained
    model = load(GOLDEN / "distilbert_tiny", classifier_pooling="mean")
    states = np.array(model.distilbert(ids, mask).last_hidden_state)
    means = np.stack([text[row == 1].mean(axis=0) for text, row in zip(states, mask, strict=True)])
    expected = model.classifier(model.pre_classifier(means))
    np.testing.assert_allclose(model(ids, mask).logits, expected, atol=1e-5)
    assert np.abs(load(GOLDEN / "distilbert_tiny")(ids, mask).logits - expected).max() > 1e-3
    model.freeze(0)
    features = model.distilbert.features(ids, mask)
    np.testing.assert_allclose(features, means, atol=1e-5)
    np.testing.assert_allclose(model({"features": features}).logits, expected, atol=1e-5)


def test_constants_of_old_files_are_passed_over(tmp_path):
    for family in ("bert", "distilbert"):
        copy = shutil.copytree(GOLDEN / f"{family}_tiny", tmp_path / family)
        tensors = load_file(copy / "model.safetensors")
        save_file(tensors | {f"{family}.embeddings.position_ids": np.arange(11)[None]}, copy / "model.safetensors")
        bert_tf.TFAutoModelForSequenceClassification.from_pretrained(copy)


def test_a_setting_that_changes_features_is_in_their_key():
    sizes = (37, 12, 20, 2, 4, 11)
    usual = settings_of(Encoder(*sizes))
    assert list(usual) == ["hidden_size", "num_attention_heads", "hidden_act", "layer_norm_eps"]
    assert settings_of(Encoder(*sizes, hidden_dropout=0.3, embedding_dropout=0.2, initializer_range=1.0)) == usual
    assert settings_of(Encoder(*sizes, positions_after=1)) == usual | {"positions_after": 1}


def test_a_tokenizer_of_pieces_alone_names_the_package_it_needs(tmp_path, monkeypatch):
    shutil.copy(GOLDEN / "bert_tiny/config.json", tmp_path)
    with pytest.raises(FileNotFoundError, match="vocab.json with merges.txt, or a SentencePiece file"):
        bert_tf.load_tokenizer(tmp_path)
    (tmp_path / "spm.model").write_bytes(b"")
    monkeypatch.setattr(tokenizer, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"spm.model\), which needs the package sentencepiece: pip install 'bert-tf"):
        bert_tf.load_tokenizer(tmp_path)


def test_a_tokenizer_of_vocabulary_and_merges(tmp_path):
    config = {"model_type": "roberta", "vocab_size": 7, "architectures": ["RobertaModel"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "o", "k", "ok"]
    (tmp_path / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(vocabulary)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\no k\n")
    tokens = bert_tf.tokenize(["ok"], bert_tf.load_tokenizer(tmp_path), 5)
    assert tokens[0].tolist() == [0, 7, 2]


def test_every_class_is_made_from_its_row():
    for family in FAMILIES.values():
        for name in (f"TF{family.name}Model", f"TF{family.name}ForSequenceClassification"):
            made = getattr(bert_tf, name)
            assert name in bert_tf.__all__
            assert family.title in made.__doc__
            assert family.config_class in made.__doc__
            assert keras.saving.get_registered_object(f"bert_tf>{name}") is made
