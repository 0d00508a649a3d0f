"""The walk of class folders, over trees of every kind."""

import os
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcli.errors import DataError
from imgcli.photos.layout import find_photos
from imgcli.records import Rejected


def grow(root: Path, *files: str | bytes) -> Path:
    """Make files; the scan goes by place, so anything may be in them."""
    for name in files:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"a photo")
    return root


def scan(root: Path) -> tuple[list[tuple[str, str]], list[Rejected]]:
    """(path, class) of each photo, and the rejected files."""
    layout = find_photos(root)
    return [(path, place.label) for path, place in layout.photos.items()], layout.rejected


def reasons(root: Path) -> dict[str, str]:
    return {rejected.path: rejected.reason for rejected in scan(root)[1]}


def test_photos_belong_to_the_first_folder_under_root(tmp_path: Path) -> None:
    grow(tmp_path, "dog/b.jpg", "cat/2024/may/a.jpg", "cat/c.png", "dog/a.jpg")
    assert scan(tmp_path) == (
        [
            ("cat/2024/may/a.jpg", "cat"),
            ("cat/c.png", "cat"),
            ("dog/a.jpg", "dog"),
            ("dog/b.jpg", "dog"),
        ],
        [],
    )


def test_order_is_by_code_point_and_not_natural_or_by_locale(tmp_path: Path) -> None:
    names = [
        "class10/a.jpg",
        "class2/a.jpg",
        "Z/a.jpg",
        "a/B.jpg",
        "a/a.jpg",
        "ä/a.jpg",
        "a b/c.jpg",
    ]
    found, _ = scan(grow(tmp_path, *names))
    assert [path for path, _ in found] == sorted(names)
    assert [path for path, _ in found][:2] == ["Z/a.jpg", "a b/c.jpg"]


def test_what_systems_and_tools_leave_behind_is_passed_over(tmp_path: Path) -> None:
    grow(
        tmp_path,
        "cat/a.jpg",
        *("cat/.DS_Store", "cat/Thumbs.db", "cat/desktop.ini", "cat/._a.jpg"),
        *("provenance.jsonl", ".git/a.jpg", "__MACOSX/cat/a.jpg", ".ipynb_checkpoints/a.jpg"),
        *("cat/.ipynb_checkpoints/a.jpg", "cat/__MACOSX/a.jpg", ".imgcli-1-2.tmp"),
    )
    assert scan(tmp_path) == ([("cat/a.jpg", "cat")], [])


def test_files_that_are_no_pictures_by_name_are_listed(tmp_path: Path) -> None:
    grow(tmp_path, "cat/a.jpg", "cat/notes.TXT", "labels.csv", "cat/no_extension", "cat/a.unknown")
    found, _ = scan(tmp_path)
    assert [path for path, _ in found] == ["cat/a.jpg", "cat/a.unknown", "cat/no_extension"]
    assert reasons(tmp_path) == {
        "cat/notes.TXT": "not a picture, by its name (.txt)",
        "labels.csv": "not a picture, by its name (.csv)",
    }


def test_loose_photos_beside_class_folders_are_listed(tmp_path: Path) -> None:
    grow(tmp_path, "cat/a.jpg", "loose.jpg")
    assert "outside the class folders" in reasons(tmp_path)["loose.jpg"]


def test_a_class_folder_without_photos_is_listed(tmp_path: Path) -> None:
    grow(tmp_path, "cat/a.jpg")
    (tmp_path / "owl/nothing/here").mkdir(parents=True)
    assert reasons(tmp_path) == {"owl": "a class folder without photos"}


def test_linked_photos_keep_the_class_of_the_folder_they_lie_in(tmp_path: Path) -> None:
    grow(tmp_path, "elsewhere/dog.jpg", "root/cat/a.jpg")
    (tmp_path / "root/cat/b.jpg").symlink_to(tmp_path / "elsewhere/dog.jpg")
    assert scan(tmp_path / "root") == ([("cat/a.jpg", "cat"), ("cat/b.jpg", "cat")], [])


