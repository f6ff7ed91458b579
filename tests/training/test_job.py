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
