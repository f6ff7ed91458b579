"""The page of `bert-tf explain`: what is in the file, and what a browser makes of it."""

import base64
import hashlib
import json
import re
from importlib.resources import files

import accessibility
import numpy as np
import pytest

from bert_tf.explanation.explain import Deletion, Explanation
from bert_tf.explanation.page import page, write_page
from bert_tf.explanation.words import Words

HOSTILE = """</script><script>window.hacked=1</script> "onload="window.hacked=1" <img src=x onerror=window.hacked=1> \u2028 {{DATA}} -->"""
REVIEW = " ".join(f"word{i}" for i in range(60))
LAYERS, HEADS = 6, 12


def explanation(text: str, seed: int = 0, **more) -> Explanation:
    """What `explain` returns, with numbers drawn at random: each head attends elsewhere."""
    random = np.random.default_rng(seed)
    spans = [(0, 0), *(found.span() for found in re.finditer(r"\S+", text)), (0, 0)]
    names = ("[CLS]", *(text[slice(*span)] for span in spans[1:-1]), "[SEP]")
    count = len(names)
    real = np.array([False, *[True] * (count - 2), False])
    attentions = random.dirichlet(np.full(count, 0.2), size=(LAYERS, HEADS, count)).astype("float32")
    deletion = Deletion(
        np.linspace(0, 1, 11), -np.linspace(0, 3, 11), -(np.linspace(0, 3, 11) ** 2) / 3 * np.ones((4, 1))
    )
    values = {
        "words": Words(text, names, np.array(spans), np.arange(count), real),
        "label_names": ("negative", "positive"),
        "probabilities": np.array([0.9, 0.1], "float32"),
        "target": 0,
        "attributions": random.normal(size=count - 2),
        "log_odds": 2.2,
        "baseline_log_odds": -0.3,
        "completeness_error": 0.004,
        "steps": 48,
        "deletion": deletion,
        "attentions": attentions,
        "model_name": "runs/reviews/model",
    }
    return Explanation(**{**values, **more})


def test_the_file_forbids_requests_and_holds_text_as_data():
    html = page([explanation(HOSTILE)])
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', html)[1]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"https?://", html)
    assert "img-src data:" in policy
    assert "window.hacked" in html
    assert "<img" not in html
    assert html.count("</script>") == 2
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])
    assert data["texts"][0]["text"] == HOSTILE


def test_size_and_rounding(tmp_path):
    given = explanation(REVIEW)
    write_page(tmp_path / "why.html", [given])
    assert (tmp_path / "why.html").stat().st_size < 1_000_000
    data = json.loads(re.search(r'id="data">(.*?)</script>', (tmp_path / "why.html").read_text(), re.DOTALL)[1])
    roots = np.frombuffer(base64.b64decode(data["texts"][0]["attention"]), "uint8") / 255
    assert roots.reshape(given.attentions.shape) ** 2 == pytest.approx(given.attentions, abs=0.004)
    with pytest.raises(ValueError, match="attentions=True"):
        page([explanation(REVIEW, attentions=None)])
    with pytest.raises(ValueError, match="at least one explanation"):
        page([])


