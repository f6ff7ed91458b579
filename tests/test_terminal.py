"""Bars and tables: what they say, where they are drawn, how wide they are."""

import io
import os
import pty
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from bert_tf import terminal


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(terminal.time, "monotonic", clock)
    return clock


def hidden(*about, **more):
    return terminal.Bar(*about, shown=False, **more)


def test_a_bar_says_what_is_done_and_what_remains(clock):
    with hidden("Features", 1200, "text") as bar:
        assert bar.words() == "0 of 1,200 texts, 0 s so far"
        clock.now += 4
        bar.update(400)
        assert bar.words() == "400 of 1,200 texts, 100/s, 8 s left"
        clock.now += 3  # nothing happened since: the time left falls, the pace stays
        assert bar.seconds_left == pytest.approx(5)
        clock.now += 6  # it takes longer than expected
        assert bar.words() == "400 of 1,200 texts, 31/s, 13 s so far"
        bar.update(800)
        assert bar.seconds_left == 0
        assert bar.share == 1


def test_the_time_left_is_judged_by_the_work_without_the_warm_up(clock):
    with hidden("Features", 4, "text", work=100.0) as bar:
        clock.now += 10  # compiling
        bar.update(work=10)
        clock.now += 2
        bar.update(work=40)
        assert bar.share == 0.5
        assert bar.seconds_left == pytest.approx(2.5)  # 50 at 20 a second


def test_what_an_earlier_run_did_is_done(clock):
    with hidden("Race", 4, "candidate", done=3, work=50.0) as bar:  # the work is that of the fourth
        assert bar.share == 0.75
        bar.update(0, work=25)
        assert bar.share == 0.875


def test_what_an_earlier_run_did_says_nothing_about_the_speed(clock):
    with hidden("Predicting", 1000, "text", done=400) as bar:
        bar.skip(500)
        clock.now += 2
        bar.update(20)
        assert bar.words() == "920 of 1,000 texts, 10/s, 8 s left"


def test_nobody_knows_how_long_it_takes(clock):
    with hidden("Writing the report", None) as bar:
        bar.note = "figures"
        clock.now += 125
        assert (bar.share, bar.words()) == (None, "figures, 2 min 05 s so far")


def test_where_nothing_can_be_drawn_there_is_a_line_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(terminal._Lines, "every", 0.5)
    with terminal.Bar("Search", 3, "trial") as outer, terminal.Bar("Features", 8, "text"):
        outer.update()
        time.sleep(0.8)
    first, *others = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"Search: 1 of 3 trials, \d s (left|so far); Features: 0 of 8 texts, \d s so far", first)
    assert len(others) < 4
    assert terminal._display is None


def test_short_work_prints_nothing(capsys):
    with pytest.raises(KeyError), terminal.Bar("Features", 8, "text"):
        raise KeyError
    assert capsys.readouterr() == ("", "")
    assert terminal._bars == []


def test_bars_are_not_shown_where_none_are_wanted(monkeypatch, capsys):
    monkeypatch.setattr(terminal._Lines, "every", 0.01)
    with terminal.showing(False), terminal.showing(True), terminal.Bar("Features", 8, "text"):
        time.sleep(0.1)
    assert capsys.readouterr() == ("", "")
    with terminal.showing(True), terminal.Bar("Features", 8, "text"):
        assert terminal._bars


DRAWING = """
import sys, time
from bert_tf import terminal
with terminal.Bar("Search", 30, "trial") as outer:
    outer.note = "trial 3 of 30"
    for _ in range(2):
        with terminal.Bar("Predicting", 123_456, "text") as bar:
            bar.update(1234)
            time.sleep(0.5)
        outer.update()
        print("a line " + 12 * "of words ", flush=True)
"""


def in_a_terminal(code, columns=80, stdout=None, **environment):
    """What a program writes to a terminal of so many columns."""
    main, other = pty.openpty()
    how = {**os.environ, "COLUMNS": str(columns), "LINES": "24", "TERM": "xterm-256color", **environment}
    process = subprocess.Popen([sys.executable, "-c", code], stdin=other, stdout=stdout or other, stderr=other, env=how)
    os.close(other)
    written = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the program has ended
            break
        if not part:
            break
        written += part
    os.close(main)
    assert process.wait() == 0
    return written.decode()


