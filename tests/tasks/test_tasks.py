"""Each task answers all that is asked of it; the tables that need other rooms know every task."""

import numpy as np
import pytest

from bert_tf.data.readers import READERS
from bert_tf.settings import FINETUNE
from bert_tf.tasks.task import TASKS, Task, task_name, task_of
from bert_tf.training.heads import HEADS

NAMES = {"classification": ("bad", "good"), "ordinal": ("1", "2", "5"), "multi-label": ("anger", "joy"), "regression": ("stars",)}  # fmt: skip
LABELS = {
    "classification": np.arange(24) % 2,
    "ordinal": np.arange(24) % 3,
    "multi-label": np.stack([np.arange(24) % 2, np.arange(24) % 3 == 0], axis=1).astype("float32"),
    "regression": (np.arange(24) % 5 * 100 + 1000).astype("float32"),
}
TEXTS = [f"text {i} is {'good' if i % 2 else 'bad'}" for i in range(24)]


def logits_of(name: str, noise: float = 1.0) -> np.ndarray:
    """Returns logits that say the labels, but for noise."""
    labels, rng = LABELS[name], np.random.default_rng(0)
    if name == "regression":
        return (labels + 30 * noise * rng.normal(size=24))[:, None]
    said = labels * 2.0 - 1 if name == "multi-label" else np.eye(len(NAMES[name]))[labels] * 2
    return said + noise * rng.normal(size=said.shape)


def test_every_table_knows_every_task():
    choices = next(option for option in FINETUNE.options() if option.name == "task").about["choices"]
    assert set(TASKS) == set(READERS) == set(HEADS) == set(choices) - {"auto"} == set(NAMES)
    assert [task_of(name).name for name in TASKS] == [*TASKS]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_whole(name):
    """Everything that reports, stages and predictions ask, from the same numbers."""
    labels, names, logits = LABELS[name], NAMES[name], logits_of(name)
    task = task_of(name).of(labels)
    predictions = task.squash(logits)
    thresholds = task.thresholds(labels, predictions)
    found = task.evaluate(labels, predictions, names, thresholds)
    assert found["scores"][task.score]["value"] == pytest.approx(task.measured(labels, logits))
    assert {one.key for one in (*task.measures, *task.figures)} <= set(found["scores"])
    assert {key for key, value in vars(Task).items() if callable(value)} <= set(dir(task))
    assert task.loss(labels, logits) < task.loss(labels, logits_of(name, 4.0))
    assert task.loss(labels, logits) < task.chance(labels)
    assert task.problem(labels, names) == ""
    assert task.problem(labels[:1] * 0, names) != ""
    assert len(task.strata(labels)) == 24
    assert all(task.row(one, names, thresholds) for one in predictions)
    answers = task.answers(predictions, names, thresholds)
    assert tuple(answers) == task.columns
    assert {len(column) for column in answers.values()} == {24}
    assert len([*task.shown(labels, names)]) == len(task.values(labels, names)) == 24
    compared = task.compare(
        labels, predictions, task.squash(logits_of(name, 9.0)), ("a", "b"), (thresholds, thresholds)
    )
    assert {"names", "difference", "verdict"} <= set(compared)
    assert compared["difference"]["value"] > 0
    baseline = task.train_baseline(TEXTS, labels, names)
    assert baseline(TEXTS).shape == predictions.shape
    coded, _ = task.codes(labels, labels[:3], label_names=names)
    assert [len(part) for part in coded] == [24, 3]


@pytest.mark.parametrize("name", ["classification", "multi-label"])
def test_the_temperature_lowers_the_loss(name):
    task, labels, logits = task_of(name), LABELS[name], 5 * logits_of(name, 2.0)
    temperature = task.temperature(labels, logits)
    assert temperature > 1
    assert task.loss(labels, logits / temperature) < task.loss(labels, logits)


def test_numbers_are_standardised_and_come_back():
    task = task_of("regression").of(LABELS["regression"])
    targets = task.targets(LABELS["regression"])
    assert targets.shape == (24, 1)
    assert (targets.mean(), targets.std()) == pytest.approx((0, 1), abs=1e-5)
    np.testing.assert_allclose(task.logits(targets)[:, 0], LABELS["regression"], rtol=1e-6)
    assert task.chance(LABELS["regression"]) == pytest.approx(1)


def test_a_head_is_folded_and_unfolded():
    import keras

    class Model:
        classifier = keras.layers.Dense(1)

    rows = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    Model.classifier.build((None, 3))
    before = np.asarray(Model.classifier(rows))
    task = task_of("regression").of(LABELS["regression"])
    task.fold(Model)
    np.testing.assert_allclose(Model.classifier(rows), task.logits(before), rtol=1e-5)
    task.unfold(Model)
    np.testing.assert_allclose(Model.classifier(rows), before, atol=1e-5)


def test_classes_of_an_ordinal_task_are_rising_numbers():
    task = task_of("ordinal")
    assert "must be numbers" in task.problem(LABELS["classification"], ("bad", "good"))
    assert "must rise" in task.problem(LABELS["ordinal"], ("1", "5", "2"))
    assert task.values_of(np.array([[0.5, 0.5, 0.0]]), ("1", "2", "5")) == [1.5]


def test_a_checkpoint_says_what_it_is_for():
    class Config:
        pass

    assert task_name("single_label_classification", Config()) == "classification"
    assert task_name("multi_label_classification", Config()) == "multi-label"
    Config.bert_tf_task = "ordinal"
    assert task_name("single_label_classification", Config()) == "ordinal"
