"""Figures are drawn again when what they show has changed, and only then."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from imgcli.report.plots.drawn import NAME, draw_changed
from imgcli.report.plots.style import canvas, titled

DRAWN: list[str] = []


def drawing(name: str) -> Callable[[], Figure]:
    def draw() -> Figure:
        DRAWN.append(name)
        figure = canvas(1, 1)[0]
        titled(figure, f"Figure {name}", "of two", "lines")
        return figure

    return draw


def drawn(folder: Path, *names: str, shown: object = ("cat", np.eye(2))) -> list[str]:
    """Which figures are drawn."""
    DRAWN.clear()
    found = draw_changed(folder, {name: drawing(name) for name in names}, shown)
    assert [one.png for one in found.values()] == [folder / f"{name}.png" for name in found]
    assert tuple(found) == names
    for name, one in found.items():
        assert one.png.is_file() and one.svg == one.png.with_suffix(".svg").read_text("utf-8")
        assert one.heading.title == f"Figure {name}" and one.heading.lines == ("of two", "lines")
    return [*DRAWN]


def test_the_same_is_drawn_once(tmp_path: Path) -> None:
    assert drawn(tmp_path, "one", "two") == ["one", "two"]
    assert drawn(tmp_path, "one", "two") == []
    assert drawn(tmp_path, "two", "three") == ["three"]
    assert drawn(tmp_path, "one", "two", "three") == []


@pytest.mark.parametrize(
    "shown",
    [("dog", np.eye(2)), ("cat", np.ones((2, 2))), ("cat", np.eye(2, dtype=int)), ("cat",)],
)
def test_what_shows_something_else_is_drawn_again(tmp_path: Path, shown: object) -> None:
    drawn(tmp_path, "one")
    assert drawn(tmp_path, "one", shown=shown) == ["one"]
    assert drawn(tmp_path, "one", shown=shown) == []


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_figure_that_is_gone_or_was_changed_is_drawn_again(tmp_path: Path, kind: str) -> None:
    drawn(tmp_path, "one", "two")
    (tmp_path / f"one.{kind}").write_bytes(b"")
    assert drawn(tmp_path, "one", "two") == ["one"]
    (tmp_path / f"two.{kind}").unlink()
    assert drawn(tmp_path, "one", "two") == ["two"]


def test_names_that_need_the_fonts_at_hand_are_always_drawn(tmp_path: Path) -> None:
    assert drawn(tmp_path, "one", shown="Kätzchen") == ["one"]
    assert drawn(tmp_path, "one", shown="Kätzchen") == ["one"]


@pytest.mark.parametrize("record", ["", "[]", '{"one": {"made_of": "x"}}'])
def test_a_damaged_record_is_made_again(tmp_path: Path, record: str) -> None:
    drawn(tmp_path, "one")
    (tmp_path / NAME).write_text(record)
    assert drawn(tmp_path, "one") == ["one"]
    assert drawn(tmp_path, "one") == []
