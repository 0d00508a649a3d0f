"""A comparison in words, tables and figures: what tells runs apart, what differs, what does not."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from imgcli.report.comparison import comparison_csv, folds_csv, labels, short_labels
from imgcli.report.plots import comparison as comparison_plots
from imgcli.report.terminal.comparison import compared, p_text, points
from tests.support.evaluations import ODD_NAMES, document, told
from tests.support.figures import boxes, drawn, overlaps, ticks, title
from tests.support.reports import piped

FOLDS = (0.90, 0.94, 0.95, 0.97)
LEARNT = (0.99, 0.995, 1.0, 1.0)


def two(p: float = 0.01, **more: Any) -> dict[str, Any]:
    return document([told("a", (0.9, 0.92), LEARNT), told("b", FOLDS, LEARNT)], p, **more)


def printed(comparing: dict[str, Any], width: int = 80) -> str:
    return piped(*compared(comparing), width=width)


def said(comparing: dict[str, Any]) -> str:
    return " ".join(printed(comparing).split())


# --- labels -------------------------------------------------------------------------------------


def named(*runs: tuple[str, dict[str, Any]]) -> list[str]:
    """What runs of these archs and options are called."""
    made = [
        {**told(f"{i}-{arch}", 0.9, **options), "arch": arch}
        for i, (arch, options) in enumerate(runs)
    ]
    return list(labels(document(made)).values())


def test_a_run_is_called_by_its_arch_and_what_sets_it_apart() -> None:
    assert named(("x", {"dropout": 0.0}), ("x", {"dropout": 0.25}), ("y", {"dropout": 0.5})) == [
        "x, dropout 0",
        "x, dropout 0.25",
        "y, dropout 0.5",
    ]


def test_what_most_runs_have_chosen_goes_without_saying() -> None:
    usual: dict[str, Any] = {"optimizer": "adamw", "freeze": False, "lr": 0.001}
    other = {"optimizer": "lbfgs", "freeze": True, "lr": None}
    assert named(("x", usual), ("y", usual), ("x", other)) == [
        "x",
        "y",
        "x, optimizer lbfgs, freeze",
    ]


def test_runs_that_differ_in_nothing_are_told_apart_by_their_folders() -> None:
    assert named(("x", {}), ("x", {}), ("y", {})) == ["x, 0-x", "x, 1-x", "y"]


def test_what_followed_from_other_choices_goes_without_saying() -> None:
    steps = {"lr": 0.01, "momentum": 0.9}
    plain, sgd = {"optimizer": "adamw", "lr": 0.001}, {"optimizer": "sgd", **steps}
    asked = {"asked": ["optimizer"]}
    assert named(
        ("x", {**plain, "asked": []}), ("y", {**plain, "asked": []}), ("x", sgd | asked)
    ) == [
        "x",
        "y",
        "x, optimizer sgd",
    ]
    # Where nothing else tells two runs apart it is said.
    assert named(("x", {"lr": 0.1, "asked": []}), ("x", {"lr": 0.2, "asked": []})) == [
        "x, lr 0.1",
        "x, lr 0.2",
    ]


def test_a_file_is_called_by_its_name_and_a_mapping_as_it_is_typed() -> None:
    choices = {"weights": "/far/away/net.safetensors", "model_args": {"pad_type": "same"}}
    assert named(("x", {}), ("y", {}), ("z", choices))[2] == (
        "z, weights net.safetensors, model args pad_type=same"
    )


def test_precision_settled_by_speed_sets_no_run_apart() -> None:
    assert named(("x", {"precision": "bf16"}), ("y", {"precision": "fp32"})) == ["x", "y"]


LONG = "narrow-alexnet, batchnorm, init xavier-uniform, clip norm 1, ema 0.9"


def test_a_name_that_is_too_long_loses_whole_choices_at_its_end() -> None:
    assert short_labels([LONG], 80) == [LONG]
    assert short_labels([LONG], 66) == [
        "narrow-alexnet, batchnorm, init xavier-uniform, clip norm 1, …"
    ]
    assert short_labels([LONG], 62) == ["narrow-alexnet, batchnorm, init xavier-uniform, …"]
    assert short_labels([LONG], 30) == ["narrow-alexnet, …"]


@given(st.lists(st.text("ab, ", max_size=40), min_size=1, max_size=12, unique=True))
def test_short_names_have_room_and_are_not_alike(names: list[str]) -> None:
    short = short_labels(names, 24)
    assert len(set(short)) == len(names) and max(map(len, short)) <= 24


def test_names_that_lose_what_tells_them_apart_are_numbered() -> None:
    names = [f"{LONG}, seed {seed}" for seed in (0, 1)]
    assert short_labels([*names, "x"], 66) == [
        "narrow-alexnet, batchnorm, init xavier-uniform, clip norm 1, … (1)",
        "narrow-alexnet, batchnorm, init xavier-uniform, clip norm 1, … (2)",
        "x",
    ]


# --- words --------------------------------------------------------------------------------------


def test_a_difference_is_said_with_its_interval_its_folds_and_its_p() -> None:
    text = said(two())
    assert "'b' against 'a':" in text
    assert (
        "higher accuracy: +3.0 points (95 % interval +1.0 to +5.0; fold by fold +3.0 ± 1.4; "
        "p = 0.010)" in text
    )
    assert "higher macro precision: +3.0 points" in text and "no difference" not in text


def test_no_difference_is_said_in_so_many_words() -> None:
    text = said(two(p=0.2))
    assert "no difference in accuracy shown: +3.0 points" in text
    assert "no difference in macro precision shown" in text and "higher" not in text


def test_a_lower_macro_precision_is_called_lower() -> None:
    comparing = two()
    found = comparing["pairs"][0]["macro_precision"]
    comparing["pairs"][0]["macro_precision"] = {**found, "difference": -0.03}
    assert "lower macro precision: −3.0 points" in said(comparing)


def test_many_runs_are_each_held_against_the_best() -> None:
    values = {"a": 0.95, "b": 0.9, "c": 0.94, "d": 0.8}
    comparing = document([told(name, value) for name, value in values.items()], on="test")
    for pair in comparing["pairs"]:
        if pair["runs"] == ["runs/a", "runs/c"]:
            pair["accuracy"] = {**pair["accuracy"], "p_value": 0.31, "shown": False}
    text = said(comparing)
    assert "Against the accuracy of 'a', 95.0 %:" in text
    assert "lower: 'b' (−5.0 points, p = 0.010); 'd' (−15.0 points, p = 0.010)" in text
    assert "no difference shown: 'c' (−1.0 points, p = 0.31)" in text
    assert "P-values are corrected for 6 pairs (Holm)." in text


def test_which_photos_were_paired_is_said() -> None:
    assert "Paired on 1,234 photos, held out in the same 2 folds." in said(two())
    assert "the folds are not the same in all runs" in said({**two(), "same_folds": False})
    repeated = [{**run, "repeats": 2} for run in two()["runs"]]
    assert "of repeated folds the first repeat is compared" in said({**two(), "runs": repeated})
    assert "; 7 photos left out, missing in some runs" in said({**two(), "left_out": 7})
    on_test = said(two(on="test"))
    assert "1,234 photos of the test part" in on_test and "not to make it" in on_test


def test_the_table_has_every_run_within_80_columns() -> None:
    text = printed(two())
    assert max(map(len, text.splitlines())) <= 80
    assert "b (best)" in text and "94.0 ± 2.9" in text and "99.6 ± 0.5" in text
    assert "90 of 1,234 parameters" in text and "1 min" in text


def test_names_cannot_command_the_terminal() -> None:
    text = printed(document([told(name, 0.9 - i / 100) for i, name in enumerate(ODD_NAMES)]))
    assert not any(c in text for c in "\x1b\udcff\u202e\t")


@pytest.mark.parametrize(
    ("share", "text"), [(0.0123, "+1.2"), (-0.004, "−0.4"), (0.0001, "0.0"), (-0.0001, "0.0")]
)
def test_points_carry_their_sign(share: float, text: str) -> None:
    assert points(share) == text


def test_small_p_values_are_bounds() -> None:
    assert [p_text(p) for p in (0.0002, 0.0471, 0.5)] == ["p < 0.001", "p = 0.047", "p = 0.50"]


# --- CSVs ---------------------------------------------------------------------------------------


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_is_there_as_csv() -> None:
    a, b = rows(comparison_csv(two()))
    assert (a["run"], a["label"], a["params_total"], a["folds"]) == ("runs/a", "a", "1234", "2")
    assert float(b["accuracy"]) == pytest.approx(0.94)
    assert float(b["train_accuracy_mean"]) == pytest.approx(0.99625)
    assert float(a["accuracy_minus_best"]) == pytest.approx(-0.03) and a["accuracy_p"] == "0.01"
    assert b["accuracy_minus_best"] == ""


def test_every_fold_has_its_row() -> None:
    found = rows(folds_csv(two()))
    assert len(found) == 3 * (2 + 4 + 4 + 4)
    held = [
        r for r in found if (r["run"], r["side"], r["metric"]) == ("runs/b", "held out", "macro_f1")
    ]
    assert [(r["fold"], float(r["value"])) for r in held] == [
        (str(i), v) for i, v in enumerate(FOLDS)
    ]
    assert rows(folds_csv(document([told("a", 0.9), told("b", 0.8)]))) == []


# --- figures ------------------------------------------------------------------------------------


def points_of(figure: Figure, panel: int, colour: str) -> list[float]:
    lines = figure.axes[panel].lines
    dots = [line for line in lines if line.get_marker() == "o" and line.get_color() == colour]
    return sorted(x for line in dots for x in line.get_xdata())  # type: ignore[union-attr]


def test_boxes_show_every_fold_of_both_sides() -> None:
    figure = drawn(comparison_plots.boxes(two()))
    for panel in range(3):
        held = points_of(figure, panel, comparison_plots.style.HELD_OUT)
        assert held == sorted([0.9, 0.92, *FOLDS])
        assert points_of(figure, panel, comparison_plots.style.TRAIN) == sorted(LEARNT * 2)
    assert "Dot: a fold" in title(figure) and "same 2 folds" in title(figure)
    assert ticks(figure.axes[0]) == ["a", "b"]


def test_without_folds_there_is_a_point_with_its_interval() -> None:
    runs = [told("a", 0.9, 0.99), told("b", 0.95, 0.98)]
    figure = drawn(comparison_plots.boxes(document(runs, on="test")))
    assert "95 % interval" in title(figure) and "Dot: a fold" not in title(figure)
    spans = [tuple(line.get_xdata()) for line in figure.axes[0].lines if len(line.get_xdata()) == 2]  # type: ignore[arg-type]
    assert spans == [pytest.approx((0.89, 0.91)), pytest.approx((0.94, 0.96))]


@pytest.mark.parametrize(("lowest", "shown"), [(0.05, True), (0.6, False)])
def test_an_axis_that_nearly_begins_at_0_begins_there(lowest: float, shown: bool) -> None:
    figure = drawn(comparison_plots.boxes(document([told("a", (lowest, 0.7)), told("b", FOLDS)])))
    for axes in figure.axes[:3]:
        assert ("0 %" in [tick.get_text() for tick in axes.get_xticklabels()]) == shown
        low, _ = axes.get_xlim()
        assert low < 0 if shown else low > 0


def test_where_one_panel_begins_at_0_all_do() -> None:
    comparing = document([told("a", (0.3, 0.7)), told("b", FOLDS)])
    low = told("a", (0.01, 0.7))["macro_f1"]
    comparing["runs"][0] = {**comparing["runs"][0], "macro_f1": low}
    figure = drawn(comparison_plots.boxes(comparing))
    assert all(axes.get_xlim()[0] < 0 for axes in figure.axes[:3])


def test_differences_are_drawn_below_the_best_filled_where_shown() -> None:
    comparing = document([told("a", 0.9), told("b", 0.95), told("c", 0.94)])
    for pair in comparing["pairs"]:
        if pair["runs"] == ["runs/b", "runs/c"]:
            pair["accuracy"] = {**pair["accuracy"], "shown": False}
    figure = drawn(comparison_plots.forest(comparing))
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [(d.get_ydata()[0], round(d.get_xdata()[0], 6)) for d in dots] == [(0, -5), (2, -1)]  # type: ignore[index]
    assert [d.get_markerfacecolor() != "white" for d in dots] == [True, False]
    (ends,) = figure.axes[0].child_axes
    assert ticks(ends) == [
        "−5.0 (−7.0 to −3.0)  p = 0.010",
        "the most accurate run: 95.0 %",
        "−1.0 (−3.0 to +1.0)  p = 0.010",
    ]


@pytest.mark.parametrize("n", [2, 12])
def test_long_names_never_overlap(n: int) -> None:
    runs = [told(f"{'subspecies-of-a-long-name-' * 6}{i}", FOLDS, LEARNT) for i in range(n)]
    for draw in (comparison_plots.boxes, comparison_plots.forest):
        figure = drawn(draw(document(runs)))
        assert overlaps(figure.axes[0].get_yticklabels()) == 0
        assert len(set(ticks(figure.axes[0]))) == n
        right = boxes(figure.axes[0].child_axes[0].get_yticklabels())
        assert max(box.x1 for box in right) < figure.axes[1].get_window_extent().x0
