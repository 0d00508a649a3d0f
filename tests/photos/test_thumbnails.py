import hashlib
import io
from pathlib import Path

from PIL import Image

from imgcli.photos.views import thumbnail, thumbnails


def write(file: Path, size: tuple[int, int] = (300, 200)) -> Path:
    Image.new("RGB", size, (200, 30, 30)).save(file)
    return file


def size(data: bytes | None) -> tuple[int, int]:
    assert data is not None
    return Image.open(io.BytesIO(data)).size


def test_the_longer_side_is_what_was_asked_for(tmp_path: Path) -> None:
    assert size(thumbnail(write(tmp_path / "a.png"), 96)) == (96, 64)
    assert size(thumbnail(write(tmp_path / "b.jpg", (200, 1000)), 96)) == (19, 96)
    assert size(thumbnail(write(tmp_path / "c.png", (3, 2)), 96)) == (3, 2)  # never enlarged
    assert size(thumbnail(write(tmp_path / "d.png", (2000, 1)), 96)) == (96, 1)


def test_a_photo_that_is_gone_broken_or_changed_has_none(tmp_path: Path) -> None:
    photo = write(tmp_path / "a.png")
    digest = hashlib.sha256(photo.read_bytes()).hexdigest()
    assert thumbnail(photo, 96, digest) is not None
    write(photo, (301, 200))
    assert thumbnail(photo, 96, digest) is None
    photo.write_bytes(b"no picture")
    assert thumbnail(photo, 96) is None
    photo.unlink()
    assert thumbnail(photo, 96) is None


def test_thumbnails_come_in_order(tmp_path: Path) -> None:
    for i in range(20):
        write(tmp_path / f"{i}.png", (20 + i, 10))
    names = [f"{i}.png" for i in range(20)] + ["gone.png"]
    made = list(thumbnails(tmp_path, names, 96, {}, names))
    assert [size(data)[0] for data in made[:-1]] == list(range(20, 40)) and made[-1] is None
