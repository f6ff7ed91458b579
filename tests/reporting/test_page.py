"""The page and the card: what they hold, that data stays text, and that a real browser is content with them."""

import json
import re
import shutil
import textwrap
from html.parser import HTMLParser
from xml.etree import ElementTree

import accessibility
import numpy as np
import pytest
import yaml

import bert_tf
from bert_tf import formatting
from bert_tf.evaluation import diagnostics, scores
from bert_tf.reporting import figures, page, tables
from bert_tf.reporting.card import model_card
from bert_tf.reporting.sections import sections

ATTACK = '"\' onload="window.hit=1"><script>window.hit=1</script><img src=x onerror=window.hit=1>&lt;|`*[a](javascript:x)\x00\u202e'
NAMES = (f"bad {ATTACK}", "good")


@pytest.fixture(scope="module")
def facts() -> dict:
    """Facts of every kind, an attack wherever text can stand."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 80)
    share = np.clip(0.5 + (labels - 0.5) * 0.5 + rng.normal(0, 0.25, 80), 0.01, 0.99)
    probabilities = np.stack([1 - share, share], axis=1)
    texts = [f"text {i} {ATTACK}" for i in range(79)] + ["long words " * 50]
    measured = scores.evaluate(labels, probabilities, NAMES)
    history = {"loss": [0.7, 0.5, 0.3, 0.1], "val_loss": [0.6, 0.5, 0.6, 0.8], "accuracy": [0.5, 0.6, 0.8, 0.9]}
    history["val_accuracy"] = [0.55, 0.6, 0.6, 0.6]
    counted = dict.fromkeys(NAMES, 40)
    doubled = {"training": ([*texts, texts[0]], [*labels, 1 - labels[0]]), "validation": ([texts[0]], [labels[0]])}
    found = {
        "title": f"Reviews {ATTACK}",
        "subtitle": ATTACK,
        **measured,
        "best_epoch": 2,
        "history": history,
        "overfitting": diagnostics.overfitting(history),
        "baseline": {
            "texts": 80,
            "scores": measured["scores"],
            "comparison": scores.compare(labels, probabilities, 1 - labels, ("this model", ATTACK)),
        },
        "data": {
            "splits": [
                {"name": name, "labels": counted, "lengths": diagnostics.lengths(rng.integers(3, 90, 80), 64)}
                for name in doubled
            ],
            "duplicates": diagnostics.duplicates(doubled, NAMES),
        },
        "parameters": [("embeddings", 1000, 0), (ATTACK, 100, 100)],
        "mistakes": diagnostics.mistakes(texts, labels, probabilities, NAMES),
        "mislabelled": diagnostics.suspect_labels(texts, labels, probabilities, NAMES),
        "cost": [("in all", 75.2, "seconds"), ("memory", 2e9, "bytes")],
        "sections": [
            {
                "title": ATTACK,
                "blocks": [
                    {"table": {"columns": [{"name": ATTACK, "kind": "text"}], "rows": [[ATTACK]], "caption": ATTACK}},
                    {"plot": picture(labels=[ATTACK, "b", "c"], as_="points")},
                    {"plot": picture(low=[0.4, 0.6, 0.5], high=[0.6, 0.8, 0.7])},
                ],
            }
        ],
        "settings": {"train": "/home/somebody/secret/reviews.csv", "seed": 0, "note": ATTACK},
        "versions": {"keras": "3.15"},
        "command": f"bert-tf finetune --train {ATTACK}",
    }
    return json.loads(json.dumps(found, allow_nan=False))  # plain data that JSON can hold, and after it the same page


@pytest.fixture(scope="module")
def html(facts) -> str:
    return page.render(facts)


def picture(**series) -> dict:
    return {
        "title": ATTACK, "description": ATTACK, "x": {"label": ATTACK}, "y": {"label": "accuracy", "kind": "score"},
        "series": [{"name": ATTACK, "x": [0, 1, 2], "y": [0.5, 0.7, 0.6], **series}, {"name": "b", "x": [0, 1], "y": [0.1, None]}],
        "marks": [{"x": 1, "label": ATTACK}],
    }  # fmt: skip


class Elements(HTMLParser):
    """Collects the elements of a page, and whether each was closed in its turn."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.found, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_text_from_data_stays_text(html):
    found = Elements(html)
    assert not any(tag == "script" or any(name.startswith("on") for name in held) for tag, held in found.found)
    assert {held["src"][:26] for tag, held in found.found if tag == "img"} == {"data:image/svg+xml;base64,"}
    shown = ATTACK.replace("\x00", "\ufffd").replace("\u202e", "\ufffd")
    assert f"Reviews {shown}" in found.words
    assert any(f"text 0 {shown}" in words for words in found.words)


