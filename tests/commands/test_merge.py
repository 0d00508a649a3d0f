"""`imgcli.merge` as it is called, and the folder that commands read by default."""

from pathlib import Path

import pytest

from imgcli.commands.folders import default_folder
from imgcli.commands.merge import merge
from imgcli.errors import WrongUsage
from tests.support.photos import write_classes
from tests.support.shell import Printed

pytestmark = pytest.mark.usefixtures("here")


def test_it_returns_what_the_command_prints(printed: Printed) -> None:
    write_classes(Path("raw"), per_class=2)
    result = merge("blue+red=purple", out="a")
    assert result.classes == {"green": 2, "purple": 4} and not result.split
    assert [(one.classes, one.name) for one in result.merges] == [(("blue", "red"), "purple")]
    assert printed("merge", "blue+red=purple", "raw", "--out", "a") == result.to_json()


def test_a_merge_is_undone(printed: Printed) -> None:
    write_classes(Path("raw"), per_class=2)
    merge(["blue+red"], "raw")
    result = merge(folder="raw-merged", undo=True)
    assert result.out == Path("raw-merged-undone")
    assert result.classes == {"blue": 2, "green": 2, "red": 2}
    assert printed("merge", "--undo", "raw-merged") == result.to_json()


def test_merges_and_a_plan_exclude_each_other() -> None:
    with pytest.raises(WrongUsage, match="give the one or the other"):
        merge("a+b", plan="p.json")
    with pytest.raises(WrongUsage, match="Name what to merge"):
        merge()


def test_every_command_reads_raw_or_else_dataset() -> None:
    with pytest.raises(WrongUsage, match=r"no dataset/ or raw/ here\. Name a folder: imgcli x DIR"):
        default_folder("imgcli x DIR")
    Path("dataset").mkdir()
    assert default_folder("imgcli x DIR") == Path("dataset")
    Path("raw").mkdir()
    assert default_folder("imgcli x DIR") == Path("raw")
