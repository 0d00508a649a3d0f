"""Photos that are sorted into folders can be taken out exactly, whatever happened in between."""

import json
import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from imgcli.errors import DataError, StorageError, WrongUsage
from imgcli.photos.manifest import Link, Manifest, Recipe
from imgcli.photos.quarantine import restore
from imgcli.photos.sorting import SortedInto, ToSort, refuse_place, sort_into
from imgcli.progress import be_quiet
from tests.support.kills import alone, killed_at
from tests.support.photos import photo
from tests.support.trees import file_states, files_of, make_tree

FILES = {f"new/{name}": photo(i) for i, name in enumerate(("a.png", "b.png", "sub/a.png"))}
MEMBERS = {"a.png": photo(10), "c": photo(11)}
FOLDERS = ("cat", "dog", "cat", "cat", "unsure")
SORTED_TREE = {
    "cat/a.png": FILES["new/a.png"],
    "dog/b.png": FILES["new/b.png"],
    "cat/sub__a.png": FILES["new/sub/a.png"],
    "cat/x.zip!a.png": MEMBERS["a.png"],
    "unsure/c.png": MEMBERS["c"],
}


def to_sort() -> list[ToSort]:
    inner = [name.removeprefix("new/") for name in FILES] + list(MEMBERS)
    names = [*FILES, *(f"x.zip!{name}" for name in MEMBERS)]
    return [
        ToSort(name, inside, folder, "predicted so")
        for name, inside, folder in zip(names, inner, FOLDERS, strict=True)
    ]


def sort(link: Link = "auto", target: str = "sorted") -> SortedInto:
    return sort_into(Path(target), to_sort(), lambda: [*FILES, *MEMBERS.values()], link)


@pytest.fixture
def given(here: Path) -> Path:
    """Photos in new/, and others that are members of x.zip."""
    make_tree(here, {**FILES, "x.zip": b"an archive"})
    return here


@pytest.mark.parametrize("link", ["auto", "hard", "symlink", "copy"])
def test_photos_go_into_folders_and_come_out_again(given: Path, link: Link) -> None:
    before = file_states(given)
    done = sort(link)
    assert files_of(given / "sorted") == SORTED_TREE
    assert sorted(done.placed) == sorted(SORTED_TREE) and done.left == ()
    one, other = given / "sorted/cat/a.png", given / "new/a.png"
    assert one.is_symlink() == (link == "symlink")
    assert one.samefile(other) == (link != "copy")
    back = restore(Path("sorted"))
    assert sorted(back.taken_out) == sorted(f"sorted/{path}" for path in SORTED_TREE)
    assert file_states(given) == before
    assert sorted(path.name for path in given.iterdir()) == ["new", "x.zip"]


def test_what_was_in_the_folder_stays(given: Path) -> None:
    make_tree(given / "sorted", {"cat/a.png": b"mine", "dog/b.png": FILES["new/b.png"]})
    (given / "sorted/unsure").mkdir()
    before = files_of(given / "sorted")
    done = sort()
    assert done.already == ("dog/b.png",)
    (tagged,) = (path for path in done.placed if path.startswith("cat/a-"))
    now = files_of(given / "sorted")
    assert now[tagged] == FILES["new/a.png"] and before.items() <= now.items()
    restore(Path("sorted"))
    assert files_of(given / "sorted") == before
    assert sorted(path.name for path in (given / "sorted").iterdir()) == ["cat", "dog", "unsure"]


def test_the_same_command_again_places_nothing(given: Path) -> None:
    sort()
    again = sort()
    assert (again.placed, sorted(again.already)) == ((), sorted(SORTED_TREE))
    assert len(list((given / "quarantine").iterdir())) == 1


def test_names_that_differ_in_case_alone_stay_apart(here: Path) -> None:
    make_tree(here, {"A.png": photo(1), "a.png": photo(2)})
    found = [ToSort(name, name, "cat", "") for name in ("A.png", "a.png")]
    done = sort_into(Path("sorted"), found, lambda: ["A.png", "a.png"], "auto")
    assert len({path.casefold() for path in done.placed}) == 2


@pytest.mark.parametrize("link", ["auto", "copy"])
def test_a_photo_that_was_changed_there_stays(given: Path, link: Link) -> None:
    sort(link)
    changed = given / "sorted/cat/a.png"
    changed.unlink()
    changed.write_bytes(b"painted over")
    back = restore(Path("sorted"))
    assert [(item.path, item.reason) for item in back.left] == [
        ("sorted/cat/a.png", "it has changed since it was put there")
    ]
    assert files_of(given / "sorted") == {"cat/a.png": b"painted over"}


