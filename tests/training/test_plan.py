"""What a run is said to need is what it needs."""

from importlib import import_module

import pytest

import bert_tf
from bert_tf.cli.main import main
from bert_tf.features import cache


@pytest.fixture(autouse=True)
def _short_probe(monkeypatch):
    monkeypatch.setattr(import_module("bert_tf.training.plan"), "PROBE", 0.02)


@pytest.mark.parametrize(
    ("unfreeze", "precision"), [(0, "float32"), (1, "float32"), pytest.param("all", "float32", marks=pytest.mark.slow)]
)
def test_sizes_are_those_of_the_run(tiny, reviews, tmp_path, unfreeze, precision):
    options = {
        "checkpoint": tiny,
        "recipe": "plain",
        "unfreeze": unfreeze,
        "epochs": 2,
        "batch_size": 8,
        "precision": precision,
    }
    reviews = {**reviews, "text": [f"{i} {text}" for i, text in enumerate(reviews["text"])]}  # no text twice
    found = bert_tf.plan(reviews, **options)
    done = bert_tf.finetune(reviews, output_dir=tmp_path / "run", cache_dir=tmp_path / "cache", verbose=0, **options)
    assert found.parameters == done.metrics["parameters"]
    assert found.trainable_parameters == done.metrics["trainable_parameters"]
    assert found.precision == done.metrics["settings"]["precision"]
    rows = sum(
        chunk.rows.nbytes
        for space in cache.spaces(tmp_path / "cache")
        for chunk in _chunks(space, tmp_path / "cache")
    )  # fmt: skip
    assert found.cache_bytes == rows
    assert (rows == 0) == (unfreeze == "all")
    assert found.seconds == pytest.approx(found.features_seconds + 2 * found.epoch_seconds)
    assert found.epoch_seconds > 0


def _chunks(space, cache_dir):
    there = cache.Space({name: value for name, value in space.description.items() if name != "format"}, cache_dir)
    assert there.folder == space.folder
    return there.new_chunks()


def test_more_training_needs_more(tiny, reviews):
    some, everything = (
        bert_tf.plan(reviews, checkpoint=tiny, unfreeze=unfreeze, cache=False) for unfreeze in (1, "all")
    )
    assert some.weights_bytes < everything.weights_bytes
    assert 0 < 2 * some.activations_bytes == everything.activations_bytes
    assert some.cache_bytes == some.features_seconds == 0


def test_it_is_printed(tiny, capsys):
    assert (
        main(
            [
                "plan",
                "--train",
                "demo",
                "--checkpoint",
                str(tiny),
                "--max-length",
                "32",
                "--epochs",
                "7",
                "--unfreeze",
                "0",
            ]
        )
        == 0
    )
    printed = capsys.readouterr().out
    for words in ("1,152, ", "longest text: 32", "time in all", "features on disk", "MB"):
        assert words in printed


def test_wrong_input_is_refused(tiny, reviews):
    with pytest.raises(ValueError, match="0 to 2"):
        bert_tf.plan(reviews, checkpoint=tiny, unfreeze=7)
    with pytest.raises(ValueError, match="batch_size=0"):
        bert_tf.plan(reviews, checkpoint=tiny, batch_size=0)
    with pytest.raises(ValueError, match="between 3 and 256"):
        bert_tf.plan(reviews, checkpoint=tiny, max_length=1000)


def test_its_head_has_the_classes_of_the_data(tiny, reviews):
    two = bert_tf.plan(reviews, checkpoint=tiny, unfreeze=0)
    reviews = {**reviews, "label": ["mixed"] * 3 + reviews["label"][3:]}  # a copy: others use the fixture
    width = 12 * 3  # the means of the embeddings and two layers
    assert bert_tf.plan(reviews, checkpoint=tiny, unfreeze=0).parameters == two.parameters + width + 1
