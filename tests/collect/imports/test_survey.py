import pytest

from imgcli.class_folders import ClassFolders
from imgcli.collect.imports.labelled_photo import Entry, LabelledPhoto
from imgcli.collect.imports.survey import class_folders, labelled, survey
from imgcli.errors import DataError
from imgcli.folder_names import part_named
from imgcli.records import Rejected


def entry(path: str) -> Entry:
    return Entry(tuple(path.split("/")), f"src/{path}", 10, lambda: b"")


def found_in(*paths: str) -> ClassFolders:
    return class_folders(survey(map(entry, paths), "src", 100), "src")


def label_of(path: str, found: ClassFolders) -> str | None:
    item = labelled(entry(path), found)
    return item.label if isinstance(item, LabelledPhoto) else None


@pytest.mark.parametrize(
    ("paths", "root"),
    [
        (("a/1.jpg", "b/1.jpg"), ()),
        (("a/1.jpg",), ()),
        (("wrap/a/1.jpg", "wrap/b/1.jpg"), ("wrap",)),
        (("wrap/photos/a/1.jpg", "wrap/photos/b/1.jpg"), ("wrap", "photos")),
        (("wrap/a/1.jpg",), ("wrap",)),
        (("wrap/cover.jpg", "wrap/a/1.jpg", "wrap/b/1.jpg"), ("wrap",)),
        (("a/1.jpg", "a/2.jpg", "a/old/1.jpg"), ()),
        (("README.txt", "wrap/a/1.jpg", "wrap/b/1.jpg", "docs/x.txt"), ("wrap",)),
        (("a/1", "b/2"), ()),  # no suffix anywhere: then all files speak
    ],
)
def test_the_class_folders_are_found(paths: tuple[str, ...], root: tuple[str, ...]) -> None:
    assert {folder[:-1] for folder in found_in(*paths).places} == {root}


WRAPPED = found_in("wrap/a/1.jpg", "wrap/b/1.jpg")


def test_photos_of_sub_folders_belong_to_their_class() -> None:
    assert label_of("wrap/a/2024/1.jpg", WRAPPED) == "a"
    assert label_of("a/2024/1.jpg", found_in("a/1.jpg", "b/1.jpg")) == "a"


def test_photos_outside_the_class_folders_are_rejected() -> None:
    assert labelled(entry("1.jpg"), WRAPPED) == Rejected("src/1.jpg", "is in no class folder")
    assert label_of("wrap/cover.jpg", WRAPPED) is None
    assert label_of("other/a/1.jpg", WRAPPED) is None


def test_photos_without_class_folders_show_the_expected_tree() -> None:
    with pytest.raises(
        DataError, match=r"'src' holds photos but no class folders.* photos/crab/1.jpg"
    ):
        found_in("1.jpg", "2.jpg")


def test_no_photos_at_all_is_said() -> None:
    with pytest.raises(DataError, match="No photos in 'src'"):
        found_in()
    refused = [Rejected("src!x", "a link")]
    with pytest.raises(DataError, match=r"No photos in 'src' \(src!x: a link\)"):
        class_folders(survey(refused, "src", 100), "src")


@pytest.mark.parametrize("held_out", ["test", "val", "Validation"])
def test_train_and_a_held_out_folder_are_parts(held_out: str) -> None:
    found = found_in("wrap/train/a/1.jpg", f"wrap/{held_out}/a/1.jpg")
    part = "test" if held_out == "test" else "val"
    assert found.parts == {("wrap", "train"): "train", ("wrap", held_out): part}
    item = labelled(entry(f"wrap/{held_out}/a/x/1.jpg"), found)
    assert isinstance(item, LabelledPhoto) and (item.label, item.part) == ("a", part)


def test_photos_beside_the_parts_are_rejected() -> None:
    found = found_in("train/a/1.jpg", "test/a/1.jpg")
    for path in ("more/a/1.jpg", "1.jpg"):
        assert labelled(entry(path), found) == Rejected(f"src/{path}", "is in none of test, train")
    assert labelled(entry("train/1.jpg"), found) == Rejected(
        "src/train/1.jpg", "is in no class folder"
    )


@pytest.mark.parametrize(
    ("folders", "part"),
    [("coco/train2017", "train"), ("val_2014/x", "val"), ("valid", "val"), ("trainers", "")],
)
def test_a_folders_name_may_say_the_part(folders: str, part: str) -> None:
    assert part_named(tuple(folders.split("/"))) == part


def test_only_so_many_names_are_remembered() -> None:
    found = survey((entry(f"{n}.{n % 1500}") for n in range(3000)), "src", 10_000)
    assert len(found.others) == 1000
    assert len(survey((entry(f"{n}.cls") for n in range(900)), "src", 1000).others[".cls"]) == 200


def test_a_class_may_be_called_train() -> None:
    found = found_in("train/1.jpg", "bus/1.jpg", "train/2.jpg")
    assert (found.labels, found.parts) == (["bus", "train"], {})


def test_too_many_files_are_refused() -> None:
    with pytest.raises(DataError, match="'src' holds more than 3 files"):
        survey((entry(f"a/{n}.jpg") for n in range(4)), "src", 3)
