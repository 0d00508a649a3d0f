"""A split or an update that is killed: no sealed photo becomes a training photo."""

import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from imgcli.errors import DataError, StorageError
from imgcli.photos.dataset import load_dataset
from imgcli.photos.manifest import read_manifest
from imgcli.photos.merge import merge_classes, undo_merge
from imgcli.photos.merge_spec import Merge
from imgcli.photos.split import split_folder
from imgcli.progress import be_quiet
from tests.support.kills import alone, killed_at, without_exchange
from tests.support.trees import files_of, fill


def split(**choices: bool) -> None:
    split_folder(Path("raw"), Path("dataset"), ratio=0.6, duplicates="exact", **choices)


def update() -> None:
    split_folder(Path("raw"), Path("dataset"), update=True)


def sealed() -> set[str]:
    made = read_manifest(Path("dataset"))
    assert made is not None
    return {photo.sha256 for photo in made.photos if photo.part == "test"}


def begin(folder: str, swap: str) -> None:
    """In an empty folder with raw/, on a file system of either kind."""
    os.chdir(folder)
    be_quiet()
    if swap == "renames":
        without_exchange(pytest.MonkeyPatch())
    fill(Path("raw"), {"cat": 5, "dog": 5})


def again(name: str) -> None:
    """Bring back the folder that every kill begins with."""
    for path in (p for p in Path().iterdir() if p.name not in ("raw", name, ".imgcli")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(name, "dataset")


@pytest.mark.parametrize("swap", ["exchange", "renames"])
def test_an_update_killed_at_any_step_keeps_the_test_part_sealed(
    quick_path: Path, swap: str
) -> None:
    alone(kill_updates, quick_path, swap)


def kill_updates(folder: str, swap: str) -> None:
    begin(folder, swap)
    split()
    before = sealed()
    shutil.copytree("dataset", "first")
    fill(Path("raw"), {"cat": 3, "dog": 2}, salt="new")
    update()
    after, expected = sealed(), files_of(Path("dataset"))
    for step in count(1):
        again("first")
        if not killed_at(step, update):
            break
        if step % 2:
            load_dataset(Path("dataset"))  # what train and evaluate do
        assert sealed_or_back() in (before, after), step
        update()
        assert files_of(Path("dataset")) == expected, step
        assert not list(Path().glob("*.replaced-*")) + list(Path().glob(".*.incomplete")), step
    assert step > 30


def sealed_or_back() -> set[str]:
    """The test part that there is; a fresh split in place of it must be refused."""
    try:
        split()
    except StorageError as refusal:
        assert "exists" in str(refusal)
    return sealed()


@pytest.mark.parametrize("swap", ["exchange", "renames"])
def test_what_makes_a_tree_goes_on_after_a_kill_by_the_same_command(
    quick_path: Path, swap: str
) -> None:
    alone(kill_makers, quick_path, swap)


def kill_makers(folder: str, swap: str) -> None:
    begin(folder, swap)
    merges = [Merge(("cat", "dog"), "pet")]
    makers: dict[str, Callable[[], object]] = {
        "dataset": split,
        "merged": lambda: merge_classes(Path("raw"), merges, Path("merged")),
        "undone": lambda: undo_merge(Path("merged"), Path("undone")),
    }
    for name, make in makers.items():
        make()
        expected = files_of(Path(name))
        shutil.rmtree(name)
        for step in count(1):
            if not killed_at(step, make):
                break
            make()
            found = files_of(Path(name))
            assert found == expected, (name, step)
            shutil.rmtree(name)
        assert step > 10


def test_an_update_of_a_dataset_that_was_set_aside_never_advises_a_fresh_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(Path("raw"), {"cat": 5, "dog": 5})
    split()
    Path("dataset").rename("dataset.old-20261121-101500")
    Path("dataset.incomplete").mkdir()
    for use in (split, update, lambda: load_dataset(Path("dataset"))):
        with pytest.raises(StorageError, match=r"`mv dataset\.old-\d+-\d+ dataset`"):
            use()
    Path("dataset.incomplete").rmdir()
    Path("dataset.old-20261121-101500").rename("dataset.replaced-20261121-101500")
    with pytest.raises(DataError, match=r"it back, `mv dataset\.replaced-\S+ d"):
        update()
