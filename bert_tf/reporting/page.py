"""report.html: one file that loads nothing, readable on a phone, in the dark, on paper and by ear.

`sections.py` says what is shown, here it becomes HTML. The page's frame and style lie in pages/.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bert_tf import __version__
from bert_tf.files import write_text
from bert_tf.formatting import format_value
from bert_tf.reporting import plots
from bert_tf.reporting.markup import Html, element, escape
from bert_tf.reporting.sections import Facts, Section, sections

PAGES = Path(__file__).parent / "pages"


MOST_LETTERS = 2000  # of a text from the data


SEEN = 160  # of these, letters seen before a text is opened


LONG = 40  # letters from which a column of texts gets room


HEATS = 6  # shades of a confusion matrix, in pages/report.css


def write_report(file: str | Path, facts: Facts) -> None:
    """Writes report.html.

    Args:
        file: where to.
        facts: see `bert_tf.reporting.sections.sections`.
    """
    write_text(Path(file), render(facts))


def render(facts: Facts) -> str:
    """Returns the page that shows the facts, as HTML.

    Args:
        facts: see `bert_tf.reporting.sections.sections`.

    >>> page = render({"title": "Reviews", "overfitting": {"verdict": "1 < 2", "best_epoch": 1, "epochs": 1,
    ...                "gap_at_best": 0.1, "gap_at_last": 0.1}})
    >>> "1 &lt; 2" in page
    True
    """
    found = sections(facts)
    style = (PAGES / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    links = [element("li", element("a", section["title"], href=f"#s{i}")) for i, section in enumerate(found)]
    counter = _Counter()
    subtitle = facts.get("subtitle")
    return (PAGES / "report.html").read_text(encoding="utf-8").format(
        title=escape(facts.get("title", "Report")),
        subtitle=element("p", subtitle) if subtitle else "",
        style=style,
        style_hash=f"sha256-{digest}",
        contents=element("ul", links),
        sections="\n".join(_section(section, i, counter) for i, section in enumerate(found)),
        version=__version__,
    )  # fmt: skip


class _Counter:
    """Numbers for what needs a name of its own on the page."""

    def __init__(self) -> None:
        self.last = 0

    def __call__(self) -> int:
        self.last += 1
        return self.last


def _section(section: Section, number: int, counter: _Counter) -> Html:
    children: list[Html] = []
    pictures: list[Html] = []
    for block in section["blocks"]:
        (kind,) = block
        made = BLOCKS[kind](block[kind], counter)
        if kind in PICTURES:
            pictures.append(made)  # those that follow each other stand side by side where there is room
            continue
        children += [*_side_by_side(pictures), made]
        pictures = []
    children += _side_by_side(pictures)
    heading = element("h2", section["title"], id=f"h{number}")
    return element("section", heading, children, id=f"s{number}", aria_labelledby=f"h{number}")


def _side_by_side(pictures: list[Html]) -> list[Html]:
    return [element("div", pictures, class_="plots")] if pictures else []


def _figures(figures: Sequence[Mapping[str, Any]], _: _Counter) -> Html:
    return element(
        "dl",
        [element("div", element("dt", f["name"]), element("dd", _number(f["value"], f["kind"]))) for f in figures],
        class_="figures",
    )


def _number(value: Any, kind: str) -> list[Any]:
    """Returns a number's words, its interval set apart."""
    words, bracket, interval = format_value(value, kind).partition(" [")
    return [words, element("span", f" [{interval}")] if bracket and isinstance(value, Mapping) else [words]


