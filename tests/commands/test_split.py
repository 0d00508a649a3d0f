"""`imgcli.split` as it is called."""

from pathlib import Path

import pytest

from imgcli.commands.split import split
from imgcli.errors import StorageError, WrongUsage
from tests.support.photos import write_classes
from tests.support.shell import Printed

pytestmark = pytest.mark.usefixtures("here")


def test_it_returns_what_the_command_prints(printed: Printed) -> None:
    write_classes(Path("raw"), per_class=4, classes=2)
    Path("raw/blue/empty.jpg").touch()
    result = split("raw", ratio=0.5, val=0.25, seed=3, out="a", duplicates="exact")
    assert (result.out, result.seed, result.ratio) == (Path("a"), 3, 0.5)
    assert result.classes["blue"] == {"train": 1, "val": 1, "test": 2}
    assert [item.path for item in result.rejected] == ["blue/empty.jpg"]
    words = ["--ratio", "0.5", "--val", "0.25", "--seed", "3", "--duplicates", "exact"]
    assert printed("split", "raw", *words, "--out", "a") == result.to_json()


def test_its_choices_are_those_of_the_command(printed: Printed) -> None:
    write_classes(Path("raw"), per_class=12, classes=2)
    result = split(duplicates="exact")
    assert result.to_json() == printed("split", "--duplicates", "exact")
    assert result.classes["blue"] == {"train": 11, "test": 1} and result.notes == ()
    assert "already" in split(duplicates="exact").notes[0]
    with pytest.raises(StorageError, match="'dataset' exists"):
        split(ratio=0.5)
    with pytest.raises(WrongUsage, match="Use one"):
        split(update=True, force=True)


def test_it_reads_well_in_a_notebook() -> None:
    for number in range(9):
        folder = Path(f"raw/class {number}")
        folder.mkdir(parents=True)
        for i in range(4):
            (folder / f"{i}.jpg").write_text(f"{number} {i}")
    result = split(duplicates="exact", ratio=0.5)
    lines = repr(result).splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["SplitResult"],
        ["out", "dataset"],
        ["seed", "0"],
        ["ratio", "0.5"],
    ]
    assert lines[4].endswith("...}, 9 in all") and len(lines) == 11
    assert "9 in all" in result._repr_html_()
