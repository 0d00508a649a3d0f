"""`imgcli check` names a class that a mark in its photos gives away."""

from pathlib import Path

import pytest
from PIL import ImageDraw

from tests.support.photos import make_photo
from tests.support.shell import Shell
from tests.support.trees import file_states

PER_CLASS = 20


@pytest.fixture
def stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`raw/` with three classes, of which owl has a stamp in its bottom right corner."""
    monkeypatch.chdir(tmp_path)
    for k, label in enumerate(("cat", "dog", "owl")):
        folder = tmp_path / "raw" / label
        folder.mkdir(parents=True)
        for i in range(PER_CLASS):
            photo = make_photo(100 * k + i)
            if label == "owl":
                ImageDraw.Draw(photo).text((112, 104), f"'98 {i:02}", fill=(255, 140, 0))
            photo.save(folder / f"{i}.jpg", quality=85)
    return tmp_path / "raw"


def test_the_class_the_place_the_photos_and_what_to_do_are_named(
    stamped: Path, shell: Shell
) -> None:
    before = file_states(stamped)
    document = shell.json("check", "raw")
    (issue,) = (one for one in document["issues"] if one["kind"] == "shortcut")
    assert issue["class"] == "owl" and "bottom right corner" in issue["detail"]
    assert len(issue["paths"]) >= 0.9 * PER_CLASS
    assert all(path.startswith("owl/") for path in issue["paths"])
    out = " ".join(shell("check", "raw").out.split())
    assert "owl: the bottom right corner alone tells" in out and "crop or blank" in out
    sheet = Path(".imgcli/check/contact.html").read_text("utf-8")
    assert "Marks that give a class away" in sheet and sheet.count("<img ") >= 6
    assert file_states(stamped) == before


def test_without_the_stamp_there_is_no_warning(stamped: Path, shell: Shell) -> None:
    for path in (stamped / "owl").iterdir():
        make_photo(900 + int(path.stem)).save(path, quality=85)
    assert not [o for o in shell.json("check", "raw")["issues"] if o["kind"] == "shortcut"]
