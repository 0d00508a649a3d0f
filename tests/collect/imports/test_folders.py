import os
import socket
from pathlib import Path

import pytest

from imgcli.collect.imports.folders import folder_entries
from imgcli.collect.imports.labelled_photo import Entry, NotTaken
from imgcli.records import Rejected
from tests.support.photos import photo
from tests.support.trees import make_tree


def found(source: Path) -> list[str]:
    return ["/".join(item.parts) for item in folder_entries(source) if isinstance(item, Entry)]


def rejected(source: Path) -> dict[str, str]:
    items = [item for item in folder_entries(source) if isinstance(item, Rejected)]
    return {os.path.relpath(item.path, source): item.reason for item in items}


def test_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    names = ["b/2.png", "a/z/1.png", "a/y.png", "b/10.png", "a b/1.png"]
    many = [f"c/{n:02}.png" for n in range(30)]  # no disk has thirty in order by chance
    make_tree(tmp_path, dict.fromkeys([*reversed(many), *names], photo(1)))
    first = ["a/y.png", "a/z/1.png", "a b/1.png", "b/10.png", "b/2.png"]
    assert found(tmp_path) == [*first, *many]


def test_hidden_and_system_files_are_passed_over_without_a_word(tmp_path: Path) -> None:
    names = [".git/1.png", "a/.DS_Store", "a/Thumbs.db", "__MACOSX/a/1.png", "a/._1.png", "a/1.png"]
    make_tree(tmp_path, dict.fromkeys([*names, "a/.ipynb_checkpoints/1.png"], photo(1)))
    assert found(tmp_path) == ["a/1.png"]
    assert rejected(tmp_path) == {}


def test_a_linked_photo_is_read_in_the_class_where_the_link_lies(tmp_path: Path) -> None:
    elsewhere = make_tree(tmp_path / "elsewhere", {"x.png": photo(7)})
    source = make_tree(tmp_path / "src", {"a/1.png": photo(1)})
    (source / "a/2.png").symlink_to(elsewhere / "x.png")
    (source / "a/gone.png").symlink_to(elsewhere / "gone.png")
    (source / "a/self.png").symlink_to("self.png")
    items = {i.parts: i for i in folder_entries(source) if isinstance(i, Entry)}
    assert set(items) == {("a", "1.png"), ("a", "2.png")}
    assert items["a", "2.png"].read() == photo(7)
    assert set(rejected(source)) == {"a/gone.png", "a/self.png"}
    assert all(reason.startswith("broken link") for reason in rejected(source).values())


def test_a_class_folder_may_be_a_link_and_links_never_make_loops(tmp_path: Path) -> None:
    classes = make_tree(tmp_path / "elsewhere", {"1.png": photo(7)})
    source = make_tree(tmp_path / "src", {"a/1.png": photo(1)})
    (source / "b").symlink_to(classes)
    (source / "loop").symlink_to(".")
    (source / "up").symlink_to(tmp_path)
    (source / "a/inner").symlink_to(classes)
    assert found(source) == ["a/1.png", "b/1.png"]
    reasons = rejected(source)
    assert reasons["loop"] == reasons["up"] == "a link back to a folder around it"
    assert reasons["a/inner"] == "a link to a folder; only a class folder may be one"


def test_pipes_and_sockets_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tree(tmp_path, {"a/1.png": photo(1)})
    os.mkfifo(tmp_path / "a/pipe.png")
    monkeypatch.chdir(tmp_path)  # a socket's path may be 107 bytes long
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a/socket.png")
        assert found(tmp_path) == ["a/1.png"]
        assert set(rejected(tmp_path)) == {"a/pipe.png", "a/socket.png"}


def test_a_pipe_that_took_a_files_place_does_not_hang(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a/1.png": photo(1)})
    (item,) = folder_entries(tmp_path)
    assert isinstance(item, Entry)
    (tmp_path / "a/1.png").unlink()
    os.mkfifo(tmp_path / "a/1.png")
    with pytest.raises(NotTaken, match="not a file"):
        item.read()


def test_a_file_that_cannot_be_opened_is_listed(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a/1.png": photo(1)})
    (item,) = folder_entries(tmp_path)
    assert isinstance(item, Entry)
    (tmp_path / "a/1.png").unlink()
    with pytest.raises(NotTaken, match=r"cannot be read \(No such file"):
        item.read()


def test_names_that_are_no_text_are_found(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/\xff\n-.png", "wb") as file:
        file.write(photo(1))
    (item,) = folder_entries(tmp_path)
    assert isinstance(item, Entry)
    assert item.parts == ("caf\udce9", "\udcff\n-.png")
    assert item.read() == photo(1)
