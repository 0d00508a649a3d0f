"""Classes made one in a new tree of links, and taken apart again."""

import json
import os
from pathlib import Path

import pytest

from imgcli.errors import DataError, StorageError
from imgcli.photos.dataset import load_dataset
from imgcli.photos.layout import find_photos
from imgcli.photos.manifest import PlacedPhoto, read_manifest
from imgcli.photos.merge import NAME, Merged, classes_in, merge_classes, undo_merge
from imgcli.photos.merge_spec import Merge
from imgcli.photos.split import split_folder
from tests.support.photos import write_classes, write_tree
from tests.support.trees import files_of

TWO = [Merge(("blue", "red"), "purple")]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Three classes of four photos, one in a sub-folder, with notes and provenance."""
    root = write_classes(tmp_path / "raw", per_class=4)
    (root / "blue/2019").mkdir()
    (root / "blue/00.png").rename(root / "blue/2019/00.png")
    (root / "red/notes.txt").write_text("mine")
    (root / "labels.csv").write_text("path,label\n")
    lines = [{"path": "red/01.png", "label": "red", "sha256": "…"}, {"path": "gone/1.png"}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (root / "provenance.jsonl").write_text(text + "torn")
    return root


def test_merged_photos_are_links_that_tell_their_old_class(raw: Path, tmp_path: Path) -> None:
    made = merge_classes(raw, TWO, tmp_path / "out")
    assert made == Merged(tmp_path / "out", tuple(TWO), {"green": 4, "purple": 8}, False, 0, ())
    assert {path.name for path in (tmp_path / "out/purple").iterdir()} == {
        *("blue__01.png", "blue__02.png", "blue__03.png", "blue__2019__00.png"),
        *("red__00.png", "red__01.png", "red__02.png", "red__03.png"),
    }
    assert os.path.samefile(raw / "red/00.png", tmp_path / "out/purple/red__00.png")
    assert os.path.samefile(raw / "green/00.png", tmp_path / "out/green/00.png")


def test_provenance_follows_and_other_lines_stay(raw: Path, tmp_path: Path) -> None:
    merge_classes(raw, TWO, tmp_path / "out")
    first, second, torn = (tmp_path / "out/provenance.jsonl").read_text().split("\n")
    moved = {"path": "purple/red__01.png", "label": "purple", "sha256": "…"}
    assert (json.loads(first), second, torn) == (moved, '{"path": "gone/1.png"}', "torn")


def test_provenance_of_an_imported_split_names_the_class_not_the_part(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_classes(tmp_path / "dataset" / part, per_class=1)
    line = {"path": "train/red/00.png", "label": "red", "sha256": "…"}
    (tmp_path / "dataset/provenance.jsonl").write_text(json.dumps(line) + "\n")
    merge_classes(tmp_path / "dataset", TWO, tmp_path / "out")
    moved = {"path": "train/purple/red__00.png", "label": "purple", "sha256": "…"}
    assert json.loads((tmp_path / "out/provenance.jsonl").read_text()) == moved
    undo_merge(tmp_path / "out", tmp_path / "back")
    assert json.loads((tmp_path / "back/provenance.jsonl").read_text()) == line


def test_undoing_gives_exactly_the_old_tree(raw: Path, tmp_path: Path) -> None:
    before = files_of(raw)
    merge_classes(raw, TWO, tmp_path / "out")
    merge_classes(tmp_path / "out", [Merge(("green", "purple"), "all")], tmp_path / "again")
    undo_merge(tmp_path / "again", tmp_path / "once")
    assert files_of(tmp_path / "once") == files_of(tmp_path / "out")
    undone = undo_merge(tmp_path / "once", tmp_path / "back")
    assert files_of(tmp_path / "back") == before == files_of(raw)
    assert undone.classes == {"blue": 4, "green": 4, "red": 4}


def test_a_photo_added_since_the_merge_is_told_and_left(raw: Path, tmp_path: Path) -> None:
    merge_classes(raw, TWO, tmp_path / "out")
    (tmp_path / "out/purple/new.png").write_bytes(b"new")
    (tmp_path / "out/purple/red__00.png").unlink()
    undone = undo_merge(tmp_path / "out", tmp_path / "back")
    assert undone.left == ("purple/new.png",)
    assert undone.classes == {"blue": 4, "green": 4, "purple": 1, "red": 3}


def test_a_split_dataset_keeps_its_parts_and_its_manifest_is_true(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    split_folder(raw, Path("dataset"), ratio=0.5)
    before = files_of(Path("dataset"))
    old = {photo.sha256: photo for photo in load_manifest("dataset")}
    made = merge_classes(Path("dataset"), TWO, Path("merged"))
    assert made.split and made.classes == {"green": 4, "purple": 8}
    paths = [photo.path for photo in load_manifest("merged")]
    assert paths == sorted(paths)
    for photo in load_manifest("merged"):
        assert photo.part == old[photo.sha256].part == photo.path.split("/")[0]
        assert photo.label == {"green": "green"}.get(old[photo.sha256].label, "purple")
        assert photo.source == old[photo.sha256].source
    loaded = load_dataset(Path("merged"))
    assert loaded.samples.classes == ("green", "purple") and not loaded.rejected
    undo_merge(Path("merged"), Path("back"))
    assert files_of(Path("back")) == before


def load_manifest(folder: str) -> list[PlacedPhoto]:
    made = read_manifest(Path(folder))
    assert made is not None
    return list(made.photos)


def test_a_dataset_made_elsewhere_is_merged_part_by_part(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (raw / "labels.csv").unlink()
    (raw / "provenance.jsonl").unlink()
    raw.rename(tmp_path / "theirs/train")
    write_classes(tmp_path / "theirs/valid", per_class=1, classes=2)
    made = merge_classes(tmp_path / "theirs", TWO, tmp_path / "out")
    assert made.classes == {"green": 5, "purple": 9} and made.split
    assert (tmp_path / "out/valid/purple/blue__00.png").is_file()
    assert classes_in(tmp_path / "out") == ["green", "purple"]


def test_where_links_fail_photos_are_copied(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: str, **_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    made = merge_classes(raw, TWO, tmp_path / "out")
    assert made.copied == 14
    assert (tmp_path / "out/purple/red__00.png").read_bytes() == (raw / "red/00.png").read_bytes()


def test_what_exists_is_not_replaced_unasked_nor_lost(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"out' exists\. Choose another --out"):
        merge_classes(raw, TWO, tmp_path / "out")
    merge_classes(raw, TWO, tmp_path / "out", force=True)
    (aside,) = tmp_path.glob("out.replaced-*")
    assert (aside / "mine.txt").read_text() == "mine"


def test_places_inside_one_another_are_refused(raw: Path) -> None:
    with pytest.raises(StorageError, match="lie in one another"):
        merge_classes(raw, TWO, raw / "out")
    with pytest.raises(StorageError, match="lie in one another"):
        merge_classes(raw, TWO, raw)


def test_what_was_not_merged_cannot_be_undone(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no '.*merge\.json', so .* nothing to undo"):
        undo_merge(raw, tmp_path / "out")
    for damaged in ("{", "[]", '{"format": 2}', '{"format": 1}'):
        (raw / NAME).write_text(damaged)
        with pytest.raises(DataError, match=r"merge\.json' cannot be read"):
            undo_merge(raw, tmp_path / "out")


@pytest.mark.parametrize("around", ["wrap/", "Training/", "site{n}/"])
def test_class_folders_below_others_are_merged_where_they_are(tmp_path: Path, around: str) -> None:
    counts = {f"{around.format(n=n)}{name}": 2 for n in (1, 2) for name in ("cat", "dog", "crab")}
    if around == "Training/":
        counts["Testing/crab"] = 1
    root = write_tree(tmp_path / "tree", counts)
    merged = merge_classes(root, [Merge(("cat", "dog"), "pet")], tmp_path / "merged")
    found = find_photos(tmp_path / "merged")
    assert found.classes == ["crab", "pet"] == sorted(merged.classes)
    assert set(map(found.around, found.photos)) == set(
        map(find_photos(root).around, find_photos(root).photos)
    )
    assert sum(merged.classes.values()) == len(find_photos(root).photos)
    undo_merge(tmp_path / "merged", tmp_path / "back")
    assert find_photos(tmp_path / "back").photos == find_photos(root).photos


def test_parts_inside_class_folders_are_no_tree_to_merge(tmp_path: Path) -> None:
    counts = {f"{name}/{part}": 2 for name in ("cat", "dog") for part in ("train", "test")}
    root = write_tree(tmp_path / "tree", counts)
    with pytest.raises(DataError, match=r"has parts inside its class folders.* --keep-split"):
        merge_classes(root, [Merge(("cat", "dog"), "pet")], tmp_path / "merged")
