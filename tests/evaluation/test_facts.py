"""All facts of a run, from its plain results."""

import json
import sys

import numpy as np
import pytest

from bert_tf.evaluation import facts
from bert_tf.reporting import page
from bert_tf.reporting.sections import sections


@pytest.fixture
def run(reviews) -> dict:
    labels = np.array([name == "positive" for name in reviews["label"]], "int64")
    texts = [f"{text}, number {i}" for i, text in enumerate(reviews["text"])]
    given = labels.copy()
    given[3] = 0
    return {
        "label_names": ("negative", "positive"),
        "train": (texts, given),
        "validation": (texts[::3], labels[::3]),
        "probabilities": np.stack([1 - labels[::3], labels[::3]], axis=1) * 0.8 + 0.1,
        "history": {"loss": [np.float32(0.6), 0.4], "val_loss": [0.5, 0.3]},
        "lengths": {"training": np.arange(24) + 3, "validation": np.arange(8) + 3},
        "max_length": 20,
    }


def test_a_run_has_a_page_of_every_section(run):
    found = facts.of_run(
        **run, title="Reviews", parameters=[("head", 2, 2)], cost=[("all", 1.0, "seconds")], command="x"
    )
    assert page.render(json.loads(json.dumps(found, allow_nan=False))) == page.render(found)
    titles = [section["title"] for section in sections(found)]
    assert titles == [
        "Results", "Baseline", "Training", "Classes", "Calibration", "Possible label errors", "Data", "Parameters",
        "Time and memory", "Reproduce this run",
    ]  # fmt: skip
    assert found["scores"]["accuracy"]["value"] == 1
    assert found["overfitting"]["kind"] == "improving"
    assert found["data"]["duplicates"]["across"] == {"validation": 8}
    assert found["data"]["splits"][0]["lengths"]["cut"] == 6
    assert found["data"]["splits"][0]["labels"] == {"negative": 13, "positive": 11}


def test_the_floor_and_the_labels_look_at_a_sample_of_many_texts(run, monkeypatch):
    monkeypatch.setattr(facts, "MOST", 20)
    features = np.stack([run["train"][1] != (np.arange(24) == 3), np.arange(24) % 2], axis=1).astype(float)
    found = facts.of_run(**run, features=features, seed=1)
    assert found["floor"]["texts"] == found["mislabelled"]["texts"] == 20
    assert [(each["index"], each["text"]) for each in found["mislabelled"]["listed"]] == [(3, run["train"][0][3])]


def test_without_scikit_learn_the_rest_is_there_and_a_hint(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.exceptions", None)
    found = facts.of_run(**run)
    assert "floor" not in found
    assert "bert-tf[report]" in page.render(found)


def test_texts_that_share_no_word_leave_the_rest_and_a_hint(run):
    texts = [f"w{i}" for i in range(1000)]
    found = facts.of_run(**{**run, "train": (texts, np.arange(1000) % 2), "lengths": None})
    assert "floor" not in found
    assert found["hints"][0].startswith("The floor and likely wrong labels are not shown.")
    assert found["scores"]["accuracy"]["value"] == 1