def test_a_class_folder_may_be_a_link(tmp_path: Path) -> None:
    grow(tmp_path, "elsewhere/2024/a.jpg", "root/cat/a.jpg")
    (tmp_path / "root/dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(tmp_path / "root")
    expected = [("cat/a.jpg", "cat"), ("dog/2024/a.jpg", "dog")]
    assert scan(tmp_path / "root") == (expected, [])
    assert scan(tmp_path / "link") == (expected, [])


def test_loops_are_not_followed(tmp_path: Path) -> None:
    root = grow(tmp_path, "root/cat/a.jpg", "root/cat/deep/b.jpg") / "root"
    (root / "itself").symlink_to("itself")
    (root / "here").symlink_to(root)
    (root / "above").symlink_to(tmp_path)
    (root / "cat/up").symlink_to(root)
    (root / "cat/deep/cat").symlink_to(root / "cat")
    found, _ = scan(root)
    assert found == [("cat/a.jpg", "cat"), ("cat/deep/b.jpg", "cat")]
    listed = reasons(root)
    assert listed["above/root"] == listed["here"] == "a link that leads back to the folder scanned"
    assert listed["itself"].startswith("a broken link")
    for link in ("cat/up", "cat/deep/cat"):
        assert listed[link].startswith("a link to a folder inside a class folder")


def test_what_is_no_file_is_listed_and_never_opened(tmp_path: Path) -> None:
    grow(tmp_path, "cat/a.jpg")
    os.mkfifo(tmp_path / "cat/pipe.jpg")  # opening it would wait for ever
    (tmp_path / "cat/broken.jpg").symlink_to("nowhere.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "cat/socket.jpg"))
        assert reasons(tmp_path) == {
            "cat/broken.jpg": "a broken link",
            "cat/pipe.jpg": "neither a file nor a folder",
            "cat/socket.jpg": "neither a file nor a folder",
        }


def test_names_need_not_be_text(tmp_path: Path) -> None:
    grow(tmp_path, b"caf\xe9/\xff\xfe.jpg", "cat/-rf.jpg", "cat/new\nline.jpg", "CON/nul.jpg")
    grow(tmp_path, "cat/" + "x" * 251 + ".jpg", "cat/\U0001f63a.jpg", "cat/A.jpg", "cat/a.jpg")
    found, rejected = scan(tmp_path)
    assert len(found) == 8 and rejected == []
    path, name = next((path, name) for path, name in found if name.startswith("caf"))
    assert os.fsencode(path) == b"caf\xe9/\xff\xfe.jpg" and os.fsencode(name) == b"caf\xe9"
    assert (tmp_path / path).read_bytes() == b"a photo"


def test_deep_trees_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    deep = "/".join(["cat", *["d"] * 1500])
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for name in deep.split("/"):  # the whole path is close to the system's limit
            os.mkdir(name)
            os.chdir(name)
        Path("a.jpg").write_bytes(b"a photo")
    finally:
        os.chdir(here)
    grow(tmp_path, "dog/b.jpg")
    try:
        assert scan(tmp_path)[0] == [(f"{deep}/a.jpg", "cat"), ("dog/b.jpg", "dog")]
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "cat"])  # pytest's own sweep does exhaust it


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_listed(tmp_path: Path) -> None:
    grow(tmp_path, "cat/a.jpg", "cat/secret/b.jpg")
    (tmp_path / "cat/secret").chmod(0)
    try:
        assert reasons(tmp_path) == {"cat/secret": "cannot be listed: Permission denied"}
    finally:
        (tmp_path / "cat/secret").chmod(0o755)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No folder '.*/gone'. Name a folder of class folders"):
        scan(tmp_path / "gone")


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "my photos.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"is a file.* imgcli import '.*/my photos.zip' --out raw"):
        scan(tmp_path / "my photos.zip")


def test_photos_but_no_class_folders(tmp_path: Path) -> None:
    grow(tmp_path, "b.jpg", "a.jpg")
    with pytest.raises(
        DataError,
        match=r"holds 2 photos \('a.jpg' and 'b.jpg'\) but no class folders.*root/<class>",
    ):
        scan(tmp_path)


def test_no_photo_at_all(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"holds no photos\. What is expected is root/<class>/<photo>"
    ):
        scan(tmp_path)
    grow(tmp_path, "cat/notes.txt")
    with pytest.raises(DataError, match=r"holds no photos \(only 'cat/notes.txt'"):
        scan(tmp_path)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sets(
        st.binary(min_size=1, max_size=20).filter(lambda name: not {0, 47} & set(name)), min_size=1
    )
)
def test_every_photo_is_found_or_listed_whatever_its_name(
    tmp_path_factory: pytest.TempPathFactory, names: set[bytes]
) -> None:
    root = tmp_path_factory.mktemp("any")
    kept = sorted({name.replace(b".", b"_") for name in names})
    grow(root, *(b"cat/" + name for name in kept))
    found, _ = scan(root)
    assert sorted(os.fsencode(path) for path, _ in found) == [b"cat/" + name for name in kept]
