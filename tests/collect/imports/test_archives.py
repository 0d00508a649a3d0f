import ast
import gzip
import io
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import imgcli
from imgcli.collect.imports.archives import archive_entries
from imgcli.collect.imports.labelled_photo import Entry, Limits, NotTaken
from imgcli.errors import DataError
from imgcli.records import Rejected
from tests.support.photos import photo
from tests.support.trees import add_to_tar, make_tar, make_zip

KB = 1000


def read_all(path: Path, limits: Limits | None = None) -> tuple[dict[str, bytes], dict[str, str]]:
    """What an archive gives, by member, and what is rejected and why, by member."""
    items = archive_entries(path, limits) if limits else archive_entries(path)
    taken, rejected = {}, {}
    for item in items:
        name = (item.path if isinstance(item, Rejected) else item.origin).removeprefix(f"{path}!")
        if isinstance(item, Rejected):
            rejected[name] = item.reason
            continue
        try:
            taken["/".join(item.parts)] = item.read()
        except NotTaken as reason:
            rejected[name] = str(reason)
    return taken, rejected


PHOTOS = {"a/1.png": photo(1), "b/ü 2.png": photo(2), "b/3.png": photo(3).ljust(200_000, b"x")}


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_zips_are_read(tmp_path: Path, method: int) -> None:
    assert read_all(make_zip(tmp_path / "x.zip", PHOTOS, method)) == (PHOTOS, {})


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_are_read_whatever_their_name(tmp_path: Path, mode: str) -> None:
    assert read_all(make_tar(tmp_path / "photos", PHOTOS, mode)) == (PHOTOS, {})


def test_the_origin_names_archive_and_member(tmp_path: Path) -> None:
    (item,) = archive_entries(make_zip(tmp_path / "x.zip", {"a/1.png": photo(1)}))
    assert isinstance(item, Entry)
    assert item.origin == f"{tmp_path}/x.zip!a/1.png"


def test_climbing_and_absolute_paths_are_refused(tmp_path: Path) -> None:
    bad = [
        "../evil.png",
        "a/../../evil.png",
        "/etc/evil.png",
        "C:\\evil.png",
        "b\\..\\..\\evil.png",
    ]
    files = {"a/1.png": photo(1), **dict.fromkeys(bad, photo(2))}
    climbs, absolute = "a path that climbs out of the archive", "an absolute path"
    taken, rejected = read_all(make_zip(tmp_path / "x.zip", files))
    assert set(taken) == {"a/1.png"}
    assert list(rejected.values()) == [climbs, climbs, absolute, absolute, climbs]
    taken, rejected = read_all(make_tar(tmp_path / "x.tar", files))
    # To a tar a backslash is a letter; `safe_name` sees to it.
    assert set(taken) == {"a/1.png", "b\\..\\..\\evil.png"}
    assert list(rejected.values()) == [climbs, climbs, absolute, absolute]


