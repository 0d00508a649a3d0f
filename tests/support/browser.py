"""A real browser without a window, and a report to look at in it."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from imgcli.evaluation.evaluate import evaluate
from imgcli.records import Predictions
from imgcli.report.page.page import page
from imgcli.report.plots import evaluation as evaluation_plots
from imgcli.report.plots.class_map import class_map
from tests.support.reports import report_of, tiny

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None, reason="no chromium and chromedriver on this machine"
    ),
]

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def drawn_page(said: Predictions, **more: Any) -> str:
    found = evaluate(said)
    drawn = {
        "precision": evaluation_plots.precision(found),
        "map": class_map(said, found.confusion),
    }
    return page(report_of(said, figures={k: v for k, v in drawn.items() if v}, **more), tiny)
