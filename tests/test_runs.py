"""What is written is whole or not there; runs are found, unfinished ones kept apart."""

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imgcli.config import TrainConfig
from imgcli.errors import RunError, StorageError, WrongUsage
from imgcli.files import (
    atomic_file,
    locked,
    need_space,
    sweep_temporaries,
    write_atomic,
    write_json,
)
from imgcli.latest_run import finish_run, make_room_for_latest, through_latest
from imgcli.records import Predictions
from imgcli.run_lookup import find_run, find_runs, unfinished_run
from imgcli.runs import Run, finished_runs, named, new_run

CONFIG = TrainConfig.of(arch="small-cnn", model_args={"pad_type": "same"})


def predictions(paths: tuple[str, ...] = ("train/a/1.jpg", "train/b/2.jpg")) -> Predictions:
    return Predictions(
        classes=("a", "b"),
        indices=np.array([0, 5]),
        targets=np.array([0, 1]),
        probs=np.array([[0.75, 0.25], [0.5, 0.5]]),
        fold=np.array([0, 1]),
        groups=np.array([0, 1]),
        paths=paths,
        on="train",
    )


# --- writing ------------------------------------------------------------------------------------


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write_atomic(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as temporary:
        temporary.write_text("half of the n")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["figures.json"]


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("x" * 251 + ".jpg"), b"photo")
    assert len(list(tmp_path.iterdir())) == 1


