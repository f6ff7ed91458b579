"""Several labels a text, and numbers: what is read, and as what."""

import json

import numpy as np
import pytest

import bert_tf
from bert_tf import read_examples


def sets(examples) -> list[str]:
    """Returns the labels of each text, joined."""
    return [
        "|".join(name for name, yes in zip(examples.label_names, row, strict=True) if yes) for row in examples.labels
    ]


TEXTS = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "labels",
    [
        [["joy"], ["joy", "anger"], [], ["anger"]],
        [("joy",), {"joy", "anger"}, (), np.array(["anger"])],
        ["joy", "anger|joy", "", "anger"],
    ],
)
def test_lists_and_joined_labels_are_several(labels):
    examples = read_examples({"text": TEXTS, "label": labels})
    assert examples.task == "multi-label"
    assert (examples.label_names, sets(examples)) == (("anger", "joy"), ["joy", "anger|joy", "", "anger"])
    assert examples.labels.dtype == "float32"
    assert any("1 text without a label" in remark for remark in examples.remarks)
    assert examples.described("Training") == (
        "Training: 4 texts (1.00 labels a text: 2 anger, 2 joy, 1 without a label), the given lists"
    )


def test_how_joined_labels_are_read_is_said_and_can_be_chosen():
    given = {"text": TEXTS, "label": ["joy", "anger|joy", "joy", "anger"]}
    (remark,) = read_examples(given).remarks
    assert "labels such as 'anger|joy' (column 'label') are read as several labels of a text" in remark
    assert "--task classification" in remark
    single = read_examples(given, task="classification")
    assert (single.task, single.label_names) == ("classification", ("anger", "anger|joy", "joy"))
    assert "--task multi-label" in single.remarks[0]


def test_a_name_with_a_bar_is_one_class():
    examples = read_examples({"text": TEXTS, "label": ["either|or", "both|and", "either|or", "both"]})
    assert examples.task == "classification"
    assert read_examples({"text": TEXTS, "label": ["x|y", "z", "x|y", "z"]}, task="multi-label").label_names == (
        "x",
        "y",
        "z",
    )


@pytest.mark.parametrize("columns", [["anger", "joy"], "anger,joy", "anger, joy"])
def test_several_columns_are_labels(columns, tmp_path):
    (tmp_path / "x.csv").write_text("text,anger,joy,other\na,0,1,x\nb,true,1,x\nc,0,0,x\nd,1.0,false,x\n")
    examples = read_examples(tmp_path / "x.csv", label_column=columns)
    assert (examples.task, examples.label_names) == ("multi-label", ("anger", "joy"))
    assert sets(examples) == ["joy", "anger|joy", "", "anger"]
    assert examples.columns == ("text", "anger, joy")
    assert examples.other_columns == ("other",)


def test_files_with_lists(tmp_path):
    rows = [
        {"text": text, "labels": labels} for text, labels in zip(TEXTS, [["x"], ["x", "y"], [], ["y"]], strict=True)
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame(rows).to_parquet(tmp_path / "x.parquet")
    for name in ("x.jsonl", "x.parquet"):
        assert sets(read_examples(tmp_path / name)) == ["x", "x|y", "", "y"]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (
            {"x": [0, 1, 2, 0], "y": [1, 0, 1, 0]},
            {"label_column": "x,y"},
            "row 3: the label 'x' is 2; 0 or 1 is needed",
        ),
        ({"x": [0, 1, 1, 0], "y": [1, 0, 1, 0]}, {"label_column": "x,z"}, "no column 'z'"),
        (
            {"x": [0, 1, 1, 0], "y": [1, 0, 1, 0]},
            {"label_column": "x,y", "task": "regression"},
            "Several label columns",
        ),
        (
            {"x": [0, 1, 1, 0], "y": [1, 0, 1, 0]},
            {"label_column": "x,y", "drop": "1"},
            "`drop` .--drop. names values of one",
        ),
        (
            {"label": [["x"], None, ["y"], []]},
            {},
            "row 2: the labels .column 'label'. are missing; write an empty list",
        ),
        ({"label": [["x"], [["y"]], ["y"], []]}, {}, "row 2: .* lists in lists"),
        ({"label": [["x"], ["y"], ["y"], []]}, {"task": "classification"}, "row 1: the label .* is a list"),
        ({"label": [1, "two", 3, 4]}, {"task": "regression"}, "row 2: the number .column 'label'. is 'two', no number"),
        (
            {"label": [1, "1e39", 3, 4]},
            {"task": "regression"},
            "row 2: .* is '1e39', larger than 3.4e.38: use another unit",
        ),
        ({"label": [1, None, 3, 4]}, {"task": "regression"}, "row 2: the number .column 'label'. is empty"),
        (
            {"label": [1, 2, 3, 4]},
            {"task": "regression", "labels": "low=1-2,high=3-4"},
            "`labels` makes classes of values",
        ),
        ({"label": [1, 2, 3, 4]}, {"task": "ranking"}, "`task` must be one of auto, classification, multi-label"),
    ],
)
def test_what_is_wrong_is_said(given, options, message):
    with pytest.raises(ValueError, match=message):
        read_examples({"text": TEXTS, **given}, **options)


