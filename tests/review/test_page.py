"""The page of a review in a real browser: keys alone suffice, on every screen."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imgcli.review.queue import Queue
from tests.support.browser import IN_A_BROWSER, browser
from tests.support.photos import write_tree
from tests.support.review import Page, doubtful, served
from tests.support.trees import file_states

__all__ = ["browser"]
pytestmark = IN_A_BROWSER
WAIT = 20.0  # seconds


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "raw", {"cat": 10, "dog": 10})


@pytest.fixture
def queue(raw: Path) -> Queue:
    return doubtful(raw)


@pytest.fixture
def page(queue: Queue, browser: Any) -> Iterator[Page]:
    with served({"labels": queue}) as found:
        browser.get_log("browser")
        browser.get(f"{found.address}/?token={found.token}")
        until(lambda: "left" in status(browser))
        yield found


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def status(browser: Any) -> str:
    return str(browser.execute_script("return document.getElementById('status').textContent"))


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def shown(browser: Any) -> str:
    return str(
        browser.execute_script("return document.querySelector('#stage .path')?.textContent ?? ''")
    )


def test_every_decision_by_its_key_and_every_one_undone(
    page: Page, browser: Any, queue: Queue, raw: Path
) -> None:
    before = file_states(raw)
    for n, key in enumerate((" ", "x", "1", "2", "\ue007") * 4, 1):  # the last is enter
        press(browser, key)
        until(lambda n=n: status(browser).startswith(f"{n} decided"))
    assert list(queue.decided.values())[:5] == [
        "keep", "quarantine", "is:cat", "is:dog", "is:dog"
    ]  # fmt: skip
    until(lambda: browser.execute_script("return !document.getElementById('empty').hidden"))
    for n in reversed(range(20)):
        press(browser, "u")
        until(lambda n=n: status(browser).startswith(f"{n} decided"))
    assert file_states(raw) == before
    assert shown(browser) == "cat/00.png"
    assert browser.get_log("browser") == []


def test_arrows_move_and_decide_nothing(page: Page, browser: Any, queue: Queue) -> None:
    first = shown(browser)
    press(browser, "\ue014")  # right
    until(lambda: shown(browser) != first)
    press(browser, "\ue012")
    until(lambda: shown(browser) == first)
    assert not queue.decided


def test_many_are_chosen_in_the_grid_at_once(page: Page, browser: Any, queue: Queue) -> None:
    press(browser, "g", "s", "\ue014", "s")
    text = "return document.getElementById('selected').textContent"
    until(lambda: browser.execute_script(text) == "2 selected")
    press(browser, "x")
    until(lambda: status(browser).startswith("2 decided"))
    assert queue.decided == {"p0": "quarantine", "p1": "quarantine"}


def test_the_search_narrows_and_letters_typed_there_decide_nothing(
    page: Page, browser: Any, queue: Queue
) -> None:
    press(browser, "/", *"dog/0x1")
    until(lambda: "0 of them" in status(browser))
    assert not queue.decided


def test_any_class_is_chosen_by_its_name(page: Page, browser: Any, queue: Queue) -> None:
    press(browser, "c", *"bird", "\ue007")
    error = "return document.getElementById('error').textContent"
    until(lambda: "no class here" in browser.execute_script(error))
    press(browser, *["\ue003"] * 4, *"dog", "\ue007")
    until(lambda: queue.decided == {"p0": "is:dog"})


def test_a_page_whose_server_has_ended_says_so(browser: Any, queue: Queue) -> None:
    with served({"labels": queue}) as page:
        browser.get(f"{page.address}/?token={page.token}")
        until(lambda: "left" in status(browser))
    press(browser, "x")
    error = "return document.getElementById('error').textContent"
    until(lambda: "has ended" in browser.execute_script(error))


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_at_any_width_and_every_photo_has_a_text(
    page: Page, browser: Any, width: int
) -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for view in ("one", "grid"):
        if view == "grid":
            press(browser, "g")
            until(lambda: browser.execute_script("return !document.getElementById('grid').hidden"))
        wide = "return document.documentElement.scrollWidth"
        assert browser.execute_script(wide) <= width
        unnamed = (
            "return [...document.images].filter((i) => !i.alt).length"
            " + [...document.querySelectorAll('button')].filter((b) => !b.innerText.trim()).length"
        )
        assert browser.execute_script(unnamed) == 0
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_texts_stand_out_in_light_and_dark(page: Page, browser: Any) -> None:
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        assert browser.execute_script(LEAST_CONTRAST) >= 4.5, scheme
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


# The least contrast of a text with the colour behind it (WCAG 2.2, relative luminance).
LEAST_CONTRAST = """
const channels = (text) => text.match(/[\\d.]+/g).map(Number);
const part = (value) => value <= 10.31 ? value / 3294.6 : ((value / 255 + .055) / 1.055) ** 2.4;
const light = ([r, g, b]) => .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const colour = channels(getComputedStyle(node).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const texts = [...document.querySelectorAll('h1, h2, p, a, button, kbd, label, figcaption, th, td')]
  .filter((node) => node.innerText.trim() && node.offsetParent);
return Math.min(...texts.map((node) => {
  const [a, b] = [light(channels(getComputedStyle(node).color)), light(behind(node))];
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
}));
"""
