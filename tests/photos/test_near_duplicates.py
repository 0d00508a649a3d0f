"""Photos of one scene are grouped whatever was done to the file; photos that look alike are not."""

import hashlib
import itertools
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from PIL.Image import Resampling, Transpose
from sklearn.datasets import load_digits

from imgcli.photos import decode, fingerprint
from imgcli.photos.candidates import INDEXED, SIGNS, Tables, descriptors_of
from imgcli.photos.links import join
from imgcli.photos.near_duplicates import (
    DEFAULT_VIEW,
    duplicate_groups,
    group_fingerprints,
    group_store,
)
from imgcli.photos.views import Pixels, load_pixels
from imgcli.records import IntArray, Samples
from tests.support.photos import jpeg, make_photo, png

ORIENTATION = 0x0112
STORED = {  # how a camera that writes this orientation has stored an upright photo
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


def cropped(
    photo: Image.Image, left: float, top: float, right: float, bottom: float
) -> Image.Image:
    """Without these shares of its sides."""
    w, h = photo.size
    return photo.crop(
        (round(w * left), round(h * top), w - round(w * right), h - round(h * bottom))
    )


def write(folder: Path, contents: Sequence[bytes]) -> tuple[list[Path], list[str]]:
    """The files and their digests."""
    files = [folder / f"{i:03}" for i in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return files, [hashlib.sha256(content).hexdigest() for content in contents]


def near(folder: Path, contents: Sequence[bytes]) -> list[int]:
    """Groups of files with these contents, none of them faulty."""
    files, digests = write(folder, contents)
    groups, faults = duplicate_groups(files, digests, "near", folder / "cache")
    assert faults == []
    return groups.tolist()


def fingerprints_of(photos: Sequence[Image.Image]) -> fingerprint.Fingerprints:
    return np.stack([fingerprint.fingerprint_of(photo) for photo in photos])


# --- the modes ----------------------------------------------------------------------------------


def test_off_gives_each_photo_its_own_group_and_opens_no_file() -> None:
    groups, faults = duplicate_groups([Path("a"), Path("b")], ["00", "00"], "off")
    assert (groups.tolist(), faults) == ([0, 1], [])
    assert groups.dtype == np.int64


def test_exact_groups_equal_digests_and_opens_no_file() -> None:
    files = [Path(name) for name in "abcde"]
    groups, faults = duplicate_groups(files, ["ff", "00", "ff", "11", "00"], "exact")
    assert (groups.tolist(), faults) == ([0, 1, 0, 2, 1], [])
    assert groups.dtype == np.int64


@pytest.mark.parametrize("mode", ["near", "exact", "off"])
def test_no_photos_make_no_groups(mode: str, tmp_path: Path) -> None:
    groups, faults = duplicate_groups([], [], mode, tmp_path)  # type: ignore[arg-type]
    assert groups.shape == (0,) and groups.dtype == np.int64 and faults == []


def test_near_groups_are_numbered_as_they_appear(tmp_path: Path) -> None:
    a, b, c = (make_photo(seed) for seed in range(3))
    contents = [jpeg(b), jpeg(a), jpeg(c), jpeg(a, 50), jpeg(b), jpeg(b, 60)]
    assert near(tmp_path, contents) == [0, 1, 2, 1, 0, 0]


def test_a_single_photo_is_a_group(tmp_path: Path) -> None:
    assert near(tmp_path, [jpeg(make_photo(0))]) == [0]


def test_two_copies_are_found_without_any_other_photo(tmp_path: Path) -> None:
    # A symmetric photo, lest a code that fails be made good by that of the mirrored view.
    photo = make_photo(0)
    photo = Image.blend(photo, ImageOps.mirror(photo), 0.5)
    assert near(tmp_path, [jpeg(photo), jpeg(photo, 50)]) == [0, 0]


# --- what is the same photo ---------------------------------------------------------------------

CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "half the size": lambda photo: jpeg(photo.resize((80, 60))),
    "sixty percent": lambda photo: jpeg(photo.resize((96, 72), Resampling.LANCZOS)),
    "twice the size": lambda photo: jpeg(photo.resize((320, 240))),
    "squashed": lambda photo: jpeg(photo.resize((128, 128))),
    "quality 40": lambda photo: jpeg(photo, 40),
    "another format": png,
    "5 % off on all sides": lambda photo: jpeg(cropped(photo, 0.05, 0.05, 0.05, 0.05)),
    "5 % off at a corner": lambda photo: jpeg(cropped(photo, 0.05, 0.05, 0, 0)),
    "5 % off at the bottom": lambda photo: jpeg(cropped(photo, 0, 0, 0, 0.05)),
    "5 % off in all": lambda photo: jpeg(cropped(photo, 0.01, 0.03, 0.04, 0.02)),
    "mirrored": lambda photo: jpeg(ImageOps.mirror(photo)),
    "mirrored and cropped": lambda photo: jpeg(ImageOps.mirror(cropped(photo, 0.05, 0, 0, 0.05))),
    "upside down": lambda photo: jpeg(photo.transpose(Transpose.ROTATE_180)),
    "brighter": lambda photo: jpeg(ImageEnhance.Brightness(photo).enhance(1.1)),
    "darker": lambda photo: jpeg(ImageEnhance.Brightness(photo).enhance(0.8)),
    "another gamma": lambda photo: jpeg(photo.point(lambda v: round(255 * (v / 255) ** 1.35))),
    "less colour": lambda photo: jpeg(ImageEnhance.Color(photo).enhance(0.6)),
    "grey": lambda photo: jpeg(photo.convert("L")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found(change: str, tmp_path: Path) -> None:
    photos = [make_photo(seed) for seed in range(12)]
    contents = [jpeg(photo) for photo in photos] + [CHANGES[change](photo) for photo in photos]
    assert near(tmp_path, contents) == [*range(12), *range(12)]


@pytest.mark.parametrize("kept", [True, False], ids=["shown upright", "shown turned"])
def test_all_eight_exif_orientations_are_found(kept: bool, tmp_path: Path) -> None:
    photo = make_photo(0)
    contents = [jpeg(make_photo(1))]
    for orientation, way in STORED.items():
        stored = photo if way is None or not kept else photo.transpose(way)
        contents.append(jpeg(stored, orientation=orientation))
    assert near(tmp_path, contents) == [0] + [1] * 8


# --- what merely looks alike --------------------------------------------------------------------


def test_different_photos_are_not_grouped(tmp_path: Path) -> None:
    assert near(tmp_path, [jpeg(make_photo(seed)) for seed in range(60)]) == [*range(60)]


def test_another_frame_of_the_same_scene_is_not_grouped(tmp_path: Path) -> None:
    face = make_photo(100, (40, 30))
    frames = []
    for x in (20, 40, 60, 80):
        frame = make_photo(0)
        frame.paste(face, (x, 50))
        frames.append(jpeg(frame))
    assert near(tmp_path, frames) == [0, 1, 2, 3]


def test_a_large_crop_is_another_photo(tmp_path: Path) -> None:
    photo = make_photo(0)
    assert near(tmp_path, [jpeg(photo), jpeg(cropped(photo, 0.2, 0.2, 0.2, 0.2))]) == [0, 1]


def test_another_colour_is_another_thing(tmp_path: Path) -> None:
    shape = make_photo(0).convert("L").point(lambda grey: 255 * (grey > 128))
    white = Image.new("RGB", shape.size, "white")
    mugs = [
        Image.composite(Image.new("RGB", shape.size, colour), white, shape)
        for colour in ((200, 40, 40), (40, 90, 200))
    ]
    red, blue, grey = (jpeg(photo) for photo in (*mugs, mugs[0].convert("L")))
    assert near(tmp_path, [red, blue]) == [0, 1]
    assert near(tmp_path, [red, grey]) == [0, 0]


def test_flat_photos_are_grouped_only_where_nothing_differs(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    faint = [Image.fromarray(rng.integers(250, 256, (60, 60, 3), dtype=np.uint8)) for _ in range(3)]
    flat = [
        Image.new("RGB", size, colour)
        for size, colour in (
            ((60, 60), "white"),
            ((90, 40), "white"),
            ((60, 60), "black"),
            ((60, 60), (253, 253, 253)),
            ((60, 60), (255, 240, 255)),
            ((64, 64), "black"),
        )
    ]
    assert near(tmp_path, [png(photo) for photo in flat + faint]) == [0, 0, 1, 2, 3, 1, 4, 5, 6]


def test_a_mark_on_white_is_grouped_with_its_like_only(tmp_path: Path) -> None:
    marks = []
    for x, y in itertools.product((20, 60, 100), (15, 55)):
        photo = Image.new("RGB", (160, 120), "white")
        photo.paste((0, 0, 0), (x, y, x + 12, y + 30))
        marks.append(photo)
    contents = [png(photo) for photo in marks] + [jpeg(photo, 95) for photo in marks]
    groups = near(tmp_path, contents)
    assert groups[:6] == groups[6:]
    # A mirrored mark is the same photo; three columns and two rows have two that are different.
    assert len(set(groups)) >= 2


def test_handwritten_digits_are_not_grouped() -> None:
    images = [Image.fromarray((image * 15).astype(np.uint8)) for image in load_digits().images]
    groups = group_fingerprints(fingerprints_of([image.convert("RGB") for image in images]))
    assert grouped_share(groups) < 0.02


def grouped_share(groups: IntArray) -> float:
    sizes = np.bincount(groups)
    return float(sizes[sizes > 1].sum() / len(groups))


# --- what the groups depend on ------------------------------------------------------------------


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path], list[str]]:
    """Files of 6 photos in 15 versions, already in the cache."""
    folder = tmp_path_factory.mktemp("album")
    photos = [make_photo(seed) for seed in range(6)]
    contents = [jpeg(photo) for photo in photos]
    contents += [jpeg(photo, 50) for photo in photos[:4]]
    contents += [jpeg(ImageOps.mirror(cropped(photo, 0.05, 0, 0, 0))) for photo in photos[:3]]
    contents += [jpeg(photos[0]), png(Image.new("RGB", (50, 50)))]
    files, digests = write(folder, contents)
    duplicate_groups(files, digests, "near", folder / "cache")
    return folder / "cache", files, digests


@settings(deadline=None, max_examples=30)
@given(order=st.permutations(range(15)))
def test_the_partition_does_not_depend_on_order_or_names(
    album: tuple[Path, list[Path], list[str]], order: list[int]
) -> None:
    cache, _, digests = album
    shutil.rmtree(cache / "groups", ignore_errors=True)  # so that they are searched
    names = [Path(f"elsewhere/{place}") for place in range(15)]
    groups, _ = duplicate_groups(names, [digests[i] for i in order], "near", cache)
    expected = [*range(6), *range(4), *range(3), 0, 6]
    assert list(dict.fromkeys(groups.tolist())) == [*range(7)]
    assert same_partition(groups.tolist(), [expected[i] for i in order])


def same_partition(one: Sequence[int], other: Sequence[int]) -> bool:
    return len(set(one)) == len(set(other)) == len(set(zip(one, other, strict=True)))


def test_a_second_run_opens_no_file(album: tuple[Path, list[Path], list[str]]) -> None:
    cache, files, digests = album
    again = [file.with_name("gone") for file in files]
    groups, faults = duplicate_groups(again, digests, "near", cache)
    assert faults == [] and len(set(groups.tolist())) == 7


def test_the_same_photos_are_searched_once(album: tuple[Path, list[Path], list[str]]) -> None:
    cache, files, digests = album
    made_by = next((cache / "sketches").iterdir()).name
    shutil.rmtree(cache / "groups", ignore_errors=True)
    contents = sorted(set(digests))
    kept = group_store(made_by, contents, cache)
    kept.append(contents, np.zeros((len(contents), 1), np.int64))
    kept.flush()
    assert duplicate_groups(files, digests, "near", cache)[0].tolist() == [0] * len(files)
    fewer, _ = duplicate_groups(files[:6], digests[:6], "near", cache)
    assert fewer.tolist() == [*range(6)]


@pytest.mark.parametrize("damage", ["cut", "spoilt"])
def test_damaged_groups_are_searched_again(
    damage: str, album: tuple[Path, list[Path], list[str]]
) -> None:
    cache, files, digests = album
    shutil.rmtree(cache / "groups", ignore_errors=True)
    right, _ = duplicate_groups(files, digests, "near", cache)
    (rows,) = (cache / "groups").rglob("rows.bin")
    data = rows.read_bytes()
    rows.write_bytes(data[:-1] if damage == "cut" else data[:-1] + b"\x07")
    assert duplicate_groups(files, digests, "near", cache)[0].tolist() == right.tolist()


# --- the pass that is kept ----------------------------------------------------------------------


def default_pixels(folder: Path, files: Sequence[Path], digests: Sequence[str]) -> Pixels:
    """What training would load; the folder is away, so that nothing can be decoded."""
    zeros = np.zeros(len(files), np.int64)
    names = tuple(file.name for file in files)
    samples = Samples(folder / "gone", names, zeros, zeros, tuple(digests), ("a",))
    (pixels,) = load_pixels(samples, [DEFAULT_VIEW], folder / "cache")
    return pixels


def test_what_was_decoded_for_the_search_is_there_for_training(tmp_path: Path) -> None:
    photos = [make_photo(seed, (900 + seed, 700)) for seed in range(3)]
    files, digests = write(tmp_path, [jpeg(photo) for photo in photos])
    duplicate_groups(files, digests, "near", tmp_path / "cache")
    pixels = default_pixels(tmp_path, files, digests)
    assert pixels.rejected == []
    for file, image in zip(files, pixels.gather(np.arange(3)), strict=True):
        photo = decode.decode(file.read_bytes(), decode.needed(DEFAULT_VIEW))
        assert isinstance(photo, Image.Image)
        assert (decode.to_input(photo, DEFAULT_VIEW) == image).all()


def test_small_photos_are_not_blown_up(tmp_path: Path) -> None:
    sizes = [(111, 111), (112, 40), (40, 112)]
    files, digests = write(tmp_path, [jpeg(make_photo(i, size)) for i, size in enumerate(sizes)])
    duplicate_groups(files, digests, "near", tmp_path / "cache")
    assert default_pixels(tmp_path, files, digests).readable.tolist() == [False, True, True]


def test_no_pixels_are_left_where_the_disk_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, digests = write(tmp_path, [jpeg(make_photo(i)) for i in range(2)])
    usage = shutil.disk_usage(tmp_path)._replace(free=4 * 2 * 224 * 224 * 3)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    duplicate_groups(files, digests, "near", tmp_path / "cache")
    assert not (tmp_path / "cache" / "pixels").exists()
    assert len(list((tmp_path / "cache" / "sketches").iterdir())) == 1


def test_a_photo_whose_sketch_is_known_is_not_decoded_for_its_pixels(tmp_path: Path) -> None:
    files, digests = write(tmp_path, [jpeg(make_photo(i)) for i in range(2)])
    duplicate_groups(files, digests, "near", tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache" / "pixels")
    for file in files:
        file.unlink()
    groups, faults = duplicate_groups(files, digests, "near", tmp_path / "cache")
    assert groups.tolist() == [0, 1] and faults == []


# --- photos that cannot be read -----------------------------------------------------------------


def test_what_cannot_be_decoded_is_named_and_stays_alone(tmp_path: Path) -> None:
    photo = jpeg(make_photo(0))
    files, digests = write(tmp_path, [photo, b"no photo", photo[:2000], jpeg(make_photo(0), 50)])
    files, digests = [*files, files[1]], [*digests, digests[1]]
    groups, faults = duplicate_groups(files, digests, "near", tmp_path / "cache")
    assert groups.tolist() == [0, 1, 2, 0, 3]
    assert [index for index, _ in faults] == [1, 2, 4]
    assert (
        dict(faults)[1]
        == dict(faults)[4]
        == "is not a picture that imgcli reads: a text by its content"
    )
    assert dict(faults)[2].startswith("is damaged: ")


def test_a_photo_that_changed_meanwhile_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    files, digests = write(tmp_path, [jpeg(make_photo(0)), jpeg(make_photo(1))])
    files[1].write_bytes(jpeg(make_photo(0), 50))
    groups, faults = duplicate_groups(files, digests, "near", tmp_path / "cache")
    assert groups.tolist() == [0, 1]
    assert faults == [(1, "cannot be read: it changed while it was being read")]


def test_only_photos_that_cannot_be_read(tmp_path: Path) -> None:
    files, digests = write(tmp_path, [b"no photo", b"nor this"])
    groups, faults = duplicate_groups(files, digests, "near", tmp_path / "cache")
    assert groups.tolist() == [0, 1] and len(faults) == 2


# --- the comparison -----------------------------------------------------------------------------


def test_a_crop_is_placed_where_it_was_cut() -> None:
    photo = make_photo(3, (640, 640))
    planes = fingerprint.luma(fingerprints_of([photo, cropped(photo, 0.06, 0.02, 0.01, 0.05)]))
    placed = fingerprint.place(planes[:1], planes[1:], fingerprint.WHOLE[None], steps=8)
    expected = [[1 - 0.07, 0.06 - 0.01, 1 - 0.07, 0.02 - 0.05]]
    assert placed == pytest.approx(np.array(expected), abs=0.005)


def test_a_perfect_fit_has_no_misfit_and_a_missing_spot_shows() -> None:
    plane = fingerprint.luma(fingerprints_of([make_photo(0)]))
    assert fingerprint.residual(plane, plane, fingerprint.WHOLE[None]) == pytest.approx(0, abs=1e-3)
    spoilt = plane.copy()
    spoilt[0, 10:16, 10:16] = 255
    assert fingerprint.residual(plane, spoilt, fingerprint.WHOLE[None])[0] > 0.5


def test_tiny_and_simple_photos_must_fit_better() -> None:
    photo = make_photo(0)
    wave = np.tile(np.cos(np.linspace(0, 3 * np.pi, 400)) * 100 + 128, (400, 1)).astype(np.uint8)
    photos = [photo, photo.resize((64, 64)), photo.resize((80, 63)), Image.fromarray(wave)]
    flat = [Image.new("RGB", (400, 400), "grey")]
    tolerances = fingerprint.tolerance(
        fingerprints_of([image.convert("RGB") for image in photos + flat])
    )
    assert tolerances[:3] == pytest.approx([0.28, 0.28, 0.15])
    assert tolerances[3:] == pytest.approx([0.05, 0])  # one detail, and none


def test_the_search_finds_codes_that_differ_in_a_few_bits_and_no_others() -> None:
    rng = np.random.default_rng(0)
    indexed, asked = rng.integers(0, 2**64, (2, 40_000), dtype=np.uint64)
    asked[:1000] = indexed[-1000:]
    for _ in range(5):
        asked[:1000] ^= np.uint64(1) << rng.integers(0, 64, 1000, dtype=np.uint64)
    rows, places = Tables.of(indexed).look_up(asked, np.full(len(asked), 10, np.uint8))
    assert np.bitwise_count(asked[rows] ^ indexed[places]).max() <= 10
    found = set(zip(rows.tolist(), places.tolist(), strict=True))
    assert sum((i, 39_000 + i) in found for i in range(1000)) > 950


@pytest.mark.parametrize("turn", [0, 1, 4, 5])
def test_every_turn_of_a_photo_looks_like_one_of_the_filed_views(turn: int) -> None:
    photo = make_photo(0, (64, 64))
    ways = {0: None, 1: Transpose.FLIP_TOP_BOTTOM, 4: Transpose.TRANSPOSE, 5: Transpose.ROTATE_90}
    way = ways[turn]
    other = photo if way is None else photo.transpose(way)
    for second in (other, ImageOps.mirror(other)):
        descriptors = descriptors_of(fingerprint.luma(fingerprints_of([photo, second])))
        assert (descriptors[0] @ descriptors[1, :INDEXED].T).max() > 0.999
        assert (descriptors[:, :1] * SIGNS == descriptors[:, :INDEXED]).all()


# --- joining ------------------------------------------------------------------------------------


def within(limit: int) -> Callable[[int, IntArray], NDArray[np.bool_]]:
    """Photos are numbers, and resemble each other if they are that close."""
    return lambda centre, others: np.abs(others - centre) <= limit


def test_a_chain_is_cut_where_it_no_longer_resembles_the_centre() -> None:
    chain = np.array([(i, i + 1) for i in range(9)] + [(0, 2)])
    # 2 has the most links and takes in what is within 3 of it, then 6 takes in the rest.
    groups = join(chain, 11, within(3))
    assert groups.tolist() == [2, 2, 2, 2, 2, 2, 6, 6, 6, 6, 10]


def test_a_linked_pair_is_one_group_whatever_it_resembles() -> None:
    assert join(np.array([(0, 3), (5, 1)]), 6, within(0)).tolist() == [0, 1, 2, 0, 4, 1]


links_between_30 = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=60)


@given(links_between_30, st.integers(0, 5))
def test_every_member_is_linked_to_its_centre_or_resembles_it(
    links: list[tuple[int, int]], limit: int
) -> None:
    pairs = [(a, b) for a, b in links if a != b]
    groups = join(np.array(pairs, dtype=np.int64).reshape(-1, 2), 30, within(limit)).tolist()
    for photo, centre in enumerate(groups):
        assert groups[centre] == centre
        tied = (photo, centre) in pairs or (centre, photo) in pairs
        assert photo == centre or tied or abs(photo - centre) <= limit


# --- real photos --------------------------------------------------------------------------------


def photos_in(archive: Path, every: int = 1, folder: str = "") -> list[Image.Image]:
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if not name.endswith("/"))
        some = [name for name in names if f"/{folder}" in name][::every]
        photos = [decode.decode(file.read(name)) for name in some]
    return [photo for photo in photos if isinstance(photo, Image.Image)]


@pytest.mark.shared
def test_on_caltech30_a_twentieth_of_the_photos_at_most_is_grouped(shared: Path) -> None:
    photos = photos_in(shared / "data" / "caltech30.zip")
    groups = group_fingerprints(fingerprints_of(photos))
    # 20 of the Leopards are mirrored copies of others; see the figures in duplicates.py.
    assert 0.03 < grouped_share(groups) < 0.05
    assert np.bincount(groups).max() == 4


@pytest.mark.shared
@pytest.mark.parametrize("change", ["quality 40", "5 % off on all sides", "mirrored"])
def test_on_caltech30_copies_are_found(change: str, shared: Path) -> None:
    photos = photos_in(shared / "data" / "caltech30.zip", every=14)
    copies = [decode.decode(CHANGES[change](photo)) for photo in photos]
    groups = group_fingerprints(fingerprints_of([*photos, *copies]))  # type: ignore[list-item]
    n = len(photos)
    assert (groups[:n] == groups[n:]).mean() >= 0.97


@pytest.mark.shared
@pytest.mark.parametrize(
    ("archive", "every", "folder"), [("mnist-train.zip", 2, "1/"), ("cifar10-train.zip", 12, "")]
)
def test_small_pictures_are_hardly_grouped(
    archive: str, every: int, folder: str, shared: Path
) -> None:
    photos = photos_in(shared / "data" / archive, every, folder)
    assert len(photos) > 3000
    assert grouped_share(group_fingerprints(fingerprints_of(photos))) < 0.02
