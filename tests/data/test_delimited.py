"""CSV and TSV as people have them: separator, quotes, header, encoding and broken rows."""

import bz2
import gzip
import lzma
import zipfile

import pytest

import bert_tf
from bert_tf.data.classes import key_of


def read(tmp_path, content, name="data.csv", columns=(), **options):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return bert_tf.read_examples(file, *columns, **options)


@pytest.mark.parametrize(
    ("content", "name", "texts", "said"),
    [
        ("text;label\nGood, very good;1\nBad;0\n", "data.csv", ["Good, very good", "Bad"], "semicolons"),
        ("text\tlabel\nGood, yes\t1\nBad\t0\n", "data.csv", ["Good, yes", "Bad"], "tabs"),
        ("text|label\nGood|1\nBad|0\n", "data.csv", ["Good", "Bad"], "pipes"),
        ("text,label\nGood,1\nBad,0\n", "data.tsv", ["Good", "Bad"], "commas"),
        ("sep=;\ntext;label\nGood;1\nBad;0\n", "data.csv", ["Good", "Bad"], "sep=;"),
        ("\n\ntext,label\nGood,1\n\nBad,0\n", "data.csv", ["Good", "Bad"], ""),
        ("\ufeff\ufefftext,label\nGood,1\nBad,0\n", "data.csv", ["Good", "Bad"], ""),
        ("v1,text,,,\nham,\"Five, ok?\",,,\nspam,Now,,,\n", "data.csv", ["Five, ok?", "Now"], ""),
        ("text,label\nGood,1,\nBad,0,\n", "data.csv", ["Good", "Bad"], ""),
        ('"text","label"\n"1","Good",1\n"2","Bad",0\n', "data.csv", ["Good", "Bad"], "no name for the first column"),
        ('label, text\n1, "Rude, slow."\n0, "Great"\n', "data.csv", ["Rude, slow.", "Great"], "spaces"),
        ("'text','label'\n'Good, yes','1'\n'It''s bad','0'\n", "data.csv", ["Good, yes", "It's bad"], "single quotes"),
        ('id\ttext\tlabel\n"1"\t"A \\"classic\\", C:\\new"\t1\n"2"\t"Dull."\t0\n', "data.tsv", ['A "classic", C:\\new', "Dull."], '\\"'),
        ('id;text;label\n1;"Easy" risk, managed;1\n2;Other;0\n', "data.csv", ['"Easy" risk, managed', "Other"], "part of the texts"),
        ('text,label\n5" screen,1\nBad,0\n', "data.csv", ['5" screen', "Bad"], ""),
        ('text,label\r\n"one\ntwo",1\r\nBad,0\r\n', "data.csv", ["one\ntwo", "Bad"], ""),
        ("text,label\rGood,1\rBad,0\r", "data.csv", ["Good", "Bad"], ""),
        ("text,label\nGood \u2028 one,1\nBad,0\n", "data.csv", ["Good \u2028 one", "Bad"], ""),
        ("text , label \nGood,1\nBad,0\n", "data.csv", ["Good", "Bad"], ""),
    ],
)  # fmt: skip
def test_readings(tmp_path, content, name, texts, said):
    examples = read(tmp_path, content, name, ("text", "v1" if "v1" in content else "label"))
    assert list(examples.texts) == texts
    assert any(said in remark for remark in examples.remarks) if said else not examples.remarks


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-32", ""),
        ("utf-16-le", "UTF-16-LE"),
        ("cp1252", "don\u2019t"),
    ],
)
def test_encodings(tmp_path, encoding, said):
    content = "text,label\nI don\u2019t \u2014 50\u20ac,0\nGood,1\n".encode(encoding)
    examples = read(tmp_path, content)
    assert list(examples.texts) == ["I don\u2019t \u2014 50\u20ac", "Good"]
    assert any(said in remark for remark in examples.remarks) if said else not examples.remarks


