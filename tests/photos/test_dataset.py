"""Datasets become Samples and a Split, whoever made them."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from imgcli.errors import DataError
from imgcli.photos.dataset import Dataset, load_dataset
from imgcli.photos.split import split_folder
from tests.support.photos import write_photo, write_tree


@pytest.fixture
def made(here: Path) -> Path:
    """A dataset made by `split_folder` from 5 cats and 7 dogs."""
    write_tree("raw", {"cat": 5, "dog": 7})
    shutil.copy("raw/dog/06.png", "raw/dog/again.png")
    split_folder(Path("raw"), ratio=0.7, val=0.2, seed=3, duplicates="exact")
    return Path("dataset")


def parts_of(dataset: Dataset) -> dict[str, str]:
    return {
        dataset.samples.paths[row]: part
        for part, rows in dataset.split.parts.items()
        for row in rows
    }


def test_a_dataset_of_ours_comes_back_as_it_was_split(made: Path) -> None:
    dataset = load_dataset(made)
    rows = {row["path"]: row for row in json.loads((made / "split.json").read_text())["photos"]}
    samples = dataset.samples
    assert samples.classes == ("cat", "dog")
    assert samples.paths == tuple(sorted(rows))
    assert samples.digests == tuple(rows[path]["sha256"] for path in samples.paths)
    assert samples.groups.tolist() == [rows[path]["group"] for path in samples.paths]
    assert len(set(samples.groups.tolist())) == 12
    assert samples.counts().tolist() == [5, 8]
    assert parts_of(dataset) == {path: row["part"] for path, row in rows.items()}
    assert (dataset.split.seed, dataset.split.ratio) == (3, 0.7)
    assert (dataset.rejected, dataset.leaks) == ((), 0)
    for row in range(len(samples)):
        assert hashlib.sha256(samples.file(row).read_bytes()).hexdigest() == samples.digests[row]
        assert samples.paths[row].split("/")[1] == samples.classes[samples.targets[row]]


def test_a_part_that_lacks_a_class_shifts_nothing(here: Path) -> None:
    counts = {"train/ant": 3, "train/bee": 3, "train/cat": 3, "test/cat": 2, "val/bee": 1}
    dataset = load_dataset(write_tree("d", counts))
    assert dataset.samples.classes == ("ant", "bee", "cat")
    assert dataset.split.test is not None
    assert dataset.samples.targets[dataset.split.test].tolist() == [2, 2]
    assert dataset.split.val is not None
    assert dataset.samples.targets[dataset.split.val].tolist() == [1]


def test_a_class_without_training_photos_is_left_out_and_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = load_dataset(
        write_tree("d", {"train/ant": 2, "train/bee": 2, "test/ant": 1, "test/cow": 3})
    )
    assert dataset.samples.classes == ("ant", "bee")
    assert [item.path for item in dataset.rejected] == [f"test/cow/{n:02}.png" for n in range(3)]
    said = capsys.readouterr().err
    assert "Class 'cow' has no photo in train" in said and "its 3 test photos are left out" in said
    assert "No test photo of class 'bee'" in said


def test_classes_sort_by_code_point(here: Path) -> None:
    dataset = load_dataset(
        write_tree("d", {f"train/{name}": 1 for name in ("b10", "b2", "B", "é", "a")})
    )
    assert dataset.samples.classes == ("B", "a", "b10", "b2", "é")


def test_a_dataset_without_test_has_none(here: Path) -> None:
    dataset = load_dataset(write_tree("d", {"train/ant": 3, "train/bee": 3}))
    assert dataset.split.test is None
    assert dataset.split.val is None
    assert (dataset.split.seed, dataset.split.ratio) == (None, None)
    assert dataset.split.train.tolist() == list(range(6))


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_validation_goes_by_three_names(here: Path, name: str) -> None:
    root = write_tree("d", {"train/ant": 2, "train/bee": 2, f"{name}/bee": 1})
    assert parts_of(load_dataset(root))[f"{name}/bee/00.png"] == "val"
    write_tree("d", {"val/ant": 1, "valid/ant": 1})
    with pytest.raises(DataError, match=r"'d' has 'val'.* which all mean val. Keep one"):
        load_dataset(root)


def test_a_dataset_made_elsewhere_of_links_serves(here: Path) -> None:
    write_tree("photos", {"ant": 4, "bee": 4})
    for label in ("ant", "bee"):
        Path(f"d/test/{label}").mkdir(parents=True)
        Path("d/train").mkdir(exist_ok=True)
        Path(f"d/train/{label}").symlink_to(f"../../photos/{label}")
        write_photo(f"elsewhere/{label}.png", 5 if label == "ant" else 6)
        Path(f"d/test/{label}/x.png").symlink_to(f"../../../elsewhere/{label}.png")
    dataset = load_dataset(Path("d"))
    assert dataset.samples.counts(dataset.split.train).tolist() == [4, 4]
    assert dataset.split.test is not None
    assert dataset.samples.counts(dataset.split.test).tolist() == [1, 1]
    assert dataset.leaks == 0


def test_duplicates_across_train_and_test_of_a_dataset_made_elsewhere_are_counted(
    here: Path,
) -> None:
    root = write_tree("d", {"train/ant": 4, "train/bee": 4, "test/ant": 2, "test/bee": 2})
    for i in range(2):
        shutil.copy("d/train/ant/00.png", f"d/test/ant/same{i}.png")
    Image.open("d/train/bee/01.png").resize((96, 96)).save("d/test/bee/larger.png")
    dataset = load_dataset(root)
    assert dataset.leaks == 2
    groups = dict(zip(dataset.samples.paths, dataset.samples.groups.tolist(), strict=True))
    assert groups["train/ant/00.png"] == groups["test/ant/same0.png"]
    assert len(set(groups.values())) == 12


def test_unreadable_photos_of_a_dataset_made_elsewhere_are_listed(here: Path) -> None:
    root = write_tree("d", {"train/ant": 2, "train/bee": 2, "test/ant": 1})
    Path("d/train/ant/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    Path("d/train/ant/empty.png").touch()
    Path("d/train/labels.csv").write_text("a,b")
    dataset = load_dataset(root)
    assert [r.path for r in dataset.rejected] == [
        "train/ant/broken.png",
        "train/ant/empty.png",
        "train/labels.csv",
    ]
    assert len(dataset.samples) == 5


# --- changed since the split --------------------------------------------------------------------


def test_photos_changed_since_the_split_are_named(made: Path) -> None:
    path = next(made.rglob("cat/*.png"))
    path.unlink()
    write_photo(path, 99)
    name = str(path.relative_to(made))
    with pytest.raises(
        DataError, match=rf"1 changed: '{name}'.*imgcli split raw --out dataset --u"
    ):
        load_dataset(made)


def test_a_photo_changed_in_place_with_its_old_times_is_noticed(made: Path) -> None:
    load_dataset(made)
    path = next(made.rglob("dog/*.png"))
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match=r"1 changed: "):
        load_dataset(made)


def test_photos_missing_since_the_split_are_named_the_first_five(made: Path) -> None:
    for path in sorted(made.rglob("*.png"))[:7]:
        path.unlink()
    with pytest.raises(DataError, match=r"7 went missing or cannot be read: '.*' and 2 more\. Put"):
        load_dataset(made)
    shutil.rmtree(made / "train")
    shutil.rmtree(made / "val")
    with pytest.raises(DataError, match=r"13 went missing"):
        load_dataset(made)


def test_an_update_fixes_a_changed_dataset(made: Path) -> None:
    before = parts_of(load_dataset(made))
    sorted(made.rglob("*.png"))[0].unlink()
    split_folder(Path("raw"), update=True)
    assert parts_of(load_dataset(made)) == before


def test_photos_added_since_the_split_are_listed_and_not_used(made: Path) -> None:
    write_photo(made / "test/cat/new.png", 7)
    dataset = load_dataset(made)
    (added,) = dataset.rejected
    assert added.path == "test/cat/new.png"
    assert "add it to 'raw' and run imgcli split raw --out dataset --update" in added.reason
    assert "test/cat/new.png" not in dataset.samples.paths


# --- bad input ----------------------------------------------------------------------------------


def test_no_such_dataset(here: Path) -> None:
    with pytest.raises(DataError, match=r"No dataset 'dataset'\. Make one .* `imgcli split`"):
        load_dataset(Path("dataset"))


def test_class_folders_that_are_not_split_are_recognised(here: Path) -> None:
    root = write_tree("raw", {"ant": 2, "bee": 2})
    with pytest.raises(DataError, match=r"class folders 'ant' and 'bee': run `imgcli split raw` f"):
        load_dataset(root)


def test_a_dataset_without_train_is_refused_with_the_tree_expected(here: Path) -> None:
    root = write_tree("d", {"test/ant": 2, "test/bee": 2})
    with pytest.raises(
        DataError, match=r"'d' has no train/ folder.*test/<class>/<photo>; make one"
    ):
        load_dataset(root)
    Path("empty").mkdir()
    with pytest.raises(DataError, match=r"'empty' has no train/ folder"):
        load_dataset(Path("empty"))


def test_one_class_only_is_refused(here: Path) -> None:
    with pytest.raises(DataError, match=r"'d' has one class only, 'ant'; a classifier needs two"):
        load_dataset(write_tree("d", {"train/ant": 2, "test/ant": 2}))


def test_a_train_part_without_a_usable_photo_is_refused(here: Path) -> None:
    root = write_tree("d", {"test/ant": 2, "test/bee": 2})
    Path("d/train/ant").mkdir(parents=True)
    Path("d/train/ant/broken.png").write_text("no picture")
    with pytest.raises(DataError, match=r"No photo in 'd/train' can be used"):
        load_dataset(root)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"format": 1}', '{"format": 1, "photos": [3]}', "\x00\xff"]
)
def test_a_damaged_manifest_is_said(made: Path, text: str) -> None:
    (made / "split.json").write_text(text)
    with pytest.raises(DataError, match=r"'dataset/split.json' cannot be read .* --force`"):
        load_dataset(made)


def test_a_manifest_of_another_format_is_said(made: Path) -> None:
    document = json.loads((made / "split.json").read_text())
    (made / "split.json").write_text(json.dumps({**document, "format": 3}))
    with pytest.raises(DataError, match=r"has format 3; this imgcli .* reads formats 1 and 2"):
        load_dataset(made)


@pytest.mark.shared
def test_every_photo_of_caltech30_is_dealt_within_one_of_the_ratio(
    here: Path, shared: Path
) -> None:
    shutil.unpack_archive(shared / "data/caltech30.zip", here)
    result = split_folder(Path("caltech30"))
    for counts in result.classes.values():
        assert abs(counts["test"] - 0.1 * sum(counts.values())) <= 1
    dataset = load_dataset(Path("dataset"))
    assert len(dataset.samples) == 2056
    assert dataset.leaks == 0
    assert result.rejected == dataset.rejected == ()
