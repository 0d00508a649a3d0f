import pytest

from imgcli.collect.scrape.licences import Licence
from imgcli.collect.scrape.providers.api import ApiProvider
from imgcli.collect.scrape.providers.openverse import OPENVERSE
from imgcli.collect.scrape.search_result import Search, Terms
from imgcli.http.request import NotFetched
from tests.support.fake_host import FakeHost, Reply
from tests.support.providers import asked, client_of, openverse, openverse_result

NIGHT = Search("night", "night sky")
ANY = Terms()


def source(host: FakeHost, terms: Terms = ANY, **environ: str) -> ApiProvider:
    return ApiProvider(OPENVERSE, client_of(host), terms, f"http://{host.at}", environ)


def test_pages_of_twenty_are_read_to_the_end() -> None:
    results = [openverse_result(n) for n in range(45)]
    with FakeHost({"/v1/images/": openverse(results)}) as host:
        here, found, cursor = source(host), [], ""
        while cursor is not None:
            page = here.page(NIGHT, cursor)
            found += [result.source_id for result in page.results]
            cursor = page.cursor
        assert found == [f"id-{n}" for n in range(45)]
        assert len(host.log) == 3 and asked(host, 0)["q"] == "night sky"


def test_what_is_known_of_a_photo_is_kept() -> None:
    with FakeHost({"/v1/images/": openverse([openverse_result(1)])}) as host:
        result = source(host).page(NIGHT, "").results[0]
    assert result.file_url == "https://photos.test/1.jpg"
    assert result.landing_url == "https://photos.test/page/1"
    assert (result.creator, result.creator_url) == ("Jane", "https://photos.test/jane")
    assert result.licence == Licence(
        "by-sa", "2.0", "https://creativecommons.org/licenses/by-sa/2.0/"
    )
    assert result.attribution == '"Night 1" by Jane is licensed under CC BY-SA 2.0.'


def test_fields_may_be_null() -> None:
    bare = dict.fromkeys(("title", "creator", "creator_url", "license_url", "filetype", "url"))
    with FakeHost({"/v1/images/": openverse([openverse_result(1, **bare)])}) as host:
        result = source(host).page(NIGHT, "").results[0]
    assert (result.title, result.creator) == (None, None)
    assert result.licence is not None and result.licence.name == "CC BY-SA 2.0"
    assert result.unusable == "the provider gives no URL"


def test_the_wish_for_licences_and_the_token_are_passed_on() -> None:
    with FakeHost({"/v1/images/": openverse([])}) as host:
        here = source(host, Terms(frozenset({"cc0", "by"})), OPENVERSE_TOKEN="abc")
        assert here.page(NIGHT, "").cursor is None
        assert asked(host, 0)["license"] == "by,cc0"
        assert host.log[0].headers["Authorization"] == "Bearer abc"


def test_too_many_requests_are_waited_for() -> None:
    busy = Reply(429, {"Retry-After": "0"})
    answer = openverse([openverse_result(1)])("/?page_size=20&page=1")
    with FakeHost({"/v1/images/": [busy, answer]}) as host:
        assert len(source(host).page(NIGHT, "").results) == 1


@pytest.mark.parametrize("status", [400, 401])
def test_a_refused_search_is_not_tried_again(status: int) -> None:
    with FakeHost({"/v1/images/": Reply(status, body=b'{"error": "InputError"}')}) as host:
        with pytest.raises(NotFetched, match=str(status)) as error:
            source(host).page(NIGHT, "")
        assert not error.value.later and len(host.log) == 1
