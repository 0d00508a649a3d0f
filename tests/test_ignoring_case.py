"""Classes and photos that differ only in case: said, and never one on a disk that ignores case."""

import os
from pathlib import Path

import pytest

from imgcli.files import tells_case
from tests.support.photos import write_photo
from tests.support.shell import Shell

SAID = "'Cat' and 'cat' differ only in case, and would be one folder on Windows and macOS"


@pytest.fixture
def twins(here: Path) -> Path:
    """Three class folders, two of one name but for its case."""
    if not tells_case(here):
        pytest.skip("this file system ignores case")
    for number, label in enumerate(("Cat", "cat", "dog")):
        for i in range(6):
            write_photo(f"src/{label}/{label}{i}.png", 10 * number + i)
    return here


@pytest.fixture
def ignoring_case(twins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes no folder beside one that differs only in case, as Windows and macOS do not."""
    mkdir = Path.mkdir

    def make(path: Path, *args: int, **options: bool) -> None:
        beside = os.listdir(path.parent) if path.parent.is_dir() else []
        same = [name for name in beside if name.lower() == path.name.lower()]
        if not same or path.name in same:
            mkdir(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", make)
    monkeypatch.setattr("imgcli.files.tells_case", lambda folder: False)


def test_classes_that_differ_in_case_are_said(twins: Path, shell: Shell) -> None:
    out = " ".join(shell("import", "src").out.split())
    assert SAID in out and "imgcli merge Cat+cat=Cat" in out and "--rename cat=Cat" in out
    for words in (("check", "raw"), ("split", "raw")):
        assert SAID in " ".join(shell(*words).err.split())
    assert shell("merge", "Cat+cat=Cat", "raw").code == 0
    assert SAID not in " ".join(shell("check", "raw-merged").err.split())


@pytest.mark.usefixtures("ignoring_case")
def test_classes_never_become_one_folder(twins: Path, shell: Shell) -> None:
    code, _, err = shell("import", "src")
    assert code == 1 and "does not tell the class 'cat' from 'Cat'" in err
    assert "--rename cat=Cat" in err and "Traceback" not in err
    assert shell("import", "src", "--rename", "cat=Cat").code == 0
    assert sorted(path.name for path in (twins / "raw").iterdir() if path.is_dir()) == [
        "Cat",
        "dog",
    ]
    code, _, err = shell("split", "src")
    assert code == 1 and "would be one in 'dataset', whose file system ignores case" in err
    assert not (twins / "dataset").exists()
    code, _, err = shell("merge", "cat+dog=x", "src", "--out", "m")
    assert code == 0  # nothing is left that differs in case alone


@pytest.mark.usefixtures("ignoring_case")
def test_photos_of_one_name_but_for_its_case_are_refused(twins: Path, shell: Shell) -> None:
    (twins / "src/cat").rename(twins / "other")
    write_photo("src/dog/DOG1.png", 77)
    code, _, err = shell("split", "src")
    assert code == 1 and "'train/dog/" in err.replace("test/", "train/")
    assert "would be one in 'dataset'" in err
