"""JSON, Excel, Parquet, frames and data sets give the same examples as CSV."""

import json

import numpy as np
import pytest

import bert_tf

pandas = pytest.importorskip("pandas")
TEXTS, LABELS = ["good caf\u00e9", 'bad, "x"', "NA", "fine\nthing"], [1, 0, 1, 0]
FRAME = pandas.DataFrame({"text": TEXTS, "label": LABELS})


def same(source, **options):
    examples = bert_tf.read_examples(source, **options)
    return list(examples.texts) == TEXTS and examples.labels.tolist() == LABELS


@pytest.mark.parametrize("orient", ["records", "columns", "list", "split"])
def test_json_in_every_shape(orient, tmp_path):
    file = tmp_path / "data.json"
    content = FRAME.to_dict("list") if orient == "list" else json.loads(FRAME.to_json(orient=orient))
    file.write_text(json.dumps(content, indent=1))
    assert same(file)
    file.rename(tmp_path / "data.jsonl")
    assert same(tmp_path / "data.jsonl")


def test_json_of_rows_inside_an_object(tmp_path):
    file = tmp_path / "data.json"
    file.write_text(json.dumps({"version": [1], "data": FRAME.to_dict("records")}))
    assert same(file)
    assert "read from 'data'" in bert_tf.read_examples(file).remarks[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("5", "found a int"),
        ('[{"text": "a"', "is not a valid JSON array"),
        ('{"text": ["a"], "label": [1, 2]}', "its columns differ in length: 'text' has 1, 'label' has 2"),
        ('{"text": "A \\ud83d b", "label": 1}\n{"text": "b", "label": 0}', "line 1: the text .* half a character"),
        ('{"text": "a", "label": {"name": 1}}\n{"text": "b", "label": 0}', "line 1: the label .* is a dict"),
    ],
)
def test_bad_json_is_named(content, message, tmp_path):
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        bert_tf.read_examples(tmp_path / "data.json")


def test_what_is_in_memory():
    pyarrow = pytest.importorskip("pyarrow")
    sources = [FRAME, FRAME.to_dict("records"), (FRAME.text, FRAME.label), (np.array(TEXTS), np.array(LABELS)[:, None])]
    assert all(map(same, [*sources, pyarrow.Table.from_pandas(FRAME)]))
    assert same(pandas.DataFrame({0: TEXTS, 1: LABELS}), text_column=0, label_column=1)
    whole = FRAME.assign(label=pandas.array(LABELS, dtype="Int64"))
    assert same(whole)
    whole.loc[2, "label"] = None
    with pytest.raises(ValueError, match="the DataFrame: row 3: the label .* is empty"):
        bert_tf.read_examples(whole)


def test_other_columns_are_said():
    examples = bert_tf.read_examples({"review": ["a", "b"], "rating": [1, 5], "label": [0, 1]})
    assert examples.described("Training").endswith("; text: 'review', label: 'label' (not used: 'rating')")


@pytest.mark.parametrize(
    ("names", "given", "found"),
    [
        (["Review Text", "Rating"], (None, None), ("Review Text", "Rating")),
        (["Text", "Label"], ("text", "label"), ("Text", "Label")),
        (["my_text", "y"], ("My Text", "Y"), ("my_text", "y")),
    ],
)
def test_names_of_columns_are_found(names, given, found):
    examples = bert_tf.read_examples(dict(zip(names, (TEXTS, LABELS), strict=True)), *given)
    assert examples.columns == found


def test_a_near_name_is_offered():
    with pytest.raises(
        ValueError, match="no column 'sentimant'. Columns: 'text', 'sentiment'. Did you mean 'sentiment'"
    ):
        bert_tf.read_examples({"text": TEXTS, "sentiment": LABELS}, "text", "sentimant")


def test_excel(tmp_path):
    pytest.importorskip("openpyxl")
    FRAME.to_excel(tmp_path / "data.xlsx", index=False)
    assert same(tmp_path / "data.xlsx")
    with pandas.ExcelWriter(tmp_path / "two.xlsx") as book:
        FRAME.iloc[:1].to_excel(book, sheet_name="notes", index=False)
        FRAME.to_excel(book, sheet_name="2024", index=False)
    first = bert_tf.read_examples(tmp_path / "two.xlsx")
    assert len(first) == 1
    assert "only the first sheet, 'notes', is read, not '2024'. For another: --sheet." in first.remarks[0]
    second = bert_tf.read_examples(tmp_path / "two.xlsx", sheet="2024")
    assert (len(second), second.remarks) == (len(FRAME), ())
    with pytest.raises(ValueError, match="no column 'mark'.* only the first sheet, 'notes', is read"):
        bert_tf.read_examples(tmp_path / "two.xlsx", label_column="mark")
    with pytest.raises(ValueError, match="no sheet 'reviews'. It has: 'notes', '2024'"):
        bert_tf.read_examples(tmp_path / "two.xlsx", sheet="reviews")


def test_polars():
    polars = pytest.importorskip("polars")
    assert same(polars.DataFrame({"text": TEXTS, "label": LABELS}))
    assert same(polars.LazyFrame({"text": TEXTS, "label": LABELS}))


class Dataset:
    """As much of `datasets.Dataset` as is used."""

    def __init__(self, columns, names=None):
        self.columns_, self.column_names = columns, [*columns]
        self.features = {name: type("Feature", (), {"names": names if name == "label" else None}) for name in columns}

    def __len__(self):
        return len(self.columns_["text"])

    def __getitem__(self, name):
        return self.columns_[name]


def test_data_sets():
    dataset = Dataset({"text": TEXTS, "label": LABELS}, ["neg", "pos"])
    assert same(dataset)
    assert bert_tf.read_examples(dataset).label_names == ("neg", "pos")
    assert same({"train": dataset, "test": dataset})
    news = Dataset(
        {"text": TEXTS, "label": [2, 0, 2, 0]}, ["World", "Sports", "Business"]
    )  # in the order of its numbers
    assert bert_tf.read_examples(news).label_names == ("World", "Sports", "Business")
    assert bert_tf.read_examples(news).labels.tolist() == [2, 0, 2, 0]
    with pytest.raises(ValueError, match="has the splits a, b. Pass one of them: dataset.'a'."):
        bert_tf.read_examples({"a": dataset, "b": dataset})
    unlabelled = Dataset({"text": TEXTS, "label": [1, 0, -1, 0]}, ["neg", "pos"])
    with pytest.raises(ValueError, match="row 3: the label .* is empty"):
        bert_tf.read_examples(unlabelled)


@pytest.mark.parametrize(
    ("source", "module"), [("hf:someone/reviews@train", "datasets"), ("data.xlsx", "excel"), ("data.csv.zst", "zstd")]
)
def test_missing_libraries_are_one_sentence(source, module, tmp_path, monkeypatch):
    import sys

    for name in ("datasets", "openpyxl", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / source).parent.mkdir(exist_ok=True)
    if not source.startswith("hf:"):
        (tmp_path / source).write_bytes(b"\x28\xb5\x2f\xfd data")
        source = tmp_path / source
    with pytest.raises(ValueError, match=rf'needs .*pip install "bert-tf.{module}.*"'):
        bert_tf.read_examples(source)
