"""`imgcli compare` as it is typed, on runs written by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from imgcli.evaluation.paired_tests import exact_mcnemar_test
from tests.support.runs import evaluated_run, judged
from tests.support.shell import Shell, imgcli

pytestmark = pytest.mark.usefixtures("here")

FILES = {
    *(f"{name}.{kind}" for name in ("boxes", "differences", "loss") for kind in ("png", "svg")),
    *("comparison.csv", "folds.csv", "loss.csv", "comparison.json"),
}


def made(*wrong: int, k: int = 3, **choices: Any) -> list[str]:
    """Names of runs that got so many photos wrong."""
    losses = [2.0 - i / 10 for i in range(12)]
    return [
        evaluated_run(
            Path("runs"), judged(n, k=k), judged(n), losses, dropout=n / 100, **choices
        ).folder.name
        for n in wrong
    ]


def refused(shell: Shell, *words: str) -> tuple[int, str]:
    code, out, err = shell("compare", *words)
    assert out == ""
    return code, err


@pytest.mark.usefixtures("rendered")
def test_two_runs_are_compared_and_everything_lies_beside_them(shell: Shell) -> None:
    names = made(12, 0)
    found = shell.json("compare", "--quiet", *names, "--window", "5")
    assert [one["run"] for one in found["runs"]] == [f"runs/{name}" for name in names]
    assert found["best"] == f"runs/{names[1]}" and found["between"][0] == found["best"]
    assert found["difference"] == pytest.approx(0.2) and found["paired_on"] == 60
    assert found["p_value"] == pytest.approx(exact_mcnemar_test(judged(12), judged(0)))
    assert (found["on"], found["same_folds"], found["left_out"]) == ("folds", True, 0)
    assert found["runs"][0]["options"] == {"dropout": 0.12}
    assert found["runs"][0]["train"]["accuracy"]["folds"] == [1.0] * 3
    assert {path.name for path in Path("runs/comparison").iterdir()} == FILES
    assert all(Path(path).is_file() for path in found["files"])
    stored = json.loads(Path("runs/comparison/comparison.json").read_text())
    assert stored == found


def test_of_several_runs_the_best_two_stand_on_top(shell: Shell) -> None:
    names = made(30, 0, 20, 3)
    found = shell.json("compare", "--quiet", *names)
    assert found["between"] == [f"runs/{names[1]}", f"runs/{names[3]}"]
    assert found["difference"] == pytest.approx(3 / 60)
    assert len(found["pairs"]) == 6
    assert found["p_value"] == found["pairs"][0]["accuracy"]["p_value"]
    assert found["p_value"] > found["pairs"][0]["accuracy"]["p_alone"] - 1e-12


def test_the_table_says_who_is_best_and_what_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = made(0, 1)
    assert imgcli("compare", *names, "--out", "kept") == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "tiny, dropout 0 (best)" in out and "no difference in accuracy shown" in out
    assert "same 3 folds" in out and "Written: kept/boxes.png" in out
    assert "loss.png" not in out  # no run has 50 batches
    assert {path.name for path in Path("kept").iterdir()} == FILES - {"loss.png", "loss.svg"}


def test_an_earlier_comparison_is_replaced_whole(shell: Shell) -> None:
    names = made(0, 1)
    shell.json("compare", "--quiet", *names, "--window", "5")
    shell.json("compare", "--quiet", *names)
    assert not Path("runs/comparison/loss.png").exists()


def test_nothing_but_a_comparison_is_replaced(shell: Shell) -> None:
    names = made(0, 1)
    Path("photos").mkdir()
    Path("photos/cat.jpg").write_bytes(b"a photo")
    code, err = refused(shell, *names, "--out", "photos")
    assert code == 1 and "'photos' holds more than a comparison: 'cat.jpg'" in err
    code, err = refused(shell, *names, "--out", "photos/cat.jpg")
    assert code == 1 and "'photos/cat.jpg' is a file" in err
    assert Path("photos/cat.jpg").read_bytes() == b"a photo"


def test_the_test_part_is_compared_where_asked(shell: Shell) -> None:
    names = made(4, 0)
    found = shell.json("compare", "--quiet", *names, "--on", "test")
    assert found["on"] == "test" and found["runs"][0]["folds"] is None
    assert found["same_folds"] is False and found["pairs"][0]["accuracy"]["folds"] is None


def test_one_seed_gives_one_result(shell: Shell) -> None:
    names = made(4, 0)
    first = shell.json("compare", "--quiet", *names)
    assert shell.json("compare", "--quiet", *names) == first
    other = shell.json("compare", "--quiet", *names, "--seed", "1")
    assert other["pairs"] != first["pairs"] and other["runs"] != first["runs"]
    assert other["p_value"] == first["p_value"]  # the exact test draws nothing


def test_a_run_is_not_compared_with_itself_or_with_nothing(shell: Shell) -> None:
    (name,) = made(0)
    code, err = refused(shell, name, f"runs/{name}")
    assert code == 2 and f"'runs/{name}' is named twice" in err
    for names in ([name], [name, "latest"]):
        code, err = refused(shell, *names)
        assert code == 2 and f"'runs/{name}', has nothing to be compared with" in err


def test_everything_in_the_folder_of_runs_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    names = made(4, 0)
    Path("runs/test-ledger.jsonl").touch()
    Path("runs/tune-study").mkdir()
    for _ in range(2):  # the second time with the comparison of the first
        caught = sorted(map(str, Path("runs").iterdir()))
        assert imgcli("compare", *caught, "--json") == 0
        out, err = capsys.readouterr()
        assert [run["run"] for run in json.loads(out)["runs"]] == [f"runs/{n}" for n in names]
        assert err.count("left out") == len(caught) - 2


def test_a_run_without_folds_is_told_what_to_type(shell: Shell) -> None:
    (name,) = made(0)
    lacking = evaluated_run(Path("runs")).folder.name
    code, err = refused(shell, name, lacking)
    assert code == 1 and f"imgcli evaluate --run {lacking} --folds 3" in err
    code, err = refused(shell, name, "nosuch")
    assert code == 1 and "No run 'nosuch'" in err


def test_an_edited_comparison_is_kept_aside(shell: Shell) -> None:
    names = made(12, 0)
    shell.json("compare", "--quiet", *names)
    shell.json("compare", "--quiet", *names)
    assert not list(Path("runs").glob("comparison.replaced-*"))
    Path("runs/comparison/folds.csv").write_text("my,own,columns")
    shell.json("compare", "--quiet", *names)
    (aside,) = Path("runs").glob("comparison.replaced-*")
    assert (aside / "folds.csv").read_text() == "my,own,columns"
