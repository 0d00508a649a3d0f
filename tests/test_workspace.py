"""What is written is whole or not there; runs are found, unfinished ones kept apart."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imgcli import storage, workspace
from imgcli.errors import RunError, StorageError, WrongUsage
from imgcli.records import Predictions, TrainConfig

CONFIG = TrainConfig(arch="small-cnn", model_args={"pad_type": "same"})


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
    storage.write_atomic(path, "old")
    with pytest.raises(ZeroDivisionError), storage.atomic_file(path) as temporary:
        temporary.write_text("half of the n")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["figures.json"]


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    storage.write_atomic(tmp_path / ("x" * 251 + ".jpg"), b"photo")
    assert len(list(tmp_path.iterdir())) == 1


def test_killed_writers_leave_temporaries_that_are_swept(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from imgcli import storage, workspace\n"
        "with storage.atomic_file(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "model.json"])
    assert not (tmp_path / "model.json").exists() and len(list(tmp_path.iterdir())) == 1
    storage.sweep_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_json_takes_numpy_and_names_that_are_not_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    storage.write_json(tmp_path / "x.json", {"n": np.int64(3), "a": np.eye(2), "path": name})
    document = json.loads((tmp_path / "x.json").read_text())
    assert document == {"n": 3, "a": [[1.0, 0.0], [0.0, 1.0]], "path": name}


# --- folders made whole -------------------------------------------------------------------------


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    with pytest.raises(KeyboardInterrupt), storage.staged_folder(out, replace=False) as staging:
        (staging / "train").mkdir()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with storage.staged_folder(out, replace=False) as staging:
        (staging / "train").mkdir()
        assert not out.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["dataset"]
    assert (out / "train").is_dir()


def test_an_output_that_exists_is_refused_replaced_or_kept_aside(tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    out.mkdir()
    (out / "mine.jpg").write_text("a photo")
    with pytest.raises(StorageError, match=r"dataset' exists\. Choose another --out, or"):
        with storage.staged_folder(out, replace=False):
            raise AssertionError("reached")
    with storage.staged_folder(out, replace=True, keep_old=True) as staging:
        (staging / "new").touch()
    (aside,) = tmp_path.glob("dataset.replaced-*")
    assert (aside / "mine.jpg").read_text() == "a photo" and (out / "new").exists()
    with storage.staged_folder(out, replace=True) as staging:
        (staging / "newer").touch()
    assert {p.name for p in tmp_path.iterdir()} == {"dataset", aside.name}
    assert [p.name for p in out.iterdir()] == ["newer"]


def test_an_old_output_survives_a_replacement_that_fails(tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    with storage.staged_folder(out, replace=False) as staging:
        (staging / "old").touch()
    with pytest.raises(OSError), storage.staged_folder(out, replace=True):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [p.name for p in out.iterdir()] == ["old"]


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / ".raw.lock"
    with storage.locked(lock):
        with pytest.raises(StorageError, match="Another imgcli is writing here"):
            with storage.locked(lock):
                raise AssertionError("reached")
    with storage.locked(lock):
        pass
    assert not lock.exists()


def test_space_is_asked_for_before_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"A copy of 'raw' needs [\d,]+ MB in .* are free"):
        storage.need_space(tmp_path, 10**15, "A copy of 'raw'")
    storage.need_space(tmp_path, 1, "a byte")


# --- runs ---------------------------------------------------------------------------------------


def test_a_run_gives_its_config_and_predictions_back(tmp_path: Path) -> None:
    run = workspace.new_run(tmp_path, CONFIG, Path("dataset"))
    assert run.config == CONFIG and run.data == Path("dataset")
    odd = predictions((os.fsdecode(b"train/a/caf\xe9.jpg"), "train/b/two\nlines.jpg"))
    run.save_predictions("predictions-folds.npz", odd)
    found = run.load_predictions("predictions-folds.npz")
    assert (found.paths, found.classes, found.on) == (odd.paths, odd.classes, odd.on)
    for name in ("indices", "targets", "probs", "fold", "groups"):
        np.testing.assert_array_equal(getattr(found, name), getattr(odd, name))


def test_latest_is_the_newest_finished_run(tmp_path: Path) -> None:
    first, second, unfinished = (workspace.new_run(tmp_path, CONFIG, Path("d")) for _ in range(3))
    assert len({first.folder, second.folder, unfinished.folder}) == 3  # within one second
    workspace.finish_run(first, {})
    workspace.finish_run(second, {})
    assert workspace.find_run("latest", tmp_path).folder == second.folder
    assert workspace.find_run(first.folder.name, tmp_path).folder == first.folder
    assert workspace.find_run(str(first.folder), tmp_path / "elsewhere").folder == first.folder
    assert workspace.unfinished_run(None, tmp_path).folder == unfinished.folder


def test_runs_that_are_not_there_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"No finished run in .* Train one first: imgcli train"):
        workspace.find_run("latest", tmp_path)
    run = workspace.new_run(tmp_path, CONFIG, Path("d"))
    with pytest.raises(RunError, match=f"is not a finished run.*--resume --run {run.folder.name}"):
        workspace.find_run(run.folder.name, tmp_path)
    workspace.finish_run(run, {})
    with pytest.raises(RunError, match=f"No run 'mine' in .*There are {run.folder.name}"):
        workspace.find_run("mine", tmp_path)
    with pytest.raises(RunError, match="No unfinished run to resume"):
        workspace.unfinished_run(None, tmp_path)


def finished(runs: Path, n: int) -> list[Path]:
    made = [workspace.new_run(runs, CONFIG, Path("d")) for _ in range(n)]
    for run in made:
        workspace.finish_run(run, {})
    return [run.folder for run in made]


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
        found = [run.folder for run in workspace.find_runs(names, Path("runs"))]
        assert sorted(found) == folders
        notes = capsys.readouterr().err
        for name in ("comparison", "test-ledger.jsonl", "gone"):
            assert f"{name}' is left out: it is not a run's folder" in notes
        assert f"latest' is left out: it is '{folders[1].name}', which is named itself" in notes


def test_an_unfinished_run_that_a_star_catches_is_not_left_out(tmp_path: Path) -> None:
    finished(tmp_path, 1)
    workspace.new_run(tmp_path, CONFIG, Path("d"))
    with pytest.raises(RunError, match="is not a finished run"):
        workspace.find_runs(sorted(map(str, tmp_path.iterdir())))


def test_a_run_that_is_typed_twice_is_refused(tmp_path: Path) -> None:
    (folder,) = finished(tmp_path, 1)
    for names in ([folder.name] * 2, ["latest"] * 2, [folder.name, str(folder)]):
        with pytest.raises(WrongUsage, match=f"{folder.name}' is named twice"):
            workspace.find_runs(names, tmp_path)


def test_a_path_that_is_no_run_is_called_so(tmp_path: Path) -> None:
    (folder,) = finished(tmp_path / "runs", 1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    for path in (tmp_path / "photos", tmp_path / "photos" / "cat.jpg"):
        match = f"'{path}' is not a run's folder. There are {folder.name}"
        with pytest.raises(RunError, match=match):
            workspace.find_run(str(path), tmp_path / "runs")
        with pytest.raises(RunError, match=match):  # nor was it caught beside the runs
            workspace.find_runs([str(folder), str(path)], tmp_path / "runs")


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_damaged_predictions_are_a_sentence(tmp_path: Path, damage: bytes) -> None:
    run = workspace.new_run(tmp_path, CONFIG, Path("d"))
    (run.folder / "p.npz").write_bytes(damage)
    with pytest.raises(RunError, match=r"p\.npz' cannot be read .* Restore it or train again"):
        run.load_predictions("p.npz")


def test_a_cut_file_of_predictions_is_a_sentence_wherever_it_is_cut(tmp_path: Path) -> None:
    run = workspace.new_run(tmp_path, CONFIG, Path("d"))
    run.save_predictions("p.npz", predictions())
    whole = (run.folder / "p.npz").read_bytes()
    for cut in range(0, len(whole), 97):
        (run.folder / "p.npz").write_bytes(whole[:cut])
        with pytest.raises(RunError):
            run.load_predictions("p.npz")


def test_another_format_is_refused_with_both_numbers(tmp_path: Path) -> None:
    run = workspace.new_run(tmp_path, CONFIG, Path("d"))
    (run.folder / "config.json").write_text('{"format": 9}')
    with pytest.raises(RunError, match=r"has run format 9; this imgcli \(.*\) reads format 1"):
        _ = run.config


def test_the_ledger_counts_looks_at_one_test_part_by_any_run(tmp_path: Path) -> None:
    runs = [workspace.new_run(tmp_path, CONFIG, Path("d")) for _ in range(2)]
    assert workspace.enter_in_ledger(runs[0], ["aa", "bb"], "evaluate") == 1
    assert workspace.enter_in_ledger(runs[1], ["bb", "aa"], "evaluate") == 2
    assert workspace.enter_in_ledger(runs[1], ["aa"], "evaluate") == 1


def test_looks_are_those_of_any_run_at_what_this_run_has_looked_at(tmp_path: Path) -> None:
    runs = [workspace.new_run(tmp_path, CONFIG, Path("d")) for _ in range(2)]
    assert workspace.looks(runs[0]) == 0
    workspace.enter_in_ledger(runs[0], ["aa", "bb"], "evaluate")
    workspace.enter_in_ledger(runs[1], ["aa", "bb"], "evaluate")
    workspace.enter_in_ledger(runs[1], ["cc"], "evaluate")
    assert [workspace.looks(run) for run in runs] == [2, 3]


@pytest.mark.parametrize("damage", [b"{", b"[1]\n", b'{"run": "a"}\n', b"\xff"])
def test_a_damaged_ledger_is_a_sentence(tmp_path: Path, damage: bytes) -> None:
    run = workspace.new_run(tmp_path, CONFIG, Path("d"))
    (tmp_path / workspace.LEDGER).write_bytes(damage)
    for look in (workspace.looks, lambda run: workspace.enter_in_ledger(run, ["aa"], "evaluate")):
        with pytest.raises(RunError, match=r"test-ledger.jsonl' cannot be read .* Restore it"):
            look(run)


def test_a_run_is_named_by_its_folder_alone_only_under_runs(tmp_path: Path) -> None:
    assert workspace.named(workspace.Run(Path("runs/a b"))) == "a b"
    assert workspace.named(workspace.Run(tmp_path / "a b")) == str(tmp_path / "a b")


@pytest.mark.parametrize(
    ("part", "words"), [("folds", "evaluate --folds 10"), ("test", "evaluate")]
)
def test_damaged_predictions_are_made_again_by_judging(
    tmp_path: Path, part: str, words: str
) -> None:
    run = workspace.new_run(tmp_path, CONFIG, Path("d"))
    (run.folder / f"predictions-{part}.npz").write_bytes(b"junk")
    with pytest.raises(RunError, match=f"damaged.*Remove it .*: imgcli {words} --run '?/"):
        run.load_predictions(f"predictions-{part}.npz")
