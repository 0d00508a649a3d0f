"""A scrape from search results to class folders, against hosts on loopback that keep a log."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from imgcli.collect.imports.labelled_photo import NotTaken
from imgcli.collect.scrape import engine
from imgcli.collect.scrape import host_queue as hosts_module
from imgcli.collect.scrape.accept import Checked
from imgcli.collect.scrape.engine import Scraped, scrape
from imgcli.collect.scrape.licences import licence
from imgcli.collect.scrape.search_result import Job, Page, Search, SearchResult, Terms
from imgcli.http.client import Client
from tests.support.fake_host import FakeHost, Reply
from tests.support.photos import photo
from tests.support.providers import FAST
from tests.support.trees import placed_files, provenance_lines

BY = licence("by", "4.0")


class Listed:
    """A source that is a list of search results per label, in pages; it asks nobody."""

    name = "listed"

    def __init__(self, results: Mapping[str, Sequence[SearchResult]], size: int = 2) -> None:
        self.results = results
        self.size = size
        self.pages = 0

    def address(self, search: Search, cursor: str) -> str | None:
        return None

    def page(self, search: Search, cursor: str) -> Page:
        self.pages += 1
        start, end = int(cursor or 0), int(cursor or 0) + self.size
        results = self.results[search.label]
        return Page(tuple(results[start:end]), str(end) if end < len(results) else None)


def search_result(url: str, **more: object) -> SearchResult:
    return SearchResult(**{"source_id": url, "file_url": url, "licence": BY, **more})  # type: ignore[arg-type]


def search_results(host: FakeHost, *numbers: int) -> list[SearchResult]:
    return [search_result(host.url(f"/{n}.png")) for n in numbers]


def photos(*numbers: int) -> dict[str, bytes]:
    return {f"/{n}.png": photo(n) for n in numbers}


def check(data: bytes) -> Checked:
    if data == photo(13):
        raise NotTaken("is damaged: it brings bad luck")
    return Checked(data, 4, 3)


class Run:
    """`scrape` into one folder, as often as wanted."""

    def __init__(self, out: Path, *hosts: FakeHost) -> None:
        self.out = out
        self.hosts = hosts
        self.limits = FAST

    def __call__(
        self,
        source: Listed,
        per_class: int = 100,
        terms: Terms | None = None,
        check: Callable[[bytes], Checked] = check,
    ) -> Scraped:
        searches = tuple(Search(label, label) for label in source.results)
        job = Job(source, searches, dict.fromkeys(source.results, per_class))
        with Client(allow_hosts=[host.at for host in self.hosts], limits=self.limits) as client:
            return scrape(job, self.out, client=client, check=check, terms=terms or Terms())

    def files(self) -> dict[str, bytes]:
        """The placed photos by class and content, without what is hidden."""
        return placed_files(self.out)

    def photos(self, label: str) -> set[bytes]:
        return {data for path, data in self.files().items() if path.startswith(f"{label}/")}

    def lines(self) -> list[dict[str, object]]:
        return provenance_lines(self.out)


def test_received_bytes_are_placed_with_all_that_is_known(tmp_path: Path) -> None:
    with FakeHost(photos(1)) as host:
        run = Run(tmp_path / "raw", host)
        known = search_result(
            host.url("/1.png"),
            source_id="77",
            title="Rain",
            creator="Jane",
            landing_url="https://site.test/1",
            group="listed:5",
        )
        result = run(Listed({"night": [known]}))
    assert (result.added, result.skipped, result.rejected) == (1, 0, ())
    assert (result.classes, result.short) == ({"night": 1}, {"night": 99})
    assert run.files() == {"night/listed-77.png": photo(1)}
    (line,) = run.lines()
    assert line.pop("retrieved_at") and line.pop("imported_at")
    assert line == {
        "path": "night/listed-77.png",
        "label": "night",
        "origin": host.url("/1.png"),
        "source": "listed",
        "source_id": "77",
        "query": "night",
        "landing_url": "https://site.test/1",
        "file_url": host.url("/1.png"),
        "title": "Rain",
        "creator": "Jane",
        "creator_url": None,
        "license": "by",
        "license_version": "4.0",
        "license_url": "https://creativecommons.org/licenses/by/4.0/",
        "attribution": '"Rain" by Jane, CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)',
        "sha256": hashlib.sha256(photo(1)).hexdigest(),
        "size": len(photo(1)),
        "format": "PNG",
        "width": 4,
        "height": 3,
        "group": "listed:5",
    }


def test_a_second_run_asks_for_nothing_and_a_larger_one_only_adds(tmp_path: Path) -> None:
    with FakeHost(photos(*range(9))) as host:
        run, source = Run(tmp_path / "raw", host), Listed({"a": search_results(host, *range(9))})
        assert run(source, 3).added == 3
        first, asked, pages = run.files(), len(host.log), source.pages
        assert (run(source, 3).added, len(host.log), source.pages) == (0, asked, pages)
        again = run(source, 5)
        assert (again.added, again.skipped) == (2, 3)
        assert run.files().items() > first.items()
        assert run(source, 100).added == 4
        assert run(source, 100).skipped == 9  # its end is known
        assert source.pages == 5
        assert all(host.asked(f"/{n}.png") == 1 for n in range(9))


def test_a_class_takes_the_first_good_results_in_order(tmp_path: Path) -> None:
    answers = {**photos(0, 2, 4, 5, 6, 13), "/1.png": b"<html>", "/7.png": Reply(wait=0.2)}
    with FakeHost(answers) as host:
        run = Run(tmp_path / "raw", host)
        result = run(Listed({"a": search_results(host, 0, 1, 2, 3, 13, 4, 5, 6)}), 4)
    assert run.photos("a") == {photo(n) for n in (0, 2, 4, 5)}
    assert [
        (r.path[-6:], r.reason.partition(" answered")[2] or r.reason) for r in result.rejected
    ] == [
        ("/1.png", "an HTML page"),
        ("/3.png", " 404 Not Found"),
        ("13.png", "is damaged: it brings bad luck"),
    ]
    assert result.short == {}


def test_photos_without_a_licence_or_another_one_are_left_out(tmp_path: Path) -> None:
    with FakeHost(photos(1, 2, 3)) as host:
        given = [licence("by-nc", "2.0"), None, licence("cc0")]
        urls = [host.url(f"/{n}.png") for n in (1, 2, 3)]
        listed = [search_result(url, licence=one) for url, one in zip(urls, given, strict=True)]
        run = Run(tmp_path / "raw", host)
        result = run(Listed({"a": listed}), terms=Terms(frozenset({"cc0"})))
        assert [r.reason for r in result.rejected] == [
            "its licence, CC BY-NC 2.0, is not asked for",
            "no licence is known",
        ]
        assert run.photos("a") == {photo(3)} and host.asked("/1.png") == 0
        again = run(Listed({"a": listed}), terms=Terms(unlicensed=True))
        assert (again.added, again.rejected) == (2, ())


def test_what_the_source_rules_out_is_not_fetched(tmp_path: Path) -> None:
    with FakeHost(photos(1)) as host:
        run = Run(tmp_path / "raw", host)
        result = run(Listed({"a": [search_result(host.url("/1.png"), unusable="flagged")]}))
        assert [r.reason for r in result.rejected] == ["flagged"] and not host.log


def test_urls_that_cannot_be_meant_are_listed(tmp_path: Path) -> None:
    run = Run(tmp_path / "raw")
    urls = ["ftp://a.test/1", "http://127.0.0.1/1.png", "nonsense", "https://user:pw@a.test/1"]
    result = run(Listed({"a": [search_result(url) for url in urls]}))
    assert {r.path for r in result.rejected} == set(urls)
    assert run.files() == {}


# --- placeholders and conflicts -----------------------------------------------------------------


def test_a_file_from_two_urls_is_placed_once(tmp_path: Path) -> None:
    with FakeHost({"/1.png": photo(1), "/2.png": photo(1), "/3.png": photo(3)}) as host:
        run = Run(tmp_path / "raw", host)
        result = run(Listed({"a": search_results(host, 1, 2, 3)}))
    assert (result.added, result.skipped, result.rejected) == (2, 1, ())
    assert run.photos("a") == {photo(1), photo(3)}


def test_a_file_from_three_urls_is_a_placeholder_though_it_was_placed(tmp_path: Path) -> None:
    same = {f"/{n}.png": photo(0) for n in (1, 2, 3, 4)}
    with FakeHost({**same, "/5.png": photo(5)}) as host:
        run, source = (
            Run(tmp_path / "raw", host),
            Listed({"a": search_results(host, 1, 2, 5, 3, 4)}),
        )
        assert run(source, 2).added == 2
        result = run(source, 4)
        assert run.photos("a") == {photo(5)}
        assert {r.path for r in result.rejected} == {host.url(path) for path in same}
        assert all("a placeholder" in r.reason for r in result.rejected)
        moved = run.out / ".rejected" / "a"
        assert [path.read_bytes() for path in moved.iterdir()] == [photo(0)]  # nothing is deleted


def test_a_file_in_two_classes_is_in_neither(tmp_path: Path) -> None:
    answers = {"/1.png": photo(0), "/2.png": photo(0), "/3.png": photo(3), "/4.png": photo(4)}
    with FakeHost(answers) as host:
        run = Run(tmp_path / "raw", host)
        run(Listed({"cat": search_results(host, 1, 3)}))
        result = run(Listed({"dog": search_results(host, 2, 4)}))
        assert (run.photos("cat"), run.photos("dog")) == ({photo(3)}, {photo(4)})
        assert "the same file came as 'cat' and as 'dog'" in result.rejected[0].reason
        assert result.classes == {"cat": 1, "dog": 1}
        cats = run(Listed({"cat": search_results(host, 1, 3)}))
        assert (cats.added, cats.skipped) == (0, 1)
        assert "moved to .rejected/cat/1-" in cats.rejected[0].reason


def test_a_url_found_for_two_classes_is_not_even_fetched_for_the_second(tmp_path: Path) -> None:
    with FakeHost(photos(1, 2, 3)) as host:
        run = Run(tmp_path / "raw", host)
        result = run(Listed({"cat": search_results(host, 1, 2), "dog": search_results(host, 2, 3)}))
        assert (run.photos("cat"), run.photos("dog")) == ({photo(1)}, {photo(3)})
        assert [r.reason for r in result.rejected] == ["found as 'cat' and as 'dog'"] * 2
        assert host.asked("/2.png") == 0


def test_photos_put_there_by_hand_are_never_moved(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    with FakeHost(photos(1, 2)) as host:
        run = Run(out, host)
        cats = Listed({"cat": search_results(host, 2, 1)})
        run(cats, 1)
        (out / "dog").mkdir()
        (out / "dog" / "mine.png").write_bytes(photo(1))
        result = run(cats, 2)
        assert [r.reason for r in result.rejected] == ["the same file is in 'dog'"]
        assert run.files()["dog/mine.png"] == photo(1)


def test_a_photo_that_was_taken_away_does_not_come_back_but_is_replaced(tmp_path: Path) -> None:
    with FakeHost(photos(1, 2, 3)) as host:
        run, source = Run(tmp_path / "raw", host), Listed({"a": search_results(host, 1, 2, 3)})
        run(source, 2)
        next(path for path in run.out.glob("a/*") if path.read_bytes() == photo(1)).unlink()
        assert run(source, 2).added == 1
        assert run.photos("a") == {photo(2), photo(3)}


# --- hosts --------------------------------------------------------------------------------------


def test_what_failed_for_now_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    with FakeHost({"/1.png": [Reply(503)] * 5 + [Reply(body=photo(1))], **photos(2)}) as host:
        run, source = Run(tmp_path / "raw", host), Listed({"a": search_results(host, 1, 2)})
        result = run(source)
        assert [d.path for d in result.deferred] == [host.url("/1.png")]
        assert "503" in result.deferred[0].reason and result.added == 1
        result = run(source)
        assert (result.added, result.skipped, result.deferred) == (1, 1, ())


def test_a_dead_host_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts_module, "SLOW_AFTER", 0.1)
    monkeypatch.setattr(engine, "TICK", 0.05)
    numbers = range(12)
    with FakeHost(photos(*numbers)) as host, FakeHost() as dead:
        dead.answers = {f"/{n}.png": Reply(drips="body") for n in numbers}
        mixed = [
            one for n in numbers for one in (*search_results(dead, n), *search_results(host, n))
        ]
        run = Run(tmp_path / "raw", host, dead)
        run.limits = replace(FAST, seconds=0.5, tries=2)
        result = run(Listed({"a": mixed}, size=4), 12)
        assert result.added == 12 and result.short == {}
        assert all(d.path.startswith(dead.url("/")) for d in result.deferred)
        good = [seen.time for seen in host.log]
        assert good[-1] - good[0] < 1.5  # the dead host takes 0.5 s for each of its two tries


def test_two_hosts_are_busy_all_the_time(tmp_path: Path) -> None:
    with FakeHost(photos(*range(20, 40))) as one, FakeHost(photos(*range(40, 60))) as other:
        pairs = zip(
            search_results(one, *range(20, 40)), search_results(other, *range(40, 60)), strict=True
        )
        run = Run(tmp_path / "raw", one, other)
        run.limits = replace(FAST, delay=0.05)
        assert run(Listed({"a": [one for pair in pairs for one in pair]})).added == 40
        for host in (one, other):
            assert min(host.gaps()) >= 0.05 and host.overlaps() == 0
            assert sum(host.gaps()) < 1.5 * 20 * 0.05


def test_many_hosts_are_asked_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts_module, "MAX_BUSY", 1)
    with FakeHost(photos(1, 2)) as one, FakeHost(photos(3, 4)) as other:
        run = Run(tmp_path / "raw", one, other)
        assert (
            run(Listed({"a": [*search_results(one, 1, 2), *search_results(other, 3, 4)]})).added
            == 4
        )


# --- searches -----------------------------------------------------------------------------------


class Broken(Listed):
    """A source whose page from `at` on cannot be had."""

    def __init__(self, results: Mapping[str, Sequence[SearchResult]], error: Exception) -> None:
        super().__init__(results)
        self.error = error

    def page(self, search: Search, cursor: str) -> Page:
        if cursor:
            raise self.error
        return super().page(search, cursor)


@pytest.mark.parametrize("error", [KeyError("photos"), TypeError("None"), ValueError("int")])
def test_an_answer_in_another_form_is_listed(tmp_path: Path, error: Exception) -> None:
    with FakeHost(photos(1, 2, 3)) as host:
        run = Run(tmp_path / "raw", host)
        result = run(Broken({"a": search_results(host, 1, 2, 3)}, error))
        assert result.added == 2
        assert [r.path for r in result.rejected] == ["listed: a"]
        assert "answers in a form unknown here" in result.rejected[0].reason
        assert run(Listed({"a": search_results(host, 1, 2, 3)})).added == 1  # fixed, it goes on


def test_a_search_that_only_repeats_itself_ends(tmp_path: Path) -> None:
    class Circle(Listed):
        def page(self, search: Search, cursor: str) -> Page:
            self.pages += 1
            return Page(tuple(self.results[search.label]), "again")

    with FakeHost(photos(1)) as host:
        run, circle = Run(tmp_path / "raw", host), Circle({"a": search_results(host, 1)})
        assert run(circle).added == 1
        assert circle.pages == 1 + engine.MAX_PAGES_WITHOUT_NEW
        run(circle)
        assert circle.pages == 1 + engine.MAX_PAGES_WITHOUT_NEW


def test_an_old_end_is_searched_beyond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeHost(photos(1, 2)) as host:
        run = Run(tmp_path / "raw", host)
        run(Listed({"a": search_results(host, 1)}))
        assert run(Listed({"a": search_results(host, 2, 1)})).added == 0
        monkeypatch.setattr(engine, "SEARCH_AGAIN_AFTER", engine.SEARCH_AGAIN_AFTER * 0)
        assert run(Listed({"a": search_results(host, 2, 1)})).added == 1
        assert host.asked("/1.png") == 1