def test_the_page_is_one_small_file_that_names_every_picture(html):
    assert len(html) < 300_000
    found = Elements(html)
    ids = [held["id"] for _, held in found.found if "id" in held]
    assert len(ids) == len(set(ids))
    named = [name for _, held in found.found for name in (held.get("aria-labelledby") or "").split()]
    assert set(named) <= set(ids)
    pictures = [held for tag, held in found.found if tag == "img"]
    assert len(pictures) == 6
    assert any(held["alt"].startswith("Loss by epoch. Training from 0.700 to 0.100") for held in pictures)
    assert found.words.count("The numbers") == len(pictures)
    assert not any(
        re.match(r"(https?:)?//", held.get(name) or "") for _, held in found.found for name in ("src", "href")
    )


def test_sections_stand_only_where_there_are_facts(facts):
    assert [section["title"] for section in sections(facts)][:4] == ["Results", "Baseline", "Training", "Classes"]
    assert len(sections(facts)) == 13
    assert sections(facts)[-1]["title"] == "Terms"
    for key in ("scores", "history", "data", "command"):
        titles = {section["title"] for section in sections({key: facts[key]})} - {"Terms"}
        assert len(titles) == 1, titles
        Elements(page.render({key: facts[key]}))
    assert sections({}) == []
    Elements(page.render({}))


def test_page_and_card_show_the_same_numbers(facts, html):
    words = "".join(Elements(html).words)
    card = model_card(facts, "reviews")
    for value in (
        *facts["scores"].values(),
        *(row[key] for row in facts["classes"] for key in ("precision", "recall", "f1")),
    ):
        if isinstance(value, dict):
            shown = formatting.format_value(value, "score")
            assert shown in words
            assert shown in card
    assert facts["overfitting"]["verdict"] in words
    assert facts["overfitting"]["verdict"] in card


def test_the_card_says_how_the_model_is_used(facts, tiny, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny.parent / "headed", model)
    bert_tf.load_tokenizer(tiny).save_pretrained(model)
    use = model_card(facts, "reviews").split("## Use\n")[1].split("##")[0]
    lines = [line for line in use.splitlines() if line.startswith("    ")]
    shown = {}
    exec(textwrap.dedent("\n".join(lines)).replace("FOLDER", str(model)), shown)
    assert len(shown["predictions"].labels) == 1


def test_the_card_has_a_header_the_hub_can_read_and_no_texts_or_paths(facts):
    card = model_card(
        facts, "reviews", finetuned_from="distilbert-base-uncased", datasets=["imdb"], license="mit", tags=["shop"]
    )
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["license"] == "mit"
    assert header["base_model"] == "distilbert-base-uncased"
    assert header["datasets"] == ["imdb"]
    assert header["metrics"] == ["accuracy", "f1", "log_loss"]
    (model,) = header["model-index"]
    measured = {each["type"]: each["value"] for each in model["results"][0]["metrics"]}
    assert measured["accuracy"] == facts["scores"]["accuracy"]["value"]
    assert "license" not in yaml.safe_load(model_card(facts, "reviews").split("---\n")[1])
    body = card.split("---\n", 2)[2]
    assert "text 0" not in body
    assert not re.search(r"<|\]\(|`|(?<!\n)\]:", body)
    assert "secret" not in body
    assert "reviews.csv" in body


def test_many_classes_are_listed_by_the_pairs_confused_most():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(30), 500)
    names = [f"class {i}" for i in range(30)]
    facts = scores.evaluate(rng.integers(0, 30, 500), probabilities, names)
    blocks = next(section for section in sections(facts) if section["title"] == "Classes")["blocks"]
    rows = blocks[0]["table"]["rows"]
    assert len(rows) == 20
    assert rows[0][2] == max(n for i, row in enumerate(facts["confusion"]) for j, n in enumerate(row) if i != j)
    assert len(page.render(facts)) < 100_000


def test_of_a_second_stage_that_is_not_kept_the_page_says_so():
    history = {"loss": [0.7, 0.69], "val_loss": [0.694, 0.693]}
    stages = [{"stage": name, "val_accuracy": 0.7, "val_loss": 0.6, "seconds": 9.0} for name in ("solved head", "all")]
    facts = {"history": history, "overfitting": diagnostics.overfitting(history, chance=0.693), "best_epoch": None}
    lead = "Training the layers gave no better model than the first stage, which is kept."
    for found, expected in ((facts | {"stages": stages}, True), (facts, False)):
        words = Elements(page.render(found)).words
        assert any(each.startswith(lead) and "Nothing was learned" in each for each in words) == expected


def test_a_training_that_diverged_has_a_page_too():
    history = {"loss": [float("nan")] * 2, "val_loss": [float("nan")] * 2, "accuracy": [0.5, 0.5]}
    words = Elements(page.render({"history": history, "overfitting": diagnostics.overfitting(history)})).words
    assert any("diverged" in each for each in words)


