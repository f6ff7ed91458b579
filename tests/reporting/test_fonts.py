"""Letters that matplotlib's own font lacks: taken from a font that is installed, or said to be missing."""

import re
import warnings

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.image import imread

from bert_tf.reporting import figures, fonts


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """The fonts that are installed: matplotlib's own, and what a test adds."""
    own = [entry for entry in font_manager.fontManager.ttflist if entry.name == fonts.OWN]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(fonts, "_said", set())
    fonts._families.cache_clear()
    yield own
    fonts._families.cache_clear()


def add(file, name, letters):
    """Installs a font in which letters are black squares."""
    pen = TTGlyphPen(None)
    for move, at in zip((pen.moveTo, *[pen.lineTo] * 3), [(0, 0), (0, 900), (900, 900), (900, 0)], strict=True):
        move(at)
    pen.closePath()
    square = pen.glyph()
    font = FontBuilder(1000)
    glyphs = [".notdef", *(f"letter{i}" for i in range(len(letters)))]
    font.setupGlyphOrder(glyphs)
    font.setupCharacterMap({ord(letter): glyph for letter, glyph in zip(letters, glyphs[1:], strict=True)})
    font.setupGlyf(dict.fromkeys(glyphs, square))
    font.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    font.setupHorizontalHeader(ascent=900, descent=-100)
    font.setupNameTable({"familyName": name, "styleName": "Regular"})
    font.setupOS2(sTypoAscender=900, usWinAscent=900, usWinDescent=100)
    font.setupPost()
    font.save(file)
    font_manager.fontManager.addfont(file)


def plot(name):
    series = [{"name": each, "x": [1, 2], "y": [0.5, 0.7]} for each in (name, "other")]
    return {"title": "t", "description": "", "x": {"label": "x"}, "y": {"label": "y"}, "series": series}


def test_a_font_is_looked_for_only_where_letters_are_missing(tmp_path):
    add(tmp_path / "a.ttf", "Noto Sans CJK SC", "好坏")
    add(tmp_path / "b.ttf", "A Script", "好अ")
    assert fonts.families("good, sehr schön, ασδ, …") == ([fonts.OWN], "")
    assert fonts.families("好 good") == ([fonts.OWN, "Noto Sans CJK SC"], "")  # the preferred one, though not the first
    assert fonts.families("好 अ \U0001f985") == ([fonts.OWN, "Noto Sans CJK SC", "A Script"], "\U0001f985")


def test_pictures_take_the_font_and_say_nothing(tmp_path, caplog):
    figures.draw_png(tmp_path / "before.png", [plot("好")], "t")
    assert len(caplog.messages) == 1
    fonts._families.cache_clear()
    add(tmp_path / "a.ttf", "Noto Sans CJK SC", "好")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.draw_png(tmp_path / "after.png", [plot("好")], "t")
    assert len(caplog.messages) == 1
    before, after = (imread(tmp_path / name) for name in ("before.png", "after.png"))
    assert before.shape == after.shape
    dark = [(picture[..., :3].sum(-1) < 1.5).sum() for picture in (before, after)]
    assert dark[1] > dark[0] + 50  # the outline of a box, a filled square


def test_what_no_font_has_is_said_once(tmp_path, caplog):
    for name in ("好", "好", "好坏"):
        figures.draw_png(tmp_path / "a.png", [plot(name)], "t")
    assert [re.search(r"letters (.*?):", said)[1] for said in caplog.messages] == ["好", "坏"]


def test_the_text_of_a_page_stays_text_in_the_fonts_of_the_page(tmp_path, caplog):
    add(tmp_path / "a.ttf", "Noto Sans CJK SC", "好")
    svg = figures.draw_svg(plot("好 坏"))
    assert ">好 坏</text>" in svg
    assert {*re.findall(r"font-family: ([^;]*)", svg)} == {figures.PAGE_FONTS}
    assert caplog.messages == []  # a browser may have it
