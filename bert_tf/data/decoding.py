"""The bytes of a file as text: what is no table, compression, encoding."""

import codecs
import contextlib
import gzip
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# How a file that is no text begins -> what to say.
EXCEL = "is an Excel file (.xlsx) under another name. Rename it, or export the sheet as CSV"
NO_TEXT = (
    (b"\xd0\xcf\x11\xe0", "is an old Excel or Word file (.xls, .doc). Save it as .xlsx or export it as CSV"),
    (b"PAR1", "is a Parquet file under another name: rename it to .parquet"),
    (b"%PDF", "is a PDF file. Export the table as CSV"),
    (b"SQLite format 3\0", "is an SQLite database. Export the table as CSV"),
    (b"\x89HDF", "is an HDF5 file. Export the table as CSV or Parquet"),
    (b"7z\xbc\xaf", "is a 7z archive: unpack it"),
    (b"Rar!", "is a RAR archive: unpack it"),
    (b"\x80\x04", "is a pickle, which can run code when it is loaded and is not read. Export the table as CSV"),
    (b"\x80\x05", "is a pickle, which can run code when it is loaded and is not read. Export the table as CSV"),
)
GZIP, ZIP, ZSTD, BZIP2, XZ = b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\0"
COMPRESSED = (".gz", ".zip", ".zst", ".bz2", ".xz")
HTML = re.compile(
    r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
LFS = "version https://git-lfs.github.com/spec/"
MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# As cp1252: words of accented letters only (Cyrillic, Greek), symbols inside words (the accents of MS-DOS and
# old Macs, Polish), the currency sign (the euro of ISO-8859-15).
FOREIGN = re.compile(
    rb"[\xc0-\xff]{3}|\xa4|"
    rb"[a-z][\x82-\x84\x86-\x90\x95\x98\x9f\xa1-\xa9\xab\xac\xae\xaf\xb1-\xb3\xb5\xb6\xb8\xb9\xbb-\xbf][a-z]"
)
ACCENTED = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
MOST_FOREIGN = 0.1  # share of such words among those with a byte above 127
BEGUN = re.compile(rb"\xe2\x80|\xf0\x9f")  # how quotes, dashes and emoji begin in UTF-8, and nothing in cp1252
HIGH = re.compile(rb"[\x80-\xff]")
LETTER = re.compile(rb"[A-Za-z]")
# Code pages that differ from cp1252 in a few letters: what these are in cp1252, each group of which must occur, and the letters
# that give away a Western language which has the former too.
SISTERS = (
    ("cp1254", ("\u00fd", "\u00f0\u00fe"), "\u00e1\u00ed\u00fa\u00e6"),  # Turkish; not Icelandic
    ("cp1250", ("\u00f8", "\u00ec\u00e8"), "\u00e5\u00e6\u00f6"),  # Czech; not Danish
    ("cp1250", ("\u00f5", "\u00fb", "\u00f6"), "\u00e3\u00e7\u00ea"),  # Hungarian; not Estonian, Portuguese, French
    ("cp1250", ("\u00fe", "\u00e3"), "\u00f0\u00e6"),  # Romanian
    ("cp1257", ("\u00f0", "\u00fe", "\u00eb"), "\u00ed\u00fa\u00fd"),  # Lithuanian; not Icelandic
)
LEAST_LETTERS, MOST_WESTERN = 3, 0.05
# Cyrillic words: of small letters, with a capital, or of two capitals and more; the most frequent letters; signs beside them.
CYRILLIC = re.compile(
    "[\u0410-\u042f\u0401\u0406\u0407\u0404]?[\u0430-\u044f\u0451\u0456\u0457\u0454]*|[\u0410-\u042f\u0401]{2,}"
)
FREQUENT = "\u043e\u0435\u0430\u0438\u043d\u0442"
BESIDE_CYRILLIC = "\u00ab\u00bb\u2013\u2014\u201e\u201c\u201d\u2026\u2116\u2019\u00a0"
NOT_HEBREW = "\u044b\u044c\u044e\u044f"  # where Hebrew has no letters
LEAST_CYRILLIC = 40  # letters
CLEARLY = 10  # times as many characters in one encoding as in the other
# Bytes above 127 as a share of the plain letters: French in a short file reaches 0.4.
MOST_HIGH = 0.6


def content(file: Path) -> tuple[bytes, str]:
    """Returns the bytes of a file, unpacked if it is compressed, and the name that says what they are.

    Raises: ValueError if it is no text, or cannot be unpacked.
    """
    data, name = file.read_bytes(), file.name
    if data.startswith(ZIP):
        return _from_zip(file, data)
    unpack = next((how for magic, how in _UNPACKERS.items() if data.startswith(magic)), None)
    if unpack:
        stem = Path(name)
        try:
            return unpack(data), stem.stem if stem.suffix.lower() in COMPRESSED else name
        except ImportError as error:
            raise ValueError(f'{file}: reading .zst needs zstandard: pip install "bert-tf[zstd]".') from error
        except Exception as error:  # each module has errors of its own
            raise ValueError(f"{file}: cannot be unpacked ({error}): the file is damaged.") from error
    for magic, what in NO_TEXT:
        if data.startswith(magic):
            raise ValueError(f"{file}: {what}.")
    return data, name


@contextlib.contextmanager
def opened(file: Path) -> Iterator[tuple[BinaryIO, str]]:
    """As `content`, but yields a stream of the bytes in place of all of them; for any file but a .zip.

    Raises: as `content`, and while the stream is read, ValueError if it cannot be unpacked.
    """
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(file.open("rb"))
        start, name = raw.read(16), file.name
        raw.seek(0)
        unpack = next((how for magic, how in _STREAMS.items() if start.startswith(magic)), None)
        if unpack is None:
            for magic, what in NO_TEXT:
                if start.startswith(magic):
                    raise ValueError(f"{file}: {what}.")
            yield raw, name
            return
        try:
            unpacked = stack.enter_context(unpack(raw))
        except ImportError as error:
            raise ValueError(f'{file}: reading .zst needs zstandard: pip install "bert-tf[zstd]".') from error
        inside = Path(name).stem if Path(name).suffix.lower() in COMPRESSED else name
        yield io.BufferedReader(_Unpacked(unpacked, file), 1 << 20), inside


class _Unpacked(io.RawIOBase):
    """An unpacked stream whose errors name the file."""

    def __init__(self, stream: Any, file: Path):
        self.stream, self.file = stream, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self.stream.read(len(buffer))
        except Exception as error:  # each module has errors of its own
            raise ValueError(f"{self.file}: cannot be unpacked ({error}): the file is damaged.") from error
        buffer[: len(data)] = data
        return len(data)


def _from_zip(file: Path, data: bytes) -> tuple[bytes, str]:
    """Returns the only file of an archive, and its name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
            if "[Content_Types].xml" in names:
                raise ValueError(f"{file}: {EXCEL}.")
            if len(names) != 1:
                listed = ", ".join(names[:5]) or "nothing"
                raise ValueError(f"{file}: holds {len(names)} files ({listed}); one is needed. Unpack it.")
            return archive.read(names[0]), Path(names[0]).name
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:  # the last: a password
        raise ValueError(
            f"{file}: is an Excel file (.xlsx) or another zip archive, and cannot be opened ({error}). Export the sheet as CSV."
        ) from error


def _zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()


def _bzip2(data: bytes) -> bytes:
    import bz2

    return bz2.decompress(data)


def _xz(data: bytes) -> bytes:
    import lzma

    return lzma.decompress(data)


def _zstd_stream(raw: Any) -> Any:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)


def _bzip2_stream(raw: Any) -> Any:
    import bz2

    return bz2.open(raw)


def _xz_stream(raw: Any) -> Any:
    import lzma

    return lzma.open(raw)


_STREAMS: dict[bytes, Callable[[Any], Any]] = {
    GZIP: gzip.open, ZSTD: _zstd_stream, BZIP2: _bzip2_stream, XZ: _xz_stream,
}  # fmt: skip
_UNPACKERS = {GZIP: gzip.decompress, ZSTD: _zstd, BZIP2: _bzip2, XZ: _xz}


def decode(data: bytes, source: str, encoding: str | None = None) -> tuple[str, list[str]]:
    """Returns the text of a file, and what was guessed.

    UTF-8 with some invalid bytes keeps these as lone surrogates, so that the error can name their rows.

    Args:
        data: the bytes.
        source: the file's name, for messages.
        encoding: str, its encoding; None = by its byte order mark, else UTF-8, else cp1252, or cp1250, cp1251, cp1254 or cp1257 if the
            letters show that.
    Raises: ValueError if the bytes are not in the encoding, are in none that is known, or are no table.
    """
    text, remarks = _decoded(data, source, encoding)
    text = text.lstrip("\ufeff").removesuffix("\x1a")  # some programs write the mark twice; MS-DOS ends a file so
    check_table(text[:2000], source)
    return text, remarks


def check_table(opening: str, source: str) -> None:
    """Raises ValueError if the opening of a text is that of a web page or of a pointer to a file."""
    if HTML.match(opening):
        raise ValueError(f"{source}: is an HTML page and no table: was a login or error page downloaded?")
    if opening.startswith(LFS):
        raise ValueError(f"{source}: is a pointer of Git LFS, not the file itself. Fetch it: git lfs pull.")


class Encoding(NamedTuple):
    """How bytes become text: `name` and `errors` as of `bytes.decode`, `skip` bytes at the start; `remarks`: what was guessed."""

    name: str
    errors: str = "strict"
    skip: int = 0
    remarks: tuple[str, ...] = ()


def _decoded(data: bytes, source: str, encoding: str | None) -> tuple[str, list[str]]:
    judged = judge_encoding(data, source, encoding)
    if judged.errors != "strict":
        return data[judged.skip :].decode(judged.name, judged.errors), [*judged.remarks]
    return _as_given(data[judged.skip :], source, judged.name), [*judged.remarks]


def judge_encoding(
    data: bytes, source: str, encoding: str | None = None, lines_before: int = 0, counts: tuple[int, int] | None = None
) -> Encoding:
    """Judges how the bytes of a file become text.

    Args:
        data: all of them, or some whole lines.
        encoding: what was given.
        lines_before: int, how many lines of the file stand before `data`, for messages.
        counts: `utf8_counts` of the whole file, if `data` is a part of it.
    Raises: ValueError if they seem to be in several encodings, or none that is known.
    """
    if encoding is not None:
        return Encoding(encoding)
    if not lines_before and (marked := marked_encoding(data, source)):
        return marked
    try:
        data.decode("utf-8")
        return Encoding("utf-8")
    except UnicodeDecodeError as error:
        first = error.start
    line = lines_before + data.count(b"\n", 0, first) + 1
    advice = "Name its encoding: --encoding, for example cp1252, cp1251, gb18030 or shift_jis."
    valid, invalid = counts or utf8_counts(data)
    if valid >= CLEARLY * invalid:  # UTF-8 with some damaged rows: read as cp1252 all others would be wrong
        return Encoding("utf-8", "surrogateescape")
    if invalid < CLEARLY * valid or BEGUN.search(data):
        both = f"{valid} characters are UTF-8, {invalid} bytes are not, the first in line {line}"
        raise ValueError(f"{source}: seems to mix two encodings: {both}. {advice}")
    if sister := _sister(data):
        text = data.decode(sister)
        shown = _word_at(text, first)
        remark = f"{source}: not UTF-8; read as {sister}, as {shown!r} in line {line}. If that is wrong: --encoding."
        return Encoding(sister, remarks=(remark,))
    if _is_cyrillic(data):
        shown = _word_at(data.decode("cp1251"), first)
        remark = f"{source}: not UTF-8; read as cp1251 (Cyrillic), as {shown!r} in line {line}. If that is wrong: --encoding."
        return Encoding("cp1251", remarks=(remark,))
    words = ACCENTED.findall(data)
    foreign = sum(bool(FOREIGN.search(word)) for word in words)
    if foreign > MOST_FOREIGN * len(words) or len(HIGH.findall(data)) > MOST_HIGH * len(LETTER.findall(data)):
        raise ValueError(f"{source}: line {line} is not UTF-8, and the text is not in a Western encoding. {advice}")
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        line, byte = lines_before + data.count(b"\n", 0, error.start) + 1, data[error.start]
        raise ValueError(f"{source}: line {line} is neither UTF-8 nor cp1252 (byte 0x{byte:02x}). {advice}") from error
    shown = _word_at(text, first)
    remark = f"{source}: not UTF-8; read as cp1252 (Windows), as {shown!r} in line {line}. Else: --encoding."
    return Encoding("cp1252", remarks=(remark,))


def utf8_counts(data: bytes) -> tuple[int, int]:
    """Returns how many characters beyond ASCII are UTF-8, and how many bytes beyond ASCII are not part of such."""
    return len(MULTIBYTE.findall(data)), len(HIGH.findall(MULTIBYTE.sub(b"", data)))


def marked_encoding(data: bytes, source: str) -> Encoding | None:
    """Returns the encoding that the first bytes of a file tell: a byte order mark, or UTF-16 without one."""
    for mark, name in BOMS:
        if data.startswith(mark):
            return Encoding(name, "surrogateescape") if name == "utf-8" else Encoding(name, skip=len(mark))
    if guessed := _utf16_without_mark(data):
        return Encoding(guessed, remarks=(f"{source}: read as {guessed.upper()}; if that is wrong: --encoding.",))
    return None


def _as_given(data: bytes, source: str, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise ValueError(f"Unknown encoding. Received: encoding={encoding!r}") from error
    except UnicodeDecodeError as error:
        line = data[: error.start].decode(encoding, errors="ignore").count("\n") + 1
        raise ValueError(f"{source}: line {line} is not valid {encoding} ({error.reason}).") from error


def _sister(data: bytes) -> str | None:
    """Returns the code page beside cp1252 whose letters these are."""
    text = data.decode("cp1252", errors="replace")
    for encoding, needed, western in SISTERS:
        counts = [sum(map(text.count, letters)) for letters in needed]
        if min(counts) >= LEAST_LETTERS and sum(map(text.count, western)) <= MOST_WESTERN * sum(counts):
            try:
                data.decode(encoding)
            except UnicodeDecodeError:
                continue
            return encoding
    return None


def _is_cyrillic(data: bytes) -> bool:
    """Returns whether bytes are words of a language written in Cyrillic letters, in cp1251 and no other encoding.

    In KOI8-R and ISO-8859-5 the letters have the places of others in another case, so that words would look like THis; in those of
    MS-DOS and old Macs they have the places of symbols. Greek and Hebrew (cp1253, cp1255) look like Cyrillic words, but of other
    letters: o, e, a, i, n and t are 42 to 50 % of a text in a Slavic language, and would be 12 to 35 % of theirs.
    """
    try:
        text = data.decode("cp1251")
    except UnicodeDecodeError:
        return False
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    letters = "".join(words)
    beside = {c for c in text if not c.isascii()} - {*letters} - {*BESIDE_CYRILLIC}
    if beside or len(letters) < LEAST_CYRILLIC or len(letters) < 3 * len(words):
        return False
    natural = sum(bool(CYRILLIC.fullmatch(word)) for word in words)
    frequent = sum(map(letters.lower().count, FREQUENT)) / len(letters)
    doubt = 0.6 if {*letters} & {*NOT_HEBREW} else 1.0  # what chance may add in a short text
    return natural >= 0.98 * len(words) and frequent >= 0.38 + doubt * len(letters) ** -0.5


def _utf16_without_mark(data: bytes) -> str | None:
    sample = data[:4000]
    even, odd = (sample[start::2].count(0) for start in (0, 1))
    half = len(sample) // 2
    if half > 4 and odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if half > 4 and even > 0.4 * half and odd < 0.05 * half else None


def _word_at(text: str, place: int) -> str:
    """Returns the word at a character of a text in a one-byte encoding."""
    before, after = text[max(0, place - 20) : place], text[place : place + 20]
    return re.split(r'[\s,;|"]', before)[-1] + re.split(r'[\s,;|"]', after)[0] or text[place]
