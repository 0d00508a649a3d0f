import hashlib
import json
import re
from base64 import b64encode
from typing import Any

import numpy as np
import pytest

from imgcli.evaluation.evaluate import evaluate
from imgcli.records import Predictions
from imgcli.report.page.context import Missing
from imgcli.report.page.page import page
from imgcli.report.plots import evaluation as evaluation_plots
from tests.support.predictions import ODD, photo_predictions
from tests.support.reports import Parsed, report_of, tiny


def data_of(text: str, name: str) -> dict[str, Any]:
    found = re.search(f'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


def sha256_source(text: str) -> str:
    """How a content security policy names a text that it allows."""
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_page_asks_for_nothing_but_itself() -> None:
    said = photo_predictions([[6, 2, 1], [1, 7, 0], [0, 0, 8]], folds=3)
    drawn = {"precision": evaluation_plots.precision(evaluate(said))}
    parsed = Parsed(page(report_of(said, figures=drawn), tiny))
    (policy,) = (m["content"] for m in parsed.having("meta") if m.get("http-equiv"))
    assert policy and policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy and "http" not in policy
    for _, attributes in parsed.tags:
        assert not {"style", "onclick", "onload"} & attributes.keys()
        for key in ("src", "href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/webp;base64,"))


def test_the_policy_allows_the_script_and_the_sheet_that_are_there() -> None:
    text = page(report_of(photo_predictions([[2, 1], [0, 3]])), tiny)
    (style,) = re.findall("<style>(.*?)</style>", text, re.S)
    (script,) = re.findall("<script>(.*?)</script>", text, re.S)
    assert f"style-src '{sha256_source(style)}'" in text
    assert f"script-src '{sha256_source(script)}'" in text


def test_odd_names_are_text_wherever_they_stand() -> None:
    k = len(ODD)
    counts = np.diag(np.full(k, 12)) + np.eye(k, k=1, dtype=int) * 3
    said = photo_predictions(counts, ODD, folds=3)
    paths = tuple(f"{ODD[t]}/{i}.png" for i, t in enumerate(said.targets))
    said = Predictions(**{**vars(said), "paths": paths})
    text = page(report_of(said, run=ODD[0], data=ODD[1], commands=ODD), tiny)
    text.encode("utf-8")  # no stray bytes are left
    parsed = Parsed(text)
    assert len(parsed.having("script")) == 3 and not parsed.having("b")
    assert "alert(1)" not in "".join(re.findall("<script>(.*?)</script>", text, re.S))
    shown = " ".join(parsed.texts)
    for name in (ODD[0], ODD[1], ODD[4], ODD[5], "new\\nline", "\\u202eturned", "\\udcff"):
        assert name in shown
    assert "\u202e" not in text and "49" not in data_of(text, "data")["classes"]
    assert ODD[0] in data_of(text, "data")["classes"]


def test_every_photo_is_behind_its_cell_and_mistakes_come_with_thumbnails() -> None:
    counts = np.array([[30, 5, 0], [2, 30, 1], [0, 4, 30]])
    text = page(report_of(photo_predictions(counts, folds=2)), tiny)
    data, thumbs = data_of(text, "data"), data_of(text, "thumbs")
    assert sum(data["n"]) == counts.sum() == len(data["paths"]) == len(data["probability"])
    assert len(thumbs) == counts.sum()  # there is room for all


def test_a_large_report_stays_under_ten_megabytes_with_a_name_for_every_photo() -> None:
    k, n = 28, 30_000
    rng = np.random.default_rng(0)
    counts = rng.multinomial(n, (np.eye(k) + 0.01).ravel() / (np.eye(k) + 0.01).sum())
    said = photo_predictions(counts.reshape(k, k))
    paths = tuple(f"train/a_genre_of_photographs/photograph_{i:07d}.jpg" for i in range(n))
    said = Predictions(**{**vars(said), "paths": paths})
    report = report_of(said, merges=[], issues=[])
    text = page(report, tiny)
    data, thumbs = data_of(text, "data"), data_of(text, "thumbs")
    assert 9_000_000 < len(text.encode()) < 10_000_000
    assert len(data["paths"]) == n and 3_000 < len(thumbs) < n
    mistakes = [
        first + i
        for first, count, true, called in zip(
            data["first"], data["n"], data["true"], data["predicted"], strict=True
        )
        for i in range(count)
        if true != called
    ]
    shown = sum(str(position) in thumbs for position in mistakes)
    assert shown == min(len(mistakes), len(thumbs))  # no hit has taken a mistake's place


