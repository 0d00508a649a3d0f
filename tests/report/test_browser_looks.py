"""Both pages in a real browser: at 390 pixels, in the dark, by keyboard, on paper."""

from collections.abc import Generator, Iterable
from typing import Any

import numpy as np
import pytest

from imgcli.report.page import contact_sheet
from tests.support.browser import IN_A_BROWSER, browser, drawn_page
from tests.support.predictions import photo_predictions

__all__ = ["browser"]
pytestmark = IN_A_BROWSER

NARROW = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
CONTRAST = """
const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const rgb = parse(getComputedStyle(e).backgroundColor);
    if (rgb.length === 3 || rgb[3] === 1) return rgb;
  }
  return [255, 255, 255];
};
const found = [];
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || ["SCRIPT", "STYLE"].includes(e.tagName)) continue;
  const style = getComputedStyle(e);
  const ink = light(parse(e.namespaceURI.endsWith("svg") ? style.fill : style.color));
  const paper = light(behind(e));
  const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  found.push([ratio, e.tagName + " " + e.textContent.trim().slice(0, 30)]);
}
return found.sort((a, b) => a[0] - b[0]).slice(0, 3);
"""


def tiles(paths: Iterable[str], side: int) -> Generator[bytes | None, None, None]:
    for path in paths:
        yield None if "gone" in path else bytes(2700)


def sheet() -> str:
    groups = [[f"cat/{i}.jpg", f"cat/{i} copy.jpg", f"cat/{i} gone.jpg"] for i in range(3)]
    dark = [{"kind": "dark", "path": f"dog/{i}.jpg", "detail": "dark"} for i in range(7)]
    return contact_sheet.page(
        {
            "dir": "raw",
            "photos": 16,
            "files": 17,
            "classes": {"cat": 9, "dog": 7},
            "unreadable": [{"path": "cat/bad.jpg", "stage": "open", "reason": "is cut short"}],
            "duplicates": [],
            "near_duplicates": groups,
            "distances": [[0, 0.1, 0.2]] * 3,
            "conflicts": [],
            "issues": dark,
            "metadata": {"gps": 1, "alpha": 0},
        },
        tiles,
    )


def report(k: int = 30) -> str:
    rng = np.random.default_rng(k)
    counts = np.diag(rng.integers(5, 99, k)) + rng.integers(0, 20, (k, k)) // 17
    names = [f"class_{i:03d}" for i in range(k)]
    return drawn_page(photo_predictions(counts, names, folds=2))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, text in {"report": report(), "sheet": sheet()}.items():
        (folder / f"{name}.html").write_text(text, "utf-8")
        found[name] = (folder / f"{name}.html").as_uri()
    return found


@pytest.fixture
def emulated(browser: Any) -> Generator[Any, None, None]:
    """A browser whose media are as they were after the test."""
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def prefer(browser: Any, name: str, value: str) -> None:
    wish = {"features": [{"name": f"prefers-{name}", "value": value}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)


def test_matrix_and_figures_are_whole_at_390_pixels(emulated: Any, pages: dict[str, str]) -> None:
    emulated.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", NARROW)
    emulated.get(pages["report"])
    rights = emulated.execute_script(
        "return [...document.querySelectorAll('#matrix td:not(.end), .drawing svg')]"
        ".map(e => e.getBoundingClientRect()).map(box => box.right)"
    )
    assert len(rights) > 900 and max(rights) <= 390
    widths = (
        "return [document.documentElement.scrollWidth, document.querySelector('#matrix button')"
    )
    page, cell = emulated.execute_script(f"{widths}.getBoundingClientRect().width]")
    assert page <= 390 and cell >= 8


def test_the_sheet_has_two_columns_at_390_pixels(emulated: Any, pages: dict[str, str]) -> None:
    emulated.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", NARROW)
    emulated.get(pages["sheet"])
    columns = emulated.execute_script(
        "return [...document.querySelectorAll('.gallery')].map(gallery => "
        "new Set([...gallery.children].map(li => li.getBoundingClientRect().left)).size)"
    )
    assert columns == [2, 2, 2, 2]
    assert emulated.execute_script("return document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["report", "sheet"])
def test_text_and_figures_stand_out_from_the_paper(
    emulated: Any, pages: dict[str, str], page: str, scheme: str
) -> None:
    prefer(emulated, "color-scheme", scheme)
    emulated.get(pages[page])
    paper = emulated.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 25, 29)")
    for ratio, where in emulated.execute_script(CONTRAST):
        assert ratio >= 4.5, where


@pytest.mark.parametrize("page", ["report", "sheet"])
def test_nothing_moves_for_those_who_ask_for_that(
    emulated: Any, pages: dict[str, str], page: str
) -> None:
    behaviour = "return getComputedStyle(document.documentElement).scrollBehavior"
    emulated.get(pages[page])
    assert emulated.execute_script(behaviour) == "smooth"
    prefer(emulated, "reduced-motion", "reduce")
    assert emulated.execute_script(behaviour) == "auto"


@pytest.mark.parametrize("page", ["report", "sheet"])
def test_pictures_have_their_words_and_the_page_its_name(
    emulated: Any, pages: dict[str, str], page: str
) -> None:
    emulated.get(pages[page])
    silent = (
        "img:not([alt]), img[alt=''], svg[role=img]:not([aria-label]), "
        "svg:not([role=img]):not([aria-hidden]), .blank:not([aria-label])"
    )
    found = f'return [...document.querySelectorAll("{silent}")].map(e => e.outerHTML.slice(0, 99))'
    assert emulated.execute_script(found) == []
    heading = emulated.execute_script("return document.querySelector('h1').innerText")
    expected = {"report": "Report of 20260101-000000-tiny on dataset", "sheet": "Check of raw"}
    assert heading == expected[page]
    assert emulated.title == f"{heading} – imgcli {'report' if page == 'report' else 'check'}"


@pytest.mark.parametrize("page", ["report", "sheet"])
def test_the_keyboard_reaches_what_can_be_pressed_or_scrolled(
    emulated: Any, pages: dict[str, str], page: str
) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    emulated.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", NARROW)
    emulated.get(pages[page])
    stops = []
    for _ in range(40):
        ActionChains(emulated).send_keys(Keys.TAB).perform()
        focused = emulated.switch_to.active_element
        if focused.tag_name == "body":
            break
        assert "none" not in focused.value_of_css_property("outline-style")
        stops.append(focused.get_attribute("href") or focused.get_attribute("class"))
    hrefs = emulated.execute_script("return [...document.querySelectorAll('a')].map(a => a.href)")
    assert set(hrefs) <= set(stops)
    scrolled = emulated.execute_script(
        "return [...document.querySelectorAll('.scroll')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1 && e.offsetParent)"
        ".map(e => e.className)"
    )
    assert set(scrolled) <= set(stops)


def test_both_print_on_white_without_what_is_only_for_the_screen(
    emulated: Any, pages: dict[str, str]
) -> None:
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}], "media": "print"}
    for page in pages.values():
        emulated.get(page)
        emulated.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
        paper, bar = emulated.execute_script(
            "return [getComputedStyle(document.body).backgroundColor, "
            "getComputedStyle(document.querySelector('nav')).display]"
        )
        assert (paper, bar) == ("rgb(255, 255, 255)", "none")
