"""Files in blocks: the same rows as the reader of whole files gives, whatever the file is like."""

import bz2
import gzip
import json
import lzma
import zipfile

import pandas
import pyarrow
import pytest

import bert_tf
from bert_tf.data import streams
from bert_tf.data.blocks import read_blocks
from bert_tf.settings import Data


def texts_of(file, size=7, **options):
    """The texts by both ways, and the blocks."""
    blocks = read_blocks(file, Data(**options), size)
    each = [*blocks]
    assert sum(map(len, each)) == len(blocks)
    for block in each:
        assert tuple(block.columns) == blocks.names
        assert block.columns[blocks.text] == block.texts
    whole = bert_tf.read_examples(file, labelled=False, **options)
    assert [text for block in each for text in block.texts] == [*whole.texts]
    assert {*blocks.remarks} == {*whole.remarks}
    return blocks, each


ROWS = [
    ("Plain", 1),
    ("with, comma; and\ttab", 2),
    ('quotes "inside" and a\nline break', 3),
    ("", 4),
    ("three\n\nlines\r\nof it", 5),
    ("\u201cDon\u2019t\u201d \u2014 50 \u20ac", 6),
    ("NA", 7),
    ("ends with a quote\"", 8),
] * 8  # fmt: skip


def delimited(separator=",", end="\n", rows=ROWS) -> str:
    def cell(value):
        return '"' + str(value).replace('"', '""') + '"' if isinstance(value, str) else str(value)

    lines = [f"text{separator}id", *(separator.join(map(cell, row)) for row in rows)]
    return end.join(lines) + end


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_csv(tmp_path, separator, end, size):
    file = tmp_path / "a.csv"
    file.write_bytes(delimited(separator, end).encode())
    blocks, each = texts_of(file, size)
    assert blocks.names == ("text", "id")
    assert [value for block in each for value in block.columns["id"]] == [str(number) for _, number in ROWS]
    assert [len(block) for block in each] == [min(size, 64 - start) for start in range(0, 64, size)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_encodings(tmp_path, encoding):
    file = tmp_path / "a.csv"
    file.write_bytes(delimited().encode(encoding))
    texts_of(file)


def test_an_encoding_that_shows_late_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "SAMPLE", 500)
    file = tmp_path / "a.csv"
    rows = [(f"plain text number {i}", i) for i in range(200)] + [("d\u00e9j\u00e0 vu, tr\u00e8s bien", 0)]
    file.write_bytes(delimited(rows=rows).encode("cp1252"))
    texts_of(file)
    file.write_bytes(delimited(rows=rows).encode("utf-8"))
    texts_of(file)


def test_a_given_encoding_that_is_wrong_names_the_line(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes(b"text\nfine\n" * 3000 + b"caf\xe9\n")
    with pytest.raises(ValueError, match=r"a\.csv: line 6001 is not valid utf-8"):
        read_blocks(file, Data(encoding="utf-8"))
    with pytest.raises(ValueError, match="Unknown encoding"):
        read_blocks(file, Data(encoding="utf-9"))


@pytest.mark.parametrize(
    ("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zip", None)]
)
@pytest.mark.parametrize("kind", [".csv", ".jsonl"])
def test_packed_files(tmp_path, ending, pack, kind):
    lines = [json.dumps({"text": text, "id": number}) for text, number in ROWS]
    content = delimited() if kind == ".csv" else "\n".join(lines) + "\n"
    file = tmp_path / f"a{kind}{ending}"
    if pack:
        file.write_bytes(pack(content.encode()))
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"a{kind}", content)
    texts_of(file)


def test_a_damaged_archive_names_the_file(tmp_path):
    file = tmp_path / "a.csv.gz"
    file.write_bytes(gzip.compress(delimited(rows=ROWS * 100).encode())[:-400])
    with pytest.raises(ValueError, match=r"a\.csv\.gz: cannot be unpacked"):
        read_blocks(file, Data())


