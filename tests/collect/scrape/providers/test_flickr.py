from typing import Any

import pytest

from imgcli.collect.scrape.providers import flickr as module
from imgcli.collect.scrape.providers.api import ApiProvider
from imgcli.collect.scrape.providers.flickr import FLICKR
from imgcli.collect.scrape.search_result import Search, SearchResult, Terms
from imgcli.errors import DataError
from imgcli.http.request import NotFetched
from tests.support.fake_host import FakeHost
from tests.support.providers import api, asked, client_of, encoded, flickr, flickr_photo

NIGHT = Search("night", "night")
REST = "/services/rest/"
ANY = Terms()


def source(host: FakeHost, terms: Terms = ANY) -> ApiProvider:
    return ApiProvider(FLICKR, client_of(host), terms, f"http://{host.at}", {"FLICKR_API_KEY": "k"})


def everything(here: ApiProvider) -> list[SearchResult]:
    found: list[SearchResult] = []
    cursor: str | None = ""
    while cursor is not None:
        page = here.page(NIGHT, cursor)
        found += page.results
        cursor = page.cursor
    return found


def one(**changes: Any) -> SearchResult:
    photos = {"page": 1, "pages": "1", "total": 1, "photo": [flickr_photo(1, **changes)]}
    with FakeHost({REST: api(lambda _: {"photos": photos, "stat": "ok"})}) as host:
        return source(host).page(NIGHT, "").results[0]


def test_without_a_key_the_way_to_one_is_named() -> None:
    with pytest.raises(DataError, match=r"FLICKR_API_KEY is not set\. Get one at https://"):
        ApiProvider(FLICKR, client_of(), Terms(), None, {})


def test_more_than_4000_results_are_all_found_by_slices_of_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_RESULTS", 40)  # and the host's: a hundredth of the real ones
    monkeypatch.setattr(module, "PAGE_SIZE", 5)
    uploads = {n: 1_500_000_000 + 86_400 * n for n in range(150)}

    def limited(params: dict[str, str]) -> Any:
        params["page"] = str(min(int(params["page"]), 8))  # after 40 it repeats itself
        query = "&".join(f"{name}={value}" for name, value in params.items())
        return flickr(uploads)(f"/?{query}")

    with FakeHost({REST: api(limited)}) as host:
        found = {int(result.source_id) for result in everything(source(host))}
        assert found == set(uploads)
        # 150 photos are 30 pages; the first 8 are read twice, and slices cost a page each.
        assert len(host.log) < 80


def test_few_results_are_one_query() -> None:
    with FakeHost({REST: flickr({n: 1_500_000_000 for n in range(600)})}) as host:
        assert len(everything(source(host))) == 600
        assert len(host.log) == 2 and "min_upload_date" not in asked(host, 1)


def test_an_error_comes_as_200() -> None:
    failed = {"stat": "fail", "code": 100, "message": "Invalid API Key (Key has invalid format)"}
    with FakeHost({REST: api(lambda _: failed)}) as host:
        with pytest.raises(DataError, match="refuses 'night': Invalid API Key"):
            source(host).page(NIGHT, "")


def test_an_overload_is_tried_again_and_then_put_off() -> None:
    failed = {"stat": "fail", "code": "105", "message": "Service currently unavailable"}
    with FakeHost({REST: [encoded(failed), flickr({1: 1})("/?per_page=5&page=1")]}) as host:
        assert len(source(host).page(NIGHT, "").results) == 1
    with FakeHost({REST: api(lambda _: failed)}) as host:
        with pytest.raises(NotFetched, match="unavailable") as error:
            source(host).page(NIGHT, "")
        assert error.value.later


def test_the_large_size_is_taken_or_what_there_is() -> None:
    assert one().file_url == "https://live.test/1_b.jpg"
    assert one(url_l=None).file_url == "https://live.test/1_m.jpg"
    assert (
        one(url_l=None, url_o="https://live.test/1_o.jpg").file_url == "https://live.test/1_o.jpg"
    )
    assert one(url_l=None, url_m=None).unusable == "its owner lets nobody fetch it"


@pytest.mark.parametrize(
    ("number", "name"),
    [("1", "CC BY-NC-SA 2.0"), (4, "CC BY 2.0"), ("9", "CC0 1.0"), ("10", "Public domain")],
)
def test_licences_go_by_number(number: str | int, name: str) -> None:
    licence = one(license=number).licence
    assert licence is not None and licence.name == name


@pytest.mark.parametrize("number", ["0", 0, None, "99"])
def test_all_rights_reserved_is_no_licence(number: Any) -> None:
    assert one(license=number).licence is None


def test_only_photos_under_wanted_licences_are_asked_for() -> None:
    with FakeHost({REST: flickr({})}) as host:
        source(host).page(NIGHT, "")
        source(host, Terms(frozenset({"by", "cc0"}))).page(NIGHT, "")
        source(host, Terms(unlicensed=True)).page(NIGHT, "")
        assert asked(host, 0)["license"] == "1,2,3,4,5,6,9,10"
        assert asked(host, 1)["license"] == "4,9"
        assert "license" not in asked(host, 2)


def test_who_made_it_and_where_it_is_shown() -> None:
    result = one()
    assert result.creator == "Jane"
    assert result.creator_url == "https://www.flickr.com/people/12@N01/"
    assert result.landing_url == "https://www.flickr.com/photos/12@N01/1"
