"""What `imgcli predict` takes: folders, patterns, tables, lists, archives."""

import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcli.commands.new_photos import find_new_photos
from imgcli.errors import DataError, WrongUsage
from imgcli.records import NewPhotos, Rejected
from tests.support.photos import photo
from tests.support.trees import make_tar, make_tree, make_zip

PHOTOS = {"my [1]/a.png": photo(1), "my [1]/sub/b.png": photo(2), "my [1]/c 3.png": photo(3)}
INNER = ["a.png", "sub/b.png", "c 3.png"]


@pytest.fixture
def tree(here: Path) -> Path:
    return make_tree(here, PHOTOS)


def contents(found: NewPhotos) -> list[bytes]:
    """The bytes of the photos, in order."""
    read = list(found.contents())
    assert len(read) == len(found.names)
    return [Path(one).read_bytes() if isinstance(one, str) else one for one in read]  # type: ignore[misc]


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("my [1]", ["a.png", "c 3.png", "sub/b.png"]),
        ("my [1]/*.png", ["a.png", "c 3.png"]),
        ("my [1]/**/*.png", ["a.png", "c 3.png", "sub/b.png"]),
        ("m* [[]1]/a.png", ["a.png"]),
        ("*/[ab].png", ["a.png"]),
        ("my [1]/*", ["a.png", "c 3.png", "sub/b.png"]),
        ("my [1]/[[]x]*.png", ["[x] 1.png"]),
        ("my [1]/[x]*.png", ["[x] 1.png"]),
    ],
)
def test_patterns_are_expanded_and_brackets_in_names_respected(
    tree: Path, pattern: str, expected: list[str]
) -> None:
    if "x" in pattern:
        make_tree(tree, {"my [1]/[x] 1.png": photo(4)})
    found = find_new_photos([pattern])
    assert sorted(found.names) == [f"my [1]/{name}" for name in expected]


def test_a_photo_that_is_named_again_is_there_once(tree: Path) -> None:
    words = ["my [1]", "my [1]/a.png", "./my [1]/sub/../a.png", "*/a.png", f"{tree}/my [1]/a.png"]
    found = find_new_photos(words)
    assert len(found.names) == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "path,x\nmy [1]/a.png,1\nmy [1]/sub/b.png,2\nmy [1]/c 3.png,3\n"),
        ("t.csv", "x,photo\n1,/home/else/my [1]/a.png\n2,b.png\n3,c 3.png\n"),
        ("t.csv", "id\na\nb\nc 3\n"),
        ("t.csv", "my [1]/a.png\nmy [1]/sub/b.png\nmy [1]/c 3.png\n"),
        ("t.tsv", "file_name\tlabel\na.png\tcat\nb.png\tcat\nc 3.png\tdog\n"),
        ("t.jsonl", '{"image": "a.png"}\n{"image": "b.png"}\n{"image": "c 3.png"}\n'),
        ("t.txt", "my [1]/a.png\r\nmy [1]/sub/b.png\r\n\r\nmy [1]/c 3.png"),
        ("t.lst", "my [1]/a.png\0my [1]/sub/b.png\0my [1]/c 3.png\0"),
    ],
)
def test_tables_and_lists_name_photos(tree: Path, name: str, text: str) -> None:
    (tree / name).write_bytes(text.encode())
    found = find_new_photos([name])
    assert list(found.names) == list(PHOTOS)
    assert contents(found) == list(PHOTOS.values()) and found.rejected == ()


def test_a_table_elsewhere_finds_its_photos_by_root(tree: Path) -> None:
    make_tree(tree, {"lists/t.csv": b"which,other\na.png,1\nc 3.png,1\n"})
    found = find_new_photos(["lists/t.csv"], root=Path("my [1]"), path_column="which")
    assert list(found.names) == ["my [1]/a.png", "my [1]/c 3.png"]
    with pytest.raises(WrongUsage, match=r"--path-column 'x' is no column of 'lists/t.csv'"):
        find_new_photos(["lists/t.csv"], path_column="x")


