"""What imgcli did not write is never lost when something takes its place."""

from pathlib import Path

import pytest

from imgcli.aside import files_in, set_aside, write_page


def test_a_page_replaces_itself_and_nothing_that_was_edited_or_is_the_users(
    tmp_path: Path,
) -> None:
    page = tmp_path / "credits.html"
    assert write_page(page, "<html>first</html>") is None
    assert write_page(page, "<html>second</html>") is None
    page.write_text(page.read_text().replace("second", "my own words"))
    kept = write_page(page, "<html>third</html>")
    (aside,) = tmp_path.glob("credits.html.replaced-*")
    assert kept is not None and aside.name in kept and "my own words" in aside.read_text()
    assert page.read_text().startswith("<html>third</html>")


def test_a_page_takes_the_place_of_no_folder(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(IsADirectoryError):
        write_page(tmp_path / "page.html", "<html></html>")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_names_of_what_is_set_aside_are_free_ones(tmp_path: Path) -> None:
    asides = set()
    for text in ("first", "second", "third"):
        (tmp_path / "runs").write_text(text)
        asides.add(set_aside(tmp_path / "runs"))
    assert {aside.read_text() for aside in asides} == {"first", "second", "third"}


def test_links_to_folders_and_hidden_files_are_files_and_systems_own_are_not(
    tmp_path: Path,
) -> None:
    for name in ("a/1.jpg", "a/.notes", "a/.DS_Store", "Thumbs.db", ".imgcli-1-2.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b").symlink_to("a")
    assert files_in(tmp_path) == ["a/.notes", "a/1.jpg", "b"]
    assert files_in(tmp_path / "nowhere") == files_in(tmp_path / "a/1.jpg") == []