def test_killed_writers_leave_temporaries_that_are_swept(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from imgcli import files, runs\n"
        "with files.atomic_file(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "model.json"])
    assert not (tmp_path / "model.json").exists() and len(list(tmp_path.iterdir())) == 1
    sweep_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_json_takes_numpy_and_names_that_are_not_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    write_json(tmp_path / "x.json", {"n": np.int64(3), "a": np.eye(2), "path": name})
    document = json.loads((tmp_path / "x.json").read_text())
    assert document == {"n": 3, "a": [[1.0, 0.0], [0.0, 1.0]], "path": name}


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / ".raw.lock"
    with locked(lock):
        with pytest.raises(StorageError, match="Another imgcli is writing here"):
            with locked(lock):
                raise AssertionError("reached")
    with locked(lock):
        pass
    assert not lock.exists()


COUNTING = """
import math, sys; from pathlib import Path; from imgcli import files
for _ in range(25):
    with files.locked(Path("lock"), wait=math.inf):
        count = Path("count"); number = int(count.read_text()); count.write_text(str(number + 1))
"""


def test_writers_that_wait_take_turns_though_each_removes_the_lock(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    writers = [subprocess.Popen([sys.executable, "-c", COUNTING], cwd=tmp_path) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert (tmp_path / "count").read_text() == "100"
    assert [file.name for file in tmp_path.iterdir()] == ["count"]


def test_a_killed_holder_holds_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from imgcli import files\n"
        "with files.locked(Path(sys.argv[1])): os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "lock"])
    assert (tmp_path / "lock").exists()
    with locked(tmp_path / "lock"):
        pass


def test_waiting_for_a_lock_ends_in_the_same_sentence(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(StorageError, match="Another imgcli"):
        with locked(tmp_path / "lock", wait=0.1):
            raise AssertionError("reached")


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_once_and_the_work_goes_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        with locked(tmp_path / "lock"):
            (tmp_path / "written").touch()
    assert capsys.readouterr().err.count(f"'{tmp_path}' keeps no locks") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["written"]


def test_space_is_asked_for_before_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"A copy of 'raw' needs [\d,]+ MB in .* are free"):
        need_space(tmp_path, 10**15, "A copy of 'raw'")
    need_space(tmp_path, 1, "a byte")


# --- runs ---------------------------------------------------------------------------------------


def test_a_run_gives_its_config_and_predictions_back(tmp_path: Path) -> None:
    run = new_run(tmp_path, CONFIG, Path("dataset"))
    assert run.config == CONFIG and run.data == Path("dataset")
    odd = predictions((os.fsdecode(b"train/a/caf\xe9.jpg"), "train/b/two\nlines.jpg"))
    run.save_predictions("predictions-folds.npz", odd)
    found = run.load_predictions("predictions-folds.npz")
    assert (found.paths, found.classes, found.on) == (odd.paths, odd.classes, odd.on)
    for name in ("indices", "targets", "probs", "fold", "groups"):
        np.testing.assert_array_equal(getattr(found, name), getattr(odd, name))


def test_latest_is_the_newest_finished_run(tmp_path: Path) -> None:
    first, second, unfinished = (new_run(tmp_path, CONFIG, Path("d")) for _ in range(3))
    assert len({first.folder, second.folder, unfinished.folder}) == 3  # within one second
    finish_run(first, {})
    finish_run(second, {})
    assert find_run("latest", tmp_path).folder == second.folder
    assert find_run(first.folder.name, tmp_path).folder == first.folder
    assert find_run(str(first.folder), tmp_path / "elsewhere").folder == first.folder
    assert unfinished_run(None, tmp_path).folder == unfinished.folder


def test_runs_that_are_not_there_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"No finished run in .* Train one first: imgcli train"):
        find_run("latest", tmp_path)
    run = new_run(tmp_path, CONFIG, Path("d"))
    with pytest.raises(RunError, match=f"is not a finished run.*--resume --run {run.folder.name}"):
        find_run(run.folder.name, tmp_path)
    finish_run(run, {})
    with pytest.raises(RunError, match=f"No run 'mine' in .*There are {run.folder.name}"):
        find_run("mine", tmp_path)
    with pytest.raises(RunError, match="No unfinished run to resume"):
        unfinished_run(None, tmp_path)


def finished(runs: Path, n: int) -> list[Path]:
    made = [new_run(runs, CONFIG, Path("d")) for _ in range(n)]
    for run in made:
        finish_run(run, {})
    return [run.folder for run in made]


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system such as exFAT or an SMB share, which refuses symbolic links."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)


@pytest.mark.usefixtures("no_links")
def test_without_links_latest_is_a_file_that_every_way_of_naming_a_run_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = finished(tmp_path, 2)
    latest = tmp_path / "latest"
    assert latest.read_text() == f"{second.name}\n" and not latest.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([first.name, second.name, "latest"])
    for name in ("latest", str(latest)):
        assert find_run(name, tmp_path).folder == second
    assert through_latest(latest / "merges.json") == second / "merges.json"
    assert through_latest(latest) == second
    assert [run.folder for run in find_runs(["latest", first.name], tmp_path)] == [second, first]
    found = find_runs(sorted(map(str, tmp_path.iterdir())))
    assert sorted(run.folder for run in found) == [first, second]
    assert f"latest' is left out: it is '{second.name}'" in capsys.readouterr().err


def test_a_latest_that_a_copy_made_a_folder_stands_for_the_run_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = finished(tmp_path / "here", 2)
    there = tmp_path / "there"
    shutil.copytree(tmp_path / "here", there)  # follows links, as scp -r and zip -r do
    assert find_run("latest", there).folder == there / second.name
    names = sorted(map(str, there.iterdir()))
    assert [run.folder.name for run in find_runs(names)] == [first.name, second.name]
    make_room_for_latest(there)
    assert "was a folder, not a link to a run" in capsys.readouterr().err
    (third,) = finished(there, 1)
    assert find_run("latest", there).folder == third and (there / "latest").is_symlink()
    kept = next(there.glob("latest.replaced-*"))
    assert Run(kept).finished
    assert [run.folder.name for run in finished_runs(there)] == sorted(
        [first.name, second.name, third.name]
    )


def test_a_copied_latest_alone_is_a_run_by_itself(tmp_path: Path) -> None:
    (folder,) = finished(tmp_path / "here", 1)
    shutil.copytree(folder, tmp_path / "there" / "latest")
    assert find_run("latest", tmp_path / "there").folder == tmp_path / "there" / "latest"


@pytest.mark.parametrize("left", ["nothing", "dangling", "empty folder", "other file"])
def test_where_latest_points_nowhere_the_newest_finished_run_is_used_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], left: str
) -> None:
    _, second = finished(tmp_path, 2)
    latest = tmp_path / "latest"
    latest.unlink()
    if left == "dangling":
        latest.symlink_to("20000101-000000-gone")
    elif left == "empty folder":
        latest.mkdir()
    elif left == "other file":
        latest.write_bytes(b"\x00\xff not a name")
    assert find_run("latest", tmp_path).folder == second
    assert f"the newest finished run is used: '{second.name}'" in capsys.readouterr().err
    finished(tmp_path, 1)
    assert latest.is_symlink() and find_run("latest", tmp_path).folder == latest.resolve()
    assert len(list(tmp_path.glob("latest.replaced-*"))) == (left in ("empty folder", "other file"))


