import pytest

from imgcli.collect.imports.labelled_photo import Entry, LabelledPhoto
from imgcli.collect.imports.survey import class_root, labelled, part_folders, part_named, survey
from imgcli.errors import DataError
from imgcli.records import Rejected


def entry(path: str) -> Entry:
    return Entry(tuple(path.split("/")), f"src/{path}", 10, lambda: b"")


def root_of(*paths: str) -> tuple[str, ...]:
    return class_root(survey(map(entry, paths), "src", 100), "src")


def label_of(path: str, root: tuple[str, ...]) -> str | None:
    item = labelled(entry(path), root)
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
    assert root_of(*paths) == root


def test_photos_of_sub_folders_belong_to_their_class() -> None:
    assert label_of("wrap/a/2024/1.jpg", ("wrap",)) == "a"
    assert label_of("a/2024/1.jpg", ()) == "a"


def test_photos_outside_the_class_folders_are_rejected() -> None:
    assert labelled(entry("1.jpg"), ()) == Rejected("src/1.jpg", "is in no class folder")
    assert label_of("wrap/cover.jpg", ("wrap",)) is None
    assert label_of("other/a/1.jpg", ("wrap",)) is None


def test_photos_without_class_folders_show_the_expected_tree() -> None:
    with pytest.raises(
        DataError, match=r"'src' holds photos but no class folders.* photos/crab/1.jpg"
    ):
        root_of("1.jpg", "2.jpg")


def test_no_photos_at_all_is_said() -> None:
    with pytest.raises(DataError, match="No photos in 'src'"):
        root_of()
    refused = [Rejected("src!x", "a link")]
    with pytest.raises(DataError, match=r"No photos in 'src' \(src!x: a link\)"):
        class_root(survey(refused, "src", 100), "src")


@pytest.mark.parametrize("held_out", ["test", "val", "Validation"])
def test_train_and_a_held_out_folder_are_parts(held_out: str) -> None:
    found = survey(map(entry, ["wrap/train/a/1.jpg", f"wrap/{held_out}/a/1.jpg"]), "src", 100)
    part = "test" if held_out == "test" else "val"
    assert part_folders(found, ("wrap",)) == {"train": "train", held_out: part}
    item = labelled(entry(f"wrap/{held_out}/a/x/1.jpg"), ("wrap",), {held_out: part})
    assert isinstance(item, LabelledPhoto) and (item.label, item.part) == ("a", part)


def test_photos_beside_the_parts_are_rejected() -> None:
    parts = {"train": "train", "test": "test"}
    assert labelled(entry("more/a/1.jpg"), (), parts) == Rejected(
        "src/more/a/1.jpg", "is in none of test, train"
    )
    assert labelled(entry("1.jpg"), (), parts) == Rejected("src/1.jpg", "is in none of test, train")
    assert labelled(entry("train/1.jpg"), (), parts) == Rejected(
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
    found = survey(map(entry, ["train/1.jpg", "bus/1.jpg", "train/2.jpg"]), "src", 100)
    assert class_root(found, "src") == ()
    assert part_folders(found, ()) == {}


def test_too_many_files_are_refused() -> None:
    with pytest.raises(DataError, match="'src' holds more than 3 files"):
        survey((entry(f"a/{n}.jpg") for n in range(4)), "src", 3)
