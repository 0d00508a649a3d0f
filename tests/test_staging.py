"""Outputs made whole: what is replaced is never lost, whenever the process is killed."""

import errno
import json
import os
from itertools import count
from pathlib import Path

import pytest

from imgcli import staging
from imgcli.aside import MARKER, files_in
from imgcli.errors import StorageError
from tests.support.kills import alone, killed_at, without_exchange


def names_in(folder: Path) -> set[str]:
    """What is in a folder, locks apart."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def fill(out: Path, *names: str, replace: bool = False, ours: bool = True) -> staging.Staged:
    """Make an output of files that hold their own names."""

    def user_files(folder: Path) -> list[str]:
        return [] if ours else files_in(folder)

    with staging.staged_folder(out, replace=replace, user_files=user_files) as staged:
        for name in names:
            (staged.folder / name).write_text(name)
    return staged


@pytest.fixture(params=["exchange", "two renames"])
def swapping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With file systems that exchange two names at once, and with those that do not."""
    if request.param == "two renames":
        without_exchange(monkeypatch)
    return str(request.param)


# --- appearing ----------------------------------------------------------------------------------


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    with pytest.raises(KeyboardInterrupt), staging.staged_folder(out, replace=False) as staged:
        (staged.folder / "train").mkdir()
        raise KeyboardInterrupt
    assert names_in(tmp_path) == set()
    with staging.staged_folder(out, replace=False) as staged:
        (staged.folder / "train").mkdir()
        assert not out.exists()
    assert names_in(tmp_path) == {"dataset"} and names_in(out) == {"train"}


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    fill(tmp_path / "dataset", "new")
    assert names_in(tmp_path / "dataset") == {"new"}


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_an_output_is_replaced_where_two_names_cannot_be_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    without_exchange(monkeypatch, error)
    fill(tmp_path / "out", "old")
    fill(tmp_path / "out", "new", replace=True)
    assert names_in(tmp_path) == {"out"} and names_in(tmp_path / "out") == {"new"}


def test_an_output_that_exists_is_refused_replaced_or_kept_aside(
    tmp_path: Path, swapping: str
) -> None:
    out = tmp_path / "dataset"
    out.mkdir()
    (out / "mine.jpg").write_text("a photo")
    with pytest.raises(StorageError, match=r"dataset' exists\. Choose another --out, or"):
        fill(out, "new")
    kept = fill(out, "new", replace=True, ours=False).kept
    (aside,) = tmp_path.glob("dataset.replaced-*")
    assert (aside / "mine.jpg").read_text() == "a photo" and names_in(out) == {"new"}
    assert kept is not None and aside.name in kept and "'mine.jpg'" in kept
    assert fill(out, "newer", replace=True).kept is None
    assert names_in(tmp_path) == {"dataset", aside.name} and names_in(out) == {"newer"}


def test_a_write_protected_output_is_replaced_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    with staging.staged_folder(out, replace=False) as staged:
        (staged.folder / "train/cat").mkdir(parents=True)
        (staged.folder / "train/cat/1.jpg").write_text("1")
    for folder in (out / "train/cat", out / "train", out):
        folder.chmod(0o500)
    if os.access(out, os.W_OK):
        pytest.skip("root may write everywhere")
    fill(out, "new", replace=True)
    assert names_in(tmp_path) == {"dataset"} and names_in(out) == {"new"}


def test_whatever_is_not_judged_is_kept(tmp_path: Path) -> None:
    fill(tmp_path / "out", "old")
    with staging.staged_folder(tmp_path / "out", replace=True):
        pass
    (aside,) = tmp_path.glob("out.replaced-*")
    assert names_in(aside) == {"old"}


def test_a_link_or_a_file_in_the_place_of_an_output_is_kept(tmp_path: Path, swapping: str) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/photo.jpg").write_text("mine")
    (tmp_path / "out").symlink_to("disk")
    assert fill(tmp_path / "out", "new", replace=True).kept
    (link,) = tmp_path.glob("out.replaced-*")
    assert link.is_symlink() and (link / "photo.jpg").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    assert fill(tmp_path / "file", "new", replace=True).kept
    (file,) = tmp_path.glob("file.replaced-*")
    assert file.read_text() == "mine"


