"""Documents are what their types say, or refused with the place; hashes notice changes."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from msgspec import Struct

from imgcli import reading
from imgcli.documents import (
    Count,
    DocumentError,
    OtherVersion,
    Relative,
    parse,
    read_document,
    stays_inside,
)
from imgcli.files import save_arrays, write_json


class Photo(Struct):
    path: Relative
    group: Count


class Album(Struct):
    photos: list[Photo]


def album(path: str = "cat/1.jpg", group: object = 3) -> dict[str, object]:
    return {"format": 1, "photos": [{"path": path, "group": group}]}


def test_a_document_is_read_as_its_type_and_later_keys_are_passed_over(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {**album(), "later": [1]})
    assert read_document(tmp_path / "a.json", Album, 1).photos == [Photo("cat/1.jpg", 3)]
    with pytest.raises(OtherVersion, match="format 1"):
        read_document(tmp_path / "a.json", Album, 2)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (album(group="x"), r"int, got str - at \$\.photos\[0\]\.group"),
        (album(group=-1), r"Expected int >= 0 - at \$\.photos\[0\]\.group"),
        (album(group=10**30), "too large"),
        (album("../a"), r"a relative path that stays inside its folder - at \$\.photos\[0\]"),
        (album("a\0b"), r"the character \\u0000"),
        (album("\ud800"), r"the character \\ud800"),
        ([], "no format"),
    ],
)
def test_what_is_not_of_the_type_is_told_with_its_place(
    tmp_path: Path, document: object, said: str
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(DocumentError, match=said):
        read_document(tmp_path / "a.json", Album, 1)


@pytest.mark.parametrize("text", ["\U0001f600", "caf\udce9.jpg", "\\u0000", "a\\ud800"])
def test_text_that_a_file_can_have_as_its_name_is_kept(text: str) -> None:
    assert parse(json.dumps(text).encode()) == text


@pytest.mark.parametrize("path", ["/a", "..", "../a", "a/../b", "a/..", "", "a\0"])
def test_paths_that_leave_their_folder(path: str) -> None:
    assert not stays_inside(path)


@pytest.mark.parametrize("path", ["a", "a/b", "..a/b..", "a/...", "new\nline/..x"])
def test_paths_that_stay_in_their_folder(path: str) -> None:
    assert stays_inside(path)


def test_a_hash_vouches_for_the_content_however_it_is_laid_out(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_json(file, album(), hashed=True)
    document = json.loads(file.read_text())
    file.write_text(json.dumps(dict(reversed(document.items()))))
    assert read_document(file, Album, 1).photos[0].group == 3
    file.write_text(json.dumps({**document, "later": 1}))
    with pytest.raises(DocumentError, match="has changed since it was written"):
        read_document(file, Album, 1)


def test_arrays_come_back_and_a_change_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    arrays = {
        "empty": np.empty((0, 3)),
        "texts": np.array(["a", "b\udcff"]),
        "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "one": np.array(True),
    }
    save_arrays(file, arrays)
    found = reading.read_arrays(file)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and found[name].flags.writeable
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, members["empty.npy"] if name == "turned.npy" else data)
    with pytest.raises(ValueError, match="has changed since it was written"):
        reading.read_arrays(file)


def test_objects_are_never_unpacked(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="holds objects"):
        reading.read_arrays(tmp_path / "a.npz")
