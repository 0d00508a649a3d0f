import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from imgcli.collect.scrape.journal import NAME, open_journal
from imgcli.collect.scrape.licences import licence
from imgcli.collect.scrape.search_result import Page, Search, SearchResult
from imgcli.errors import StorageError

CAT, DOG = Search("cat", "cats"), Search("dog", "dogs")


def search_result(number: int) -> SearchResult:
    url = f"https://a.test/{number}.jpg"
    return SearchResult(str(number), url, title="Ça", licence=licence("by", "4.0"))


def test_a_page_and_the_place_of_the_next_are_remembered(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        assert journal.cursor("s", CAT) == ("", None)
        new = journal.add_page("s", CAT, Page((search_result(1), search_result(2)), "next"))
        assert [item.result for item in new] == [search_result(1), search_result(2)]
        assert journal.add_page("s", CAT, Page((search_result(2), search_result(3)), "more"))[
            0
        ].result == search_result(3)
    with open_journal(tmp_path) as journal:
        assert journal.cursor("s", CAT) == ("more", None)
        assert journal.cursor("s", DOG) == journal.cursor("t", CAT) == ("", None)
        seen = journal.items("s", "cat", "seen")
        assert [item.result for item in seen] == [
            search_result(1),
            search_result(2),
            search_result(3),
        ]
        journal.add_page("s", CAT, Page((), None))
        cursor, ended = journal.cursor("s", CAT)
        assert cursor == "" and ended is not None


def test_a_full_disk_is_not_taken_for_damage(tmp_path: Path) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    with pytest.raises(StorageError, match=r"cannot be written .*disk is full"):
        with open_journal(tmp_path):
            raise full


def test_a_state_is_kept_with_all_that_was_found(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        (item,) = journal.add_page("s", CAT, Page((search_result(1),), None))
        decoded = journal.store(item, "decoded", received="r", sha256="d", line='{"a": 1}')
        placed = journal.store(decoded, "placed", path="cat/1.jpg")
    with open_journal(tmp_path) as journal:
        assert journal.item(item.id) == placed
        assert (placed.received, placed.sha256, placed.path) == ("r", "d", "cat/1.jpg")
        assert placed.provenance == {"a": 1}
        assert journal.items("s", "cat", "seen", "decoded") == []


def test_the_same_photo_is_found_by_url_id_and_content(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        add = journal.add_page
        (cat,) = add("s", CAT, Page((search_result(1),), None))
        (dog,) = add("s", DOG, Page((SearchResult("1", "https://b.test/elsewhere.jpg"),), None))
        (other,) = add("t", DOG, Page((SearchResult("x", search_result(1).file_url),), None))
        (nowhere,) = add("t", CAT, Page((SearchResult("y", ""),), None))
        assert journal.same_url(cat) == [dog, other]
        assert journal.same_url(nowhere) == []
        cat = journal.store(cat, "rejected", received="same")
        dog = journal.store(dog, "decoded", received="same")
        assert journal.same_content(dog) == [cat]


def test_a_page_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    class Interrupted:
        def __deepcopy__(self, memo: object) -> None:
            raise KeyboardInterrupt

    interrupted = replace(search_result(2), title=Interrupted())  # type: ignore[arg-type]
    with open_journal(tmp_path) as journal:
        with pytest.raises(KeyboardInterrupt):
            journal.add_page("s", CAT, Page((search_result(1), interrupted), "next"))
        assert journal.items("s", "cat", "seen") == []
        assert journal.cursor("s", CAT) == ("", None)


def test_a_damaged_journal_is_said(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StorageError, match=r"\.scrape\.sqlite', which remembers .* move it away"):
        with open_journal(tmp_path):
            pass
