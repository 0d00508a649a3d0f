"""Photos with and without labels: known by content, each once."""

import os
from pathlib import Path

import pytest

from imgcli.errors import DataError
from imgcli.photos.to_label import photos_to_label
from tests.support.photos import write_photo, write_tree


def test_what_is_labelled_is_known_by_its_content(tmp_path: Path) -> None:
    roll = write_tree(tmp_path / "photos", {"a": 3, "b/c": 2})
    (tmp_path / "raw/cat").mkdir(parents=True)
    os.link(roll / "a/01.png", tmp_path / "raw/cat/other.png")
    write_photo(tmp_path / "raw/dog/new.png", 99)
    found = photos_to_label(roll, tmp_path / "raw", ["owl"], tmp_path / "cache")
    samples = found.samples
    assert samples.classes == ("cat", "dog", "owl")
    assert list(samples.digests) == sorted(samples.digests) and len(samples) == 6
    labels = {name: int(k) for name, k in zip(found.names, samples.targets, strict=True)}
    named = {str(Path(name).relative_to(tmp_path)): k for name, k in labels.items()}
    assert named == {
        "photos/a/00.png": -1,
        "photos/a/02.png": -1,
        "photos/b/c/00.png": -1,
        "photos/b/c/01.png": -1,
        "raw/cat/other.png": 0,
        "raw/dog/new.png": 1,
    }


def test_copies_and_unreadable_files_are_left_out(tmp_path: Path) -> None:
    roll = write_tree(tmp_path / "photos", {"a": 3})
    (roll / "copy.png").write_bytes((roll / "a/00.png").read_bytes())
    (roll / "broken.png").write_bytes((roll / "a/01.png").read_bytes()[:60])
    found = photos_to_label(roll, None, cache=tmp_path / "cache")
    assert len(found.samples) == 3
    assert [Path(item.path).name for item in found.rejected] == ["broken.png"]


def test_nothing_to_label_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No file or folder"):
        photos_to_label(tmp_path / "nothing", None, cache=tmp_path / "cache")
    roll = write_tree(tmp_path / "photos", {"a": 1})
    (tmp_path / "raw/cat").mkdir(parents=True)
    os.link(roll / "a/00.png", tmp_path / "raw/cat/0.png")
    with pytest.raises(DataError, match=r"All photos in .* are labelled"):
        photos_to_label(roll, tmp_path / "raw", cache=tmp_path / "cache")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"No photo in .* to label"):
        photos_to_label(tmp_path / "empty", None, cache=tmp_path / "cache")
