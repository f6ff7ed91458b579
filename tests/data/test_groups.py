"""Groups: texts that belong together, such as those of one product, stay on one side of every split and fold."""

import numpy as np
import pytest

import bert_tf
from bert_tf.data.examples import Examples
from bert_tf.evaluation import tfidf
from bert_tf.settings import FINETUNE
from bert_tf.training import solver
from bert_tf.training.job import prepare


def grouped(groups: int = 40, seed: int = 0) -> Examples:
    """Groups of 1 to 9 texts, one text in four of class 1."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), rng.integers(1, 10, groups))
    labels = (rng.random(len(group)) < 0.25).astype("int32")
    names = np.array([f"product {i}" for i in group])
    return Examples([f"text {i}" for i in range(len(group))], labels, ("no", "yes"), "some.csv", groups=names)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_split_keeps_groups_whole_and_the_shares_near(share, seed):
    examples = grouped()
    train, held = examples.split(share, seed)
    assert not set(train.groups) & set(held.groups)
    assert len(train) + len(held) == len(examples)
    assert len(held) / len(examples) == pytest.approx(share, abs=0.05)
    assert held.labels.mean() == pytest.approx(examples.labels.mean(), abs=0.1)
    again = examples.split(share, seed)[1]
    assert held.texts == again.texts
    assert held.texts != examples.split(share, seed + 10)[1].texts


def test_few_large_groups_are_split_too_and_one_is_refused():
    two = Examples(
        ["a", "b", "c", "d"], np.array([0, 1, 0, 1]), ("no", "yes"), "some.csv", groups=np.array(["p", "p", "q", "q"])
    )
    assert len(two.split(0.1, 0)[1]) == 2
    one = Examples(["a", "b", "c"], np.array([0, 1, 0]), ("no", "yes"), "some.csv", groups=np.array(["p"] * 3))
    with pytest.raises(ValueError, match="all texts are of one group, 'p'.*--group-column"):
        one.split(0.5, 0)


@pytest.mark.parametrize("seed", range(4))
def test_groups_within_classes_never_leave_one_class_to_learn(seed):
    groups = np.array(["p", "p", "q", "q"])
    nested = Examples(["a", "b", "c", "d"], np.array([0, 0, 1, 1]), ("no", "yes"), "some.csv", groups=groups)
    with pytest.raises(ValueError, match="groups stay whole.*all have the same label.*--group-column"):
        nested.split(0.3, seed)


def test_a_sample_needs_no_whole_groups_but_keeps_them_known():
    sample = grouped().sample(20, 0)
    assert len(sample) == pytest.approx(20, abs=1)
    assert len(sample.groups) == len(sample)


def test_groups_are_read_by_value(tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_text("text,label,product\nfine stuff,good,1\npoor stuff,bad,2.0\nawful stuff,bad, 1\n")
    assert bert_tf.read_examples(file, group_column="product").groups.tolist() == ["1", "2", "1"]
    with pytest.raises(ValueError, match=r"row 2.*the group \(column 'product'\) is empty"):
        bert_tf.read_examples({"text": ["a", "b"], "label": [0, 1], "product": ["x", None]}, group_column="product")
    with pytest.raises(ValueError, match="no column 'produkt'.*Did you mean 'product'"):
        bert_tf.read_examples(file, group_column="produkt")


def test_the_folds_of_head_and_baseline_keep_groups_whole():
    """Each group has a feature and a label of its own: only who has seen the group knows the label."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 6)
    labels = rng.integers(0, 2, 30)[group]
    rows = np.eye(30, dtype="float32")[group] * 6
    leaking, whole = (solver.solve(rows, labels, 2, groups=groups).held_out_loss for groups in (None, group))
    assert leaking < 0.55 < 0.6 < whole
    texts = [f"word{i} and more" for i in group]
    baseline = tfidf.train_baseline(texts, labels, 2, groups=group)
    right = [(tfidf.held_out(baseline, texts, labels, groups=g).argmax(1) == labels).mean() for g in (None, group)]
    assert right[0] > 0.95
    assert right[1] < 0.75


def test_groups_of_one_class_each_leave_the_usual_strength():
    rows, labels = np.random.default_rng(0).normal(size=(20, 3)), np.repeat([0, 1], 10)
    assert solver.solve(rows, labels, 2, groups=labels).strength == solver.USUAL_STRENGTH


def test_a_run_holds_out_whole_groups_and_says_what_leaks(tiny, reviews):
    data = {**reviews, "product": [i // 2 for i in range(24)]}
    said: list[str] = []
    settings = FINETUNE.settings(checkpoint=tiny, group_column="product", precision="float32")
    job = prepare(data, settings=settings, say=said.append)
    assert not set(job.train.groups) & set(job.validation.groups)
    assert not any("leak" in line for line in said)
    other = {**reviews, "product": [str(i + 10) for i in range(24)]}
    job = prepare(data, other, settings=settings, say=said.append)
    assert any(
        "2 of 24 texts are of groups that the model learns from too ('10', '11'): a leak" in line for line in said
    )
    assert prepare(data, reviews, settings=settings, say=said.append).validation.groups is None  # it need not have them
    with pytest.raises(ValueError, match="no column 'product'"):
        prepare(reviews, settings=settings, say=said.append)
