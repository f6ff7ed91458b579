"""Sources to `Examples`: what is read, and how what cannot be read is told."""

import json

import numpy as np
import pytest

import bert_tf
from bert_tf.data.examples import check_classes


def write(tmp_path, content, name="data.csv"):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_csv_with_quotes_and_line_breaks(tmp_path):
    file = write(tmp_path, '\ufefftext,label,other\n"good, very\ngood",1,x\n"he said ""no""",0,y\n\nbad,0,z\n')
    examples = bert_tf.read_examples(file)
    assert list(examples.texts) == ["good, very\ngood", 'he said "no"', "bad"]
    assert examples.labels.tolist() == [1, 0, 0]
    assert examples.label_names == ("0", "1")
    assert examples.counts() == {"0": 2, "1": 1}


@pytest.mark.parametrize(
    ("labels", "names", "indices"),
    [
        (["positive", "negative", "positive"], ("negative", "positive"), [1, 0, 1]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        ([1.0, 0.0, 1.0], ("0", "1"), [1, 0, 1]),
        ([True, False, True], ("False", "True"), [1, 0, 1]),
        ([-1, 1, -1], ("-1", "1"), [0, 1, 0]),
        (np.array([2, 0, 1]), ("0", "1", "2"), [2, 0, 1]),
    ],
)
def test_labels_of_every_kind(labels, names, indices):
    examples = bert_tf.read_examples({"text": ["a", "b", "c"], "label": labels})
    assert examples.label_names == names
    assert examples.labels.tolist() == indices


def test_every_source_gives_the_same(tmp_path, reviews):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(reviews)
    frame.to_csv(tmp_path / "data.csv", index=False)
    frame.to_csv(tmp_path / "data.tsv", index=False, sep="\t")
    frame.to_json(tmp_path / "data.jsonl", orient="records", lines=True)
    expected = bert_tf.read_examples(reviews)
    sources = [frame, (reviews["text"], reviews["label"]), expected]
    sources += [tmp_path / name for name in ("data.csv", "data.tsv", "data.jsonl")]
    for source in sources:
        found = bert_tf.read_examples(source)
        assert list(found.texts) == reviews["text"]
        assert found.labels.tolist() == expected.labels.tolist()
        assert found.label_names == ("negative", "positive")


def test_examples_are_refused_with_options_they_were_not_read_with():
    stars = {"text": ["a", "b", "c", "d"], "label": [1, 2, 4, 5]}
    options = {"labels": "bad=1-2,good=4-5", "drop": "3"}
    examples = bert_tf.read_examples(stars, **options)
    part = examples.split(0.5, 0)[1]
    for same in ({}, options, {"labels": {"bad": "1-2", "good": "4-5"}}):
        assert bert_tf.read_examples(part, **same) is part
    for late in ({"labels": "bad=1,good=5"}, {"drop": [2]}, {"fold_case": True}):
        with pytest.raises(ValueError, match=f"classes already. Received: {next(iter(late))}=.*read_examples"):
            bert_tf.read_examples(examples, **late)
    with pytest.raises(ValueError, match="Received: labels=.*, drop='3'. Pass it where they are read"):
        bert_tf.finetune(bert_tf.read_examples(stars), **options)


def test_examples_are_refused_with_options_of_reading_that_come_too_late(tmp_path):
    file = write(tmp_path, "text;label\ngut;1\nschlecht;0\n")
    examples = bert_tf.read_examples(file, separator=";", header=True)
    assert bert_tf.read_examples(examples, separator=";", header=True) is examples
    for late in (
        {"encoding": "cp1250"},
        {"separator": ","},
        {"header": False},
        {"text_column": "label"},
        {"sheet": "a"},
    ):
        with pytest.raises(
            ValueError, match=rf"are read already. Received: {next(iter(late))}=.*read_examples\(\.\.\., "
        ):
            bert_tf.read_examples(examples, **late)
    assert bert_tf.read_examples(examples, fold_case=True, labelled=False) is examples


def test_parquet(tmp_path, reviews):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pandas.DataFrame(reviews).to_parquet(tmp_path / "data.parquet")
    assert list(bert_tf.read_examples(tmp_path / "data.parquet").texts) == reviews["text"]


def test_columns_found_and_given(tmp_path):
    file = write(tmp_path, "id,reviewText,isPositive,stars\n7,fine,1,4\n8,awful,0,1\n")
    assert bert_tf.read_examples(file).label_names == ("0", "1")
    given = bert_tf.read_examples(file, "reviewText", "stars")
    assert given.label_names == ("1", "4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("text,label\n", "has no rows"),
        ("words,label\na,1\n", "no column with a usual name for the text. Columns: 'words', 'label'.*--no-header"),
        ("text,mark\na,1\n", "no column with a usual name for the label"),
        ("text,label\na,1\nb,\n", "row 2 .line 3.: the label .* is empty. One of 2 rows cannot be used"),
        ("text,label\na,1\n  ,0\n", "row 2 .line 3.: the text .* is empty"),
        ("text,label\na,1\nb,0,extra\n", "row 2 .line 3. has 3 fields, the header has 2"),
        ("text,label\na,1\nb\x00b,0\n", "row 2 .*(NUL)"),
        (
            ("text,label\n" + "na\xefve caf\xe9s,1\n" * 9).encode() + "caf\xe9,0\n".encode("latin-1"),
            "row 10 .line 11. is not valid UTF-8",
        ),
        ("text,text\na,1\n", "repeats column names"),
        ('text,label\n"a,1\n', "not valid CSV"),
    ],
)
def test_bad_csv_names_file_and_row(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as error:
        bert_tf.read_examples(write(tmp_path, content))
    assert "data.csv" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a", "label": 1}\n{"text": "b"}\n', "line 2: the label"),
        ('{"text": "a", "label": 1}\n[1]\n', "line 2 is not a JSON object"),
        ('{"text": "a", "label": 1}\n{"text": \n', "line 2 is not valid JSON"),
        ('{"text": 5, "label": 1}\n', "row 1: the text .* is of type int"),
    ],
)
def test_bad_jsonl(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        bert_tf.read_examples(write(tmp_path, content, "data.jsonl"))


def test_bad_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.csv: no such file"):
        bert_tf.read_examples(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="expected a file that ends in .csv"):
        bert_tf.read_examples(write(tmp_path, "a", "data.xls"))
    with pytest.raises(TypeError, match="Received: int"):
        bert_tf.read_examples(5)
    with pytest.raises(ValueError, match="2 texts and 1 labels"):
        bert_tf.read_examples((["a", "b"], [1]))
    with pytest.raises(ValueError, match="no column 'words'. Columns: 'text', 'label'"):
        bert_tf.read_examples({"text": ["a"], "label": [1]}, "words")
    with pytest.raises(ValueError, match="all 2 rows have the same label, '1'"):
        check_classes(bert_tf.read_examples({"text": ["a", "b"], "label": [1, 1]}))
    many = [f"{i}" for i in range(1200)]
    with pytest.raises(ValueError, match="1200 different labels"):
        bert_tf.read_examples({"text": many, "label": many})


@pytest.mark.parametrize("seed", range(3))
def test_split_is_stratified_seeded_and_loses_nothing(seed):
    texts = [f"text {i}" for i in range(101)]
    examples = bert_tf.read_examples({"text": texts, "label": ["a"] * 71 + ["b"] * 27 + ["c"] * 3})
    train, validation = examples.split(0.2, seed)
    assert sorted([*train.texts, *validation.texts]) == sorted(texts)
    assert validation.counts() == {"a": 14, "b": 5, "c": 1}
    again = examples.split(0.2, seed)[1]
    assert list(again.texts) == list(validation.texts)
    assert list(examples.split(0.2, seed + 1)[1].texts) != list(validation.texts)
    for text, label in zip(train.texts, train.labels, strict=True):
        assert examples.labels[texts.index(text)] == label


def test_a_split_without_anything_to_hold_out_is_refused():
    with pytest.raises(ValueError, match="no label has two"):
        bert_tf.read_examples({"text": ["a", "b"], "label": ["a", "b"]}).split(0.5, 0)


def test_the_only_example_of_a_class_stays_in_training():
    train, validation = bert_tf.read_examples({"text": ["a", "a", "b"], "label": ["a", "a", "b"]}).split(0.5, 0)
    assert (train.counts(), validation.counts()) == ({"a": 1, "b": 1}, {"a": 1, "b": 0})


def test_labels_of_another_file_follow_the_first():
    train = bert_tf.read_examples({"text": ["x", "y", "z"], "label": ["a", "b", "c"]})
    validation = bert_tf.read_examples({"text": ["x", "y"], "label": ["c", "b"]}).relabel(train.label_names)
    assert validation.labels.tolist() == [2, 1]
    with pytest.raises(ValueError, match="unknown labels 'd'"):
        bert_tf.read_examples({"text": ["x"], "label": ["d"]}).relabel(train.label_names)


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    """A real tensorflow-datasets builder, prepared on disk, of 57 reviews."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    folder = tmp_path_factory.mktemp("tfds")
    rows = {"text": [f"review number {i}, caf\u00e9" for i in range(57)], "label": [i % 2 for i in range(57)]}
    features = tfds.features.FeaturesDict(
        {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(names=["neg", "pos"])}
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        "tiny_reviews",
        version="1.0.0",
        features=features,
        split_datasets={"train": tf.data.Dataset.from_tensor_slices(rows)},
        data_dir=folder,
    )
    return folder, rows


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorflow_datasets_streams(builder):
    folder, rows = builder
    examples = bert_tf.read_examples("tfds:tiny_reviews", data_dir=folder)
    assert not isinstance(examples.texts, list)
    texts = list(examples.texts)
    assert sorted(texts) == sorted(rows["text"])
    assert list(examples.texts) == texts  # and again
    assert [int(text.split(",")[0].split()[-1]) % 2 for text in texts] == examples.labels.tolist()
    assert examples.label_names == ("neg", "pos")
    train, validation = examples.split(0.2, 0)
    assert not isinstance(train.texts, list)
    assert len(list(train.texts)) == len(train) == 45
    assert sorted([*train.texts, *validation.texts]) == sorted(rows["text"])
    part = bert_tf.read_examples("tfds:tiny_reviews@train[:10]", data_dir=folder)
    assert len(list(part.texts)) == len(part) == 10
    with pytest.raises(ValueError, match="tfds:tiny_reviews@nothing: tensorflow-datasets could not"):
        bert_tf.read_examples("tfds:tiny_reviews@nothing", data_dir=folder)
    with pytest.raises(ValueError, match="tfds:no_such_dataset_anywhere"):
        bert_tf.read_examples("tfds:no_such_dataset_anywhere", data_dir=folder)


def test_the_demo_reviews_are_as_their_note_says():
    train, validation = bert_tf.demo_reviews()
    assert list(bert_tf.read_examples("demo:validation").texts) == list(validation.texts)
    assert train.label_names == ("negative", "positive")
    assert len(train) + len(validation) == 1152
    for part in (train, validation):
        assert part.counts()["negative"] == part.counts()["positive"]
    texts = [*train.texts, *validation.texts]
    words = [len(text.split()) for text in texts]
    assert min(words) >= 10
    assert max(words) <= 120
    plain = ["".join(c for c in text.lower() if c.isalnum() or c == " ") for text in texts]
    assert len(set(plain)) == len(texts)
    # No templates: no two begin with the same four words, no eight words stand in two.
    openings = [" ".join(text.split()[:4]) for text in plain]
    assert len(set(openings)) == len(texts)
    runs = {}
    for i, text in enumerate(plain):
        parts = text.split()
        for start in range(len(parts) - 7):
            assert runs.setdefault(json.dumps(parts[start : start + 8]), i) == i


RUSSIAN = (
    "\u041e\u0447\u0435\u043d\u044c \u0445\u043e\u0440\u043e\u0448\u0438\u0439 "
    "\u0447\u0430\u0439\u043d\u0438\u043a, \u043f\u043e\u043b\u044c\u0437\u0443\u044e\u0441\u044c "
    "\u043a\u0430\u0436\u0434\u044b\u0439 \u0434\u0435\u043d\u044c. "
    "\u0414\u043e\u0441\u0442\u0430\u0432\u043a\u0430 \u043f\u0440\u0438\u0448\u043b\u0430 "
    "\u0432\u043e\u0432\u0440\u0435\u043c\u044f, \u0443\u043f\u0430\u043a\u043e\u0432\u043a\u0430 "
    "\u0446\u0435\u043b\u0430\u044f. \u0427\u0435\u0440\u0435\u0437 \u043c\u0435\u0441\u044f\u0446 "
    "\u043f\u0435\u0440\u0435\u0441\u0442\u0430\u043b \u0440\u0430\u0431\u043e\u0442\u0430\u0442\u044c, "
    "\u0434\u0435\u043d\u044c\u0433\u0438 \u0442\u0430\u043a \u0438 \u043d\u0435 "
    "\u0432\u0435\u0440\u043d\u0443\u043b\u0438, \u043f\u043e\u044d\u0442\u043e\u043c\u0443 "
    "\u0441\u043e\u0432\u0435\u0442\u043e\u0432\u0430\u0442\u044c \u0435\u0433\u043e "
    "\u043d\u0438\u043a\u043e\u043c\u0443 \u043d\u0435 \u043c\u043e\u0433\u0443."
)
GREEK = "\u03a0\u03bf\u03bb\u03cd \u03ba\u03b1\u03bb\u03cc\u03c2 \u03b2\u03c1\u03b1\u03c3\u03c4\u03ae\u03c1\u03b1\u03c2, \u03c4\u03bf\u03bd \u03c7\u03c1\u03b7\u03c3\u03b9\u03bc\u03bf\u03c0\u03bf\u03b9\u03ce \u03ba\u03ac\u03b8\u03b5 \u03bc\u03ad\u03c1\u03b1. \u0397 \u03b3\u03c5\u03bd\u03b1\u03af\u03ba\u03b1 \u03bc\u03bf\u03c5 \u03b5\u03af\u03bd\u03b1\u03b9 \u03b5\u03c5\u03c7\u03b1\u03c1\u03b9\u03c3\u03c4\u03b7\u03bc\u03ad\u03bd\u03b7."
HEBREW = "\u05e7\u05d5\u05de\u05e7\u05d5\u05dd \u05d8\u05d5\u05d1 \u05de\u05d0\u05d5\u05d3, \u05de\u05e9\u05ea\u05de\u05e9 \u05d1\u05d5 \u05db\u05dc \u05d9\u05d5\u05dd. \u05d0\u05e9\u05ea\u05d9 \u05de\u05e8\u05d5\u05e6\u05d4, \u05d0\u05d1\u05dc \u05d4\u05de\u05db\u05e1\u05d4 \u05e0\u05e9\u05d1\u05e8 \u05d0\u05d7\u05e8\u05d9 \u05e9\u05d1\u05d5\u05e2."


def test_cyrillic_is_read_as_cp1251_and_nothing_else_is(tmp_path):
    file = tmp_path / "x.csv"

    def read(text, encoding):
        file.write_bytes(f"text,label\n{text},1\nok {text},0\n".replace(", ", " ").encode(encoding))
        return bert_tf.read_examples(file)

    found = read(RUSSIAN, "cp1251")
    assert next(iter(found.texts)) == RUSSIAN.replace(", ", " ")
    assert any("read as cp1251 (Cyrillic)" in remark for remark in found.remarks)
    for text, encodings in ((RUSSIAN, ("koi8-r", "iso8859-5", "cp866", "mac-cyrillic")), (GREEK, ("cp1253", "iso8859-7", "cp737")),
                            (HEBREW, ("cp1255", "cp862"))):  # fmt: skip
        for encoding in encodings:
            with pytest.raises(ValueError, match="not UTF-8|neither UTF-8|mix two"):
                read(text, encoding)
