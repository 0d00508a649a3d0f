import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli.records import Evaluation
from imgcli.report.plots import confusion, style, training
from imgcli.report.plots import evaluation as evaluation_plots
from tests.support.evaluations import ODD_NAMES, evaluation, matrix
from tests.support.figures import curves, dots, drawn, long_names, overlaps, ticks, title

FOLDS = (0.92, 0.94, 0.95, 0.97)
TRAIN = (0.99, 0.995, 1.0, 1.0)


# --- confusion ----------------------------------------------------------------------------------


def test_no_text_is_cut_at_the_edge_of_the_file(tmp_path: Path) -> None:
    names = ["W" * 45, *ODD_NAMES[:8], "z" * 45]
    several = evaluation(matrix(10), names, folds=FOLDS, train=TRAIN)
    for draw in (confusion.confusion, evaluation_plots.precision, evaluation_plots.folds):
        path = tmp_path / "figure.png"
        style.save(draw(several), path)
        pixels = np.asarray(Image.open(path).convert("L"))
        inside = pixels[10:-10, 10:-10]
        assert inside.min() < 100
        assert pixels.sum() - inside.sum() == 255 * (pixels.size - inside.size)


def test_the_same_evaluation_gives_the_same_file(tmp_path: Path) -> None:
    several = evaluation(matrix(5), folds=FOLDS, train=TRAIN)
    for draw in (confusion.confusion, evaluation_plots.folds):
        for name in ("a.png", "b.png"):
            style.save(draw(several), tmp_path / name)
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


# --- folds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3, 10, 20])
def test_every_fold_has_its_point_on_both_sides(k: int) -> None:
    held_out = np.linspace(0.8, 0.9, k).tolist()
    train = np.linspace(0.9, 1.0, k).tolist()
    figure = drawn(evaluation_plots.folds(evaluation(matrix(4), folds=held_out, train=train)))
    assert dots(figure) == [train, held_out] * 3
    axes = figure.axes[0]
    assert [tick.split("\n")[0] for tick in ticks(axes, "x")] == ["train", "held out"] * 3
    assert overlaps(axes.get_xticklabels()) == 0
    assert f"{k} folds" in title(figure) and "n = 240" in title(figure)


def test_without_train_figures_the_held_out_side_stands_alone() -> None:
    figure = evaluation_plots.folds(evaluation(matrix(4), folds=FOLDS))
    assert dots(figure) == [sorted(FOLDS)] * 3
    assert ticks(figure.axes[0], "x") == ["held out\n94.5 ± 2.1 %"] * 3


def test_equal_folds_stay_apart_and_off_their_box() -> None:
    figure = evaluation_plots.folds(evaluation(matrix(4), folds=[0.9] * 20))
    line = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    xs = np.sort(line.get_xdata())
    box = next(patch for patch in figure.axes[0].patches).get_path().get_extents()
    assert np.diff(xs).min() > 0.004 and xs[0] > box.x1


# --- precision ----------------------------------------------------------------------------------


def test_precisions_stand_lowest_first_with_their_n() -> None:
    figure = evaluation_plots.precision(
        evaluation([[8, 2, 0], [0, 9, 0], [0, 1, 0]], ["a", "b", "c"])
    )
    axes = figure.axes[0]
    assert ticks(axes) == ["c", "b", "a"]
    assert ticks(axes.child_axes[0]) == ["–  never predicted", "9 of 12", "8 of 8"]
    (points,) = (line for line in axes.lines if line.get_marker() == "o")
    assert points.get_xdata()[1:].tolist() == [0.75, 1.0] and np.isnan(points.get_xdata()[0])
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    assert bars[1:] == [pytest.approx((0.675, 0.75)), pytest.approx((0.9, 1.0))]
    assert axes.yaxis_inverted()  # the first on top


def test_of_equal_precisions_the_one_with_more_behind_it_stands_first() -> None:
    axes = evaluation_plots.precision(evaluation(np.diag([3, 7]))).axes[0]
    assert ticks(axes) == ["class_001", "class_000"]


@pytest.mark.parametrize("k", [2, 30, 100])
def test_precisions_are_readable_however_many_classes(k: int) -> None:
    figure = drawn(evaluation_plots.precision(evaluation(matrix(k), long_names(k))))
    names, hits = figure.axes[0].get_yticklabels(), figure.axes[0].child_axes[0].get_yticklabels()
    assert len(names) == len(hits) == k
    assert overlaps(names) == overlaps(hits) == 0
    assert overlaps(figure.axes[0].get_xticklabels()) == 0


def test_precisions_where_no_class_was_predicted_are_all_dashes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(style, "MAX_CLASSES", 2)
    figure = drawn(evaluation_plots.precision(evaluation([[0, 0, 2], [0, 0, 2], [0, 0, 2]])))
    assert ticks(figure.axes[0].child_axes[0]) == ["–  never predicted"] * 2
    assert "Shown: the 2 of 3 classes with the lowest precision" in title(figure)


