"""The optimizer step as one operation against Keras' own, and the numbers that a compiled step reads anew."""

import keras
import numpy as np
import pytest

from bert_tf.models.keras_internals import Dial, set_untracked
from bert_tf.models.parts import Dropout
from bert_tf.training.backup import state
from bert_tf.training.optimizer import Schedule, compile_with
from bert_tf.training.stages import Pace

BATCHES = [(np.random.default_rng(i).normal(size=(8, 5)).astype("float32"), np.arange(8) % 3) for i in range(4)]


def trained(name: str, fused: bool, **options) -> list[np.ndarray]:
    """Weights after four steps."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)])
    if fused:
        compile_with(model, name, 0.01, options.get("weight_decay"), clip=options.get("clip"))
        assert "adam_update" in model.optimizer.update_step.__qualname__
    else:
        config = {"learning_rate": 0.01, "weight_decay": options.get("weight_decay")}
        optimizer = keras.optimizers.get(
            {"class_name": name, "config": config | {"global_clipnorm": options.get("clip")}}
        )
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        model.compile(optimizer)
    model.compile(model.optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for x, y in BATCHES:
        model.train_on_batch(x, y)
    return model.get_weights()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has the step as one operation")
@pytest.mark.parametrize("options", [{"name": "adam"}, {"name": "adamw", "weight_decay": 0.1, "clip": 0.5}])
def test_fused_adam_gives_the_weights_of_keras(options):
    for fused, own in zip(trained(fused=True, **options), trained(fused=False, **options), strict=True):
        np.testing.assert_allclose(fused, own, atol=1e-6)


def test_an_unknown_optimizer_is_named():
    with pytest.raises(ValueError, match="`optimizer` must be the name of a Keras optimizer.*'adamm'"):
        compile_with(keras.Sequential([keras.layers.Dense(1)]), "adamm", 1e-3, None)


def test_a_compiled_step_reads_dials_anew():
    """What a search changes from trial to trial, and a budget in the middle of an epoch."""
    rate, decay, dropped = Dial(0.0), Dial(0.0), Dial(0.5)
    dense, dropout = keras.layers.Dense(1, kernel_initializer="ones", use_bias=False), Dropout(0.5)
    set_untracked(dropout, "rate", dropped)
    model = keras.Sequential([keras.Input([4]), dropout, dense])
    compile_with(model, "sgd", Schedule(rate, Dial(9)), decay, loss="mean_absolute_error", metrics=())

    def change() -> float:
        before = np.array(dense.kernel)
        model.fit(np.ones((64, 4)), np.full((64, 1), -99.0), batch_size=64, verbose=0)
        return float(np.abs(np.array(dense.kernel) - before).max())

    assert change() == 0.0
    rate.assign(0.1)
    assert change() > 0.01
    dropped.assign(0.0)
    assert change() == pytest.approx(0.1, rel=1e-5)
    decay.assign(0.5)
    assert change() > 0.101
    assert len(model.weights) == 1
    assert len(state(model)) == 3  # the kernel, the random generator, the steps done


def test_a_plan_that_changes_within_an_epoch_holds_from_the_next_step_on():
    dense = keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)
    model = keras.Sequential([keras.Input([4]), dense])
    schedule = Schedule(Dial(0.1), Dial(1000), Dial(0), falling=True)
    compile_with(model, "sgd", schedule, None, loss="mean_absolute_error", metrics=())
    pace = Pace(6, 1, validation=None, schedule=schedule, warmup=0.0, deadline=None, say=print)
    pace.set_model(model)

    class Cut(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                pace.total = 3
                pace._reschedule(first=False)

    model.fit(np.ones((48, 4)), np.full((48, 1), -99.0), batch_size=8, verbose=0, callbacks=[Cut()])
    assert float(1 - np.array(dense.kernel)[0, 0]) == pytest.approx(0.1 + 0.0999 + 0.0998, rel=1e-4)
