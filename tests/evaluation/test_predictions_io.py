"""What is read of runs on disk before they are compared, and what is asked for where it lacks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imgcli import reading
from imgcli.errors import RunError
from imgcli.evaluation.predictions_io import differing, load, out_of_fold, pooled, run_json
from imgcli.files import save_arrays
from tests.support.runs import evaluated_run, judged, keep


def test_folds_are_compared_where_all_runs_have_them_else_the_test_part(tmp_path: Path) -> None:
    both = evaluated_run(tmp_path, judged(1, k=3), judged(2))
    tested = evaluated_run(tmp_path, test=judged(3))
    assert load([both, both], None)[0] == "folds"
    part, stored = load([both, tested], None)
    assert part == "test" and stored[str(both.folder)].predictions.folds is None
    assert load([both, both], "test")[0] == "test"


def test_a_run_without_folds_is_asked_for_those_the_others_have(tmp_path: Path) -> None:
    have = evaluated_run(tmp_path, judged(1, k=4), seed=3)
    lack = [evaluated_run(tmp_path, arch="two words", seed=seed) for seed in (3, 5)]
    with pytest.raises(RunError, match="has no out-of-fold predictions to compare") as error:
        load([have, *lack], None)
    asked = str(error.value).partition("Make them first: ")[2].split(" && ")
    assert asked == [
        f"imgcli evaluate --run {lack[0].folder} --folds 4",
        f"imgcli evaluate --run {lack[1].folder} --folds 4 --seed 3",
    ]


def test_a_run_under_runs_is_asked_for_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = evaluated_run(Path("runs"))
    with pytest.raises(RunError, match=rf"first: imgcli evaluate --run {made.folder.name}$"):
        load([made], "test")
    with pytest.raises(RunError, match=r"--folds 10$"):
        load([made], "folds")


def test_the_train_side_is_that_of_the_folds_that_were_predicted(tmp_path: Path) -> None:
    predicted = judged(0, k=4)
    made = evaluated_run(tmp_path, predicted, losses=[1.0])
    keep(made, "a0", judged(9, k=4), [1.0])  # other probabilities
    keep(made, "00", replace(predicted, fold=(predicted.fold + 1) % 4), [1.0])
    _, stored = load([made], "folds")
    one = stored[str(made.folder)]
    assert one.train_confusions is not None
    assert one.train_confusions.sum(axis=(1, 2)).tolist() == [45] * 4
    assert [path.parent.name for path in one.histories] == ["a1"] * 4


def test_a_damaged_fold_is_named_with_what_makes_it_again(tmp_path: Path) -> None:
    made = evaluated_run(tmp_path, judged(4, k=3))
    fold = made.folder / "folds" / "a1" / "fold-01.npz"
    fold.write_bytes(b"half")
    with pytest.raises(RunError, match=r"fold-01\.npz' cannot be read .*Remove it .* --folds 3"):
        load([made], "folds")


def test_damaged_folds_of_other_predictions_do_not_matter(tmp_path: Path) -> None:
    made = evaluated_run(tmp_path, judged(4, k=3))
    keep(made, "a0", judged(6, k=3), [])
    (made.folder / "folds" / "a0" / "fold-01.npz").write_bytes(b"half")
    assert load([made], "folds")[1][str(made.folder)].train_confusions is not None


def test_folds_that_are_missing_leave_no_train_side(tmp_path: Path) -> None:
    made = evaluated_run(tmp_path, judged(4, k=3))
    (made.folder / "folds" / "a1" / "fold-01.npz").unlink()
    one = load([made], "folds")[1][str(made.folder)]
    assert one.train_confusions is None and one.histories == ()
    assert run_json(one, one.predictions)["train"] is None


def test_a_run_is_told_by_its_figures_and_its_cost(tmp_path: Path) -> None:
    made = evaluated_run(tmp_path, judged(6, k=3))
    one = load([made], "folds")[1][str(made.folder)]
    told = run_json(one, one.predictions)
    assert (told["run"], told["arch"], told["seconds"]) == (str(made.folder), "tiny", 2.0)
    assert told["params"]["total"] == 100 and (told["n"], told["folds"]) == (60, 3)
    assert told["accuracy"]["value"] == 0.9
    assert told["accuracy"]["folds"] == pytest.approx([18 / 21, 18 / 21, 1])
    assert told["train"]["accuracy"]["folds"] == (1.0, 1.0, 1.0)


def test_on_the_test_part_the_train_side_is_the_trainings_own(tmp_path: Path) -> None:
    made = evaluated_run(tmp_path, test=judged(6))
    one = load([made], None)[1][str(made.folder)]
    told = run_json(one, one.predictions)
    assert told["train"]["accuracy"]["value"] == 1.0
    assert told["train"]["accuracy"]["ci95"] is None and told["accuracy"]["folds"] is None


def test_choices_differ_where_not_all_runs_made_the_same(tmp_path: Path) -> None:
    runs = [
        evaluated_run(tmp_path, arch="a", optimizer="sgd", momentum=0.9, model_args={"x": 1}),
        evaluated_run(tmp_path, arch="b", optimizer="adam", model_args={"x": 1}, track_test=True),
    ]
    assert differing(runs) == [
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adam", "momentum": None},
    ]


def test_rows_of_a_fold_may_be_in_any_order(tmp_path: Path) -> None:
    made = evaluated_run(tmp_path, judged(6, k=3))
    path = made.folder / "folds" / "a1" / "fold-00.npz"
    arrays = reading.read_arrays(path)
    turned = {key: np.flip(arrays[key], axis=0) for key in ("rows", "probs")}
    save_arrays(path, {**arrays, **turned})
    assert load([made], "folds")[1][str(made.folder)].train_confusions is not None


def test_repeats_are_pooled_with_their_train_sides_and_the_first_is_compared(
    tmp_path: Path,
) -> None:
    first, second = judged(0, k=4), judged(6, k=4)
    made = evaluated_run(tmp_path, first)
    keep(made, "b2", second, [])
    made.save_folds([first, second])
    one = load([made], "folds")[1][str(made.folder)]
    evaluation = pooled(one)
    assert evaluation.accuracy.value == pytest.approx(0.95)
    assert (evaluation.repeats, evaluation.n, len(evaluation.accuracy.folds or ())) == (2, 60, 8)
    assert evaluation.train is not None and len(evaluation.train["accuracy"].folds or ()) == 8
    told = run_json(one, one.predictions)
    assert (told["accuracy"]["value"], told["repeats"]) == (1.0, 2)
    assert len(told["train"]["accuracy"]["folds"]) == 4
    made.save_folds([first])
    assert load([made], "folds")[1][str(made.folder)].repeats == ()


def test_a_repeat_of_other_photos_is_refused(tmp_path: Path) -> None:
    made = evaluated_run(tmp_path)
    made.save_folds([judged(0, k=3), judged(0, k=3, n=30)])
    with pytest.raises(RunError, match=r"predictions-folds-2\.npz' is of other photos"):
        load([made], "folds")


def test_photos_that_the_dataset_lacks_are_noted_and_evaluated_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, data = evaluated_run(tmp_path, judged(1, k=2, n=6)), tmp_path / "dataset"
    assert len(out_of_fold(made, data)) == 6
    assert capsys.readouterr().err == ""  # it was moved or deleted
    (data / "cat").mkdir(parents=True)
    for name in ("1.jpg", "2.jpg"):
        (data / "cat" / name).touch()
    assert len(out_of_fold(made, data)) == 6
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith(f"'{data}' lacks 4 of 6 photos that the run '{made.folder}' was")
    assert told.endswith(f"imgcli evaluate --run {made.folder} --folds 2")
    for i in range(6):
        (data / "cat" / f"{i}.jpg").touch()
    out_of_fold(made, data)
    assert capsys.readouterr().err == ""
