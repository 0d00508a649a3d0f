import json
from typing import Any

import pytest

from imgcli.collect.scrape.licences import Licence
from imgcli.collect.scrape.providers.api import ApiProvider
from imgcli.collect.scrape.providers.wikimedia import WIKIMEDIA
from imgcli.collect.scrape.search_result import Search, Terms
from imgcli.errors import DataError
from imgcli.http.request import NotFetched
from tests.support.fake_host import FakeHost, Reply
from tests.support.providers import api, asked, client_of, encoded, wikimedia_page

OWLS = Search("owl", "tawny owl")


def source(host: FakeHost) -> ApiProvider:
    return ApiProvider(WIKIMEDIA, client_of(host), Terms(), f"http://{host.at}/", {})


def answers(*documents: dict[str, Any]) -> dict[str, list[Reply | bytes]]:
    return {"/w/api.php": [encoded(document) for document in documents]}


def batch(*numbers: int, **more: Any) -> dict[str, Any]:
    pages = {str(n): wikimedia_page(n) for n in numbers}
    return {"batchcomplete": "", "query": {"pages": pages}, **more}


def test_html_is_stripped_and_links_are_made_whole() -> None:
    with FakeHost(answers(batch(7))) as host:
        page = source(host).page(OWLS, "")
    (result,) = page.results
    assert page.cursor is None
    assert (result.source_id, result.title) == ("7", "File:7.jpg")
    assert result.creator == "Jane & Jo"
    assert result.creator_url == "https://commons.test/wiki/User:Jane"
    assert result.licence == Licence(
        "by-sa", "4.0", "https://creativecommons.org/licenses/by-sa/4.0/"
    )
    assert result.landing_url == "https://commons.test/wiki/File:7.jpg"


def test_a_batch_is_put_together_from_its_parts() -> None:
    bare = {key: {"pageid": int(key), "title": "x", "index": int(key)} for key in "12"}
    first = {"continue": {"iistart": "a"}, "query": {"pages": {**bare, "1": wikimedia_page(1)}}}
    second = batch(2, **{"continue": {"gsroffset": 50, "continue": "gsroffset||"}})
    second["query"]["pages"]["1"] = bare["1"]
    with FakeHost(answers(first, second)) as host:
        page = source(host).page(OWLS, "")
        assert asked(host, 1)["iistart"] == "a"
    assert [result.source_id for result in page.results] == ["1", "2"]
    assert json.loads(page.cursor or "") == {"gsroffset": "50", "continue": "gsroffset||"}


def test_the_next_page_goes_on_where_the_last_one_ended() -> None:
    with FakeHost(answers(batch(1))) as host:
        source(host).page(OWLS, '{"gsroffset": "50"}')
        assert asked(host, 0)["gsroffset"] == "50"


def test_the_parts_of_a_later_batch_are_asked_for_from_where_it_began() -> None:
    first = {"continue": {"iistart": "a"}, "query": {"pages": {"1": wikimedia_page(1)}}}
    last = batch(2, **{"continue": {"gsroffset": 100}})
    with FakeHost(answers(first, last)) as host:
        page = source(host).page(OWLS, '{"gsroffset": "50"}')
        assert (asked(host, 1)["gsroffset"], asked(host, 1)["iistart"]) == ("50", "a")
    assert json.loads(page.cursor or "") == {"gsroffset": "100"}


def test_pages_come_in_the_order_of_the_search() -> None:
    with FakeHost(answers(batch(30, 4, 200))) as host:
        found = source(host).page(OWLS, "").results
    assert [result.source_id for result in found] == ["4", "30", "200"]


def test_maxlag_comes_as_200_and_is_waited_for() -> None:
    lag = {"error": {"code": "maxlag", "info": "Waiting for a database"}}
    busy = Reply(headers={"Retry-After": "0"}, body=encoded(lag))
    with FakeHost({"/w/api.php": [busy, busy, encoded(batch(1))]}) as host:
        assert len(source(host).page(OWLS, "").results) == 1
        assert len(host.log) == 3
    with FakeHost({"/w/api.php": busy}) as host:
        with pytest.raises(NotFetched, match="busy: Waiting for a database") as error:
            source(host).page(OWLS, "")
        assert error.value.later and len(host.log) == 5


def test_another_error_is_said() -> None:
    wrong = {"error": {"code": "badvalue", "info": "Unrecognized value"}}
    with FakeHost(answers(wrong)) as host:
        with pytest.raises(DataError, match="refuses 'tawny owl': Unrecognized value"):
            source(host).page(OWLS, "")


def test_a_category_is_listed() -> None:
    with FakeHost(answers(batch(1))) as host:
        source(host).page(Search("owl", "Category:Owls"), "")
        params = asked(host, 0)
    assert (params["generator"], params["gcmtitle"]) == ("categorymembers", "Category:Owls")
    assert params["gcmtype"] == "file"


@pytest.mark.parametrize(
    ("changes", "licence", "unusable"),
    [
        ({"extmetadata": {}}, None, None),
        ({"extmetadata": None}, None, None),
        ({"mime": "image/svg+xml"}, "by-sa", "no photo: image/svg+xml"),
        ({"url": None}, "by-sa", "the provider gives no URL"),
        ({"extmetadata": {"License": {"value": "pd"}}}, "pdm", None),
        ({"extmetadata": {"LicenseShortName": {"value": "GFDL 1.2"}}}, "GFDL 1.2", None),
    ],
)
def test_fields_may_be_missing(changes: Any, licence: str | None, unusable: str | None) -> None:
    document = {"batchcomplete": "", "query": {"pages": {"1": wikimedia_page(1, **changes)}}}
    with FakeHost({"/w/api.php": api(lambda _: document)}) as host:
        (result,) = source(host).page(OWLS, "").results
    assert (result.licence and result.licence.code, result.unusable) == (licence, unusable)


def test_nothing_found_is_an_empty_page() -> None:
    with FakeHost(answers({"batchcomplete": ""})) as host:
        assert source(host).page(OWLS, "").results == ()