def test_western_texts_are_read_as_such(tmp_path):
    texts = [
        "J\u2019ai ador\u00e9 \u00ab\u00a0tr\u00e8s bien\u00a0\u00bb, c\u0153ur",
        "\u00dcber 20\u20ac \u2013 s\u00fc\u00df",
        "\u00f1and\u00fa",
    ]
    content = "text;label\n" + "".join(f"{text};{i % 2}\n" for i, text in enumerate(texts))
    assert list(read(tmp_path, content.encode("cp1252")).texts) == texts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "\u0445\u043e\u0440\u043e\u0448\u043e".encode("cp1251"),
            "not in a Western encoding. Name its encoding: --encoding",
        ),
        ("r\u00e9sum\u00e9 na\u00efve".encode("mac_roman"), "not in a Western encoding"),
        (
            "caf\u00e9 ".encode() + "caf\u00e9".encode("latin-1"),
            "seems to mix two encodings: 1 characters are UTF-8, 1 bytes",
        ),
        (b"a \x81 b", "line 2 is neither UTF-8 nor cp1252 .byte 0x81."),
    ],
)
def test_no_letters_are_guessed(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, b"text,label\n" + content + b",0\n")


def test_a_given_encoding_is_used(tmp_path):
    content = "text,label\n\u0445\u043e\u0440\u043e\u0448\u043e,0\n".encode("cp1251")
    assert list(read(tmp_path, content, encoding="cp1251").texts) == ["\u0445\u043e\u0440\u043e\u0448\u043e"]
    with pytest.raises(ValueError, match="line 2 is not valid utf-8"):
        read(tmp_path, content, encoding="utf-8")
    with pytest.raises(ValueError, match="Unknown encoding. Received: encoding='utf-9'"):
        read(tmp_path, content, encoding="utf-9")


SWALLOWED = 'text\tlabel\n"I will never\t0\nGreat kettle\t1\nMy wife said: perfect"\t1\nGood\t1\nBad\t1\n'


def test_two_plausible_readings_are_an_error_that_shows_both(tmp_path):
    with pytest.raises(
        ValueError, match="3 rows with --quoting standard or 5 rows with --quoting raw.*line 2 closes in line 4"
    ):
        read(tmp_path, SWALLOWED, "data.tsv")
    assert len(read(tmp_path, SWALLOWED, "data.tsv", quoting="standard")) == 3
    assert next(iter(read(tmp_path, SWALLOWED, "data.tsv", quoting="raw").texts)) == '"I will never'


def test_a_stray_quote_in_a_quoted_file_names_its_row(tmp_path):
    rows = "".join(f'"text {i}, long",{i % 2}\n' for i in range(300))
    swallowed = '"I will never,0\nGreat kettle,1\nperfect",1\n'
    with pytest.raises(ValueError, match="row 301 .line 302. is one text in quotes or 3 rows: a quote in line 302"):
        read(tmp_path, f"text,label\n{rows}{swallowed}", on_bad_rows="error")
    examples = read(tmp_path, f"text,label\n{rows}{swallowed}")
    assert len(examples) == 300
    assert len(examples.skipped) == 1
    # Lines of a real text do not look like rows: their last field is no label.
    genuine = read(tmp_path, f'text,label\n{rows}"good, very\ngood, yes",1\n')
    assert list(genuine.texts)[-1] == "good, very\ngood, yes"


def test_a_reading_that_breaks_more_rows_is_not_asked_about(tmp_path):
    rows = "".join(f'"text {i}, long",{i % 2}\n' for i in range(300))
    examples = read(tmp_path, f'text,label\n{rows}"ends in \\",1\n"and, goes on",0\n')
    assert list(examples.texts)[-2:] == ["ends in \\", "and, goes on"]
    with pytest.raises(
        ValueError, match="302 rows with --quoting standard or 302 rows with --quoting backslash.*line 302"
    ):
        read(tmp_path, f'text,label\n{rows}"two \\\\",1\n"and, goes on",0\n')


def test_separators_that_both_fit_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="can be read as .* --separator"):
        read(tmp_path, "0;good, yes;1\n1;bad, no;0\n", "data.tsv")


def test_without_header(tmp_path):
    content = 'neutral,"The firm said it will not move."\npositive,"Sales rose, again."\nnegative,Fell\nneutral,So\n'
    examples = read(tmp_path, content)
    assert list(examples.texts)[1] == "Sales rose, again."
    assert [examples.label_names[i] for i in examples.labels] == ["neutral", "positive", "negative", "neutral"]
    assert "looks like data" in examples.remarks[0]
    assert "column 2 is taken as the text, column 1 as the label" in examples.remarks[1]
    assert len(read(tmp_path, "a,1\nb,0\n", header=False)) == 2
    three = read(tmp_path, "7,Good,1\n8,Bad,0\n", columns=("2", "3"), header=False)
    assert list(three.texts) == ["Good", "Bad"]
    with pytest.raises(ValueError, match="no column with a usual name for the text. Columns: '1', '2', '3'"):
        read(tmp_path, "7,Good,1\n8,Bad,0\n")


