"""Keras knows our classes once both are imported."""

import contextlib
import importlib.util
import pickle
import subprocess
import sys
import types

import keras
import pytest

import bert_tf
from bert_tf import registration
from bert_tf.models import encoder, layers, parts

LAYERS = (
    parts.Dropout, parts.Standardization, parts.Embedding, layers.Embeddings, layers.SelfAttention, layers.FeedForward,
    layers.EncoderLayer, encoder.Blocks, encoder.Encoder,
)  # fmt: skip
TF = [
    (name, getattr(bert_tf, name))
    for name in bert_tf.__all__
    if name.startswith("TF") and not name.startswith("TFTrain")
]
MODELS = tuple(kind for name, kind in TF if issubclass(kind, keras.layers.Layer) and kind.__name__ == name)


@pytest.mark.parametrize("kind", [*LAYERS, *MODELS, bert_tf.WarmUp], ids=lambda kind: kind.__name__)
def test_every_class_is_registered(kind):
    assert keras.saving.get_registered_object(f"bert_tf>{kind.__name__}") is kind


def test_a_layer_of_ours_in_a_model_of_theirs_is_saved_and_loaded(tmp_path):
    inputs = keras.Input((4,))
    keras.Model(inputs, parts.Dropout(0.25)(inputs)).save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").layers[-1].rate == 0.25


def test_the_hook_waits_for_keras_and_goes(monkeypatch):
    called = []
    monkeypatch.setattr(registration, "register", lambda: called.append("keras" in sys.modules))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.delitem(sys.modules, "keras")
    registration.when_keras_is_imported()
    registration.when_keras_is_imported()  # and only once
    hooks = [finder for finder in sys.meta_path if type(finder).__module__ == registration.__name__]
    assert (len(hooks), called) == (1, [])
    assert importlib.util.find_spec("keras").name == "keras"
    assert hooks[0].find_spec("numpy", None) is None

    def fails(module):
        raise ImportError("no backend")

    for execute in (fails, lambda module: None):
        loader = types.SimpleNamespace(exec_module=execute)
        assert (hooks[0] in sys.meta_path, called) == (True, [])  # a look and a failed import leave the hook there
        with monkeypatch.context() as patch:
            patch.setattr(importlib.util, "find_spec", lambda name, loader=loader: types.SimpleNamespace(loader=loader))
            spec = hooks[0].find_spec("keras", None)
        with pytest.raises(ImportError) if execute is fails else contextlib.nullcontext():
            spec.loader.exec_module(None)
    assert hooks[0] not in sys.meta_path
    assert called == [False]


@pytest.mark.slow
@pytest.mark.parametrize("imports", ["import bert_tf, importlib.util as u; u.find_spec('keras'); import keras"])
def test_a_new_process_loads_a_model(imports, tiny, tmp_path):
    model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(tiny)
    model.compile("adam")
    model.save(tmp_path / "model.keras")
    code = f"{imports}; print(type(keras.models.load_model({str(tmp_path / 'model.keras')!r})).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "TFDistilBertForSequenceClassification"


@pytest.mark.parametrize("kind", ["AutoTokenizer", "DistilBertTokenizer", "BertTokenizerFast"])
def test_tokenizers_can_be_pickled(kind, tiny):
    tokenizer = getattr(bert_tf, kind).from_pretrained(tiny)
    again = pickle.loads(pickle.dumps(tokenizer))
    assert type(again) is type(tokenizer)
    assert again("a good kettle")["input_ids"] == tokenizer("a good kettle")["input_ids"]
    assert again("a", return_tensors="tf")["input_ids"].shape == (1, 3)
