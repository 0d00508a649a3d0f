import io

import pytest

from imgcli.collect.imports.labelled_photo import Budget, Limits, Metered, NotTaken, read_photo
from tests.support.photos import photo


class Endless:
    """A photo that never ends; counts what was asked of it."""

    def __init__(self, start: bytes) -> None:
        self.start = start
        self.given = 0

    def read(self, size: int, /) -> bytes:
        data = self.start + bytes(size) if self.given == 0 else bytes(size)
        self.given += size
        return data[:size]


def test_a_photo_is_read_whole() -> None:
    data = photo(1) + bytes(300_000)
    assert read_photo(io.BytesIO(data)) == data


def test_a_photo_of_the_limit_is_read_and_one_byte_more_is_not() -> None:
    data = photo(1).ljust(1000, b"\0")
    assert len(read_photo(io.BytesIO(data), limits=Limits(photo=1000))) == 1000
    with pytest.raises(NotTaken, match="larger than"):
        read_photo(io.BytesIO(data + b"\0"), limits=Limits(photo=1000))


def test_reading_stops_soon_after_the_limit() -> None:
    file = Endless(photo(1))
    with pytest.raises(NotTaken, match="larger than 100 MB"):
        read_photo(file, Limits(photo=100_000_000))
    assert file.given < 101_000_000


def test_what_is_no_photo_is_not_read_on() -> None:
    file = Endless(b"")
    with pytest.raises(NotTaken, match="only zero bytes"):
        read_photo(file)
    assert file.given == 512


def test_a_budget_is_shared_by_all_that_is_read() -> None:
    budget = Budget(1000, "enough")
    data = photo(1).ljust(600, b"\0")
    read_photo(Metered(io.BytesIO(data), budget))
    assert not budget.spent
    with pytest.raises(NotTaken, match="enough"):
        read_photo(Metered(io.BytesIO(data), budget))
    assert budget.spent
