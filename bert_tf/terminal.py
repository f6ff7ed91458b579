"""What people see while something runs, with one look for all of it: bars, and tables as wide as the terminal.

    with terminal.Bar("Features", len(texts), "text") as bar:
        for batch in batches:
            ...
            bar.update(len(batch))

A bar says how much is done and what remains. In a file, a pipe or CI, where nothing can be drawn, it is a line every ten seconds or
so: long work is never silent. Bars go to stderr, so that what a command prints can be piped on, and vanish when they are done.
"""

import contextlib
import html
import math
import os
import re
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from bert_tf.formatting import counted, duration

LINE_EVERY = 10.0  # seconds; of work that takes hours less often, so that a log can still be read
LONG = 30  # an hour gives a line every two minutes
WARM_UP = 0.5  # seconds: what happens before, such as compiling, says nothing about the time left
REFRESHES = 5  # a second, of what is drawn
BAR_WIDTH = 20
IN_ONE_PIECE = r"bert-tf [a-z]+ |\S {2,}\S"  # a command, which is there to be copied, and the row of a table
GAP, LEAST_CUT = 2, 12  # of a table: between its columns, and of one that is cut


class Bar:
    """Work under way: how much is done and what remains; a context manager that shows both.

    Args:
        title: what is done, a word or two.
        total: how much there is to do; None = nobody knows.
        noun: what is counted, in the singular; "" = nothing to count.
        done: how much was done before, by an earlier run: it says nothing about the speed.
        work: where some things take longer than others, the sum of what those cost that are not done, in any unit; the time left is
            judged by it.
        shown: whether to show anything.
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        noun: str = "",
        done: int = 0,
        work: float | None = None,
        shown: bool = True,
    ):
        self.title, self.total, self.noun, self.done, self.shown = title, total, noun, done, shown
        self.note = ""  # stands before the count
        self._work, self._spent, self._before = work, 0.0, done
        self._began = self._last = time.monotonic()
        self._steady: tuple[float, float] | None = None  # when the warm-up was over, and what was done by then

    def update(self, count: int = 1, work: float | None = None) -> None:
        """Says that more is done: how many, and what they cost if that was said of all."""
        self.done += count
        self._spent += count if work is None else work
        self._last = time.monotonic()
        if self._steady is None and self._last - self._began > WARM_UP:
            self._steady = (self._last, self._spent)

    def skip(self, count: int) -> None:
        """Says that more is done, by an earlier run."""
        self.done += count
        self._before += count

    @property
    def share(self) -> float | None:
        """How much of the work is done, from 0 to 1; None if nobody knows."""
        if not self.total:
            return None
        if not self._work:
            return min(1.0, self.done / self.total)
        return min(1.0, (self._before + self._spent / self._work * (self.total - self._before)) / self.total)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take; None if nobody knows yet."""
        if self.total is None or not self._spent:
            return None
        rest = (self._work - self._spent) if self._work else self.total - self.done
        since, spent = self._steady or (self._began, 0.0)
        if self._spent < 2 * spent:  # too little came after the warm-up to judge by
            since, spent = self._began, 0.0
        left = rest * (self._last - since) / (self._spent - spent) - (time.monotonic() - self._last)
        return (
            max(left, 0.0) if left > 0 or rest <= 0 else None
        )  # what takes longer than expected takes nobody knows how long

    def words(self) -> str:
        """Says how much is done, how fast, and how long the rest will take."""
        said = [self.note] if self.note else []
        taken = time.monotonic() - self._began
        if self.total is not None and self.noun:
            count = f"{self.done:,} of {counted(self.total, self.noun)}"
            speed = (self.done - self._before) / max(taken, 1e-9)
            said.append(f"{count}, {speed:,.0f}/s" if speed >= 1 and self.noun == "text" else count)
        left = self.seconds_left
        said.append(f"{_rounded(taken)} so far" if left is None else f"{_rounded(left)} left")
        return ", ".join(said)

    def __enter__(self) -> "Bar":
        self._began = self._last = time.monotonic()
        self.shown = self.shown and _showing.get()
        if self.shown:
            _open(self)
        return self

    def __exit__(self, *error: Any) -> None:
        if self.shown:
            _close(self)


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 59.5 else duration(seconds)


_showing = ContextVar("_showing", default=True)


@contextlib.contextmanager
def showing(bars: bool) -> Iterator[None]:
    """Decides whether bars are shown in the block, unless a block around it has decided that none are."""
    token = _showing.set(bars and _showing.get())
    try:
        yield
    finally:
        _showing.reset(token)


# The bars that are open, the outermost first, and what shows them. There is one terminal, so there is one of these.
_bars: list[Bar] = []
_display: "_Lines | _Drawn | None" = None
_lock = threading.RLock()


def _open(one: Bar) -> None:
    global _display
    with _lock:
        _bars.append(one)
        if _display is None:
            _display = _Notebook() if _in_notebook() else _Drawn() if draws(sys.stderr) else _Lines()
            _display.start()


def _close(one: Bar) -> None:
    global _display
    with _lock:
        _bars.remove(one)
        ended = None if _bars else _display
        if ended:
            _display = None
    if ended:
        ended.stop()


class _Lines:
    """Shows the open bars as a line now and then."""

    every = LINE_EVERY

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(max(self.every, (time.monotonic() - self._began) / LONG)):
            self.show([*_bars])

    def show(self, bars: Sequence[Bar]) -> None:
        if bars:
            print("; ".join(f"{one.title}: {one.words()}" for one in bars), file=sys.stderr, flush=True)