def test_numbers_and_what_they_are_called():
    examples = read_examples({"text": TEXTS, "stars": [1, "2.5", 4.0, "1e1"]}, task="regression")
    assert (examples.task, examples.label_names, examples.labels.tolist()) == (
        "regression",
        ("stars",),
        [1, 2.5, 4, 10],
    )
    assert "stars from 1 to 10, mean 4.375" in examples.described("Training")
    other = read_examples({"text": ["e"], "label": [3]}, task="regression")
    assert other.relabel(examples.label_names).label_names == ("stars",)
    dropped = read_examples({"text": TEXTS, "stars": [1, 2, 3, 4]}, task="regression", drop="3-4")
    assert dropped.labels.tolist() == [1, 2]


def test_many_numbers_as_classes_point_to_regression():
    many = {"text": [f"t{i}" for i in range(1100)], "label": [i / 8 for i in range(1100)]}
    with pytest.raises(ValueError, match="does not look like classes.*--task regression"):
        read_examples(many)
    with pytest.raises(ValueError, match="does not look like classes") as error:
        read_examples({**many, "label": [f"word{i}" for i in range(1100)]})
    assert "regression" not in str(error.value)


def test_dropped_labels_take_their_rows_along():
    examples = read_examples({"text": TEXTS, "label": [["x"], ["x", "y"], [], ["z"]]}, drop="y")
    assert (examples.texts, examples.label_names, sets(examples)) == (["a", "c", "d"], ("x", "z"), ["x", "", "z"])


def test_labels_are_put_in_the_order_of_others():
    examples = read_examples({"text": TEXTS, "label": [["x"], ["y"], [], ["x", "y"]]})
    assert sets(examples.relabel(("y", "w", "x"))) == ["x", "y", "", "y|x"]
    with pytest.raises(ValueError, match="unknown labels 'y'"):
        examples.relabel(("x", "w"))


def test_splits_keep_rare_labels_and_the_range_of_numbers():
    labels = [["common"]] * 60 + [["common", "rare"]] * 6 + [[]] * 14
    train, held = read_examples({"text": [str(i) for i in range(80)], "label": labels}).split(0.3, 0)
    assert held.counts() == {"common": 20, "rare": 2}
    assert train.counts() == {"common": 46, "rare": 4}
    numbers = read_examples(
        {"text": [str(i) for i in range(80)], "label": [i**3 for i in range(80)]}, task="regression"
    )
    train, held = numbers.split(0.25, 0)
    assert (len(train), len(held)) == (60, 20)
    assert np.median(held.labels) == pytest.approx(np.median(train.labels), rel=0.2)


def test_examples_that_were_read_for_another_task_are_refused():
    examples = read_examples({"text": TEXTS, "label": [1, 2, 3, 4]})
    with pytest.raises(ValueError, match="was read for task='classification'"):
        bert_tf.finetune(examples, task="regression", verbose=0)