@pytest.mark.parametrize(
    "content",
    [
        "\n\ntext,id\nGood,1\n\nBad,0\n\n\n",
        "sep=;\ntext;id\nGood, yes;1\nBad;0\n",
        "text\nand one more, longer\n",
        "1,a longer line than this one is not here\n2,short\n",
        ',text,id\n0,"a, b",1\n1,c,2\n',
        '"text","id"\n"1","Good",1\n"2","Bad",0\n',
        'id, text\n1, "Rude, slow."\n0, "Great"\n',
        "'text','id'\n'Good, yes','1'\n'It''s bad','0'\n",
        'id\ttext\n1\t"A \\"classic\\", C:\\new"\n2\t"Dull."\n',
        'id;text\n1;"Easy" risk, managed\n2;Other\n',
        "text,id\rGood,1\rBad,0\r",
        "text,id\nGood,1,\nBad,0,\n",
        "text,id\nGood,1\nBad,0\n\x1a",
        "text,text.1,id\na,b,c\n",
    ],
)
def test_odd_files(tmp_path, content):
    file = tmp_path / "a.csv"
    file.write_text(content, newline="")
    for size in (1, 100):
        texts_of(file, size)


def test_a_row_that_is_longer_than_a_block(tmp_path):
    file = tmp_path / "a.csv"
    long = "\n".join(f"line {i}" for i in range(50))
    file.write_text(delimited(rows=[("a", 1), (long, 2), ("b", 3)] * 3))
    texts_of(file, 2)


def test_the_head_alone_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "HEAD", 10)
    file = tmp_path / "a.csv"
    file.write_text(delimited(";"))
    texts_of(file)


def test_rows_that_cannot_be_used_are_named_as_by_the_reader_of_whole_files(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "HEAD", 20)
    rows = [f'"text {i}, fine",{i}' for i in range(60)]
    rows[30] = '"a row", with, five, fields,here'
    rows[44] = "caf\0e,44"
    rows[50] = 'stray "quote" in, it,50'
    file = tmp_path / "a.csv"
    file.write_text("text,id\n" + "\n".join(rows) + "\n")
    with pytest.raises(ValueError, match=r"row 31 \(line 32\) has 5 fields, the header has 2") as whole:
        bert_tf.read_examples(file, labelled=False)
    with pytest.raises(ValueError, match="row 31") as parts:
        read_blocks(file, Data(), 7)
    assert str(parts.value) == str(whole.value)
    blocks, _ = texts_of(file, on_bad_rows="skip")
    assert len(blocks) == 57
    assert any("3 of 60 rows skipped" in remark for remark in blocks.remarks)


def test_a_quote_that_is_never_closed_breaks_one_row(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "LONGEST_ROW", 20)
    rows = [f'"text {i}, fine",{i}' for i in range(300)]
    rows[150] = '"never closed,150'
    rows[151:] = [row.replace('"', "").replace(",", ";", 1) for row in rows[151:]]
    file = tmp_path / "a.csv"
    file.write_text("text,id\n" + "\n".join(rows) + "\n")
    blocks = read_blocks(file, Data(on_bad_rows="skip", separator=",", quoting="standard"), 10)
    assert len(blocks) == 299
    assert "row 151 (line 152) is not valid CSV: a quote is opened and never closed" in blocks.remarks[-1]


def test_json_lines_keep_every_column(tmp_path):
    rows = [{"text": f"t{i}", "id": i} | ({"more": {"a": i}} if i % 9 == 8 else {}) for i in range(30)]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    blocks, each = texts_of(file)
    assert blocks.names == ("text", "id", "more")
    assert blocks.types["id"] == pyarrow.int64()
    assert [value for block in each for value in block.columns["more"]] == [row.get("more") for row in rows]
    rows[12] = {"text": None, "id": "x"}
    file.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(ValueError, match=r"line 13: the text \(column 'text'\) is empty"):
        read_blocks(file, Data(), 7)
    blocks, _ = texts_of(file, on_bad_rows="skip")
    assert len(blocks) == 29


@pytest.mark.parametrize("form", ["records", "columns", "split"])
def test_json_of_one_value_is_read_as_a_whole(tmp_path, form):
    file = tmp_path / "a.json"
    pandas.DataFrame(ROWS, columns=["text", "id"]).to_json(file, orient=form)
    texts_of(file)


