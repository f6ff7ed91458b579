"""The page and the card: what they hold, that data stays text, and that a real browser is content with them."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml

from bert_tf import formatting
from bert_tf.evaluation import diagnostics, scores
from bert_tf.reporting import markup, page, plots, sections
from bert_tf.reporting.card import model_card

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
                    {"image": {"png": base64.b64encode(b"\x89PNG").decode(), "alt": ATTACK}},
                    {"table": {"columns": [{"name": ATTACK, "kind": "text"}], "rows": [[ATTACK]], "caption": ATTACK}},
                    {"plot": picture(labels=[ATTACK, "b", "c"], as_="points")},
                    {"plot": picture(low=[0.4, 0.6, 0.5], high=[0.6, 0.8, 0.7], as_="bars")},
                ],
            }
        ],
        "settings": {"train": "/home/somebody/secret/reviews.csv", "seed": 0, "note": ATTACK},
        "versions": {"keras": "3.15"},
        "command": f"bert-tf finetune --train {ATTACK}",
    }
    return json.loads(json.dumps(found, allow_nan=False))  # plain data that JSON can hold, and after it the same page


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
        if tag not in markup.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_text_from_data_stays_text(facts):
    found = Elements(page.render(facts))
    assert not any(tag == "script" or any(name.startswith("on") for name in held) for tag, held in found.found)
    assert [held["src"][:22] for tag, held in found.found if tag == "img"] == ["data:image/png;base64,"]
    shown = ATTACK.replace("\x00", "\ufffd").replace("\u202e", "\ufffd")
    assert f"Reviews {shown}" in found.words
    assert any(f"text 0 {shown}" in words for words in found.words)


def test_the_page_is_one_small_file_that_names_every_picture(facts, tmp_path):
    page.write_report(tmp_path / "report.html", facts)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(text) < 300_000
    found = Elements(text)
    ids = [held["id"] for _, held in found.found if "id" in held]
    assert len(ids) == len(set(ids))
    named = [name for _, held in found.found for name in (held.get("aria-labelledby") or "").split()]
    assert set(named) <= set(ids)
    pictures = [held for tag, held in found.found if tag == "svg"]
    assert len(pictures) == 6
    assert all(held["role"] == "img" and held["aria-labelledby"] for held in pictures)
    assert sum(tag == "desc" for tag, _ in found.found) == len(pictures)
    assert sum(tag == "summary" and i > 0 for i, (tag, _) in enumerate(found.found)) >= len(pictures)
    assert not any(
        re.match(r"(https?:)?//", held.get(name) or "") for _, held in found.found for name in ("src", "href")
    )


def test_sections_stand_only_where_there_are_facts(facts):
    assert [section["title"] for section in sections(facts)][:4] == ["Results", "The floor", "Training", "Classes"]
    assert len(sections(facts)) == 12
    for key in ("scores", "history", "data", "command"):
        titles = {section["title"] for section in sections({key: facts[key]})}
        assert len(titles) == 1, titles
        Elements(page.render({key: facts[key]}))
    assert sections({}) == []
    Elements(page.render({}))


def test_page_and_card_show_the_same_numbers(facts):
    words = "".join(Elements(page.render(facts)).words)
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


def test_a_training_that_diverged_has_a_page_too():
    history = {"loss": [float("nan")] * 2, "val_loss": [float("nan")] * 2, "accuracy": [0.5, 0.5]}
    words = Elements(page.render({"history": history, "overfitting": diagnostics.overfitting(history)})).words
    assert any("diverged" in each for each in words)


@pytest.mark.parametrize(
    ("axis", "values", "expected"),
    [
        ({}, [0.03, 0.64], ["0.2", "0.4", "0.6"]),
        ({"whole": True}, [1, 3], ["1", "2", "3"]),
        ({"log": True}, [100, 9000], ["100", "200", "500", "1,000", "2,000", "5,000", "10,000"]),
        ({"names": ["a", "b"]}, [0, 1], ["a", "b"]),
        ({}, [0.5, 0.5], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    ],
)
def test_axes_have_few_round_numbers(axis, values, expected):
    found = plots._Axis(axis, values, 0, 100)
    assert [words for _, words in found.ticks()] == expected
    assert all(-0.1 <= found(value) <= 100.1 for value in values)


def test_a_plot_keeps_its_points_inside_and_its_numbers_in_a_table():
    plot = picture()
    found = Elements(plots.draw(plot, 1))
    for tag, held in found.found:
        if tag == "circle" and held["cy"] != "14":  # that of the legend
            assert plots.LEFT <= float(held["cx"]) <= plots.WIDTH - plots.RIGHT
            assert plots.TOP <= float(held["cy"]) <= plots.HEIGHT - plots.BOTTOM
    assert plots.numbers(plot)["rows"] == [[0, 0.5, 0.1], [1, 0.7, None], [2, 0.6, None]]
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.draw({**plot, "series": [{"name": "a", "x": [1], "y": [None]}]}, 1)


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
def test_a_real_browser_is_content(browser, facts, tmp_path, scheme, width):
    page.write_report(tmp_path / "report.html", facts)
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
    lines = browser.execute_script(
        "return [...document.querySelectorAll('.line, circle')].map(e => getComputedStyle(e).fill != 'none' ? "
        "getComputedStyle(e).fill : getComputedStyle(e).stroke)"
    )
    assert len(lines) > 10
    assert all(contrast(background, colour) >= 3 for colour in lines)