def drawn(plot: dict) -> ElementTree.Element:
    """The SVG of a plot, which must be well-formed XML."""
    return ElementTree.fromstring(figures.draw_svg(plot))


def texts(svg: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in svg.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    ("axis", "values", "expected"),
    [
        ({"whole": True}, [1, 3], ["1", "2", "3"]),
        ({"whole": True}, [1, 1], ["1"]),
        ({"log": True}, [100, 900, 2500], ["100", "200", "500", "1,000", "2,000"]),
        ({"log": True}, [1e-5, 1e-2], ["1e-05", "3e-05", "0.0001", "0.0003", "0.001", "0.003", "0.01"]),
        ({"range": [0, 1]}, [0.5, 0.6], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
    ],
)
def test_axes_have_few_round_numbers(axis, values, expected):
    plot = {
        "title": "t",
        "x": {"label": "x", **axis},
        "y": {"label": "y"},
        "series": [{"name": "a", "x": values, "y": values}],
    }
    found = texts(drawn(plot))
    ticks = found[: found.index("x")]  # those of the x axis
    assert ticks[: len(expected)] == expected


def test_names_go_down_the_side_with_their_values_at_the_other():
    series = {"name": "s", "x": [0, 1], "y": [0.5, 0.75], "low": [0.4, 0.7], "high": [0.6, 0.8], "as_": "points"}
    long = "a name that is much too long for one line"
    words = drawn(
        {
            "title": "t",
            "x": {"label": "", "names": [long, "b"]},
            "y": {"label": "y", "kind": "score"},
            "series": [series],
        }
    )
    heights = {"".join(each.itertext()): float(each.get("y") or re.search(r"translate\(\S+ (\S+?)\)", each.get("transform"))[1])
               for each in words.iter("{http://www.w3.org/2000/svg}text")}  # fmt: skip
    assert {"0.500", "0.750"} < {*heights}
    assert heights["b"] == pytest.approx(heights["0.750"], abs=4)
    assert heights["b"] > heights["0.500"]  # the first at the top
    assert any(name.startswith("a name that is") and len(name) <= figures.WRAPPED for name in heights)


def points_of(plot: dict) -> list[list[float]]:
    return [series["x"] for series in figures._dodged(plot)]


def test_intervals_at_one_place_stand_side_by_side_and_others_where_they_are():
    both = [{"name": name, "x": [100, 1000], "y": [1, 2], "low": [0, 1], "high": [2, 3]} for name in "ab"]
    first, second = points_of({"x": {"log": True}, "series": both})
    assert first[0] < 100 < second[0]
    assert np.log(second[0] / first[0]) == pytest.approx(figures.DODGE * np.log(10), rel=0.01)
    apart = [{**both[0], "x": [100, 400]}, {**both[1], "x": [200, 1000]}]
    assert points_of({"x": {"log": True}, "series": apart}) == [[100, 400], [200, 1000]]


def test_a_picture_holds_every_name_and_label_but_no_control_characters():
    plot = picture(low=[0.4, 0.6, 0.5], high=[0.6, 0.8, 0.7], labels=[f"$x_{i}$ \x00<b>" for i in range(3)])
    words = texts(drawn({**plot, "diagonal": True}))
    for i in range(3):
        assert f"$x_{i}$ \ufffd<b>" in words
    assert "b" in words  # the legend's
    assert any(word.startswith("\"' onload") and len(word) <= figures.LONGEST for word in words)
    band = {"name": "a", "x": [0, 1], "y": [1, 2], "low": [0, 1], "high": [2, 3], "as_": "band"}
    assert "fill-opacity: 0.18" in figures.draw_svg({**plot, "series": [band], "marks": []})
    with pytest.raises(ValueError, match="nothing to draw"):
        figures.draw_svg({**plot, "series": [{"name": "a", "x": [1], "y": [None]}]})


def test_names_of_points_do_not_hide_each_other(monkeypatch):
    """Ten points in a heap, and each name has a place of its own inside the picture."""
    written = []
    name_points = figures._name_points
    monkeypatch.setattr(figures, "_name_points", lambda axes, series: (name_points(axes, series), written.append(axes)))
    points = {
        "name": "a",
        "x": [1 + i / 9 for i in range(10)],
        "y": [0.5 + (i % 3) / 4 for i in range(10)],
        "as_": "points",
    }
    figures.draw_svg({**picture(), "series": [{**points, "labels": [f"model {i}" for i in range(10)]}], "marks": []})
    (axes,) = written
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 10
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert all(axes.bbox.contains(*corner) for box in boxes for corner in (box.min, box.max))


def test_a_png_of_several_plots(tmp_path):
    figures.draw_png(tmp_path / "a.png", [picture(), picture(as_="points"), picture()], ATTACK)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    figures.draw_png(tmp_path / "none.png", [], "nothing")
    assert not (tmp_path / "none.png").exists()


def test_the_numbers_of_a_plot_are_a_table():
    assert tables.numbers(picture())["rows"] == [[0, 0.5, 0.1], [1, 0.7, None], [2, 0.6, None]]
    named = tables.numbers(picture(labels=["a", "b", "c"]))["rows"]
    assert named == [["a", 0, 0.5], ["b", 1, 0.7], ["c", 2, 0.6]]


def test_numbers_have_one_form_each():
    assert formatting.format_value({"value": 0.79, "low": None, "high": None}, "score") == "0.790"
    assert formatting.format_value({"value": -0.102, "low": -0.142, "high": -0.062}, "points") == "-10.2 [-14.2, -6.2]"
    assert formatting.format_value(float("nan"), "score") == formatting.format_value(None) == "-"
    assert formatting.format_value(5e-5) == "5e-05"
    assert formatting.format_value(0.00001, "p") == "< 0.001"
    assert formatting.format_value(22713218, "count") == "22,713,218"
    assert formatting.format_value(3725, "seconds") == "1 h 02 min"
    with pytest.raises(ValueError, match="must be one of score"):
        formatting.format_value(1, "nothing")


def contrast(first: str, second: str) -> float:
    """The contrast of two colours by WCAG 2.2, of "rgb(r, g, b)"."""

    def luminance(colour):
        channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return np.dot(linear, [0.2126, 0.7152, 0.0722]) + 0.05

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return high / low


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 390])
def test_a_real_browser_is_content(browser, html, tmp_path, scheme, width):
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get("about:blank")
    browser.get_log("browser"), browser.get_log("performance")
    browser.get((tmp_path / "report.html").as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script("return window.hit") is None
    assert browser.get_log("browser") == []
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"]
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
    assert sum(url.startswith("file") for url in asked) == 1
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    background, text, quiet, link = browser.execute_script(
        "const c = (q, k) => getComputedStyle(document.querySelector(q))[k];"
        "return [c('body', 'backgroundColor'), c('body', 'color'), c('.caption', 'color'), c('a', 'color')]"
    )
    assert (contrast(background, "rgb(0, 0, 0)") > 15) == (scheme == "light")
    assert all(contrast(background, colour) >= 4.5 for colour in (text, quiet, link))
    pictures = browser.execute_script("return [...document.images].map(i => i.complete && i.naturalWidth)")
    assert len(pictures) == 6
    assert all(pictures)
    look = accessibility.problems if (width, scheme) in ((390, "light"), (1100, "dark")) else accessibility.overflows
    assert look(browser) == []
    colours = list(figures.DARK if scheme == "light" else figures.DARK.values())
    pixels = browser.execute_script(
        "const i = document.images[0], c = document.createElement('canvas'), x = c.getContext('2d');"
        "c.width = i.width; c.height = i.height; x.drawImage(i, 0, 0);"
        "return [...x.getImageData(0, 0, c.width, c.height).data]"
    )
    pixels = np.array(pixels).reshape(-1, 4)
    assert (pixels == [*rgb(colours[0]), 255]).all(
        axis=1
    ).sum() > 50  # the first series is drawn in this scheme's colour
    assert all(contrast(background, f"rgb{rgb(colour)}") >= 3 for colour in colours[:7])
    assert all(contrast(background, f"rgb{rgb(colour)}") >= 4.5 for colour in colours[6:8])  # text


def test_long_lists_show_five_texts_and_the_others_by_the_keyboard(browser, html, tmp_path):
    from selenium.webdriver import Keys

    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    browser.get((tmp_path / "report.html").as_uri())
    rows = "return [...document.querySelectorAll('tr')].filter(row => row.checkVisibility() && row.innerText.includes('text 1')).length"
    before = browser.execute_script(rows)
    more = browser.find_elements("css selector", ".more > summary")
    assert [each.text for each in more][:1] == ["Show 15 more"]
    browser.find_element("css selector", "nav a").send_keys(Keys.TAB)
    for _ in range(80):
        if browser.switch_to.active_element == more[0]:
            break
        browser.switch_to.active_element.send_keys(Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.execute_script(rows) > before


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def test_one_point_on_a_logarithmic_axis_has_room():
    series = {"name": "trials", "x": [1e-3], "y": [0.5], "as_": "points"}
    rate, loss = {"label": "learning rate", "log": True}, {"label": "loss", "kind": "score"}
    plot = {
        "title": "One",
        "description": "",
        "x": rate,
        "y": loss,
        "series": [series],
        "marks": [{"x": 1e-3, "label": "best"}],
    }
    assert figures.draw_svg(plot).startswith("<")