def test_the_macro_precision_is_marked_and_named() -> None:
    figure = evaluation_plots.precision(evaluation([[3, 1], [0, 4]], on="test"))
    assert "Dotted: macro precision 87.5 % (95 % interval 86.5–88.5 %)" in title(figure)
    assert "8 photos, the test part" in title(figure)
    assert any(list(line.get_xdata()) == [0.875, 0.875] for line in figure.axes[0].lines)


def test_an_evaluation_without_intervals_is_drawn() -> None:
    bare = evaluation(matrix(3))
    rows = tuple(dataclasses.replace(row, precision_ci95=None) for row in bare.per_class)
    macro = dataclasses.replace(bare.macro_precision, ci95=None)
    without: Evaluation = dataclasses.replace(bare, per_class=rows, macro_precision=macro)
    assert "interval" not in title(drawn(evaluation_plots.precision(without))).split("Dot:")[0]


# --- history ------------------------------------------------------------------------------------


def row(epoch: int, part: str, loss: float | None, accuracy: float | None, **more: object) -> dict:
    return {"epoch": epoch, "part": part, "loss": loss, "accuracy": accuracy, **more}


ROWS = [
    row(2, "train", 0.5, 0.8),
    row(1, "train", 1.0, 0.5),
    row(1, "val", 1.2, 0.4),
    row(2, "val", 0.9, 0.6, n=1850),
]


def test_each_part_has_its_curve_in_the_order_of_the_epochs() -> None:
    loss, accuracy = training.history(ROWS).axes
    assert curves(loss) == {
        "train": [[1, 1.0], [2, 0.5]],
        "validation": [[1, 1.2], [2, 0.9]],
    }
    assert curves(accuracy)["validation"] == [[1, 0.4], [2, 0.6]]


def test_the_batches_of_an_epoch_lead_up_to_it() -> None:
    batches = [row(1, "batch", 3.0, None), row(1, "batch", 2.0, None), row(2, "batch", 1.0, None)]
    loss, accuracy = training.history([*batches, *ROWS]).axes
    assert curves(loss)["each batch"] == [[0.5, 3.0], [1.0, 2.0], [2.0, 1.0]]
    assert "each batch" not in curves(accuracy) | curves(training.history(ROWS).axes[0])
    assert "2 epochs" in title(loss.get_figure())


def test_a_fitted_head_shows_what_was_minimised_at_each_iteration() -> None:
    rows = [row(i, "batch", 3.0 - i, None) for i in range(3)] + [row(2, "val", 0.2, 0.9)]
    figure = training.history(rows, unit="iteration")
    loss = figure.axes[0]
    assert curves(loss)["objective: loss + penalty"] == [[0, 3.0], [1, 2.0], [2, 1.0]]
    assert loss.get_xlabel() == "iteration" and "2 iterations" in title(figure)
    assert "Objective over all photos" in title(figure)


def test_the_test_curve_is_there_only_when_it_was_tracked() -> None:
    tracked = training.history([*ROWS, row(1, "test", 1.3, 0.3), row(2, "test", 1.0, 0.5)])
    assert list(curves(tracked.axes[0])) == ["train", "validation", "test"]
    shown = [text.get_text() for text in tracked.axes[0].get_legend().get_texts()]
    assert shown == ["train", "validation", "test"]


def test_the_kept_epoch_is_marked_with_what_its_weights_can_do() -> None:
    figure = training.history(ROWS, kept=2)
    for axes in figure.axes:
        assert any(list(line.get_xdata()) == [2, 2] for line in axes.lines)
    assert "the weights of epoch 2; validation accuracy 60.0 % (n = 1,850)" in title(figure)
    assert "60.0" not in title(training.history(ROWS))


def test_a_loss_that_is_not_finite_leaves_a_gap() -> None:
    rows = [row(1, "train", 1.0, 0.5), row(2, "train", float("inf"), None), row(3, "train", 2, 0.6)]
    loss, accuracy = drawn(training.history(rows)).axes
    assert np.isnan(curves(loss)["train"][1][1]) and np.isnan(curves(accuracy)["train"][1][1])
    assert loss.get_ylim()[1] < 3


def test_one_epoch_is_a_visible_point_at_a_whole_number() -> None:
    figure = drawn(training.history([row(1, "train", 1.0, 0.5)], kept=1))
    assert figure.axes[0].lines[0].get_marker() == "o"
    low, high = figure.axes[0].get_xlim()
    assert [x for x in figure.axes[0].get_xticks() if low <= x <= high] == [0, 1]
    assert "1 epoch " in title(figure)


def test_accuracy_is_seen_against_all_and_loss_against_none() -> None:
    loss, accuracy = training.history(ROWS).axes
    assert loss.get_ylim()[0] == 0 and accuracy.get_ylim()[1] >= 1