class _Notebook(_Lines):
    """Shows them as HTML, which needs no widgets and works in every notebook."""

    every = 1 / REFRESHES

    def start(self) -> None:
        from IPython.display import HTML, display  # of the notebook that we run in

        self._html = HTML
        self._handle = display(HTML(""), display_id=True)
        super().start()

    def _run(self) -> None:
        while not self._stopped.wait(self.every):
            self.show([*_bars])

    def stop(self) -> None:
        super().stop()
        self._handle.update(self._html(""))

    def show(self, bars: Sequence[Bar]) -> None:
        lines = []
        for one in bars:
            value = "" if one.share is None else f' value="{one.share:.4f}"'
            lines.append(f"<div>{html.escape(one.title)} <progress{value}></progress> {html.escape(one.words())}</div>")
        self._handle.update(self._html("".join(lines)))


class _Drawn:
    """Shows them as bars below what is printed meanwhile."""

    def start(self) -> None:
        from rich.console import Console
        from rich.live import Live

        # What is printed to the same terminal goes above the bars; what is printed to a file stays there.
        prints = sys.stdout.isatty()
        console = Console(file=sys.stderr, highlight=False)
        self._live = Live(
            console=console, transient=True, refresh_per_second=REFRESHES, redirect_stdout=prints, get_renderable=_rows
        )
        self._live.start()

    def stop(self) -> None:
        self._live.stop()


def _rows() -> Any:
    """Returns the open bars as rich draws them."""
    from rich.progress_bar import ProgressBar
    from rich.table import Column, Table

    rows = Table.grid(Column(no_wrap=True), Column(max_width=BAR_WIDTH), Column(no_wrap=True), padding=(0, 1))
    for one in [*_bars]:
        share = one.share
        drawn = ProgressBar(total=1.0, completed=share or 0.0, pulse=share is None, animation_time=time.monotonic())
        rows.add_row(one.title, drawn, one.words())
    return rows


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


def draws(stream: Any) -> bool:
    """Returns whether a stream is a terminal on which something can be drawn and redrawn."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def colours(stream: Any) -> bool:
    """Returns whether a stream shows colours, and may (https://no-color.org)."""
    return draws(stream) and not os.environ.get("NO_COLOR")


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """Shows a few words on a terminal while something happens in the block that cannot be interrupted for a bar."""
    drawn = draws(sys.stderr)
    if drawn:
        print(text, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if drawn:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)


def width(stream: Any = None) -> int | None:
    """Returns the width of the terminal that a stream goes to, by default stdout; None = anything fits: a file, a pipe, a
    notebook."""
    stream = sys.stdout if stream is None else stream
    return shutil.get_terminal_size().columns if stream is not None and stream.isatty() else None


_words: Callable[[str], str] = str  # what puts our sentences into the words of whoever shows them


@contextlib.contextmanager
def worded(change: Callable[[str], str]) -> Iterator[None]:
    """Changes the words of all that is said in the block."""
    global _words
    before, _words = _words, change
    try:
        yield
    finally:
        _words = before


def said(text: str, stream: Any = None) -> str:
    """Returns text as it is shown: in the words of whoever shows it, its sentences wrapped between words as wide as the terminal.

    A line that fits, a command and the row of a table stay as they are.
    """
    most = width(stream)

    def fitted(line: str) -> str:
        if most is None or len(line) <= most or re.search(IN_ONE_PIECE, line):
            return line
        indent = line[: len(line) - len(line.lstrip())]
        return textwrap.fill(line, most, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

    return "\n".join(map(fitted, _words(text).split("\n")))


def say(text: str, stream: Any = None) -> None:
    """Prints text as it is shown, by default to stdout."""
    print(said(text, stream), file=stream, flush=True)


def _side_by_side(widths: Sequence[int], most: float) -> list[list[int]]:
    """Returns which columns stand in one table so that it is not too wide: the first one, and at least one other."""
    tables: list[list[int]] = []
    for i in range(1, len(widths)):
        if not tables or sum(widths[j] + GAP for j in tables[-1]) + widths[i] > most:
            tables.append([0])
        tables[-1].append(i)
    return tables


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,), cut: Sequence[int] = ()
) -> str:
    """Lays out text in columns, as wide as the terminal at most: what is too long is wrapped between words, and what has too many
    columns becomes several tables, each with the first column.

    Args:
        left: which columns are aligned left; the others are numbers, aligned right.
        cut: which columns are cut to fit instead.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = [*zip(header, *rows, strict=True)]
    widths = [max(map(cell_len, column)) for column in columns]
    words = [max((cell_len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    least = [min(each, LEAST_CUT) if i in cut else words[i] for i, each in enumerate(widths)]
    gaps = GAP * (len(header) - 1)
    most = width() or math.inf
    if sum(least) + gaps > most and len(header) > 2:
        return "\n\n".join(
            table(
                [header[i] for i in chosen],
                [[row[i] for i in chosen] for row in rows],
                left=[place for place, i in enumerate(chosen) if i in left],
                cut=[place for place, i in enumerate(chosen) if i in cut],
            )
            for chosen in _side_by_side(widths, most)
        )
    while sum(widths) + gaps > most and widths != least:
        widths[max((i for i in range(len(widths)) if widths[i] > least[i]), key=widths.__getitem__)] -= 1
    laid = Table.grid(
        *(
            Column(width=each, justify="left" if i in left else "right", no_wrap=i in cut, overflow="ellipsis")
            for i, each in enumerate(widths)
        ),
        padding=(0, GAP, 0, 0),
        pad_edge=False,
    )
    for row in (header, ["-" * each for each in widths], *rows):
        laid.add_row(*map(Text, row))
    console = Console(width=sum(widths) + gaps, color_system=None, force_terminal=False, force_jupyter=False)
    with console.capture() as captured:
        console.print(laid)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))
