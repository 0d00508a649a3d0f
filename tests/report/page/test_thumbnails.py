from collections.abc import Generator, Iterable

from imgcli.report.page.html import GALLERY, cell_images, gallery_images


class Maker:
    """Thumbnails of 30 bytes, none of photos called "gone"; remembers what was asked for."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int]] = []

    def __call__(self, paths: Iterable[str], side: int) -> Generator[bytes | None, None, None]:
        for path in paths:
            self.made.append((path, side))
            yield None if path == "gone" else b"x" * 30


def test_a_photo_in_several_galleries_is_made_once() -> None:
    maker = Maker()
    images = gallery_images(["a", "gone", "a", "b"], maker)
    assert maker.made == [("a", GALLERY), ("gone", GALLERY), ("b", GALLERY)]
    assert list(images) == ["a", "b"] and images["a"].startswith("data:image/webp;base64,eHh4")


def test_cells_get_images_until_there_is_no_room_and_no_more_are_made() -> None:
    maker = Maker()
    images = cell_images(["a", "gone", "b", "c", "d", "e"], maker, room=2 * 47)
    assert list(images) == [0, 2]
    assert [path for path, _ in maker.made] == ["a", "gone", "b", "c"]


def test_no_room_is_no_images() -> None:
    assert cell_images(["a"], Maker(), room=-5) == {}
    assert cell_images([], Maker(), room=10**6) == {}
