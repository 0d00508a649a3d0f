"""One decision, for every command, on whether a tree is split."""

import os
from pathlib import Path

import pytest

from imgcli.collect.imports.formats.source import Reading
from imgcli.collect.imports.run import import_photos
from imgcli.errors import DataError, WrongUsage
from imgcli.folder_names import Levels
from imgcli.photos.dataset import load_dataset
from imgcli.photos.layout import find_photos, read_layout
from imgcli.photos.manifest import read_manifest
from imgcli.photos.merge import classes_in, merge_classes, undo_merge
from imgcli.photos.merge_spec import Merge
from imgcli.photos.split import split_folder
from tests.support.photos import write_tree

CLASSES = [
    ("train", "tram", "bus"),
    ("train", "test", "tram"),
    ("train", "val", "validation", "valid", "bus"),
    ("TRAIN", "train", "bus"),
    ("train/2024", "train/2025", "tram/2024", "bus/2025"),
    ("train", "test", "bus", ".train/x"),
]
SPLIT = [
    ("train/cat", "train/dog", "test/cat", "test/dog"),
    ("train/cat", "train/dog"),
    ("train/cat", "train/dog", "valid/cat", "test/dog"),
    ("train/cat", "train/dog", "test/cat", "unlabelled"),
    ("train/train", "train/test", "test/train", "test/test"),
    ("train/cat", "train/dog", "test/cat", ".ipynb_checkpoints/x"),
]


@pytest.mark.parametrize("folders", CLASSES)
def test_every_command_takes_classes_named_like_parts_for_classes(
    tmp_path: Path, folders: tuple[str, ...]
) -> None:
    raw = write_tree(tmp_path / "raw", dict.fromkeys(folders, 3))
    classes = sorted({name.split("/")[0] for name in folders if not name.startswith(".")})
    places = find_photos(raw).photos
    assert {place.label for place in places.values()} == set(classes)
    assert {place.part for place in places.values()} == {None}
    assert classes_in(raw) == classes
    with pytest.raises(DataError, match=r"run `imgcli split|make one with `imgcli split"):
        load_dataset(raw)
    imported = import_photos([raw], tmp_path / "imported")
    assert sorted(imported.classes) == classes
    assert len(imported.notes) == len(classes) - len({name.casefold() for name in classes})
    with pytest.raises(WrongUsage, match="without train and test parts"):
        import_photos([raw], tmp_path / "parts", reading=Reading(keep_split=True))


@pytest.mark.parametrize("folders", [CLASSES[0], CLASSES[1], CLASSES[4]])
def test_classes_named_like_parts_are_split_merged_and_taken_apart(
    tmp_path: Path, folders: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = write_tree(Path("raw"), dict.fromkeys(folders, 3))
    classes = sorted({name.split("/")[0] for name in folders})
    merge = Merge((classes[0], "train"), "vehicle")
    merged = merge_classes(raw, [merge], Path("merged"))
    assert not merged.split and set(merged.classes) == {*classes, "vehicle"} - set(merge.classes)
    undo_merge(Path("merged"), Path("back"))
    assert find_photos(Path("back")).photos == find_photos(raw).photos
    split_folder(raw, duplicates="exact", ratio=0.6)
    assert load_dataset(Path("dataset")).samples.classes == tuple(classes)
    both = merge_classes(Path("dataset"), [merge], Path("both"))
    assert both.split and load_dataset(Path("both")).samples.classes == tuple(sorted(both.classes))
    assert read_manifest(Path("both")) is not None


@pytest.mark.parametrize("folders", SPLIT)
def test_every_command_takes_a_split_tree_for_one(tmp_path: Path, folders: tuple[str, ...]) -> None:
    root = write_tree(tmp_path / "theirs", dict.fromkeys(folders, 3))
    classes = sorted({name.split("/")[1] for name in folders if name.startswith("train/")})
    places = find_photos(root).photos
    assert {place.label for place in places.values()} == set(classes)
    assert {place.part for place in places.values()} >= {"train"}
    assert classes_in(root) == classes
    assert load_dataset(root).samples.classes == tuple(classes)
    with pytest.raises(DataError, match="is split already, into"):
        split_folder(root, tmp_path / "out", duplicates="exact")
    if len(places) > 6:  # with a held-out part
        imported = import_photos([root], tmp_path / "imported", reading=Reading(keep_split=True))
        assert sorted(imported.classes) == classes and imported.parts is not None


@pytest.mark.parametrize("parts", [("train", "test"), ("Train", "Test"), ("test", "val")])
def test_parts_of_photos_without_class_folders_are_not_taken_for_classes(
    tmp_path: Path, parts: tuple[str, str]
) -> None:
    root = write_tree(tmp_path / "kaggle", dict.fromkeys(parts, 3))
    for command in (find_photos, load_dataset, classes_in, split_folder):
        with pytest.raises(DataError, match=r"no class folders in them\. If .* --classes-at 1"):
            command(root)
    with pytest.raises(DataError, match="but no class folders in them"):
        import_photos([root], tmp_path / "raw")
    levels = Levels("1")
    assert find_photos(root, levels).classes == sorted(parts)
    assert set(split_folder(root, tmp_path / "out", levels=levels).classes) == set(parts)


def test_a_linked_part_is_a_part(tmp_path: Path) -> None:
    write_tree(tmp_path / "disk", {"cat": 3, "dog": 3})
    (tmp_path / "data").mkdir()
    os.symlink(tmp_path / "disk", tmp_path / "data/train")
    assert read_layout(tmp_path / "data").parts == {"train": "train"}
