"""Answers that wait for the journal: as they were received, or not at all."""

from pathlib import Path

import pytest

from imgcli.collect.scrape.journal import Item
from imgcli.collect.scrape.search_result import Page, Search, SearchResult
from imgcli.collect.scrape.spool import NAME, Received, Spool
from imgcli.http.request import NotFetched

CAT = Search("cat", "cats")
ITEM = Item(1, "s", CAT, SearchResult("1", "https://a.test/1.jpg"))
BODY = b"bytes\nof {a} photo\0"


def test_an_answer_comes_back_as_it_was_and_is_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.answer(ITEM) is None and not spool.has(ITEM)
    spool.keep(ITEM, Received(BODY, "2026"))
    assert Spool(tmp_path).answer(ITEM) == Received(BODY, "2026") and spool.has(ITEM)
    spool.drop(ITEM)
    spool.drop(ITEM)
    assert spool.answer(ITEM) is None
    spool.close()
    assert not (tmp_path / NAME).exists()


def test_what_another_run_may_fetch_is_not_kept_and_what_it_may_not_is(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.keep(ITEM, NotFetched("busy", later=True))
    assert not spool.has(ITEM)
    spool.keep(ITEM, NotFetched("404 Not Found"))
    answer = spool.answer(ITEM)
    assert isinstance(answer, NotFetched) and (str(answer), answer.later) == (
        "404 Not Found",
        False,
    )


def test_pages_are_kept_by_search_and_place(tmp_path: Path) -> None:
    spool, page = Spool(tmp_path), Page((ITEM.result,), "next")
    spool.keep_page("s", CAT, "", page)
    assert spool.page("s", CAT, "") == page
    assert spool.page("s", CAT, "next") is None and spool.page("t", CAT, "") is None
    spool.drop_page("s", CAT, "")
    assert spool.page("s", CAT, "") is None


@pytest.mark.parametrize("position", [0, 70, 90, -1])
def test_a_damaged_answer_counts_as_none(tmp_path: Path, position: int) -> None:
    spool = Spool(tmp_path)
    spool.keep(ITEM, Received(BODY, "2026"))
    (file,) = (tmp_path / NAME).iterdir()
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[position] ^= 1
    for data in (bytes(damaged), whole[:position], b""):
        file.write_bytes(data)
        assert spool.answer(ITEM) is None


def test_answers_that_nobody_waits_for_are_swept(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.keep(ITEM, Received(BODY, "2026"))
    (tmp_path / NAME / ".imgcli-1-0.tmp").write_bytes(b"half")
    spool.sweep([ITEM])
    assert spool.has(ITEM)
    spool.sweep([])
    spool.close()
    assert not (tmp_path / NAME).exists()
