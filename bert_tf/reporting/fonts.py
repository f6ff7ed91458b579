"""Which fonts a picture takes: matplotlib's own, and for letters that it lacks (Chinese, Hindi, ...) such as are installed."""

import functools
import logging
from collections.abc import Iterable, Iterator
from typing import Any

log = logging.getLogger("bert_tf")

OWN = "DejaVu Sans"  # matplotlib brings it; it is wide, so that what a browser writes in its own font has room
# The plain ones among those that have a script, by Linux, Windows and macOS; where none is installed any other will do.
PREFERRED = (
    "Noto Sans", "WenQuanYi", "Lohit", "Microsoft YaHei", "Yu Gothic", "Meiryo", "Malgun Gothic", "Nirmala", "Leelawadee", "PingFang",
    "Hiragino", "Apple SD Gothic", "Kohinoor", "Thonburi", "Arial Unicode",
)  # fmt: skip
UNFIT = (
    "LastResort",
    "Last Resort",
    "Adobe Blank",
    "Noto Color Emoji",
    "Apple Color Emoji",
)  # boxes, nothing, pictures
MOST_SHOWN = 8  # letters in a message

_said: set[str] = set()  # letters of which it was said that no font has them


def families(text: str) -> tuple[list[str], str]:
    """Returns the fonts that have the letters of a text, matplotlib's own first, and those letters that no font has."""
    letters = frozenset(letter for letter in text if letter > "\x7f" and letter.isprintable() and not letter.isspace())
    return _families(letters) if letters else ([OWN], "")


def say_lacking(letters: str) -> None:
    """Says which letters pictures show as boxes, of each letter once."""
    if new := sorted(set(letters) - _said):
        _said.update(new)
        shown = " ".join(new[:MOST_SHOWN]) + " ..." * (len(new) > MOST_SHOWN)
        log.warning(
            "No font that is installed here has the letters %s: in pictures (.png) they are boxes, in report.html they are not. "
            "Install a font that has them, such as one of Noto Sans.",
            shown,
        )


@functools.cache
def _families(letters: frozenset[str]) -> tuple[list[str], str]:
    names, lacking = [], letters
    for entry in _installed():
        found = _of(entry, lacking)
        if found or entry.name == OWN:
            names.append(entry.name)
        lacking -= found
        if not lacking:
            break
    return names, "".join(sorted(lacking))


def _installed() -> Iterator[Any]:
    """Yields the fonts to look in, a regular one of each name: matplotlib's own, those preferred, others."""
    from matplotlib import font_manager

    regular = {
        entry.name: entry
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal" and entry.weight in (400, "normal", "regular") and not entry.name.startswith(UNFIT)
    }

    def rank(name: str) -> tuple[bool, int, str]:
        return name != OWN, next((i for i, each in enumerate(PREFERRED) if name.startswith(each)), len(PREFERRED)), name

    return (regular[name] for name in sorted(regular, key=rank))


def _of(entry: Any, letters: Iterable[str]) -> frozenset[str]:
    """Returns which letters a font has."""
    from matplotlib.ft2font import FT2Font

    face = {"face_index": entry.index} if getattr(entry, "index", 0) else {}  # of a collection; since matplotlib 3.11
    try:
        font = FT2Font(entry.fname, **face)
    except (RuntimeError, OSError):  # of pictures, as for emoji, or not there any more
        return frozenset()
    return frozenset(letter for letter in letters if font.get_char_index(ord(letter)))
