"""Label values as classes: by value, in order, and told where that is not clear."""

import decimal

import numpy as np
import pytest

import bert_tf
from bert_tf.data.classes import encode, key_of, rules
from bert_tf.settings import FINETUNE


def classes(values, **options):
    texts = [f"text {i}" for i in range(len(values))]
    examples = bert_tf.read_examples({"text": texts, "label": values}, **options)
    return examples.label_names, examples.labels.tolist()


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.0,
        True,
        "1",
        " 1",
        "1.0",
        "+1",
        "true",
        "TRUE",
        np.int8(1),
        np.float32(1),
        np.bool_(True),
        decimal.Decimal(1),
        b"1",
    ],
)
def test_one_value_is_one_class_in_whatever_form(value):
    assert key_of(value) == (0, 1)


@pytest.mark.parametrize("value", [None, float("nan"), np.nan, "", "  ", "\u200b"])
def test_what_is_no_value(value):
    assert key_of(value) is None


@pytest.mark.parametrize(
    ("labels", "names", "indices"),
    [
        (["1", "0", "1.0", "0.0"], ("0", "1"), [1, 0, 1, 0]),
        ([10.0, 9.0, 1.0, 2.0], ("1", "2", "9", "10"), [3, 2, 0, 1]),
        (["10", "-1", "0.5"], ("-1", "0.5", "10"), [2, 0, 1]),
        (["True", "TRUE", "false"], ("False", "True"), [1, 1, 0]),
        (["true", "false"], ("false", "true"), [1, 0]),
        ([True, 1, 0, False], ("0", "1"), [1, 1, 0, 0]),
        (["pos", "pos\u200b", " neg\u00a0", "neg"], ("neg", "pos"), [1, 1, 0, 0]),
        (["caf\u00e9", "cafe\u0301", "a"], ("a", "caf\u00e9"), [1, 1, 0]),
        (np.array([[1], [0]]), ("0", "1"), [1, 0]),
    ],
)
def test_names_and_order(labels, names, indices):
    assert classes(labels) == (names, indices)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (
            np.eye(2),
            ValueError,
            "one value a text, shape .N,. or .N, 1.. Received: shape .2, 2.. Of one-hot labels take argmax",
        ),
        ([{"name": "a"}, {"name": "b"}], ValueError, "row 1: the label .* is a dict"),
        ([["a"], ["b", "c"]], ValueError, "row 1: the label .* is a list"),
        ("ab", TypeError, "`label` must be a list with one value a text. Received: str"),
        (
            ["Positive", "positive", "negative"],
            ValueError,
            "differ in case only: 'Positive' .1., 'positive' .1..*--fold-case",
        ),
    ],
)
def test_what_cannot_be_classes_is_said(labels, error, message):
    with pytest.raises(error, match=message):
        classes(labels)


def test_case_is_folded_on_request():
    assert classes(["Positive", "positive", "NEGATIVE"], fold_case=True) == (("negative", "positive"), [1, 1, 0])
    train = bert_tf.read_examples({"text": ["a", "b"], "label": ["positive", "negative"]})
    with pytest.raises(
        ValueError, match="unknown labels 'Positive'.*Is it 'positive'. Then read both with fold_case=True"
    ):
        bert_tf.read_examples({"text": ["a"], "label": ["Positive"]}).relabel(train.label_names)