def test_a_terminal_of_80_columns_shows_bars_that_fit_below_what_is_printed():
    written = in_a_terminal(DRAWING)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written)
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", plain)]
    drawn = [line for line in lines if "━" in line]
    assert any(
        re.search(r"^Predicting ━+ +1,234 of 123,456 texts, [\d,]+/s, .* (left|so far)$", line) for line in drawn
    ), drawn
    assert any(re.search(r"^Search .* trial 3 of 30, 1 of 30 trials, \d+ s (left|so far)$", line) for line in drawn)
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("a line of words") for line in lines) == 2
    assert re.search(r"\x1b\[2K\x1b\[\?25h\s*$", written)  # the bars are wiped out
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h")  # the cursor is back


def test_without_colours_and_beside_a_file(tmp_path):
    with (tmp_path / "out").open("w") as out:
        written = in_a_terminal(DRAWING, stdout=out, NO_COLOR="1")
    assert not re.findall(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", written)
    assert (tmp_path / "out").read_text().startswith("a line of words")
    assert "a line" not in written
    assert "━" not in in_a_terminal(DRAWING, TERM="dumb")


def test_in_a_notebook_bars_are_html_that_vanishes(monkeypatch):
    shown = []
    handle = SimpleNamespace(update=shown.append)
    display = SimpleNamespace(HTML=str, display=lambda html, display_id: handle)
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    with terminal.Bar("<Features>", 8, "text") as bar:
        bar.update(2)
        time.sleep(0.5)
    assert '&lt;Features&gt; <progress value="0.2500"></progress> 2 of 8 texts' in shown[0]
    assert shown[-1] == ""


def test_a_table_has_words_left_and_numbers_right():
    rows = [("good", "0.9", "Works well"), ("負ける", "0.25", "Broke")]
    assert terminal.table(("label", "score", "text"), rows, left=(0, 2)).splitlines() == [
        "label   score  text",
        "------  -----  ----------",
        "good      0.9  Works well",
        "負ける   0.25  Broke",
    ]


def test_a_table_is_as_wide_as_the_terminal(monkeypatch):
    monkeypatch.setattr(terminal, "width", lambda: 40)
    rows = [("a name of some words", "0.790 [0.752, 0.823]", "text " * 20)]
    lines = terminal.table(("model", "validation accuracy", "text"), rows, left=(0, 2), cut=(2,)).splitlines()
    assert max(map(len, lines)) <= 40
    assert sum("…" in line for line in lines) == 1
    assert " ".join(line.split("  ")[0].strip() for line in lines).split()[-5:] == ["a", "name", "of", "some", "words"]
    many = [[f"name {i}", *("0.790" for _ in range(9))] for i in range(2)]
    first, *others = terminal.table(["model", *(f"column{i}" for i in range(9))], many).split("\n\n")
    assert first.splitlines()[0] == "model   column0  column1  column2"
    assert [part.split()[0] for part in others] == ["model"] * 2
    assert max(map(len, "\n".join([first, *others]).splitlines())) <= 40
    monkeypatch.setattr(terminal, "width", lambda: 8)  # words stay whole
    assert "[0.752," in terminal.table(("model", "validation accuracy", "text"), rows)


@pytest.mark.parametrize(
    ("environment", "is_terminal", "expected"), [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, True, False), ({}, False, False)]
)  # fmt: skip
def test_colours_are_for_terminals_that_want_them(environment, is_terminal, expected, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal
    assert terminal.colours(stream) is expected


def test_sentences_are_wrapped_between_words_and_the_rest_stays(monkeypatch, capsys):
    text = "Kept the solved head: validation accuracy 0.815, macro F1 0.815.\n  report.html, model, metrics.json, curves.png, x"
    monkeypatch.setattr(terminal, "width", lambda stream=None: 40)
    terminal.say(text)
    assert capsys.readouterr().out.splitlines() == [
        "Kept the solved head: validation", "accuracy 0.815, macro F1 0.815.", "  report.html, model, metrics.json,", "  curves.png, x",
    ]  # fmt: skip
    for whole in (
        "bert-tf finetune --train /a/file --output-dir /a/folder",
        "a row  of a table  that is too wide  as it is",
    ):
        assert terminal.said(whole) == whole
    monkeypatch.setattr(terminal, "width", lambda stream=None: None)
    assert terminal.said(text) == text


def test_what_is_said_is_in_the_words_of_whoever_shows_it(capsys):
    with terminal.worded(str.upper):
        terminal.say("a")
    terminal.say("b")
    assert capsys.readouterr().out == "A\nb\n"
