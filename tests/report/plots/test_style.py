import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from imgcli.report.plots import style
from tests.support.evaluations import ODD_NAMES
from tests.support.figures import lightness


def test_a_glyph_that_no_font_has_is_written_as_its_number() -> None:
    assert style.drawable("é \U00013000") == "é \\U00013000"  # a hieroglyph


@settings(deadline=None)  # the first example loads the fonts
@given(st.lists(st.text(max_size=80), unique=True, max_size=8))
def test_labels_are_short_and_each_class_has_its_own(names: list[str]) -> None:
    shown = style.labels(names, most=20)
    assert len(set(shown)) == len(set(map(style.drawable, names)))
    assert all(len(label) <= 20 for label in shown)


def test_long_names_that_differ_only_in_the_middle_stay_apart() -> None:
    names = ["a" * 50 + middle + "z" * 50 for middle in "xyz"]
    assert len(set(style.labels(names))) == 3


def test_labels_keep_the_head_and_the_tail_of_a_long_name() -> None:
    (label,) = style.labels(["head_" + "x" * 100 + "_tail"])
    assert label.startswith("head_") and label.endswith("_tail") and "…" in label


def test_the_style_is_ours_inside_and_the_users_outside() -> None:
    @style.styled
    def inside() -> tuple[object, object]:
        return matplotlib.rcParams["text.parse_math"], matplotlib.rcParams["lines.linewidth"]

    matplotlib.get_backend()  # which is chosen at its first use, and no part of the style
    with matplotlib.rc_context({"lines.linewidth": 17.0}):
        before = matplotlib.rcParams.copy()
        assert inside() == (False, matplotlib.rcParamsDefault["lines.linewidth"])
        assert matplotlib.rcParams == before


def test_saving_makes_the_folder_and_leaves_no_temporary(tmp_path: Path) -> None:
    path = tmp_path / "figures" / "figure.png"
    style.save(Figure(), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert {file.name for file in path.parent.iterdir()} == {"figure.png", "figure.svg"}


def test_an_svg_lies_beside_and_is_the_same_file_whenever_it_is_written(tmp_path: Path) -> None:
    texts = set()
    for _ in range(2):
        style.save(Figure(), tmp_path / "figure.png")
        texts.add((tmp_path / "figure.svg").read_text("utf-8"))
    (text,) = texts
    assert "<svg" in text and "date" not in text


def test_a_figure_that_cannot_be_drawn_leaves_the_old_one(tmp_path: Path) -> None:
    class Broken(Figure):
        def savefig(self, path: Path, **kwargs: object) -> None:
            path.write_bytes(b"half")
            raise RuntimeError("broken")

    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="broken"):
        style.save(Broken(), path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("imgcli.report.terminal.evaluation", "matplotlib scipy sklearn torch PIL"),
        ("imgcli.report.plots.evaluation", "matplotlib.pyplot scipy sklearn torch"),
    ],
)
def test_importing_costs_only_what_is_used(module: str, absent: str) -> None:
    code = f"import sys, {module}; print(set('{absent}'.split()) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_train_and_held_out_differ_in_grey_print() -> None:
    assert lightness(style.TRAIN) - lightness(style.HELD_OUT) > 0.2


def test_odd_names_measure_as_they_are_drawn() -> None:
    widths = [style.text_width(label, 8) for label in style.labels(ODD_NAMES)]
    assert all(0 < width < 6 for width in widths)
    assert style.text_width("$x$", 8) > style.text_width("$x", 8)