def _table(table: Mapping[str, Any], counter: _Counter) -> Html:
    columns, rows = table["columns"], table["rows"]
    texts = [
        column["kind"] == "text" or any(isinstance(row[i], str) for row in rows) for i, column in enumerate(columns)
    ]
    longs = [text and any(len(str(row[i])) > LONG for row in rows) for i, text in enumerate(texts)]
    classes = ["text long" if long else "text" if text else "number" for text, long in zip(texts, longs, strict=True)]
    head = [element("th", c["name"], scope="col", class_=k) for c, k in zip(columns, classes, strict=True)]
    body = [
        element("tr", [_cell(value, column, class_, i == 0)
                       for i, (value, column, class_) in enumerate(zip(row, columns, classes, strict=True))])
        for row in rows
    ]  # fmt: skip
    parts = [element("thead", element("tr", head)), element("tbody", body)]
    return _scrolling(table.get("caption", ""), parts, counter, "stacked" if any(longs) else None)


def _cell(value: Any, column: Mapping[str, str], class_: str, first: bool) -> Html:
    name, scope = ("th", "row") if first else ("td", None)
    if column["kind"] == "text":
        return element(name, _opening(str(value)), scope=scope, class_=class_, dir="auto", data_label=column["name"])
    return element(name, _number(value, column["kind"]), scope=scope, class_=class_, data_label=column["name"])


def _opening(text: str) -> Html | str:
    """Returns a text; the rest of a long one shows when it is opened."""
    if len(text) <= SEEN * 1.2:
        return text
    rest = text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS].rstrip() + " ..."
    start = rest[:SEEN].rsplit(maxsplit=1)[0]
    return element("details", element("summary", start, element("span", " ...")), rest[len(start) :].lstrip())


def _scrolling(caption: str, rows: list[Html], counter: _Counter, class_: str | None = None) -> Html:
    """Returns a table that scrolls by itself where the page is narrow, by the keyboard too."""
    name = f"table-{counter()}" if caption else None
    table = element("table", rows, class_=class_, aria_labelledby=name)
    region = element("div", table, class_="scroll", tabindex="0", role="region" if name else None, aria_labelledby=name)
    return Html((element("p", caption, id=name, class_="caption") if name else "") + region)


def _plot(plot: Mapping[str, Any], counter: _Counter) -> Html:
    caption = element("figcaption", plot["title"], element("p", plot["description"]))
    table = _table({**plots.numbers(plot), "caption": ""}, counter)
    details = element("details", element("summary", "The numbers"), table)
    return element("figure", caption, plots.draw(plot, counter()), details)


def _image(image: Mapping[str, str], _: _Counter) -> Html:
    png = base64.b64encode(base64.b64decode(image["png"], validate=True)).decode()
    return element("figure", element("img", src=f"data:image/png;base64,{png}", alt=image["alt"]))


def _confusion(confusion: Mapping[str, Any], counter: _Counter) -> Html:
    names, counts = confusion["label_names"], confusion["counts"]
    head = [element("th"), *(element("th", name, scope="col", dir="auto") for name in names)]
    rows = []
    for name, row in zip(names, counts, strict=True):
        cells = [_heat(count, sum(row), name == other) for other, count in zip(names, row, strict=True)]
        rows.append(element("tr", element("th", name, scope="row", dir="auto"), cells))
    caption = "Confusion matrix: a row a given label, a column a predicted one; texts, and their share of the row"
    body = [element("thead", element("tr", head)), element("tbody", rows)]
    return _scrolling(caption, body, counter, "confusion")


def _heat(count: int, of: int, right: bool) -> Html:
    share = count / of if of else 0.0
    heat = min(HEATS, int(share * HEATS + 0.999))
    return element(
        "td",
        format_value(count, "count"),
        element("small", format_value(share, "share")),
        class_=f"heat-{heat} {'right' if right else 'wrong'}",
    )


PICTURES = {"plot", "image"}


BLOCKS: dict[str, Callable[[Any, _Counter], Html]] = {
    "text": lambda text, _: element("p", text),
    "verdict": lambda text, _: element("p", text, class_="verdict"),
    "code": lambda text, _: element("pre", element("code", text)),
    "figures": _figures,
    "table": _table,
    "plot": _plot,
    "confusion": _confusion,
    "image": _image,
}