def test_tar_devices_and_links_out_of_it_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        add_to_tar(archive, "a", type=tarfile.DIRTYPE)
        add_to_tar(archive, "a/link.png", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add_to_tar(archive, "a/up.png", type=tarfile.SYMTYPE, linkname="../../x.png")
        add_to_tar(archive, "a/gone.png", type=tarfile.LNKTYPE, linkname="a/2.png")
        add_to_tar(archive, "a/null.png", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
        add_to_tar(archive, "a/pipe.png", type=tarfile.FIFOTYPE)
        add_to_tar(archive, "a/1.png", photo(1))
    taken, rejected = read_all(tmp_path / "x.tar")
    assert taken == {"a/1.png": photo(1)}
    assert rejected == {
        "a/link.png": "a link",
        "a/up.png": "a link",
        "a/gone.png": "a link to 'a/2.png', no file in the archive",
        "a/null.png": "a device or pipe",
        "a/pipe.png": "a device or pipe",
    }


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
def test_links_in_a_tar_are_the_photos_they_lead_to(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive:
        add_to_tar(archive, "early/1.png", type=tarfile.LNKTYPE, linkname="a/1.png")
        for n in range(3):
            add_to_tar(archive, f"a/{n}.png", photo(n))
        add_to_tar(archive, "b/1.png", type=tarfile.LNKTYPE, linkname="./a/1.png")
        add_to_tar(archive, "b/2.png", type=tarfile.SYMTYPE, linkname="../a/2.png")
        add_to_tar(archive, "c/2.png", type=tarfile.SYMTYPE, linkname="../b/2.png")
        add_to_tar(archive, ".hidden/2.png", type=tarfile.SYMTYPE, linkname="../b/2.png")
    taken, rejected = read_all(tmp_path / name)
    assert rejected == {}
    assert taken == {
        **{f"a/{n}.png": photo(n) for n in range(3)},
        "early/1.png": photo(1),
        "b/1.png": photo(1),
        "b/2.png": photo(2),
        "c/2.png": photo(2),
    }


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        add_to_tar(archive, "a/1.png", type=tarfile.SYMTYPE, linkname="2.png")
        add_to_tar(archive, "a/2.png", type=tarfile.SYMTYPE, linkname="1.png")
        add_to_tar(archive, "a/3.png", photo(1))
    taken, rejected = read_all(tmp_path / "x.tar")
    assert set(taken) == {"a/3.png"} and set(rejected) == {"a/1.png", "a/2.png"}


def test_zip_links_encrypted_and_unknown_members_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        link = zipfile.ZipInfo("a/link.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        for name in ("a/secret.png", "a/odd.png", "a/1.png"):
            archive.writestr(name, photo(1))
        archive.getinfo("a/secret.png").flag_bits |= 1
        archive.getinfo("a/odd.png").compress_type = 97
    taken, rejected = read_all(tmp_path / "x.zip")
    assert set(taken) == {"a/1.png"}
    assert rejected["a/link.png"] == "a link"
    assert rejected["a/secret.png"].startswith("encrypted; unpack it with its password")
    assert rejected["a/odd.png"] == "compressed by a method unknown here (97)"


@pytest.mark.parametrize("lie", [-1, 1, 10_000])
def test_members_that_lie_about_their_size_are_refused(tmp_path: Path, lie: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", photo(1))
        archive.writestr("a/2.png", photo(2))
        archive.getinfo("a/1.png").file_size += lie
    taken, rejected = read_all(tmp_path / "x.zip")
    assert set(taken) == {"a/2.png"}
    assert rejected["a/1.png"].startswith("damaged in the archive")


def test_two_members_of_one_name_are_two_photos(tmp_path: Path) -> None:
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(tmp_path / "x.zip", "w") as archive,
    ):
        archive.writestr("a/1.png", photo(1))
        archive.writestr("a/1.png", photo(2))
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        add_to_tar(tar, "a/1.png", photo(1))
        add_to_tar(tar, "a/1.png", photo(2))
    for path in (tmp_path / "x.zip", tmp_path / "x.tar"):
        items = [item for item in archive_entries(path) if isinstance(item, Entry)]
        assert len(items) == 2
    zipped = [i.read() for i in archive_entries(tmp_path / "x.tar") if isinstance(i, Entry)]
    assert zipped == [photo(1), photo(2)]


def test_hidden_and_system_members_are_passed_over(tmp_path: Path) -> None:
    names = ["__MACOSX/a/._1.png", "a/.DS_Store", "a/.ipynb_checkpoints/1.png", "a/1.png"]
    files = dict.fromkeys(names, photo(1))
    for path in (make_zip(tmp_path / "x.zip", files), make_tar(tmp_path / "x.tar", files)):
        assert read_all(path) == ({"a/1.png": photo(1)}, {})


def test_utf8_names_without_the_flag_and_windows_slashes_are_understood(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"..x1.png": photo(1)}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"..x1.png", "ü\\1.png".encode()))
    assert read_all(path) == ({"ü/1.png": photo(1)}, {})


# --- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"hello", photo(1), b"Rar!\x1a\x07\x01\0", b"7z\xbc\xaf"])
def test_what_is_no_archive_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DataError, match=r"x' is neither a folder nor a zip or tar .*archive"):
        archive_entries(tmp_path / "x")


def test_a_zip_cut_short_is_a_sentence(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", PHOTOS)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"x.zip' is damaged or incomplete \(File is not a zip"):
        read_all(path)


def test_a_gzip_without_a_tar_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(b"hello", mtime=0))
    with pytest.raises(DataError, match=r"x.tar.gz' is damaged or incomplete \(truncated header"):
        read_all(tmp_path / "x.tar.gz")


def test_a_damaged_member_does_not_stop_the_others(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", PHOTOS, zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    raw[raw.index(photo(2)) + 60] ^= 1
    path.write_bytes(raw)
    taken, rejected = read_all(path)
    assert set(taken) == {"a/1.png", "b/3.png"}
    assert rejected["b/ü 2.png"].startswith("damaged in the archive (Bad CRC-32")


@pytest.mark.parametrize(
    ("mode", "kept"), [("w", 0.5), ("w", 0.95), ("w:gz", 0.8), ("w:bz2", 0.9), ("w:xz", 0.5)]
)
def test_a_tar_cut_short_gives_what_came_before(tmp_path: Path, mode: str, kept: float) -> None:
    # Bytes that do not compress, so that the cut falls among the photos.
    noise = random.Random(0)
    files = {f"a/{n}.png": photo(n) + noise.randbytes(30 * KB) for n in range(40)}
    path = make_tar(tmp_path / "x.tar", files, mode)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    taken, rejected = read_all(path)
    lost = 30 if mode == "w:bz2" else 1  # bzip2 unpacks in blocks of 900 kB
    assert len(taken) >= int(40 * kept) - lost
    assert all(taken[name] == files[name] for name in taken)
    assert "the rest was not read" in rejected[str(path)] or "cut short" in rejected[str(path)]


def test_a_tar_without_its_end_mark_is_reported(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar", PHOTOS)
    last = path.read_bytes().rstrip(b"\0")
    path.write_bytes(last.ljust(-(-len(last) // 512) * 512, b"\0"))
    taken, rejected = read_all(path)
    assert taken == PHOTOS
    assert "cut short" in rejected[str(path)]


def test_damage_in_the_middle_of_a_tar_is_reported(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar", PHOTOS)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"b/3.png") + 110] ^= 0xFF  # a header's field: its checksum is wrong
    path.write_bytes(raw)
    taken, rejected = read_all(path)
    assert set(taken) == {"a/1.png", "b/ü 2.png"}
    assert "damaged or cut short" in rejected[str(path)]


# --- bombs --------------------------------------------------------------------------------------

LIMITS = Limits(
    photo=500 * KB, archive=10_000 * KB, archive_ratio_from=2_000 * KB, member_ratio_from=100 * KB
)


def bomb(size: int) -> bytes:
    return photo(1, "BMP").ljust(size, b"\0")


def test_members_over_the_limit_are_refused_unread(tmp_path: Path) -> None:
    files = {"a/big.bmp": bomb(501 * KB), "a/1.png": photo(1)}
    for path in (make_zip(tmp_path / "x.zip", files), make_tar(tmp_path / "x.tar", files, "w:gz")):
        taken, rejected = read_all(path, LIMITS)
        assert set(taken) == {"a/1.png"}
        assert rejected["a/big.bmp"] == "larger than 0 MB"


def test_a_zip_member_that_explodes_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a/boom.bmp": bomb(400 * KB), "a/1.png": photo(1)})
    taken, rejected = read_all(path, LIMITS)
    assert set(taken) == {"a/1.png"}
    assert rejected["a/boom.bmp"] == "unpacks to more than 100 times its packed size"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_that_explodes_is_read_no_further(tmp_path: Path, kind: str) -> None:
    files = {f"a/{n}.bmp": bomb(99 * KB) for n in range(60)}
    if kind == "zip":
        path = make_zip(tmp_path / "x.zip", files)
    else:
        path = make_tar(tmp_path / "x.tar", files, "w:gz")
    limits = Limits(ratio=10, archive_ratio_from=1_000 * KB, member_ratio_from=100 * KB)
    taken, rejected = read_all(path, limits)
    assert sum(map(len, taken.values())) <= 1_000 * KB
    assert "unpacks to more than 10 times its size" in rejected[str(path)]
    assert "the rest was not read" in rejected[str(path)]


def test_passing_over_a_member_of_a_tar_counts_too(tmp_path: Path) -> None:
    files = {"a/notes.txt": bytes(5_000 * KB), "a/1.png": photo(1)}
    path = make_tar(tmp_path / "x.tar", files, "w:gz")
    limits = Limits(archive_ratio_from=1_000 * KB)
    taken, rejected = read_all(path, limits)
    assert taken == {}
    assert "as only a bomb does" in rejected[str(path)]


def test_a_hostile_tar_header_takes_no_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("a/1.png")
    header.type, header.size = tarfile.XHDTYPE, 200_000 * KB
    with gzip.open(tmp_path / "x.tar.gz", "wb", 1) as file:
        good = io.BytesIO()
        with tarfile.open(fileobj=good, mode="w") as tar:
            add_to_tar(tar, "a/1.png", photo(1))
        file.write(good.getvalue()[:1024])
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(20):
            file.write(bytes(10_000 * KB))
    tracemalloc.start()
    try:
        taken, rejected = read_all(tmp_path / "x.tar.gz")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert set(taken) == {"a/1.png"}
    assert rejected[str(tmp_path / "x.tar.gz")] == "a header of 200 MB; the rest was not read"
    assert peak < 20_000 * KB


def test_memory_does_not_grow_with_the_tar(tmp_path: Path) -> None:
    def peak(photos: int) -> int:
        files = {f"a/{n}.png": photo(n).ljust(20 * KB, b"\0") for n in range(photos)}
        path = make_tar(tmp_path / "x.tar", files)
        tracemalloc.start()
        try:
            for item in archive_entries(path):
                assert isinstance(item, Entry)
                item.read()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(400) < 1.2 * peak(40)


# --- the rule -----------------------------------------------------------------------------------


def calls(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            yield name, node.lineno


def test_nothing_is_ever_unpacked_by_name_and_no_pickle_is_read() -> None:
    files = list(Path(imgcli.__file__).parent.rglob("*.py"))
    assert len(files) > 10
    found = [
        f"{path}:{line} {name}"
        for path in files
        for name, line in calls(path)
        if name.split(".")[-1] in ("extractall", "unpack_archive")
        or name.endswith(".extract")
        or name in ("pickle.load", "pickle.loads", "load_pickle")
    ]
    assert found == []
