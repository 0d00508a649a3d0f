"""Photos without labels join a dataset as rows of no part and no class."""

import shutil
from pathlib import Path

import pytest

from imgcli.errors import DataError
from imgcli.photos.dataset import load_dataset, with_unlabelled
from tests.support.photos import coloured_photo, make_photo, write_dataset


def test_new_photos_are_rows_after_the_others_and_in_no_part(tmp_path: Path) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "dataset"), tmp_path / "cache")
    (tmp_path / "more/deep").mkdir(parents=True)
    for i in range(3):
        coloured_photo((9, 9, 9), i).save(tmp_path / f"more/deep/{i}.png")
    joined, rows = with_unlabelled(dataset, tmp_path / "more", tmp_path / "cache")
    n = len(dataset.samples)
    assert rows.tolist() == [n, n + 1, n + 2]
    assert joined.samples.targets[rows].tolist() == [-1, -1, -1]
    assert len(set(joined.samples.groups.tolist()) - set(dataset.samples.groups.tolist())) == 3
    assert joined.samples.file(n) == tmp_path / "more/deep/0.png"
    assert joined.split is dataset.split
    assert joined.samples.counts().tolist() == dataset.samples.counts().tolist()


def test_photos_of_the_dataset_are_no_news_and_what_is_no_photo_is_listed(tmp_path: Path) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "dataset"), tmp_path / "cache")
    more = tmp_path / "more"
    more.mkdir()
    for part in ("test", "train"):  # a photo of the test part must not come in by this door
        shutil.copy(next((tmp_path / "dataset" / part / "red").iterdir()), more / f"{part}.png")
    coloured_photo((9, 9, 9), 1).save(more / "new.png")
    shutil.copy(more / "new.png", more / "again.png")
    (more / "empty.png").touch()
    joined, rows = with_unlabelled(dataset, more, tmp_path / "cache")
    assert [Path(joined.samples.paths[i]).name for i in rows] == ["again.png"]
    assert [Path(item.path).name for item in joined.rejected] == ["empty.png"]


def test_what_shows_nearly_the_same_as_a_photo_of_the_dataset_is_left_out(tmp_path: Path) -> None:
    data, more = tmp_path / "dataset", tmp_path / "more"
    for part in ("train", "test"):
        for label in ("a", "b"):
            (data / part / label).mkdir(parents=True)
    photos = [make_photo(seed) for seed in range(6)]
    places = ["train/a/0", "train/a/1", "train/b/2", "test/a/3", "test/b/4"]
    for photo, place in zip(photos, places, strict=False):
        photo.save(data / f"{place}.png")
    more.mkdir()
    photos[0].save(more / "of-train.jpg", quality=60)
    photos[3].resize((80, 60)).save(more / "of-test.png")
    photos[5].save(more / "new.png")
    dataset = load_dataset(data, tmp_path / "cache")
    joined, rows = with_unlabelled(dataset, more, tmp_path / "cache")
    assert [Path(joined.samples.paths[i]).name for i in rows] == ["new.png"]


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "dataset"), tmp_path / "cache")
    (tmp_path / "more").mkdir()
    with pytest.raises(DataError, match=r"No photo in .*more"):
        with_unlabelled(dataset, tmp_path / "more", tmp_path / "cache")
    shutil.copy(dataset.samples.file(0), tmp_path / "more/0.png")
    with pytest.raises(DataError, match=r"None of the 1 photos in .*more' is new"):
        with_unlabelled(dataset, tmp_path / "more", tmp_path / "cache")
