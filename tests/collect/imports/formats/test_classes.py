"""Class folders split already, labels in paths, and what a folder is when it is neither."""

from pathlib import Path

import pytest

from imgcli.collect.imports.formats.source import Reading
from imgcli.collect.imports.run import import_photos
from imgcli.errors import DataError, StorageError, WrongUsage
from tests.support.photos import photo
from tests.support.trees import TWO_CLASSES, make_tree, make_zip, tree

SPLIT = {
    "data/train/a/1.png": photo(1),
    "data/train/b/2.png": photo(2),
    "data/Test/a/3.png": photo(3),
    "data/valid/b/x/4.png": photo(4),
    "data/unlabelled/5.png": photo(5),
}
KEPT = {
    "train/a/1.png": photo(1),
    "train/b/2.png": photo(2),
    "test/a/3.png": photo(3),
    "val/b/4.png": photo(4),
}
KEEP = Reading(keep_split=True)


def test_a_split_tree_is_kept_as_such(tmp_path: Path) -> None:
    sources = [make_tree(tmp_path / "src", SPLIT), make_zip(tmp_path / "x.zip", SPLIT)]
    for number, source in enumerate(sources):
        out = tmp_path / f"out{number}"
        result = import_photos([source], out, reading=KEEP)
        assert tree(out) == KEPT
        assert result.classes == {"a": 2, "b": 2}
        assert result.parts == {"train": 2, "val": 1, "test": 1}
        assert [r.reason for r in result.rejected] == [
            "is in none of data/Test, data/train, data/valid"
        ]
        again = import_photos([source], out, reading=KEEP)
        assert (again.added, again.skipped) == (0, 4)


def test_a_split_tree_is_not_mixed_unasked(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", SPLIT)
    with pytest.raises(WrongUsage, match=r"already split into Test, train, valid") as end:
        import_photos([source], tmp_path / "out")
    for way in ("--keep-split`", f"--data {source}/data`", f"import {source}/data/Test {source}"):
        assert way in str(end.value)
    zipped = make_zip(tmp_path / "x.zip", SPLIT)
    with pytest.raises(WrongUsage, match="unpack it and import each"):
        import_photos([zipped], tmp_path / "out")


def test_a_split_that_is_not_there_cannot_be_kept(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", TWO_CLASSES)
    with pytest.raises(WrongUsage, match=r"--keep-split: '.*src' holds class folders without"):
        import_photos([source], tmp_path / "out", reading=KEEP)


def test_parts_and_class_folders_do_not_mix_in_one_output(tmp_path: Path) -> None:
    split, plain = make_tree(tmp_path / "s", SPLIT), make_tree(tmp_path / "p", TWO_CLASSES)
    import_photos([split], tmp_path / "dataset", reading=KEEP)
    import_photos([plain], tmp_path / "raw")
    with pytest.raises(StorageError, match="raw' holds class folders, which --keep-split does not"):
        import_photos([split], tmp_path / "raw", reading=KEEP)
    with pytest.raises(StorageError, match="dataset' holds train and test parts, which --keep"):
        import_photos([plain], tmp_path / "dataset")


# --- labels in paths ----------------------------------------------------------------------------

FLAT = {"crab_1.png": photo(1), "crab_2.png": photo(2), "sub/lobster-3.png": photo(3)}


@pytest.mark.parametrize("regex", [r"([a-z]+)[_-]\d", r"(?P<n>x)?(?P<label>[a-z]+)[_-]\d"])
def test_labels_are_found_in_paths(tmp_path: Path, regex: str) -> None:
    files = {**FLAT, "README.txt": b"hello", "9.png": photo(9)}
    for source in (make_tree(tmp_path / "src", files), make_zip(tmp_path / "x.zip", files)):
        out = tmp_path / f"{source.name}.out"
        result = import_photos([source], out, reading=Reading(label_from=regex))
        assert tree(out) == {
            "crab/crab_1.png": photo(1),
            "crab/crab_2.png": photo(2),
            "lobster/lobster-3.png": photo(3),
        }
        assert {r.reason for r in result.rejected} == {"--label-from does not match its path"}
        assert len(result.rejected) == 2


def test_a_label_from_paths_keeps_parts_where_asked(tmp_path: Path) -> None:
    files = {"train/crab_1.png": photo(1), "test/crab_2.png": photo(2)}
    source = make_tree(tmp_path / "src", files)
    reading = Reading(label_from="([a-z]+)_", keep_split=True)
    import_photos([source], tmp_path / "out", reading=reading)
    assert set(tree(tmp_path / "out")) == {"train/crab/crab_1.png", "test/crab/crab_2.png"}


@pytest.mark.parametrize(
    ("regex", "sentence"),
    [
        ("(", r"--label-from '\(' is no regular expression: .*unterminated"),
        ("crab", "--label-from 'crab' has no group"),
        (r"(\d{9})", r"matches no path in '.*src' such as 'crab_1.png', 'crab_2.png' and 'sub/"),
    ],
)
def test_a_pattern_that_cannot_serve_is_a_sentence(
    tmp_path: Path, regex: str, sentence: str
) -> None:
    source = make_tree(tmp_path / "src", FLAT)
    with pytest.raises(WrongUsage, match=sentence):
        import_photos([source], tmp_path / "out", reading=Reading(label_from=regex))


def test_an_empty_label_is_listed(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"_1.png": photo(1), "b_1.png": photo(2)})
    result = import_photos([source], tmp_path / "o", reading=Reading(label_from="([a-z]*)_"))
    assert [r.reason for r in result.rejected] == ["--label-from finds an empty label"]
    assert result.classes == {"b": 1}


# --- what else a folder may be ------------------------------------------------------------------


def test_a_folder_of_archives_names_them(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    make_zip(tmp_path / "src/x.zip", TWO_CLASSES)
    with pytest.raises(DataError, match=r"src' holds no photos, but '.*/src/x.zip': import"):
        import_photos([tmp_path / "src"], tmp_path / "out")
    import_photos([tmp_path / "src/*.zip"], tmp_path / "out")  # a pattern that no shell expanded
    assert tree(tmp_path / "out") == TWO_CLASSES
    with pytest.raises(DataError, match=r"Nothing matches '.*src/\*.tar'"):
        import_photos([tmp_path / "src/*.tar"], tmp_path / "out")


def test_boxes_are_refused(tmp_path: Path) -> None:
    files = {
        "data.yaml": b"names: [crab]",
        "images/train/1.png": photo(1),
        "labels/train/1.txt": b"0 0.5 0.5 0.1 0.1",
    }
    with pytest.raises(DataError, match="is a YOLO detection dataset: its labels are of boxes"):
        import_photos([make_tree(tmp_path / "src", files)], tmp_path / "out")


def test_a_yolo_tree_of_classes_is_a_split_tree(tmp_path: Path) -> None:
    files = {"data.yaml": b"names: [a, b]", "train/a/1.png": photo(1), "val/b/2.png": photo(2)}
    source = make_tree(tmp_path / "src", files)
    result = import_photos([source], tmp_path / "out", reading=KEEP)
    assert set(tree(tmp_path / "out")) == {"train/a/1.png", "val/b/2.png"}
    assert result.parts == {"train": 1, "val": 1}


def test_options_for_tables_are_refused_elsewhere(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", TWO_CLASSES)
    with pytest.raises(WrongUsage, match=r"--label-column is for tables; '.*src' holds class fold"):
        import_photos([source], tmp_path / "out", reading=Reading(label_column="x"))
