"""Pixels are decoded once per photo and preprocessing, from the very bytes that were split."""

import hashlib
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgcli.errors import DataError, StorageError
from imgcli.photos import pipeline
from imgcli.photos import views as pixels_module
from imgcli.photos.decode import Fault, decode, decode_picture, needed, to_input
from imgcli.photos.pipeline import BLOCK
from imgcli.photos.resize import Picture
from imgcli.photos.row_cache import RowStore
from imgcli.photos.views import Pixels, decode_files, enlarged, load_pixels
from imgcli.records import Preprocess, Rejected, Samples

SMALL = Preprocess(8)


def photo(folder: Path, i: int) -> str:
    """A photo of one colour that tells its number; its name."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 9), colour(i)).save(folder / f"{i:04}.png")
    return f"{i:04}.png"


def colour(i: int) -> tuple[int, int, int]:
    return i % 256, i // 256, 77


def samples_of(root: Path, names: list[str]) -> Samples:
    digests = tuple(hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names)
    zeros = np.zeros(len(names), np.int64)
    return Samples(root, tuple(names), zeros, np.arange(len(names)), digests, ("cat",))


def photos(root: Path, n: int) -> Samples:
    return samples_of(root, [photo(root, i) for i in range(n)])


def load_view(samples: Samples, view: Preprocess, cache: Path) -> Pixels:
    (pixels,) = load_pixels(samples, [view], cache)
    return pixels


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is really decoded, as it is."""
    seen: list[bytes] = []

    def spy(data: bytes, at_least: int, **more: Any) -> Picture | Fault:
        seen.append(data)
        return decode_picture(data, at_least, **more)

    monkeypatch.setattr(pipeline, "decode_picture", spy)
    return seen


def shows(pixels: Pixels, indices: list[int], numbers: list[int]) -> bool:
    images = pixels.gather(np.array(indices))
    assert images.shape == (len(indices), 8, 8, 3) and images.dtype == np.uint8
    expected = np.array([colour(i) for i in numbers]).reshape(-1, 1, 1, 3)
    return bool((images == expected).all())


def test_every_sample_has_its_own_pixels(tmp_path: Path) -> None:
    n = 3 * BLOCK + 7
    pixels = load_view(photos(tmp_path / "raw", n), SMALL, tmp_path / "cache")
    assert pixels.readable.all() and pixels.readable.shape == (n,) and pixels.rejected == []
    order = [5, n - 1, 0, 0, BLOCK, BLOCK - 1]
    assert shows(pixels, order, order)
    assert shows(pixels, list(range(n)), list(range(n)))
    assert pixels.gather(np.array([], np.int64)).shape == (0, 8, 8, 3)