def test_outputs_set_aside_within_one_second_have_names_of_their_own(tmp_path: Path) -> None:
    for name in ("first", "second", "third", "fourth"):
        fill(tmp_path / "out", name, replace=True, ours=False)
    asides = list(tmp_path.glob("out.replaced-*"))
    assert {name for aside in asides for name in names_in(aside)} == {"first", "second", "third"}


def test_what_is_changed_while_the_output_is_replaced_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out, "old")

    def judged_too_early(folder: Path) -> list[str]:
        (folder / "late.jpg").write_text("mine")
        return []

    with staging.staged_folder(out, replace=True, user_files=judged_too_early) as staged:
        (staged.folder / "new").touch()
    (aside,) = tmp_path.glob("out.replaced-*")
    assert (aside / "late.jpg").read_text() == "mine"
    assert staged.kept is not None and "changed meanwhile" in staged.kept


# --- the user's own names -----------------------------------------------------------------------


def test_folders_links_and_files_of_like_names_are_no_obstacle_and_stay(tmp_path: Path) -> None:
    (tmp_path / "a.incomplete").mkdir()
    (tmp_path / "a.incomplete/mine.jpg").write_text("mine")
    (tmp_path / "b.incomplete").symlink_to("a.incomplete")
    (tmp_path / "c.incomplete").write_text("mine")
    like_ours = tmp_path / ".a.imgcli-0123abcd.incomplete"
    like_ours.mkdir()
    (like_ours / "mine.jpg").write_text("mine")
    before = names_in(tmp_path)
    for name in "abc":
        fill(tmp_path / name, "first")
        fill(tmp_path / name, "second", replace=True)
    assert names_in(tmp_path) == before | set("abc")
    assert (like_ours / "mine.jpg").read_text() == "mine"
    assert (tmp_path / "b.incomplete/mine.jpg").read_text() == "mine"
    assert (tmp_path / "c.incomplete").read_text() == "mine"


@pytest.mark.parametrize(
    "marker",
    [
        "{",
        "[]",
        '{"target": "out"}',
        '{"target": "other", "staging": ".out.imgcli-0123abcd.incomplete", "pid": 1}',
        '{"target": "out", "staging": "../mine", "pid": 1}',
        '{"target": "out", "staging": ".out.imgcli-99999999.incomplete", "pid": 1}',
        '{"target": "out", "staging": 5, "pid": 1}',
        '{"target": "out", "staging": ".out.imgcli-0123abcd.incomplete", "pid": 1, "format": 2}',
    ],
)
def test_a_folder_is_only_swept_by_a_valid_marker_for_this_output(
    tmp_path: Path, marker: str
) -> None:
    folder = tmp_path / ".out.imgcli-0123abcd.incomplete"
    folder.mkdir()
    (folder / MARKER).write_text(marker)
    (folder / "mine.jpg").write_text("mine")
    fill(tmp_path / "out", "new")
    assert (folder / "mine.jpg").read_text() == "mine"


def test_a_marker_in_an_output_of_strangers_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/photo.jpg").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    for named in ("mine", "../mine", ".out.imgcli-0123abcd.incomplete/../mine"):
        document = {"target": "out", "staging": named, "pid": 1, "removing": True}
        (out / MARKER).write_text(json.dumps(document))
        staging.recover(out)
        assert (tmp_path / "mine/photo.jpg").read_text() == "mine"


# --- failing and dying --------------------------------------------------------------------------


def test_an_old_output_survives_a_replacement_that_fails(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out, "old")
    with pytest.raises(OSError), staging.staged_folder(out, replace=True):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names_in(tmp_path) == {"out"} and names_in(out) == {"old"}


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    fill(tmp_path / "out", "old")
    without_exchange(monkeypatch)
    rename, calls = os.rename, count(1)

    def fail_once(old: Path, new: Path) -> None:
        if next(calls) == failing:
            raise OSError(errno.EIO, "Input/output error", str(old))
        rename(old, new)

    monkeypatch.setattr(os, "rename", fail_once)
    with pytest.raises(OSError, match="Input/output"):
        fill(tmp_path / "out", "new", replace=True)
    assert names_in(tmp_path) == {"out"} and names_in(tmp_path / "out") == {"old"}


