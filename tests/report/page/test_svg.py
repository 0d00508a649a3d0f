import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np

from imgcli.report.page.svg import Drawings
from imgcli.report.plots import evaluation as evaluation_plots
from imgcli.report.plots import style
from imgcli.report.plots.drawn import StoredFigure
from tests.support.evaluations import ODD_NAMES, evaluation, matrix
from tests.support.reports import stored

FOLDS = (0.9, 0.92, 0.95)


def add(drawings: Drawings, figure: StoredFigure, name: str) -> str:
    return drawings.add(figure.svg, figure.heading, name)


def test_a_drawing_has_no_style_attribute_and_no_sheet_of_its_own() -> None:
    drawings = Drawings()
    drawn = add(
        drawings, stored(evaluation_plots.folds(evaluation(matrix(4), folds=FOLDS))), "folds"
    )
    assert " style=" not in drawn and "<style" not in drawn
    used = set(re.findall(r'class="(\w+)"', drawn))
    assert used == set(re.findall(r"\.(\w+)\{", drawings.rules))


def test_a_drawing_wears_the_colours_of_the_page() -> None:
    drawings = Drawings()
    several = evaluation(matrix(4), folds=FOLDS, train=FOLDS)
    add(drawings, stored(evaluation_plots.folds(several)), "folds")
    for name in ("ink", "faint", "line", "paper", "held-out", "train"):
        assert f"var(--{name})" in drawings.rules
    assert not re.search("#[0-9a-f]{6}", drawings.rules)


def test_two_drawings_on_one_page_share_rules_and_no_id() -> None:
    drawings = Drawings()
    several = evaluation(matrix(4), folds=FOLDS)
    first = add(drawings, stored(evaluation_plots.folds(several)), "a")
    rules = drawings.rules
    second = add(drawings, stored(evaluation_plots.folds(several)), "b")
    assert drawings.rules == rules
    ids = [re.findall(r'\bid="([^"]+)"', drawn) for drawn in (first, second)]
    assert ids[0] and not set(ids[0]) & set(ids[1])
    for drawn, own in zip((first, second), ids, strict=True):
        referred = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', drawn)
        assert {a or b for a, b in referred} == set(own)


def test_names_stay_text_and_are_escaped() -> None:
    names = ("<script>alert(1)</script>", "a & b", *ODD_NAMES[:4])
    figure = stored(evaluation_plots.precision(evaluation(matrix(6), names)))
    said = replace(figure.heading, title='say "hi" <b>', lines=("two",))
    root = ElementTree.fromstring(Drawings().add(figure.svg, said, "p"))
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"<script>alert(1)</script>", "a & b"} <= texts
    assert root.get("role") == "img" and root.get("aria-label") == 'say "hi" <b>. two'


def test_a_drawing_is_cut_below_its_title_and_lines() -> None:
    figure = stored(evaluation_plots.folds(evaluation(matrix(4), folds=FOLDS)))
    title, lines = figure.heading.title, figure.heading.lines
    assert title == "Accuracy, macro precision and macro F1 of 3 folds"
    assert lines[-1].startswith("Dot: a fold.") and len(lines) == 2
    whole = [float(side) for side in ElementTree.fromstring(figure.svg).attrib["viewBox"].split()]
    drawn = add(Drawings(), figure, "folds")
    root = ElementTree.fromstring(drawn)
    left, top, width, height = (float(side) for side in root.attrib["viewBox"].split())
    assert left > 0 and left + width < whole[2] and top > 30 and top + height < whole[3]
    root.attrib.pop("aria-label")
    rest = "".join(root.itertext())
    assert title not in rest and "Dot: a fold" not in rest and "macro precision" in rest


def test_the_same_figure_is_the_same_text() -> None:
    counted = np.diag([4, 5, 6])
    first, second = (style.svg(evaluation_plots.precision(evaluation(counted))) for _ in range(2))
    assert first == second