def test_pixels_are_those_of_the_one_decode(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tmp_path.joinpath("raw").mkdir()
    Image.fromarray(rng.integers(0, 256, (40, 30, 3), np.uint8)).save(tmp_path / "raw/a.jpg")
    samples = samples_of(tmp_path / "raw", ["a.jpg"])
    for preprocess in (SMALL, Preprocess(8, "crop", 0.875), Preprocess(16, "pad")):
        decoded = decode((tmp_path / "raw/a.jpg").read_bytes())
        assert isinstance(decoded, Image.Image)
        found = load_view(samples, preprocess, tmp_path / "cache").gather(np.array([0]))
        assert (found[0] == to_input(decoded, preprocess)).all()


def test_a_photo_is_decoded_once_per_geometry(tmp_path: Path, decoded: list[bytes]) -> None:
    samples = photos(tmp_path / "raw", 20)
    load_view(samples, SMALL, tmp_path / "cache")
    assert len(decoded) == 20
    again = load_view(samples, SMALL, tmp_path / "cache")
    other_mean = replace(SMALL, mean=(0.1, 0.2, 0.3))
    load_view(samples, other_mean, tmp_path / "cache")
    assert len(decoded) == 20 and shows(again, [3, 19], [3, 19])
    load_view(samples, Preprocess(8, "pad"), tmp_path / "cache")
    assert len(decoded) == 40


def test_moved_photos_are_known_and_new_ones_added(tmp_path: Path, decoded: list[bytes]) -> None:
    load_view(photos(tmp_path / "raw", 5), SMALL, tmp_path / "cache")
    (tmp_path / "raw").rename(tmp_path / "moved")
    photo(tmp_path / "moved", 300)
    samples = samples_of(tmp_path / "moved", ["0300.png", "0004.png", "0000.png"])
    assert shows(load_view(samples, SMALL, tmp_path / "cache"), [0, 1, 2], [300, 4, 0])
    assert len(decoded) == 6


def test_other_rules_of_decoding_decode_the_photos_again(
    tmp_path: Path, decoded: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = photos(tmp_path / "raw", 2)
    load_view(samples, SMALL, tmp_path / "cache")
    monkeypatch.setattr(pixels_module, "VERSION", 999)
    load_view(samples, SMALL, tmp_path / "cache")
    assert len(decoded) == 4


def test_unreadable_photos_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    names = [photo(tmp_path / "raw", i) for i in range(4)]
    (tmp_path / "raw/broken.png").write_bytes((tmp_path / "raw/0000.png").read_bytes()[:40])
    (tmp_path / "raw/page.jpg").write_text("<html>404")
    samples = samples_of(tmp_path / "raw", [*names[:2], "broken.png", "page.jpg", *names[2:]])
    for _ in range(2):  # cold and warm
        pixels = load_view(samples, SMALL, tmp_path / "cache")
        assert pixels.readable.tolist() == [True, True, False, False, True, True]
        assert [rejected.path for rejected in pixels.rejected] == ["broken.png", "page.jpg"]
        assert pixels.rejected[1] == Rejected(
            "page.jpg",
            "is not a picture that imgcli reads: an HTML page",
        )
        assert shows(pixels, [5, 0], [3, 0])
        with pytest.raises(AssertionError, match="unreadable"):
            pixels.gather(np.array([2]))


def test_a_folder_of_unreadable_photos_alone(tmp_path: Path) -> None:
    tmp_path.joinpath("raw").mkdir()
    (tmp_path / "raw/a.jpg").write_bytes(b"no")
    pixels = load_view(samples_of(tmp_path / "raw", ["a.jpg"]), SMALL, tmp_path / "cache")
    assert not pixels.readable.any() and len(pixels.rejected) == 1


def test_photos_changed_since_the_split_are_named(tmp_path: Path) -> None:
    samples = photos(tmp_path / "raw", 8)
    for i in (2, 5):
        Image.new("RGB", (12, 9), "white").save(tmp_path / "raw" / samples.paths[i])
    with pytest.raises(
        DataError,
        match=r"2 of 8 photos in '.*raw' have changed since the split: '0002.png' and '0005.png'\. "
        "Run `imgcli split` again",
    ):
        load_view(samples, SMALL, tmp_path / "cache")


def test_the_same_photo_twice_is_one_row(tmp_path: Path) -> None:
    photo(tmp_path / "raw", 9)
    os.link(tmp_path / "raw/0009.png", tmp_path / "raw/copy.png")
    pixels = load_view(
        samples_of(tmp_path / "raw", ["0009.png", "copy.png"]), SMALL, tmp_path / "cache"
    )
    assert len(pixels.store) == 1 and shows(pixels, [0, 1], [9, 9])


def test_a_damaged_row_is_decoded_again(tmp_path: Path, decoded: list[bytes]) -> None:
    samples = photos(tmp_path / "raw", 6)
    load_view(samples, SMALL, tmp_path / "cache")
    (rows,) = tmp_path.glob("cache/pixels/*/rows.bin")
    raw = bytearray(rows.read_bytes())
    raw[2 * 192 + 5] ^= 4
    rows.write_bytes(raw)
    assert shows(load_view(samples, SMALL, tmp_path / "cache"), list(range(6)), list(range(6)))
    assert len(decoded) == 7


def test_without_a_cache_that_can_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    n = BLOCK + 9
    pixels = load_view(photos(tmp_path / "raw", n), SMALL, tmp_path / "cache")
    assert shows(pixels, [n - 1, 0, 3], [n - 1, 0, 3])
    assert capsys.readouterr().err.count("stays in memory") == 1


def test_a_disk_too_small_is_refused_before_anything_is_decoded(
    tmp_path: Path, decoded: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = photos(tmp_path / "raw", 2)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("", (), {"free": 100}))
    with pytest.raises(StorageError, match="Free some space"):
        load_view(samples, SMALL, tmp_path / "cache")
    assert decoded == []


def test_an_interrupted_pass_is_taken_up_where_it_stopped(
    tmp_path: Path, decoded: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = photos(tmp_path / "raw", 4 * BLOCK)
    append = RowStore.append
    calls = 0

    def ctrl_c(self: RowStore, *rows: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        append(self, *rows)

    with monkeypatch.context() as patch:
        patch.setattr(RowStore, "append", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            load_view(samples, SMALL, tmp_path / "cache")
    decoded.clear()
    pixels = load_view(samples, SMALL, tmp_path / "cache")
    assert len(decoded) == BLOCK  # the block that was being stored is stored on the way out
    assert shows(pixels, list(range(4 * BLOCK)), list(range(4 * BLOCK)))


# --- several views ------------------------------------------------------------------------------


def jpegs(root: Path, sizes: list[tuple[int, int]]) -> Samples:
    """Photos of coloured noise, no two alike."""
    root.mkdir()
    for i, (width, height) in enumerate(sizes):
        noise = np.random.default_rng(i).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(noise).save(root / f"{i}.jpg")
    return samples_of(root, [f"{i}.jpg" for i in range(len(sizes))])


def test_a_photo_is_decoded_once_for_all_views_that_lack_it(
    tmp_path: Path, decoded: list[bytes]
) -> None:
    samples = jpegs(tmp_path / "raw", [(60, 40)] * 5)
    views = [SMALL, enlarged(SMALL), Preprocess(8, "pad")]
    own, larger, padded = load_pixels(samples, views, tmp_path / "cache")
    assert len(decoded) == 5
    assert own.gather(np.arange(5)).shape == (5, 8, 8, 3)
    assert larger.gather(np.arange(5)).shape == (5, 10, 10, 3)
    assert (padded.gather(np.arange(5))[:, 0] == 0).all()
    load_pixels(samples, [*views, Preprocess(9)], tmp_path / "cache")
    assert len(decoded) == 10


def test_a_view_does_not_depend_on_what_else_is_made(tmp_path: Path) -> None:
    # 8 needs 16 pixels across and 10 needs 20: a photo of 40 is halved for both, those of 32 and 39
    # for the first alone; that of 160 goes to an eighth for both, of 128 to 1/8 and to 1/4.
    samples = jpegs(
        tmp_path / "raw", [(50, n) for n in (20, 32, 39, 40)] + [(160, 160), (200, 128)]
    )
    views = [SMALL, enlarged(SMALL)]
    together = load_pixels(samples, views, tmp_path / "one")
    rows = np.arange(len(samples))
    for view, pixels in zip(views, together, strict=True):
        alone = load_view(samples, view, tmp_path / "other")
        assert (pixels.gather(rows) == alone.gather(rows)).all()
        for i, image in enumerate(alone.gather(rows)):
            photo = decode(samples.file(i).read_bytes(), needed(view))
            assert isinstance(photo, Image.Image)
            assert (to_input(photo, view) == image).all()


def test_each_view_lists_what_cannot_be_read(tmp_path: Path) -> None:
    samples = jpegs(tmp_path / "raw", [(30, 20)])
    (tmp_path / "raw/b.jpg").write_bytes(b"no")
    samples = samples_of(tmp_path / "raw", ["0.jpg", "b.jpg"])
    for pixels in load_pixels(samples, [SMALL, enlarged(SMALL)], tmp_path / "cache"):
        assert pixels.readable.tolist() == [True, False]
        assert [rejected.path for rejected in pixels.rejected] == ["b.jpg"]


def test_a_crop_that_is_not_made_makes_no_difference(tmp_path: Path, decoded: list[bytes]) -> None:
    samples = jpegs(tmp_path / "raw", [(30, 20)])
    load_pixels(samples, [Preprocess(8, "squash", 0.875)], tmp_path / "cache")
    load_pixels(samples, [Preprocess(8, "squash", 0.95)], tmp_path / "cache")
    assert len(decoded) == 1
    load_pixels(samples, [Preprocess(8, "crop", 0.875)], tmp_path / "cache")
    load_pixels(samples, [Preprocess(8, "crop", 0.95)], tmp_path / "cache")
    assert len(decoded) == 3


def test_decode_files_streams_blocks_in_order(tmp_path: Path) -> None:
    n = 2 * BLOCK + 5
    files = [tmp_path / photo(tmp_path, i) for i in range(n)]
    files[BLOCK] = tmp_path / "gone.png"
    blocks = list(decode_files(files, SMALL))
    assert len(blocks) == 3
    indices = np.concatenate([block.indices for block in blocks])
    assert indices.tolist() == [i for i in range(n) if i != BLOCK]
    images = np.concatenate([block.images for block in blocks])
    assert (images == np.array([colour(int(i)) for i in indices]).reshape(-1, 1, 1, 3)).all()
    assert [fault for block in blocks for fault in block.faults] == [
        (BLOCK, Fault("read", "FileNotFoundError", "No such file or directory"))
    ]
    assert list(decode_files([], SMALL)) == []


@pytest.mark.shared
def test_real_photos_all_have_pixels(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    names = []
    with zipfile.ZipFile(shared / "data/caltech30.zip") as archive:
        for i, member in enumerate(archive.namelist()[::20]):
            if member.endswith(".jpg"):
                names.append(f"{i}.jpg")
                (tmp_path / "raw" / names[-1]).write_bytes(archive.read(member))
    pixels = load_view(samples_of(tmp_path / "raw", names), Preprocess(224), tmp_path / "cache")
    assert len(names) > 90 and pixels.readable.all()
    assert 40 < pixels.gather(np.arange(len(names))).mean() < 220