def test_a_photo_of_a_table_that_is_missing_is_kept_to_be_listed(tree: Path) -> None:
    (tree / "t.csv").write_text("path\na.png\nnope.png\n")
    assert list(find_new_photos(["t.csv"]).names) == ["my [1]/a.png", "nope.png"]


def test_parquet_holds_paths_or_photos(tree: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"path": ["a.png", "b.png"]}), "paths.parquet")
    assert contents(find_new_photos(["paths.parquet"])) == [photo(1), photo(2)]
    images = [{"bytes": photo(7), "path": "x.png"}, {"bytes": None, "path": "a.png"}]
    pq.write_table(pa.table({"image": images, "n": [1, 2]}), "photos.parquet")
    found = find_new_photos(["photos.parquet"])
    assert contents(found) == [photo(7), photo(1)]
    assert found.names == ("photos.parquet[0]", "photos.parquet[1]")


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_members_of_archives_are_read_in_place(here: Path, kind: str) -> None:
    files = {
        **dict(zip(INNER, PHOTOS.values(), strict=True)),
        "readme.txt": b"x",
        "__MACOSX/a": b"",
    }
    make = {"zip": make_zip, "tar": make_tar, "tgz": lambda p, f: make_tar(p, f, "w:gz")}[kind]
    make(here / "new.bin", files)
    found = find_new_photos(["new.bin"])
    assert list(found.names) == [f"new.bin!{name}" for name in INNER]
    assert list(found.inner) == INNER
    assert contents(found) == contents(found) == list(PHOTOS.values())  # more than once
    assert found.rejected == (Rejected("new.bin!readme.txt", "not a picture, by its name (.txt)"),)


def test_paths_come_from_standard_input(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for separator in (b"\n", b"\r\n", b"\0"):
        stdin(monkeypatch, separator.join(os.fsencode(name) for name in PHOTOS))
        assert list(find_new_photos(["-"]).names) == list(PHOTOS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4))
def test_any_file_name_survives_between_nul_bytes(here: Path, names: list[bytes]) -> None:
    known = [
        name for name in names if not set(name) & set(b"\0/\r\n") and name not in (b".", b"..")
    ]
    for name in known:
        Path(os.fsdecode(name)).write_bytes(b"x")
    if known:
        with pytest.MonkeyPatch.context() as patch:
            stdin(patch, b"\0".join(known) + b"\0")
            found = find_new_photos(["-"])
        assert [os.fsencode(name) for name in found.names] == list(dict.fromkeys(known))


@pytest.mark.parametrize(
    ("words", "text", "message"),
    [
        (["nope"], "", "No file or folder 'nope'"),
        (["x*.jpg"], "", r"Nothing matches 'x\*.jpg'"),
        (["empty"], "", "No photo in 'empty'"),
        (["t.csv"], "", "'t.csv' has no rows"),
        (["t.csv"], "colour,size\nred,1\nblue,2\n", "no column that looks like photos' paths"),
        (["t.csv"], "path\nx.png\ny.png\n", r"2 paths in 't.csv', 100.0 % are not there.*--root"),
        (["t.txt"], "\n\n", "'t.txt' names no photo"),
        (["-"], "", "standard input names no photo"),
        (["-"], "x.jpg\n", "1 path in standard input, 100.0 % are not there, such as 'x.jpg'"),
        (["t.zip"], "PK\3\4broken", "'t.zip' is damaged or incomplete"),
    ],
)
def test_what_holds_no_photo_is_a_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], text: str, message: str
) -> None:
    (here / "empty").mkdir()
    if words == ["-"]:
        stdin(monkeypatch, text.encode())
    elif "t." in words[0]:
        (here / words[0]).write_text(text)
    with pytest.raises(DataError, match=message):
        find_new_photos(words)


def test_a_table_that_a_pattern_meets_by_chance_is_listed(tree: Path) -> None:
    (tree / "my [1]/notes.csv").write_text("colour,size\nred,1\n")
    found = find_new_photos(["my [1]/*"])
    assert len(found.names) == 3
    assert [one.path for one in found.rejected] == ["my [1]/notes.csv"]