def test_a_usual_name_of_the_text_makes_a_header(tmp_path):
    content = "text,spam\nGood offer,spam\nLunch?,ham\nFree,spam\nYes,ham\n"
    with pytest.raises(
        ValueError, match="no column with a usual name for the label. Columns: 'text', 'spam'.*--no-header"
    ):
        read(tmp_path, content)
    assert read(tmp_path, content, columns=("text", "spam")).label_names == ("ham", "spam")
    acts = "message,Hello there\nquestion,Who is it?\nmessage,It rains\nquestion,Why?\nmessage,So\nquestion,Yes?\n"
    assert len(read(tmp_path, acts)) == 6  # here it is a label


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        (b"PK\x03\x04\x14\x00\x06\x00", "is an Excel file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel"),
        (b"PAR1\x15\x00", "rename it to .parquet"),
        (b"\x80\x04\x95\x00", "pickle, which can run code"),
        (b'[{"text": "a", "label": 1}]', "is JSON"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


def test_packed_files(tmp_path):
    content = b"text,label\nGood,1\nBad,0\n"
    assert len(read(tmp_path, gzip.compress(content), "data.csv.gz")) == 2
    assert len(read(tmp_path, gzip.compress(content), "data.csv")) == 2
    assert len(read(tmp_path, bz2.compress(content), "data.csv.bz2")) == 2
    assert len(read(tmp_path, lzma.compress(content), "data.csv.xz")) == 2
    with pytest.raises(ValueError, match="or one of these with .gz, .zip, .zst, .bz2 or .xz"):
        read(tmp_path, content, "data.rar")
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.writestr("data.csv", content)
        archive.writestr("__MACOSX/data.csv", b"")
    assert len(bert_tf.read_examples(tmp_path / "one.zip")) == 2
    with zipfile.ZipFile(tmp_path / "one.zip", "a") as archive:
        archive.writestr("more.csv", content)
    with pytest.raises(ValueError, match="holds 2 files .data.csv, more.csv."):
        bert_tf.read_examples(tmp_path / "one.zip")
    with pytest.raises(ValueError, match="cannot be unpacked"):
        read(tmp_path, gzip.compress(content)[:-9], "data.csv.gz")


def rows_of(count):
    return "text,label\n" + "".join(f"text number {i},{i % 2}\n" for i in range(count))


BAD = ",1\nnothing\nNA,0\n"


def test_few_bad_rows_are_skipped_and_named_many_are_an_error(tmp_path):
    examples = read(tmp_path, rows_of(400) + BAD)
    assert len(examples) == 400
    assert "3 of 403 rows skipped: row 402 (line 403) has 1 fields" in examples.remarks[0]
    assert [row.split(" (")[0] for row in examples.skipped] == ["row 402", "row 401", "row 403"]
    with pytest.raises(
        ValueError, match="3 of 203 rows cannot be used: correct them, or leave them out with on_bad_rows='skip'"
    ):
        read(tmp_path, rows_of(200) + BAD)
    assert len(read(tmp_path, rows_of(200) + BAD, on_bad_rows="skip")) == 200
    with pytest.raises(ValueError, match="cannot be used"):
        read(tmp_path, rows_of(400) + BAD, on_bad_rows="error")


def test_words_for_missing_values_are_texts_only_in_quotes(tmp_path):
    examples = read(tmp_path, 'text,label\n"NA",1\n"nan",0\n"null","None"\n')
    assert list(examples.texts) == ["NA", "nan", "null"]
    assert examples.label_names == ("0", "1", "None")
    with pytest.raises(ValueError, match="row 1 .line 2.: the text .* is 'NA' without quotes"):
        read(tmp_path, 'text,label\nNA,1\n"nan",0\n')
    with pytest.raises(ValueError, match="2 of 3 rows|row 2 .*the label .* is 'None': a missing value"):
        read(tmp_path, 'text,label\na,"NA"\nb,None\nc,nan\n')


def test_a_header_in_the_middle_and_values_without_a_name_are_bad_rows(tmp_path):
    with pytest.raises(ValueError, match="row 3 .line 4. repeats the header"):
        read(tmp_path, "text,label\na,1\nb,0\ntext,label\nc,1\n")
    with pytest.raises(ValueError, match="row 2 .line 3. has more values than the header has names"):
        read(tmp_path, "text,label,\na,1,\nb, and c,0\nd,1,\n")


def test_texts_without_labels_keep_their_rows(tmp_path):
    examples = read(tmp_path, "text\nGood, yes\n\nBad\n", labelled=False)
    assert list(examples.texts) == ["Good, yes", "Bad"]
    assert list(read(tmp_path, "id,text\n1,NA\n2,\n", labelled=False).texts) == ["NA", ""]
    with pytest.raises(ValueError, match="row 2 .line 3. has 1 fields"):
        read(tmp_path, "id,text\n1,a\n2\n", labelled=False)


def test_labels_of_files_agree_by_value(tmp_path):
    train = read(tmp_path, "text,label\na,1.0\nb,0.0\n", "train.csv")
    validation = read(tmp_path, "text,label\na,True\nb, 0\n", "validation.csv").relabel(train.label_names)
    assert validation.labels.tolist() == [1, 0]
    assert [key_of(name) for name in train.label_names] == [(0, 0), (0, 1)]


def test_signs_of_latin1_are_said(tmp_path):
    examples = read(tmp_path, "text,label\nI don\x92t,1\nGood,0\n")
    assert "control characters" in examples.remarks[0]


SISTERS = {
    "cp1254": "Çok güzel bir ürün, teşekkürler, zamanında geldi ve çalışıyor. Bir hafta sonra bozuldu.",  # noqa: RUF001
    "cp1257": "Labai geras gaminys, ačiū. Po savaitės sugedo. Žmonės šitą giria, žinoma, šeštadienį gavau. Ūžia žiemą.",
}
CENTRAL = (
    "Příliš žluťoučký kůň. Dobrý výrobek, děkuji, přišel včas a funguje skvěle. Řemínek se přetrhl, řešení je snadné.",
    "Nagyon jó termék, köszönöm, időben megérkezett. Gyűrött doboz, tűrhető. Örülök, hogy megvettem. Erős szűrő.",
    "Un produs bun, mulţumesc, a ajuns la timp şi funcţionează. Calitate slabă, după o săptămână. Preţ bun faţă de alţii.",
)
WESTERN = (
    "Þetta er mjög góð vara, hún kom á réttum tíma. Léleg gæði. Það er ódýrt en ónýtt, því miður. Ný sending, nýtist vel.",
    "Hetta er ein sera góð vøra, hon kom til tíðina og virkar væl. Ring góðska, fór í sundur. Nýggj vøra, ýmiskt, við.",
    "Dårlig kvalitet, gik i stykker. Jeg køber ikke igen. Æblerne var søde på øen. À la carte, crème, première, før.",
    "Väga hea toode, jõudis õigel ajal ja töötab hästi. Läks katki. Õnneks sõber jõudis, võõras öö, kõik käib.",
    "Não recomendo. As opções são boas, emoções, corações, põe, lições. Três, português.",
    "Où est-il? Bûche, goût, sûr, dû à l'août, crème brûlée. Naïve, maïs, Noël, aiguë, ça.",
    "Perché no? Così è, più di così non si può, giù, lunedì, città, però, già.",
)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((text, page) for page, text in SISTERS.items()),
        *((text, "cp1250") for text in CENTRAL),
        *((text, "cp1252") for text in WESTERN),
    ],
)
def test_letters_tell_code_pages_apart(tmp_path, text, encoding):
    found = read(tmp_path, f'text,label\n"{text}",1\n"{text}",0\n'.encode(encoding))
    assert list(found.texts) == [text] * 2
    assert f"read as {encoding}" in found.remarks[0]


def test_columns_without_names_are_told_apart_where_their_values_leave_no_doubt(tmp_path):
    rows = [f"r{i},{'pos' if i % 2 else 'neg'},it works {i} days" for i in range(8)]
    found = read(tmp_path, "\n".join(rows))
    assert found.label_names == ("neg", "pos")
    assert found.texts[3] == "it works 3 days"
    assert any("column 3 is taken as the text, column 2 as the label" in remark for remark in found.remarks)
    for doubtful in (
        rows[:7],  # few rows
        [f"{row},{i % 3}" for i, row in enumerate(rows)],  # two columns that repeat
        [f"{row},another text {i}" for i, row in enumerate(rows)],
        [f"{row},{'x' if i == 4 else i}" for i, row in enumerate(rows[:7] + rows[:1])],  # an id that comes twice
    ):
        with pytest.raises(ValueError, match="no column with a usual name for the text"):
            read(tmp_path, "\n".join(doubtful))
