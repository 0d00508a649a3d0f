"""The report in a real browser: it renders, it can be clicked through, it asks for nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcli.records import Predictions
from tests.support.browser import IN_A_BROWSER, browser, drawn_page
from tests.support.predictions import ODD, photo_predictions

__all__ = ["browser"]
pytestmark = IN_A_BROWSER

COUNTS = ((30, 5, 0, 0), (2, 30, 1, 0), (0, 0, 30, 0), (0, 4, 0, 1))


def opened(browser: Any, folder: Path, text: str, width: int = 1200) -> Any:
    """Show a page; what the browser had to say before is forgotten."""
    file = folder / "report.html"
    file.write_text(text, "utf-8")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.set_window_size(width, 900)
    browser.get(file.as_uri())
    return browser


def click(browser: Any, cell: int) -> int:
    """Press a cell; how many photos are then shown, after closing again."""
    browser.execute_script(f"document.querySelector('[data-cell=\"{cell}\"]').click()")
    shown = browser.execute_script("return document.querySelectorAll('dialog[open] li').length")
    browser.execute_script("document.querySelector('dialog').close()")
    return int(shown)


# Boxes of the texts that overlap their neighbours, of all axes and headings of the page.
OVERLAPS = """
const touching = (selector, gap) => {
  const boxes = [...document.querySelectorAll(selector)]
    .filter((e) => e.textContent.trim()).map((e) => e.getBoundingClientRect());
  let n = 0;
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
    n += a.left + gap < b.right && b.left + gap < a.right &&
         a.top + gap < b.bottom && b.top + gap < a.bottom;
  }));
  return n;
};
return [
  touching('#matrix thead th[title]', 0.5), touching('#matrix tbody th', 0.5),
  touching('#matrix button', 0.5), touching('#precision text', 1), touching('#map text', 1),
];
"""


@pytest.mark.parametrize("k", [4, 30, 100])
def test_labels_of_axes_never_overlap(browser: Any, tmp_path: Path, k: int) -> None:
    rng = np.random.default_rng(k)
    counts = np.diag(rng.integers(5, 99, k)) + rng.integers(0, 20, (k, k)) // 19
    names = [f"class_{i:03d}_" + "long_" * (i % 3 * 4) for i in range(k)]
    shown = opened(browser, tmp_path, drawn_page(photo_predictions(counts, names, folds=2)))
    assert shown.execute_script(OVERLAPS) == [0, 0, 0, 0, 0]


def test_a_cell_shows_as_many_photos_as_it_counts(browser: Any, tmp_path: Path) -> None:
    shown = opened(browser, tmp_path, drawn_page(photo_predictions(COUNTS)))
    texts = shown.execute_script(
        "return [...document.querySelectorAll('#matrix button')]"
        ".map(button => [button.dataset.cell, button.textContent])"
    )
    assert sorted(int(n) for _, n in texts) == sorted(np.array(COUNTS)[np.nonzero(COUNTS)])
    for cell, n in texts:
        assert click(shown, cell) == int(n)


def test_a_photo_without_thumbnail_still_counts(browser: Any, tmp_path: Path) -> None:
    said = photo_predictions(COUNTS)
    paths = tuple(f"gone/{i}.jpg" for i in range(len(said)))
    shown = opened(browser, tmp_path, drawn_page(Predictions(**{**vars(said), "paths": paths})))
    assert click(shown, 0) in (30, 1)
    assert "without a picture" in shown.execute_script(
        "document.querySelector('[data-cell]').click();"
        "return document.querySelector('dialog').innerText"
    )


def test_nothing_is_fetched_and_nothing_is_complained_of(browser: Any, tmp_path: Path) -> None:
    counts = np.diag(np.full(len(ODD), 12)) + np.eye(len(ODD), k=1, dtype=int)
    said = photo_predictions(counts, ODD, folds=3)
    paths = tuple(f"{ODD[t]}/{i}.png" for i, t in enumerate(said.targets))
    said = Predictions(**{**vars(said), "paths": paths})
    shown = opened(browser, tmp_path, drawn_page(said, run=ODD[0]))
    assert click(shown, 0) > 0
    assert shown.get_log("browser") == []
    requests = [
        entry["message"]
        for entry in shown.get_log("performance")
        if 'Network.requestWillBeSent"' in entry["message"]
    ]
    fetched = [one for one in requests if "data:image" not in one]
    assert len(fetched) == 1 and "report.html" in fetched[0]
    assert (
        shown.execute_script("return document.querySelectorAll('main script, main b').length") == 0
    )


def test_the_matrix_is_walked_and_opened_by_keys(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    shown = opened(browser, tmp_path, drawn_page(photo_predictions(COUNTS)))
    stops = shown.execute_script(
        "return [...document.querySelectorAll('#matrix button')]"
        ".filter(button => button.tabIndex === 0).length"
    )
    assert stops == 1
    shown.execute_script("document.querySelector('#matrix button').focus()")
    first = shown.switch_to.active_element
    first.send_keys(Keys.ARROW_RIGHT)
    second = shown.switch_to.active_element
    assert second.get_attribute("data-cell") == "1"
    assert "predicted as" in second.get_attribute("aria-label")
    second.send_keys(Keys.ENTER)
    photos = shown.execute_script("return document.querySelectorAll('dialog[open] li').length")
    assert photos == int(second.text)
    shown.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert shown.execute_script("return document.querySelector('dialog').open") is False
    assert shown.switch_to.active_element == second


def test_a_narrow_window_scrolls_its_tables_and_not_itself(browser: Any, tmp_path: Path) -> None:
    shown = opened(browser, tmp_path, drawn_page(photo_predictions(COUNTS, folds=3)), width=500)
    size = shown.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert size[0] <= size[1]


def test_dark_paper_has_light_ink_and_print_has_dark(browser: Any, tmp_path: Path) -> None:
    shown = opened(browser, tmp_path, drawn_page(photo_predictions(COUNTS)))
    ink = "return getComputedStyle(document.querySelector('#map text')).fill"
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    assert shown.execute_script(ink) == "rgb(232, 232, 230)"
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {**dark, "media": "print"})
    assert shown.execute_script(ink) == "rgb(34, 34, 34)"
    shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_it_prints(browser: Any, tmp_path: Path) -> None:
    from base64 import b64decode

    shown = opened(browser, tmp_path, drawn_page(photo_predictions(COUNTS, folds=3)))
    printed = b64decode(shown.print_page())
    assert printed.startswith(b"%PDF") and len(printed) > 10_000
    assert shown.execute_script("return document.querySelector('details').open") is True