def test_parquet_by_row_groups(tmp_path):
    frame = pandas.DataFrame(
        {"text": [f"t{i}" for i in range(50)], "at": pandas.date_range("2024", periods=50), "n": range(50)}
    )
    file = tmp_path / "a.parquet"
    frame.to_parquet(file, row_group_size=13)
    blocks, each = texts_of(file)
    assert [len(block) for block in each] == [7] * 7 + [1]
    assert [n for block in each for n in block.columns["n"]] == [*range(50)]
    assert pyarrow.types.is_timestamp(blocks.types["at"])
    frame.loc[17, "text"] = None
    frame.to_parquet(file)
    with pytest.raises(ValueError, match=r"row 18: the text \(column 'text'\) is empty"):
        read_blocks(file, Data(), 7)
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match="not a readable Parquet file"):
        read_blocks(file, Data())


def test_what_is_in_memory_and_the_demo():
    blocks, _ = texts_of("demo:validation", 100)
    assert len(blocks) == 232
    frame = pandas.DataFrame({"text": ["a", "b", "c"], "x": [1, 2, 3]})
    blocks, each = texts_of(frame, 2)
    assert each[1].columns == {"text": ["c"], "x": [3]}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", "text\n", "expected a file that ends in .csv"),
        ("a.csv", "", "the file is empty"),
        ("a.csv", '[{"text": "a"}]', "is JSON with 1 rows"),
        ("a.csv", "<!DOCTYPE html><html>", "is an HTML page"),
        ("a.csv", "words,id\na,1\nb,2\n", "no column with a usual name for the text"),
        ("a.jsonl", '{"words": "a"}\n{"words": "b"}\n', "no column with a usual name for the text"),
        ("a.csv", "text,id\n", "has no rows"),
    ],
)
def test_files_that_are_refused(tmp_path, name, content, says):
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(ValueError, match=says):
        read_blocks(file, Data())


@pytest.mark.parametrize("first", ["utf-8", "cp1252"])
def test_two_encodings_one_after_the_other_are_an_error_that_names_the_line(tmp_path, monkeypatch, first):
    """Each part by itself is clear; read in the encoding of either, the other would be gibberish."""
    monkeypatch.setattr(streams, "SAMPLE", 500)
    other = "cp1252" if first == "utf-8" else "utf-8"
    rows = [f"caf\u00e9 num\u00e9ro {i} \u00fcber,{i}" for i in range(100)]
    content = "\n".join(["text,id", *rows[:50], ""]).encode(first) + "\n".join([*rows[50:], ""]).encode(other)
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"x\.csv: seems to mix two encodings: 150 .* in line {52 if first == 'utf-8' else 2}\."
    ):
        read_blocks(tmp_path / "x.csv", Data(), 7)


def test_another_alphabet_later_is_an_error_that_names_the_line(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "SAMPLE", 500)
    latin, russian = (
        "caf\u00e9 au lait tr\u00e8s bon,1\n" * 60,
        "\u043e\u0447\u0435\u043d\u044c \u0445\u043e\u0440\u043e\u0448\u043e,2\n" * 60,
    )
    (tmp_path / "x.csv").write_bytes(b"text,id\n" + latin.encode("cp1252") + russian.encode("cp1251"))
    with pytest.raises(ValueError, match=r"x\.csv: line \d\d is not UTF-8, and the text is not in a Western encoding"):
        read_blocks(tmp_path / "x.csv", Data(), 7)


def test_backslashes_before_quotes_that_come_late_are_not_guessed(tmp_path, monkeypatch):
    """In the head nothing shows whether `\\"` ends a text or is part of it; each row that the head's way cannot read is named."""
    monkeypatch.setattr(streams, "HEAD", 5)
    rows = ['"plain text",1'] * 20 + ['"ends in \\",2', '"so \\"so\\" la la",3', '"an inch \\"",4']
    (tmp_path / "x.csv").write_text("\n".join(["text,id", *rows, ""]))
    with pytest.raises(ValueError, match=r"22 \(line 23\)") as said:
        read_blocks(tmp_path / "x.csv", Data(), 7)
    assert "row 23 (line 24)" in str(said.value)
    assert "row 21" not in str(said.value)
    (tmp_path / "y.csv").write_text("\n".join(["text,id", *rows[:20], rows[21], rows[22], ""]))
    blocks = read_blocks(tmp_path / "y.csv", Data(quoting="backslash"), 7)
    assert [text for block in blocks for text in block.texts][-2:] == ['so "so" la la', 'an inch "']
