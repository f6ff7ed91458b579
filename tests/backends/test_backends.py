"""JAX and PyTorch without TensorFlow: each in a process of its own, in which TensorFlow cannot be imported."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT

import bert_tf
from bert_tf import registration


@pytest.fixture(scope="module")
def tuned(tiny, reviews, tmp_path_factory) -> Path:
    """A model fine-tuned on TensorFlow."""
    folder = tmp_path_factory.mktemp("tuned") / "run"
    options = {"unfreeze": "all", "epochs": 1, "max_length": 16, "precision": "float32", "verbose": 0, "report": False}
    bert_tf.finetune(reviews, reviews, checkpoint=tiny, output_dir=folder, **options)
    return folder / "model"


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_model_of_tensorflow_predicts_and_trains_on(backend, tuned, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script, file = Path(__file__).with_name("on_a_backend.py"), tmp_path / "logits.json"
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, script, tuned, file], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert found["backend"] == backend
    texts = ["good", "really good and sturdy", "awful thing, broke down the first day", "poor, went straight back"] * 3
    tokens = bert_tf.tokenize(texts, bert_tf.load_tokenizer(tuned), 16)
    model = bert_tf.TFAutoModelForSequenceClassification.from_pretrained(tuned)
    expected = model.predict(bert_tf.batches(tokens, batch_size=5), verbose=0).logits
    np.testing.assert_allclose(found["logits"], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("installed", "asked", "chosen"),
    [
        ({"tensorflow", "jax"}, None, None),
        ({"jax", "torch"}, None, "jax"),
        ({"torch"}, None, "torch"),
        ({"jax", "torch"}, "torch", "torch"),
        (set(), None, None),
    ],
)
def test_the_backend_without_tensorflow(installed, asked, chosen, monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if asked:
        (tmp_path / "keras.json").write_text(json.dumps({"backend": asked}))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in installed else None)
    registration.choose_backend()
    assert os.environ.pop("KERAS_BACKEND", None) == chosen


def test_batches_in_numpy_are_those_of_tensorflow():
    from bert_tf.data.bucketing import shuffled_batches
    from bert_tf.data.numpy_batches import Batches
    from bert_tf.data.tokenizer import Tokens

    lengths = np.random.default_rng(0).integers(2, 30, 23)
    tokens = Tokens(np.arange(lengths.sum(), dtype="int32") + 1, np.cumsum(lengths))
    labels = np.arange(23)
    options = {"batch_size": 4, "shuffle": True, "seed": 5, "first_epoch": 2, "pad_token_id": 9}
    theirs = bert_tf.batches(tokens, labels, **options)
    ours = Batches(tokens, [labels], lambda epoch: shuffled_batches(lengths, 4, 5, epoch), 6, 2, 9)
    ours[0]  # as Keras looks at a batch before it trains
    for _ in range(2):  # each time another epoch
        for one, other in zip(theirs, ours, strict=True):
            np.testing.assert_array_equal(one[1], other[1])
            for name in ("input_ids", "attention_mask"):
                np.testing.assert_array_equal(one[0][name], other[0][name])


def test_the_requirements_without_tensorflow():
    listed = [sys.executable, ROOT / ".ci/without_tensorflow.py", "torch"]
    lines = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[-1].startswith("torch>=")
    assert not [line for line in lines if line.startswith("tensorflow")]


def test_curves_without_tensorflow(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from bert_tf.training.board import Curves

    curves = Curves(tmp_path)
    curves.on_train_begin()
    for epoch, loss in enumerate((0.5, 0.25)):
        curves.on_epoch_end(epoch, {"loss": loss, "val_loss": 2 * loss})
    curves.on_train_end()
    for part, first in (("train", 0.5), ("validation", 1.0)):
        events = EventAccumulator(str(tmp_path / part)).Reload()
        assert [event.value for event in events.Scalars("epoch_loss")] == [first, first / 2]
    assert keras.backend.backend() == os.environ.get("KERAS_BACKEND", "tensorflow")
