"""Where files are: patterns, folders, URIs; and that a source can be read from any block on."""

import json

import pandas
import pyarrow
import pytest
from pyarrow import parquet

from bert_tf.data import places
from bert_tf.data.blocks import read_blocks
from bert_tf.data.parts import read_sources
from bert_tf.settings import Data


@pytest.fixture
def folder(tmp_path):
    for name in ("b.parquet", "a.parquet", "_SUCCESS", ".hidden.parquet", "notes.md"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.csv").write_text("text\na\n")
    return tmp_path


def names(found):
    return [each.rpartition("/")[2] for each in found]


def test_what_stands_for_several_files(folder):
    assert names(places.matching(folder)) == ["a.parquet", "b.parquet"]
    assert names(places.matching(f"{folder}/*.parquet")) == ["a.parquet", "b.parquet"]
    assert names(places.matching(f"{folder}/**/*")) == ["a.parquet", "b.parquet", "c.csv"]
    assert names(places.matching([folder / "b.parquet", folder / "a.parquet"])) == ["b.parquet", "a.parquet"]
    assert places.matching(f"file://{folder}/*.parquet") == [f"file://{folder}/{name}.parquet" for name in "ab"]
    assert places.matching(f"file://{folder}") == [f"file://{folder}/{name}.parquet" for name in "ab"]
    with pytest.raises(FileNotFoundError, match="no such file"):
        places.matching(f"{folder}/*.jsonl")
    with pytest.raises(ValueError, match="named twice"):
        places.matching([folder, folder / "a.parquet"])
    with pytest.raises(ValueError, match="ftp://x/y: cannot be reached .* Expected a path, or a URI such as s3://"):
        places.matching("ftp://x/y")


def test_a_folder_of_datasets_is_one_source(folder):
    assert places.several(folder)
    (folder / "dataset_info.json").write_text("{}")
    assert not places.several(folder)
    assert places.matching(folder) == [str(folder)]


def test_a_name_that_looks_like_a_pattern_is_a_file(tmp_path):
    (tmp_path / "a[1].csv").write_text("text\na\n")
    assert places.matching(tmp_path / "a[1].csv") == [str(tmp_path / "a[1].csv")]


def test_what_a_uri_has_behind_the_question_mark_stays():
    assert (
        places.inside("s3://bucket/out/?endpoint_override=x", "a.parquet")
        == "s3://bucket/out/a.parquet?endpoint_override=x"
    )


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet", ".json"])
def test_reading_can_begin_at_any_block(tmp_path, ending):
    file = tmp_path / f"texts{ending}"
    rows = [{"id": i, "text": f'text {i}, "so"\nto say'} for i in range(47)]
    if ending == ".csv":
        pandas.DataFrame(rows).to_csv(file, index=False)
    elif ending == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), file, row_group_size=11)
    else:
        file.write_text(json.dumps(rows) if ending == ".json" else "\n".join(map(json.dumps, rows)) + "\n")
    blocks = read_blocks(file, Data(), 5)
    every = [*blocks]
    assert blocks.blocks == len(every) == 10
    for first in range(12):
        assert [*blocks.after(first)] == every[first:]


def test_files_whose_texts_are_in_other_columns_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("text,id\nso,1\n")
    (tmp_path / "b.csv").write_text("review,id\nso,2\n")
    with pytest.raises(ValueError, match=r"b.csv: the text is in the column 'review', in .*a.csv in 'text'. Name one"):
        read_sources(tmp_path, Data())
    (tmp_path / "b.csv").write_text("id,text,more\n2.5,so,x\n")
    sources = read_sources(tmp_path, Data())
    assert {name: str(kind) for name, kind in sources.types.items()} == {
        "text": "string",
        "id": "string",
        "more": "string",
    }
    assert next(sources.after(0, 0)).columns == {"text": ["so"], "id": ["1"], "more": [""]}
