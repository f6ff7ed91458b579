"""What a run starts from, and what it says of it."""

from bert_tf.settings import FINETUNE
from bert_tf.training.job import prepare


def test_where_features_are_from_is_said_once(reviews, tiny, tmp_path):
    lines = []

    def job(**more):
        options = {"checkpoint": str(tiny), "max_length": 24, "precision": "float32", "cache_dir": tmp_path / "kept"}
        return prepare(reviews, settings=FINETUNE.settings(**options, **more), say=lambda _: None)

    first = job(unfreeze=1, head="first_token")
    for _ in range(3):
        first.frozen_features(False, lines.append)
    assert len(lines) == 1
    assert ": 0 texts computed" not in lines[0]
    first.inputs(first.model, False, lines.append)  # of fewer layers: they are other features
    assert len(lines) == 2
    job(head="first_token").frozen_features(
        False, lines.append
    )  # of another run: whether it found them in the cache is news
    assert len(lines) == 3
    assert ": 0 texts computed" in lines[2]


def test_features_in_memory_are_computed_once(reviews, tiny):
    options = {"checkpoint": str(tiny), "max_length": 24, "precision": "float32", "cache": "memory"}
    job = prepare(reviews, settings=FINETUNE.settings(**options, unfreeze=1), say=lambda _: None)
    of_all_layers = job.frozen_features(False, lambda _: None)
    assert job.frozen_features(False, lambda _: None) is of_all_layers
    of_the_lower = job.inputs(job.model, False, lambda _: None)
    assert of_the_lower is not of_all_layers
    assert job.inputs(job.model, False, lambda _: None) is of_the_lower
