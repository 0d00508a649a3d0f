"""`imgcli.check` and `imgcli.restore` as they are called."""

from pathlib import Path

import pytest

from imgcli.commands.check import check
from imgcli.commands.restore import restore
from imgcli.errors import DataError, WrongUsage
from tests.support.photos import write_classes
from tests.support.shell import Printed


@pytest.fixture(autouse=True)
def raw(here: Path) -> Path:
    """Class folders with one photo twice, and a file that is no picture."""
    write_classes(Path("raw"), per_class=3, classes=2)
    Path("raw/blue/copy.png").write_bytes(Path("raw/blue/00.png").read_bytes())
    Path("raw/green/broken.png").write_text("no picture")
    return here


def test_it_returns_what_the_command_prints(printed: Printed) -> None:
    result = check()
    assert result.found is not None and result.found.classes == {"blue": 4, "green": 3}
    assert [list(group.paths) for group in result.found.duplicates] == [
        ["blue/00.png", "blue/copy.png"]
    ]
    assert result.sheet == Path(".imgcli/check/contact.html") and result.sheet.is_file()
    assert (result.folder, result.labels, result.fixed) == (Path("raw"), None, None)
    assert printed("check", "raw") == result.to_json()
    rows = [line.split() for line in repr(result).splitlines()]
    assert rows[2:5] == [
        ["photos", "7", "in", "2", "classes"],
        ["unreadable", "1"],
        ["duplicates", "1"],
    ]


def test_photos_are_moved_on_request_and_go_back(printed: Printed) -> None:
    listed = check("raw", fix="unreadable,duplicates", dry_run=True)
    assert printed("check", "--fix", "unreadable,duplicates", "--dry-run") == listed.to_json()
    fixed = check("raw", fix=["unreadable", "duplicates"]).fixed
    assert fixed is not None and listed.fixed is not None and fixed.moved == listed.fixed.would_move
    assert not Path("raw/blue/copy.png").exists()
    result = restore("raw")
    assert sorted(result.restored) == ["raw/blue/copy.png", "raw/green/broken.png"]
    assert (result.left, result.error) == ((), None)
    assert result.to_json() == {
        "restored": list(result.restored),
        "left": [],
        "taken_out": [],
    }
    assert Path("raw/blue/copy.png").exists()


def test_a_photo_whose_place_is_taken_is_left_and_the_error_says_so() -> None:
    check("raw", fix="unreadable")
    Path("raw/green/broken.png").write_text("another")
    result = restore()
    assert [item.path for item in result.left] == ["raw/green/broken.png"]
    assert "Not moved back: 'raw/green/broken.png'" in str(result.error)


def test_a_plan_is_carried_out(printed: Printed) -> None:
    Path("plan.csv").write_text("path,label,new_label\nblue/01.png,blue,green\n")
    result = check(fix="plan.csv", dry_run=True)
    assert result.plan == Path("plan.csv") and result.fixed is not None
    (move,) = result.fixed.would_move
    assert move.path == "blue/01.png" and move.to is not None and move.to.startswith("green/01")
    assert printed("check", "--fix", "plan.csv", "--dry-run") == result.to_json()


def test_choices_that_exclude_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongUsage, match="--dry-run goes with --fix"):
        check(dry_run=True)
    with pytest.raises(WrongUsage, match="go with --labels"):
        check(run="mine")
    with pytest.raises(DataError, match="No folder 'nowhere'"):
        check("nowhere")
    Path("empty").mkdir()
    monkeypatch.chdir("empty")
    with pytest.raises(WrongUsage, match="Name a folder: imgcli check DIR"):
        check()
