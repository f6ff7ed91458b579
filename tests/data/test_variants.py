"""Known tables written in many ways: each is read exactly, or refused with a message that says where; none is read wrongly.

By hand: `python tests/data/test_variants.py 2000` prints what came of so many, and of which the first ten that failed.
"""

import csv
import gzip
import io
import logging
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import bert_tf
from bert_tf.data.classes import key_of

WORDS = [
    "good",
    "bad",
    "kettle",
    "very",
    "really",
    "works",
    "broke",
    "after",
    "week",
    "love",
    "it",
    "my",
    "wife",
    "said",
    "perfect",
    "again",
    "would",
    "buy",
    "never",
]
TRICKY = (
    "5\" screen", "\"Easy\" risk", "\"perfect\"", "it's", "'tis", "a, b", "yes; no", "this | that", "one\ttab", "C:\\new\\table",
    "ends in \\", "x,", ",", "; and", "she said \"\"wow\"\"", "\"", "1", "0.5", "=SUM(A1)", "#1", "N/A really",
)  # fmt: skip
LINES = (
    "first line\nsecond line",
    "a\n\nb",
    "first, line\nsecond, line",
    "carriage\r\nreturn",
    "one;two\nthree;four",
    '"I said\nso"',
)
WESTERN = (
    "caf\u00e9",
    "na\u00efve",
    "\u201cquoted\u201d",
    "don\u2019t",
    "50\u20ac",
    "\u00a3100",
    "CAF\u00c9S",
    "\u00fcber \u2014 gut",
)
WORLD = ("\U0001f600", "\u4f60\u597d", "\u0445\u043e\u0440\u043e\u0448\u043e", "\u2028", "e\u0301")
LABELS = (
    ("0", "1"),
    ("neg", "pos"),
    ("1", "2", "3", "4", "5"),
    ("1.0", "0.0"),
    ("True", "False"),
    ("very bad", "so, so", "fine"),
)
HEADERS = (
    ("text", "label"),
    ("Review Text", "Rating"),
    ("review", "sentiment"),
    ("reviewText", "stars"),
    (" text ", "Label "),
)
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1", "cp1251", "utf-32")
WRITERS = ("minimal", "all", "nonnumeric", "backslash", "raw", "single", "spaced")


class Variant(NamedTuple):
    """A file, what stands in it, and whether it must be refused."""

    name: str
    content: bytes
    texts: list[str]
    labels: list[str]
    how: dict
    damaged: bool  # it must be refused


def text_of(random_: random.Random, kinds: tuple) -> str:
    parts = random_.choices(WORDS, k=random_.randint(1, 9))
    for kind in kinds:
        if random_.random() < 0.35:
            parts.insert(random_.choice((0, len(parts), random_.randint(0, len(parts)))), random_.choice(kind))
    return random_.choice(("", "", "", "", " ")) + " ".join(parts) + random_.choice(("", "", "", "", " "))


def row_of(values: list[str], how: dict, header: bool) -> str:
    """Writes one row; raises csv.Error or ValueError if its values cannot be written so."""
    separator, writer = how["separator"], how["writer"]
    if writer == "raw":
        if any(separator in value or "\n" in value or "\r" in value for value in values):
            raise ValueError("needs quotes")
        return separator.join(values)
    if writer == "single":
        return separator.join("'" + value.replace("'", "''") + "'" for value in values)
    if writer == "spaced":
        return (separator + " ").join('"' + value.replace('"', '""') + '"' for value in values)
    out = io.StringIO()
    options: dict = {"delimiter": separator, "lineterminator": "\r\n"}
    if writer == "backslash":
        options |= {"quoting": csv.QUOTE_ALL, "doublequote": False, "escapechar": "\\"}
    else:
        options["quoting"] = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL, "nonnumeric": csv.QUOTE_NONNUMERIC}[
            writer
        ]
    numbers = writer == "nonnumeric" and not header
    csv.writer(out, **options).writerow([int(v) if numbers and v.isdigit() else v for v in values])
    return out.getvalue()[:-2]


