"""What a reader with a phone, in the dark, with a keyboard or a screen reader would stumble over, by axe-core in a real browser."""

from importlib.resources import files
from pathlib import Path

import pytest

SHOWN = ((390, "light"), (768, "light"), (1280, "dark"))  # every width, and both schemes


def axe() -> str:
    """The script of axe-core, which comes with axe-playwright-python; the rest of that is not needed."""
    pytest.importorskip("axe_playwright_python")
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def show(browser, file: Path, width: int, scheme: str) -> None:
    """Opens a page as it is seen at a width, light or dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(file.as_uri())


def problems(browser) -> list[str]:
    """Returns what is wrong with the page that the browser shows, everything unfolded."""
    browser.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    browser.set_script_timeout(180)
    browser.execute_script(axe())
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then(found => done(found.violations))"
    )
    said = [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:300]}" for one in found]
    return said + overflows(browser)


def overflows(browser) -> list[str]:
    """Returns what leaves its box or the window."""
    return browser.execute_script("""
        const said = [], wide = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth > wide) said.push("the page is wider than the window");
        for (const each of document.querySelectorAll("h1, h2, h3, p, summary, pre, dt, dd, figcaption, figure, img")) {
            if (!each.offsetWidth || each.closest(".scroll")) continue;
            const cut = getComputedStyle(each).display !== "inline" && each.scrollWidth > each.clientWidth + 1;
            if (cut || each.getBoundingClientRect().right > wide + 1) said.push("out of its box: " + each.outerHTML.slice(0, 200));
        }
        return said;""")


def check(browser, file: Path) -> None:
    """Looks at a page at every width; at one of them with axe-core, which takes seconds."""
    for look, (width, scheme) in zip((overflows, overflows, problems), SHOWN, strict=True):
        show(browser, file, width, scheme)
        assert look(browser) == [], (file.name, width, scheme)