@pytest.mark.parametrize("link", ["auto", "copy"])
@pytest.mark.parametrize(("gone", "kept"), [("new", 3), ("x.zip", 2)])
def test_the_only_copy_of_a_photo_is_never_removed(
    given: Path, link: Link, gone: str, kept: int
) -> None:
    sort(link)
    place = given / gone
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    back = restore(Path("sorted"))
    assert len(back.left) == len(files_of(given / "sorted")) == kept
    assert "is gone or has changed: the only copy" in back.left[0].reason


def test_the_journal_says_what_was_put_where_and_why(given: Path) -> None:
    sort()
    (batch,) = (given / "quarantine").iterdir()
    journal = json.loads((batch / "journal.json").read_bytes())
    assert journal["folder"] == "sorted" and journal["folders"] == ["", "cat", "dog", "unsure"]
    first, *_, last = journal["moves"]
    assert first["path"] == "cat/a.png" and first["source"] == str(given / "new/a.png")
    assert (last["kind"], last["source"]) == ("sorted-member", str(given / "x.zip"))
    assert first["reason"] == "predicted so"


@pytest.mark.parametrize("folder", ["..", "/etc", "a/../../b"])
def test_a_journal_of_folders_elsewhere_is_refused(given: Path, folder: str) -> None:
    sort()
    (batch,) = (given / "quarantine").iterdir()
    journal = json.loads((batch / "journal.json").read_bytes())
    (batch / "journal.json").write_text(json.dumps({**journal, "folders": [folder]}))
    with pytest.raises(DataError, match="cannot be read"):
        restore(Path("sorted"))


def test_hard_links_that_cannot_be_are_refused_and_undone(
    given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "another device")

    monkeypatch.setattr(os, "link", refuse)
    before = files_of(given)
    with pytest.raises(StorageError, match="Use --link auto, symlink or copy"):
        sort("hard")
    assert files_of(given) == before and not (given / "sorted").exists()
    assert sort().copied == 3  # hard links are not possible, copies are
    assert files_of(given / "sorted") == SORTED_TREE


def test_folders_that_photos_may_not_be_sorted_into(given: Path) -> None:
    Manifest(Recipe(), "raw", ("cat",), ()).write(given / "new")
    for target, sources, error, message in (
        ("new/sorted", ["new"], WrongUsage, "is inside 'new'"),
        ("new", ["new"], WrongUsage, "is inside 'new'"),
        ("x.zip", ["new"], StorageError, "is a file"),
        ("new", [], DataError, "was made by imgcli split"),
    ):
        with pytest.raises(error, match=message):
            refuse_place(Path(target), map(Path, sources))


# --- kills --------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["auto", "symlink", "copy"])
def test_sorting_that_is_killed_at_any_step_can_be_undone_and_completed(
    quick_path: Path, link: Link
) -> None:
    alone(kill_sorting, quick_path, link)


def kill_sorting(folder: str, link: Link) -> None:
    before = begin(folder)
    for step in count(1):
        if not killed_at(step, lambda: sort(link)):
            break
        partly = files_of(Path("sorted")) if Path("sorted").exists() else {}
        assert {k: v for k, v in partly.items() if ".imgcli-" not in k}.items() <= (
            SORTED_TREE.items()
        ), step
        if step % 2:
            sort(link)
            assert files_of(Path("sorted")) == SORTED_TREE, step
        undo(before)
    assert step > 20, step
    undo(before)


def test_an_undo_that_is_killed_at_any_step_can_be_given_again(quick_path: Path) -> None:
    alone(kill_undoing, quick_path)


def kill_undoing(folder: str) -> None:
    before = begin(folder)
    for step in count(1):
        sort()
        killed = killed_at(step, lambda: restore(Path("sorted")))
        undo(before)
        if not killed:
            break
    assert step > 10, step


def begin(folder: str) -> dict[str, bytes]:
    os.chdir(folder)
    be_quiet()
    make_tree(Path(), {**FILES, "x.zip": b"an archive"})
    return files_of(Path())


def undo(before: dict[str, bytes]) -> None:
    """Undo what was sorted; all is as before."""
    nothing_left: Callable[[], bool] = lambda: not Path("quarantine").exists()  # noqa: E731
    if not nothing_left():
        restore(Path("sorted"))
    found = {k: v for k, v in files_of(Path()).items() if not k.startswith(".")}
    assert found == before
    assert not Path("sorted").exists() and nothing_left()
