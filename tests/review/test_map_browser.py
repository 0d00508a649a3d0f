"""The map in a real browser: moved, zoomed, coloured and chosen from, by pointer and by keys."""

import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imgcli.review.map import PhotoMap, captions_of, colourings_of, routes
from tests.support.photos import image_bytes, make_photo
from tests.support.predictions import ODD, photo_predictions

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None, reason="no chromium and chromedriver on this machine"
    ),
]

STRICT = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'"
)
PER_CLASS = 10


class Strict:
    """Sends the strict policy that pages of imgcli are served with."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", STRICT),
                ]
            await send(message)

        await self.app(scope, receive, with_policy)


def four_corners() -> PhotoMap:
    """Classes 0–6, of 10 photos each, on seven places of a circle; class 0 is at the right."""
    said = photo_predictions(np.eye(len(ODD), dtype=int) * PER_CLASS, ODD)
    angles = 2 * np.pi * said.targets / len(ODD)
    around = 0.8 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    places = around + np.random.default_rng(0).normal(0, 0.02, around.shape)
    paths = tuple(f"{said.classes[t]}/{i}.jpg" for i, t in enumerate(said.targets))
    said = replace(said, paths=paths)
    colourings = colourings_of(said, ["web"] * 5 + [None] * (len(said) - 5))
    return PhotoMap(ODD[0], paths, captions_of(said), places.astype(np.float32), colourings)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a server of a map; photo 1 cannot be shown."""
    picture = image_bytes(make_photo(0), "WEBP")
    found = routes(four_corners(), lambda i: None if i == 1 else picture)
    app = Starlette(routes=found, middleware=[Middleware(Strict)])
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/map"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (
        *(
            "--headless",
            "--no-sandbox",
            "--disable-quic",
            "--no-first-run",
            "--window-size=1280,900",
        ),
        "--window-size=1280,900",
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def until(browser: Any, script: str) -> Any:
    """Wait for a script to return something true; that."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 20, 0.05).until(lambda b: b.execute_script(f"return {script}"))


@pytest.fixture(params=["canvas", "webgl"])
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Any:
    """The map, drawn either way."""
    browser.get(f"{address}?renderer={request.param}")
    until(browser, "document.body.dataset.ready")
    drawn_by = browser.execute_script("return document.body.dataset.renderer")
    if drawn_by.lower() != request.param:
        pytest.skip(f"this Chromium has no {request.param}")
    return browser


def lasso(browser: Any, around: list[tuple[float, float]]) -> None:
    """Drag with Shift held around places of the whole map, between -1 and 1."""
    from selenium.webdriver import ActionChains, Keys

    plot = browser.find_element("id", "plot")
    unit = 0.47 * min(plot.size["width"], plot.size["height"])
    points = [(round(x * unit), round(-y * unit)) for x, y in around]
    drag = ActionChains(browser, duration=10).key_down(Keys.SHIFT)
    drag = drag.move_to_element_with_offset(plot, *points[0]).click_and_hold()
    for x, y in points[1:]:
        drag = drag.move_to_element_with_offset(plot, x, y)
    drag.release().key_up(Keys.SHIFT).perform()


def selected(browser: Any) -> str:
    return str(browser.find_element("id", "chosen-title").text)


def press(browser: Any, *keys: str) -> None:
    browser.find_element("id", "plot").send_keys(*keys)


RIGHT = [(0.6, -0.2), (0.6, 0.2), (1.0, 0.2), (1.0, -0.2)]


def test_a_lasso_selects_the_photos_inside_and_shows_them(page: Any) -> None:
    lasso(page, RIGHT)
    until(page, "document.querySelectorAll('#grid li').length === 10")
    assert selected(page) == "10 photos are selected"
    tiles = [tile.text for tile in page.find_elements("css selector", "#grid li")]
    assert all(ODD[0] in tile for tile in tiles)  # as text
    page.execute_script("document.getElementById('grid').scrollIntoView()")
    until(page, "document.querySelectorAll('#grid .blank').length === 1")  # cannot be shown
    assert page.execute_script("return document.querySelectorAll('#grid img').length") == 9


def test_what_the_legend_hides_is_not_selected(page: Any) -> None:
    page.find_element("css selector", "#legend button").click()
    lasso(page, RIGHT)
    assert selected(page) == "No photo is selected"
    page.find_element("id", "show-all").click()
    lasso(page, RIGHT)
    assert selected(page) == "10 photos are selected"


def test_keys_move_zoom_and_select(page: Any) -> None:
    from selenium.webdriver import Keys

    press(page, Keys.ENTER)
    assert selected(page) == "70 photos are selected"
    until(page, "document.querySelectorAll('#grid li').length === 60")
    page.find_element("id", "more").click()
    until(page, "document.querySelectorAll('#grid li').length === 70")
    press(page, *(Keys.ARROW_RIGHT * 3), *"+++++", Keys.ENTER)
    assert selected(page) == "10 photos are selected"
    press(page, Keys.ESCAPE)
    assert selected(page) == "No photo is selected"
    press(page, "0", Keys.ENTER)
    assert selected(page) == "70 photos are selected"


def test_dragging_moves_the_map_and_selects_nothing(page: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    plot = page.find_element("id", "plot")
    half = plot.size["height"] // 2 - 10
    ActionChains(page, duration=10).drag_and_drop_by_offset(plot, 0, half).perform()
    assert selected(page) == "No photo is selected"
    press(page, Keys.ENTER)  # the lower half of the map has been pushed out
    assert 0 < int(selected(page).split()[0]) < 70


def test_a_photo_under_the_pointer_is_shown(page: Any) -> None:
    from selenium.webdriver import ActionChains

    plot = page.find_element("id", "plot")
    press(page, *"0")
    place = four_corners().places[35]
    unit = 0.47 * min(plot.size["width"], plot.size["height"])
    x, y = round(place[0] * unit), round(-place[1] * unit)
    ActionChains(page, duration=10).move_to_element_with_offset(plot, x, y).perform()
    until(
        page,
        "!document.getElementById('tip').hidden && document.querySelector('#tip img').naturalWidth",
    )
    assert f"{ODD[3].replace(chr(0xDCFF), '')[:6]}" in page.find_element("id", "tip").text


def test_points_are_drawn_in_the_colours_of_the_legend(page: Any) -> None:
    """Each colouring is drawn at once: the picture of the points changes with it."""
    from selenium.webdriver.support.select import Select

    choice, pictures = Select(page.find_element("id", "colouring")), set()
    titles = [option.text for option in choice.options]
    assert titles == ["Label", "Prediction", "Right or wrong", "Source"]
    for title in ("Label", "Right or wrong", "Source"):
        choice.select_by_visible_text(title)
        time.sleep(0.1)
        pictures.add(page.find_element("id", "plot").screenshot_as_base64)
    assert len(pictures) == 3
    rows = [row.text for row in page.find_elements("css selector", "#legend li")]
    assert [re.sub(r"\s+", " ", row) for row in rows] == ["web 5", "not known 65"]


def test_nothing_is_run_blocked_or_scrolled_sideways(browser: Any, address: str) -> None:
    browser.get_log("browser")
    for width in (1280, 390):
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(address)
        until(browser, "document.body.dataset.ready")
        press(browser, "\ue007")
        until(browser, "document.querySelectorAll('#grid li').length === 60")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    said = [entry["message"] for entry in browser.get_log("browser")]
    # The one photo that cannot be shown, and the icon that no page of this test has.
    assert [one for one in said if "/thumbnail/1 " not in one and "favicon" not in one] == []