def test_a_photo_that_is_gone_has_its_name_and_a_placeholder() -> None:
    said = photo_predictions([[1, 1], [0, 1]])
    said = Predictions(**{**vars(said), "paths": ("gone/1.png", "gone/2.png", "b/3.png")})
    text = page(report_of(said), tiny)
    assert "not found, or changed" in text and "gone/<wbr>2.png" in text
    assert len(data_of(text, "thumbs")) == 1


def test_every_picture_has_a_text_and_every_table_its_headings() -> None:
    said = photo_predictions([[6, 2, 1], [1, 7, 0], [0, 0, 8]], folds=3)
    drawn = {"folds": evaluation_plots.folds(evaluate(said))}
    parsed = Parsed(page(report_of(said, figures=drawn), tiny))
    assert all(img.get("alt") for img in parsed.having("img"))
    assert all(
        svg.get("aria-label") if svg.get("role") == "img" else svg.get("aria-hidden")
        for svg in parsed.having("svg")
    )
    assert len(parsed.having("caption")) == len(parsed.having("table"))
    assert all(th.get("scope") in ("row", "col", "rowgroup") for th in parsed.having("th"))


def test_a_run_that_was_never_evaluated_says_how_to_evaluate_it() -> None:
    lacking = [Missing("how good it is", "imgcli evaluate --folds 10")]
    model = {"arch": "tiny", "classes": ["a"], "val": {"n": 9, "accuracy": 0.5}, "imgcli": "0"}
    text = page(report_of(None, missing=lacking, model=model), tiny)
    shown = " ".join(Parsed(text).texts)
    assert "Not evaluated yet." in shown and "imgcli evaluate --folds 10" in shown
    assert "Validation accuracy 50.0 % (n = 9) is optimistic" in shown
    assert '<table class="matrix' not in text


def test_where_it_fails_is_said_with_the_mistakes_or_that_nothing_was_found() -> None:
    said = photo_predictions(((6, 2), (1, 7)))
    wrong = [said.paths[i] for i in np.flatnonzero(said.preds != said.targets)[:2]]
    weak = {"sentence": "Source flickr: accuracy 60 %.", "wrong": wrong}
    text = page(report_of(said, slices=[weak]), tiny)
    section = text.split('id="slices"')[1].split("</section>")[0]
    assert "Source flickr: accuracy 60" in section
    assert section.count("<figure") == 2 or section.count("<li") == 2
    nothing = page(report_of(said, slices=[]), tiny)
    assert "No group of photos has clearly more errors" in nothing
    assert 'id="slices"' not in page(report_of(said), tiny)


def test_one_photo_makes_a_page() -> None:
    text = page(report_of(photo_predictions([[0, 1], [0, 0]])), tiny)
    assert (
        data_of(text, "data")["n"] == [1] and "Accuracy 0.0\u00a0%: 0 of 1 held-out photo" in text
    )


def test_a_class_without_photos_has_an_empty_row_and_no_recall() -> None:
    text = page(report_of(photo_predictions([[3, 0, 1], [0, 0, 0], [0, 0, 4]])), tiny)
    assert "– of 0" in text


@pytest.mark.parametrize("k", [2, 100])
def test_all_classes_have_their_row_and_column(k: int) -> None:
    text = page(report_of(photo_predictions(np.diag(np.full(k, 2)))), tiny)
    matrix = text[text.index('id="matrix"') : text.index("</table>", text.index('id="matrix"'))]
    assert matrix.count('<th scope="row"') == k and matrix.count('<th scope="col" title') == k
    assert matrix.count("<button") == k and matrix.count("<td>") == k * k