def test_a_disk_that_fails_from_the_second_rename_on_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    fill(out, "old")
    with monkeypatch.context() as failing:
        without_exchange(failing)
        rename, calls = os.rename, count(1)

        def fail(old: Path, new: Path) -> None:
            if next(calls) > 1:
                raise OSError(errno.EIO, "Input/output error", str(old))
            rename(old, new)

        failing.setattr(os, "rename", fail)
        with pytest.raises(OSError, match="Input/output"):
            fill(out, "new", replace=True)
    staging.recover(out)  # as the next command does
    assert names_in(tmp_path) == {"out"} and names_in(out) == {"old"}


@pytest.mark.parametrize("ours", ["ours", "theirs"])
@pytest.mark.parametrize("swap", ["exchange", "renames"])
def test_a_replacement_killed_at_any_step_leaves_the_old_output_or_the_new(
    quick_path: Path, ours: str, swap: str
) -> None:
    alone(kill_replacements, quick_path, ours, swap)


def kill_replacements(folder: str, whose: str, swap: str) -> None:
    ours = whose == "ours"
    if swap == "renames":
        without_exchange(pytest.MonkeyPatch())
    for step in count(1):
        out = Path(folder) / str(step) / "out"
        fill(out, "old")
        if not killed_at(step, lambda: fill(out, "new", replace=True, ours=ours)):  # noqa: B023
            break
        staging.recover(out)
        held = names_in(out) - {MARKER}
        asides = [names_in(path) for path in out.parent.glob("out.replaced-*")]
        assert held in ({"old"}, {"new"}) and asides in ([], [{"old"}]), step
        assert ours or held == {"old"} or asides, step
        fill(out, "newer", replace=True)
        left = {name for name in names_in(out.parent) if not name.startswith("out.replaced-")}
        assert left == {"out"} and names_in(out) == {"newer"}, step
    assert step > 10


def test_a_new_output_killed_at_any_step_is_whole_or_absent_and_swept(quick_path: Path) -> None:
    alone(kill_new_outputs, quick_path)


def kill_new_outputs(folder: str) -> None:
    for step in count(1):
        out = Path(folder) / str(step) / "out"
        if not killed_at(step, lambda: fill(out, "new")):  # noqa: B023
            break
        if out.exists():
            assert names_in(out) - {MARKER} == {"new"}, step
        fill(out, "newer", replace=True)
        assert names_in(out.parent) == {"out"} and names_in(out) == {"newer"}, step
    assert step > 5


# --- what older versions left -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dataset.old-20261121-101500", "dataset.old-0123abcd"])
def test_an_output_that_a_killed_version_left_aside_is_named_with_the_command(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, old = tmp_path / "dataset", tmp_path / name
    old.mkdir()
    (old / "split.json").write_text("{}")
    for use in (lambda: staging.recover(out), lambda: fill(out, "new")):
        with pytest.raises(StorageError, match=rf"There is no '{out}'.*`mv {old} {out}`"):
            use()
    assert names_in(tmp_path) == {name}
    out.mkdir()
    (out / "x").touch()
    fill(out, "new", replace=True)
    assert "killed, and not used" in capsys.readouterr().err and old.is_dir()


def test_a_kept_output_of_a_killed_version_is_named_beside_its_unfinished_one(
    tmp_path: Path,
) -> None:
    old = tmp_path / "dataset.replaced-20261121-101500"
    old.mkdir()
    (old / "split.json").write_text("{}")
    staging.recover(tmp_path / "dataset")
    (tmp_path / "dataset.incomplete").mkdir()
    with pytest.raises(StorageError, match=f"mv {old} "):
        staging.recover(tmp_path / "dataset")


def test_folders_of_such_names_without_a_document_of_imgcli_are_the_users(tmp_path: Path) -> None:
    (tmp_path / "dataset.old-20261121-101500").mkdir()
    staging.recover(tmp_path / "dataset")
    fill(tmp_path / "dataset", "new")