def luminance(colour) -> float:
    """WCAG 2.2's relative luminance of three numbers from 0 to 255."""
    share = np.asarray(colour) / 255
    return float(np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def contrast(one, other) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_enough_in_both_schemes():
    """WCAG 2.2 AA: 4.5 for text, 3 for what is drawn."""
    css = files("bert_tf.explanation").joinpath("explain.css").read_text()
    schemes = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    assert len(schemes) == 2
    for scheme in (schemes[0], schemes[0] | schemes[1]):
        colours = {name: [int(value[i : i + 2], 16) for i in (1, 3, 5)] for name, value in scheme.items()}
        for ground in ("page", "panel"):
            looked_at = 0.6 * np.array(colours["attention"]) + 0.4 * np.array(colours[ground])
            for text, behind in (("ink", colours[ground]), ("soft", colours[ground]), ("ink", colours["for"]),
                                 ("ink", colours["against"]), ("ink", looked_at)):  # fmt: skip
                assert contrast(colours[text], behind) >= 4.5, (text, ground, scheme)
            for line in ("for-line", "against-line", "attention", "focus"):
                assert contrast(colours[line], colours[ground]) >= 3, (line, ground, scheme)


# In a browser


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page of explanations; afterwards the console must be silent, and nothing else have been asked for."""
    file = tmp_path / "why.html"

    def open_page(*explanations):
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        write_page(file, explanations)
        browser.get(file.as_uri())
        return browser

    yield open_page
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    # By the page: the browser's own start page may still be loading.
    urls = {asked["request"]["url"] for asked in requests if asked["documentURL"] == file.as_uri()}
    assert {url for url in urls if not url.startswith("data:image/svg+xml;")} == {file.as_uri()}


def by_id(browser, name: str):
    return browser.find_element("id", name)


def pixels(browser) -> list[int]:
    """The alpha channel of the map of words to words."""
    script = """
        const map = document.getElementById("surface"), copy = document.createElement("canvas");
        copy.width = copy.height = map.width;
        const context = copy.getContext("2d", { willReadFrequently: true });
        context.drawImage(map, 0, 0);
        return [...context.getImageData(0, 0, map.width, map.height).data].filter((_, i) => i % 4 === 3);"""
    return browser.execute_script(script)


def test_words_show_their_numbers(opened):
    from selenium.webdriver import ActionChains, Keys

    given = explanation(REVIEW)
    browser = opened(given)
    assert browser.title == by_id(browser, "title").text == "Why the model said “negative”"
    assert "negative: 90.0% · positive: 10.0%" in by_id(browser, "subtitle").text
    assert not by_id(browser, "choice").is_displayed()
    buttons = browser.find_elements("css selector", "#words button")
    assert [button.text for button in buttons] == REVIEW.split()
    assert by_id(browser, "words").text == REVIEW

    def format_value(i: int) -> str:
        value = given.attributions[i]
        return f"“word{i}” {'−' if value < 0 else '+'}{abs(value):.2f}: {'against' if value < 0 else 'for'} “negative”"  # noqa: RUF001

    readout = by_id(browser, "word-readout")
    ActionChains(browser).move_to_element(buttons[7]).perform()
    assert readout.text == format_value(7)
    assert buttons[7].get_attribute("aria-label").startswith("word7: ")
    assert buttons[7].get_attribute("class") == ("for" if given.attributions[7] > 0 else "against")

    browser.find_element("css selector", "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element == buttons[0]
    assert readout.text == format_value(0)
    for key, i in ((Keys.ARROW_RIGHT, 1), (Keys.ARROW_DOWN, 2), (Keys.ARROW_LEFT, 1), (Keys.END, 59), (Keys.HOME, 0)):
        browser.switch_to.active_element.send_keys(key)
        assert readout.text == format_value(i)
    browser.switch_to.active_element.send_keys(Keys.TAB)  # one stop for all words
    assert browser.switch_to.active_element.get_attribute("role") == "gridcell"

    figures = by_id(browser, "figures").text
    assert "0.40%" in figures
    assert "48" in figures
    assert "below those after removing random words" in by_id(browser, "deletion-note").text
    picture = browser.find_element("css selector", "#deletion img")
    assert browser.execute_script("return arguments[0].naturalWidth", picture) > 0
    assert picture.get_attribute("alt").startswith("Log-odds of negative as words are removed: by score 0.")


def test_choosing_heads_and_words(opened):
    from selenium.webdriver import ActionChains, Keys

    given = explanation(REVIEW)
    browser = opened(given)
    cells = browser.find_elements("css selector", "#heads [role=gridcell]")
    assert len(cells) == LAYERS * HEADS
    name, readout = by_id(browser, "head-name"), by_id(browser, "look-readout")

    def check(layer: int, head: int, source: int = 0):
        assert name.text == f"Layer {layer + 1}, head {head + 1}"
        roots = np.round(255 * np.sqrt(given.attentions[layer, head])) / 255
        assert np.array(pixels(browser)) == pytest.approx((255 * np.minimum(1, roots / 0.4**0.5)).ravel(), abs=1)
        target = int(given.attentions[layer, head, source].argmax())
        names = given.words.names
        assert readout.text.startswith(f"“{names[source]}” attends to “{names[target]}” ")
        assert f"{100 * roots[source, target] ** 2:.1f}%" in readout.text
        chosen = browser.find_elements("css selector", "#heads [aria-selected=true]")
        assert [cell.get_attribute("aria-label") for cell in chosen] == [f"Layer {layer + 1}, head {head + 1}"]

    check(LAYERS - 1, 0)
    cells[2 * HEADS + 5].click()
    check(2, 5)
    for key, place in ((Keys.ARROW_RIGHT, (2, 6)), (Keys.ARROW_UP, (1, 6)), (Keys.ARROW_LEFT, (1, 5)),
                       (Keys.ARROW_DOWN, (2, 5)), (Keys.END, (5, 11)), (Keys.HOME, (0, 0)), (Keys.ARROW_UP, (0, 0))):  # fmt: skip
        browser.switch_to.active_element.send_keys(key)
        check(*place)

    browser.switch_to.active_element.send_keys(Keys.TAB)
    words = browser.find_elements("css selector", "#looks button")
    assert browser.switch_to.active_element == words[0]
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT * 3)
    check(0, 0, source=3)
    assert words[3].get_attribute("aria-pressed") == "true"
    ActionChains(browser).move_to_element(words[9]).perform()
    check(0, 0, source=9)

    surface = by_id(browser, "surface")
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", surface)
    cell = surface.size["width"] / len(words)
    ActionChains(browser).move_to_element_with_offset(surface, int(cell * 10.5), int(cell * -20.5)).perform()
    source, target = int(len(words) / 2 - 20.5), int(len(words) / 2 + 10.5)
    assert readout.text.startswith(f"“{given.words.names[source]}” attends to “{given.words.names[target]}” ")


def test_text_is_shown_and_does_nothing(opened):
    browser = opened(
        explanation(HOSTILE, label_names=("<b>bad</b>", "good"), model_name="<script>window.hacked=1</script>")
    )
    assert browser.execute_script("return window.hacked") is None
    assert "<img src=x onerror=window.hacked=1>" in by_id(browser, "words").text
    assert by_id(browser, "title").text == "Why the model said “<b>bad</b>”"
    assert not browser.find_elements("css selector", "img:not([src^='data:image/svg+xml;base64,']), b")


def test_choosing_among_texts(opened):
    from selenium.webdriver.support.select import Select

    short = explanation("two words and an end", seed=1, target=1)
    cut = Words(**{**vars(short.words), "text": "two words and an end that was cut"})
    browser = opened(explanation(REVIEW), explanation("two words and an end", seed=1, words=cut, target=1))
    chooser = Select(by_id(browser, "chooser"))
    assert [option.text for option in chooser.options][1] == "2. two words and an end that was cut"
    before = pixels(browser)
    chooser.select_by_index(1)
    assert by_id(browser, "title").text == "Why the model said “negative”, and what speaks for “positive”"
    assert by_id(browser, "words").text == "two words and an end that was cut"
    assert browser.find_element("css selector", ".unread").text.strip() == "that was cut"
    assert len(pixels(browser)) == 7 * 7
    chooser.select_by_index(0)
    assert pixels(browser) == before


def test_phone_and_dark(opened):
    browser = opened(explanation(REVIEW))

    def colour() -> str:
        return browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    light = colour()
    assert accessibility.problems(browser) == []
    try:
        for name, settings in (
            ("setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}),
            ("setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}),
        ):
            browser.execute_cdp_cmd(f"Emulation.{name}", settings)
        browser.refresh()
        assert colour() != light
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        assert accessibility.problems(browser) == []
        smallest = min(cell.size["width"] for cell in browser.find_elements("css selector", "#heads [role=gridcell]"))
        assert smallest >= 24  # WCAG 2.2, target size
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
