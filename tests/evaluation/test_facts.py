"""All facts of a run, from its plain results."""

import json

import numpy as np
import pytest

from bert_tf.evaluation import facts
from bert_tf.reporting import page
from bert_tf.reporting.sections import sections
from bert_tf.tasks.task import task_of


@pytest.fixture
def run(reviews) -> dict:
    labels = np.array([name == "positive" for name in reviews["label"]], "int64")
    texts = [f"{text}, number {i}" for i, text in enumerate(reviews["text"])]
    given = labels.copy()
    given[3] = 0
    return {
        "task": task_of("classification"),
        "label_names": ("negative", "positive"),
        "train": (texts, given),
        "validation": (texts[::3], labels[::3]),
        "probabilities": np.stack([1 - labels[::3], labels[::3]], axis=1) * 0.8 + 0.1,
        "history": {"loss": [np.float32(0.6), 0.4], "val_loss": [0.5, 0.3]},
        "lengths": {"training": np.arange(24) + 3, "validation": np.arange(8) + 3},
        "max_length": 20,
    }


def test_a_run_has_a_page_of_every_section(run):
    found = facts.run_facts(
        **run, title="Reviews", parameters=[("head", 2, 2)], cost=[("all", 1.0, "seconds")], command="x"
    )
    assert page.render(json.loads(json.dumps(found, allow_nan=False))) == page.render(found)
    titles = [section["title"] for section in sections(found)]
    assert titles == [
        "Results", "Baseline", "Training", "Classes", "Calibration", "Possible label errors", "Data", "Parameters",
        "Time and memory", "Reproduce this run", "Terms",
    ]  # fmt: skip
    assert found["scores"]["accuracy"]["value"] == 1
    assert found["overfitting"]["kind"] == "improving"
    assert found["data"]["duplicates"]["across"] == {"validation": 8}
    assert found["data"]["splits"][0]["lengths"]["cut"] == 6
    assert found["data"]["splits"][0]["labels"] == {"negative": 13, "positive": 11}


def test_the_baseline_and_the_labels_look_at_a_sample_of_many_texts(run, monkeypatch):
    monkeypatch.setattr(facts, "MOST_TEXTS", 20)
    found = facts.run_facts(**run, seed=1)
    assert found["baseline"]["texts"] == found["mislabelled"]["texts"] == 20
    for suspect in found["mislabelled"]["listed"]:
        assert suspect["text"] == run["train"][0][suspect["index"]]
    assert found["mislabelled"]["listed"]


def test_texts_that_share_no_word_or_character_leave_the_rest_and_a_hint(run):
    texts = [chr(0x4E00 + i) for i in range(1000)]
    found = facts.run_facts(**{**run, "train": (texts, np.arange(1000) % 2), "lengths": None})
    assert "baseline" not in found
    assert found["hints"][0].startswith("The baseline and the likely wrong labels are missing.")
    assert found["scores"]["accuracy"]["value"] == 1