def test_an_unfinished_latest_is_resumed_by_its_own_name(tmp_path: Path) -> None:
    run = new_run(tmp_path, CONFIG, Path("d"))
    (tmp_path / "latest").symlink_to(run.folder.name)
    with pytest.raises(RunError, match=f"--resume --run {run.folder.name} --out {tmp_path}"):
        find_run("latest", tmp_path)


def test_what_a_star_catches_beside_runs_is_left_out_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = finished(tmp_path, 2)
    (tmp_path / "comparison").mkdir()
    (tmp_path / "test-ledger.jsonl").touch()
    (tmp_path / "gone").symlink_to("nowhere")
    caught = sorted(map(str, tmp_path.iterdir()))
    assert len(caught) == 6
    for names in (caught, caught[::-1]):
        found = [run.folder for run in find_runs(names, Path("runs"))]
        assert sorted(found) == folders
        notes = capsys.readouterr().err
        for name in ("comparison", "test-ledger.jsonl", "gone"):
            assert f"{name}' is left out: it is not a run's folder" in notes
        assert f"latest' is left out: it is '{folders[1].name}', which is named itself" in notes


def test_an_unfinished_run_that_a_star_catches_is_not_left_out(tmp_path: Path) -> None:
    finished(tmp_path, 1)
    new_run(tmp_path, CONFIG, Path("d"))
    with pytest.raises(RunError, match="is not a finished run"):
        find_runs(sorted(map(str, tmp_path.iterdir())))


def test_a_run_that_is_typed_twice_is_refused(tmp_path: Path) -> None:
    (folder,) = finished(tmp_path, 1)
    for names in ([folder.name] * 2, ["latest"] * 2, [folder.name, str(folder)]):
        with pytest.raises(WrongUsage, match=f"{folder.name}' is named twice"):
            find_runs(names, tmp_path)


def test_a_path_that_is_no_run_is_called_so(tmp_path: Path) -> None:
    (folder,) = finished(tmp_path / "runs", 1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    for path in (tmp_path / "photos", tmp_path / "photos" / "cat.jpg"):
        match = f"'{path}' is not a run's folder. There are {folder.name}"
        with pytest.raises(RunError, match=match):
            find_run(str(path), tmp_path / "runs")
        with pytest.raises(RunError, match=match):  # nor was it caught beside the runs
            find_runs([str(folder), str(path)], tmp_path / "runs")


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_damaged_predictions_are_a_sentence(tmp_path: Path, damage: bytes) -> None:
    run = new_run(tmp_path, CONFIG, Path("d"))
    (run.folder / "p.npz").write_bytes(damage)
    with pytest.raises(RunError, match=r"p\.npz' cannot be read .* Restore it or train again"):
        run.load_predictions("p.npz")


def test_a_cut_file_of_predictions_is_a_sentence_wherever_it_is_cut(tmp_path: Path) -> None:
    run = new_run(tmp_path, CONFIG, Path("d"))
    run.save_predictions("p.npz", predictions())
    whole = (run.folder / "p.npz").read_bytes()
    for cut in range(0, len(whole), 97):
        (run.folder / "p.npz").write_bytes(whole[:cut])
        with pytest.raises(RunError):
            run.load_predictions("p.npz")


def test_another_format_is_refused_with_both_numbers(tmp_path: Path) -> None:
    run = new_run(tmp_path, CONFIG, Path("d"))
    (run.folder / "config.json").write_text('{"format": 9}')
    with pytest.raises(RunError, match=r"has run format 9; this imgcli \(.*\) reads format 1"):
        _ = run.config


def test_a_run_is_named_by_its_folder_alone_only_under_runs(tmp_path: Path) -> None:
    assert named(Run(Path("runs/a b"))) == "a b"
    assert named(Run(tmp_path / "a b")) == str(tmp_path / "a b")


@pytest.mark.parametrize(
    ("part", "words"), [("folds", "evaluate --folds 10"), ("test", "evaluate")]
)
def test_damaged_predictions_are_made_again_by_judging(
    tmp_path: Path, part: str, words: str
) -> None:
    run = new_run(tmp_path, CONFIG, Path("d"))
    (run.folder / f"predictions-{part}.npz").write_bytes(b"junk")
    with pytest.raises(RunError, match=f"damaged.*Remove it .*: imgcli {words} --run '?/"):
        run.load_predictions(f"predictions-{part}.npz")
