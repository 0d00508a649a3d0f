"""`imgcli runs` and `imgcli show`: what there is, and removing some of it."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from imgcli.config import TrainConfig
from imgcli.files import locked
from imgcli.latest_run import remove_run
from imgcli.ledger import enter
from imgcli.run_lookup import sweep
from imgcli.runs import Run, new_run
from tests.support.runs import evaluated_run, judged
from tests.support.shell import Shell
from tests.support.trees import file_states

RUN_KEYS = {
    *("run", "date", "arch", "finished", "training", "latest", "accuracy", "data", "photos"),
    *("starts_from", "bytes", "problem"),
}


@pytest.fixture
def runs(here: Path) -> list[Run]:
    """Three finished runs and one that is not; the second starts from the first."""
    first = evaluated_run(Path("runs"), judged(6, k=3), judged(9, first=60))
    second = evaluated_run(Path("runs"), test=judged(12), weights=f"runs/{first.folder.name}")
    third = evaluated_run(Path("runs"))
    begun = new_run(Path("runs"), TrainConfig.of(arch="vgg11"), Path("dataset"))
    return [first, second, third, begun]


def names() -> set[str]:
    return {path.name for path in Path("runs").iterdir() if not path.name.startswith((".", "l"))}


def test_json_is_the_contract(runs: list[Run], shell: Shell) -> None:
    document = shell.json("runs")
    assert document.keys() == {"folder", "runs", "bytes"} and document["folder"] == "runs"
    assert all(run.keys() == RUN_KEYS for run in document["runs"])
    first, second, third, begun = document["runs"]
    assert first["accuracy"]["value"] == 0.9 and first["accuracy"]["n"] == 60
    assert (first["accuracy"]["on"], first["accuracy"]["folds"]) == ("folds", 3)
    low, high = first["accuracy"]["ci95"]
    assert 0.75 < low < 0.9 < high < 0.97
    assert (second["accuracy"]["value"], second["accuracy"]["on"]) == (0.8, "test")
    assert Path(second["starts_from"]).name == runs[0].folder.name
    assert third["accuracy"] is None and third["latest"] and not begun["finished"]
    sizes = [sum(f.stat().st_size for f in run.folder.rglob("*") if f.is_file()) for run in runs]
    assert [run["bytes"] for run in document["runs"]] == sizes and document["bytes"] == sum(sizes)
    assert begun["arch"] == "vgg11"


def test_the_list_can_be_sorted_and_be_a_table(runs: list[Run], shell: Shell) -> None:
    out = shell("runs", "--sort", "accuracy", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["accuracy"] for row in rows] == ["0.9", "0.8", "", ""]
    assert [row["state"] for row in rows].count("unfinished") == 1
    out = shell("runs").out
    assert "1 run unfinished. Remove with: imgcli runs --prune" in out and "3 folds" in out


def test_no_runs_are_no_error(here: Path, shell: Shell) -> None:
    code, out, _ = shell("runs")
    assert code == 0 and "No run in 'runs/'" in out
    assert shell.json("runs")["runs"] == []


def test_a_damaged_run_is_listed_with_the_reason(runs: list[Run], shell: Shell) -> None:
    (runs[0].folder / "predictions-folds.npz").write_bytes(b"half")
    (runs[2].folder / "config.json").write_text("{")
    document = shell.json("runs")
    assert "predictions-folds.npz' cannot be read" in document["runs"][0]["problem"]
    assert "config.json' cannot be read" in document["runs"][2]["problem"]
    code, out, _ = shell("runs")
    assert code == 0 and out.count("Damaged: ") == 2


def test_pruning_removes_unfinished_runs(runs: list[Run], shell: Shell) -> None:
    size = shell.json("runs")["runs"][3]["bytes"]
    document = shell.json("runs", "--prune", "--yes")
    assert document.keys() == {"folder", "removed", "freed", "left", "warnings"}
    assert document["freed"] == size and document["left"] == []
    assert names() == {run.folder.name for run in runs[:3]}
    assert "Nothing to remove." in shell("runs", "--prune", "--yes").out


def test_pruning_asks_and_without_a_terminal_removes_nothing(
    runs: list[Run], shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file_states(Path("runs"))
    code, _, error = shell("runs", "--prune")
    assert code == 2 and "Add --yes" in error and file_states(Path("runs")) == before
    for answer, code, n in (("n\n", 1, 4), ("y\n", 0, 3)):
        typed = io.StringIO(answer)
        monkeypatch.setattr(typed, "isatty", lambda: True)
        monkeypatch.setattr("sys.stdin", typed)
        assert shell("runs", "--prune").code == code
        assert len(names()) == n


def test_the_latest_run_and_sources_of_others_stay_unless_named(
    runs: list[Run], shell: Shell
) -> None:
    document = shell.json("runs", "--prune", "--keep", "0", "--yes")
    assert [Path(run["run"]).name for run in document["removed"]] == [
        run.folder.name
        for run in runs[:2]  # nothing that stays started from them
    ]
    (left,) = document["left"]
    assert left["run"] == str(runs[2].folder) and "latest" in left["reason"]


def test_a_run_that_a_staying_run_started_from_stays(runs: list[Run], shell: Shell) -> None:
    document = shell.json("runs", "--prune", "--keep", "2", "--yes")
    assert document["removed"] == []
    (left,) = document["left"]
    assert left["run"] == str(runs[0].folder)
    assert left["reason"] == f"'{runs[1].folder.name}' started from it; name it to remove it"
    document = shell.json("runs", "--prune", runs[0].folder.name, "--yes")
    assert len(document["removed"]) == 1 and "started from" in document["warnings"][0]


def test_latest_points_to_the_newest_that_is_left(runs: list[Run], shell: Shell) -> None:
    shell.json("runs", "--prune", "latest", "--yes")
    assert os.readlink("runs/latest") == runs[1].folder.name
    shell.json("runs", "--prune", runs[0].folder.name, runs[1].folder.name, "--yes")
    assert not os.path.lexists("runs/latest") and names() == {runs[3].folder.name}


def test_a_run_that_is_being_trained_is_not_removed(runs: list[Run], shell: Shell) -> None:
    with locked(runs[3].folder / ".training.lock"):
        assert shell.json("runs")["runs"][3]["training"] is True
        document = shell.json("runs", "--prune", "--yes")
        assert document["removed"] == [] and "working on it" in document["left"][0]["reason"]
        document = shell.json("runs", "--prune", runs[3].folder.name, "--yes")
        assert document["removed"] == [] and runs[3].folder.is_dir()


def test_a_kill_leaves_no_half_of_a_run(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", killed)
        remove_run(runs[0])
    assert names() == {run.folder.name for run in runs[1:]}
    (left,) = Path("runs").glob(".imgcli-*")
    left.rename(left.with_name(left.name.replace(str(os.getpid()), "999999999")))
    sweep(Path("runs"))  # of the next command
    assert not list(Path("runs").glob(".imgcli-*"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("runs --keep 3", 2, "--keep goes with --prune"),
        ("runs --yes", 2, "--yes goes with --prune"),
        ("runs --prune --format csv", 2, "with --prune use --json"),
        ("runs nothing", 1, "No run 'nothing' in 'runs/'. There are '"),
        ("runs --prune nothing --yes", 1, "No run 'nothing' in 'runs/'"),
        ("show nothing", 1, "No run 'nothing' in 'runs/'"),
    ],
)
def test_mistakes_are_sentences(
    runs: list[Run], shell: Shell, words: str, code: int, said: str
) -> None:
    typed = shell(*words.split())
    assert (typed.code, typed.out) == (code, "") and said in typed.err
    assert len(names()) == 4


def test_a_run_is_shown_with_all_that_was_done_with_it(runs: list[Run], shell: Shell) -> None:
    enter(runs[0], judged(9).digests or ["a"], "evaluate")
    document = shell.json("show", runs[0].folder.name)
    assert set(document) >= RUN_KEYS - {"problem"} | {
        *("config", "data_there", "classes", "params", "accuracies", "temperature", "done"),
        *("files", "problems", "input", "seconds", "train", "val", "test", "chosen"),
    }
    assert [one["on"] for one in document["accuracies"]] == ["folds", "test"]
    assert document["config"]["asked"] is None and document["config"]["settled"]["arch"] == "tiny"
    done = [one["what"] for one in document["done"]]
    assert "test part scored by `evaluate`, n = 1" in done and "evaluated by folds" in done
    assert sum(one["bytes"] for one in document["files"]) == document["bytes"]
    assert document["problems"] == [] and document["data_there"] is False
    code, out, _ = shell("show", runs[0].folder.name)
    assert code == 0 and "90.0 % (95 % interval" in out and "(not there now)" in out
    assert " kB" in out and "\\x" not in out


def test_an_unfinished_and_a_damaged_run_can_be_shown(runs: list[Run], shell: Shell) -> None:
    assert "unfinished" in shell("show", runs[3].folder.name).out
    (runs[0].folder / "evaluation.json").write_text(json.dumps({}))
    code, out, _ = shell("show", runs[0].folder.name)
    assert code == 0 and "Damaged: " in out