@pytest.mark.parametrize(
    "options",
    [
        {"labels": "negative=1-2,positive=4-5", "drop": "3"},
        {"labels": {"negative": [1, 2], "positive": "4-5"}, "drop": 3},
        {"labels": "negative=1|2,positive=4|5.0", "drop": [3]},
    ],
)
def test_stars_become_classes(options):
    names, indices = classes([5, 1, "3", 2.0, "4"], **options)
    assert (names, indices) == (("negative", "positive"), [1, 0, 0, 1])
    assert classes(["negative", 5], **options)[1] == [0, 1]  # a file that has the names already


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "negative=1-2,positive=4-5"}, "labels without a class: 3 .1 row.. Give them one with labels="),
        ({"labels": "low=1-3,high=3"}, "`labels`: 1-3 is in two classes|`labels`: 3 is in two classes"),
        ({"labels": "negative"}, '`labels` must be written as "negative=1-2,positive=4-5"'),
        ({"labels": "low=2-1"}, "A range must go upwards"),
        ({"drop": "1-5"}, "no rows are left of 5 rows|no rows are left of 5"),
    ],
)
def test_wrong_rules_are_said(options, message):
    with pytest.raises(ValueError, match=message):
        classes([1, 2, 3, 4, 5], **options)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["1.1", "1.10", "1.2"], ("1.1", "1.10", "1.2")),
        (["10", "01", "1", "2", "b", "02"], ("01", "1", "02", "2", "10", "b")),
        (["2.00", "1.50"], ("1.50", "2.00")),
        (["9007199254740993.0", "9007199254740992.0"], ("9007199254740992", "9007199254740993.0")),
        (["1" * 5000, "2"], ("2", "1" * 5000)),
    ],
)
def test_other_ways_to_write_a_number_are_words(labels, names):
    assert classes(labels)[0] == names
    assert [names[i] for i in classes(labels)[1]] == [label.replace("992.0", "992") for label in labels]


def test_words_like_numbers_are_not_joined_across_data_sets():
    train = bert_tf.read_examples({"text": ["a", "b", "c"], "label": ["1.1", "1.10", "01"]})
    assert "'1.1' and '1.10' (column 'label') are classes of their own" in train.remarks[0]
    other = bert_tf.read_examples({"text": ["a", "b"], "label": ["1.10", 1.1]}).relabel(train.label_names)
    assert [other.label_names[i] for i in other.labels] == ["1.10", "1.1"]
    with pytest.raises(ValueError, match="unknown labels '1'. The training data has: '01'"):
        bert_tf.read_examples({"text": ["a"], "label": [1]}).relabel(train.label_names)
    with pytest.raises(ValueError, match="The classes '1' and '1.0' are one value. Rename one."):
        train.relabel(["1", "1.0"])
    with pytest.raises(ValueError, match="The classes '1' and '1.0' are one value"):
        encode(["1", "1.0"], rules(None, None), "data", "label", declared=("1", "1.0"))
    with pytest.raises(ValueError, match="The classes 'True' and '1' are one value"):
        rules("True=a,1=b", None)
    assert classes([1, True, "b"], labels="1.0=a|b")[0] == ("1.0",)  # a class of that name, by value


def test_a_range_that_is_itself_a_label_is_that_label():
    ages = {"labels": "young=18-24|25-34,old=35-99"}
    assert classes(["18-24", "35-99", "25-34", 20], **ages) == (("young", "old"), [0, 1, 0, 0])
    assert classes(["18-24", "35-99", "a"], drop="18-24") == (("35-99", "a"), [0, 1])
    assert classes(["2020-01", "2020-02"], labels="a=2020-01,b=2020-02") == (("a", "b"), [0, 1])
    assert classes(["01", "3"], labels="low=1-2,high=3-4") == (("low", "high"), [0, 1])
    with pytest.raises(ValueError, match="A range must go upwards. Received: '3-2'"):
        classes([1, 2, 3], drop="3-2")


def test_words_for_missing_values_are_classes_where_they_are_typed(tmp_path):
    labels = ["None"] * 3 + ["a", "b"] * 200
    (tmp_path / "data.jsonl").write_text("".join(f'{{"text": "x", "label": "{label}"}}\n' for label in labels))
    for source in ({"text": ["x"] * 403, "label": labels}, tmp_path / "data.jsonl"):
        examples = bert_tf.read_examples(source)
        assert examples.counts() == {"None": 3, "a": 200, "b": 200}
        (remark,) = examples.remarks
        assert "'None' (column 'label', 3 rows) is a class of its own" in remark
        assert len(bert_tf.read_examples(source, drop="None")) == 400


def test_rules_repeat_a_run():
    settings = FINETUNE.settings(labels={"negative": [1, 2], "positive": "4-5"}, drop=3, separator="tab", header=False)
    arguments = FINETUNE.arguments(settings)
    expected = ["--labels", "negative=1|2,positive=4-5", "--drop", "3", "--separator", "\t", "--no-header"]
    assert arguments == expected


def test_joined_labels_are_said():
    examples = bert_tf.read_examples({"text": ["a", "b", "c"], "label": ["joy", "joy|love", "anger"]})
    assert "look like several labels of a text" in examples.remarks[0]
