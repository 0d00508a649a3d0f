"""Thumbnails are made once of each photo that still is what it was."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcli.photos import thumbnail_cache, views
from imgcli.photos.thumbnail_cache import cached_thumbnails


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, str]:
    """Three photos in the folder, by their digests."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(rng.integers(0, 256, (120, 90, 3), np.uint8)).save(tmp_path / name)
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*.png")
    }


def made(folder: Path, names: list[str], digests: dict[str, str]) -> list[bytes | None]:
    among = {"a.png", "b.png", "c.png", "gone.png"}
    return list(cached_thumbnails(folder, names, 96, digests, among, folder / "cache"))


def test_they_are_those_of_the_photos_and_come_from_the_cache_then(
    tmp_path: Path, photos: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["b.png", "a.png", "gone.png", "c.png", "../x.png"]
    expected = list(views.thumbnails(tmp_path, names, 96, photos, set(photos)))
    assert made(tmp_path, names, photos) == expected
    asked: list[str] = []

    def only(where: Path, paths: list[str], *rest: object) -> object:
        asked.extend(paths)
        return iter_none(paths)

    monkeypatch.setattr(thumbnail_cache, "thumbnails", only)
    assert made(tmp_path, names, photos) == expected
    assert asked == ["gone.png", "../x.png"]


def iter_none(paths: list[str]):  # type: ignore[no-untyped-def]
    yield from (None for _ in paths)


def test_a_photo_that_was_changed_or_is_gone_has_none(
    tmp_path: Path, photos: dict[str, str]
) -> None:
    names = ["a.png", "b.png", "c.png"]
    assert None not in made(tmp_path, names, photos)
    Image.new("RGB", (50, 50)).save(tmp_path / "a.png")
    (tmp_path / "b.png").unlink()
    assert [one is None for one in made(tmp_path, names, photos)] == [True, True, False]


def test_what_was_made_is_kept_where_the_reader_stops(
    tmp_path: Path, photos: dict[str, str]
) -> None:
    among, names = set(photos), ["a.png", "b.png", "c.png"]
    first = cached_thumbnails(tmp_path, names, 96, photos, among, tmp_path / "cache")
    picture = next(first)
    first.close()
    (tmp_path / "a.png").touch()
    assert made(tmp_path, ["a.png"], photos) == [picture]


def test_a_photo_whose_content_is_not_known_is_read(tmp_path: Path, photos: dict[str, str]) -> None:
    assert None not in made(tmp_path, ["a.png"], {})
    assert not (tmp_path / "cache" / "thumbnails").exists()
