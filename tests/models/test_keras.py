"""The models as Keras citizens: saving, cloning, compiling in every way, distributing, tuning."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import GOLDEN

from bert_tf.checkpoints.families.table import FAMILIES
from bert_tf.models.auto import CLASSES


@pytest.fixture
def texts():
    ids = np.random.default_rng(0).integers(1, 37, (12, 7)).astype("int32")
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}, np.arange(12) % 3


def load(family="distilbert", **options):
    row = FAMILIES[family]
    quiet = {row.head.dropout[0], *(row.key(argument) for argument in row.config if argument.endswith("dropout"))}
    return CLASSES[family, "first_token"].from_pretrained(
        GOLDEN / f"{family}_tiny", **dict.fromkeys(quiet, 0.0), **options
    )


@pytest.mark.parametrize("family", ["distilbert"])
def test_keras_file_goes_on_training_where_it_was(family, texts, tmp_path):
    inputs, labels = texts
    model = load(family)
    model.freeze(1)
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    model.fit(inputs, labels, batch_size=4, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.parameter_table() == model.parameter_table()
    np.testing.assert_array_equal(loaded(inputs).logits, model(inputs).logits)
    one = model.fit(inputs, labels, batch_size=4, shuffle=False, verbose=0).history
    two = loaded.fit(inputs, labels, batch_size=4, shuffle=False, verbose=0).history
    assert one["loss"] == pytest.approx(two["loss"], abs=1e-6)  # the optimizer's state came along


@pytest.mark.parametrize("family", FAMILIES)
def test_config_round_trip_and_clone(family, texts):
    model = load(family)
    again = type(model).from_config(model.get_config())
    assert again.config.to_dict() == model.config.to_dict()
    clone = keras.models.clone_model(model)
    assert clone.num_parameters() == model.num_parameters()
    assert np.abs(clone(texts[0]).logits - model(texts[0]).logits).max() > 1e-3  # new weights
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(texts[0]).logits, model(texts[0]).logits)
    base = CLASSES[family, None](model.config)
    assert keras.models.clone_model(base).num_parameters() == base.num_parameters()


def test_export_serves_any_batch_and_length(texts, tmp_path):
    import tensorflow as tf

    model = load()
    model.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "served")
    for length in (7, 4):
        given = {name: array[:, :length] for name, array in texts[0].items()}
        np.testing.assert_allclose(loaded.serve(given).logits, model(given).logits, atol=1e-5)


def test_summary_shows_the_parts(capsys):
    load().summary()
    printed = capsys.readouterr().out
    for part in ("distilbert", "pre_classifier", "dropout", "classifier", "Total params"):
        assert part in printed


@pytest.mark.slow
def test_every_way_to_compile_trains_the_same(texts):
    inputs, labels = texts
    losses, ways = [], [{}, {"jit_compile": True}, {"steps_per_execution": 3}, {"run_eagerly": True}]
    # PyTorch's compiler stops at each Keras layer, for minutes; and Keras runs it one step at a time.
    if keras.backend.backend() == "torch":
        ways = [ways[0], ways[-1]]
    for options in ways:
        model = load()
        model.freeze(1)
        model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"], **options)
        losses.append(model.fit(inputs, labels, batch_size=4, shuffle=False, epochs=2, verbose=0).history["loss"])
    for each in losses[1:]:
        assert each == pytest.approx(losses[0], abs=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains(policy, texts):
    inputs, labels = texts
    model = load(dtype=policy)
    reference = load()
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    logits = model(inputs).logits
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert np.abs(logits - reference(inputs).logits).max() < 0.3
    model.freeze(1)
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(inputs, labels, batch_size=4, epochs=8, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < history[0]


DISTRIBUTED = """
import sys
import numpy as np
import tensorflow as tf
import keras
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import bert_tf
from bert_tf.data.tokenizer import Tokens

random = np.random.default_rng(0)
tokens = Tokens(random.integers(1, 37, 12 * 7).astype("int32"), np.arange(1, 13) * 7)
labels = np.arange(12) % 3

def train(strategy):
    with strategy.scope():
        model = bert_tf.TFDistilBertForSequenceClassification.from_pretrained(
            sys.argv[1], dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
        model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"])
    data = bert_tf.batches(tokens, labels, batch_size=6)
    history = model.fit(data, validation_data=data, epochs=3, verbose=0).history
    return history, model.predict(data.map(lambda x, y: x), verbose=0).logits

mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert mirrored.num_replicas_in_sync == 2
one, logits = train(tf.distribute.get_strategy())
two, distributed = train(mirrored)
for name in one:
    np.testing.assert_allclose(one[name], two[name], atol=1e-4, err_msg=name)
np.testing.assert_allclose(np.sort(logits, 0), np.sort(distributed, 0), atol=1e-4)
print("same on two devices")
"""


@pytest.mark.slow
def test_mirrored_strategy_on_two_devices():
    pytest.importorskip("tensorflow")
    arguments = [sys.executable, "-c", DISTRIBUTED, str(GOLDEN / "distilbert_tiny")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert "same on two devices" in done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Skipping variable loading for optimizer")
def test_keras_tuner_takes_the_model_as_it_is(texts, tmp_path, capsys):
    import keras_tuner

    inputs, labels = texts

    def build(hp):
        model = load()
        model.freeze(0)
        model.compile(
            keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")), metrics=["accuracy"]
        )
        return model

    tuner = keras_tuner.RandomSearch(build, "val_loss", max_trials=2, seed=0, directory=tmp_path, project_name="search")
    tuner.search(inputs, labels, validation_data=(inputs, labels), epochs=1, verbose=0)
    trials = tuner.oracle.get_best_trials(2)
    assert [trial.status for trial in trials] == ["COMPLETED", "COMPLETED"]
    best = tuner.get_best_models()[0]
    assert best.evaluate(inputs, labels, verbose=0)[0] == pytest.approx(trials[0].score, abs=1e-5)