def variant(seed: int) -> Variant:
    """Makes one variant; the same for the same seed."""
    r = random.Random(seed)
    how = {
        "separator": r.choice((",", ",", ";", "\t", "|")),
        "writer": r.choice(WRITERS),
        "encoding": r.choice(ENCODINGS),
        "end": r.choice(("\n", "\n", "\r\n", "\r")),
        "header": r.choice((*HEADERS, None)),
        "extra": r.choice(("none", "none", "id", "number", "nameless", "row names")),
        "suffix": r.choice((".csv", ".csv", ".tsv")),
        "trailing": r.random() < 0.1,
        "blank": r.choice(("none", "none", "first", "between", "last")),
        "swapped": r.random() < 0.3,
        "damage": r.choice((*["none"] * 9, "short", "long", "nul", "byte", "cut", "half", "missing")),
    }
    kinds = [TRICKY if r.random() < 0.6 else WORDS]
    kinds += [LINES] * (how["writer"] not in ("raw",) and r.random() < 0.4)
    kinds += [WESTERN] * (r.random() < 0.5)
    if how["encoding"] == "cp1251":
        kinds = [(WORLD[2],)] * 3
    elif how["encoding"].startswith("utf"):
        kinds += [WORLD] * (r.random() < 0.3)
    names = r.choice(LABELS)
    rows: list[tuple[str, str]] = []
    written: list[str] = []
    size = r.choice((1, 2, 3, 5, 8, 20, 60, 250 if r.random() < 0.2 else 4))
    while len(rows) < size:
        text, label = text_of(r, tuple(kinds)), r.choice(names)
        if how["encoding"] == "latin-1":
            text = text.encode("latin-1", "ignore").decode("latin-1")
        try:
            text.encode(how["encoding"])
            line = row_of(columns(text, label, len(rows), how), how, False)
        except (ValueError, csv.Error):
            continue
        rows.append((text, label))
        written.append(line)
    if how["writer"] == "backslash" and not any('"' in text for text, _ in rows):
        rows[0], written[0] = ('so "so"', rows[0][1]), row_of(columns('so "so"', rows[0][1], 0, how), how, False)
    damaged = damage(written, r, how, rows)
    body = head(how) + written
    if how["trailing"]:
        body = [line + how["separator"] for line in body]
    if how["blank"] == "first":
        body.insert(0, "")
    elif how["blank"] == "between":
        body.insert(len(body) // 2, "")
    joined = how["end"].join(body) + how["end"] * (r.random() < 0.8) + how["end"] * 2 * (how["blank"] == "last")
    content = joined.encode("utf-16" if how["encoding"] == "utf-16" else how["encoding"])
    if how["damage"] == "byte" and how["encoding"].startswith("utf-8") and not content.isascii():
        middle = len(content) - len(how["end"]) - 3
        content = content[:middle] + b"\xff" + content[middle:]
        damaged = not content.decode("utf-8", "ignore").isascii()  # else it may be cp1252
    if how["damage"] == "cut" and how["writer"] in ("all", "spaced", "single") and len(content) > 60:
        content = content[: -(len(content) // 5)]
    name = f"data{how['suffix']}"
    if r.random() < 0.1:
        name, content = name + ".gz", gzip.compress(content)
    return Variant(name, content, [text for text, _ in rows], [label for _, label in rows], how, damaged)


def columns(text: str, label: str, number: int, how: dict) -> list[str]:
    before = {"id": [f"r{number}"], "number": [str(number)], "row names": [str(number + 1)], "nameless": [str(number)]}
    return [*before.get(how["extra"], []), *((label, text) if how["swapped"] else (text, label))]


def head(how: dict) -> list[str]:
    if how["header"] is None:
        return []
    before = {"id": ["id"], "number": ["number"], "nameless": [""]}.get(how["extra"], [])
    return [row_of([*before, *(how["header"][::-1] if how["swapped"] else how["header"])], how, True)]


def damage(written: list[str], r: random.Random, how: dict, rows: list) -> bool:
    """Spoils one row; returns whether it did."""
    kind, place = how["damage"], r.randrange(len(written))
    if kind == "short" and how["separator"] in written[place]:
        written[place] = "lonely"
    elif kind == "long":
        written[place] += (how["separator"] + "more") * 2
    elif kind == "nul":
        written[place] = "\0" + written[place]
    elif kind == "half" and how["writer"] in ("all", "minimal", "nonnumeric"):
        written[place] = '"' + written[place]  # a quote is opened that nobody closes; alone, it is part of the text
        if how["extra"] == "none" and not how["swapped"]:
            rows[place] = ('"' + rows[place][0], rows[place][1])
        return False
    elif kind == "missing":
        written[place] = row_of(columns("", rows[place][1], place, how), how, False)
    else:
        return False
    return True


def outcome(found: Variant, folder: Path) -> str:
    """Returns "exact", "refused", or what is wrong."""
    file = folder / found.name
    file.write_bytes(found.content)
    try:
        examples = bert_tf.read_examples(file, on_bad_rows="error")
    except ValueError as error:
        said = str(error)
        told = any(word in said for word in ("row ", "line ", "rows", "Columns: ", "can be read as"))
        return "refused" if found.name in said and told else f"refused without saying where: {said}"
    except Exception as error:
        return f"traceback: {type(error).__name__}: {error}"
    if found.damaged:
        return "wrong: a damaged row was read"
    if found.how["damage"] == "cut":  # just between two rows, which nobody can see
        found = found._replace(texts=found.texts[: len(examples)], labels=found.labels[: len(examples)])
        last = list(examples.texts)[-1]
        if found.texts[-1].startswith(last):  # or just before a quote in a text, which then seems to close it
            found.texts[-1] = last
    if list(examples.texts) != found.texts:
        pairs = zip(examples.texts, found.texts, strict=False)
        first = next(((a, b) for a, b in pairs if a != b), (len(examples), len(found.texts)))
        return f"wrong: {first}"
    labels = [key_of(examples.label_names[i]) for i in examples.labels]
    return "exact" if labels == [key_of(label) for label in found.labels] else f"wrong labels: {labels}"


def easy(made: Variant) -> bool:
    """Whether a variant has nothing that may be refused: an 8-bit encoding of another script, no header, a damaged row."""
    return made.how["encoding"] != "cp1251" and bool(made.how["header"]) and made.how["damage"] == "none"


def test_no_variant_is_read_wrongly(tmp_path):
    outcomes = []
    for seed in range(240):
        made = variant(seed)
        what = outcome(made, tmp_path)
        assert what in ("exact", "refused"), (seed, what, made.how, made.content[:300])
        outcomes += [what] if easy(made) else []
    assert outcomes.count("exact") > 0.95 * len(outcomes)


if __name__ == "__main__":
    logging.disable()
    counts, shown = Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(int(sys.argv[1])):
            made = variant(seed)
            what = outcome(made, Path(folder))
            counts[what.split(":")[0]] += 1
            if (
                what not in ("exact", "refused")
                or (
                    len(sys.argv) > 2
                    and what == "refused"
                    and not made.damaged
                    and made.how["encoding"] != "cp1251"
                    and made.how["header"]
                )
            ) and shown < 25:
                shown += 1
                print(seed, what, made.how, made.content[:400], "", sep="\n  ")
                try:
                    bert_tf.read_examples(Path(folder) / made.name)
                except ValueError as error:
                    print(error)
    print(dict(counts))
